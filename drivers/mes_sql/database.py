"""The database, for reading only: one engine per source, one connection per poll, each statement alone and with a deadline."""

import asyncio
import contextlib
import inspect
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import clear_frames
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util.concurrency import greenlet_spawn

from config import Source
from drivers.contract import BadReply, DriverMisconfigured, LinkLost, NobodyListens
from drivers.mes_sql import dialects
from drivers.mes_sql.refusals import is_refused
from drivers.mes_sql.select import escaped
from drivers.mes_sql.settings import Settings
from drivers.mes_sql.worker import Worker

T = TypeVar("T")
Row = Mapping[str, Any]

BUSY_S = 5.0
"""How long SQLite waits for a writer of the MES before it says that the file is locked."""
FETCH_ROWS = 500
GRACE_S = 1.0
"""The server ends a statement at its limit; so much later nothing more is waited for."""
END_S = 5.0
"""How long ending a statement on the server may take."""
END_AGAIN_S = 0.2
"""After so long without effect it is told once more to end."""
IN_MEMORY = (None, "", ":memory:")
EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql", "mssql": "mssql", "oracle": "oracle"}


class StatementFailed(BadReply):
    """The database is there, and refused or ended this statement."""


def url_of(source: Source, settings: Settings, password: str | None = None) -> URL:
    """The endpoint as SQLAlchemy needs it: SQLite below the line folder and read-only, credentials filled in.

    Raises DriverMisconfigured.
    """
    try:
        url = make_url(source.endpoints[0])
        dialect = url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DriverMisconfigured(f"{source.name}: endpoint is no usable database URL: {brief(error)}") from None
    if len(source.endpoints) > 1:
        raise DriverMisconfigured(f"{source.name}: a database has one endpoint")
    if url.password is not None:
        raise DriverMisconfigured(f'{source.name}: no password in the endpoint; write password = {{ credential = "name" }}')
    _needs_driver(source, url, dialect)
    if url.get_backend_name() != "sqlite":
        return url.set(username=settings.user or url.username, password=dialects.sent(url.get_driver_name(), password))
    if url.database in IN_MEMORY:
        raise DriverMisconfigured(f"{source.name}: a database in memory can not be read by another program")
    path = (source.folder / str(url.database)).resolve()
    # aiosqlite's own thread goes on after a cancelled call, and speaks to a loop that may be closed; the source's does not.
    name = "sqlite" if url.get_driver_name() == "aiosqlite" else url.drivername
    return url.set(drivername=name, database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})


def _needs_driver(source: Source, url: URL, dialect: Any) -> None:
    """Say which package is missing, and how to get it. Raises DriverMisconfigured."""
    if url.get_driver_name() == "psycopg2":
        raise DriverMisconfigured(
            f"{source.name}: psycopg2 gives infinity as the year 9999; write postgresql+psycopg or postgresql+asyncpg"
        )
    try:
        dialect.import_dbapi()
    except ImportError as error:
        extra = EXTRAS.get(url.get_backend_name())
        how = f"pip install 'ebr-gateway[{extra}]'" if extra else "install it beside the gateway"
        raise DriverMisconfigured(
            f"{source.name}: the database driver of {url.drivername} is not installed ({brief(error)}): {how}"
            f"{'' if extra is None else _delivered(extra, url.get_driver_name())}"
        ) from None


def _delivered(extra: str, driver: str) -> str:
    ours = {"postgres": "asyncpg", "mysql": "aiomysql", "mssql": "pymssql", "oracle": "oracledb"}[extra]
    return "" if driver.removesuffix("_async") == ours else f" brings {ours}; {driver} is installed by its own name"


def file_of(source: Source) -> Path | None:
    """The SQLite file that the endpoint names; None for a database server."""
    url = make_url(source.endpoints[0])
    return (source.folder / str(url.database)).resolve() if url.get_backend_name() == "sqlite" else None


def _invalidate(made: Iterable[Connection]) -> None:
    for lent in made:
        lent.invalidate()


