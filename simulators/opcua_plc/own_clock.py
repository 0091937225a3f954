"""The clock of a simulated PLC: this machine's, until it is told to be off, to leap or to drift."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from simulators.device import TICKS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def machine_ticks() -> int:
    """Read this machine's clock, in ticks."""
    return time.time_ns() // 100


class OwnClock:
    """Of this clock are source and server times of values, times of publishing, and what the PLC tells as its time."""

    def __init__(self, now: Callable[[], int] = machine_ticks) -> None:
        self._now, self._since = now, now()
        self._offset_ticks, self._drift_ppm = 0, 0.0

    def put(self, offset_s: float, drift_ppm: float = 0.0) -> None:
        """Be off by this much from now on, and drift from there."""
        self._since, self._offset_ticks, self._drift_ppm = self._now(), round(offset_s * TICKS_PER_S), drift_ppm

    def shown(self, ticks: int) -> int:
        """Say what this clock shows at an instant of this machine's clock."""
        return ticks + self._offset_ticks + round(self._drift_ppm * 1e-6 * (ticks - self._since))

    def ticks(self) -> int:
        """Say what it shows now."""
        return self.shown(self._now())

    def utc(self) -> datetime:
        """Say the same as a date."""
        return _EPOCH + timedelta(microseconds=self.ticks() // 10)
