"""Schedules copies of fresh values during a backlog, beside the records and with at most a fifth of all bytes."""

from collections.abc import Callable

from gateway.uplink.transport import Position

BEHIND_S = 10.0
SHARE_OF_RECORD_BYTES = 0.25
"""Bytes of copies per byte of records: 0.25 to 1 is one fifth of all."""
MOST_CREDIT_BYTES = 1_048_576
AT_LEAST_EVERY_S = 10.0
"""Where no records get through, one copy at this interval still shows that the line lives."""
PAGE_BYTES = 131_072
PAGE_ENTRIES = 50


class Live:
    """Decides when copies are sent, from which position, and how many bytes they may take. Pure but for `clock` (monotonic s)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._credit_bytes, self._sent_at = 0.0, clock()
        self._after: Position | None = None

    def behind(self, oldest_age_s: float | None, last: Position) -> None:
        """Take the age of the oldest entry without receipt (None: none waits).

        Above BEHIND_S copies are sent of entries committed after `last`; below it they stop.
        """
        if oldest_age_s is None or oldest_age_s <= BEHIND_S:
            self._after = None
        elif self._after is None:
            self._after = last

    def earn(self, record_bytes: int) -> None:
        """Credit the live copies with bytes sent on the record path."""
        self._credit_bytes = min(self._credit_bytes + record_bytes * SHARE_OF_RECORD_BYTES, MOST_CREDIT_BYTES)

    def start(self, last: Position) -> Position | None:
        """Return the position after which to read copies now; None if nothing is new, no credit is left, or the uplink is not behind.

        It skips to the newest entries, because a copy is of no use when it is late.
        """
        if self._after is None or last <= self._after:
            return None
        if self._credit_bytes <= 0 and self._clock() - self._sent_at < AT_LEAST_EVERY_S:
            return None
        few = 1 if self._credit_bytes <= 0 else PAGE_ENTRIES
        newest = (last[0], max(0, last[1] - few))
        return max(self._after, newest)

    def spend(self, count: int, through: Position) -> None:
        """Charge the bytes of copies that were sent, up to the position `through`."""
        self._credit_bytes -= count
        self._sent_at, self._after = self._clock(), through
