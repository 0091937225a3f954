"""The gateway's side of a driver, kept in memory: what every collector of the driver tests has in common."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from kit.processes import DEADLINE_S

from drivers.contract import Finding, LinkLost, Loss, Message


def fail_on(fault: BaseException) -> None:
    """Fail the test: what an intake is told to do with a fault that must not come."""
    raise AssertionError("a fault") from fault


class Collector:
    """An Emit whose disk is always ready. Subclasses say what they keep of a list in `__call__`, and return `done()`."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.lists: list[Any] = []
        self.losses: list[Loss] = []
        self.findings: list[Finding] = []
        self.connections: list[str] = []
        self.unread, self.lines_not_taken = "", 0
        self.changed = asyncio.Event()

    def __call__(self, *lists: Any, **_: Any) -> Awaitable[None]:
        self.lists += map(list, lists)
        return self.done()

    async def room(self) -> None:
        pass

    def lost(self, loss: Loss) -> Awaitable[None]:
        self.losses.append(loss)
        return self.done()

    def found(self, finding: Finding) -> Awaitable[None]:
        self.findings.append(finding)
        return self.done()

    def filled(
        self, tags: Sequence[int] | None, since_ticks: int, until_ticks: int, detail: str = "", received: int | None = None
    ) -> Awaitable[None]:
        raise NotImplementedError  # no driver of these tests has a history

    def not_taken(self) -> None:
        self.lines_not_taken += 1

    def samples(self, every_ms: Mapping[int, int | None]) -> None:
        pass

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        pass

    def connected(self, detail: str = "", unread: str = "") -> None:
        self.connections.append(detail)
        self.unread = unread
        self.changed.set()

    def done(self) -> Awaitable[None]:
        """It is on disk."""
        self.changed.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def until(self, condition: Callable[..., object], deadline_s: float = DEADLINE_S) -> None:
        """Wait for a state of what was collected."""
        async with asyncio.timeout(deadline_s):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Journal(Collector):
    """Keeps the rows and readings of a driver that reads rows, and the watermark only with them. Its disk may be full.

    polls: lists of a poll that were kept; alive: how many tags the last of them proved. resumed: (tags, messages kept before) each time.
    windows: of each reading, None where its row tells none. bridged: tags of which the last poll said that the source keeps what nobody
    asks for.
    """

    def __init__(self, watermark: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.watermark = watermark or {}
        self.messages: list[Message] = []
        self.readings: list[Any] = []
        self.windows: list[Any] = []
        self.polls = 0
        self.alive = 0
        self.bridged: tuple[int, ...] = ()
        self.resumed: list[tuple[tuple[int, ...], int]] = []
        self.offsets: list[tuple[float, float]] = []
        self.fail_after: int | None = None

    def __call__(
        self,
        readings: Any,
        *,
        messages: Any = (),
        watermark: Any = None,
        alive: Any = None,
        kind: str = "change",
        resumed: bool = False,
        kept: Any = (),
        windows: Any = (),
        **_: Any,
    ) -> Awaitable[None]:
        if messages and self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise OSError("the disk is full")
        self.readings += readings
        self.windows += windows or [None] * len(readings)
        self.messages += messages
        if watermark:
            merged = {**self.watermark, **orjson.loads(orjson.dumps(watermark))}
            self.watermark = {key: value for key, value in merged.items() if value is not None}
        if resumed:
            self.resumed.append((tuple(alive or ()), len(self.messages)))
        elif kind == "poll":
            self.polls += 1
            self.alive = len(alive or ())
            self.bridged = tuple(kept)
        return self.done()

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        self.offsets.append((offset_s, bound_s))

    async def polled(self, times: int = 2) -> None:
        """So many polls from now on are over."""
        goal = self.polls + times
        await self.until(lambda: self.polls >= goal)

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]


@asynccontextmanager
async def running(driver: Any, journal: Collector) -> AsyncIterator[asyncio.Task[None]]:
    """The driver runs and emits into the journal. How it ended, be it that the link was lost or the disk full, is read from the task."""
    task = asyncio.create_task(driver.run(journal))
    task.add_done_callback(lambda _: journal.changed.set())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LinkLost, OSError):
            await task
