"""What disturbs a clock until its reference has updated it again: a set clock, a suspend, and the span of unverified stamps."""

from collections import deque
from dataclasses import dataclass

from gateway.clock.system_clocks import Anchor

ANOTHER_UPDATE_S = 0.5
"""Update times that differ by less may be one that the daemon has corrected by its own slew."""


class ReferenceUpdateWait:
    """Waits until the reference has surely updated the clock after something happened to it.

    The first evidence afterwards may still tell of an update before; one with a later update does not. Daemons do not notice that
    somebody else has set the clock, so evidence alone proves nothing.
    """

    def __init__(self) -> None:
        self.waiting = False
        self._before: float | None = None

    def begin(self) -> None:
        """It happened now."""
        self.waiting, self._before = True, None

    def see(self, update: float | None) -> bool:
        """Evidence with this update time (None: its reader tells none, so it counts at once); True if that ends the waiting."""
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
    """An interval in which stamps were unverified, from `since` on; steps: (monotonic_ns, size in ns) of those within it."""

    since: Anchor
    steps: deque[tuple[int, int]]
    alarmed: bool = False
