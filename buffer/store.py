"""The journal's files as the writer thread holds them: journal.db, the growing segment, the directory's lock, the ballast.

Life of a segment's file: `_create` (the file, then its row in journal.db), commits, `_retire` when it is full (it counts as full in the
view at once), `_close_full` between commits (log emptied, mode 0440, SHA-256, row), later `retention.prune`. Each order is such that a
crash between two steps leaves a state that the next start recognises: see `opening`.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from buffer import segment as segments
from buffer import sqlite, watermarks
from buffer.catalogue import Catalogue, Segment
from buffer.chain import Tree, root
from buffer.committed import CommittedView
from buffer.errors import CheckpointRefused, StorageError
from buffer.keys import Signer, checkpoint_text
from buffer.origin import Origin, Seen
from buffer.receipts import Receipts
from buffer.segment import Entry, Fact, Row
from buffer.space import Space
from buffer.times import now_ticks

SUMS = "SHA256SUMS"
CHECKPOINT_BYTES = 16 << 20
"""Growth of the active segment's log after which it is emptied."""
COMMIT_OVERHEAD_BYTES = 12_288
"""Bytes that one commit adds to the log beside the payloads, about three pages."""
ROW_OVERHEAD_BYTES = 270
"""Bytes that an entry takes in a closed segment beside its payload: digest, total, key, free space of pages; measured."""
SAVE_EVERY_S = 1.0
"""Interval at which cursors are written and space is looked at. A cursor that a crash loses costs a resend, never an entry."""
SAVES_PER_CHECKPOINT = 200
"""Writes of the cursors after which journal.db's log is emptied."""


