"""Reads the clocks of the machine through one interface, `Times`, so that everything that judges time can run on simulated clocks."""

import time
from pathlib import Path
from typing import NamedTuple, Protocol

TRIES = 3
"""Readings per pair; the tightest is kept, because a preemption between two clock reads looks like an offset."""


class Times(Protocol):
    """Four clocks of one machine, in nanoseconds (clock_gettime(2))."""

    def realtime_ns(self) -> int:
        """Read CLOCK_REALTIME: UTC since 1970 as the machine believes it. May be stepped."""

    def monotonic_ns(self) -> int:
        """Read CLOCK_MONOTONIC: slewed with CLOCK_REALTIME, never stepped, stopped in suspend."""

    def boottime_ns(self) -> int:
        """Read CLOCK_BOOTTIME: CLOCK_MONOTONIC plus the time in suspend."""

    def raw_ns(self) -> int:
        """Read CLOCK_MONOTONIC_RAW: the oscillator itself, neither slewed nor stepped."""


class SystemTimes:
    """Reads the machine's own clocks."""

    realtime_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    def boottime_ns(self) -> int:
        """Read CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def raw_ns(self) -> int:
        """Read CLOCK_MONOTONIC_RAW."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


class Anchor(NamedTuple):
    """All clocks at one instant, in ns. spread_ns: how far apart the reads may have been."""

    realtime_ns: int
    monotonic_ns: int
    boottime_ns: int
    raw_ns: int
    spread_ns: int

    @property
    def offset_ns(self) -> int:
        """UTC minus monotonic: constant between two steps, because both are slewed together."""
        return self.realtime_ns - self.monotonic_ns

    @property
    def suspended_ns(self) -> int:
        """Time spent in suspend since boot."""
        return self.boottime_ns - self.monotonic_ns


def anchor(times: Times) -> Anchor:
    """Read all clocks, as close together as the machine permits."""
    return min((_read(times) for _ in range(TRIES)), key=lambda one: one.spread_ns)


def _read(times: Times) -> Anchor:
    before = times.monotonic_ns()
    realtime = times.realtime_ns()
    monotonic = times.monotonic_ns()
    boottime, raw = times.boottime_ns(), times.raw_ns()
    after = times.monotonic_ns()
    return Anchor(realtime, (before + monotonic) // 2, boottime - (after - monotonic) // 2, raw, after - before)


def boot_id() -> str:
    """Return the kernel's identity of this boot: two monotonic instants are comparable if and only if it is the same."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