class Session:
    """A connection in a read-only transaction. Its calls run where its driver can wait: in the event loop, or in the source's thread."""

    def __init__(self, name: str, call: Callable[[Callable[[Connection], Any]], Awaitable[Any]]) -> None:
        self._name, self._call = name, call
        self.columns: list[str] = []

    async def rows(self, sql: str, parameters: Mapping[str, Any], most: int | None = None) -> AsyncGenerator[list[Row], None]:
        """The result in pieces of FETCH_ROWS, each row by column name, at most so many rows. Raises LinkLost, StatementFailed."""
        statement = text(escaped(sql))
        needed = {name: value for name, value in parameters.items() if name in statement.compile().params}
        result = await self.ask(lambda connection: connection.execution_options(stream_results=True).execute(statement, needed))
        self.columns = [str(name) for name in result.keys()]  # noqa: SIM118 - a result is no mapping
        if len(set(self.columns)) < len(self.columns):
            twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
            raise StatementFailed(f"{self._name}: more than one column is named {', '.join(twice)}: give them aliases")
        left = most
        try:
            while piece := await self.ask(lambda _: result.fetchmany(FETCH_ROWS if left is None else min(FETCH_ROWS, left))):
                yield [dict(zip(self.columns, row, strict=True)) for row in piece]
                if left is not None and (left := left - len(piece)) <= 0:
                    break
        finally:
            await self.ask(lambda _: result.close())

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """Have it done on the connection. Raises LinkLost, StatementFailed."""
        try:
            return await self._call(question)  # type: ignore[no-any-return]
        except (DBAPIError, OSError) as error:
            if isinstance(error, OSError) or error.connection_invalidated:
                raise LinkLost(f"{self._name}: {brief(error)}") from error
            raise StatementFailed(f"{self._name}: {brief(error)}") from error
        except Exception as error:  # whatever a driver makes of an answer that it was not made for
            raise StatementFailed(f"{self._name}: {brief(error)}") from error


