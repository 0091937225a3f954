"""Every place at which a task of a running program waits, and a fault out of one of them.

A place is the calls that a task is inside of while it waits: each line of ours, and the innermost one, whoever's it is.
"""

import ast
import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType
from typing import Any

from kit.await_points import ROOMS, forget
from kit.repository import ROOT

Place = tuple[str, ...]
"""`gateway/intake/port.py:88` from the outermost call to the innermost. A point (kit.await_points) is POINT and its line alone."""
POINT = "await"
OF_SOURCE = "source "
"""So begin the names of the tasks of sources."""


class Places:
    """Counts to which places tasks come, and raises at those that are aimed at. hits: the places where it did, in order, and in which task,
    or for which source.

    counts: whether places are counted at which a task waits; to name them takes longer than most of what a task does.
    """

    def __init__(self, watches: Callable[[str], bool], *, counts: bool) -> None:
        self._watches, self._counts = watches, counts
        self.seen: Counter[Place] = Counter()
        self._targets: dict[Place, Callable[[], BaseException]] = {}
        self.hits: list[tuple[Place, str]] = []

    @property
    def aimed(self) -> bool:
        """Whether some place that was aimed at has not been met."""
        return bool(self._targets)

    def aim(self, targets: Mapping[Place, Callable[[], BaseException]]) -> None:
        """Raise at each of these places when a task comes there next, once."""
        self._targets, self.hits = dict(targets), []

    def at(self, point: str, awaited: Any) -> None:
        """Take note that a task comes to a point, and raise there if it is aimed at."""
        task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
        work = None if task is None else task.get_coro()
        if task is None or not isinstance(work, Watched) or work.places is not self or not self._watches(task.get_name()):
            return
        if (fault := self._met((POINT, point), task)) is not None:
            forget(awaited)
            raise fault

    def due(self, work: Coroutine[Any, Any, Any]) -> BaseException | None:
        """Return what is raised where this task goes on now."""
        task = asyncio.current_task()
        if task is None or not (self._counts or self._targets) or not self._watches(task.get_name()):
            return None
        return self._met(place_of(work), task)

    def _met(self, place: Place, task: "asyncio.Task[Any]") -> BaseException | None:
        self.seen[place] += 1
        if (fault := self._targets.pop(place, None)) is None:
            return None
        self.hits.append((place, whose(task)))
        return fault()

    def installed(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have every task that is made from now on watched."""

        def factory(of: asyncio.AbstractEventLoop, work: Any, **named: Any) -> "asyncio.Task[Any]":
            return asyncio.Task(Watched(work, self, asyncio.current_task(of)), loop=of, **named)

        loop.set_task_factory(factory)


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine whose awaits may raise."""

    def __init__(self, work: Coroutine[Any, Any, Any], places: Places, maker: "asyncio.Task[Any] | None") -> None:
        """maker: the task that made this one's."""
        self.work, self.places, self.maker, self._begun = work, places, maker, False

    def send(self, value: Any) -> Any:
        fault = self.places.due(self.work) if self._begun else None
        self._begun = True
        return self.work.send(value) if fault is None else self.work.throw(fault)

    def throw(self, *what: Any) -> Any:
        return self.work.throw(*what)

    def close(self) -> None:
        self.work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.work.__await__()

    def does(self) -> str:
        """Name what it does: its function, and the first two of ours that it called."""
        called = [frame.f_code.co_qualname for frame in _frames(self.work) if is_own(frame.f_code)][:3]
        return " > ".join([getattr(self.work, "__qualname__", "?"), *called])


def whose(task: "asyncio.Task[Any]") -> str:
    """Name the source in whose task this one was made, `source plc`; of any other task its own name."""
    at: asyncio.Task[Any] | None = task
    while at is not None:
        if at.get_name().startswith(OF_SOURCE):
            return at.get_name()
        work = at.get_coro()
        at = work.maker if isinstance(work, Watched) else None
    return task.get_name()


def place_of(work: Any) -> Place:
    """Say where a suspended coroutine waits."""
    frames = list(_frames(work))
    own = [_line(frame.f_code, frame.f_lineno) for frame in frames if is_own(frame.f_code)]
    inner = frames[-1] if frames else None
    return (*own, *([] if inner is None or is_own(inner.f_code) else [_line(inner.f_code, inner.f_lineno)]))


def _frames(work: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of all that it waits for, outermost first."""
    while work is not None:
        if type(work).__name__ in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper"):  # they say it to nobody else
            work = next((held for held in gc.get_referents(work) if isinstance(held, AsyncGeneratorType | CoroutineType)), None)
        frame = next((getattr(work, f"{kind}_frame") for kind in ("cr", "gi", "ag") if hasattr(work, f"{kind}_frame")), None)
        if frame is not None:
            yield frame
        work = next((getattr(work, name) for name in ("cr_await", "gi_yieldfrom", "ag_await") if hasattr(work, name)), None)


def is_own(code: CodeType) -> bool:
    return _room(code.co_filename) is not None


def _room(file: str) -> str | None:
    name = file.removeprefix(f"{ROOT}/")
    return name if name.partition("/")[0] in ROOMS else None


def _line(code: CodeType, line: int) -> str:
    name = _room(code.co_filename)
    return f"{name}:{line}" if name is not None else f"{'/'.join(Path(code.co_filename).parts[-2:])}:{line} {code.co_name}"


def written(rooms: Iterable[str]) -> dict[str, set[str]]:
    """Find each `await`, `async for` and `async with` in the source of these folders: its first line -> its lines, as places have them."""
    found: dict[str, set[str]] = {}
    for path in (path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
                last = (node.body[0].lineno - 1) if isinstance(node, ast.AsyncFor | ast.AsyncWith) else node.end_lineno or node.lineno
                found[f"{name}:{node.lineno}"] = {f"{name}:{line}" for line in range(node.lineno, max(last, node.lineno) + 1)}
    return found


def function_of(rooms: Iterable[str]) -> dict[str, str]:
    """Name the function in which each await of these folders stands: `MesSqlDriver.probe`."""
    found: dict[str, str] = {}

    def walk(file: str, node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Await | ast.AsyncFor | ast.AsyncWith):
                found[f"{file}:{child.lineno}"] = name
            is_named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            walk(file, child, f"{name}.{child.name}".removeprefix(".") if is_named else name)  # type: ignore[attr-defined]

    for path in (path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))):
        walk(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8")), "")
    return found
