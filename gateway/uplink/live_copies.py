"""Fresh values during a backlog: copies beside the record's way, with a fifth of its bytes at most."""

from collections.abc import Callable

from gateway.uplink.transport import Position

BEHIND_S = 10.0
SHARE_OF_RECORD_BYTES = 0.25
"""0.25 beside 1 is one fifth of all."""
MOST_CREDIT_BYTES = 1_048_576
AT_LEAST_EVERY_S = 10.0
"""Where the record's way stands still, one copy per this time still shows that the line lives."""
PAGE_BYTES = 131_072
PAGE_ENTRIES = 50


class Live:
    """Whether copies go out now, from where, and how many bytes they may take."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._credit_bytes, self._sent_at = 0.0, clock()
        self._after: Position | None = None

    def behind(self, oldest_age_s: float | None, last: Position) -> None:
        """Tell how old the oldest unreceipted entry is; copies start with what is committed from now on."""
        if oldest_age_s is None or oldest_age_s <= BEHIND_S:
            self._after = None
        elif self._after is None:
            self._after = last

    def earn(self, record_bytes: int) -> None:
        """The record's way sent so many bytes."""
        self._credit_bytes = min(self._credit_bytes + record_bytes * SHARE_OF_RECORD_BYTES, MOST_CREDIT_BYTES)

    def start(self, last: Position) -> Position | None:
        """Read copies after this position now; None: nothing new, no credit, or not behind. Only the newest: a copy is never late."""
        if self._after is None or last <= self._after:
            return None
        if self._credit_bytes <= 0 and self._clock() - self._sent_at < AT_LEAST_EVERY_S:
            return None
        few = 1 if self._credit_bytes <= 0 else PAGE_ENTRIES
        newest = (last[0], max(0, last[1] - few))
        return max(self._after, newest)

    def spend(self, count: int, through: Position) -> None:
        """Copies of so many bytes went out."""
        self._credit_bytes -= count
        self._sent_at, self._after = self._clock(), through
