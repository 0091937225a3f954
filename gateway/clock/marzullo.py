"""Computes Marzullo's intersection: the smallest interval within the largest number of given ones (RFC 5905, 11.2.1 descends from it)."""

from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """Bounds of a true value by one source: low <= value <= high, if the source is right."""

    low: float
    high: float
    name: str = ""


def agreed(intervals: Sequence[Interval]) -> Interval | None:
    """Return what a majority (more than half) of the intervals have in common; None if no majority has anything.

    If fewer than half of the sources are wrong, the true value is in some intersection of a majority, so the smallest and the largest point
    that lie in a majority bound it: with several best intersections, the hull of all majority points is returned.
    """
    needed = len(intervals) // 2 + 1
    edges = sorted([(one.low, -1) for one in intervals] + [(one.high, 1) for one in intervals])
    depth, low, high = 0, None, None
    for value, kind in edges:
        if kind < 0:
            depth += 1
            if depth >= needed and low is None:
                low = value
        else:
            if depth >= needed:
                high = value
            depth -= 1
    if low is None or high is None:
        return None
    return Interval(low, high)
