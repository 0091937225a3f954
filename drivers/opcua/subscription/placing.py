"""Which values of a server's history lie in a gap: decided by their position between what is stored, not by their time alone. Pure.

PLC cycles, coarse clocks and aggregating servers give several changes one source time. So the values that bear the time of the last stored
reading, or of the first one after the gap, are told apart by the order in which the server lists them: raw values come in the order of time
(Part 11, 6.4.3.2), and what was stored is found among them by value and status.
"""

from collections.abc import Sequence
from typing import NamedTuple

from drivers.contract import Reading

_INFO_BITS = 0xFFFF
"""Of a status: what the subscription had to say (Overflow, SemanticsChanged); a history does not hold it."""


class Placed(NamedTuple):
    """Which of the records to take (first, end), and why the gap is not filled by them all the same, or None."""

    first: int
    end: int
    why_open: str | None


def placed(
    records: Sequence[Reading], before: Sequence[Reading] | None, since_ticks: int, until_ticks: int, after: Reading | None
) -> Placed:
    """Find what lies between the last stored reading and the first after the gap.

    records: of one tag, in the order of their source times. before: the stored readings with the last source time, in order; None if they
    are not known (after a restart). after: the first reading after the gap; None if it is not known. A history that does not hold what we
    received itself proves nothing of what we did not; where a value might be either the stored one or another, neither is taken.
    """
    times = [reading[3] or 0 for reading in records]
    first = sum(ticks <= since_ticks for ticks in times)
    end = sum(ticks < until_ticks for ticks in times)
    why: str | None = None
    if before is not None:
        start = sum(ticks < since_ticks for ticks in times)
        held = records[start:first]
        earliest, latest = _earliest_end(held, before), _latest_end(held, before)
        if earliest is None or latest is None:
            why = "it does not hold the last value before the gap"
        else:
            first = start + latest
            why = None if earliest == latest else _AMBIGUOUS
    if after is not None:
        same_time = [n for n in range(end, len(records)) if times[n] == until_ticks]
        found = [n for n in same_time if _same(records[n], after)]
        if not found:
            why = why or "it does not hold the first value after the gap"
        else:
            end = found[0]
            why = why or (None if len(found) == 1 else _AMBIGUOUS)
    return Placed(first, max(first, end), why)


_AMBIGUOUS = "it holds equal values with equal times, and which of them came already is not known"


def _earliest_end(held: Sequence[Reading], stored: Sequence[Reading]) -> int | None:
    """Return how many of `held` there are up to the last of `stored`, each found as early as possible; None if one is not there.

    Held values that were never sampled lie between them.
    """
    at = 0
    for reading in stored:
        position = next((n for n in range(at, len(held)) if _same(held[n], reading)), None)
        if position is None:
            return None
        at = position + 1
    return at


def _latest_end(held: Sequence[Reading], stored: Sequence[Reading]) -> int | None:
    """Return the same, where the last of `stored` is found as late as possible."""
    if _earliest_end(held, stored) is None:
        return None
    return next(n + 1 for n in range(len(held) - 1, -1, -1) if _same(held[n], stored[-1]))


def _same(one: Reading, other: Reading) -> bool:
    """Compare value and status. NaN is the same as NaN here."""
    values = one[1] == other[1] or (one[1] != one[1] and other[1] != other[1])
    return values and (one[2] | _INFO_BITS) == (other[2] | _INFO_BITS)
