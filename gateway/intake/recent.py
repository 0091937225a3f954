"""The latest readings of one source, in memory, for people who look: lists as they came, bounded, and not looked into until somebody asks.

What came from a source's history is no present value, and is left out. A restart begins with nothing; the record is in the journal.
"""

from collections import deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any, NamedTuple

from drivers.contract import Kind
from gateway.entries.bodies import Row
from gateway.entries.fold_input import Authority, event_ticks
from gateway.intake.by_column import Stored
from gateway.intake.readings import Instants

MOST_OF_LINE = 200_000
"""Readings of all sources together that are remembered: some 30 MB."""
MOST, LEAST = 20_000, 500
"""Of one source."""
MOST_LAYOUTS = 64
"""Lists in columns that are kept beyond that, one for each tuple of tags."""


class Point(NamedTuple):
    """One reading as it was stored. ticks: its event time."""

    ticks: int
    value: Any
    raw: Any
    status: int


class _List(NamedTuple):
    """A list as it was stored: rows, or columns. number: in which order lists came."""

    number: int
    kind: Kind
    stored: Sequence[Row] | Stored
    io: Instants
    is_trusted: bool

    @property
    def rows(self) -> Sequence[Row]:
        """Its rows; made of columns only when somebody looks."""
        if not isinstance(self.stored, Stored):
            return self.stored
        of, nothing = self.stored, repeat(None)
        columns = (nothing if each is None else each for each in (of.source, of.server))
        raw = nothing if of.raw is None else of.raw
        return [*zip(of.tags, of.values, raw, repeat(0), repeat(self.kind), *columns, strict=False)]


_Newest = dict[int, tuple[Row, _List]]


class Recent:
    """Remembers the latest lists of one source. authorities: by tag, whose time is the event's."""

    def __init__(self, authorities: Sequence[Authority], most: int = MOST) -> None:
        """most: how many readings are remembered; the newest of each tag is remembered beyond that."""
        self._authorities, self._most = authorities, most
        self._lists: deque[_List] = deque()
        self._number = self._count = 0
        self._older: _Newest = {}
        self._layouts: dict[int, _List] = {}  # id of the tags of a list in columns -> the newest list of these tags that was forgotten

    def take(self, stored: Sequence[Row] | Stored, io: Instants, kind: Kind, *, is_trusted: bool) -> None:
        """Remember a list that was stored. is_trusted: the source's clock is within its limit."""
        count = len(stored.tags) if isinstance(stored, Stored) else len(stored)
        if not count or kind == "backfill":
            return
        self._number += 1
        self._lists.append(_List(self._number, kind, stored, io, is_trusted))
        self._count += count
        while self._count > self._most and len(self._lists) > 1:
            self._forget(self._lists.popleft())

    def _forget(self, oldest: _List) -> None:
        """Keep of a list what may be the newest of a tag. A list in columns is kept whole in place of the one before of the same tags."""
        if not isinstance(oldest.stored, Stored):
            self._count -= len(oldest.stored)
            _update(self._older, oldest)
            return
        self._count -= len(oldest.stored.tags)
        self._layouts[id(oldest.stored.tags)] = oldest
        if len(self._layouts) > MOST_LAYOUTS:
            self._older = self._beyond()
            self._layouts.clear()

    def _beyond(self) -> _Newest:
        found = dict(self._older)
        for one in self._layouts.values():
            _update(found, one)
        return found

    def latest(self) -> dict[int, Point]:
        """Return the newest reading of each tag that has one: tag index -> reading."""
        newest = self._beyond() | {row[0]: (row, one) for one in self._lists for row in one.rows}
        return {index: self._point(row, one) for index, (row, one) in newest.items()}

    def trend(self, tag: int) -> list[Point]:
        """Return what is remembered of one tag, in the order in which it came."""
        return [self._point(row, one) for one in self._lists for row in one.rows if row[0] == tag]

    def values(self, most: int) -> dict[int, list[Any]]:
        """Return the latest values of each tag, in order, of the newest `most` readings of the source."""
        found: dict[int, list[Any]] = {}
        seen = 0
        for one in reversed(self._lists):
            rows = one.rows
            for row in reversed(rows):
                found.setdefault(row[0], []).append(row[1])
            seen += len(rows)
            if seen >= most:
                break
        return {tag: values[::-1] for tag, values in found.items()}

    def _point(self, row: Row, one: _List) -> Point:
        tag, value, raw, status, _, source, server = row
        authority = self._authorities[tag]
        ticks = event_ticks(authority, source, server, one.io.requested, one.io.received, trusted=one.is_trusted)
        return Point(ticks, value, raw, status)


def _update(newest: _Newest, one: _List) -> None:
    """Put the rows of a list in, where nothing newer stands."""
    for row in one.rows:
        if row[0] not in newest or newest[row[0]][1].number <= one.number:
            newest[row[0]] = (row, one)


def share(sources: int) -> int:
    """Return how many readings are remembered of each of so many sources."""
    return max(LEAST, min(MOST, MOST_OF_LINE // max(1, sources)))
