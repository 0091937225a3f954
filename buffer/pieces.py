"""Read a journal's epochs piece by piece, for a comparison with who holds the same: how many entries each piece has, and their root.

A piece lies within one segment, so never more than 4,096 entries are looked at. Of a whole closed segment the root stands in journal.db,
also after it was pruned; of everything else it is computed from the entries, each compared with its digest.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.errors import StorageError
from buffer.segment import Damaged, Entry

NOT_KNOWN = "nothing is known here of these entries: they went before journal.db was made anew"
NO_ROOT = "pruned here, and no root was kept: entries of it had been lost before"
IN_PART = "pruned here: only the root of the whole segment was kept"
NOT_OF_SOME = "pruned here: no root was kept of these entries alone"
Names = Callable[[Entry], str | None]
"""Names the entries that are compared; None: this one is not."""
Roots = dict[tuple[int, int], tuple[int, bytes]]
"""Count and root of the named entries of closed segments: they never change, and each is read once."""


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


class _Leaves(NamedTuple):
    """Of a segment: its last entry, and leaf hashes and names of those that are compared, by seq."""

    last: int
    of: dict[int, bytes]
    names: dict[int, str]


class Pieces:
    """The pieces of a journal's folder, running or not. Raises sqlite3.Error if journal.db can not be read.

    names: only the entries that it names are counted, so each segment has to be read. roots: what was computed of these before.
    """

    def __init__(self, directory: Path, names: Names | None = None, roots: Roots | None = None) -> None:
        self._directory, self._names = directory, names
        self._roots: Roots = {} if roots is None else roots
        path = directory / "journal.db"
        with closing(sqlite.reader(path, closed=not path.with_name("journal.db-wal").exists())) as db:
            rows = db.execute("SELECT epoch, first, last, state, root FROM segments ORDER BY epoch, first").fetchall()
        self._rows = {(epoch, first): _Row(last, state, root) for epoch, first, last, state, root in rows}
        self._leaves: tuple[tuple[int, int], _Leaves] | None = None  # of the segment read last

    def epochs(self) -> dict[int, tuple[int, int]]:
        """Return the first and the last entry that is known of each epoch, pruned ones too; one that has none yet is left out."""
        known: dict[int, tuple[int, int]] = {}
        for (epoch, first), row in self._rows.items():
            last = row.last if row.last is not None else self._read(epoch, first).last
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
        return {seq: leaf for seq, leaf in self._read(epoch, segments.first_of(first)).of.items() if first <= seq <= last}

    def names(self, epoch: int, first: int, last: int) -> dict[int, str]:
        """Return the names of the entries that are compared, from `first` to `last`, which lie in one segment, by seq."""
        return {seq: name for seq, name in self._read(epoch, segments.first_of(first)).names.items() if first <= seq <= last}

    def _piece(self, epoch: int, start: int, first: int, last: int) -> Piece:
        row = self._rows.get((epoch, start))
        if row is None:
            return Piece(epoch, first, last, 0, None, held=False, why=NOT_KNOWN)
        whole = row.last is not None and first == start and last >= row.last
        if row.state == "pruned" and self._names is not None:
            return Piece(epoch, first, last, 0, None, held=False, whole=whole, why=NOT_OF_SOME)
        if row.state == "pruned":
            why = "" if whole and row.root else IN_PART if row.root else NO_ROOT
            end = min(last, row.last or last)
            return Piece(epoch, first, last, end - first + 1, None if why else row.root, held=False, whole=whole, why=why)
        is_closed = whole and row.root is not None and row.state == "closed"
        if is_closed and (epoch, start) in self._roots:
            return Piece(epoch, first, last, *self._roots[epoch, start], held=True, whole=True)
        if is_closed and self._names is None:
            return Piece(epoch, first, last, (row.last or last) - first + 1, row.root, held=True, whole=True)
        try:
            found = self.leaves(epoch, first, last)
        except StorageError as error:
            return Piece(epoch, first, last, 0, None, held=False, why=f"can not be read here: {error}")
        made = Piece(epoch, first, last, len(found), chain.root(list(found.values())), held=True, whole=whole)
        if is_closed and made.root is not None:
            self._roots[epoch, start] = made.entries, made.root
        return made

    def _read(self, epoch: int, start: int) -> "_Leaves":
        if self._leaves is None or self._leaves[0] != (epoch, start):
            self._leaves = (epoch, start), self._from_file(epoch, start)
        return self._leaves[1]

    def _from_file(self, epoch: int, start: int) -> "_Leaves":
        path = self._directory / "segments" / segments.name_of(epoch, start)
        try:
            with closing(sqlite.reader(path, closed=not path.with_name(path.name + "-wal").exists())) as db:
                if segments.is_bare(db):
                    return _Leaves(0, {}, {})
                return self._taken(segments.entries(db, epoch, 0, segments.last_of(start)))
        except (sqlite3.Error, Damaged) as error:
            raise StorageError(f"{path.name}: {error}") from error

    def _taken(self, entries: Iterator[Entry]) -> "_Leaves":
        made = _Leaves(0, {}, {})
        for each in entries:
            made = made._replace(last=each.seq)
            name = None if self._names is None else self._names(each)
            if name is not None:
                made.names[each.seq] = name
            if name is not None or self._names is None:
                made.of[each.seq] = chain.leaf(each.payload)
        return made
