"""Notices at once that the wall clock was set: a timer on CLOCK_REALTIME with TFD_TIMER_CANCEL_ON_SET (timerfd_create(2)).

Python offers os.timerfd_* from 3.13 on; before that, three calls of libc. Where the call is not allowed, the one-second check remains.
"""

import asyncio
import ctypes
import os
from types import TracebackType
from typing import ClassVar, Self

CLOCK_REALTIME = 0
TFD_NONBLOCK, TFD_CLOEXEC = 0o4000, 0o2000000
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
FAR_S = 2**40
"""Expiry that is never reached: the timer exists to be cancelled."""


class _Itimerspec(ctypes.Structure):
    """C's struct itimerspec: interval, then value, each a struct timespec."""

    _fields_: ClassVar = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class ClockSetWatch:
    """Sets an asyncio.Event when the wall clock is set. A context manager, to be entered in the event loop's thread."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1

    def __enter__(self) -> Self:
        self._fd = self._libc.timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._heard)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def arm(self) -> bool:
        """Arm the timer for the next time that the clock is set. False if the kernel does not offer it."""
        if self._fd < 0:
            return False
        spec = _Itimerspec(value_s=FAR_S)
        flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
        return bool(self._libc.timerfd_settime(self._fd, flags, ctypes.byref(spec), None) == 0)

    def _heard(self) -> None:
        """Handle the readable descriptor: the error ECANCELED means that the clock was set."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        except OSError:
            self._wake.set()
