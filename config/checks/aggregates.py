"""Checks what the map says of the windows of aggregates: that the source can tell it, and that nothing tells the same edge twice."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.grammars import addresses
from config.grammars.addresses import AddressError, FileAddress, SqlAddress
from config.line import Tag
from config.problem import Problem
from config.sections import Source

_TIMELESS = {"modbus": "a device that is polled", "serial": "an instrument"}
"""Drivers whose values have no time of their own, with who has none."""


def problems(tag: Tag, source: Source) -> Iterator[Problem]:
    """List what is wrong with the columns aggregate_start, aggregate_end, aggregate_count and aggregate_stamp of a tag."""
    columns = tag.window_columns
    if tag.aggregate is None:
        for name in [*columns, *(["aggregate_stamp"] if tag.aggregate_stamp else [])]:
            yield tag.place.problem(f"{name}: `{tag.tag}` is no aggregate; write its function and window into aggregate, as in mean:60")
        return
    yield from _twice(tag, columns)
    if columns and not source.driver.startswith("mes_"):
        told = "the window of each value is told by columns of a query or a file alone"
        yield tag.place.problem(f"{next(iter(columns))}: source `{source.name}` ({source.driver}) has no rows, and {told}")
    elif columns or tag.aggregate_stamp is not None:
        yield from _of_time(tag, source, columns)


def _twice(tag: Tag, columns: Mapping[str, str]) -> Iterator[Problem]:
    for edge in ("start", "end"):
        if tag.aggregate_stamp == edge and f"aggregate_{edge}" in columns:
            yield tag.place.problem(f"aggregate_stamp: the column aggregate_{edge} tells the {edge} of the window already")
    named: dict[str, str] = {}
    for name, column in columns.items():
        if (other := named.setdefault(column, name)) != name:
            yield tag.place.problem(f"{name}: column `{column[:60]}` stands as {other} already")


def _of_time(tag: Tag, source: Source, columns: Mapping[str, str]) -> Iterator[Problem]:
    """Check that there is a time: of a value that is a window's edge, and a zone in which columns of rows write theirs."""
    if tag.aggregate_stamp is not None and source.driver in _TIMELESS:
        who = _TIMELESS[source.driver]
        yield tag.place.problem(f"aggregate_stamp: {who} tells no time of its values, so none of them is an edge of a window")
        return
    try:
        address = addresses.parse(source.driver, tag.address)
    except AddressError:  # told with the address
        return
    if not isinstance(address, SqlAddress | FileAddress):
        return
    for name, column in columns.items():
        if column == address.column:
            yield tag.place.problem(f"{name}: column `{column[:60]}` is the value itself")
    timed = [name for name in columns if name != "aggregate_count"] + (["aggregate_stamp"] if tag.aggregate_stamp else [])
    if timed and not _has_time(source, address.query):
        why = "whose column is the value's own time" if timed == ["aggregate_stamp"] else "in whose zone and format windows are read"
        yield tag.place.problem(
            f"{timed[0]}: `{source.name}.{address.query[:60]}` has no `time`, {why}: time = {{ column, zone }} in line.toml"
        )


def _has_time(source: Source, query: str) -> bool:
    """Return whether rows of a query or pattern have a time; of one that is not there, which is told with the address, True."""
    tables: Any = source.options.get("query" if source.driver == "mes_sql" else "pattern") or ()
    of_name = [table for table in tables if isinstance(table, Mapping) and table.get("name") == query]
    return not of_name or any(table.get("time") for table in of_name)
