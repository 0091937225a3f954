"""The latest readings of one source, in memory, for people who look: lists as they came, bounded, and not looked into until somebody asks.

What came from a source's history is no present value, and is left out. A restart begins with nothing; the record is in the journal.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.entries.bodies import Row
from gateway.entries.fold_input import Authority, event_ticks
from gateway.intake.readings import Instants

MOST_OF_LINE = 200_000
"""Readings of all sources together that are remembered: some 30 MB."""
MOST, LEAST = 20_000, 500
"""Of one source."""


class Point(NamedTuple):
    """One reading as it was stored. ticks: its event time."""

    ticks: int
    value: Any
    raw: Any
    status: int


class _List(NamedTuple):
    rows: Sequence[Row]
    io: Instants
    is_trusted: bool


class Recent:
    """Remembers the latest lists of one source. authorities: by tag, whose time is the event's."""

    def __init__(self, authorities: Sequence[Authority], most: int = MOST) -> None:
        """most: how many readings are remembered; the newest of each tag is remembered beyond that."""
        self._authorities, self._most = authorities, most
        self._lists: deque[_List] = deque()
        self._count = 0
        self._older: dict[int, tuple[Row, _List]] = {}

    def take(self, rows: Sequence[Row], io: Instants, *, is_trusted: bool) -> None:
        """Remember a list that was stored. is_trusted: the source's clock is within its limit."""
        if not rows or rows[0][4] == "backfill":
            return
        self._lists.append(_List(rows, io, is_trusted))
        self._count += len(rows)
        while self._count > self._most and len(self._lists) > 1:
            oldest = self._lists.popleft()
            self._count -= len(oldest.rows)
            self._older |= {row[0]: (row, oldest) for row in oldest.rows}

    def latest(self) -> dict[int, Point]:
        """Return the newest reading of each tag that has one: tag index -> reading."""
        newest = self._older | {row[0]: (row, one) for one in self._lists for row in one.rows}
        return {index: self._point(row, one) for index, (row, one) in newest.items()}

    def trend(self, tag: int) -> list[Point]:
        """Return what is remembered of one tag, in the order in which it came."""
        return [self._point(row, one) for one in self._lists for row in one.rows if row[0] == tag]

    def values(self, most: int) -> dict[int, list[Any]]:
        """Return the latest values of each tag, in order, of the newest `most` readings of the source."""
        found: dict[int, list[Any]] = {}
        seen = 0
        for one in reversed(self._lists):
            for row in reversed(one.rows):
                found.setdefault(row[0], []).append(row[1])
            seen += len(one.rows)
            if seen >= most:
                break
        return {tag: values[::-1] for tag, values in found.items()}

    def _point(self, row: Row, one: _List) -> Point:
        tag, value, raw, status, _, source, server = row
        authority = self._authorities[tag]
        ticks = event_ticks(authority, source, server, one.io.requested, one.io.received, trusted=one.is_trusted)
        return Point(ticks, value, raw, status)


def share(sources: int) -> int:
    """Return how many readings are remembered of each of so many sources."""
    return max(LEAST, min(MOST, MOST_OF_LINE // max(1, sources)))
