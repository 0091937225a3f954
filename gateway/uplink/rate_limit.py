"""Limits how fast an uplink sends: a token bucket of bytes that fills with time."""

from collections.abc import Callable

CREDIT_S = 1.0
"""Seconds of sending that an idle link may catch up at once."""


class Pace:
    """Limits sending to `bytes_per_s`, with one second of credit; None: no limit. clock: monotonic seconds."""

    def __init__(self, bytes_per_s: float | None, clock: Callable[[], float]) -> None:
        self._rate, self._clock = bytes_per_s, clock
        self._credit, self._at = (bytes_per_s or 0.0) * CREDIT_S, clock()

    def spend(self, count: int) -> None:
        """Charge bytes that were sent. The credit may fall below zero, because an entry is never cut."""
        self._fill()
        self._credit -= count

    def wait_s(self) -> float:
        """Return the seconds until bytes may be sent; 0 if now."""
        if self._rate is None:
            return 0.0
        self._fill()
        return max(0.0, -self._credit / self._rate)

    def earn(self, count: float, *, most: float) -> None:
        """Add credit that does not come from time, up to `most` in total."""
        self._credit = min(self._credit + count, most)

    def _fill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            self._credit = min(self._credit + (now - self._at) * self._rate, self._rate * CREDIT_S)
        self._at = now
