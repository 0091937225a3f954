"""Reads the kernel's view of its clock: ntp_adjtime(3) with modes 0, which only reads and needs no privilege."""

import ctypes
import os
from dataclasses import dataclass
from typing import ClassVar

from gateway.clock.daemon_reading import Evidence, Leap, Unreadable
from gateway.clock.system_clocks import SystemTimes, Times

STA_INS, STA_DEL, STA_UNSYNC, STA_NANO = 0x0010, 0x0020, 0x0040, 0x2000
TIME_ERROR = 5


class Timeval(ctypes.Structure):
    """C's struct timeval."""

    _fields_: ClassVar = [("sec", ctypes.c_long), ("usec", ctypes.c_long)]


class Timex(ctypes.Structure):
    """C's struct timex of Linux (include/uapi/linux/timex.h); the size of C's long follows the machine."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", Timeval),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    ]


@dataclass(frozen=True, slots=True)
class KernelClock:
    """The kernel's clock state in its own units. state: the call's return value (5 is TIME_ERROR). offset_ns: still to be slewed."""

    state: int
    status: int
    maxerror_us: int
    esterror_us: int
    offset_ns: int
    tai_s: int

    @property
    def unsynchronised(self) -> bool:
        """True if the kernel's clock is marked unsynchronised. With chrony this needs `rtcsync` to be cleared (its sys_timex.c)."""
        return self.state == TIME_ERROR or bool(self.status & STA_UNSYNC)

    @property
    def leap(self) -> Leap:
        """The leap second announced by STA_INS or STA_DEL: the kernel itself will step at the end of the day."""
        if self.unsynchronised:
            return "unsynchronised"
        if self.status & STA_INS:
            return "insert"
        return "delete" if self.status & STA_DEL else "none"


def kernel_clock() -> KernelClock:
    """Read the kernel's clock discipline. Raises Unreadable where the call is not allowed (some sandboxes)."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = Timex(modes=0)
    state = libc.ntp_adjtime(ctypes.byref(timex))
    if state < 0:
        raise Unreadable(f"ntp_adjtime: {os.strerror(ctypes.get_errno())}")
    offset_ns = timex.offset if timex.status & STA_NANO else timex.offset * 1000
    return KernelClock(state, timex.status, timex.maxerror, timex.esterror, offset_ns, timex.tai)


def evidence_from(clock: KernelClock, at_ns: int, update: float | None = None) -> Evidence:
    """Make evidence from the kernel's state: bound = maxerror + esterror + the offset still to be slewed.

    The kernel itself grows maxerror by 500 ppm since the daemon's last update and sets STA_UNSYNC at 16 s, so no update interval is needed.
    It names no reference: the machine counts as "single-source".
    """
    bound_s = (clock.maxerror_us + clock.esterror_us) / 1e6 + abs(clock.offset_ns) / 1e9
    return Evidence(
        reader="kernel",
        at_ns=at_ns,
        synchronised=not clock.unsynchronised,
        update=update,
        bound_s=bound_s,
        offset_s=clock.offset_ns / 1e9,
        reference="kernel",
        leap=clock.leap,
        detail=f"state {clock.state}, status 0x{clock.status:04x}, maxerror {clock.maxerror_us} us",
    )


class KernelReader:
    """Reads the kernel's clock: the fallback where no daemon answers."""

    name = "kernel"

    def __init__(self, times: Times | None = None) -> None:
        self._times = times or SystemTimes()
        self._maxerror_us = 0
        self._update = 0.0

    async def read(self) -> Evidence:
        """Ask the kernel once; a maxerror smaller than before shows an update by a daemon. Raises Unreadable."""
        at_ns = self._times.monotonic_ns()
        clock = kernel_clock()
        if clock.maxerror_us < self._maxerror_us:
            self._update = self._times.realtime_ns() / 1e9
        self._maxerror_us = clock.maxerror_us
        return evidence_from(clock, at_ns, self._update)
