"""The SQLite side: one table per name behind a FROM, rows written by their columns, each in a transaction of its own."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from simulators.device import Truth
from simulators.mes.shape import NotServable, Shape, shape_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_text(ticks: int, zone: str, form: str | None, digits: int = 0) -> str:
    """Write a UTC instant as the legacy system does: local, without offset."""
    local = (EPOCH + timedelta(microseconds=ticks // 10)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if form is not None:
        return local.strftime(form)
    return local.isoformat(sep=" ", timespec="microseconds")[: 20 + digits] if digits else local.isoformat(sep=" ", timespec="seconds")


class Query:
    """One [[source.query]] as the simulated database sees it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name: str = options["name"]
        self.shape: Shape = shape_of(self.name, options["sql"])
        key = options["key"]
        self.keys: tuple[str, ...] = (key,) if isinstance(key, str) else tuple(key)
        self.watermark: Mapping[str, Any] = options["watermark"]
        self.time: Mapping[str, Any] = options.get("time") or {}
        self._needs(*self.keys, self.watermark.get("column"), self.time.get("column"))

    def _needs(self, *columns: str | None) -> None:
        for column in columns:
            if column is not None and column not in self.shape.columns:
                raise NotServable(f"query {self.name}: the SELECT has no column {column}")

    def filled(self, row: Mapping[str, Any], number: int, ticks: int) -> dict[str, Any]:
        """Complete a row: key and sequence counted, the time as the plant would write it."""
        whole = {column: as_stored(row.get(column)) for column in self.shape.columns}
        counted = [self.watermark["column"]] if self.watermark["kind"] == "sequence" else []
        for column in (*self.keys, *counted):
            if whole[column] is None:
                whole[column] = number if column in counted or len(self.keys) == 1 else f"{self.name}-{number}"
        if self.time and row.get(self.time["column"]) is None:
            whole[self.time["column"]] = local_text(ticks, self.time["zone"], self.time.get("format"))
        column = self.watermark.get("column")
        if column is not None and self.watermark["kind"] == "timestamp" and whole[column] is None:
            whole[column] = local_text(ticks, self.time.get("zone", "UTC"), None, 6)
        return whole

    def key_of(self, row: Mapping[str, Any]) -> str:
        """The row's identity as text."""
        return key_text([row[column] for column in self.keys])

    def values_of(self, key: str) -> list[str]:
        """The texts of the key columns, from the row's identity."""
        return [key] if len(self.keys) == 1 else [unquote(part) for part in key.split("/")]


def key_text(parts: Sequence[Any]) -> str:
    """Make the key of a row of these key columns, as docs/mes.md describes it."""
    texts = [str(part) for part in parts]
    return texts[0] if len(texts) == 1 else "/".join(text.replace("%", "%25").replace("/", "%2F") for text in texts)


def as_stored(value: Any) -> Any:
    """Convert a value into one that SQLite can hold."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value


class Tables:
    """The database file. Every write is logged as a row of the ground truth before a client can read it."""

    def __init__(self, path: Path, queries: list[Query], truth: Truth) -> None:
        self._queries = {query.name: query for query in queries}
        self._truth = truth
        path.parent.mkdir(parents=True, exist_ok=True)
        # A reader that a busy machine lets stand in the middle of a SELECT keeps its lock: a plant's database waits, too.
        self._db = sqlite3.connect(path, isolation_level=None, timeout=120)
        self._db.execute("PRAGMA synchronous = OFF")  # a simulated MES outlives no power cut, and each row would wait for the disk
        self._numbers: dict[str, int] = {}
        for query in queries:
            self._create(query)

    def insert(self, name: str, row: Mapping[str, Any], ticks: int) -> dict[str, Any]:
        """Write a row and return it as a whole."""
        query = self._queries[name]
        unknown = set(row) - set(query.shape.columns)
        if unknown:
            raise KeyError(f"query {name} has no columns {', '.join(sorted(unknown))}")
        table = query.shape.table
        self._numbers[table] += 1
        whole = query.filled(row, self._numbers[table], ticks)
        stored = {**query.shape.fixed, **{query.shape.columns[column]: value for column, value in whole.items()}}
        names, marks = ", ".join(map(_quoted, stored)), ", ".join("?" * len(stored))
        self._truth.row(name, query.key_of(whole), ticks, whole)
        self._db.execute(f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks})", list(stored.values()))  # noqa: S608 - quoted names
        return whole

    def change(self, name: str, key: str, changes: Mapping[str, Any], ticks: int) -> dict[str, Any]:
        """Change a row in place; a timestamp watermark moves on, as the plant's own database would do."""
        query = self._queries[name]
        whole = {**self.row(name, key), **{column: as_stored(value) for column, value in changes.items()}}
        if query.watermark["kind"] == "timestamp" and query.watermark["column"] not in changes:
            whole[query.watermark["column"]] = local_text(ticks, query.time.get("zone", "UTC"), None, 6)
        sets = ", ".join(f"{_quoted(query.shape.columns[column])} = ?" for column in whole)
        self._truth.row(name, query.key_of(whole), ticks, whole)
        self._db.execute(
            f"UPDATE {_quoted(query.shape.table)} SET {sets} WHERE {self._where(query)}",  # noqa: S608 - quoted names
            [*whole.values(), *query.values_of(key)],
        )
        return whole

    def delete(self, name: str, key: str, ticks: int) -> None:
        """Delete a row."""
        query = self._queries[name]
        self._truth.row(name, key, ticks, {})
        self._db.execute(
            f"DELETE FROM {_quoted(query.shape.table)} WHERE {self._where(query)}",  # noqa: S608 - quoted names
            query.values_of(key),
        )

    def row(self, name: str, key: str) -> dict[str, Any]:
        """Read a row. Raises KeyError."""
        query = self._queries[name]
        columns = ", ".join(map(_quoted, query.shape.columns.values()))
        sql = f"SELECT {columns} FROM {_quoted(query.shape.table)} WHERE {self._where(query)}"  # noqa: S608 - quoted names
        row = self._db.execute(sql, query.values_of(key)).fetchone()
        if row is None:
            raise KeyError(f"query {name} has no row {key}")
        return dict(zip(query.shape.columns, row, strict=True))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _where(self, query: Query) -> str:
        return " AND ".join(f"CAST({_quoted(query.shape.columns[column])} AS TEXT) = ?" for column in query.keys)

    def _create(self, query: Query) -> None:
        """Make the table, or add the columns of a second query of it; a table of an earlier run goes on."""
        shape = query.shape
        first, *others = [*shape.columns.values(), *shape.fixed]
        self._db.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(shape.table)} ({_quoted(first)})")
        have = {row[1] for row in self._db.execute(f"PRAGMA table_info({_quoted(shape.table)})")}
        for column in (first, *others):
            if column not in have:
                self._db.execute(f"ALTER TABLE {_quoted(shape.table)} ADD COLUMN {_quoted(column)}")
        ((count,),) = self._db.execute(f"SELECT max(rowid) FROM {_quoted(shape.table)}")  # noqa: S608 - quoted name
        self._numbers[shape.table] = max(self._numbers.get(shape.table, 0), count or 0)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
