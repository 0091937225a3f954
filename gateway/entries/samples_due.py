"""How many samples were due in a gap of a source that is asked at a rate. One rule, for the way in and the fold. Pure."""

from gateway.entries.ticks import TICKS_PER_MS


def due(start: int, end: int, every_ms: int) -> int:
    """Return the samples due between the last observation before a gap and the first one after it (ticks), neither counted.

    To the nearest: a question is a little early or late, and so many periods lie between the two, less one.
    """
    every = max(every_ms, 1) * TICKS_PER_MS
    return max((end - start + every // 2) // every - 1, 0)
