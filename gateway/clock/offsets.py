"""Estimates per source, with a bound, how far its clock is from ours, from the time stamps that it sends (URS-TIME-12).

Two kinds of proof, both as intervals of the offset (source minus ours):
- A question and its answer: the source's time was read between the two. Intersected over ten minutes, which leaves the quickest answers.
- The stamps of changes, made by a device whose clock may be another than that of the server before it: nothing is received from the
  future, so offset >= stamp - received; and where changes arrive all the time, some of them are fresh.
"""

from collections import deque
from typing import Any, Literal, NamedTuple

TICKS_PER_S = 10_000_000
BUCKET_TICKS = 60 * TICKS_PER_S
BUCKETS = 10
DRIFT_PPM = 100.0
"""Assumed drift of a PLC's oscillator against ours, by which intervals of older minutes are widened."""
SAMPLE_TICKS = TICKS_PER_S // 5
ABSURD_TICKS = 366 * 86_400 * TICKS_PER_S
"""A time stamp further off than a year (1601, 1970, null) does not come from a clock that is off, but from none."""


MINUTES = 3
LEAST_LISTS = 5
"""Stamps prove a late device clock only if they are late in all of at least five lists in each of three minutes.

A single burst of queued values proves nothing.
"""


class Offset(NamedTuple):
    """The source's clock minus ours: offset_s +- bound_s. above: it exceeds the source's limit. by: asked, or judged by its stamps."""

    offset_s: float
    bound_s: float
    above: bool
    by: Literal["question", "stamps"] = "question"


class OffsetEstimator:
    """Estimates the offset from questions and their answers. Pure: has no clock of its own."""

    def __init__(self, limit_s: float = 2.0) -> None:
        self.limit_s = limit_s
        self._buckets: deque[list[int]] = deque(maxlen=BUCKETS)

    def answered(self, server_ticks: int, requested_ticks: int, received_ticks: int) -> None:
        """Take a server's time stamp in the answer to a question that was asked and answered at these instants of our clock."""
        self._add(received_ticks, server_ticks - received_ticks, server_ticks - requested_ticks)

    def _add(self, now: int, low: int, high: int) -> None:
        minute = now // BUCKET_TICKS
        if not self._buckets or self._buckets[-1][0] != minute:
            self._buckets.append([minute, low, high])
            return
        bucket = self._buckets[-1]
        bucket[1], bucket[2] = max(bucket[1], low), min(bucket[2], high)
        if bucket[1] > bucket[2]:
            # No offset fits both: the source's clock (or ours) was set within this minute; what was before is void.
            self._buckets.clear()
            self._buckets.append([minute, low, high])

    def estimate(self) -> Offset | None:
        """Return the present offset, None before the first proof. Older minutes count as far as they agree with the latest one."""
        if not self._buckets:
            return None
        latest, low, high = self._buckets[-1]
        for minute, older_low, older_high in reversed(list(self._buckets)[:-1]):
            widened = int(abs(latest - minute) * BUCKET_TICKS * DRIFT_PPM * 1e-6)
            new_low, new_high = max(low, older_low - widened), min(high, older_high + widened)
            if new_low > new_high:
                break
            low, high = new_low, new_high
        offset_s, bound_s = (low + high) / 2 / TICKS_PER_S, (high - low) / 2 / TICKS_PER_S
        return Offset(offset_s, bound_s, abs(offset_s) > self.limit_s)


