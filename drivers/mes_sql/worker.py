"""One thread for a driver that can not be awaited: its connection is made, used and closed in this thread alone.

A call into a database can not be taken back, so a thread whose call goes on after its deadline is left alone, and until it has ended the
source asks nothing more: there is never more than one.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Worker:
    """Runs calls in order. A daemon: a database that never answers does not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_busy(self) -> bool:
        """True while a call has not ended, be it that nobody waits for it any more."""
        return self._running > 0

    async def idle(self) -> None:
        """Return when no call goes on."""
        await self._idle.wait()

    async def call(self, work: Callable[[], T]) -> T:
        """Run in the thread; gives and raises what it does. Cancelled, the call goes on and its outcome is dropped."""
        return await self.post(work)

    def post(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Have it run after what was asked before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(self._jobs,), name=f"mes_sql {self._name}", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._running += 1
        self._idle.clear()
        self._jobs.put((work, loop, outcome))
        return outcome

    def end(self) -> None:
        """Let the thread end when it has done what it was asked; what is asked after this has a new one."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs, self._thread = queue.SimpleQueue(), None

    def _work(self, jobs: "queue.SimpleQueue[Job | None]") -> None:
        while (job := jobs.get()) is not None:
            work, loop, outcome = job
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - it is raised where the call is waited for
                error = raised
            try:
                loop.call_soon_threadsafe(self._told, outcome, result, error)
            except RuntimeError:  # the loop is closed: nobody waits
                return

    def _told(self, outcome: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        self._running -= 1
        if self._running == 0:
            self._idle.set()
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)
