"""When a port was last looked at: what is read after a standstill may have lain in the kernel's buffer all the time. Pure.

A stopped process, a blocked loop and a starved core look alike from within: the next look comes late. In a suspended machine
CLOCK_MONOTONIC stands as well, so CLOCK_BOOTTIME is compared with it.
"""

import time
from typing import NamedTuple

LOOK_EVERY_S = 0.25
_LATE_NS = round(2 * LOOK_EVERY_S * 1e9)
_SUSPENDED_NS = 100_000_000


class Now(NamedTuple):
    """One instant by two clocks, ns: CLOCK_MONOTONIC, and CLOCK_BOOTTIME, which goes on in suspend."""

    monotonic_ns: int
    boottime_ns: int

    @classmethod
    def read(cls) -> "Now":
        """Read both clocks."""
        return cls(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Looks:
    """The last instant at which nothing waited in the kernel's buffer, and the last at which something came."""

    def __init__(self, opened: Now) -> None:
        self._empty = opened
        self._heard_ns = opened.monotonic_ns

    def empty(self, now: Now) -> None:
        """Note that everything which came before now has been read."""
        self._empty = now

    def heard(self, now: Now) -> None:
        """Note that something was read, or that what is read from now on is another stream."""
        self._heard_ns = now.monotonic_ns

    def waited_since(self, now: Now) -> int | None:
        """Return the instant after which came what is read now (CLOCK_MONOTONIC, ns); None if the port was looked at all the time."""
        late = now.monotonic_ns - self._empty.monotonic_ns > _LATE_NS or self.suspended(now)
        return self._empty.monotonic_ns if late else None

    def suspended(self, now: Now) -> bool:
        """True if the machine was suspended since the last look: nobody kept what was sent meanwhile."""
        return (now.boottime_ns - self._empty.boottime_ns) - (now.monotonic_ns - self._empty.monotonic_ns) > _SUSPENDED_NS

    def woke(self, now: Now) -> None:
        """Note that a suspend has been dealt with: what came in it is lost, and so is the proof of a silence."""
        before = self._empty.monotonic_ns
        self._empty = Now(before, now.boottime_ns - (now.monotonic_ns - before))
        self._heard_ns = now.monotonic_ns

    def silent_ns(self) -> int:
        """Return for how long nothing came, as far as it is proved: up to the last look, not up to now."""
        return max(self._empty.monotonic_ns - self._heard_ns, 0)
