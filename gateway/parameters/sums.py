"""Accumulates all statistics of one tag in one step, in memory that does not grow with the number of readings.

Readings are taken once, in order of event time, and are not kept. Time is accounted from reading to reading, so that the same series gives
the same sums to the last bit, however it was divided into calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.entries.fold_input import Json, Told
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters.series import QUALITIES, Cut, Point, quality, severed, usable, windows

Stops = Sequence[tuple[int, int | None]]
"""Intervals that do not count, (from, to) in ticks, sorted, without overlap; `to` None: not over yet."""

NO_WINDOWS: Mapping[int, Told] = {}
MOST_EXCURSIONS = 50
"""Excursions that are listed with their instants; further ones are only counted."""
LARGEST = 1e100
"""Largest magnitude that takes part in sums: beyond it a number is no process value and its square overflows; it is still recorded as read.
"""
ROLLOVER_SHARE = 0.9  # a totaliser that falls from the top tenth of its range has rolled over; from lower down it was reset


def number(value: Json) -> float | None:
    """Return the value as a float; None if it is no number or exceeds LARGEST.

    Digits in a string count, because 64-bit integers and decimals are strings in an entry.
    """
    if value is None:
        return None
    try:
        result = float(value)
    except ValueError:
        return None
    return result if -LARGEST < result < LARGEST else None


@dataclass(slots=True)
class Rule:
    """How the readings of one tag are accumulated: fixed when the step starts.

    `start` (ticks): time before it does not count. `linear`: between two readings the value is a straight line, otherwise it stays. `span`:
    the value at which a totaliser rolls over to zero. `above`, `below`: thresholds in the tag's unit; the time beyond them is summed and
    each excursion listed.
    """

    start: int
    linear: bool = False
    span: float | None = None
    above: float | None = None
    below: float | None = None


@dataclass(slots=True)
class Sums:
    """The running sums of one tag in one step; times in ticks of 100 ns.

    `at`: time is accounted up to here. `through`: readings with event time before this instant have been taken.
    """

    rule: Rule
    at: int
    through: int
    known: bool = False  # at `at` a usable value is valid
    level: float = 0.0  # that value as a number (0 for a text)
    numeric: bool = False
    raw: Json = None
    made: int = 0  # event time of the reading that gave `raw`
    stood_seq: int | None = None
    why: str = "missing"  # the reason while not `known`: missing, bad, gap
    began: bool = False
    at_start: Json = None
    at_end: Json = None
    why_start: str = "missing"
    why_end: str = "missing"
    included: int = 0  # time that counts
    covered: int = 0  # part of `included` with a usable value
    bad: int = 0  # part of `included` with a Bad value
    mean: float = 0.0  # time-weighted, over `weight` ticks
    squares: float = 0.0
    weight: int = 0
    area: float = 0.0  # unit x s
    low: float | None = None
    high: float | None = None
    above: float = 0.0  # ticks
    below: float = 0.0
    changes: int = 0
    total: float = 0.0
    previous: Json = None
    first: Json = None
    last: Json = None
    sampled: Json = None
    readings: int = 0
    first_ticks: int | None = None
    last_ticks: int | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    worst: int = 0
    beyond: list[tuple[int, int, int, float]] = field(default_factory=list)  # (1 above or -1 below, from, to, furthest value)
    excursions: int = 0  # all of them; `beyond` lists the first
    unlined: int = 0  # part of `covered` that was not compared with the lines: they are others since
    lined_from: int | None = None  # from when on it was; None: from the start
    told: int = 0  # of `readings` that are aggregates: of so many the source told where the window began and ended
    told_from: int | None = None  # the earliest start, and the latest end of those
    told_to: int | None = None
    counted: int = 0  # of so many it told how many samples are in it
    samples: int = 0  # in all of those

    @classmethod
    def begin(cls, rule: Rule, start: int, standing: Point | None, cuts: Sequence[Cut]) -> "Sums":
        """Start at `start` (ticks) with the last reading made before it, unless one of `cuts` lies between."""
        sums = cls(rule, at=start, through=start)
        if standing is not None:
            if severed(cuts, standing[0], start):
                sums.why = "gap"
            else:
                sums._stand(standing)
                sums.stood_seq = standing[3] if sums.known else None
        return sums

    def copy(self) -> "Sums":
        """Return sums that go on by themselves."""
        return replace(self, beyond=list(self.beyond))

    def against(self, rule: Rule) -> "Sums":
        """Return these sums as they go on against other lines: what is beyond them counts from here on alone."""
        begun = replace(self, rule=rule, above=0.0, below=0.0, beyond=[], excursions=0)
        return replace(begun, unlined=self.covered, lined_from=self.at)

    def advance(
        self,
        points: Sequence[Point],
        cuts: Sequence[Cut],
        stops: Stops,
        until: int,
        *,
        end: bool = False,
        windows: Mapping[int, Told] = NO_WINDOWS,
    ) -> None:
        """Take `points`, all readings with event time in [through, until), in order; account time up to the last of them.

        `end`: `until` is the end of the series, so that the last value is accounted up to there and becomes the value at the end.
        `windows`: of points that are aggregates, by event time.
        """
        for point in points:
            self._begin(point[0], cuts)
            ahead = number(point[1]) if self.rule.linear and self.numeric and usable(point[2]) else None
            self._run(point[0], cuts, stops, ahead)
            if self._take(point, stops) and windows and (told := windows.get(point[0])) is not None:
                self._tell(told)
        self.through = max(self.through, until)
        if end:
            self._begin(until + 1, cuts)
            self._run(until, cuts, stops, None)
            self._finish(until, cuts)

    def resume(self, through: int, newest: int | None, cuts: Sequence[Cut], stops: Stops) -> None:
        """Go on after an end that was none. Readings before `through` (ticks) are not held any more, the last of them made at `newest`.

        If it was not taken, what was between it and the last one that was is lost.
        """
        if newest is not None and newest > self.made and through > self.through:
            self._begin(self.through, cuts)
            if not self.rule.linear:
                self._run(self.through, cuts, stops, None)
            self.known, self.why = False, "gap"
            self._begin(through, cuts)
            self._run(through, cuts, stops, None)
        self.through = max(self.through, through)

    def goes_beyond(self, end: int) -> bool:
        """Return whether a reading was taken that is not before `end` (ticks): these are sums of a longer time."""
        return self.made >= end

    def _begin(self, ticks: int, cuts: Sequence[Cut]) -> None:
        """Set the value at the start, once, when time first passes the instant from which it counts."""
        if self.began or ticks <= self.rule.start:
            return
        self.began = True
        cut = severed(cuts, self.made, self.rule.start)
        if self.known and not cut:
            self.at_start = self.raw
        else:
            self.why_start = "gap" if cut and self.why != "bad" else self.why

    def _finish(self, end: int, cuts: Sequence[Cut]) -> None:
        cut = severed(cuts, self.made, end)
        if self.known and not cut:
            self.at_end = self.raw
        else:
            self.why_end = "gap" if cut and self.why != "bad" else self.why

    def _run(self, until: int, cuts: Sequence[Cut], stops: Stops, ahead: float | None) -> None:
        """Account [at, until): the current value, interrupted by gaps; with `ahead`, a straight line from it to that next value."""
        at = self.at
        if until <= at:
            return
        for cut in cuts:
            if at < until and cut.overlaps(at, until):
                lost = max(cut.start, at)
                if lost > at:
                    self._pass(at, lost, stops, None)
                self.known, self.why, ahead = False, "gap", None
                regained = until if cut.end is None else min(cut.end, until)
                self._pass(lost, regained, stops, None)
                at = regained
        if at < until:
            self._pass(at, until, stops, ahead)
        self.at = until

    def _pass(self, start: int, end: int, stops: Stops, ahead: float | None) -> None:
        for a, b in windows(max(start, self.rule.start), end, stops):
            self.included += b - a
            if not self.known:
                self.bad += (b - a) * (self.why == "bad")
                continue
            self.covered += b - a
            self._note(self.raw, self.made, None)
            if self.numeric:
                if ahead is None:
                    left = right = self.level
                else:
                    slope = (ahead - self.level) / (end - start)
                    left, right = self.level + slope * (a - start), self.level + slope * (b - start)
                self._weigh(left, right, b - a)
                if self.rule.above is not None:
                    self._exceed(1, self.rule.above, (a, b), (left, right))
                if self.rule.below is not None:
                    self._exceed(-1, self.rule.below, (a, b), (left, right))

    def _weigh(self, left: float, right: float, ticks: int) -> None:
        """Account a straight piece of the value: weighted mean and variance (Welford), area, extremes, time beyond thresholds."""
        middle = (left + right) / 2
        self.weight += ticks
        delta = middle - self.mean
        self.mean += delta * (ticks / self.weight)
        self.squares += delta * (middle - self.mean) * ticks + (right - left) ** 2 / 12 * ticks
        self.area += middle * ticks / TICKS_PER_S
        low, high = (left, right) if left <= right else (right, left)
        self._extremes(low, high)
        if self.rule.above is not None and high > self.rule.above:
            self.above += ticks if low > self.rule.above or low == high else ticks * (high - self.rule.above) / (high - low)
        if self.rule.below is not None and low < self.rule.below:
            self.below += ticks if high < self.rule.below or low == high else ticks * (self.rule.below - low) / (high - low)

    def _exceed(self, side: int, threshold: float, times: tuple[int, int], values: tuple[float, float]) -> None:
        """List the part of a straight piece beyond a threshold, joined to the excursion that it continues. `side`: 1 above, -1 below."""
        x, y = (side * (value - threshold) for value in values)
        if x <= 0 and y <= 0:
            return
        crossing = times[0] + round((times[1] - times[0]) * x / (x - y)) if x * y < 0 else None
        begin = times[0] if x >= 0 or crossing is None else crossing
        end = times[1] if y >= 0 or crossing is None else crossing
        furthest = values[0] if x >= y else values[1]
        last = next((n for n in range(len(self.beyond) - 1, max(len(self.beyond) - 3, -1), -1) if self.beyond[n][0] == side), None)
        if last is not None and self.beyond[last][2] == begin:
            was = self.beyond[last][3]
            self.beyond[last] = (side, self.beyond[last][1], end, max(was, furthest) if side > 0 else min(was, furthest))
            return
        self.excursions += 1
        if len(self.beyond) < MOST_EXCURSIONS:
            self.beyond.append((side, begin, end, furthest))

    def _extremes(self, low: float, high: float) -> None:
        if self.low is None or low < self.low:
            self.low = low
        if self.high is None or high > self.high:
            self.high = high

    def _stand(self, point: Point) -> None:
        ticks, value, status, _ = point
        self.made = ticks
        if not usable(status) or value is None:
            self.known, self.why = False, "bad"
            return
        level = number(value)
        self.known, self.raw, self.numeric = True, value, level is not None
        self.level = 0.0 if level is None else level
        self.worst = max(self.worst, QUALITIES.index(quality(status)))
        if self.previous is None:
            self.previous = value

    def _tell(self, told: Told) -> None:
        """Take what the source told of the window of a reading that counts."""
        start, end, count = told
        if start is not None and end is not None:
            self.told += 1
            self.told_from = start if self.told_from is None else min(self.told_from, start)
            self.told_to = end if self.told_to is None else max(self.told_to, end)
        if count is not None:
            self.counted += 1
            self.samples += count

    def _take(self, point: Point, stops: Stops) -> bool:
        """Take a reading; True if it counts among `readings`."""
        ticks, value, _, seq = point
        counts = ticks >= self.rule.start and (not stops or any(True for _ in windows(ticks, ticks + 1, stops)))
        before = self.previous
        self._stand(point)
        if not self.known:
            return False
        self.stood_seq = seq
        if counts:
            self.readings += 1
            self.sampled = value
            self._note(value, ticks, seq)
            if self.numeric:
                self._extremes(self.level, self.level)
            if before is not None and before != value:
                self.changes += 1
                self._increase(before)
        self.previous = value
        return counts

    def _note(self, value: Json, ticks: int, seq: int | None) -> None:
        """Record that this value was seen while time counted: first and last value, and the range of entries that prove them."""
        seq = self.stood_seq if seq is None else seq
        if self.first is None:
            self.first, self.first_ticks, self.from_seq = value, ticks, seq
        self.last, self.last_ticks = value, ticks
        self.to_seq = seq if self.to_seq is None or (seq is not None and seq > self.to_seq) else self.to_seq
        if seq is not None and self.from_seq is not None and seq < self.from_seq:
            self.from_seq = seq

    def _increase(self, before: Json) -> None:
        old = number(before)
        if old is None or not self.numeric:
            return
        step = self.level - old
        if step < 0:
            span = self.rule.span
            step = span - old + self.level if span is not None and old >= ROLLOVER_SHARE * span else self.level
        self.total += step
