"""Turns the rows of compare.csv into objects: each cell by itself."""

from config.comparisons import Comparison
from config.csv.cells import AMOUNT, Cells, each
from config.csv.columns import COMPARE
from config.csv.tables import TableReport
from config.grammars import row_condition

EDGES = ("start:", "end:")
"""Before EQUIPMENT/STEP: the instant at which a step begins or ends, in place of a field of the EBR."""


def compare(data: bytes, report: TableReport) -> list[Comparison]:
    """Read compare.csv."""
    return list(each(data, COMPARE, report, _comparison))


def _comparison(row: Cells) -> Comparison:
    field = row.must("ebr_field")
    is_edge = field.startswith(EDGES)
    made = Comparison(
        ebr_field=field,
        legacy=row.text("legacy"),
        where=_where(row),
        run=row.text("run"),
        unit=row.text("unit"),
        tolerance=row.text("tolerance", pattern=AMOUNT),
        time=row.text("time"),
        time_tolerance_s=row.decimal("time_tolerance_s"),
        rule=row.choice("rule", "time" if is_edge else "number"),
        min_covered=row.decimal("min_covered"),
        legacy_origin=row.choice("legacy_origin", "automatic"),
        description=row.text("description"),
        place=row.place,
    )
    for problem in _odd(made, is_edge=is_edge):
        row.error(*problem)
    return made


def _where(row: Cells) -> tuple[row_condition.RowCondition, ...]:
    try:
        return row_condition.parse(row.text("where"))
    except ValueError as error:
        row.error("where", f"`{str(error)[:60]}`: column=value is meant, several values with |, several conditions with ;")
        return ()


def _odd(made: Comparison, *, is_edge: bool) -> list[tuple[str, str]]:
    """List (column, problem) of cells that do not go together."""
    found = []
    if made.rule == "not-compared":
        if made.legacy is not None:
            found.append(("legacy", "stands there, and rule is not-compared: one of both"))
        if made.description is None:
            found.append(("description", "is empty: of what is not compared it says why"))
        return found
    if made.legacy is None:
        found.append(("legacy", "is empty: the column of the legacy record; or rule = not-compared, with the reason in description"))
    if is_edge != (made.rule == "time"):
        found.append(("rule", f"{made.rule}: of start: and end: of a step it is time, of nothing else"))
    if made.tolerance is not None and made.rule != "number":
        found.append(("tolerance", f"rule {made.rule} has none" + ("; write time_tolerance_s" if is_edge else "")))
    if made.unit is not None and made.rule != "number":
        found.append(("unit", f"rule {made.rule} has none"))
    if made.time_tolerance_s is not None and made.time is None and not is_edge:
        found.append(("time_tolerance_s", "needs `time`: the column that says when the legacy value was taken"))
    for column, value, most in (("time_tolerance_s", made.time_tolerance_s, 86_400), ("min_covered", made.min_covered, 1)):
        if value is not None and not 0 <= value <= most:
            found.append((column, f"{value} lies outside 0 to {most}"))
    return found
