"""The one thread that writes: it puts heads before bodies, hashes, commits, and closes full segments.

Everything of SQLite's writing side happens here, in order: appends, and between them jobs (cursors, pruning, checkpoints, holds). A failed
transaction has assigned nothing: the same bodies get new heads. An error that waiting can not cure stops the journal at once: after a
failed write or fsync the kernel may call pages clean that never reached the disk, so trying again could promise what is not there.

The states of an append: queued (`append`), committed (`_commit_first`), shown and promised (`_publish`). Only the last one completes its
future. A stop at any point before leaves the future with a StorageError, and the entry unpromised.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import zstandard

from buffer import chain, sqlite, watermarks
from buffer.catalogue import Segment
from buffer.errors import JournalBusy, JournalClosed, JournalError, StorageError
from buffer.segment import Entry, Fact, Row
from buffer.space import Pressure
from buffer.store import Store

EARLY_LISTS = 32
"""Items in the queue that are worked off at once, without waiting for the commit interval to end."""
QUEUE_BYTES = 128 << 20
"""Bodies that may wait in memory. More come only from a caller that does not wait for earlier appends: it gets JournalBusy."""
IDLE_S = 1.0
"""Interval at which space, cursors and full segments are looked after while nothing is appended."""
RETRY_S = 0.25
"""Wait before the same appends are tried again, while the disk is full or the segment is locked."""
LOCKED_S = 1.0
"""A lock that goes within this time is everyday (a backup, `ebr-gateway log`); a longer one holds the sources back."""

T = TypeVar("T")


class Body(NamedTuple):
    """An entry without its head. body: its JSON from `"time"` on, closing brace included."""

    schema: str
    body: bytes


class Append(NamedTuple):
    """One call of `append`: all of it is committed, or none. watermark: (source, changes); size: bytes of the bodies."""

    bodies: Sequence[Body]
    watermark: tuple[str, Any] | None
    state: bytes | None
    size: int
    future: "Future[int]"


class Job(NamedTuple):
    """Work for the writer thread that is not an append. It may be done twice, see `Writer._requeue`."""

    work: Callable[[], Any]
    future: "Future[Any]"


class Headed(NamedTuple):
    """A body with its head before it, hashed. leaf: its hash in the epoch's tree."""

    entry: Entry
    row: Row
    leaf: bytes


