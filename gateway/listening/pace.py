"""Gives turns a pace. Knows no HTTP: a line without a port of its own takes it too."""


class Pace:
    """So many turns a second, and `burst` of them at once."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._each_s, self._credit_s, self._next_s = 1 / per_s, burst / per_s, 0.0

    def is_free(self, now_s: float) -> bool:
        """Return True if the next turn needs no waiting."""
        return max(self._next_s, now_s - self._credit_s) + self._each_s <= now_s + 1e-6

    def turn(self, now_s: float) -> float:
        """Take the next turn; return the seconds until it comes."""
        self._next_s = max(self._next_s, now_s - self._credit_s) + self._each_s
        return max(0.0, self._next_s - now_s)
