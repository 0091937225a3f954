"""Keeps a tag's readings in order of event time, as far back as late ones are still accepted, and the gaps that interrupt them.

The series of a step are the readings with event time in [start, end), preceded by the last one before the start, unless a gap lies between.
A value is valid until the next reading; a gap or a Bad reading interrupts the series.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.entries.fold_input import Json, Told
from gateway.entries.set_back import SetBack

Point = tuple[int, Json, int, int]
"""One reading: (event time in ticks, value, OPC UA status code, sequence number of its entry)."""

MOST_POINTS = 4_096
"""Readings of one tag kept back for late ones; above this the oldest are retired early, which bounds memory at any rate."""

Quality = Literal["good", "good-altered", "uncertain", "simulated", "stale", "bad"]
QUALITIES: tuple[Quality, ...] = ("good", "good-altered", "uncertain", "simulated", "stale", "bad")
"""Quality classes, best first; the index is the rank."""

_SUBCODES: dict[int, Quality] = {  # requirements 3.4, by the upper 16 bits
    0x0030: "good-altered",  # GoodClamped
    0x0096: "good-altered",  # GoodLocalOverride
    0x00DC: "good-altered",  # GoodEdited
    0x408F: "stale",  # UncertainNoCommunicationLastUsableValue
    0x4090: "stale",  # UncertainLastUsableValue
    0x4092: "stale",  # UncertainInitialValue: never the value of a step
    0x4209: "simulated",  # UncertainSimulatedValue
}


SEMANTICS_CHANGED = 0x4000
"""Status bit (Part 4, 7.39.1): unit, range or texts of the item are no longer what they were, until somebody reads them again."""


def quality(status: int) -> Quality:
    """Return the quality class of an OPC UA StatusCode (Part 4, 7.39); an unlisted code is classed by its severity bits.

    What is Good, but perhaps in another unit than the map says, is uncertain.
    """
    if status == 0:
        return "good"
    if status < 0x40000000 and status & SEMANTICS_CHANGED:
        return "uncertain"
    listed = _SUBCODES.get(status >> 16)
    return listed or ("good" if status < 0x40000000 else "uncertain" if status < 0x80000000 else "bad")


def usable(status: int) -> bool:
    """True if a reading of this status gives the series a value: Bad does not, nor does a stale one, which is no new observation."""
    return status == 0 or quality(status) not in {"bad", "stale"}


@dataclass(slots=True)
class Cut:
    """A lost interval of a tag: last observed at `start`, observed again from `end` on (ticks; None: not yet)."""

    start: int
    end: int | None
    gap: str

    def overlaps(self, start: int, end: int) -> bool:
        """True if any instant of [start, end) is lost."""
        return self.start < end and (self.end is None or self.end > start)


def severed(cuts: Sequence[Cut], point_ticks: int, instant: int) -> bool:
    """True if a reading made at `point_ticks` is no longer valid at `instant`, because a gap lies between them."""
    return any(cut.start < instant and (cut.end is None or point_ticks < cut.end) for cut in cuts)


@dataclass(slots=True)
class Track:
    """The readings of one tag that are kept for statistics, and its gaps; times in ticks.

    `points`: readings not yet retired, by event time. `standing`: the last retired reading, whose value is valid until the first point.
    `through`: readings before it are retired. `cuts`: lost intervals. `resumed`: end of the last one; no reading before it is valid any
    more. `windows`: of points that are aggregates, by event time, what their source told of the window.
    """

    points: list[Point] = field(default_factory=list)
    standing: Point | None = None
    through: int = 0
    cuts: list[Cut] = field(default_factory=list)
    resumed: int = 0
    windows: dict[int, Told] = field(default_factory=dict)

    def add(self, point: Point) -> Literal["new", "again", "too-late"]:
        """Insert a reading at its event time.

        Returns "new"; "again" for an exact repetition (a source repeats readings after a reconnect); "too-late" if its time is already
        retired.
        """
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
            self.standing = point  # the first reading ever, made before the gateway ran: it is the value from then on
            return "new"
        same = point[1:3] == self.standing[1:3]
        return "again" if same and point[0] <= self.standing[0] else "too-late"

    def before(self, ticks: int) -> Point | None:
        """Return the last reading made before `ticks`, None if none is kept."""
        at = bisect_left(self.points, ticks, key=_ticks)
        if at:
            return self.points[at - 1]
        return self.standing if self.standing is not None and self.standing[0] < ticks else None

    def at(self, ticks: int) -> Point | None:
        """Return the last reading made at or before `ticks`, None if none is kept."""
        at = bisect_right(self.points, ticks, key=_ticks)
        if at:
            return self.points[at - 1]
        return self.standing if self.standing is not None and self.standing[0] <= ticks else None

    def between(self, start: int, end: int) -> list[Point]:
        """Return the kept readings with event time in [start, end), in order."""
        points = self.points
        return points[bisect_left(points, start, key=_ticks) : bisect_left(points, end, key=_ticks)]

    def horizon(self, ticks: int) -> int:
        """Return the time up to which this track should be retired, if late readings are awaited back to `ticks`.

        It is later than `ticks` if the track holds more than MOST_POINTS readings.
        """
        over = len(self.points) - MOST_POINTS
        return ticks if over < 0 else max(ticks, self.points[over][0] + 1)

    def retire(self, ticks: int) -> None:
        """Forget the readings before `ticks`, except the last of them, which becomes `standing`."""
        if ticks <= self.through:
            return
        self.through = ticks
        at = bisect_left(self.points, ticks, key=_ticks)
        if at:
            self.standing = self.points[at - 1]
            del self.points[:at]
        if self.windows:
            self.windows = {made: told for made, told in self.windows.items() if made >= ticks}

    def set_back(self, back: SetBack, ahead: int) -> None:
        """Take the series along when the clock that stamps it was set back: no reading, cut or final time is to come any more.

        ahead: by how much the readings' clock may be before ours. The last reading made by a clock that was ahead stands now, whatever an
        older one says of the time between.
        """
        held = self.points if self.standing is None else [self.standing, *self.points]
        placed = sorted(((back.placed(point[0], ahead), *point[1:]) for point in held), key=_ticks)
        if held and held[-1][0] > back.now + ahead and placed[-1][1:] != held[-1][1:]:
            placed.append((max(placed[-1][0], back.now), *held[-1][1:]))
        self.windows = {back.placed(made, ahead): told for made, told in self.windows.items()}
        self.through = min(self.through, back.now + ahead)
        self.resumed = back.placed(self.resumed, ahead)
        for cut in self.cuts:
            cut.start = back.placed(cut.start, ahead)
            cut.end = None if cut.end is None else back.placed(cut.end, ahead)
        self.cuts.sort(key=_start)
        at = bisect_left(placed, self.through, key=_ticks)
        self.standing, self.points = placed[at - 1] if at else None, placed[at:]

    def restate(self, ticks: int, since_seq: int) -> None:
        """Let what was read last, by an entry after `since_seq`, stand from `ticks` on: it was observed then, under another number."""
        held = self.points if self.standing is None else [self.standing, *self.points]
        newest = max((point for point in held if point[3] > since_seq), key=_seq, default=None)
        if newest is not None:
            self.add((ticks, *newest[1:]))

    def forget_cuts(self, ticks: int) -> None:
        """Forget gaps that ended before both `ticks` and the retired reading: they can no longer interrupt anything."""
        stands = ticks if self.standing is None else min(ticks, self.standing[0])
        self.cuts = [cut for cut in self.cuts if cut.end is None or cut.end > stands]


def _ticks(point: Point) -> int:
    return point[0]


def _seq(point: Point) -> int:
    return point[3]


def _start(cut: Cut) -> int:
    return cut.start


def _stop(stop: tuple[int, int | None]) -> int:
    return stop[0]


def windows(start: int, end: int, stops: Sequence[tuple[int, int | None]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of [start, end) that lie outside `stops`, in order.

    `stops` are (from, to) in ticks, sorted, without overlap; `to` None: not over yet.
    """
    first = max(bisect_right(stops, start, key=_stop) - 1, 0)  # the stop before `start` may not be over yet
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