class Writer:
    """Queue of appends and jobs, and the thread that commits them. fault: the error that stopped it, None while it works."""

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
        self._locked_since_s: float | None = None  # since when a foreign lock has kept entries from being written
        self._lock_problem: str | None = None
        self.next_seq = 1
        self.on_commit: list[Callable[[tuple[int, int]], None]] = []
        self.on_pressure: list[Callable[[Pressure | None], None]] = []
        self._store: Store
        self._pack = zstandard.ZstdCompressor(level=1)
        self._thread: threading.Thread

    # ------------------------------------------------------------------ any thread

    def start(self, opening: Callable[[], Store]) -> Store:
        """Open the store in the new thread, and return once it is open. Raises what `opening` raised."""
        opened: Future[Store] = Future()
        self._thread = threading.Thread(target=self._run, args=(opening, opened), name="journal-writer", daemon=True)
        self._thread.start()
        return opened.result()

    def append(self, bodies: Sequence[Body], watermark: tuple[str, Any] | None, state: bytes | None, *, urgent: bool) -> "Future[int]":
        """Queue one append; its sequence numbers are fixed by this call. Raises StorageError, JournalClosed, JournalBusy."""
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # from here on cancelling the waiter does not cancel the write
        size = sum(len(body.body) for body in bodies)
        with self._wake:
            self._refuse_if_stopped()
            # One append always fits, however large: refused alone it could never be written.
            if self._waiting_bytes + size > QUEUE_BYTES and self._waiting_bytes:
                raise JournalBusy(f"{self._waiting_bytes} bytes wait for the disk already")
            # Counted here, not at the commit: the caller builds its next bodies with sequence numbers in them before this append is
            # committed.
            self.next_seq += len(bodies)
            self._waiting_bytes += size
            self._put(Append(bodies, watermark, state, size, future), now=urgent)
        return future

    def do(self, work: Callable[[], T]) -> "Future[T]":
        """Have the writer thread call `work`, after everything that is queued already; the future gives its result or its error."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._wake:
            self._refuse_if_stopped()
            self._put(Job(work, future), now=True)
        return future

    @property
    def blocked_by(self) -> str | None:
        """A lock or a reader of another program that a person should end, in words; None if there is none."""
        return self._lock_problem or self._store.blocked_by

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
        """Stop the journal because a reader or the scrub found damage; the next start sets the segment aside and declares what is lost."""
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
            # Recovery is over. During it a lock was waited for inside SQLite; now the thread waits by itself and reports why.
            self._store.shorten_lock_wait()
            self.next_seq = self._store.view.seq + 1
        except BaseException as error:  # noqa: BLE001 - handed to the caller of start()
            opened.set_exception(error)
            return
        opened.set_result(self._store)
        group: list[Append | Job] = []
        try:
            while (group := self._next_group()) or not (self._closing or self.fault):
                if not self._work_through(group):
                    self._maintain()  # also when idle
            self._raise_fault()
            self._store.refuse_read_only()  # nor may a clean stop be claimed where nothing reaches the disk
            self._store.close(clean=True)
        except BaseException as error:  # noqa: BLE001 - whatever it was, no caller may go on as if entries were durable
            self._stop(error, group)

    def _maintain(self) -> None:
        self._store.refuse_read_only()
        self._store.maintain()
        self._report_pressure()

    def _raise_fault(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _stop(self, error: BaseException, group: list[Append | Job]) -> None:
        """Fail everything that waits, report the fault, and close the files without the marks of a clean stop."""
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
        """Wait for work and return all that is queued; [] when idle or stopped.

        Waits for the commit interval to end, counted from the oldest item; less if 32 items wait or one is urgent.
        """
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

    def _work_through(self, group: list[Append | Job]) -> bool:
        """Commit runs of appends and do the jobs between them, in order; each leaves `group` when it is done.

        Returns whether the last thing done was to look after space, cursors and segments.
        """
        is_maintained = False
        while group:
            self._raise_fault()  # what is left in the group then fails as well
            if isinstance(first := group[0], Job):
                del group[0]  # its future is completed here, whatever becomes of it
                self._run_job(first)
            else:
                self._persist(group)
                self._maintain()
            is_maintained = not isinstance(first, Job)
        return is_maintained

    def _run_job(self, job: Job) -> None:
        """Do a job and complete its future. Raises an error that stops the journal, after the future has it too."""
        try:
            job.future.set_result(job.work())
        except BaseException as error:
            if isinstance(error, sqlite3.OperationalError) and sqlite.is_transient(error) and not self._closing:
                self._requeue(job, error)
                return
            job.future.set_exception(error)
            if isinstance(error, (sqlite3.Error, OSError)) and not sqlite.is_transient(error):
                raise

    def _requeue(self, job: Job, error: sqlite3.OperationalError) -> None:
        """Queue a job again, behind what has been queued meanwhile: jobs may be done twice, and appends need not wait for them."""
        if sqlite.primary_code(error) == sqlite3.SQLITE_FULL:
            self._store.free_ballast()
        with self._wake:
            self._put(job, now=False)

    def _persist(self, group: list[Append | Job]) -> None:
        """Commit the appends that `group` begins with; while the disk is full or the file is locked, wait and leave them there."""
        try:
            self._commit_first(group)
        except sqlite3.OperationalError as error:
            if not sqlite.is_transient(error):
                raise
            if sqlite.primary_code(error) == sqlite3.SQLITE_FULL:
                self._store.free_ballast()
            else:
                self._note_foreign_lock(error)
            self._report_pressure()
            with self._wake:
                if self._closing:
                    # Not promised, so nothing is lost silently: their futures fail, and the callers know.
                    raise StorageError(f"closed while entries waited for the disk: {error}") from error
                self._wake.wait(RETRY_S)
        else:
            self._locked_since_s = self._lock_problem = None

    def _note_foreign_lock(self, error: sqlite3.OperationalError) -> None:
        """Note that another program has locked the growing segment; from LOCKED_S on it is reported."""
        now_s = time.monotonic()
        self._locked_since_s = self._locked_since_s or now_s
        if now_s - self._locked_since_s >= LOCKED_S:
            self._lock_problem = f"another program has locked the segment that grows ({error}): entries wait"

    def _report_pressure(self) -> None:
        """Call back when sources must be held back, when the cause changes, and when they need not any more."""
        why = self._store.space.pressure or (Pressure("journal-locked", self._lock_problem) if self._lock_problem else None)
        if (why and why.cause) != (self.pressure and self.pressure.cause):
            for callback in self.on_pressure:
                callback(why)
        self.pressure = why

    def _commit_first(self, group: list[Append | Job]) -> None:
        """Commit one transaction: as many of the next appends as the segment holds; or one append that lies across its end."""
        # A full segment gives way to the next before the commit, so that an append finds room or is known to lie across the end.
        if self._store.room == 0:
            self._store.turn()
        fitting: list[Append] = []
        room = self._store.room
        for item in group:
            if isinstance(item, Job) or len(item.bodies) > room:
                break
            room -= len(item.bodies)
            fitting.append(item)
        # An append larger than the room left: it is written into two files at once, and no other append with it.
        appends = fitting or [item for item in group[:1] if isinstance(item, Append)]
        headed, facts = self._head(appends)
        if fitting:
            self._store.commit([entry.row for entry in headed], facts)
        else:
            self._store.commit_across([entry.row for entry in headed], facts, [entry.leaf for entry in headed])
        self._store.refuse_read_only()
        # Only now: had the file system turned read-only under the commit, the futures still in `group` fail and nothing is promised.
        del group[: len(appends)]
        self._publish(appends, headed, facts, across=not fitting)

    def _head(self, appends: Sequence[Append]) -> tuple[list[Headed], watermarks.Changes]:
        """Put heads before bodies and hash them, from the last committed entry on; also return the facts that hold after them."""
        store = self._store
        epoch, seq, previous, total = store.view.epoch, store.view.seq, store.digest.hex(), store.view.total
        gateway = json.dumps(store.gateway)
        headed: list[Headed] = []
        facts: watermarks.Changes = {}
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
            if append.watermark is not None:
                facts |= watermarks.changed(*append.watermark, (epoch, seq), facts, store.view.facts)
            if append.state is not None:
                facts["state"] = Fact(epoch, seq, append.state)
        return headed, facts

    def _publish(self, appends: Sequence[Append], headed: Sequence[Headed], facts: watermarks.Changes, *, across: bool) -> None:
        """Show what is now durable to readers, and complete its futures."""
        store = self._store
        # In this order: the chain's end, because the next head names it; then the view, so that whoever waits for a future can read its
        # entries; then the futures; then `on_commit`, for uplinks that read what is new.
        store.note_commit(headed[-1].entry if headed else None, [] if across else [entry.leaf for entry in headed])
        seq = store.view.seq
        store.view.extend([entry.entry for entry in headed], [entry.row[2] for entry in headed], facts)
        with self._wake:
            self._waiting_bytes -= sum(append.size for append in appends)
        for append in appends:
            seq += len(append.bodies)
            append.future.set_result(seq)
        for callback in self.on_commit:
            callback(store.view.last)
