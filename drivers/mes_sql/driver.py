"""Polls the queries of a MES database and hands over every row that is new, late, changed or gone, once."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from config import Problem, Source, Tag
from config.credentials import CredentialMissing
from config.credentials import read as read_secret
from config.grammars.addresses import SqlAddress, parse
from drivers.contract import BadReply, Driver, DriverMisconfigured, Emit, Finding, LinkLost, Look, Message
from drivers.exact_json import exact_json
from drivers.local_time import Moment, folds_back, read, ticks_of
from drivers.mes_sql.database import Database, rows, url_of
from drivers.mes_sql.probe import Probe, Probed, judged
from drivers.mes_sql.settings import Query
from drivers.mes_sql.settings import Settings as SqlSettings
from drivers.mes_sql.window import Change, Window, row_hash
from drivers.restored_rows import RestoredRows, row_mark, row_marks
from drivers.row_key import row_key
from drivers.row_settings import zone_of
from drivers.rows import Mapped

PIECE_ROWS = 200
"""Rows per emit: a message event of so many rows stays within one entry for common row widths."""
CLOCK_EVERY_S = 60.0


@dataclass(slots=True)
class Read:
    """What one poll of one query found. complete: the statement was read to its end, so that what is missing is gone.

    recalled: rows that the journal has although the window does not know them, see `drivers.restored_rows`.
    """

    changed: list[tuple[Change, str, Any, str, Mapping[str, Any]]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    last: Any = None
    complete: bool = True
    recalled: dict[str, str] = field(default_factory=dict)


class MesSqlDriver(Driver):
    """One database, with the queries of its [[source.query]] tables."""

    Settings: ClassVar[type[BaseModel]] = SqlSettings
    settings: SqlSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._mapped = Mapped(self.tags, _place_of)
        self._zones = {query.name: zone_of(query.time) for query in self.settings.query}
        self._clock_due_s = 0.0
        self._resuming: set[str] = set()
        self._looked_ns: dict[str, int] = {}
        self._unfinished: set[str] = set()
        self._recalled = RestoredRows({})

    async def run(self, emit: Emit) -> None:
        """Poll all queries each rate_ms. Raises LinkLost, BadReply, DriverMisconfigured."""
        database = Database(self.source, self.settings, _password_of(self.source, self.settings))
        windows = {query.name: self._window(query, emit.watermark, is_sqlite=database.is_sqlite) for query in self.settings.query}
        # What a query had read before, it reads on from there: nothing of its rows is lost. A snapshot has no "there".
        self._resuming = {q.name for q in self.settings.query if q.name in emit.watermark and q.watermark.kind != "snapshot"}
        self._recalled = RestoredRows(emit.watermark)
        self._looked_ns, self._unfinished = {}, set()
        watched_ns: int | None = None
        try:
            while True:
                began_ns = time.monotonic_ns()
                if watched_ns is not None:
                    for window in windows.values():
                        window.age((began_ns - watched_ns) / 1e9)
                watched_ns = began_ns
                more = await self._poll(database, windows, emit)
                emit.connected(self.source.name)
                if not more:
                    await asyncio.sleep(max(0.0, self.source.rate_ms / 1000 - (time.monotonic_ns() - began_ns) / 1e9))
        finally:
            await database.close()

    async def _poll(self, database: Database, windows: Mapping[str, Window], emit: Emit) -> bool:
        """All queries once; True if one of them has more to give at once."""
        requested_ns = time.monotonic_ns()
        more = False
        for query in self.settings.query:
            asked_ns = time.monotonic_ns()
            found = await self._read(database, query, windows[query.name])
            received_ns = time.monotonic_ns()
            await self._resume(query, emit, asked_ns, received_ns)
            if self._recalled.until_ns(query.name) is not None and found.complete:
                await self._recalled_no_more(query, windows[query.name], found, emit)
            await self._hand_over(query, windows[query.name], found, emit, asked_ns, received_ns)
            if found.complete:
                self._looked_ns[query.name] = asked_ns
            more = more or not found.complete
        await self._tell_clock(database, emit)
        await emit.room()
        every, kept = range(len(self.tags)), [tag for query in self.settings.query for tag in self._kept(query)]
        await emit([], received_ns=time.monotonic_ns(), requested_ns=requested_ns, kind="poll", alive=every, kept=kept)
        return more

    def _kept(self, query: Query) -> tuple[int, ...]:
        """The tags of a query that finds later what it was not asked for in time: a snapshot does not."""
        return () if query.watermark.kind == "snapshot" else self._mapped.tags(query.name)

    async def _resume(self, query: Query, emit: Emit, asked_ns: int, received_ns: int) -> None:
        """After a (re)connect, before its first rows: the query goes on where its committed watermark ended."""
        if query.name not in self._resuming:
            return
        self._resuming.discard(query.name)
        tags = self._mapped.tags(query.name)
        if tags:
            await emit.room()
            await emit([], received_ns=received_ns, requested_ns=asked_ns, kind="poll", alive=tags, resumed=True)

    async def _read(self, database: Database, query: Query, window: Window) -> Read:
        """Everything above the floor, compared with the window. The connection is given back before anything is handed over."""
        found = Read(recalled=self._recalled.last(query.name))
        async with database.reading() as connection:
            parameters = {} if query.watermark.column is None else {"since": window.floor}
            async for piece in rows(connection, query.sql, parameters):
                self._compare(query, window, piece, found)
                if len(found.changed) >= self.settings.poll_rows:
                    found.complete = query.watermark.column is None
                    if not found.complete:
                        break
        if query.watermark.column is None and len(found.keys) > self.settings.window_rows:
            raise BadReply(
                f"query {query.name}: a snapshot of more than {self.settings.window_rows} rows; raise window_rows or use a watermark"
            )
        return found

    def _compare(self, query: Query, window: Window, piece: Sequence[Mapping[str, Any]], found: Read) -> None:
        column = query.watermark.column
        for row in piece:
            try:
                key = row_key(row, query.keys)
                value = None if column is None else row[column]
            except KeyError as error:
                raise DriverMisconfigured(f"{self.source.name}: query {query.name} gives no column {error}") from None
            try:
                fell = found.last is not None and value < found.last
                plain = {str(name): exact_json(item) for name, item in row.items()}
                digest = row_hash(plain)
                window.rename(key, digest)
                change = window.change(key, value, digest)
            except TypeError as error:
                raise BadReply(f"query {query.name}: column {column} holds values that can not be ordered: {error}") from None
            if fell:
                raise BadReply(f"query {query.name}: rows do not come in the order of {column}")
            found.last = value
            if key in found.keys:
                raise BadReply(f"query {query.name}: two rows have the key {key}: it is no key")
            found.keys.add(key)
            if change is not None and found.recalled and any(found.recalled.get(one) == other for one, other in row_marks(key, plain)):
                window.take(key, value, digest)  # read before the journal was restored, and it has the row since then
            elif change is not None:
                found.changed.append((change, key, value, digest, {**row}))

    async def _hand_over(self, query: Query, window: Window, found: Read, emit: Emit, asked_ns: int, received_ns: int) -> None:
        """Rows in pieces, each with the watermark that covers exactly what was handed over so far."""
        gone = window.deleted(found.keys, window.floor, None if found.complete else found.last)
        for at in range(0, len(found.changed), PIECE_ROWS):
            piece = found.changed[at : at + PIECE_ROWS]
            moments = await self._moments(query, piece, emit)
            messages, readings = [], []
            for (change, key, value, digest, row), moment in zip(piece, moments, strict=True):
                window.take(key, value, digest)
                ticks, text = (None, None) if moment is None else (moment.ticks, moment.text)
                plain = {name: exact_json(item) for name, item in row.items()}
                order = exact_json(value) if query.watermark.kind == "sequence" else None
                messages.append(Message(query.name, key, plain, ticks, text, change, order))
                readings += self._mapped.readings(query.name, row, ticks)
            window.bound()
            await emit.room()
            mark, kept = self._mark(query, window), self._kept(query)
            look = self._look(query, more=bool(gone) or not found.complete or at + PIECE_ROWS < len(found.changed))
            await emit(readings, received_ns=received_ns, requested_ns=asked_ns, messages=messages, watermark=mark, kept=kept, look=look)
        if gone:
            await self._tell_gone(query, window, gone, emit, asked_ns, received_ns, more=not found.complete)
        if found.complete and query.name in self._unfinished:
            await emit.room()
            await emit([], received_ns=received_ns, look=self._look(query, more=False), alive=())
        if window.overflowed:
            await emit.found(_overflow(query, self.settings))

    def _look(self, query: Query, *, more: bool) -> Look:
        """Say what is known of when rows came; notes whether this look was said to go on."""
        (self._unfinished.add if more else self._unfinished.discard)(query.name)
        return Look(query.name, self._looked_ns.get(query.name), more)

    async def _tell_gone(
        self, query: Query, window: Window, gone: Sequence[str], emit: Emit, asked_ns: int, received_ns: int, *, more: bool
    ) -> None:
        for at in range(0, len(gone), PIECE_ROWS):
            piece = gone[at : at + PIECE_ROWS]
            for key in piece:
                window.forget(key)
            messages = [Message(query.name, key, {}, change="deleted") for key in piece]
            await emit.room()
            mark, look = self._mark(query, window), self._look(query, more=more or at + PIECE_ROWS < len(gone))
            await emit([], received_ns=received_ns, requested_ns=asked_ns, messages=messages, watermark=mark, alive=(), look=look)

    def _mark(self, query: Query, window: Window) -> dict[str, Any]:
        recalled = self._recalled.stored() if self._recalled.was else {}
        return {query.name: window.stored(), **recalled}

    async def _recalled_no_more(self, query: Query, window: Window, found: Read, emit: Emit) -> None:
        """The statement was read to its end: what the journal has of it since before a restore is in the window now."""
        for key in window.deleted(found.keys, window.floor, None):
            if found.recalled.get(row_mark(key, None)[0]) == "":
                window.forget(key)
        self._recalled.forget(query.name)
        await emit.room()
        await emit([], received_ns=time.monotonic_ns(), watermark=self._mark(query, window), alive=())

    async def _moments(
        self, query: Query, piece: Sequence[tuple[Change, str, Any, str, Mapping[str, Any]]], emit: Emit
    ) -> list[Moment | None]:
        """The rows' times as UTC. What is no time, not unique or does not exist is told, and the row goes on without one."""
        zone = self._zones[query.name]
        if zone is None or query.time is None:
            return [None] * len(piece)
        column = query.time.column
        try:
            values = [row[column] for *_, row in piece]
        except KeyError:
            raise DriverMisconfigured(f"{self.source.name}: query {query.name} gives no column {column!r}") from None
        moments = zone.moments(values, [change == "new" for change, *_ in piece])
        for (_, key, *_), moment in zip(piece, moments, strict=True):
            if moment is not None and moment.fold:
                await emit.found(_fold_finding(query.name, key, moment, query.time.zone))
        return moments

    async def _tell_clock(self, database: Database, emit: Emit) -> None:
        """Once a minute: the database's own time against ours, half the round trip and its resolution as bound."""
        if self.settings.clock is None or time.monotonic() < self._clock_due_s:
            return
        self._clock_due_s = time.monotonic() + CLOCK_EVERY_S
        emit.source_offset(*await self._offset(database, self.settings.clock))

    async def _offset(self, database: Database, select: str) -> tuple[float, float]:
        """(offset, bound) in seconds of the database's clock against ours, positive when it is ahead. Raises LinkLost, BadReply."""
        before_s = time.monotonic()
        async with database.reading() as connection:
            piece = [row async for piece in rows(connection, select, {}) for row in piece]
        after_s, now_s = time.monotonic(), time.time()  # the wall clock once: it may be set between question and answer
        try:
            ((told,),) = [tuple(row.values()) for row in piece]
            moment = read(told, None)
        except ValueError as error:
            raise BadReply(f"{self.source.name}: clock must give one time: {error}") from None
        source_s = ticks_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC)) / 1e7
        resolution_s = 0.0 if moment.microsecond else 0.5
        half_s = (after_s - before_s) / 2
        return source_s + resolution_s - (now_s - half_s), half_s + resolution_s

    async def probe(self) -> Probe:
        """Each query once, and the clock. Raises LinkLost, BadReply, DriverMisconfigured."""
        database = Database(self.source, self.settings, _password_of(self.source, self.settings))
        try:
            clock = None if self.settings.clock is None else await self._offset(database, self.settings.clock)
            probed = [await self._probed(database, query) for query in self.settings.query]
        finally:
            await database.close()
        if probed and all(one.state != "ok" for one in probed):
            raise LinkLost(probed[0].state)
        timed = {query.name: query.time is not None for query in self.settings.query}
        tagged = [query.name for query in self.settings.query if self._mapped.tags(query.name)]
        return Probe(probed, self.source.time_authority, clock, judged(self.source, clock, timed, tagged))

    async def _probed(self, database: Database, query: Query) -> Probed:
        """The columns of the first row that the query gives, and whether those that it names are there."""
        window = self._window(query, {}, is_sqlite=database.is_sqlite)
        parameters = {} if query.watermark.column is None else {"since": window.floor}
        found: list[str] = []
        try:
            async with database.reading() as connection:
                async for piece in rows(connection, query.sql, parameters):
                    found = list(piece[0]) if piece else []
                    break
        except LinkLost as error:
            return Probed(query.name, str(error))
        missing = [name for name in (*query.keys, query.time.column if query.time else None) if name and found and name not in found]
        return Probed(query.name, "ok", found, [f"the SELECT gives no column `{name}`" for name in missing])

    def _window(self, query: Query, watermark: Mapping[str, Any], *, is_sqlite: bool) -> Window:
        overlap_s = query.watermark.overlap_s
        zone = self._zones[query.name]
        if query.watermark.kind == "timestamp" and zone is not None:
            # In autumn a local time goes back: rows of the second pass must still be above the floor.
            overlap_s += folds_back(zone.zone, datetime.now(UTC).year).total_seconds()
        if query.watermark.kind == "snapshot":
            overlap_s = float("inf")
        return Window(
            watermark.get(query.name), overlap_s=overlap_s, rows=self.settings.window_rows, start=_start(query, is_sqlite=is_sqlite)
        )

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """The URL, and that each tag's query exists."""
        try:
            settings = SqlSettings.model_validate(source.options)
        except ValidationError:  # reported by the folder's check, key by key
            return []
        problems = []
        try:
            url_of(source, settings)
        except DriverMisconfigured as error:
            problems.append(Problem("line.toml", None, str(error)))
        names = {query.name for query in settings.query}
        for tag in tags:
            query, _ = _place_of(tag.address)
            if query not in names:
                problems.append(
                    tag.place.problem(f"{tag.tag}: source {source.name} has no query {query!r} (there is {', '.join(sorted(names))})")
                )
        return problems


