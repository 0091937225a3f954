"""Read a journal's epochs piece by piece, for a comparison with who holds the same: how many entries each piece has, and their root.

A piece lies within one segment, so never more than 4,096 entries are looked at. Of a whole closed segment the root stands in journal.db,
also after it was pruned; of everything else it is computed from the entries, each compared with its digest.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.errors import StorageError
from buffer.segment import Damaged

NOT_KNOWN = "nothing is known here of these entries: they went before journal.db was made anew"
NO_ROOT = "pruned here, and no root was kept: entries of it had been lost before"
IN_PART = "pruned here: only the root of the whole segment was kept"


class Piece(NamedTuple):
    """Entries `first` to `last` of an epoch, within one segment.

    entries: how many of them there are. root: RFC 6962 over their leaf hashes; None: `why` says what is in the way. held: each of them can
    be read. whole: this is all of a segment that is closed, by which retention counts.
    """

    epoch: int
    first: int
    last: int
    entries: int
    root: bytes | None
    held: bool
    whole: bool = False
    why: str = ""


class _Row(NamedTuple):
    last: int | None
    state: str
    root: bytes | None


class Pieces:
    """The pieces of a journal's folder, running or not. Raises sqlite3.Error if journal.db can not be read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        path = directory / "journal.db"
        with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
            rows = db.execute("SELECT epoch, first, last, state, root FROM segments ORDER BY epoch, first").fetchall()
        self._rows = {(epoch, first): _Row(last, state, root) for epoch, first, last, state, root in rows}
        self._leaves: tuple[tuple[int, int], dict[int, bytes]] | None = None  # of the segment read last

    def epochs(self) -> dict[int, tuple[int, int]]:
        """Return the first and the last entry that is known of each epoch, pruned ones too; one that has none yet is left out."""
        known: dict[int, tuple[int, int]] = {}
        for (epoch, first), row in self._rows.items():
            last = row.last if row.last is not None else max(self._read(epoch, first), default=0)
            if last >= first:
                known[epoch] = known.get(epoch, (first, 0))[0], last
        return known

    def held(self, epoch: int) -> tuple[int, int] | None:
        """Return the first and the last entry of an epoch of which the segments are held; None if none is."""
        firsts = [first for (of, first), row in self._rows.items() if of == epoch and row.state not in ("pruned", "damaged")]
        return (min(firsts), self.epochs()[epoch][1]) if firsts and epoch in self.epochs() else None

    def cut(self, epoch: int, first: int, last: int) -> Iterator[Piece]:
        """Yield the pieces of a range, in order, cut where segments begin. Raises nothing: what can not be read says so in `why`."""
        for start in range(segments.first_of(first), last + 1, segments.ENTRIES):
            yield self._piece(epoch, start, max(first, start), min(last, segments.last_of(start)))

    def leaves(self, epoch: int, first: int, last: int) -> dict[int, bytes]:
        """Return the leaf hashes of the entries held from `first` to `last`, which lie in one segment, by seq. Raises StorageError."""
        return {seq: leaf for seq, leaf in self._read(epoch, segments.first_of(first)).items() if first <= seq <= last}

    def _piece(self, epoch: int, start: int, first: int, last: int) -> Piece:
        row = self._rows.get((epoch, start))
        if row is None:
            return Piece(epoch, first, last, 0, None, held=False, why=NOT_KNOWN)
        whole = row.last is not None and first == start and last >= row.last
        if row.state == "pruned":
            why = "" if whole and row.root else IN_PART if row.root else NO_ROOT
            end = min(last, row.last or last)
            return Piece(epoch, first, last, end - first + 1, None if why else row.root, held=False, whole=whole, why=why)
        if whole and row.root is not None and row.state == "closed":
            return Piece(epoch, first, last, (row.last or last) - first + 1, row.root, held=True, whole=True)
        try:
            found = self.leaves(epoch, first, last)
        except StorageError as error:
            return Piece(epoch, first, last, 0, None, held=False, why=f"can not be read here: {error}")
        return Piece(epoch, first, last, len(found), chain.root(list(found.values())), held=True, whole=whole)

    def _read(self, epoch: int, start: int) -> dict[int, bytes]:
        if self._leaves is None or self._leaves[0] != (epoch, start):
            self._leaves = (epoch, start), self._from_file(epoch, start)
        return self._leaves[1]

    def _from_file(self, epoch: int, start: int) -> dict[int, bytes]:
        path = self._directory / "segments" / segments.name_of(epoch, start)
        try:
            with closing(sqlite.reader(path, closed=not path.with_name(path.name + "-wal").exists())) as db:
                if segments.is_bare(db):
                    return {}
                return {each.seq: chain.leaf(each.payload) for each in segments.entries(db, epoch, 0, segments.last_of(start))}
        except (sqlite3.Error, Damaged) as error:
            raise StorageError(f"{path.name}: {error}") from error
