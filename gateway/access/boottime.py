"""Tells seconds that go on while the machine is suspended: who comes back to a PC that slept for an hour was away for an hour."""

import time


def boottime_s() -> float:
    """Return seconds since the machine started, those of its sleep among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
