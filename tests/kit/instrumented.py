"""A loop whose tasks can be made to fail at an await: at one of their resumptions an exception comes out of what they wait for."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Awaits:
    """Counts the resumptions of all tasks that it watches, and lets one of them raise. at: which; 0: none. hit: the name of its task."""

    def __init__(self, watches: Callable[[str], bool], fault: Callable[[], BaseException]) -> None:
        self._watches, self._fault = watches, fault
        self.at, self.count = 0, 0
        self.hit: str | None = None

    def installed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have every task that is made from now on watched by its name."""

        def factory(of: asyncio.AbstractEventLoop, work: Any, **named: Any) -> "asyncio.Task[Any]":
            return asyncio.Task(Watched(work, self), loop=of, **named)

        loop.set_task_factory(factory)

    def due(self) -> BaseException | None:
        """Return what the resumption of now raises."""
        task = asyncio.current_task()
        if task is None or not self._watches(task.get_name()):
            return None
        self.count += 1
        if self.at == 0 or self.count < self.at or self.hit is not None:
            return None
        self.hit = task.get_name()
        return self._fault()


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine whose await may raise."""

    def __init__(self, work: Coroutine[Any, Any, Any], awaits: Awaits) -> None:
        self._work, self._awaits, self._begun = work, awaits, False

    def send(self, value: Any) -> Any:
        fault = self._awaits.due() if self._begun else None
        self._begun = True
        return self._work.send(value) if fault is None else self._work.throw(fault)

    def throw(self, *what: Any) -> Any:
        return self._work.throw(*what)

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()