class Database:
    """Opened by `run`, closed when it ends. worker: the thread for a driver that can not be awaited, the source's for ever."""

    def __init__(self, source: Source, settings: Settings, password: str | None, worker: Worker) -> None:
        self._url = url_of(source, settings, password)
        self._name, self._timeout_s, self._worker = source.name, settings.timeout_s, worker
        self._is_async = bool(getattr(self._url.get_dialect(), "is_async", False))
        self.dialect = self._url.get_backend_name()
        # SQLite, a connection per poll: an old one would go on reading a file that the MES has replaced.
        self._engine = self._made(**({"poolclass": NullPool} if self.dialect == "sqlite" else {"pool_size": 1, "max_overflow": 0}))
        dialects.prepare(self._engine, settings.encoding, settings.timeout_s)

    def _made(self, **pool: Any) -> Engine:
        arguments = dialects.connect_args(self.dialect, self._url.get_driver_name(), self._timeout_s, BUSY_S)
        if self._is_async:
            return create_async_engine(self._url, connect_args=arguments, **pool).sync_engine
        return create_engine(self._url, connect_args=arguments, **pool)

    async def _run(self, work: Callable[[], T]) -> T:
        """Do it where the driver can wait: in the event loop, or in the source's thread."""
        return await (greenlet_spawn(work, _require_await=False) if self._is_async else self._worker.call(work))

    async def close(self) -> None:
        """Give everything back. A call that does not end keeps its connection, and its thread until it has."""
        try:
            if self._worker.is_busy:
                self._worker.post(self._engine.dispose)
            else:
                await self._run(self._engine.dispose)
        finally:
            self._worker.end()

    @property
    def engine(self) -> Engine:
        """The engine itself, for what it knows of the dialect and for tests of what this login can do."""
        return self._engine

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """A connection in a read-only transaction that is rolled back at the end.

        Raises LinkLost where there is no connection, or it was lost; StatementFailed for what the database says of a statement, and where
        it ran into its time: it is ended on the server then, and also when this task is cancelled.
        """
        lent, raw = await self._lent()
        is_broken = False
        try:
            async with asyncio.timeout(self._timeout_s + (0 if self.dialect == "sqlite" else GRACE_S)):
                yield Session(self._name, lambda question: self._run(lambda: question(lent)))
        except (TimeoutError, asyncio.CancelledError) as error:
            is_broken = True
            await self._end_statement(raw)
            if isinstance(error, TimeoutError):
                raise StatementFailed(f"{self._name}: the statement did not end within {self._timeout_s:g} s (timeout_s)") from error
            raise
        finally:
            await self._give_back(lent, is_broken=is_broken)

    async def _lent(self) -> tuple[Connection, "Raw"]:
        """Connect and begin. Raises LinkLost."""
        if self._worker.is_busy:
            raise LinkLost(f"{self._name}: an earlier call into the database's driver has not ended yet")
        made: list[Connection] = []
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._run(lambda: self._begun(made))
        except (TimeoutError, asyncio.CancelledError) as error:
            # A thread connects nevertheless, or has just done so, and nobody waits for what it makes.
            if self._is_async:
                await self._dropped(made)
            else:
                self._worker.post(partial(_invalidate, made))
            # What psycopg was connecting is held by the frames alone that it was cancelled in, in a circle: it would stay open, on the
            # server too, until the garbage collector comes by.
            clear_frames(error.__traceback__)
            if isinstance(error, TimeoutError):
                raise LinkLost(f"{self._name}: no answer of the database within {self._timeout_s:g} s") from error
            raise
        except Exception as error:  # whatever a driver raises when it can not connect
            raise (NobodyListens if is_refused(error) else LinkLost)(f"{self._name}: {brief(error)}") from error

    async def _dropped(self, made: list[Connection]) -> None:
        for lent in made:
            with contextlib.suppress(Exception):  # it is gone already
                await self._run(lent.invalidate)

    def _begun(self, made: list[Connection]) -> tuple[Connection, "Raw"]:
        lent = self._engine.connect()
        try:
            for statement in dialects.begun(lent, self._timeout_s):
                lent.execute(text(statement))
            if self.dialect in KILLS and "id" not in lent.info:
                lent.info["id"] = lent.execute(text("SELECT CONNECTION_ID()")).scalar_one()
            raw = Raw(lent.connection.driver_connection, lent.info.get("id"))
        except BaseException:
            lent.close()
            raise
        made.append(lent)
        return lent, raw

    async def _end_statement(self, raw: "Raw") -> None:
        """End what still runs on the server; where that fails, its own limit of time ends it."""
        with contextlib.suppress(Exception):  # a lost connection ends a statement too; what is said of it is why it was ended
            async with asyncio.timeout(END_S):
                await self._end_once(raw)
                while not await self._is_idle_soon():  # one call is several statements: what came between two of them ended none
                    await self._end_once(raw)

    async def _end_once(self, raw: "Raw") -> None:
        if raw.number is not None:
            await self._kill(raw.number)
            return
        end = getattr(raw.connection, "interrupt" if self.dialect == "sqlite" else "cancel", None)
        if end is not None and inspect.isawaitable(ended := end()):
            await ended

    async def _is_idle_soon(self) -> bool:
        """Wait a little for the call in the thread to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_AGAIN_S):
                await self._worker.idle()
        return not self._worker.is_busy

    async def _kill(self, connection_id: int) -> None:
        """KILL QUERY on a connection of its own, in a thread of its own where the driver needs one."""
        engine, worker = self._made(poolclass=NullPool), Worker(f"{self._name} kill")

        def kill() -> None:
            with engine.connect() as connection:
                connection.execute(text(f"KILL QUERY {int(connection_id)}"))

        try:
            await (greenlet_spawn(kill) if self._is_async else worker.call(kill))
        finally:
            worker.end()

    async def _give_back(self, lent: Connection, *, is_broken: bool) -> None:
        if self._worker.is_busy:
            self._worker.post(lent.invalidate)  # when the call has ended
            return
        with contextlib.suppress(Exception):  # what was read is read; a connection that can not be given back is dropped
            async with asyncio.timeout(END_S):
                if is_broken:
                    await self._run(lent.invalidate)
                await self._run(lent.close)


@dataclass(frozen=True, slots=True)
class Raw:
    """The driver's own connection, and its number on the server where a statement is ended by it; kept apart, as SQLAlchemy drops it."""

    connection: Any
    number: int | None


KILLS = frozenset({"mysql", "mariadb"})
"""Databases on which a statement goes on when its connection is closed."""


def brief(error: BaseException) -> str:
    """The database's own words, without the statement and its parameters (they may hold the plant's data), and without Python's objects."""
    words = re.sub(r"<\w+[^<>]* 0x[0-9a-f]+>", "the connection", _said(getattr(error, "orig", None) or error))
    return " ".join(words.split())[:300] or type(error).__name__


def _said(error: BaseException) -> str:
    """What it says, as words where a driver gives (number, words): MySQL's and SQL Server's do."""
    match error.args:
        case (int(number), str(words)):
            return f"{words} ({number})"
    return str(error)
