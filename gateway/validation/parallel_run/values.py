"""What the other side says of a field: values of the legacy record's rows, and values that people wrote by hand. Pure.

The two are never mixed: each value has its origin, who entered it, and its place, and is compared in a row of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from config import Line
from config.comparisons import Comparison
from config.grammars import row_condition
from config.sections import ParallelRun
from gateway.entries.ticks import from_rfc3339
from gateway.operation import manual_entries as imported
from gateway.validation.parallel_run.legacy import LegacyRecord, Row, missing

MANUAL = ("batch", "ebr_field", "value")
MANUAL_MORE = ("run", "unit", "time", "entered_by", "second_person", "transcribed_from", "remark")
"""The columns of a file of manual entries: those that must be there, and those that may."""
OF_MANUAL = ParallelRun(batch="batch", run="run")
BY_MANUAL = f"which each manual entry has: {','.join((*MANUAL, *MANUAL_MORE))}"


class Value(NamedTuple):
    """One value of the other side.

    unit: as written; None: none is told. wrong: why it can not be compared, whatever it says. by_hand: of a file of manual entries.
    Of the file of `fallback import` alone: equipment, step: of which it is; at, width: ticks at which it was taken, and for how many that
    stands, for 08:15 is any instant of that minute.
    """

    text: str
    place: str
    origin: str
    unit: str | None = None
    key: str | None = None
    time: str | None = None
    entered_by: str | None = None
    second_person: str | None = None
    wrong: str | None = None
    by_hand: bool = False
    equipment: str | None = None
    step: str | None = None
    at: int | None = None
    width: int = 0


def of_legacy(row: Comparison, run: str | None, record: LegacyRecord, section: ParallelRun) -> list[Value]:
    """Return the values that the legacy record has of a field, in the order of its rows. An empty cell is none.

    run: the column that tells several apart.
    """
    found = []
    for each in record.rows:
        text = each.cells.get(row.legacy or "")
        if text is not None and row_condition.hold(row.where, each.cells):
            key = None if run is None else each.cells.get(run)
            found.append(_of_row(row, each, text, section)._replace(key=key))
    return found


def _of_row(row: Comparison, each: Row, text: str, section: ParallelRun) -> Value:
    by, second = (None if name is None else each.cells.get(name) for name in (section.entered_by, section.second_person))
    return Value(
        text=text,
        place=each.place,
        origin=row.legacy_origin,
        unit=row.unit,
        time=None if row.time is None else each.cells.get(row.time),
        entered_by=by if row.legacy_origin != "automatic" else None,
        second_person=second if row.legacy_origin != "automatic" else None,
    )


def absent(row: Comparison, run: str | None, record: LegacyRecord) -> str | None:
    """Say which column that a field needs the legacy record does not have; None: it has all."""
    needed = [row.legacy, row.time, run, *(condition.column for condition in row.where)]
    return next((why for _, why in missing(record, [name for name in needed if name is not None])), None)


def of_manual(record: LegacyRecord | None, line: Line) -> dict[str, list[Value]]:
    """Return the manual entries of the batch by field. The field of one that names none is its place."""
    found: dict[str, list[Value]] = {}
    known = None if record is None or not is_imported(record) else _known(line)
    for each in () if record is None else record.rows:
        made = _typed(each) if known is None else _imported(each, known)
        found.setdefault(each.cells.get("ebr_field", each.place), []).append(made)
    return found


def _typed(each: Row) -> Value:
    cells = each.cells
    return Value(
        text=cells.get("value", ""),
        place=each.place,
        origin="transcribed" if cells.get("transcribed_from") else "manual",
        unit=cells.get("unit"),
        key=cells.get("run"),
        time=cells.get("time"),
        entered_by=cells.get("entered_by"),
        second_person=cells.get("second_person"),
        wrong=_incomplete(cells),
        by_hand=True,
    )


def is_imported(record: LegacyRecord) -> bool:
    """Return whether a file of manual entries is one of `fallback import`: that one says of which equipment each is."""
    return "equipment" in record.columns


def _known(line: Line) -> imported.Known:
    steps = {unit.name: [row.step for row in line.steps if row.equipment == unit.name] for unit in line.equipment}
    return imported.Known(steps, (), from_rfc3339("9999-01-01T00:00:00Z"), ZoneInfo(line.line.timezone))


def _imported(each: Row, known: imported.Known) -> Value:
    """Make a value of a row as `fallback import` takes it; what that would refuse in it is said in the same words."""
    at, width, wrong = imported.looked_at(each.cells, known)
    run = each.cells.get("run")
    made = _typed(each)._replace(wrong="; ".join(wrong) or None, at=at, width=width)
    return made._replace(
        key=str(int(run)) if run and not wrong else run, equipment=each.cells.get("equipment"), step=each.cells.get("step")
    )


def _incomplete(cells: Mapping[str, str]) -> str | None:
    for column in ("ebr_field", "value"):
        if column not in cells:
            return f"column `{column}` is empty"
    first, second = (" ".join(cells.get(name, "").split()).casefold() for name in ("entered_by", "second_person"))
    if not first or not second:
        return f"column `{'second_person' if first else 'entered_by'}` is empty: a manual entry needs two persons"
    if first == second:
        return f"entered_by and second_person are one person, {cells['entered_by'][:60]}: a manual entry needs two"
    return None


def manual_problem(record: LegacyRecord) -> str | None:
    """Say why a file is no file of manual entries, in neither of the two forms; None: it is one."""
    needed, more = (imported.NEEDED, imported.MORE) if is_imported(record) else (MANUAL, MANUAL_MORE)
    whose = "a file of `fallback import` has" if is_imported(record) else "manual entries have"
    those = f"{whose} {','.join((*needed, *more))}"
    if lacks := [name for name in needed if name not in record.columns]:
        return f"{record.origin}:1: no column `{lacks[0]}`: {those}"
    if strange := [name for name in record.columns if name not in (*needed, *more)]:
        return f"{record.origin}:1: unknown column `{strange[0][:60]}`: {those}"
    if record.twice:
        return f"{record.origin}:1: column `{min(record.twice)}` stands twice: {those}"
    return None


def left_over(rows: Sequence[Comparison], record: LegacyRecord, section: ParallelRun) -> Iterator[tuple[str, Value]]:
    """Yield (name, value) of what the legacy record says of the batch and no row of compare.csv takes, row by row.

    What tells which row it is, or when a value was taken, is no item by itself; in a row of which nothing is taken it is one, if it has
    nothing else to say.
    """
    apart = {condition.column for row in rows for condition in row.where}
    never = {section.batch, section.run, section.entered_by, section.second_person, *section.ignore, *apart, *(row.run for row in rows)}
    times = {row.time for row in rows}
    for each in record.rows:
        taken = {row.legacy for row in rows if row.legacy in each.cells and row_condition.hold(row.where, each.cells)}
        left = [column for column in each.cells if column not in never and column not in taken]
        said = [column for column in left if column not in times]
        which = ", ".join(f"{column}={each.cells[column]}" for column in sorted(apart) if column in each.cells)
        for column in said if taken or said else left:
            yield f"column {column} ({which})" if which else f"column {column}", Value(each.cells[column], each.place, "automatic")


def shown(value: Value) -> dict[str, Any]:
    """Return a value as a row of the result has it."""
    names = ("text", "unit", "origin", "entered_by", "second_person", "place", "time")
    told = {name: getattr(value, name) for name in names}
    return {"value": told.pop("text"), **told}
