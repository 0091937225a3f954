"""How many lists of one source may be under way to the disk, and whether the source had to wait for it."""

import asyncio
import time
from collections.abc import Awaitable

from gateway.intake.flow import Flow

MOST_OPEN_CALLS = 32
HELD_BACK_NS = 1_000_000_000
"""Who waits longer has lost polls."""


class Room:
    """The open lists of one source."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._open = 0
        self._free = asyncio.Event()
        self._free.set()
        self._held_back_ns = 0  # when a long wait ended last
        self._cause = ""

    @property
    def is_full(self) -> bool:
        """True if no other list may be opened before one is on disk."""
        return self._open >= MOST_OPEN_CALLS

    async def wait(self) -> None:
        """Return when another list may be opened."""
        begun_ns = time.monotonic_ns()
        await self._flow.wait()
        await self._free.wait()
        if time.monotonic_ns() - begun_ns > HELD_BACK_NS:
            self._held_back_ns, self._cause = time.monotonic_ns(), self._flow.held_back_by(begun_ns)

    def held_back_since(self, received_ns: int) -> str | None:
        """Cause of a long wait that ended after this instant: a poll from before it is followed by a time that nobody observed."""
        return self._cause if received_ns < self._held_back_ns else None

    def opened(self, stored: Awaitable[None]) -> Awaitable[None]:
        """Count a list as open until it is on disk."""
        future = asyncio.ensure_future(stored)
        if future.done():
            return future
        self._open += 1
        if self.is_full:
            self._free.clear()
        future.add_done_callback(self._closed)
        return future

    def _closed(self, _: object) -> None:
        self._open -= 1
        self._free.set()
