"""The simulated MES of one source: a database for mes_sql, a drop folder for mes_file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config import Source, Tag
from simulators.device import Truth
from simulators.mes.aggregates import Aggregates
from simulators.mes.files import Drop, Pattern
from simulators.mes.shape import NotServable
from simulators.mes.tables import Query, Tables


class MesDevice:
    """Makes the tables or files that the source's queries or patterns read, and writes rows as the process reports them.

    Raises NotServable for another database than SQLite, or a query over more than simple names.
    """

    def __init__(self, source: Source, tags: Sequence[Tag], truth: Truth) -> None:
        self._source, self._truth = source, truth
        self._places = {tag.tag: tuple(tag.address.split(".", 1)) for tag in tags}
        self._queries: dict[str, Query] = {}
        self._patterns: dict[str, Pattern] = {}
        if source.driver == "mes_sql":
            self._path = database_path(source)
            self._queries = {query.name: query for query in map(Query, source.options.get("query", ()))}
        else:
            patterns = [Pattern(options, self._read_of(options["name"])) for options in source.options.get("pattern", ())]
            self._patterns = {pattern.name: pattern for pattern in patterns}
        times = {name: query.time for name, query in self._queries.items()} | {name: one.time for name, one in self._patterns.items()}
        self._aggregates = Aggregates(tags, times)
        self._tables: Tables | None = None
        self._drop: Drop | None = None

    def _read_of(self, name: str) -> list[str]:
        """List the columns of a pattern that the line reads: for its equipments, bookings and samples, then for tags."""
        tagged = [column for place, column in self._places.values() if place == name]
        return [*(read.column for read in self._source.row_columns.get(name, ())), *tagged]

    async def start(self) -> None:
        """Make the database or the folder; it can be read when this returns."""
        if self._source.driver == "mes_sql":
            self._tables = Tables(self._path, list(self._queries.values()), self._truth)
        else:
            self._drop = Drop(folder_path(self._source), list(self._patterns.values()), self._truth)

    async def stop(self) -> None:
        """Close the database; what was written stays."""
        if self._tables is not None:
            self._tables.close()
            self._tables = None

    def names(self) -> list[str]:
        """The queries or patterns."""
        return [*self._queries, *self._patterns]

    def columns(self, name: str) -> list[str]:
        """The columns of a query's result or of a file's records."""
        return list(self._queries[name].shape.columns) if name in self._queries else list(self._patterns[name].columns)

    def key_of(self, name: str, row: Mapping[str, Any]) -> str:
        """The identity of a row or record as text."""
        return self._queries[name].key_of(row) if name in self._queries else self._patterns[name].key_of(row)

    async def insert(self, name: str, row: Mapping[str, Any], ticks: int) -> dict[str, Any]:
        """Write a row; missing columns are filled: key and sequence counted, the time from ticks."""
        return self._open().insert(name, row, ticks)

    async def change(self, name: str, key: str, changes: Mapping[str, Any], ticks: int) -> dict[str, Any]:
        """Change a row in place."""
        return self._open().change(name, key, changes, ticks)

    async def delete(self, name: str, key: str, ticks: int) -> None:
        """Delete a row."""
        self._open().delete(name, key, ticks)

    async def drop(self, name: str, rows: Sequence[Mapping[str, Any]], ticks: int) -> list[dict[str, Any]]:
        """Drop a file with these records."""
        if self._drop is None:
            raise RuntimeError(f"{self._source.name}: not started, or no drop folder")
        return self._drop.drop(name, rows, ticks)

    async def sample(self, values: Mapping[str, Any], ticks: int) -> None:
        """Take one sample of each of these tags, which are aggregates: a row, or a file, is written when a window is over."""
        for tag, value in values.items():
            self._truth.sampled(tag, ticks, value)
        for name, row in self._aggregates.take(values, ticks):
            if name in self._queries:
                await self.insert(name, row, ticks)
            else:
                await self.drop(name, [row], ticks)

    async def set(self, values: Mapping[str, Any], ticks: int) -> None:
        """Give tags these values from ticks on: one row or file per query or pattern that they belong to."""
        rows: dict[str, dict[str, Any]] = {}
        for tag, value in values.items():
            name, column = self._places[tag]
            rows.setdefault(name, {})[column] = value
        for name, row in rows.items():
            if name in self._queries:
                await self.insert(name, row, ticks)
            else:
                await self.drop(name, [row], ticks)

    def _open(self) -> Tables:
        if self._tables is None:
            raise RuntimeError(f"{self._source.name}: not started, or no database")
        return self._tables


def database_path(source: Source) -> Path:
    """Find the SQLite file of the endpoint. Raises NotServable for a database server."""
    parts = urlsplit(source.endpoints[0])
    if parts.scheme.split("+")[0] != "sqlite" or not parts.path.strip("/"):
        raise NotServable(
            f"{source.name}: {parts.scheme} can not be simulated; point a copy of the line at sqlite+aiosqlite:///{source.name}.db"
        )
    return source.folder / unquote(parts.path[1:])


def folder_path(source: Source) -> Path:
    """Find the drop folder: file:///absolute, or file://relative to the line folder."""
    return source.folder / unquote(source.endpoints[0].removeprefix("file://"))
