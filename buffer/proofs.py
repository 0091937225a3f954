"""Read a journal's tree from its files, for proofs: roots of closed segments from journal.db, everything else computed from the entries."""

import base64
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.errors import StorageError


class SignedCheckpoint(NamedTuple):
    """One signed checkpoint: a row of journal.db's table `checkpoints`."""

    epoch: int
    size: int
    root: bytes
    note: str


class Newest(NamedTuple):
    """The newest signed checkpoint of a journal. note: the C2SP note; ticks: when it was made durable."""

    note: str
    ticks: int


def newest(directory: Path) -> Newest | None:
    """Read the newest signed checkpoint of a journal, running or not; None if nothing was signed. Raises sqlite3.Error."""
    path = directory / "journal.db"
    with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
        row = db.execute("SELECT note, ticks FROM checkpoints WHERE note IS NOT NULL ORDER BY epoch DESC, size DESC LIMIT 1").fetchone()
    return Newest(*row) if row else None


def newest_note(directory: Path) -> str | None:
    """Read the note of the newest signed checkpoint; None if there is none. Raises sqlite3.Error."""
    checkpoint = newest(directory)
    return checkpoint.note if checkpoint else None


class EpochTree:
    """The tree over one epoch's entries, read from a journal's folder, running or not."""

    def __init__(self, directory: Path, epoch: int) -> None:
        self.directory, self.epoch = directory, epoch
        path = directory / "journal.db"
        with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
            rows = db.execute("SELECT first, last, root FROM segments WHERE epoch = ? ORDER BY first", (epoch,)).fetchall()
            notes = "SELECT epoch, size, root, note FROM checkpoints WHERE epoch = ? AND note IS NOT NULL ORDER BY size"
            self.checkpoints = [SignedCheckpoint(*row) for row in db.execute(notes, (epoch,))]
        self._roots = {first: root for first, last, root in rows if root is not None and last == segments.last_of(first)}
        self._leaves: dict[int, list[bytes]] = {}

    def covering(self, last: int) -> SignedCheckpoint | None:
        """Return the smallest signed checkpoint that covers entry `last`; None if none does yet."""
        return next((checkpoint for checkpoint in self.checkpoints if checkpoint.size >= last), None)

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash of entry index + 1. Raises StorageError on damage."""
        first = segments.first_of(index + 1)
        return self._of_segment(first)[index + 1 - first]

    def subtree(self, low: int, high: int) -> bytes:
        """Return the root over the leaves [low, high), a range into which RFC 6962 splits some tree."""
        tree = chain.Tree()
        at = low
        while at < high:
            first = at + 1
            if at % segments.ENTRIES == 0 and high - at >= segments.ENTRIES and first in self._roots:
                tree.append(self._roots[first], segments.ENTRIES)
                at += segments.ENTRIES
            else:
                tree.append(self.leaf(at))
                at += 1
        return tree.root()

    def others(self, known_leaves: Iterable[int], size: int) -> list[bytes]:
        """Return the roots of the largest subtrees that hold none of the known leaves, left to right, in a tree of `size` leaves.

        With them a verifier who has only the known leaves computes the root.
        """
        leaves = sorted(set(known_leaves))
        roots: list[bytes] = []

        def walk(low: int, high: int, at: int, end: int) -> None:
            if at == end:
                roots.append(self.subtree(low, high))
            elif high - low > 1 and high - low != end - at:
                cut = low + chain.split(high - low)
                middle = at
                while middle < end and leaves[middle] < cut:
                    middle += 1
                walk(low, cut, at, middle)
                walk(cut, high, middle, end)

        walk(0, size, 0, len(leaves))
        return roots

    def _of_segment(self, first: int) -> list[bytes]:
        if first not in self._leaves:
            path = self.directory / "segments" / segments.name_of(self.epoch, first)
            try:
                with closing(sqlite.reader(path, closed=not path.with_name(path.name + "-wal").exists())) as db:
                    entries = segments.entries(db, self.epoch, 0, segments.last_of(first))
                    self._leaves[first] = [chain.leaf(entry.payload) for entry in entries]
            except (sqlite3.Error, segments.Damaged) as error:
                raise StorageError(f"{path.name}: {error}") from error
        return self._leaves[first]


def coded(hashes: Iterable[bytes]) -> list[str]:
    """Encode hashes as base64, for JSON."""
    return [base64.b64encode(digest).decode() for digest in hashes]
