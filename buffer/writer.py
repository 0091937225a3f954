"""The one thread that writes: heads the bodies, hashes, commits, and closes what is full.

Everything of SQLite's writing side happens here, in order: appends, and jobs (cursors, pruning, checkpoints) between them. A failed
transaction has assigned nothing: the same bodies are headed anew. An error that waiting can not cure stops the journal at once: after a
failed write or fsync the kernel may call pages clean that never reached the disk, so trying again could promise what is not there.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import zstandard

from buffer import chain, sqlite
from buffer.catalogue import Segment
from buffer.errors import JournalBusy, JournalClosed, JournalError, StorageError
from buffer.segment import Entry, Fact, Row
from buffer.store import Pressure, Store

EARLY_LISTS = 32
QUEUE_BYTES = 128 << 20
IDLE_S = 1.0
HOLD_S = 0.25
LOCKED_S = 1.0
"""A lock that goes within this time is everyday (a backup, `ebr-gateway log`), a longer one holds the sources back."""

T = TypeVar("T")


class Body(NamedTuple):
    """An entry without its head. body: its JSON from `"time"` on, closing brace included."""

    schema: str
    body: bytes


class Append(NamedTuple):
    """One call of `append`: all of it is committed, or none."""

    bodies: Sequence[Body]
    facts: tuple[str, Any] | None
    state: bytes | None
    size: int
    future: "Future[int]"


class Job(NamedTuple):
    """Something that only the writer thread may do."""

    work: Callable[[], Any]
    future: "Future[Any]"


class Headed(NamedTuple):
    """A body with its head, hashed."""

    entry: Entry
    row: Row
    leaf: bytes


class Writer:
    """Queue in, commits out. `fault` is what stopped it, if anything did."""

    def __init__(self, *, commit_interval_s: float, on_fault: Callable[[BaseException], None] | None) -> None:
        self._interval_s = commit_interval_s
        self._on_fault = on_fault
        self._wake = threading.Condition()
        self._queue: list[Append | Job] = []
        self._waiting_bytes = 0
        self._oldest_s = 0.0
        self._now = False
        self._closing = False
        self._suspects: list[Segment] = []
        self.fault: BaseException | None = None
        self.pressure: Pressure | None = None
        self._refused_s: float | None = None  # since when a foreign lock has kept entries from being written
        self._locked: str | None = None
        self.next_seq = 1
        self.on_commit: list[Callable[[tuple[int, int]], None]] = []
        self.on_pressure: list[Callable[[Pressure | None], None]] = []
        self._store: Store
        self._pack = zstandard.ZstdCompressor(level=1)
        self._thread: threading.Thread

    # ------------------------------------------------------------------ any thread

    def start(self, opening: Callable[[], Store]) -> Store:
        """Open the store in the new thread, and return once it is open. Raises what opening raised."""
        opened: Future[Store] = Future()
        self._thread = threading.Thread(target=self._run, args=(opening, opened), name="journal-writer", daemon=True)
        self._thread.start()
        return opened.result()

    def append(self, bodies: Sequence[Body], facts: tuple[str, Any] | None, state: bytes | None, *, urgent: bool) -> "Future[int]":
        """Queue one append; its sequence numbers are fixed by this call."""
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # from here on cancelling the waiter does not cancel the write
        size = sum(len(body.body) for body in bodies)
        with self._wake:
            self._refuse_if_stopped()
            if self._waiting_bytes + size > QUEUE_BYTES and self._waiting_bytes:
                raise JournalBusy(f"{self._waiting_bytes} bytes wait for the disk already")
            self.next_seq += len(bodies)
            self._waiting_bytes += size
            self._put(Append(bodies, facts, state, size, future), now=urgent)
        return future

    def do(self, work: Callable[[], T]) -> "Future[T]":
        """Have the writer thread do something, after what is queued already."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._wake:
            self._refuse_if_stopped()
            self._put(Job(work, future), now=True)
        return future

    @property
    def blocked_by(self) -> str | None:
        """What another program does to the journal's files that a person should end; None if nothing."""
        return self._locked or self._store.blocked_by

    def _put(self, item: Append | Job, *, now: bool) -> None:
        if not self._queue:
            self._oldest_s = time.monotonic()
        self._queue.append(item)
        self._now = self._now or now
        if self._now or len(self._queue) in (1, EARLY_LISTS):
            self._wake.notify()

    def _refuse_if_stopped(self) -> None:
        if self.fault is not None:
            raise StorageError(f"the journal has stopped: {self.fault}") from self.fault
        if self._closing:
            raise JournalClosed("the journal is closed")

    def damaged(self, error: BaseException, segment: Segment) -> None:
        """Stop: a reader or the check in the background found damage; the next start sets it aside and declares it."""
        with self._wake:
            self.fault = self.fault or error
            self._suspects.append(segment)
            self._wake.notify()

    def close(self) -> None:
        """Commit what is queued, close the files in the writer's own thread, and wait for it. Does nothing the second time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    # ------------------------------------------------------------------ the writer thread

    def _run(self, opening: Callable[[], Store], opened: "Future[Store]") -> None:
        try:
            self._store = opening()
            self._store.hurry()
            self.next_seq = self._store.picture.seq + 1
        except BaseException as error:  # noqa: BLE001 - handed to the caller of start()
            opened.set_exception(error)
            return
        opened.set_result(self._store)
        group: list[Append | Job] = []
        try:
            while (group := self._next_group()) or not (self._closing or self.fault):
                self._work_off(group)
                self._keep_house()  # also when idle
            self._raise_fault()
            self._store.refuse_read_only()
            self._store.close(clean=True)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may go on as if entries were durable
            self._stop(error, group)

    def _keep_house(self) -> None:
        self._store.refuse_read_only()
        self._store.maintain()
        self._tell_pressure()

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _stop(self, error: BaseException, group: list[Append | Job]) -> None:
        fault = error if isinstance(error, JournalError) else StorageError(f"{type(error).__name__}: {error}")
        with self._wake:
            self.fault = self.fault or fault
            left = group + self._queue
            self._queue = []
        for item in left:
            item.future.set_exception(StorageError(f"not written: {fault}"))
        if self._on_fault is not None:
            self._on_fault(fault)
        self._store.close(clean=False, suspects=self._suspects)

    def _next_group(self) -> list[Append | Job]:
        """Wait for something to do: the commit interval from the oldest one on, less if 32 lists wait or one is urgent. [] when idle."""
        with self._wake:
            if not self._queue and not self._closing and self.fault is None:
                self._wake.wait(IDLE_S)
            while self._queue and not (self._now or self._closing or self.fault or len(self._queue) >= EARLY_LISTS):
                left_s = self._oldest_s + self._interval_s - time.monotonic()
                if left_s <= 0:
                    break
                self._wake.wait(left_s)
            if self.fault is not None:
                return []
            group, self._queue, self._now = self._queue, [], False
        return group

    def _work_off(self, group: list[Append | Job]) -> None:
        """Commit runs of appends and do the jobs between them, in order; each leaves `group` when it is done."""
        while group:
            self._raise_fault()  # what is left in the group is then told, too
            if isinstance(first := group[0], Job):
                del group[0]  # it is told by itself, whatever becomes of it
                self._do(first)
            else:
                self._persist(group)
                self._keep_house()

    def _do(self, job: Job) -> None:
        try:
            job.future.set_result(job.work())
        except BaseException as error:
            if isinstance(error, sqlite3.OperationalError) and sqlite.passes(error) and not self._closing:
                self._later(job, error)
                return
            job.future.set_exception(error)
            if isinstance(error, (sqlite3.Error, OSError)) and not sqlite.passes(error):
                raise

    def _later(self, job: Job, error: sqlite3.OperationalError) -> None:
        """Do it again soon, after what has been queued meanwhile: jobs may be done twice, and appends need not wait for them."""
        if sqlite.primary_code(error) == sqlite3.SQLITE_FULL:
            self._store.free_ballast()
        with self._wake:
            self._put(job, now=False)

    def _persist(self, group: list[Append | Job]) -> None:
        """Commit the appends that `group` begins with; while the disk is full or the file is locked, wait and try the same again."""
        try:
            self._commit_first(group)
        except sqlite3.OperationalError as error:
            if not sqlite.passes(error):
                raise
            if sqlite.primary_code(error) == sqlite3.SQLITE_FULL:
                self._store.free_ballast()
            else:
                self._refused(error)
            self._tell_pressure()
            with self._wake:
                if self._closing:
                    raise StorageError(f"closed while entries waited for the disk: {error}") from error
                self._wake.wait(HOLD_S)
        else:
            self._refused_s = self._locked = None

    def _refused(self, error: sqlite3.OperationalError) -> None:
        """Another program has locked the segment that grows."""
        now_s = time.monotonic()
        self._refused_s = self._refused_s or now_s
        if now_s - self._refused_s >= LOCKED_S:
            self._locked = f"another program has locked the segment that grows ({error}): entries wait"

    def _tell_pressure(self) -> None:
        """Call back when the sources must be held back, when the cause is another one, and when they need not any more."""
        why = self._store.pressure or (Pressure("journal-locked", self._locked) if self._locked else None)
        if (why and why.cause) != (self.pressure and self.pressure.cause):
            for callback in self.on_pressure:
                callback(why)
        self.pressure = why

    def _commit_first(self, group: list[Append | Job]) -> None:
        """One transaction: as many of the next appends as the segment holds; or one that lies across its end."""
        if self._store.room == 0:
            self._store.turn()
        fitting: list[Append] = []
        room = self._store.room
        for item in group:
            if isinstance(item, Job) or len(item.bodies) > room:
                break
            room -= len(item.bodies)
            fitting.append(item)
        appends = fitting or [item for item in group[:1] if isinstance(item, Append)]
        headed, facts = self._head(appends)
        if fitting:
            self._store.commit([one.row for one in headed], facts)
        else:
            self._store.commit_across([one.row for one in headed], facts, [one.leaf for one in headed])
        self._store.refuse_read_only()
        del group[: len(appends)]
        self._publish(appends, headed, facts, across=not fitting)

    def _head(self, appends: Sequence[Append]) -> tuple[list[Headed], dict[str, Fact]]:
        """Head and hash bodies, from the last committed entry on; and the facts that hold after them."""
        store = self._store
        epoch, seq, previous, total = store.picture.epoch, store.picture.seq, store.digest.hex(), store.picture.total
        gateway = json.dumps(store.gateway)
        headed: list[Headed] = []
        facts: dict[str, Fact] = {}
        for append in appends:
            for schema, body in append.bodies:
                seq += 1
                head = f'{{"schema":"{schema}","gateway":{gateway},"epoch":{epoch},"seq":{seq},"previous":"{previous}",'
                payload = head.encode() + body
                total += len(payload)
                digest = chain.digest(payload)
                previous = digest.hex()
                row = (seq, digest, total, self._pack.compress(payload))
                headed.append(Headed(Entry(epoch, seq, previous, payload), row, chain.leaf(payload)))
            if append.facts is not None:
                name, changes = append.facts
                name = f"watermark/{name}"
                old = facts.get(name) or store.picture.facts.get(name)
                merged = {**(json.loads(old.value) if old else {}), **changes}
                facts[name] = Fact(epoch, seq, json.dumps(merged).encode())
            if append.state is not None:
                facts["state"] = Fact(epoch, seq, append.state)
        return headed, facts

    def _publish(self, appends: Sequence[Append], headed: Sequence[Headed], facts: dict[str, Fact], *, across: bool) -> None:
        """Show and promise what is now durable."""
        store = self._store
        store.committed(headed[-1].entry if headed else None, [] if across else [one.leaf for one in headed])
        seq = store.picture.seq
        store.picture.extend([one.entry for one in headed], [one.row[2] for one in headed], facts)
        with self._wake:
            self._waiting_bytes -= sum(append.size for append in appends)
        for append in appends:
            seq += len(append.bodies)
            append.future.set_result(seq)
        for callback in self.on_commit:
            callback(store.picture.last)
