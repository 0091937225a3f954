"""Reads the readings of an entry as they were stored: the other way of `bodies.table`. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.entries.ticks import from_rfc3339


class StoredRow(NamedTuple):
    """One reading as it stands in an entry. source, server: ticks, None where the source told no such time."""

    tag: int
    value: Any
    raw: Any
    status: int
    source: int | None
    server: int | None


def stored_rows(entry: Mapping[str, Any]) -> Iterator[StoredRow]:
    """Yield the readings of an entry of readings, in order."""
    columns, constant, rows = entry["columns"], entry["constant"], entry["readings"]
    base = from_rfc3339(entry["time_base"])

    def column(name: str) -> list[Any]:
        if name in columns:
            at = columns.index(name)
            return [row[at] for row in rows]
        return [constant.get(name)] * len(rows)

    def times(name: str) -> list[int | None]:
        if f"{name}_time" in columns or f"{name}_time" in constant:
            return [None if text is None else from_rfc3339(text) for text in column(f"{name}_time")]
        return [None if ticks is None else base + ticks for ticks in column(f"{name}_ticks")]

    whole = (column("tag"), column("value"), column("raw"), column("status"), times("source"), times("server"))
    return map(StoredRow._make, zip(*whole, strict=True))
