"""Values beyond the limits of parameters.csv, on order: each tag of a parameter leaves its limits for whole runs of its steps."""

from typing import Literal

from config import Line, Parameter, Tag
from simulators.line.bands import OF_VALUES, Bands
from simulators.line.plan import Run
from simulators.line.ranges import range_of
from simulators.line.signal import Moment, Signal

Side = Literal["high", "low"]
OF_RANGE = 0.05
"""So much of the instrument's range a value lies beyond its limit, or half of what is left of the range."""
LEAD_S, LINGER_S = 1.0, 2.5
MOST_RUNS = 100
_Levels = dict[tuple[Side, str, str | None], float | None]


class Beyond:
    """Which side is ordered, and the values that lie beyond it. A run keeps the side with which it began: none is cut in two.

    Only what the gateway would take is made: a value outside the instrument's range would be Uncertain, and prove another thing.
    """

    def __init__(self, line: Line) -> None:
        self.side: Side | None = None
        self._bands = Bands(line)
        self._tags = {tag.tag: tag for tag in line.tags}
        self._rows = [row for row in line.parameters if row.tag in self._tags and row.statistic in OF_VALUES]
        self._begun: dict[tuple[str, int, tuple[str, ...], int], Side | None] = {}

    def over(self, tag: Tag, signal: Signal) -> Signal:
        """Make the signal of a tag that follows orders; the signal itself where no parameter of the tag has limits."""
        rows = [row for row in self._rows if row.tag == tag.tag]
        sides: tuple[Side, ...] = ("high", "low")
        levels: _Levels = {(side, row.equipment, row.step): self.level(row, side) for row in rows for side in sides}
        if not any(level is not None for level in levels.values()):
            return signal
        homes = list(dict.fromkeys(row.equipment for row in rows))

        def value(now: Moment) -> object:
            ordered = (self._ordered(home, now, levels) for home in homes)
            level = next((level for level in ordered if level is not None), None)
            return signal(now) if level is None else level

        return value

    def _ordered(self, equipment: str, now: Moment, levels: _Levels) -> float | None:
        """Find the level of the run that is, else of the one that was just before, else of the one that comes at once.

        Whoever polls sees a step's edge and its value some time apart: so a level stands a while before the run, and after it.
        """
        stay = now.of(equipment).stay
        near = [] if stay is None else [run for run in stay.runs if run.start_s - LEAD_S <= now.at_s < run.end_s + LINGER_S]
        is_now = [run for run in near if run.start_s <= now.at_s < run.end_s]
        for run in (*is_now, *(run for run in near if run not in is_now)):
            side = self._side(equipment, 0 if stay is None else stay.number, run)
            found = [] if side is None else [levels.get((side, equipment, step)) for step in (*reversed(run.path), None)]
            level = next((level for level in found if level is not None), None)
            if level is not None or (run in is_now and side is None):
                return level
        return None

    def _side(self, equipment: str, number: int, run: Run) -> Side | None:
        while len(self._begun) > MOST_RUNS:
            del self._begun[next(iter(self._begun))]
        return self._begun.setdefault((equipment, number, run.path, run.number), self.side)

    def level(self, row: Parameter, side: Side) -> float | None:
        """Find a value of a parameter's tag beyond every limit of this side in its step, in the tag's unit.

        None where none is, where there is no room beyond, or where no value of the tag alone would do it.
        """
        if row not in self._rows:
            return None
        span, names = range_of(self._tags[str(row.tag)]), ("high", "alert_high") if side == "high" else ("low", "alert_low")
        key = (row.tag, row.equipment, row.step)
        here = [other for other in self._rows if (other.tag, other.equipment, other.step) == key]
        ends = [end for other in here for name in names if (end := self._bands.limit(other, getattr(other, name))) is not None]
        if not ends:
            return None
        end = max(ends) if side == "high" else min(ends)
        room = span.high - end if side == "high" else end - span.low
        step = min(OF_RANGE * (span.high - span.low), room / 2)
        level = span.rounded(end + step if side == "high" else end - step)
        return level if room > 0 and abs(level - end) > step / 2 else None
