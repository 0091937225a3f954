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


class StoredColumns:
    """The columns of an entry of readings, whether a column differs from row to row or stands once for all."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._columns, self._constant, self._rows = entry["columns"], entry["constant"], entry["readings"]
        self._base = from_rfc3339(entry["time_base"])

    def column(self, name: str) -> list[Any]:
        """Return a value for each row, None where none is stored."""
        if name in self._columns:
            at = self._columns.index(name)
            return [row[at] for row in self._rows]
        return [self._constant.get(name)] * len(self._rows)

    def times(self, name: str) -> list[int | None]:
        """Return ticks for each row: of `source`, `server`, `requested` or `received`, None where there was no such time."""
        if f"{name}_time" in self._columns or f"{name}_time" in self._constant:
            return [None if text is None else from_rfc3339(text) for text in self.column(f"{name}_time")]
        return [None if ticks is None else self._base + ticks for ticks in self.column(f"{name}_ticks")]


def stored_rows(entry: Mapping[str, Any]) -> Iterator[StoredRow]:
    """Yield the readings of an entry of readings, in order."""
    stored = StoredColumns(entry)
    whole = (*map(stored.column, ("tag", "value", "raw", "status")), stored.times("source"), stored.times("server"))
    return map(StoredRow._make, zip(*whole, strict=True))