class DeviceStamps:
    """Estimates the offset from the stamps of changes. delay_s: longest delay of a fresh one (sampling, publishing, network)."""

    def __init__(self, limit_s: float, delay_s: float) -> None:
        self.limit_s, self._delay = limit_s, int(delay_s * TICKS_PER_S)
        self._minutes: deque[tuple[int, int]] = deque(maxlen=MINUTES)
        self._minute, self._best, self._lists = 0, 0, 0

    def stamped(self, stamp_ticks: int, received_ticks: int) -> None:
        """Take the one stamp that represents a list of changes, and the instant at which the list was received."""
        low, minute = stamp_ticks - received_ticks, received_ticks // BUCKET_TICKS
        if abs(low) > ABSURD_TICKS:
            return
        if minute != self._minute:
            if self._lists >= LEAST_LISTS:
                self._minutes.append((self._minute, self._best))
            else:
                self._minutes.clear()
            self._minute, self._best, self._lists = minute, low, 0
        self._best, self._lists = max(self._best, low), self._lists + 1

    def estimate(self) -> Offset | None:
        """Return the offset that the stamps of the last minutes prove, None while they prove none, or contradict each other: it was set.

        above: the whole interval is past the limit.
        """
        if len(self._minutes) < MINUTES or self._minutes[-1][0] - self._minutes[0][0] != MINUTES - 1:
            return None
        low = max(best for _, best in self._minutes)
        high = min(best for _, best in self._minutes) + self._delay
        if high < low:  # no offset fits all three: the clock was set, and a minute of before says nothing of now
            return None
        offset_s, bound_s = (low + high) / 2 / TICKS_PER_S, (high - low) / 2 / TICKS_PER_S
        return Offset(offset_s, bound_s, abs(offset_s) - bound_s > self.limit_s, "stamps")


class SourceClock:
    """One source's clock: measured by asking its server, unless the stamps of its values prove a worse clock behind that server."""

    def __init__(self, limit_s: float, delay_s: float) -> None:
        self.limit_s, self._delay_s = limit_s, delay_s
        self._asked, self._stamps = OffsetEstimator(limit_s), DeviceStamps(limit_s, delay_s)
        self._sampled = 0
        self.now: Offset | None = None
        self.is_off = False

    def measured(self, offset_s: float, bound_s: float, now_ticks: int) -> None:
        """Take a measurement that the driver made: the source's time minus ours is offset_s +- bound_s."""
        offset, bound = int(offset_s * TICKS_PER_S), int(bound_s * TICKS_PER_S)
        before = self._asked.estimate()
        if before is not None and abs(offset_s - before.offset_s) > bound_s + before.bound_s + self.limit_s:
            self._stamps = DeviceStamps(self.limit_s, self._delay_s)  # it was set: what its values were stamped before says nothing of now
        self._asked.answered(now_ticks + offset, now_ticks - bound, now_ticks + bound)
        self._judge()

    def stamped(self, stamp_ticks: int, received_ticks: int) -> None:
        """Take the stamp of the device's clock on a list of changes, and the instant at which the list was received."""
        before = self._stamps.estimate()
        self._stamps.stamped(stamp_ticks, received_ticks)
        if self._stamps.estimate() != before:
            self._judge()

    def restart(self) -> None:
        """Know nothing: our own clock was set, and every offset so far was measured against what it showed before."""
        self._asked, self._stamps = OffsetEstimator(self.limit_s), DeviceStamps(self.limit_s, self._delay_s)
        self._sampled, self.now = 0, None

    def is_due(self, received_ticks: int) -> bool:
        """True if another list's stamp is wanted: five lists a second prove enough, and more would cost a scan of every reading."""
        if 0 <= received_ticks - self._sampled < SAMPLE_TICKS:
            return False
        self._sampled = received_ticks
        return True

    def turned(self) -> Offset | None:
        """Return the estimate if the clock has exceeded its limit or returned within it since the last call, else None."""
        if self.now is None or self.now.above == self.is_off:
            return None
        self.is_off = self.now.above
        return self.now

    def describe(self, authority: str) -> dict[str, Any]:
        """Describe the clock for status and page. authority: whose clock stamps the source's values."""
        found = self.now
        told = {"authority": authority, "limit_s": self.limit_s, "above": found is not None and found.above}
        if found is None:
            return told | {"offset_s": None, "bound_s": None, "by": None}
        return told | {"offset_s": found.offset_s, "bound_s": found.bound_s, "by": found.by}

    def _judge(self) -> None:
        asked, stamps = self._asked.estimate(), self._stamps.estimate()
        found = stamps if stamps is not None and stamps.above else asked
        # Rounded as in the entry, so that live and replay judge alike.
        self.now = None if found is None else found._replace(offset_s=round(found.offset_s, 6), bound_s=round(found.bound_s, 6))
