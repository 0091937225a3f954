"""How many samples were due in a gap, where a rate says it. One rule, for the way in and the fold. Pure."""

from collections.abc import Mapping
from typing import Any

from gateway.entries.ticks import TICKS_PER_MS

NOT_KNOWN = "not-known"


def due(start: int, end: int, every_ms: int) -> int:
    """Return the samples due between the last observation before a gap and the first one after it (ticks), neither counted.

    To the nearest: a question is a little early or late, and so many periods lie between the two, less one.
    """
    every = max(every_ms, 1) * TICKS_PER_MS
    return max((end - start + every // 2) // every - 1, 0)


def counted(by: str, every_ms: Mapping[str, int | None], start: int, end: int) -> dict[str, Any]:
    """Say what of these tags was due in a gap that is lost, and that none of it came.

    by: what the periods rest on, see GapEvent. every_ms: of each tag by its name; None: nobody knows how much of it was due.
    """
    periods = [period for period in every_ms.values() if period is not None]
    if not periods:
        return {"due": NOT_KNOWN}
    told = {"due": by, "expected": sum(due(start, end, period) for period in periods), "received": 0}
    uncounted = [name for name, period in every_ms.items() if period is None]
    return told | ({"uncounted": uncounted} if uncounted else {})
