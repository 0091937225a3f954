"""The committed part of the journal, as every thread sees it: written by the writer thread after each commit, read under one lock.

Reads come from the tail in memory if it reaches back far enough (an uplink that keeps up never touches the disk), else from segments.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

from buffer import segment as segments
from buffer import sqlite
from buffer.catalogue import Segment
from buffer.errors import StorageError
from buffer.segment import Damaged, Entry, Fact
from buffer.times import of_entry

TAIL_BYTES = 16 << 20
"""Payloads of the newest entries that are kept in memory for receivers."""
CONFIRMED_BYTES = 1 << 20
"""Of these, where every receiver has confirmed them: a receipt that comes again is compared without the disk."""


class CommittedView:
    """Entries, segments and facts that are durable.

    `lock` guards every attribute. `moving` is held while a growing segment is turned into a closed file and while it is read, so that no
    reader meets a file between the two. on_damage(segment, why) is called for damage found by a read.
    """

    def __init__(self, directory: Path, on_damage: Callable[[Segment, str], None]) -> None:
        self.directory = directory
        self.lock = threading.Lock()
        self.moving = threading.Lock()
        self.epoch = 0
        self.seq = 0
        self.total = 0
        self.segments: list[Segment] = []  # held ones, in order
        self.facts: dict[str, Fact] = {}
        self.lost: dict[int, list[tuple[int, int]]] = {}  # spans that damage took out of epochs that have ended
        self._on_damage = on_damage
        self._tail: dict[int, tuple[Entry, int]] = {}
        self._tail_first = 1
        self._tail_bytes = 0
        self._confirmed = 0  # the last seq of this epoch that every receiver has confirmed

    def path(self, segment: Segment) -> Path:
        """Return the file of a segment."""
        return self.directory / segments.name_of(segment.epoch, segment.first)

    def wal_bytes(self) -> int:
        """Return the size of the logs of all segments that grow."""
        with self.lock:
            growing = [self.path(segment) for segment in self.segments if segment.state == "open"]
        logs = [path.with_name(path.name + "-wal") for path in growing]
        return sum(map(sqlite.size_bytes, logs))

    @property
    def last(self) -> tuple[int, int]:
        """(epoch, seq) of the last committed entry."""
        with self.lock:
            return self.epoch, self.seq

    def begin(self, epoch: int, seq: int, total: int) -> None:
        """Set the position found at the start; the tail begins after it."""
        with self.lock:
            self.epoch, self.seq, self.total = epoch, seq, total
            self._tail_first = seq + 1

    def extend(self, entries: Sequence[Entry], totals: Sequence[int], facts: Mapping[str, Fact | None]) -> None:
        """Add what has just been committed."""
        with self.lock:
            for entry, total in zip(entries, totals, strict=True):
                self._tail[entry.seq] = entry, total
                self._tail_bytes += len(entry.payload)
            for name, fact in facts.items():
                if fact is None:
                    self.facts.pop(name, None)
                else:
                    self.facts[name] = fact
            if entries:
                self.seq, self.total = entries[-1].seq, totals[-1]
            # Dropped from the oldest on: entries that a receiver lags behind are read from their segments instead.
            while self._tail_bytes > (CONFIRMED_BYTES if self._tail_first <= self._confirmed else TAIL_BYTES):
                self._tail_bytes -= len(self._tail.pop(self._tail_first)[0].payload)
                self._tail_first += 1

    def confirmed(self, positions: Sequence[tuple[int, int]]) -> None:
        """Note (epoch, seq) through which each receiver has confirmed everything: what all of them have, nobody reads again."""
        with self.lock:
            self._confirmed = min((seq if epoch == self.epoch else 0 for epoch, seq in positions), default=0)

    def read(self, after: tuple[int, int], max_bytes: int, max_entries: int) -> list[Entry]:
        """Return committed entries after (epoch, seq), in order, from one segment at most: at least one if there is one.

        Raises StorageError if one is damaged.
        """
        with self.lock:
            if after[0] == self.epoch and after[1] + 1 >= self._tail_first:
                return self._from_tail(after[1] + 1, max_bytes, max_entries)
            held = [segment for segment in self.segments if (segment.epoch, segments.last_of(segment.first)) > after]
        for segment in held:
            taken = self._from_disk(segment, after, max_bytes, max_entries)
            if taken:
                return taken
        return []

    def recent(self, after: tuple[int, int], max_bytes: int, max_entries: int) -> list[Entry] | None:
        """Return what `read` would, from memory alone; None where it would have to read the disk."""
        with self.lock:
            if after[0] != self.epoch or after[1] + 1 < self._tail_first:
                return None
            return self._from_tail(after[1] + 1, max_bytes, max_entries)

    def is_recent(self, epoch: int, seq: int) -> bool:
        """Return True if an entry is in memory."""
        with self.lock:
            return epoch == self.epoch and seq in self._tail

    def _from_tail(self, seq: int, max_bytes: int, max_entries: int) -> list[Entry]:
        taken: list[Entry] = []
        while seq in self._tail and len(taken) < max_entries:
            entry = self._tail[seq][0]
            max_bytes -= len(entry.payload)
            if taken and max_bytes < 0:
                break
            taken.append(entry)
            seq += 1
        return taken

    def _from_disk(self, segment: Segment, after: tuple[int, int], max_bytes: int, max_entries: int) -> list[Entry]:
        from_seq = after[1] if after[0] == segment.epoch else 0
        taken: list[Entry] = []
        with self._opened(segment) as (db, through):
            if db is None:
                return []
            for entry in segments.entries(db, segment.epoch, from_seq, through, max_entries):
                max_bytes -= len(entry.payload)
                if taken and max_bytes < 0:
                    break
                taken.append(entry)
        return taken

    @contextmanager
    def _opened(self, segment: Segment) -> Iterator[tuple[sqlite3.Connection | None, int]]:
        """Open a segment for a short read: (connection, last committed seq).

        The connection is None if the segment has been pruned meanwhile. Raises StorageError if it is damaged.
        """
        with self.moving if segment.state != "closed" else nullcontext():
            with self.lock:
                now = self._now(segment)  # it may have been closed or pruned since it was listed
                through = self.seq if segment.epoch == self.epoch else segments.last_of(segment.first)
            try:
                with self._reader(now) if now else nullcontext() as db:
                    yield db, through
            except (sqlite3.Error, Damaged) as error:
                # A lock is not damage: another program has the file, and the caller may try again.
                if isinstance(error, sqlite3.Error) and sqlite.primary_code(error) == sqlite3.SQLITE_BUSY:
                    raise
                self._on_damage(segment, str(error))
                raise StorageError(f"{self.path(segment).name}: {error}") from error

    def _now(self, segment: Segment) -> Segment | None:
        return next((other for other in self.segments if (other.epoch, other.first) == (segment.epoch, segment.first)), None)

    def _reader(self, segment: Segment) -> AbstractContextManager[sqlite3.Connection | None]:
        try:
            return closing(sqlite.reader(self.path(segment), closed=segment.state == "closed"))
        except sqlite3.OperationalError:
            with self.lock:  # pruned between looking and opening: nothing is wrong
                if self._now(segment):
                    raise
            return nullcontext()

    def entry(self, epoch: int, seq: int) -> tuple[str, int] | None:
        """Return (hex digest, bytes of the epoch through it) of an entry; None if it is not held. May read the disk."""
        with self.lock:
            if epoch == self.epoch and seq in self._tail:
                entry, total = self._tail[seq]
                return entry.digest, total
            segment = next(
                (candidate for candidate in self.segments if candidate.epoch == epoch and candidate.first == segments.first_of(seq)), None
            )
        if segment is None or seq < 1:
            return None
        with self._opened(segment) as (db, through):
            if db is None or seq > through:
                return None
            row = db.execute("SELECT digest, total FROM entries WHERE seq = ?", (seq,)).fetchone()
        return (row[0].hex(), int(row[1])) if row else None

    def depth(self, cursor: tuple[int, int]) -> tuple[int, int]:
        """Return (entries, bytes) held after the cursor. May read the disk."""
        with self.lock:
            # Bytes are differences of totals: nothing between the cursor and the end is read, however far a receiver is behind.
            held = [(segment.epoch, segment.first, self._last(segment), segment.before, self._total(segment)) for segment in self.segments]
        count, size = 0, 0
        for epoch, first, last, before, total in held:
            if (epoch, last) <= cursor:
                continue
            after = cursor[1] if epoch == cursor[0] and cursor[1] >= first else first - 1
            cursor_entry = self.entry(epoch, after) if after >= first else None
            count += last - after
            size += total - (cursor_entry[1] if cursor_entry else before)
        return count, size

    def ranges(self) -> list[tuple[int, int, int]]:
        """Return (epoch, first, last) of each run of consecutive entries held, in order: what lies between is pruned or lost."""
        with self.lock:
            held = [(segment.epoch, segment.first, self._last(segment)) for segment in self.segments]
        found: list[tuple[int, int, int]] = []
        for epoch, first, last in held:
            for low, high in _without(first, last, self.lost.get(epoch, [])):
                if found and found[-1][::2] == (epoch, low - 1):
                    found[-1] = (epoch, found[-1][1], high)
                else:
                    found.append((epoch, low, high))
        return found

    def _last(self, segment: Segment) -> int:
        return segment.last if segment.last is not None else self.seq if segment.epoch == self.epoch else segment.first - 1

    def _total(self, segment: Segment) -> int:
        return segment.total if segment.last is not None else self.total


def _without(first: int, last: int, lost: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield what is left of first to last without the lost spans, which are in order."""
    for low, high in lost:
        if high < first or low > last:
            continue
        if low > first:
            yield first, low - 1
        first = max(first, high + 1)
    if first <= last:
        yield first, last


def last_ticks(view: CommittedView) -> int | None:
    """Return `time` of the last entry held, in ticks; None if there is none."""
    for segment in reversed(view.segments):
        last = segment.last if segment.last is not None else view.seq
        entries = view.read((segment.epoch, max(last - 1, segment.first - 1)), 1, 1)
        if entries:
            return of_entry(entries[-1].payload)
    return None
