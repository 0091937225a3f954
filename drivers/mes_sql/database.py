"""The database, for reading only: one engine per source, one connection per poll, each statement alone and with a deadline."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from config import Source
from drivers.contract import DriverMisconfigured, LinkLost
from drivers.mes_sql.select import escaped
from drivers.mes_sql.settings import Settings

BUSY_S = 5.0
"""How long SQLite waits for a writer of the MES before it says that the file is locked."""
FETCH_ROWS = 500
IN_MEMORY = (None, "", ":memory:")


def url_of(source: Source, settings: Settings, password: str | None = None) -> URL:
    """The endpoint as SQLAlchemy needs it: SQLite below the line folder and read-only, credentials filled in.

    Raises DriverMisconfigured.
    """
    try:
        url = make_url(source.endpoints[0])
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DriverMisconfigured(f"{source.name}: endpoint is no usable database URL: {_brief(error)}") from None
    if len(source.endpoints) > 1:
        raise DriverMisconfigured(f"{source.name}: a database has one endpoint")
    if url.password is not None:
        raise DriverMisconfigured(f'{source.name}: no password in the endpoint; write password = {{ credential = "name" }}')
    if not getattr(url.get_dialect(), "is_async", False):
        raise DriverMisconfigured(f"{source.name}: {url.drivername} can not be awaited; write sqlite+aiosqlite, postgresql+asyncpg, ...")
    if url.get_backend_name() != "sqlite":
        return url.set(username=settings.user or url.username, password=password)
    if url.database in IN_MEMORY:
        raise DriverMisconfigured(f"{source.name}: a database in memory can not be read by another program")
    path = (source.folder / str(url.database)).resolve()
    return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})


def file_of(source: Source) -> Path | None:
    """The SQLite file that the endpoint names; None for a database server."""
    url = make_url(source.endpoints[0])
    return (source.folder / str(url.database)).resolve() if url.get_backend_name() == "sqlite" else None


class Database:
    """Opened by `run`, closed when it ends."""

    def __init__(self, source: Source, settings: Settings, password: str | None) -> None:
        url = url_of(source, settings, password)
        self._name, self._timeout_s = source.name, settings.timeout_s
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            # A connection per poll: an old one would go on reading a file that the MES has replaced.
            self._engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_S})
            event.listen(self._engine.sync_engine, "connect", _only_query)
        else:
            self._engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=False)

    async def close(self) -> None:
        """Give everything back."""
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a read-only transaction that is rolled back at the end. Raises LinkLost for whatever the database says."""
        try:
            async with asyncio.timeout(self._timeout_s), self._connected() as connection:
                yield connection
        except TimeoutError as error:
            raise LinkLost(f"{self._name}: no answer of the database within {self._timeout_s:g} s") from error
        except (SQLAlchemyError, OSError) as error:
            raise LinkLost(f"{self._name}: {_brief(error)}") from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            for statement in _READ_ONLY.get(self._engine.dialect.name, ()):
                await connection.execute(text(statement))
            yield connection

    @property
    def engine(self) -> AsyncEngine:
        """The engine itself, for tests of what this login can do."""
        return self._engine


async def rows(connection: AsyncConnection, sql: str, parameters: Mapping[str, Any]) -> AsyncIterator[list[Mapping[str, Any]]]:
    """The result in pieces of FETCH_ROWS, each row by column name; the whole is never in memory where the database can stream."""
    result = await connection.stream(text(escaped(sql)), dict(parameters))
    async for piece in result.mappings().partitions(FETCH_ROWS):
        yield [dict(row) for row in piece]


_READ_ONLY = {
    "postgresql": ("SET TRANSACTION READ ONLY",),
    "mysql": ("SET SESSION TRANSACTION READ ONLY",),
    "mariadb": ("SET SESSION TRANSACTION READ ONLY",),
    "oracle": ("SET TRANSACTION READ ONLY",),
}
"""SQL Server has no such statement: there the login's rights are the wall (docs/mes.md)."""


def _only_query(connection: Any, record: Any) -> None:  # noqa: ARG001 - SQLAlchemy's signature
    """SQLite twice: the file is opened with mode=ro, and the connection refuses to write."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _brief(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters (they may hold the plant's data)."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]
