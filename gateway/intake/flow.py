"""Back-pressure of the journal: while it takes nothing more, sources are held back, and it is known for what cause."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from buffer import Journal, Pressure
from gateway.entries.findings import finding


class Flow:
    """Set while the journal takes what sources have. Belongs to the loop's thread, but for `told`."""

    def __init__(self, journal: Journal, on_turn: Callable[[Pressure | None, Pressure | None], None]) -> None:
        """on_turn: called with the pressure before and now whenever it begins, is over, or has another cause; not for that of a start."""
        self._on_turn = on_turn
        self._loop = asyncio.get_running_loop()
        self._takes = asyncio.Event()
        self._eased_ns = 0  # when the last pressure was over
        journal.on_pressure(self.told)
        self._pressure = journal.pressure  # the last one; it may be over
        if self._pressure is None:
            self._takes.set()

    def is_set(self) -> bool:
        """True while the journal takes what sources have."""
        return self._takes.is_set()

    async def wait(self) -> None:
        """Return when the journal takes what sources have."""
        await self._takes.wait()

    def held_back_by(self, since_ns: int) -> str:
        """Cause for which lists could not be handed over at a time since then; `journal-slow` if nothing but the commits took long."""
        pressed = not self._takes.is_set() or self._eased_ns >= since_ns
        return self._pressure.cause if pressed and self._pressure else "journal-slow"

    def told(self, why: Pressure | None) -> None:
        """Take the journal's word, in the writer's thread."""
        self._loop.call_soon_threadsafe(self._turn, why)

    def _turn(self, why: Pressure | None) -> None:
        before = None if self._takes.is_set() else self._pressure
        if (why and why.cause) == (before and before.cause):
            return
        if why is None:
            self._eased_ns = time.monotonic_ns()
            self._takes.set()
        else:
            self._pressure = why
            self._takes.clear()
        self._on_turn(before, why)


def flow_event(before: Pressure | None, now: Pressure | None) -> dict[str, Any]:
    """Give the finding that sources are held back, or read again."""
    if now is not None:
        return finding(now.cause, "alarm", f"{now.text}; sources are held back", {})
    locked = before is not None and before.cause == "journal-locked"
    return finding("journal-unlocked" if locked else "journal-has-room", "info", "sources are read again", {})
