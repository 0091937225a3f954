"""Lists the columns of the files that stand in a drop folder, as rows of the tag map. Files are read as `probe` does; nothing is noted."""

import re
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from drivers.contract import Browsed
from drivers.mes_file.folder import Folder, Scan, printable
from drivers.mes_file.formats import Record
from drivers.mes_file.probe import ProbedPattern, newest_record, unmatched
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.mes_file.values import readings
from drivers.rows import tag_name


def browsed(
    folder: Folder, scan: Scan, settings: FileSettings, source: str, under: str | None, match: str | None, known: Collection[str]
) -> Browsed:
    """Propose a row for each column that the newest files of each pattern have. under: the name of a pattern. Raises ValueError."""
    patterns = [pattern for pattern in settings.pattern if under in (None, pattern.name)]
    if not patterns:
        raise ValueError(f"--under {under}: no pattern is called so; there are {', '.join(pattern.name for pattern in settings.pattern)}")
    found = Browsed([], {f"{printable(name)}": f"not read: {why}" for name, why in scan.refused.items()})
    found.left_out |= {printable(name): "no pattern takes it" for name in unmatched(scan, settings)}
    for pattern in patterns:
        told = ProbedPattern(pattern.name, pattern.glob)
        record = newest_record(folder, scan, pattern, settings, told)
        for problem in told.problems:
            name, _, why = problem.partition(": ")
            found.left_out[name] = why
        if not told.columns:
            found.left_out.setdefault(f"pattern {pattern.name} {pattern.glob}", "no file that it takes stands in the folder")
        found.rows += _rows(source, pattern, told.columns, record or {}, match, known)
    return found


def _rows(
    source: str, pattern: Pattern, columns: Sequence[str], record: Record, match: str | None, known: Collection[str]
) -> Iterator[dict[str, str]]:
    used = set[str]()
    for column in columns:
        address = f"{pattern.name}.{column}"
        if address in known or (match is not None and not fnmatchcase(address.lower(), match.lower())):
            continue
        value = record.get(column)
        said = "empty in the newest record" if value in (None, "") else f"newest: {str(value)[:60]}"
        yield {
            "tag": tag_name(source, address, used),
            "source": source,
            "address": address,
            "type": _type(value, pattern),
            "description": said,
        }


def _type(value: Any, pattern: Pattern) -> str:
    """What the value of the newest record may be kept as: a number stays exact, and what is written with a leading zero is a name."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float | Decimal):
        return "decimal"
    if not isinstance(value, str) or not value.strip() or re.match(r"\s*[+-]?0[0-9]", value):
        return "string"
    (reading,), why = readings([(0, "value", "decimal")], {"value": value}, None, pattern)
    return "string" if why or not isinstance(reading[1], Decimal) or not reading[1].is_finite() else "decimal"
