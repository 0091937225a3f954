"""Lists the tables and views of a database with their columns, as rows of the tag map and as queries. Catalogues are read, no row is."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import inspect, types
from sqlalchemy.engine import Connection
from sqlalchemy.engine.reflection import ObjectKind

from drivers.contract import BadReply, Browsed
from drivers.mes_sql import statement
from drivers.mes_sql.database import Database
from drivers.mes_sql.settings import Query
from drivers.rows import tag_name

MOST_COLUMNS = 20_000
"""Of all tables together: beyond it a person could not look through the rows."""
_KINDS: tuple[tuple[Any, str], ...] = (
    (types.Boolean, "bool"),
    (types.Integer, "int64"),
    (types.Float, "float64"),
    (types.Numeric, "decimal"),
    (types.String, "string"),
    (types.Date, "string"),
    (types.Time, "string"),
    (types.Interval, "string"),
    (types.Uuid, "string"),
    (types.LargeBinary, "bytes"),
)


class Untyped(types.String):
    """A column of SQLite for which no type is declared: it holds whatever is written into it."""


@dataclass(slots=True)
class Table:
    """A table or view. name: with its schema, where one was named. columns: (name, type of the database). key: of its primary key."""

    name: tuple[str, ...]
    columns: list[tuple[str, Any]]
    key: list[str] = field(default_factory=list)
    quoted: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The name of a query that reads it: what an address may hold."""
        return re.sub(r"[^A-Za-z0-9_-]+", "_", self.name[-1])[:100]


async def browse(
    database: Database,
    source: str,
    queries: Sequence[Query],
    under: str | None,
    match: str | None,
    known: Collection[str],
    progress: Callable[[str], None],
) -> Browsed:
    """Propose rows for every column. Raises LinkLost, BadReply.

    queries: those that there are. under: a schema, a table, or a table with its schema before a dot.
    """
    progress("reading the catalogue")
    async with database.reading() as session:
        tables = await session.ask(lambda connection: _tables(connection, under or ""))
    if not tables:
        raise BadReply(f"{source}: there is no table or view{f' in or called {under}' if under else ''} that this user sees")
    if (count := sum(len(table.columns) for table in tables)) > MOST_COLUMNS:
        raise BadReply(f"{source}: {count} columns in {len(tables)} tables: name a schema or a table with --under")
    return proposed(source, tables, queries, match, known)


def _tables(connection: Connection, under: str) -> list[Table]:
    inspector, quote = inspect(connection), connection.dialect.identifier_preparer.quote
    head, _, tail = under.rpartition(".")
    schema = under if under in inspector.get_schema_names() else head or None
    names = [tail] if tail and schema != under else None
    wanted: dict[str, Any] = {"schema": schema, "filter_names": names, "kind": ObjectKind.ANY}
    columns = inspector.get_multi_columns(**wanted)
    keys: Mapping[Any, Any] = inspector.get_multi_pk_constraint(**wanted)
    tables = []
    for place, its in sorted(columns.items(), key=lambda one: str(one[0])):
        name = tuple(part for part in place if part)
        key = [str(column) for column in (keys.get(place) or {}).get("constrained_columns") or ()]
        quoted = {str(each): str(quote(str(each))) for each in (*name, *(column["name"] for column in its))}
        tables.append(Table(name, [(str(column["name"]), _declared(connection, column["type"])) for column in its], key, quoted))
    return tables


def _declared(connection: Connection, kind: Any) -> Any:
    return Untyped() if isinstance(kind, types.NullType) and connection.dialect.name == "sqlite" else kind


def proposed(source: str, tables: Iterable[Table], queries: Sequence[Query], match: str | None, known: Collection[str]) -> Browsed:
    """Make rows of columns, and a query for each table that has rows and that no query reads yet."""
    found, used = Browsed([], {}), set[str]()
    reading = {name.lower(): query for query in queries if (name := statement.table(query.sql)) is not None}
    for table in tables:
        query, before = reading.get(table.name[-1].lower()), len(found.rows)
        name = table.query if query is None else query.name
        given = None if query is None else statement.columns(query.sql)
        for column, kind in table.columns:
            path, address, written = f"{'.'.join(table.name)}.{column}", f"{name}.{column}", _kind(kind)
            if (match is not None and not fnmatchcase(path.lower(), match.lower())) or address in known:
                continue
            if given is not None and column not in given:
                found.left_out[path] = f"query {name} reads this table and does not SELECT it"
            elif written is None:
                found.left_out[path] = f"type {_shown(kind)}: CAST it in the SELECT"
            else:
                row = {"tag": tag_name(source, address, used), "source": source, "address": address, "type": written}
                found.rows.append(row | {"description": f"{_shown(kind)}{_zoneless(kind)}"})
        if len(found.rows) > before and query is None and name not in (one.name for one in queries):
            found.needs.append(_query(source, table))
    return found


def _kind(kind: Any) -> str | None:
    if isinstance(kind, types.DateTime):
        return "datetime" if kind.timezone else "string"
    return next((written for family, written in _KINDS if isinstance(kind, family)), None)


def _zoneless(kind: Any) -> str:
    return (
        " without a zone: if it is the row's time, name it in the query's `time`"
        if isinstance(kind, types.DateTime) and not kind.timezone
        else ""
    )


def _shown(kind: Any) -> str:
    if isinstance(kind, Untyped):
        return "no type is declared"
    try:
        return str(kind)
    except Exception:  # noqa: BLE001 - a type that SQLAlchemy does not know can not be written
        return type(kind).__name__


def _query(source: str, table: Table) -> str:
    """Propose a [[source.query]] for line.toml. What only a person can know of the table is asked in its comments."""
    rising = _rising(table)
    place = ".".join(table.quoted[part] for part in table.name)
    sql = f"SELECT {', '.join(table.quoted[column] for column, _ in table.columns)} FROM {place}"  # noqa: S608 - shown to a person
    if rising is not None:
        sql += f" WHERE {table.quoted[rising]} > :since ORDER BY {table.quoted[rising]}"
    key = table.key or ([rising] if rising else [column for column, _ in table.columns])
    watermark: dict[str, str] = {"column": rising, "kind": "sequence"} if rising else {"kind": "snapshot"}
    asks = (
        f"does {rising} rise with each new row? docs/mes.md says what is read of rows that change later"
        if rising
        else "nothing that rises is known: all rows are read at each look"
    )
    doubt = "" if table.key else "   # no primary key is declared: do these tell one row from all others?"
    lines = [
        f'# in line.toml, below the [[source]] "{source}":',
        "[[source.query]]",
        f"name = {_toml(table.query)}",
        f"sql = {_toml(sql)}",
        f"key = {_toml(key[0] if len(key) == 1 else key)}{doubt}",
        f"watermark = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in watermark.items())} }}   # {asks}",
    ]
    if (why := _refused(table.query, sql, key, watermark)) is not None:
        lines.append(f"# as it stands `check` refuses it: {why}")
    return "\n".join(lines)


def _rising(table: Table) -> str | None:
    """Find the column that may rise: a primary key that is one whole number, or in a view one that is called id."""
    whole = [column for column, kind in table.columns if isinstance(kind, types.Integer | Untyped)]
    if table.key:
        return table.key[0] if len(table.key) == 1 and table.key[0] in whole else None
    return next((column for column in whole if column.lower() == "id"), None)


def _refused(name: str, sql: str, key: Sequence[str], watermark: Mapping[str, str]) -> str | None:
    try:
        Query.model_validate({"name": name, "sql": sql, "key": tuple(key), "watermark": watermark})
    except ValueError as error:
        return " ".join(str(error).split())[:200]
    return None


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
