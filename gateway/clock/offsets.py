"""How far a source's clock is from ours (URS-TIME-12): estimated from the lists it sends, with a bound, per source.

Two kinds of proof, both as intervals of the offset (source minus ours):
- A question and its answer: the server's time stamp was made between the two, so offset is in [server - received, server - requested].
- A notification: what is received can not come from the future, so offset >= source - received; and at least one value in a while is
  fresh, so the largest such difference is at most `delay_s` too small.
Intersected over ten minutes, which leaves the quickest answers.
"""

from collections import deque
from typing import NamedTuple

TICKS_PER_S = 10_000_000
BUCKET_TICKS = 60 * TICKS_PER_S
BUCKETS = 10
DRIFT_PPM = 100.0
"""A PLC's oscillator against ours: intervals of older minutes are widened by so much."""
ABSURD_TICKS = 366 * 86_400 * TICKS_PER_S
"""A time stamp more than a year off (1601, 1970, null) is no clock that is off but none."""


class Offset(NamedTuple):
    """The source's clock minus ours: offset_s +- bound_s. above: it exceeds the source's limit."""

    offset_s: float
    bound_s: float
    above: bool


class OffsetEstimator:
    """One source's. Feed it once per list; pure, so that it can be replayed."""

    def __init__(self, limit_s: float = 2.0) -> None:
        self.limit_s = limit_s
        self._buckets: deque[list[int]] = deque(maxlen=BUCKETS)
        self.absurd = 0

    def answered(self, server_ticks: int, requested_ticks: int, received_ticks: int) -> None:
        """A server's time stamp in the answer to a question asked and answered at these instants of ours."""
        self._add(received_ticks, server_ticks - received_ticks, server_ticks - requested_ticks)

    def notified(self, source_ticks: int, received_ticks: int, delay_s: float) -> None:
        """The newest time stamp of a notification. delay_s: the longest that a fresh value is under way (publishing interval, sampling)."""
        low = source_ticks - received_ticks
        self._add(received_ticks, low, None, int(delay_s * TICKS_PER_S))

    def _add(self, now: int, low: int, high: int | None, delay: int = 0) -> None:
        if abs(low) > ABSURD_TICKS:
            self.absurd += 1
            return
        minute = now // BUCKET_TICKS
        if not self._buckets or self._buckets[-1][0] != minute:
            self._buckets.append([minute, low, low + delay if high is None else high])
            return
        bucket = self._buckets[-1]
        if high is None:
            # The freshest of the minute stands for it, and its delay is the width of what is known.
            if low > bucket[1]:
                bucket[1], bucket[2] = low, low + delay
            return
        bucket[1], bucket[2] = max(bucket[1], low), min(bucket[2], high)
        if bucket[1] > bucket[2]:
            # No offset fits both: the source's clock (or ours) was set within this minute; what was before is void.
            self._buckets.clear()
            self._buckets.append([minute, low, high])

    def estimate(self) -> Offset | None:
        """The offset now, None before the first proof. Older minutes count as far as they agree with the latest one."""
        if not self._buckets:
            return None
        latest, low, high = self._buckets[-1]
        for minute, older_low, older_high in reversed(list(self._buckets)[:-1]):
            widened = int((latest - minute) * BUCKET_TICKS * DRIFT_PPM * 1e-6)
            new_low, new_high = max(low, older_low - widened), min(high, older_high + widened)
            if new_low > new_high:
                break
            low, high = new_low, new_high
        offset_s, bound_s = (low + high) / 2 / TICKS_PER_S, (high - low) / 2 / TICKS_PER_S
        return Offset(offset_s, bound_s, abs(offset_s) > self.limit_s)
