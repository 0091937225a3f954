"""The line's store-and-forward journal: an append-only sequence of entries, durable when `append`'s future is done.

`Journal` is the door for the gateway. Its methods hand over to the writer thread what writes (`writer`, `store`), and answer from the
committed view what only reads (`committed`, `receipts`).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from buffer import opening, retention, watermarks
from buffer import segment as segments
from buffer.catalogue import Segment
from buffer.committed import CommittedView
from buffer.errors import EntryTooLarge, StorageError
from buffer.holds import Holds
from buffer.keys import Signer
from buffer.opening import Opened
from buffer.origin import Origin
from buffer.proofs import Newest, newest
from buffer.receipts import Receipts
from buffer.retention import Pruned
from buffer.scrub import Scrub
from buffer.segment import Entry
from buffer.space import Pressure, Space
from buffer.store import Store
from buffer.writer import Body, Writer

LARGEST_ENTRY_BYTES = 65_536
DAY_S = 86_400.0
HEAD_BYTES = 176
"""Bytes of a head without schema and gateway: fixed text, 20 digits each of epoch and seq, 64 of the digest. The most that it can take:
a body that passed the check must fit whatever its number."""


class Usage(NamedTuple):
    """Space. fraction: used of what there is (alarms at 0.70 and 0.85); days_to_full: at the rate since the start, None if nothing grew.

    wal_bytes: of the growing segment's log; it passes 64 MB only while a reader outside the gateway holds it.
    """

    used_bytes: int
    max_bytes: int
    free_bytes: int
    fraction: float
    days_to_full: float | None
    wal_bytes: int


class Journal:
    """The journal of one line. All methods may be called from any thread; those that touch the disk say so.

    receipts: cursors and quarantine. holds: what QA keeps back from retention. space: how much there is. scrub: the reading of closed
    segments in the background.
    """

    opened: Opened

    def __init__(self, directory: Path, gateway: str, writer: Writer, clock: Callable[[], float]) -> None:
        """Use `Journal.open` instead: this makes the object without its files."""
        self.directory = directory
        self.gateway = gateway
        self._gateway_bytes = len(json.dumps(gateway))
        self._writer = writer
        self._view = CommittedView(directory / "segments", partial(_stop_for, writer))
        self.receipts = Receipts(self._view)
        self.holds: Holds
        self.space: Space
        self._store: Store
        self._retain_s = 0.0
        self._clock = clock
        self._opened_s = clock()
        self.scrub = Scrub(self._view, partial(_stop_for, writer))

    @classmethod
    def open(
        cls,
        directory: Path,
        gateway: str,
        *,
        commit_interval_s: float = 0.05,
        retain_s: float,
        max_bytes: int,
        on_fault: Callable[[BaseException], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        origin: Origin = opening.HERE,
    ) -> "Journal":
        """Open or create the journal in `directory`, recover it, start its writer thread. Blocks.

        retain_s: age from which confirmed entries may go, 0 for at once. max_bytes: limit of all its files. clock: seconds that go on
        evenly, by which `usage` computes how fast the journal grows. on_fault is called once, in the writer thread, when the journal has
        stopped for good: the process must end. origin: by what an older copy, and a copy on another machine, are told (they go on in a new
        epoch). Raises JournalInUse, JournalMismatch, StorageError.
        """
        journal = cls(directory, gateway, Writer(commit_interval_s=commit_interval_s, on_fault=on_fault), clock)
        journal._retain_s = retain_s
        journal._store = journal._writer.start(partial(journal._open_store, max_bytes, origin))
        journal.space = journal._store.space
        journal.holds = Holds(journal._store, journal._writer)
        journal.scrub.start()
        return journal

    def _open_store(self, max_bytes: int, origin: Origin) -> Store:
        store, self.opened = opening.open_store(self.directory, self.gateway, max_bytes, self._view, self.receipts, origin)
        return store

    # ------------------------------------------------------------------ writing

    @property
    def next_seq(self) -> int:
        """Sequence number of the next body appended. Known before the commit, because order is fixed by the call of `append`."""
        return self._writer.next_seq

    def append(
        self,
        bodies: Sequence[Body],
        *,
        watermark: tuple[str, Mapping[str, Any]] | None = None,
        state: bytes | None = None,
        urgent: bool = False,
    ) -> "Future[int]":
        """Append bodies, all or nothing; the future gives the last sequence number once they are on disk.

        watermark: (source, changes), merged by key (None removes one) and committed with them. state: the fold's state after them.
        urgent: commit at once.
        Raises EntryTooLarge (nothing is appended), JournalBusy, StorageError, JournalClosed. The future raises StorageError.
        """
        _check(bodies, self._gateway_bytes)
        return self._writer.append(bodies, watermark, state, urgent=urgent)

    def watermark(self, source: str) -> dict[str, Any]:
        """Return the watermark committed last for a source, merged by key; {} before the first."""
        with self._view.lock:
            return watermarks.read(self._view.facts, source)

    def counted(self, source: str) -> tuple[int, int] | None:
        """Return the (epoch, seq) through which a source's watermark certainly counts what is held; None before the first.

        Entries of the source behind it may be told again: a first half of a message, or what a salvage proved without its watermark.
        """
        with self._view.lock:
            return watermarks.position(self._view.facts, source, self._view.epoch)

    def state(self) -> tuple[tuple[int, int], bytes] | None:
        """Return ((epoch, seq), the fold's state after that entry) as committed last; None if there is none.

        After a salvage it may belong to the epoch that ended: the entries held after it are folded from there, never the whole journal,
        so that a start takes the same time whatever the journal's size.
        """
        with self._view.lock:
            stored = self._view.facts.get("state")
            return ((stored.epoch, stored.seq), stored.value) if stored else None

    def on_commit(self, callback: Callable[[tuple[int, int]], None]) -> None:
        """Have `callback((epoch, seq))` called in the writer thread after each commit. It must be quick and must not raise."""
        self._writer.on_commit.append(callback)

    @property
    def pressure(self) -> Pressure | None:
        """The reason why sources must be held back now (full or locked), or None. What is appended is still taken."""
        return self._writer.pressure

    def on_pressure(self, callback: Callable[[Pressure | None], None]) -> None:
        """Have `callback(why)` called in the writer thread when sources must be held back, or for another cause; then `callback(None)`."""
        self._writer.on_pressure.append(callback)

    @property
    def blocked_by(self) -> str | None:
        """A lock or a reader of another program that a person should end, in words; None if there is none.

        Nothing is lost by it: entries wait, or a log grows until its segment is full.
        """
        return self._writer.blocked_by

    def usage(self) -> Usage:
        """Compute how full the journal is, and when it will be full. Reads file sizes."""
        space = self._store.space
        used, free = space.used_bytes(), space.free_bytes()
        room = max(min(space.max_bytes - used, free), 0)
        growth = space.committed_bytes / max(self._clock() - self._opened_s, 1.0) * DAY_S
        wal = self._view.wal_bytes()
        days = room / growth if growth else None
        return Usage(used, space.max_bytes, free, used / max(min(space.max_bytes, used + free), 1), days, wal)

    def retained(self, open_since_seq: int | None, reconciled: retention.Reconciled | None = None) -> retention.Retained:
        """Count the closed segments that retention must leave, by reason. Both arguments as for `prune`. Reads no file."""
        return retention.retained(self._store, open_since_seq, reconciled)

    def close(self) -> None:
        """Commit what is queued and close the files, in the writer's own thread. Blocks; may be called twice."""
        self.scrub.stop()
        self._writer.close()

    # ------------------------------------------------------------------ reading

    @property
    def last(self) -> tuple[int, int]:
        """(epoch, seq) of the last committed entry; seq 0 if the epoch has none yet."""
        return self._view.last

    def read(self, after: tuple[int, int], *, max_bytes: int, max_entries: int = 1000) -> list[Entry]:
        """Return committed entries after (epoch, seq), in order: at least one if there is one, even if it is larger than max_bytes.

        What lies on the disk comes from one segment at most: whoever wants all asks again after the last one, until nothing comes.
        May read the disk. Every entry read from disk is compared with its digest. Raises StorageError if one is damaged.
        """
        return self._view.read(after, max_bytes, max_entries)

    def recent(self, after: tuple[int, int], *, max_bytes: int, max_entries: int = 1000) -> list[Entry] | None:
        """Return what `read` would, if it is in memory, as whatever a receiver that keeps up has not got yet; None if it is not.

        Never reads the disk: a caller in an event loop needs no thread for it.
        """
        return self._view.recent(after, max_bytes, max_entries)

    def is_recent(self, epoch: int, seq: int) -> bool:
        """Return True if an entry is in memory: a receipt of this epoch for it is then compared without reading the disk."""
        return self._view.is_recent(epoch, seq)

    def held(self, after: tuple[int, int] = (0, 0)) -> int:
        """Count the entries held after (epoch, seq). May read the disk."""
        return self._view.depth(after)[0]

    def ranges(self) -> list[tuple[int, int, int]]:
        """Return (epoch, first, last) of each run of consecutive entries held, in order: what lies between is pruned or lost."""
        return self._view.ranges()

    # ------------------------------------------------------------------ receipts

    def uplink(self, name: str, required: bool) -> None:  # noqa: FBT001 - the door's contract
        """Register an uplink, or change whether it is required: then nothing goes before its receipt."""
        self.receipts.register(name, required=required)

    def cursor(self, name: str) -> tuple[int, int]:
        """Return (epoch, seq) through which this uplink's receiver has confirmed everything."""
        return self.receipts.cursor(name).at

    def acknowledge(self, name: str, epoch: int, through: int, digest: str) -> int:
        """Take a receipt: everything through (epoch, through) is stored, and entry `through` has this digest. Returns the cursor's seq.

        At or below the cursor nothing changes. Raises ReceiptRefused (nothing moves): unknown-uplink, unknown-epoch, beyond-last,
        digest-mismatch, earlier-epoch-open, unprovable. May read the disk.
        """
        return self.receipts.acknowledge(name, epoch, through, digest)

    def prune(
        self, open_since_seq: int | None, *, clock_verified: bool = True, reconciled: retention.Reconciled | None = None
    ) -> Pruned | None:
        """Remove the segments that the last call returned, and name those that may go now; None if none.

        The caller appends an audit event with `Pruned.audit()` and calls again (at once, if space is short): files go only after
        something has been committed since they were named. open_since_seq: smallest seq of this epoch that an open batch needs.
        clock_verified: without it no segment is old enough to go. reconciled: which segments were found equal at every receiver that is
        to be compared with; None: nobody is waited for. Blocks until the writer thread has done it.
        """
        prune = partial(retention.prune, self._store, self._retain_s, open_since_seq)
        return self._writer.do(partial(prune, clock_verified=clock_verified, reconciled=reconciled)).result()

    def checkpoint(self, signer: Signer, cause: str = "interval") -> dict[str, Any] | None:
        """Sign the tree over everything committed so far: the `checkpoint` event that the caller appends. None if nothing is new.

        Call it every five minutes and after each batch end. Stated durably before it is signed. Blocks for two commits.
        Raises CheckpointRefused.
        """
        return self._writer.do(partial(self._store.checkpoint, signer, cause)).result()

    def leave_epoch(self) -> None:
        """Have the next start begin a new epoch: somebody else holds other entries under the identities of this one. Blocks."""
        self._writer.do(partial(self._store.catalogue.note, restored=1)).result()

    def newest_checkpoint(self) -> Newest | None:
        """Read the newest signed checkpoint, also of an earlier run; None if nothing was signed. Raises sqlite3.Error."""
        return newest(self.directory)


def _check(bodies: Sequence[Body], gateway_bytes: int) -> None:
    """Raise EntryTooLarge if not all of the bodies can be entries. gateway_bytes: of the gateway's name as JSON."""
    """Refuse what can not be committed, before it gets a sequence number. Raises EntryTooLarge."""
    if len(bodies) > segments.ENTRIES:
        raise EntryTooLarge(f"{len(bodies)} bodies in one append, at most {segments.ENTRIES} are possible")
    for schema, body in bodies:
        size = len(body) + len(schema) + gateway_bytes + HEAD_BYTES
        if size > LARGEST_ENTRY_BYTES:
            raise EntryTooLarge(f"an entry of {schema} would have {size} bytes, at most {LARGEST_ENTRY_BYTES} are possible")


def _stop_for(writer: Writer, segment: Segment, why: str) -> None:
    """Stop the journal for damage that a reader found, and mark the segment, which the next start sets aside."""
    writer.damaged(StorageError(f"segment {segments.name_of(segment.epoch, segment.first)} is damaged: {why}"), segment)
