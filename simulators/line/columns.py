"""Which columns a line reads of each query or pattern of a source, whatever it reads them for."""

from collections.abc import Iterator

from config import Line
from config.materials import Occasion, terms_of
from simulators.line.plan import ROLES


def columns_read(line: Line, source: str) -> dict[str, list[str]]:
    """Map the name of each query or pattern to the columns that tags, equipment, bookings and samples take of it."""
    found: dict[str, list[str]] = {}
    for query, column in _named(line):
        by, _, name = query.partition(".")
        if by == source and column is not None and column not in found.setdefault(name, []):
            found[name].append(column)
    return found


def _named(line: Line) -> Iterator[tuple[str, str | None]]:
    for equipment in line.equipment:
        for role in ROLES:
            where = getattr(equipment, role)
            if hasattr(where, "row"):
                yield from ((where.row, column) for column in (where.key, where.column, where.order_by))
        if (steps := equipment.mes_steps) is not None:
            yield from ((steps.row, column) for column in (steps.key, steps.step, steps.run, steps.start, steps.end, steps.state))
    for row in (*line.materials, *line.samples):
        yield from _of_occasion(row)
    for tag in line.tags:
        if tag.source in {source.name for source in line.sources if source.driver.startswith("mes_")}:
            name, _, column = tag.address.partition(".")
            yield f"{tag.source}.{name}", column


def _of_occasion(row: Occasion) -> Iterator[tuple[str, str | None]]:
    yield from ((row.trigger, column) for column, _ in row.where)
    yield from ((row.trigger, term.text) for _, term in terms_of(row) if term.kind == "row")
    results, key = getattr(row, "results", None), getattr(row, "results_key", None)
    if results is not None:
        yield str(results), key
