"""Which edges of a step each statistic depends on, and what is left of a value whose edge nobody saw. Pure.

A record states an edge at the latest instant at which it can have been; it was at most its window earlier. An edge that was seen has a
window of one sampling interval: that is the declared sampling, and adds to `uncertain_s` alone. An edge that nobody saw lies anywhere in a
gap, or before the first look. The longest possible step begins that much before the stated start, and this is what must be covered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from config import Parameter
from gateway.entries.ticks import TICKS_PER_S

Side = Literal["start", "end"]
_START: tuple[Side, ...] = ("start",)
_END: tuple[Side, ...] = ("end",)
_BOTH: tuple[Side, ...] = ("start", "end")

EDGES: Mapping[str, tuple[Side, ...]] = {
    "value_at_start": _START,
    "first": _START,
    "value_at_end": _END,
    "last": _END,
    "delta": _BOTH,
    "sample": _BOTH,  # whether the reading was made in the step at all
    "duration": _BOTH,
    "time_above": _BOTH,
    "time_below": _BOTH,
    "time_outside": _BOTH,
    "mean": _BOTH,
    "stdev": _BOTH,
    "min": _BOTH,
    "max": _BOTH,
    "range": _BOTH,
    "integral": _BOTH,
    "total": _BOTH,
    "count_changes": _BOTH,
    "trend": _BOTH,
}
"""Statistic -> the edges that another time of would give another value."""


@dataclass(frozen=True, slots=True)
class Edge:
    """How exactly an edge of a step is known. `window`: at most so many ticks before its stated time; None: nobody knows how many.

    `later`: part of the window by which it may have been after that time, not before: it was lost before it had stood.
    """

    window: int | None
    seen: bool
    later: int = 0

    def accepted(self, max_window_s: float | None) -> bool:
        """Return whether a value may rest on this edge: it was seen, or lies in a window that the parameter's row accepts."""
        if self.seen:
            return True
        return self.window is not None and max_window_s is not None and self.window <= max_window_s * TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Edges:
    """Both edges of a step, and what nobody saw between them.

    `unsighted`: ticks in which nobody saw whether the step still ran, or whether its equipment was Running. `tag_alone`: those of them in
    which the parameter's tag was observed all the same: such a value can not be said to be one of the step. `presumed`: further ticks
    that are left out only because the equipment was not Running when it was last seen.
    """

    start: Edge
    end: Edge
    unsighted: int = 0
    tag_alone: int = 0
    presumed: int = 0

    def of(self, statistic: str) -> tuple[Edge, ...]:
        """Give the edges that a statistic depends on."""
        return tuple(self.start if side == "start" else self.end for side in EDGES[statistic])

    def accepted(self, parameter: Parameter) -> bool:
        """Return whether the parameter's value may rest on the edges that it depends on."""
        return all(edge.accepted(parameter.max_window_s) for edge in self.of(parameter.statistic))

    def sighted(self, longest: int) -> int:
        """Give the part of the longest possible step in which it was seen that the step ran, as far as the parameter rests on that."""
        return longest - self.unsighted - self.presumed

    def uncertain_s(self, statistic: str) -> float | None:
        """Say by how much the edges of a statistic are uncertain altogether; None: nobody knows how much."""
        windows = [edge.window for edge in self.of(statistic)]
        return None if None in windows else sum(window or 0 for window in windows) / TICKS_PER_S

    @property
    def longer(self) -> int | None:
        """By how many ticks the longest possible step is longer than the stated one; None: nobody knows.

        An end that nobody saw makes it no longer, because the latest one possible is stated; but for one that was lost before it had stood.
        """
        window = 0 if self.start.seen else self.start.window
        return None if window is None else window + self.end.later + self.presumed
