"""Says what of an interval a journal does not hold, and whether the gaps that are told can be all of them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.entries.held import MOST_HOLES, Held, Span, goes_on
from gateway.validation.fallback.rows import NOT_HELD, NOT_KNOWN, Row, gap_row

_BEFORE = "the journal holds nothing of before this: not begun, or removed by retention"
_AFTER = "the journal holds nothing of after this: no gateway wrote"
_MISSING = "entries are missing here: removed, or lost with a part of the journal"
_EPOCHS = "another journal goes on here ({}): what was written between, if anything, is lost"
_MORE = f"more than {MOST_HOLES:,} times of which entries are missing: from here on they are not told one by one"
_OPENED = (
    "what was open when the oldest entry that is held was made, nobody can tell: entries before it were removed, and no state tells it"
)


class Reach:
    """Told of each entry in order."""

    def __init__(self, begin: int, end: int, stood_at: int | None) -> None:
        """begin, end: ticks of the interval. stood_at: ticks to which a state tells what was open; None: no state does."""
        self._begin, self._end, self._stood_at = begin, end, stood_at
        self._held = Held(Span(begin, end))
        self._before: tuple[int, int, int] | None = None
        self._epochs: list[tuple[Span, str]] = []
        self.first: int | None = None
        self.last: int | None = None

    def take(self, epoch: int, seq: int, ticks: int, event: Mapping[str, Any] | None) -> None:
        """Take the place and the time of an entry. event: of the beginning of an epoch."""
        reason = "" if event is None else str(event.get("reason"))
        self._held.take(epoch, seq, ticks, event)
        before, self._before = self._before, (epoch, seq, ticks)
        if before is not None and epoch != before[0] and not goes_on(before[:2], event if seq == 1 else None):
            hole = Span(before[2], ticks).clipped(self._begin, self._end)
            self._epochs += [] if hole is None else [(hole, _EPOCHS.format(reason or "no word of why"))]
        self.first = ticks if self.first is None else min(self.first, ticks)
        self.last = ticks if self.last is None else max(self.last, ticks)

    def rows(self) -> Iterator[Row]:
        """Yield what is not held of the interval; none: all of it is, and every gap in it is told."""
        if self.first is None or self.first > self._begin:
            yield gap_row(NOT_HELD, self._begin, self._end if self.first is None else min(self.first, self._end), _BEFORE)
        elif not self._held.began and (self._stood_at is None or self._stood_at < self.first):
            yield gap_row(NOT_KNOWN, self._begin, self._end, _OPENED)
        told = [hole for hole, _ in self._epochs]
        for hole in self._held.holes:
            if hole not in told and not (hole.begin == self._begin and hole.end == self.first):
                yield gap_row(NOT_HELD, *hole, _MISSING)
        for hole, why in self._epochs:
            yield gap_row(NOT_HELD, *hole, why)
        if self._held.more_holes:
            yield gap_row(NOT_HELD, self._held.holes[-1].end, self._end, _MORE)
        if self.last is not None and self.last < self._end:
            yield gap_row(NOT_HELD, max(self.last, self._begin), self._end, _AFTER)
