"""A tag's readings in event-time order, as far back as late ones may still come, and what cuts them.

The series rule (design, entries): readings with event time in [start, end), preceded by the last one before start, which stands at start
if no gap lies between. A value holds to the next reading. A gap or a Bad reading cuts the series.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.entries.fold_input import Json

Point = tuple[int, Json, int, int]
"""(event ticks, value, status, seq of its entry)"""

MOST_POINTS = 4_096
"""Of one tag held back for late readings: more are retired early, so that memory stays bounded at any rate."""

Quality = Literal["good", "good-altered", "uncertain", "simulated", "stale", "bad"]
QUALITIES: tuple[Quality, ...] = ("good", "good-altered", "uncertain", "simulated", "stale", "bad")
"""From best to worst; the place is the rank."""

_SUBCODES: dict[int, Quality] = {  # requirements 3.4, by the upper 16 bits
    0x0030: "good-altered",  # GoodClamped
    0x0096: "good-altered",  # GoodLocalOverride
    0x00DC: "good-altered",  # GoodEdited
    0x408F: "stale",  # UncertainNoCommunicationLastUsableValue
    0x4090: "stale",  # UncertainLastUsableValue
    0x4092: "stale",  # UncertainInitialValue: never a step's value
    0x4209: "simulated",  # UncertainSimulatedValue
}


def quality(status: int) -> Quality:
    """The class of a StatusCode; an unknown code by its severity bits."""
    if status == 0:
        return "good"
    known = _SUBCODES.get(status >> 16)
    return known or ("good" if status < 0x40000000 else "uncertain" if status < 0x80000000 else "bad")


def usable(status: int) -> bool:
    """Whether a reading of this status is a value of the series: Bad never is, a stale one is no new observation."""
    return status == 0 or quality(status) not in {"bad", "stale"}


@dataclass(slots=True)
class Cut:
    """A lost interval: observed through `start`, again from `end` (None: not yet)."""

    start: int
    end: int | None
    gap: str

    def overlaps(self, start: int, end: int) -> bool:
        """Whether any of [start, end) is lost."""
        return self.start < end and (self.end is None or self.end > start)


def severed(cuts: Sequence[Cut], point_ticks: int, instant: int) -> bool:
    """Whether a reading made at `point_ticks` does not stand at `instant`, because a gap lies between."""
    return any(cut.start < instant and (cut.end is None or point_ticks < cut.end) for cut in cuts)


@dataclass(slots=True)
class Track:
    """One tag of interest.

    points: not yet retired, by event time; standing: the last one retired; through: retired up to here; resumed: end of the last lost gap,
    before which nothing that was read since can stand.
    """

    points: list[Point] = field(default_factory=list)
    standing: Point | None = None
    through: int = 0
    cuts: list[Cut] = field(default_factory=list)
    resumed: int = 0

    def add(self, point: Point) -> Literal["new", "again", "too-late"]:
        """Take a reading. again: the same reading once more (a source that repeats it after a reconnect)."""
        points = self.points
        if not points or point[0] > points[-1][0]:
            if point[0] < self.through:
                return self._old(point)
            points.append(point)
            return "new"
        at = bisect_left(points, point[0], key=_ticks)
        while at < len(points) and points[at][0] == point[0]:
            if points[at][1:3] == point[1:3]:
                return "again"
            at += 1
        if point[0] < self.through:
            return self._old(point)
        insort(points, point, key=_ticks)
        return "new"

    def _old(self, point: Point) -> Literal["new", "again", "too-late"]:
        if self.standing is None:
            self.standing = point  # the first one ever, made before the line was watched: it stands
            return "new"
        same = point[1:3] == self.standing[1:3]
        return "again" if same and point[0] <= self.standing[0] else "too-late"

    def before(self, ticks: int) -> Point | None:
        """The last reading made before `ticks`, as far as it is still known."""
        at = bisect_left(self.points, ticks, key=_ticks)
        if at:
            return self.points[at - 1]
        return self.standing if self.standing is not None and self.standing[0] < ticks else None

    def at(self, ticks: int) -> Point | None:
        """The last reading made at or before `ticks`."""
        at = bisect_right(self.points, ticks, key=_ticks)
        if at:
            return self.points[at - 1]
        return self.standing if self.standing is not None and self.standing[0] <= ticks else None

    def between(self, start: int, end: int) -> list[Point]:
        """The readings held with event time in [start, end)."""
        points = self.points
        return points[bisect_left(points, start, key=_ticks) : bisect_left(points, end, key=_ticks)]

    def horizon(self, ticks: int) -> int:
        """How far this track can be retired when late readings are awaited back to `ticks`: further if it holds too much."""
        over = len(self.points) - MOST_POINTS
        return ticks if over < 0 else max(ticks, self.points[over][0] + 1)

    def retire(self, ticks: int) -> None:
        """Forget readings before `ticks`, but the last of them, which stands."""
        if ticks <= self.through:
            return
        self.through = ticks
        at = bisect_left(self.points, ticks, key=_ticks)
        if at:
            self.standing = self.points[at - 1]
            del self.points[:at]

    def forget_cuts(self, ticks: int) -> None:
        """Forget gaps that ended before `ticks` and before the standing reading: they can cut nothing any more."""
        stands = ticks if self.standing is None else min(ticks, self.standing[0])
        self.cuts = [cut for cut in self.cuts if cut.end is None or cut.end > stands]


def _ticks(point: Point) -> int:
    return point[0]


def _stop(stop: tuple[int, int | None]) -> int:
    return stop[0]


def windows(start: int, end: int, stops: Sequence[tuple[int, int | None]]) -> Iterator[tuple[int, int]]:
    """The parts of [start, end) outside `stops` (in order, not overlapping; None: still going on)."""
    first = max(bisect_right(stops, start, key=_stop) - 1, 0)  # the one before may still go on at `start`
    for stop, resume in stops[first:]:
        if stop >= end:
            break
        if resume is not None and resume <= start:
            continue
        if stop > start:
            yield start, stop
        if resume is None or resume >= end:
            return
        start = resume
    if start < end:
        yield start, end
