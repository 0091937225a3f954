"""Puts alike things of a record together, so that twenty gaps are one line to review: how often, how long in all and at most."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from simulators.ebr.record.readings import TICKS_PER_S, ticks_of


class Extent(NamedTuple):
    """How long several intervals are: in all, what lies in two of them counted once, and the longest; None: no length is known."""

    total_s: float | None
    longest_s: float | None


class Group(NamedTuple):
    """Exceptions of one severity, kind, place and cause, in the order of time."""

    members: Sequence[Mapping[str, Any]]
    extent: Extent

    @property
    def first(self) -> Mapping[str, Any]:
        """The first of them."""
        return self.members[0]


def grouped(exceptions: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Group exceptions, in the order of the first of each group."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for exception in exceptions:
        key = tuple(str(exception[name]) for name in ("severity", "kind", "where", "cause"))
        groups.setdefault(key, []).append(exception)
    return [Group(members, extent((item["time"], item["seconds"]) for item in members)) for members in groups.values()]


def extent(intervals: Iterable[tuple[str | None, float | None]]) -> Extent:
    """Measure intervals, each a start (RFC 3339) and its length in seconds; one whose start or length is not known does not count."""
    known = sorted((ticks_of(start), round(seconds * TICKS_PER_S)) for start, seconds in intervals if start and seconds is not None)
    if not known:
        return Extent(None, None)
    total, through = 0, known[0][0]
    for start, length in known:
        total += max(0, start + length - max(start, through))
        through = max(through, start + length)
    return Extent(total / TICKS_PER_S, max(length for _, length in known) / TICKS_PER_S)
