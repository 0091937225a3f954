"""Which part of a period the journal still holds: where it begins, where entries are missing, where it ends. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gateway.entries.ticks import TICKS_PER_S

MOST_HOLES = 1_000
MOST_SILENT_TICKS = 3_600 * TICKS_PER_S
"""A gateway that runs makes an entry each ten seconds: no entry for an hour at the end of a period, and none after it, is not held."""


class Span(NamedTuple):
    """A time, in ticks; the end does not belong to it."""

    begin: int
    end: int

    def clipped(self, begin: int, end: int) -> "Span | None":
        """Return what of it lies within; None if nothing does."""
        first, last = max(self.begin, begin), min(self.end, end)
        return Span(first, last) if first < last else None

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return (self.end - self.begin) / TICKS_PER_S


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap or touch: two gaps of one source at a time hide it once."""
    told: list[Span] = []
    for each in sorted(spans):
        if told and each.begin <= told[-1].end:
            told[-1] = Span(told[-1].begin, max(told[-1].end, each.end))
        else:
            told.append(each)
    return told


def goes_on(before: tuple[int, int], event: Mapping[str, Any] | None) -> bool:
    """Return whether an epoch follows the last entry of the one before without a loss. event: its first entry; None if that says nothing.

    Only a salvage that found everything knows that nothing came after: a copy and a restore can not (docs/journal.md).
    """
    if event is None or event.get("tail") != "whole" or event.get("lost"):
        return False
    return (event.get("follows"), event.get("last_seq")) == before


@dataclass(slots=True)
class Held:
    """What of a period is held. Told of each entry in order: (epoch, seq, ticks)."""

    period: Span
    entries: int = 0
    first: int | None = None
    last: int | None = None
    holes: list[Span] = field(default_factory=list)
    more_holes: int = 0
    began: bool = False
    _before: tuple[int, int, int] | None = None

    def take(self, epoch: int, seq: int, ticks: int, begins: Mapping[str, Any] | None = None) -> None:
        """Take the place and the time of an entry. begins: its event, if with that one an epoch begins (type `epoch`)."""
        before, self._before = self._before, (epoch, seq, ticks)
        told = begins if seq == 1 else None
        if before is None:
            self.began = told is not None and told.get("reason") == "created"
            if not self.began:
                self._hole(min(self.period.begin, ticks), ticks)
        elif (epoch, seq) != (before[0], before[1] + 1) and not (epoch > before[0] and goes_on(before[:2], told)):
            self._hole(before[2], ticks)
        if self.period.begin <= ticks < self.period.end:
            self.entries += 1
            self.first = ticks if self.first is None else self.first
            self.last = ticks

    def ended(self) -> None:
        """Take that there is no further entry: who does not run tells of no gap before the next start."""
        last = self.period.begin if self._before is None else self._before[2]
        if self._before is None or self.period.end - last > MOST_SILENT_TICKS:
            self._hole(last, self.period.end)

    def _hole(self, begin: int, end: int) -> None:
        clipped = Span(begin, end).clipped(*self.period)
        if clipped is None:
            return
        if len(self.holes) < MOST_HOLES:
            self.holes.append(clipped)
        else:
            self.more_holes += 1

    def spans(self) -> list[Span]:
        """Return the times of the period of which entries are held, or were made: not before the journal began."""
        begin = self.first if self.began and self.first is not None else self.period.begin
        told, at = [], begin
        for hole in sorted(self.holes):
            if hole.begin > at:
                told.append(Span(at, hole.begin))
            at = max(at, hole.end)
        end = min(self.period.end, at if self._before is None else self._before[2])
        return [*told, *([Span(at, end)] if at < end else [])]


class Calendar(NamedTuple):
    """The months of a period on a line's wall clock. begins: RFC 3339 with Z, without fractions, by which texts are compared."""

    names: tuple[str, ...]
    begins: tuple[str, ...]
    spans: tuple[tuple[str, Span], ...]
    """Each month with the part of it that lies in the period."""

    @classmethod
    def of(cls, period: Span, zone: ZoneInfo) -> "Calendar":
        """Divide a period."""
        names, begins, spans = [], [], []
        at = _local(period.begin, zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while _ticks(at) < period.end:
            following = (at + timedelta(days=32)).replace(day=1)
            clipped = Span(_ticks(at), _ticks(following)).clipped(*period)
            if clipped is not None:
                names.append(f"{at:%Y-%m}")
                begins.append(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")
                spans.append((names[-1], clipped))
            at = following
        return cls(tuple(names), tuple(begins), tuple(spans))

    def month(self, text: str) -> str:
        """Return the month of an instant as the journal writes it; "" of one before the first."""
        at = bisect_right(self.begins, text[:19]) - 1
        return self.names[at] if at >= 0 else ""


def _local(ticks: int, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).astimezone(zone)


def _ticks(at: datetime) -> int:
    return round((at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 10