class Store:
    """The open journal. Belongs to the writer thread, but for `view` and `receipts`, which guard themselves.

    digest: of the last committed entry. leaves: leaf hashes of the active segment. tree: over all entries of the epoch. signed_size:
    entries under the newest checkpoint of this run. pending_removal: segments that `prune` named, with the last entry committed then.
    """

    def __init__(
        self, directory: Path, gateway: str, catalogue: Catalogue, view: CommittedView, receipts: Receipts, lock: int, max_bytes: int,
        origin: Origin,
    ) -> None:  # fmt: skip
        self.directory, self.gateway = directory, gateway
        self._origin, self._seen = origin, Seen(0, 0, "")
        self.catalogue, self.view, self.receipts = catalogue, view, receipts
        self.space = Space(directory, view, max_bytes)
        self.digest = bytes(32)
        self.leaves: list[bytes] = []
        self.tree = Tree()
        self.active: Segment | None = None
        self.signed_size = 0
        self.blocked_by: str | None = None
        self._locked_out: str | None = None  # until cursors could be saved again
        self.holds: dict[str, tuple[int, int, int | None]] = {}
        self.dated: set[tuple[int, int]] | None = None  # segments whose date was looked at; None: not yet
        self.pending_removal: dict[tuple[int, int], tuple[int, int]] = {}
        self._db: sqlite3.Connection | None = None
        self._unclosed: list[tuple[sqlite3.Connection, Segment]] = []
        self._lock = lock
        self._saves = 0
        self._since_checkpoint = 0
        self._saved_s = time.monotonic()

    # ------------------------------------------------------------------ growing

    @property
    def room(self) -> int:
        """Number of entries that the active segment still takes."""
        return segments.last_of(self.active.first) - self.view.seq if self.active else 0

    def adopt(self, active: Segment, db: sqlite3.Connection, leaves: list[bytes]) -> None:
        """Go on with a segment found at the start."""
        self.active, self._db, self.leaves = active, db, leaves

    def commit(self, rows: Sequence[Row], facts: Mapping[str, Fact | None]) -> None:
        """Make rows and facts durable in the active segment."""
        assert self._db is not None
        segments.insert(self._db, rows, facts)
        self._count(rows)

    def commit_across(self, rows: Sequence[Row], facts: Mapping[str, Fact | None], leaves: Sequence[bytes]) -> None:
        """Make rows durable that end this segment and begin the next: all or none, although they are two files.

        The next segment is written first; the commit in this one makes both count. A next segment that lies beside one that is not full
        holds nothing that was promised, and the next start removes it (`opening._never_counted`).
        """
        assert self._db is not None
        assert self.active is not None
        room, old_db = self.room, self._db
        tail, head = rows[:room], rows[room:]
        # `across` is written into the new file: its first entries count only if the append that begins there is complete in the old one.
        new, db = self._create(tail[-1][0] + 1, tail[-1][1], tail[-1][2], across=rows[0][0])
        try:
            # The facts go with the new segment alone: should its commit not count, those of the old one still hold.
            segments.insert(db, head, watermarks.held({**self.view.facts, **facts}))
            segments.insert(old_db, tail, {})
        except BaseException:
            self._discard(new, db)
            raise
        self._count(rows)
        for hash_ in leaves:
            self.tree.append(hash_)
        self.leaves += leaves[:room]
        self._retire(tail[-1][1], tail[-1][2])
        self._activate(new, db)
        self.leaves = list(leaves[room:])

    def turn(self) -> None:
        """Begin the next segment, and put the full one up for closing if there is one."""
        new, db = self._create(self.view.seq + 1, self.digest, self.view.total)
        try:
            # A segment begins with all facts, so that the newest one alone is enough at a start, and older ones can be pruned.
            segments.insert(db, [], self.view.facts)
        except BaseException:
            self._discard(new, db)
            raise
        self._retire(self.digest, self.view.total)
        self._activate(new, db)

    def retire(self, last: int) -> None:
        """Put the active segment up for closing, full or not; afterwards none is active."""
        self._retire(self.digest, self.view.total, last)
        self.active = self._db = None

    def note_commit(self, last: Entry | None, leaves: Sequence[bytes]) -> None:
        """Advance the chain's end and the tree by what the last commit added."""
        if last is not None:
            self.digest = bytes.fromhex(last.digest)
        for hash_ in leaves:
            self.tree.append(hash_)
        self.leaves += leaves

    def refuse_read_only(self) -> None:
        """Raise StorageError if the file system has been made read-only: ext4 then answers "done" to an fsync, and writes nothing.

        Called after a commit and before its promise. Asks the lock's descriptor, because a path may lead elsewhere by now.
        """
        if os.fstatvfs(self._lock).f_flag & os.ST_RDONLY:
            raise StorageError("the file system is mounted read-only: what is written does not reach the disk")

    def _count(self, rows: Sequence[Row]) -> None:
        size = sum(len(row[3]) for row in rows)
        self._since_checkpoint += size + COMMIT_OVERHEAD_BYTES  # of the log, which comes and goes
        self.space.committed_bytes += size + ROW_OVERHEAD_BYTES * len(rows)  # of the segment, which stays

    def _create(self, first: int, previous: bytes, before: int, across: int | None = None) -> tuple[Segment, sqlite3.Connection]:
        new = Segment(self.view.epoch, first, previous=previous, before=before)
        about = {"gateway": self.gateway, "epoch": new.epoch, "first": first, "previous": previous.hex(), "across": across}
        # The file before its row: the next start removes or takes in a file without a row; a row without a file would look like damage.
        path = self.view.path(new)
        try:
            db = segments.create(path, about)
        except sqlite3.OperationalError:
            remove(path)  # it is not in journal.db yet, and holds nothing
            raise
        sqlite.shorten_lock_wait(db)
        try:
            self.catalogue.put_segments([new])
        except BaseException:
            self._discard(new, db)
            raise
        return new, db

    def shorten_lock_wait(self) -> None:
        """Have foreign locks reported soon, now that recovery is over."""
        for db in (self.catalogue.db, self._db):
            if db is not None:
                sqlite.shorten_lock_wait(db)

    def _discard(self, new: Segment, db: sqlite3.Connection) -> None:
        db.close()
        with suppress(sqlite3.OperationalError):  # a full disk: the next start finds the row without a file, and nothing was promised
            self.catalogue.forget_segment(new.epoch, new.first)  # first: a file without a row is known for what it is, see `verify`
        remove(self.view.path(new))

    def _retire(self, digest: bytes, total: int, last: int | None = None) -> None:
        """Put the active segment up for closing: give it its end, digest and root, by which journal.db will know it."""
        if self.active is None or self._db is None:
            return
        last = segments.last_of(self.active.first) if last is None else last
        full = replace(self.active, last=last, digest=digest, total=total, root=root(self.leaves))
        # Full in the view at once, because readers need its end; its file is closed when no reader holds it.
        _replace(self.view, self.active, full)
        self._unclosed.append((self._db, full))
        self.leaves = []

    def _activate(self, new: Segment, db: sqlite3.Connection) -> None:
        self.active, self._db = new, db
        with self.view.lock:
            self.view.segments.append(new)
        self._since_checkpoint = 0

    # ------------------------------------------------------------------ between commits

    def maintain(self) -> None:
        """Save cursors, empty the log, close full segments, watch the space. What a full disk or a lock refuses is done later."""
        try:
            self._close_full()
            if time.monotonic() >= self._saved_s + SAVE_EVERY_S:
                self.note_seen()
                if self.receipts.dirty:
                    self.save_receipts()
            if self._since_checkpoint > CHECKPOINT_BYTES and self._db is not None:
                # Emptied, never only reset: remains of an older generation under a frame cut short would look like damage.
                emptied = segments.checkpoint(self._db, whole=True)
                self._since_checkpoint = 0 if emptied else CHECKPOINT_BYTES * 3 // 4
            self.space.watch()
            self.blocked_by = self._locked_out or self._long_log()
        except sqlite3.OperationalError as error:
            if not sqlite.is_transient(error):
                raise
            if sqlite.primary_code(error) == sqlite3.SQLITE_BUSY:
                self._locked_out = "another program has locked journal.db or a segment: cursors and closed segments wait to be written"
                self.blocked_by = self._locked_out

    def _long_log(self) -> str | None:
        """Return a text if a reader outside the gateway keeps a log from being emptied; the log grows until its segment is full."""
        if self._since_checkpoint < CHECKPOINT_BYTES * 3 // 4 and not self._unclosed:
            return None
        size = self.view.wal_bytes()
        if size <= sqlite.WAL_LIMIT_BYTES:
            return None
        return f"another program has been reading the journal for long: its log has grown to {size / 1e6:.0f} MB and can not be emptied"

    def note_seen(self) -> None:
        """Write outside of the journal how far it has been committed, if it went on since."""
        seen = Seen(*self.view.last, self.digest.hex())
        if seen != self._seen:
            self._saved_s = time.monotonic()
            self._seen = seen
            self._origin.note(self.gateway, seen)

    def save_receipts(self) -> None:
        """Make cursors and quarantine durable."""
        self._saved_s = time.monotonic()
        try:
            self.receipts.save(self.catalogue)
            self._locked_out = None
            self._saves += 1
            if self._saves % SAVES_PER_CHECKPOINT == 0:
                segments.checkpoint(self.catalogue.db, whole=True)
        except sqlite3.OperationalError:
            self.receipts.dirty = True
            raise

    def _close_full(self) -> None:
        """Turn full segments into closed files, oldest first, as far as no reader holds them."""
        while self._unclosed:
            db, full = self._unclosed[0]
            path = self.view.path(full)
            # Readers open a growing file with its log, a closed one without: in this moment there must be none.
            with self.view.moving:
                if not segments.close(db, path):
                    return
                closed = replace(full, state="closed", file_bytes=path.stat().st_size, ticks=now_ticks(), sha256=file_sha256(path))
                _replace(self.view, full, closed)
            del self._unclosed[0]
            self.catalogue.put_segments([closed])

    def checkpoint(self, signer: Signer, cause: str) -> dict[str, Any] | None:
        """State the tree over all committed entries durably, then sign it: return the `checkpoint` event; None if there is nothing new.

        Raises CheckpointRefused if what would be signed contradicts an earlier statement.
        """
        epoch, size = self.view.last
        if size in {0, self.signed_size}:
            return None
        if self.tree.size != size:
            raise CheckpointRefused(f"the tree has {self.tree.size} leaves, the epoch {size} entries")
        root_now = self.tree.root()
        # Stated before it is signed: after a crash between the two, the same tree can be signed again, but never another one of this size.
        self.catalogue.state_checkpoint(epoch, size, root_now, now_ticks())
        self.refuse_read_only()
        note = signer.note(checkpoint_text(f"{self.gateway}/{epoch}", size, root_now))
        self.catalogue.sign_checkpoint(epoch, size, note)
        self.signed_size = size
        return {"type": "checkpoint", "size": size, "root": root_now.hex(), "note": note, "cause": cause}

    def free_ballast(self) -> None:
        """Give up the reserved space after a transaction that the full disk refused."""
        self.space.free_ballast()
        self._since_checkpoint = CHECKPOINT_BYTES + 1  # frames of the failed transaction must not look like damage later

    # ------------------------------------------------------------------ the end

    def close(self, *, clean: bool, suspects: Sequence[Segment] = ()) -> None:
        """Close all files, once. clean: every entry is in place, so the files' sums are written. suspects: for the next start to check."""
        if self._lock < 0:
            return  # a clean close met a full disk; the number of the lock may be somebody else's file by now
        try:
            if clean:
                self._close_cleanly()
            elif suspects:
                self.catalogue.suspect(suspects)
        finally:
            for db in [db for db, _ in self._unclosed] + [self._db, self.catalogue.db]:
                if db is not None:
                    db.close()
            if clean:
                self._write_sums()
            lock, self._lock = self._lock, -1
            os.close(lock)

    def _close_cleanly(self) -> None:
        self._close_full()
        self.save_receipts()
        self.note_seen()
        self.catalogue.note(clean=1)
        for db in (self._db, self.catalogue.db):
            if db is not None:
                segments.checkpoint(db, whole=True)

    def _write_sums(self) -> None:
        """Write the SHA-256 of all files, for `verify` (and `sha256sum -c`): any changed byte of a stopped journal is seen."""
        closed_sums = {self.view.path(segment): segment.sha256 for segment in self.view.segments if segment.sha256}
        paths = [self.directory / "journal.db", *(self.view.path(segment) for segment in self.view.segments)]
        lines = [f"{(closed_sums.get(path) or file_sha256(path)).hex()}  {path.relative_to(self.directory)}\n" for path in paths]
        part = self.directory / f"{SUMS}.part"
        sqlite.create(part)
        with part.open("r+b") as file:
            file.truncate()
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())
        part.rename(self.directory / SUMS)  # whole or not at all: half of it would accuse a good journal
        sqlite.sync_directory(self.directory)


def file_sha256(path: Path) -> bytes:
    """Return the SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def remove(path: Path) -> None:
    """Unlink a SQLite file with its logs, durably."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    sqlite.sync_directory(path.parent)


def _replace(view: CommittedView, old: Segment, new: Segment) -> None:
    with view.lock:
        view.segments[view.segments.index(old)] = new
