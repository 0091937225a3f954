"""Tracks disturbances of the clock (a set clock, a suspend) until its reference has updated it again, and spans of unverified stamps."""

from collections import deque
from dataclasses import dataclass

from gateway.clock.system_clocks import Anchor

ANOTHER_UPDATE_S = 0.5
"""Update times that differ by less may be the same update, shifted by the daemon's own slew."""


class ReferenceUpdateWait:
    """Waits until the reference has certainly updated the clock after a disturbance.

    The first evidence afterwards may still report an update from before; only evidence with a later update counts. Daemons do not notice
    that another program has set the clock, so evidence alone proves nothing.
    """

    def __init__(self) -> None:
        self.waiting = False
        self._before: float | None = None

    def begin(self) -> None:
        """Start to wait: a disturbance happened now."""
        self.waiting, self._before = True, None

    def see(self, update: float | None) -> bool:
        """Take the update time of new evidence (None: its reader reports none, which counts at once); True if this ends the waiting."""
        if not self.waiting:
            return False
        if update is not None and self._before is None:
            self._before = update
            return False
        if update is None or self._before is None or abs(update - self._before) > ANOTHER_UPDATE_S:
            self.waiting = False
        return not self.waiting


@dataclass(slots=True)
class UnverifiedSpan:
    """A span of unverified stamps that began at `since`. steps: (monotonic_ns, size in ns) of each step of the clock within it."""

    since: Anchor
    steps: deque[tuple[int, int]]
    alarmed: bool = False
