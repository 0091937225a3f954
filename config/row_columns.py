"""Finds which columns of a MES's rows a line folder reads beside those that are tags, and for what.

Identities and steps of equipments, bookings, samples, results, windows of aggregates.
"""

from collections.abc import Iterator, Mapping

from config.grammars.addresses import AddressError, FileAddress, SqlAddress, parse
from config.line import Line, place_of
from config.materials import Booking, Occasion, terms_of
from config.problem import Place
from config.sections import FromRow, MesSteps, RowColumn


def row_columns(line: Line) -> Mapping[str, Mapping[str, tuple[RowColumn, ...]]]:
    """Return source -> query or pattern -> the columns that something but a tag reads of its rows, each once, in the order written."""
    found: dict[str, dict[str, dict[str, RowColumn]]] = {}
    for row, column, reader, place in (*_of_equipment(line), *_of_occasions(line), *_of_results(line), *_of_windows(line)):
        source, _, name = row.partition(".")
        found.setdefault(source, {}).setdefault(name, {}).setdefault(column, RowColumn(column, reader, place))
    return {source: {name: tuple(columns.values()) for name, columns in of.items()} for source, of in found.items()}


def _of_equipment(line: Line) -> Iterator[tuple[str, str, str, Place]]:
    for index, equipment in enumerate(line.equipment):
        for key, how in equipment:
            if isinstance(how, FromRow | MesSteps):
                for member, column in how.columns():
                    yield how.row, column, f"{key} of {equipment.name}", place_of(line, ("equipment", index, key, member))


def _of_occasions(line: Line) -> Iterator[tuple[str, str, str, Place]]:
    tags = {tag.tag for tag in line.tags}
    for row in (*line.materials, *line.samples):
        if row.trigger not in tags:
            yield from ((row.trigger, column, row.name, row.place) for column in _columns_of(row))


def _columns_of(row: Occasion) -> Iterator[str]:
    yield from (column for column, _ in row.where)
    yield from (term.text for _, term in terms_of(row) if term.kind == "row")
    if isinstance(row, Booking) and row.source_unit is not None and row.source_unit.kind == "row":
        yield row.source_unit.text


def _of_results(line: Line) -> Iterator[tuple[str, str, str, Place]]:
    results = {sampling.name: sampling.results for sampling in line.samples}
    for sampling in line.samples:
        if sampling.results is not None and sampling.results_key is not None:
            yield sampling.results, sampling.results_key, f"results of {sampling.name}", sampling.place
    for parameter in line.parameters:
        named, _, column = (parameter.given_by or "").rpartition(".")
        if (row := results.get(named)) is not None:
            yield row, column, f"parameter {parameter.parameter}", parameter.place


def _of_windows(line: Line) -> Iterator[tuple[str, str, str, Place]]:
    drivers = {source.name: source.driver for source in line.sources}
    for tag in line.tags:
        for name, column in tag.window_columns.items():
            try:
                address = parse(drivers[tag.source], tag.address)
            except AddressError:  # pragma: no cover - a line has no such address
                continue
            if isinstance(address, SqlAddress | FileAddress):
                yield f"{tag.source}.{address.query}", column, f"{name} of {tag.tag}", tag.place
