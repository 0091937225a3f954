"""Bounds how many entries refusals can make: whoever guesses passwords all night must not fill the journal. What makes none is counted."""

import time
from collections.abc import Callable

AT_ONCE = 100
EACH_MINUTE = 10.0


class Refusals:
    """Says of each refusal whether it gets an entry of its own; the rest is told by one entry each minute.

    A token bucket: 100 in a row, then 10 a minute. In the memory is one number per pair of command and cause, and both are few.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left, self._at = float(AT_ONCE), clock()
        self._kept_back: dict[str, int] = {}

    def own_entry(self, command: str, cause: str) -> bool:
        """Take note of a refusal; False if it is only counted."""
        now = self._clock()
        self._left = min(AT_ONCE, self._left + (now - self._at) / 60 * EACH_MINUTE)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return True
        name = f"{command}: {cause}"
        self._kept_back[name] = self._kept_back.get(name, 0) + 1
        return False

    def counted(self) -> dict[str, int]:
        """Hand out what was only counted, as `command: cause` -> how often, and forget it."""
        kept_back, self._kept_back = self._kept_back, {}
        return kept_back