def _place_of(address: str) -> tuple[str, str]:
    parsed = parse("mes_sql", address)
    assert isinstance(parsed, SqlAddress)
    return parsed.query, parsed.column


def _start(query: Query, *, is_sqlite: bool) -> Any:
    """The value before the first row."""
    given, kind = query.watermark.start, query.watermark.kind
    if kind == "snapshot":
        return None
    if kind == "sequence":
        return -1 if given is None else given
    if is_sqlite or given is not None:
        text = "" if given is None else str(given)
        return text if is_sqlite else datetime.fromisoformat(text)
    return datetime(1900, 1, 1)  # noqa: DTZ001 - compared with the database's own local time


def _password_of(source: Source, settings: SqlSettings) -> str | None:
    """The secret, read from where systemd or the administrator has put it."""
    if settings.password is None:
        return None
    try:
        return read_secret(settings.password, folder=source.folder)
    except CredentialMissing as error:
        raise DriverMisconfigured(str(error)) from error


def _overflow(query: Query, settings: SqlSettings) -> Finding:
    text = (
        f"query {query.name}: more than {settings.window_rows} rows within overlap_s; the oldest of them are no longer compared:"
        " what becomes visible late below them, or is changed or deleted there, is not seen. Raise window_rows, or lower overlap_s"
    )
    return Finding("window-overflow", text, severity="warning", evidence={"window_rows": settings.window_rows, "query": query.name})


def _fold_finding(name: str, key: str, moment: Moment, zone: str) -> Finding:
    """A local time that is no name of one instant; the row's text is kept, its time is the gateway's unless a rule gave one."""
    from_rule = moment.ticks is not None
    texts = {
        "ambiguous": f"{name} {key}: local time {moment.text} happened twice in {zone}; it is kept as text, without a time of its own",
        "nonexistent": f"{name} {key}: local time {moment.text} never happened in {zone}; refused as a time, kept as text",
    }
    text = texts.get(moment.fold, f"{name} {key}: local time {moment.text} happened twice in {zone}; taken as the {moment.fold} one")
    evidence = {
        "name": name,
        "key": key,
        "text": moment.text,
        "zone": zone,
        "fold": moment.fold,
        "candidates_ticks": list(moment.candidates),
    }
    return Finding(f"time-{moment.fold}", text, severity="info" if from_rule else "warning", evidence=evidence)
