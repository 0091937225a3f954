"""Polls the queries of a MES database and hands over every row that is new, late, changed or gone, once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import BaseModel

from config import Problem, Source, Tag
from config.credentials import CredentialMissing
from config.credentials import read as read_secret
from drivers.contract import (
    BadReply,
    Browsed,
    Driver,
    DriverMisconfigured,
    Emit,
    GivenRow,
    LinkLost,
    Look,
    Loss,
    Message,
    RowTags,
)
from drivers.local_time import Moment, folds_back
from drivers.mes_sql import below, checks, findings, once
from drivers.mes_sql.browse import browse
from drivers.mes_sql.converting import Converting
from drivers.mes_sql.database import Database
from drivers.mes_sql.database_clock import DatabaseClock
from drivers.mes_sql.failing import Failure, QueryCrashed, of_query
from drivers.mes_sql.findings import Told
from drivers.mes_sql.probe import Probe, ask, judged, place_of
from drivers.mes_sql.reader import Found, Reader, Row
from drivers.mes_sql.settings import Query
from drivers.mes_sql.settings import Settings as SqlSettings
from drivers.mes_sql.window import Window as RowWindow
from drivers.mes_sql.worker import Worker
from drivers.restored_rows import RestoredRows
from drivers.row_settings import zone_of
from drivers.row_windows import Windows
from drivers.rows import Mapped, due_every_ms

PIECE_ROWS = 200
"""Rows per emit: a message event of so many rows stays within one entry for common row widths."""


class MesSqlDriver(Driver):
    """One database, with the queries of its [[source.query]] tables."""

    Settings: ClassVar[type[BaseModel]] = SqlSettings
    settings: SqlSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._mapped = Mapped(self.tags, place_of)
        self._zones = {query.name: zone_of(query.time) for query in self.settings.query}
        self._windows = {
            query.name: Windows([(at, tags[at]) for at in self._mapped.tags(query.name)], query.time) for query in self.settings.query
        }
        self._worker = Worker(source.name)
        self._never_due_s: dict[str, float] = {}
        self._clock = DatabaseClock(source.name, self.settings.clock)
        self._resuming: set[str] = set()
        self._unfinished: set[str] = set()
        self._recalled = RestoredRows({})
        self._failed: dict[str, Failure] = {}
        self._missing: dict[str, tuple[int, ...]] = {}
        self._told = Told()
        self._converting = Converting(self._mapped, self._windows, self._told.values)

    async def run(self, emit: Emit) -> None:
        """Poll all queries each rate_ms. Raises LinkLost, DriverMisconfigured."""
        database = Database(self.source, self.settings, _password_of(self.source, self.settings), self._worker)
        self._recalled = RestoredRows(emit.watermark)
        readers = [Reader(query, self.settings, database.dialect, self._resumed(query, emit.watermark)) for query in self.settings.query]
        # What a query had read before, it reads on from there: nothing of its rows is lost. A snapshot has no "there".
        self._resuming = {reader.query.name for reader in readers if reader.query.name in emit.watermark and not reader.is_snapshot}
        # The last that the journal has of a query may be half of a look.
        self._unfinished = {query.name for query in self.settings.query if self._recalled.until_ns(query.name) is not None}
        self._missing, self._failed = {}, {}
        watched_ns: int | None = None
        try:
            while True:
                began_ns = time.monotonic_ns()
                for reader in readers:
                    if watched_ns is not None and reader.query.name not in self._failed:
                        reader.window.age((began_ns - watched_ns) / 1e9)
                watched_ns = began_ns
                more = await self._poll(database, readers, emit)
                emit.connected(self.source.name)
                if not more:
                    await asyncio.sleep(max(0.0, self.source.rate_ms / 1000 - (time.monotonic_ns() - began_ns) / 1e9))
        finally:
            await database.close()

    async def _poll(self, database: Database, readers: Sequence[Reader], emit: Emit) -> bool:
        """All queries once; True if one of them has more to give at once. One that fails stops itself alone, unless all do."""
        requested_ns = time.monotonic_ns()
        more = False
        for reader in readers:
            failure = self._failed.get(reader.query.name)
            if failure is not None and asyncio.get_running_loop().time() < failure.due_s:
                continue
            try:
                more = await self._one(database, reader, emit) or more
            except BadReply as error:
                if isinstance(error, QueryCrashed):
                    reader.window = self._resumed(reader.query, emit.watermark)
                await self._fails(reader, str(error), emit)
        if len(self._failed) == len(readers):
            raise LinkLost(next(iter(self._failed.values())).why)
        await self._clock.tell(database, (reader.window for reader in readers), emit)
        await emit.room()
        read = [reader for reader in readers if reader.query.name not in self._failed]
        alive = [tag for reader in read for tag in self._tags(reader.query)]
        # A query finds later what it was not asked for in time; a snapshot does not.
        kept = [tag for reader in read if not reader.is_snapshot for tag in self._tags(reader.query)]
        await emit([], received_ns=time.monotonic_ns(), requested_ns=requested_ns, kind="poll", alive=alive, kept=kept)
        return more

    async def _one(self, database: Database, reader: Reader, emit: Emit) -> bool:
        """Ask a query one statement and hand over what it found; True if its look is not over. Raises LinkLost, BadReply."""
        asked_ns = time.monotonic_ns()
        with of_query(reader.query.name):
            async with database.reading() as session:
                found = await reader.look(session, self._recalled.last(reader.query.name))
        received_ns = time.monotonic_ns()
        await self._works(reader, found, emit)
        await self._resume(reader, emit, asked_ns, received_ns)
        await self._hand_over(reader, found, emit, asked_ns, received_ns)
        if self._recalled.until_ns(reader.query.name) is not None and reader.has_seen_all(found):
            await self._recalled_no_more(reader, found, emit)
        reader.handed_over(found)
        if found.complete:
            await self._count(database, reader, emit)
            await self._tell_never_read(database, reader.query, emit)
        return not found.complete

    def _tags(self, query: Query) -> tuple[int, ...]:
        """The tags of a query whose columns it gives."""
        missing = self._missing.get(query.name, ())
        return tuple(tag for tag in self._mapped.tags(query.name) if tag not in missing)

    async def _fails(self, reader: Reader, why: str, emit: Emit) -> None:
        """A query can not be read: told once, and its tags have a gap until it can."""
        name, before = reader.query.name, self._failed.get(reader.query.name)
        self._failed[name] = Failure.after(before, why)
        reader.abandon()
        if len(self.settings.query) > 1 and self._told.is_news("query-failed", name, why):
            await emit.found(findings.query_failed(name, why, self._mapped.tags(name)))
        if before is None and (tags := self._mapped.tags(name)):
            await emit.lost(Loss("query-failed", tags, detail=why))

    async def _works(self, reader: Reader, found: Found, emit: Emit) -> None:
        """A query was read: say so if it could not be before, and which tags name columns that it does not give."""
        name = reader.query.name
        if self._failed.pop(name, None) is not None:
            self._told.forget("query-failed", name)
            await emit.found(findings.query_works(name, self._mapped.tags(name)))
            if not reader.is_snapshot:
                self._resuming.add(name)
        missing = tuple(tag for tag, column, _ in self._mapped.columns(name) if column not in found.columns)
        if missing != self._missing.get(name, ()):
            self._missing[name] = missing
            await emit.found(findings.columns_missing(name, [self.tags[tag] for tag in missing], missing, found.columns))
            if missing:
                await emit.lost(Loss("column-missing", missing, detail=f"query {name} gives no such column"))

    async def _resume(self, reader: Reader, emit: Emit, asked_ns: int, received_ns: int) -> None:
        """After a (re)connect, before its first rows: the query goes on where its committed watermark ended."""
        if reader.query.name not in self._resuming:
            return
        self._resuming.discard(reader.query.name)
        if tags := self._tags(reader.query):
            await emit.room()
            await emit([], received_ns=received_ns, requested_ns=asked_ns, kind="poll", alive=tags, resumed=True)

    async def _hand_over(self, reader: Reader, found: Found, emit: Emit, asked_ns: int, received_ns: int) -> None:
        """Rows in pieces, each with the watermark that covers exactly what was handed over so far."""
        query, window = reader.query, reader.window
        await self._tell_refused(reader, found, emit)
        for piece, is_last in reader.pieces(found, PIECE_ROWS):
            moments = await self._moments(query, piece, emit)
            with of_query(query.name):
                messages, readings, windows = self._converting.rows(query, piece, moments)
            await emit.room()
            look = self._look(reader, more=bool(found.gone) or not found.complete or not is_last)
            self._recalled.settle(query.name, [row.key for row in piece])
            mark, kept = self._mark(reader), () if reader.is_snapshot else self._tags(reader.query)
            await emit(
                readings,
                received_ns=received_ns,
                requested_ns=asked_ns,
                messages=messages,
                watermark=mark,
                kept=kept,
                look=look,
                windows=windows,
            )
        await self._tell_values(query, emit)
        if found.gone:
            await self._tell_gone(reader, found, emit, asked_ns, received_ns)
        if found.complete and query.name in self._unfinished:
            await emit.room()
            await emit([], received_ns=received_ns, look=self._look(reader, more=False), alive=())
        if any(row.change == "late" and found.from_base and row.value <= window.floor for row in found.changed if window.floor is not None):
            await emit.found(findings.below_floor(query))
        if window.overflowed:
            await emit.found(findings.overflow(query, self.settings))
        elif len(window) > self.settings.window_rows and not reader.is_snapshot:
            await emit.found(findings.equal_values(query, self.settings))

    async def _tell_values(self, query: Query, emit: Emit) -> None:
        """Which tags had a value that they can not hold, each once."""
        for index, why in self._told.values.items():
            if self._told.is_news("value", str(index), ""):
                await emit.found(findings.value_unreadable(query, self.tags[index], index, why))
        self._told.values.clear()
        for finding in self._windows[query.name].findings(f"query {query.name}"):
            await emit.found(finding)

    async def _tell_refused(self, reader: Reader, found: Found, emit: Emit) -> None:
        """Rows that can not be read: each once, as long as they stand as they do, and no more than a person can look at."""
        for which, why in found.refused.items():
            if self._told.is_news(f"refused {reader.query.name}", which, why):
                finding = findings.row_refused(reader.query, which, why, self._told.count(f"refused {reader.query.name}"))
                if finding is not None:
                    await emit.found(finding)

    def _look(self, reader: Reader, *, more: bool) -> Look:
        """Say what is known of when rows came; notes whether this look was said to go on."""
        name = reader.query.name
        (self._unfinished.add if more else self._unfinished.discard)(name)
        return Look(name, reader.looked_ns, more)

    async def _tell_gone(self, reader: Reader, found: Found, emit: Emit, asked_ns: int, received_ns: int) -> None:
        for at in range(0, len(found.gone), PIECE_ROWS):
            piece = found.gone[at : at + PIECE_ROWS]
            for key in piece:
                reader.window.forget(key)
            messages = [Message(reader.query.name, key, {}, change="deleted") for key in piece]
            await emit.room()
            self._recalled.settle(reader.query.name, piece)
            mark, look = self._mark(reader), self._look(reader, more=at + PIECE_ROWS < len(found.gone))
            await emit([], received_ns=received_ns, requested_ns=asked_ns, messages=messages, watermark=mark, alive=(), look=look)

    def _mark(self, reader: Reader) -> dict[str, Any]:
        recalled = self._recalled.stored() if self._recalled.was else {}
        return {**reader.window.changes(), **recalled}

    async def _recalled_no_more(self, reader: Reader, found: Found, emit: Emit) -> None:
        """Everything was read and handed over: what the journal had of it beyond the window is in the window now.

        A row that is there and can not be read was held against nothing: it is told once it can be. All that is committed before it is
        forgotten, for a power cut may tear either.
        """
        for key in found.unread:
            if self._recalled.has(reader.query.name, key) or self._recalled.is_unsure(reader.query.name):
                reader.window.doubt(key)
        await emit.room()
        await emit([], received_ns=time.monotonic_ns(), watermark=self._mark(reader), alive=())
        self._recalled.forget(reader.query.name)
        await emit.room()
        await emit([], received_ns=time.monotonic_ns(), watermark=self._mark(reader), alive=())

    async def _moments(self, query: Query, piece: Sequence[Row], emit: Emit) -> list[Moment | None]:
        """The rows' times as UTC. What is no time, not unique or does not exist is told, and the row goes on without one."""
        zone = self._zones[query.name]
        if zone is None or query.time is None:
            return [None] * len(piece)
        given = [row.given[query.time.column] for row in piece]
        for at, value in enumerate(given):
            if (why := zone.problem(value)) is not None:
                given[at] = None
                await emit.found(findings.time_unreadable(query, piece[at].key, value, why))
        with of_query(query.name):
            moments = zone.moments(given, [row.change == "new" for row in piece])
        for row, moment in zip(piece, moments, strict=True):
            if moment is not None and moment.fold:
                await emit.found(findings.fold(query.name, row.key, moment, query.time.zone))
        return moments

    async def _count(self, database: Database, reader: Reader, emit: Emit) -> None:
        """From time to time: are there more rows below the base than there were? They are no longer compared one by one."""
        counting = below.due(reader.window, self.settings.count_every_s)
        if counting is None or reader.is_snapshot:
            return
        sql, parameters = below.asked(reader.query, database.engine, counting)
        try:
            async with database.reading() as session:
                rows = [row async for piece in session.rows(sql, parameters) for row in piece]
            if (more := below.counted(reader.window, counting, rows)) > 0:
                await emit.found(findings.not_read_below(reader.query, more, counting.was))
        except BadReply as error:
            below.not_counted(reader.window)
            await emit.found(findings.not_counted(reader.query, str(error)))

    async def _tell_never_read(self, database: Database, query: Query, emit: Emit) -> None:
        """At the start, and as often as is counted: rows that no poll gives because their place in the order is empty."""
        asked = below.never_read(query, database.dialect)
        if asked is None or time.monotonic() < self._never_due_s.get(query.name, 0.0):
            return
        self._never_due_s[query.name] = time.monotonic() + self.settings.count_every_s
        try:
            async with database.reading() as session:
                rows = [row async for piece in session.rows(*asked) for row in piece]
            number = int(next(iter(rows[0].values())))
            if self._told.is_news("never-read", query.name, str(number)) and number:
                await emit.found(findings.never_read(query, number))
        except BadReply as error:
            await emit.found(findings.not_counted(query, str(error)))

    async def browse(
        self,
        under: str | None = None,
        match: str | None = None,
        known: Collection[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Browsed:
        """List tables and views with their columns, see browse.py. Raises LinkLost, BadReply, DriverMisconfigured."""
        database = Database(self.source, self.settings, _password_of(self.source, self.settings), self._worker)
        try:
            return await browse(database, self.source.name, self.settings.query, under, match, known, progress)
        finally:
            await database.close()

    async def probe(self) -> Probe:
        """Each query once, and the clock. Raises LinkLost, BadReply, DriverMisconfigured."""
        database = Database(self.source, self.settings, _password_of(self.source, self.settings), self._worker)
        try:
            clock = None if self.settings.clock is None else await self._clock.offset(database, self.settings.clock)
            readers = [Reader(query, self.settings, database.dialect, self._window(query, {})) for query in self.settings.query]
            probed = [await ask(database, reader, [self.tags[tag] for tag in self._mapped.tags(reader.query.name)]) for reader in readers]
        finally:
            await database.close()
        if probed and all(one.state != "ok" for one in probed):
            raise LinkLost(probed[0].state)
        timed = {query.name: query.time is not None for query in self.settings.query}
        tagged = [query.name for query in self.settings.query if self._mapped.tags(query.name)]
        return Probe(probed, self.source.time_authority, clock, judged(self.source, clock, timed, tagged))

    async def given_rows(self, query: str, most: int) -> AsyncIterator[list[GivenRow]]:
        """Yield what a query gives now, from its beginning. Raises DriverError, DriverMisconfigured, KeyError."""
        one = {each.name: each for each in self.settings.query}[query]
        database = Database(self.source, self.settings, _password_of(self.source, self.settings), self._worker)
        try:
            reader = Reader(one, self.settings, database.dialect, self._window(one, {}))
            async with aclosing(once.rows(database, reader, most)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            await database.close()

    def _resumed(self, query: Query, watermark: Mapping[str, Any]) -> RowWindow:
        """The window as it was committed, with the rows that the journal has beyond it."""
        window = self._window(query, watermark)
        window.expect(_expected(query, self._recalled.standing(query.name), window))
        if self._recalled.is_unsure(query.name):
            window.doubt_all()
        return window

    def _window(self, query: Query, watermark: Mapping[str, Any]) -> RowWindow:
        overlap_s = query.watermark.overlap_s
        zone = self._zones[query.name]
        if query.watermark.kind == "timestamp" and zone is not None:
            # In autumn a local time goes back: rows of the second pass must still be above the floor.
            overlap_s += folds_back(zone.zone, datetime.now(UTC).year).total_seconds()
        if query.watermark.kind == "snapshot":
            overlap_s = float("inf")
        return RowWindow(query.name, watermark, overlap_s=overlap_s, rows=self.settings.window_rows)

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """The URL, that each tag's query exists, and that its SELECT gives the tag's column."""
        return checks.problems(source, tags)

    @classmethod
    def due_every_ms(cls, source: Source, tags: Sequence[Tag]) -> list[int | None]:
        """Those of aggregates, and of queries that declare `due_every_s`."""
        queries = SqlSettings.model_validate(source.options).query
        return due_every_ms(tags, place_of, {query.name: query.due_every_s for query in queries})

    @classmethod
    def row_tags(cls, source: Source, tags: Sequence[Tag]) -> RowTags:
        """Those of each query."""
        mapped = Mapped(tags, place_of)
        names = [query.name for query in SqlSettings.model_validate(source.options).query]
        return {name: [(tag, column) for tag, column, _ in mapped.columns(name)] for name in names}

    @classmethod
    def row_columns(cls, source: Source, query: str) -> list[str] | None:
        """Those of the SELECT list."""
        return checks.row_columns(source, query)


def _expected(query: Query, rows: Sequence[tuple[str, Any]], window: RowWindow) -> list[tuple[str, Any]]:
    """List (key, value) of rows that stand in the journal, if it is sure that a look shows whether they are there.

    Their place in the order must be known and of the type that the query has, and their key be the same in each form of it. Where the very
    first commit of a query is gone, nothing tells that type; a number that the journal has came from a column of numbers.
    """
    if len(query.keys) > 1:
        rows = [(key, order) for key, order in rows if "%" not in key and key.count("/") == len(query.keys) - 1]
    if query.watermark.kind == "snapshot":
        return [(key, None) for key, _ in rows]
    start, is_first = query.watermark.start, window.newest is None and window.floor is None
    if type(window.newest) is not int and (not is_first or isinstance(start, str)):
        return []
    return [(key, order) for key, order in rows if type(order) is int and not (isinstance(start, int) and order <= start)]


def _password_of(source: Source, settings: SqlSettings) -> str | None:
    """The secret, read from where systemd or the administrator has put it."""
    if settings.password is None:
        return None
    try:
        return read_secret(settings.password, folder=source.folder)
    except CredentialMissing as error:
        raise DriverMisconfigured(str(error)) from error
