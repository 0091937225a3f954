"""Event loops whose time is fit for tests: what waits for a time, waits by the loop, so that no production code needs another clock.

Every test runs on a `PatientLoop`. One that is marked `virtual_time` runs on a `VirtualTimeLoop`.
"""

import asyncio
import selectors
import time
from collections.abc import Callable
from typing import Any

LONGEST_STEP_S = 0.01
"""More than this at once is no work of a test: the machine was busy with something else."""


class PatientLoop(asyncio.SelectorEventLoop):
    """Its time stands still while the process gets no processor.

    A test's device and driver stand in one process. Where that is not run for 300 ms, a request with a timeout of 250 ms would be given up
    though its answer is only a turn of the loop away: on a loaded machine a right driver looks wrong. Here such a pause is one step.
    """

    def __init__(self) -> None:
        self._seen_s = self._shown_s = time.monotonic()
        super().__init__(_Selector(self._wait))

    def time(self) -> float:
        """Seconds that passed in steps of at most LONGEST_STEP_S, and while the loop waited."""
        now_s = time.monotonic()
        self._shown_s += min(now_s - self._seen_s, LONGEST_STEP_S)
        self._seen_s = now_s
        return self._shown_s

    def _wait(self, select: Callable[[float | None], Any], timeout: float | None) -> Any:
        begun_s = self.time()
        events = select(timeout)
        waited_s, self._seen_s = time.monotonic() - self._seen_s, time.monotonic()
        if timeout is not None:  # what came is looked at before the time for it is over, however late the loop itself was woken
            waited_s = min(waited_s, timeout if not events else max(timeout - LONGEST_STEP_S, 0.0))
        self._shown_s = begun_s + waited_s
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its time is that of the next thing that is waited for: hours pass at once, and a test sees the same instants on every machine.

    For code that waits for time and for other tasks alone: time would run away from an answer by a socket or a thread.
    """

    def __init__(self) -> None:
        self._shown_s = 1_000.0
        super().__init__(_Selector(self._jump))

    def time(self) -> float:
        """Seconds, from a round number on."""
        return self._shown_s

    def _jump(self, select: Callable[[float | None], Any], timeout: float | None) -> Any:
        events = select(None if timeout is None else 0)
        if not events and timeout:
            self._shown_s += timeout
        return events


class _Selector(selectors.DefaultSelector):
    """Lets the loop decide how long it waits, and how long that was."""

    def __init__(self, wait: Callable[[Callable[[float | None], Any], float | None], Any]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Any:
        return self._wait(super().select, timeout)
