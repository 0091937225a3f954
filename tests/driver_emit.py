"""The gateway's side of a driver, kept in memory: what every collector of the driver tests has in common."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from drivers.contract import Finding, Loss, Reading


class Collector:
    """An Emit whose disk is always ready. Subclasses say what they keep of a list in `__call__`, and return `done()`."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.lists: list[Any] = []
        self.losses: list[Loss] = []
        self.findings: list[Finding] = []
        self.connections: list[str] = []
        self.changed = asyncio.Event()

    def __call__(self, readings: Sequence[Reading], **_: Any) -> Awaitable[None]:
        self.lists.append(list(readings))
        return self.done()

    async def room(self) -> None:
        pass

    def lost(self, loss: Loss) -> Awaitable[None]:
        self.losses.append(loss)
        return self.done()

    def found(self, finding: Finding) -> Awaitable[None]:
        self.findings.append(finding)
        return self.done()

    def connected(self, detail: str = "") -> None:
        self.connections.append(detail)
        self.changed.set()

    def done(self) -> Awaitable[None]:
        """It is on disk."""
        self.changed.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def until(self, condition: Callable[[], object], deadline_s: float = 15.0) -> None:
        """Wait for a state of what was collected."""
        async with asyncio.timeout(deadline_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()
