"""journal.db: the journal's knowledge of itself. Small, because all entries are in segments.

Belongs to the writer thread. Each method that writes is one durable transaction.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from buffer import sqlite
from buffer.errors import CheckpointRefused

FORMAT = "ebr-gateway/journal/1"
SCHEMA = """
CREATE TABLE about(name TEXT PRIMARY KEY, value);
CREATE TABLE epochs(epoch INTEGER PRIMARY KEY, event TEXT NOT NULL);
CREATE TABLE segments(epoch INTEGER, first INTEGER, last INTEGER, state TEXT NOT NULL, bytes INTEGER, before INTEGER, total INTEGER,
  ticks INTEGER, previous BLOB, digest BLOB, root BLOB, sha256 BLOB, PRIMARY KEY(epoch, first));
CREATE TABLE cursors(uplink TEXT PRIMARY KEY, required INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE TABLE quarantine(uplink TEXT, epoch INTEGER, seq INTEGER, code TEXT, retry TEXT, reason TEXT, ticks INTEGER, state TEXT NOT NULL,
  PRIMARY KEY(uplink, epoch, seq));
CREATE TABLE checkpoints(epoch INTEGER, size INTEGER, root BLOB NOT NULL, ticks INTEGER NOT NULL, note TEXT, PRIMARY KEY(epoch, size));
CREATE TABLE holds(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER);
"""
PUT_SEGMENT = "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
State = Literal["open", "closed", "pruned", "suspect", "damaged"]
"""open: it grows. closed: read-only. pruned: its file is gone by retention. suspect: a reader found damage, the next start looks at it.
damaged: nothing of it could be salvaged."""


@dataclass(slots=True)
class Segment:
    """One row of table `segments`. Everything but epoch, first and previous is known once the segment is closed.

    first, last: seqs. file_bytes: size of the file. before, total: bytes of the epoch's entries before first, and through last. ticks: when
    it was closed. previous: digest of the entry before first (None: journal.db was made anew, and
    nothing that can be read says it). digest: of last. root: of its subtree (None if entries of it are lost).
    sha256: of the closed file.
    """

    epoch: int
    first: int
    last: int | None = None
    state: State = "open"
    file_bytes: int = 0
    before: int = 0
    total: int = 0
    ticks: int = 0
    previous: bytes | None = b""
    digest: bytes | None = None
    root: bytes | None = None
    sha256: bytes | None = None

    @property
    def row(self) -> tuple[Any, ...]:
        """All columns, in the table's order."""
        return (
            *(self.epoch, self.first, self.last, self.state, self.file_bytes, self.before, self.total, self.ticks),
            *(self.previous, self.digest, self.root, self.sha256),
        )


class Catalogue:
    """The writing connection of journal.db."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite.writer(path)
        if not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'holds'").fetchone():
            self.db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        sqlite.sync_directory(path.parent)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction: all or nothing, durable at the end."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def about(self) -> dict[str, Any]:
        """Read the journal's own description (format, gateway, clean, doubt, restored, epoch_after), by name."""
        return dict(self.db.execute("SELECT name, value FROM about"))

    def note(self, **values: object) -> None:
        """Set values of the journal's own description."""
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", list(values.items()))

    def epochs(self) -> dict[int, dict[str, Any]]:
        """Return the `epoch` event of each epoch, in order."""
        return {epoch: json.loads(event) for epoch, event in self.db.execute("SELECT epoch, event FROM epochs ORDER BY epoch")}

    def begin_epoch(
        self, epoch: int, event: Mapping[str, Any], rebuilt: Iterable[Segment] = (), forgotten: Iterable[tuple[int, int]] = ()
    ) -> None:
        """Register a new epoch with the event that its first entry will hold.

        In the same transaction all that a salvage did takes effect: rows of rebuilt segments, and removal of those found empty.
        """
        with self.transaction() as db:
            db.execute("INSERT INTO epochs VALUES (?, ?)", (epoch, json.dumps(event)))
            self._settle(db, rebuilt, forgotten)

    def settle(self, rebuilt: Iterable[Segment], forgotten: Iterable[tuple[int, int]]) -> None:
        """Let a salvage take effect that needs no new epoch, because nothing was lost."""
        with self.transaction() as db:
            self._settle(db, rebuilt, forgotten)

    @staticmethod
    def _settle(db: sqlite3.Connection, rebuilt: Iterable[Segment], forgotten: Iterable[tuple[int, int]]) -> None:
        db.executemany(PUT_SEGMENT, [segment.row for segment in rebuilt])
        db.executemany("DELETE FROM segments WHERE epoch = ? AND first = ?", forgotten)
        db.execute("DELETE FROM about WHERE name = 'doubt'")

    def adopt_epoch(self, epoch: int, event: Mapping[str, Any]) -> None:
        """Register an epoch that is known from its segments alone."""
        with self.transaction() as db:
            db.execute("INSERT INTO epochs VALUES (?, ?)", (epoch, json.dumps(event)))

    def segments(self) -> list[Segment]:
        """Return all rows of `segments`, pruned and damaged ones too, in order."""
        return [Segment(*row) for row in self.db.execute("SELECT * FROM segments ORDER BY epoch, first")]

    def put_segments(self, segments: Iterable[Segment]) -> None:
        """Write rows of segments, new ones and changed ones."""
        with self.transaction() as db:
            rows = [segment.row for segment in segments]
            db.executemany(PUT_SEGMENT, rows)

    def forget_segment(self, epoch: int, first: int) -> None:
        """Remove the row of a segment that never came to be: nothing in it was promised."""
        with self.transaction() as db:
            db.execute("DELETE FROM segments WHERE epoch = ? AND first = ?", (epoch, first))

    def state_checkpoint(self, epoch: int, size: int, root: bytes, ticks: int) -> None:
        """Make durable what is about to be signed.

        Raises CheckpointRefused if another root was stated for this size, or a larger size before: a gateway that signs two trees of one
        epoch proves nothing any more.
        """
        with self.transaction() as db:
            row = db.execute("SELECT root FROM checkpoints WHERE epoch = ? AND size = ?", (epoch, size)).fetchone()
            more = db.execute("SELECT MAX(size) FROM checkpoints WHERE epoch = ?", (epoch,)).fetchone()[0]
            if (row and row[0] != root) or (more or 0) > size:
                raise CheckpointRefused(f"a different tree of {size} entries, or a larger one, was signed before")
            db.execute("INSERT OR IGNORE INTO checkpoints VALUES (?, ?, ?, ?, NULL)", (epoch, size, root, ticks))

    def sign_checkpoint(self, epoch: int, size: int, note: str) -> None:
        """Store the signed note of a checkpoint that was stated."""
        with self.transaction() as db:
            db.execute("UPDATE checkpoints SET note = ? WHERE epoch = ? AND size = ?", (note, epoch, size))

    def hold(self, name: str, epoch: int, first: int, last: int | None) -> None:
        """Keep entries of an epoch, from first to last (None: everything after), until `release`."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?)", (name, epoch, first, last))

    def release(self, name: str) -> None:
        """End a hold."""
        with self.transaction() as db:
            db.execute("DELETE FROM holds WHERE name = ?", (name,))

    def holds(self) -> dict[str, tuple[int, int, int | None]]:
        """Return all holds by name: (epoch, first, last or None)."""
        return {row[0]: (row[1], row[2], row[3]) for row in self.db.execute("SELECT name, epoch, first, last FROM holds")}

    def suspect(self, segments: Iterable[Segment]) -> None:
        """Mark closed segments for the next start, which checks them before anything else."""
        with self.transaction() as db:
            rows = [(segment.epoch, segment.first) for segment in segments]
            db.executemany("UPDATE segments SET state = 'suspect' WHERE epoch = ? AND first = ? AND state = 'closed'", rows)


class End(NamedTuple):
    """How an epoch ended. last: its last entry held then. known: the last one that was, those that were lost then included.

    is_certain: no entry can have stood after `known`. A receiver may hold more only of an epoch without.
    """

    last: int
    known: int
    is_certain: bool


def ends_of(epochs: Mapping[int, Mapping[str, Any]], current: int, held: Mapping[int, int]) -> dict[int, End]:
    """Return the end of each epoch that has ended.

    held: last seq held, by epoch. It alone tells of an epoch that no other says it follows: a journal.db that was made anew may not know.
    """
    ends = {epoch: End(last, last, is_certain=False) for epoch, last in held.items()}
    for event in epochs.values():
        if event["follows"] is not None:
            known = max([event["last_seq"], *(through for _, through in event["lost"])])
            ends[event["follows"]] = End(event["last_seq"], known, is_certain=event.get("tail", "whole") == "whole")
    return {epoch: end for epoch, end in ends.items() if epoch != current}
