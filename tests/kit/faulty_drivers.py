"""A line whose drivers do as a test says, running, and what it says of itself."""

import asyncio
import contextlib
import errno
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy.exc
from kit.processes import DEADLINE_S
from pydantic import BaseModel

import config
from config import Source, Tag
from drivers import Driver, Emit, LinkLost
from drivers.registry import driver_class
from gateway.operation.control import NotRunning, ask
from gateway.runtime import gateway, source

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
"""
SOURCE = """
[[source]]
name = "{name}"
driver = "mes_file"
endpoint = "file://{drop}"
rate_ms = 200
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"
"""


class Silent(Exception):
    """An error that fails once more when it is asked what it says."""

    def __str__(self) -> str:
        raise KeyError("what")


FAULTS: dict[str, Callable[[], BaseException]] = {
    "value": lambda: ValueError("one\nline\ntoo many"),
    "key": lambda: KeyError("column"),
    "os": lambda: OSError(errno.EIO, "Input/output error"),
    "library": lambda: sqlalchemy.exc.InvalidRequestError("no such thing"),
    "database": lambda: sqlite3.DatabaseError("file is not a database"),
    "recursion": lambda: RecursionError("maximum recursion depth exceeded"),
    "memory": MemoryError,
    "cancelled": asyncio.CancelledError,
    "exit": lambda: SystemExit("a library ends the program"),
    "silent": Silent,
    "group": lambda: ExceptionGroup("some", [LinkLost("cable"), ExceptionGroup("more", [ZeroDivisionError("bug")])]),
    "lost": lambda: LinkLost("no route"),
}


def written(folder: Path, *sources: str, more: str = "") -> Path:
    """A line whose sources are drop folders by its map; `good` has a real one."""
    (folder / "drop").mkdir(parents=True)
    made = "".join(SOURCE.format(name=name, drop="drop" if name == "good" else f"none-{name}") for name in ("good", *sources))
    (folder / "line.toml").write_text(LINE + made + more)
    rows = "".join(f"{name}.lod,{name},results.lod,float32\n" for name in ("good", *sources))
    (folder / "tags.csv").write_text(f"tag,source,address,type\n{rows}")
    return folder


@asynccontextmanager
async def alive(folder: Path) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """The whole gateway in this process; gives how it is asked. It must live to the end."""
    line = config.load(folder)
    running = asyncio.create_task(gateway.run(line))

    async def now() -> dict[str, Any]:
        while True:
            assert not running.done(), f"the gateway ended: {running.exception()!r}"
            with contextlib.suppress(NotRunning):
                return await asyncio.to_thread(ask, line.data)
            await asyncio.sleep(0.02)

    try:
        yield now
        assert not running.done()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def seen(now: Callable[[], Awaitable[dict[str, Any]]], what: Callable[[dict[str, Any]], Any]) -> Any:
    """Wait for a state of the gateway."""
    shown: dict[str, Any] = {}
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := what(shown := await now())):  # noqa: ASYNC110 - the state is another's
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"never: {json.dumps(shown.get('problems'), indent=1)}") from None
    return found


def source_of(now: dict[str, Any], name: str) -> dict[str, Any]:
    return next(source for source in now["sources"] if source["name"] == name)


class Options(BaseModel, extra="allow"):
    """Takes any options."""


class Faulty(Driver):
    """Raises what its source is called after, as often as it is told to; then it reads."""

    Settings = Options
    left: ClassVar[dict[str, int]] = {}

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._spend(f"{source.name}/made")

    async def run(self, emit: Emit) -> None:
        self._spend(self.source.name)
        emit.connected()
        while True:
            await emit([(0, 1.5, 0, None, None)], received_ns=time.monotonic_ns())
            await asyncio.sleep(0.1)

    def _spend(self, name: str) -> None:
        if self.left.get(name, 0):
            self.left[name] -= 1
            made = FAULTS[self.source.name]
            raise made()


def faulty(monkeypatch: pytest.MonkeyPatch, kind: type[Driver]) -> None:
    """Have the sources but `good` read by this driver."""
    registered = driver_class("mes_file")
    monkeypatch.setattr(source, "driver_class", lambda _: lambda s, tags: (registered if s.name == "good" else kind)(s, tags))
