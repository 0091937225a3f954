"""When a port was last looked at: what is read after a standstill may have lain in the kernel's buffer all the time. Pure.

A stopped process, a blocked loop and a starved core look alike from within: the next look comes late. In a suspended machine
CLOCK_MONOTONIC stands as well, so CLOCK_BOOTTIME is compared with it.

That a look finds nothing does not prove that nothing was sent: after a standstill, what brings the bytes here (an adapter, its driver,
the machine) may have stood still as well, and need not go on before us. So a silence is proved by two looks in a row: the first when
it was long enough, the second on time, when what was under way had a quarter of a second to arrive.
"""

import time
from typing import NamedTuple

LOOK_EVERY_S = 0.25
_LATE_NS = round(2 * LOOK_EVERY_S * 1e9)
_SUSPENDED_NS = 100_000_000
_APART_NS = round(0.8 * LOOK_EVERY_S * 1e9)


class Now(NamedTuple):
    """One instant by two clocks, ns: CLOCK_MONOTONIC, and CLOCK_BOOTTIME, which goes on in suspend."""

    monotonic_ns: int
    boottime_ns: int

    @classmethod
    def read(cls) -> "Now":
        """Read both clocks."""
        return cls(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))


class Looks:
    """The last instant at which nothing waited in the kernel's buffer, the last at which something came, and what they prove."""

    def __init__(self, opened: Now, silence_ns: int) -> None:
        """silence_ns: a pause so long is a silence."""
        self._empty, self._silence_ns = opened, silence_ns
        self._heard_ns = opened.monotonic_ns
        self._first_ns: int | None = None  # the first look of a proof

    def empty(self, now: Now) -> None:
        """Note that everything which the kernel had for us before now has been read."""
        if now.monotonic_ns - self._empty.monotonic_ns > _LATE_NS:
            self._first_ns = None
        if self._first_ns is None and now.monotonic_ns - self._heard_ns >= self._silence_ns:
            self._first_ns = now.monotonic_ns
        self._empty = now

    def heard(self, now: Now) -> None:
        """Note that something was read, or that what is read from now on is another stream."""
        self._heard_ns, self._first_ns = now.monotonic_ns, None

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
        self.heard(now)

    def paused(self) -> bool:
        """True if looks found nothing for a silence. Enough to doubt a line that is under way, not to say that none is."""
        return self._empty.monotonic_ns - self._heard_ns >= self._silence_ns

    def silent(self) -> bool:
        """True if two looks in a row prove that nothing was sent for a silence, up to the second of them."""
        return self._first_ns is not None and self._empty.monotonic_ns - self._first_ns >= _APART_NS
