"""Adds rows to a table as it stands: in its columns, with its delimiter, line ends and encoding. What was there stays, byte for byte."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence

from config.csv.tables import TableReport, decode, delimiter

MARK = b"\xef\xbb\xbf"


def appended(data: bytes, rows: Sequence[Mapping[str, str]], key: str = "tag") -> tuple[bytes, list[str]]:
    """Return the table with the rows behind its last one, and which of their columns it has not (what these hold is left off).

    key: the column of the rows' names; one that the table has already gets a number, upper and lower case being one. Raises ValueError
    where the table can not be read, or can not hold a row.
    """
    report = TableReport("")
    text = decode(data, report)
    if text is None:
        raise ValueError(report.problems[0].message)
    written = delimiter(text)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=written, strict=True))
    except csv.Error as error:
        raise ValueError(f"not readable as CSV: {error}") from error
    header = [cell.strip() for cell in table[0]] if table else []
    if key not in header:
        raise ValueError(f"column `{key}` is missing")
    at = header.index(key)
    named = _named(rows, {cells[at].strip().lower() for cells in table[1:] if len(cells) > at}, key)
    added = io.StringIO(newline="")
    end = "\r\n" if "\r\n" in text else "\n"
    csv.writer(added, delimiter=written, lineterminator=end).writerows([row.get(name, "") for name in header] for row in named)
    missing = sorted({name for row in rows for name, value in row.items() if value and name not in header})
    return data + _encoded(data, ("" if text.endswith(("\n", "\r")) else end) + added.getvalue()), missing


def _named(rows: Sequence[Mapping[str, str]], used: Collection[str], key: str) -> list[dict[str, str]]:
    taken, named = set(used), []
    for row in rows:
        name, number = row[key], 2
        while name.lower() in taken:
            name, number = f"{row[key]}-{number}", number + 1
        taken.add(name.lower())
        named.append({**row, key: name})
    return named


def _encoded(data: bytes, text: str) -> bytes:
    """Encode as the table is: in UTF-8, or in CP1252, in which it was read because it is not UTF-8."""
    try:
        data.removeprefix(MARK).decode("utf-8")
    except UnicodeDecodeError:
        try:
            return text.encode("cp1252")
        except UnicodeEncodeError as error:
            raise ValueError(f"saved as CP1252, which can not hold {text[error.start]!r}: save it as `CSV UTF-8`") from error
    return text.encode("utf-8")
