"""An uplink against real neighbours: a real journal, a real broker, a real HTTP server, the reference EBR."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from buffer import Body, Journal
from config import Line, Uplink
from gateway.uplink import Forwarder, UplinkError
from simulators.broker import Broker
from simulators.ebr import Ebr, Script

GATEWAY = "lyon/granulation-2"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bodies(count: int, size: int = 200) -> list[Body]:
    event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x", "text": "y" * size}}
    return [Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count


async def until(state: Callable[[], Any], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not state():  # noqa: ASYNC110 - states of other processes and threads
            await asyncio.sleep(0.01)


class Bench:
    """A journal, perhaps a broker, an EBR, and uplinks that can be started and stopped one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal.open(folder / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
        self.http, self.mqtt = free_port(), free_port()
        self.broker = Broker(self.mqtt, port_v4=free_port())
        self.script = Script()
        self.findings: list[dict[str, Any]] = []
        self.ebr: Ebr | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def append(self, count: int, size: int = 200) -> None:
        self.journal.append(bodies(count, size), urgent=True).result()

    async def start_ebr(self, **options: Any) -> asyncio.Task[None]:
        options = {"http": self.http, **options}
        self.ebr = Ebr(self.folder / "ebr", script=self.script, **options)
        task = asyncio.create_task(self.ebr.run())
        self._tasks.append(task)
        await until(lambda: self.ebr.ready.is_set() or task.done())
        return task

    def uplink(self, kind: str, **options: Any) -> Uplink:
        endpoint = f"mqtt://127.0.0.1:{self.mqtt}" if kind == "mqtt" else f"http://127.0.0.1:{self.http}"
        return Uplink(name=kind, kind=kind, **{"endpoint": endpoint, "resend_after_s": 0.3, **options})

    def forward(self, uplink: Uplink) -> Forwarder:
        line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=self.folder))
        forward = Forwarder(self.journal, line, uplink, self.findings.append)
        self.journal.on_commit(lambda last: forward.wake(*last))
        return forward

    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.findings}

    def run(self, forward: Forwarder, *, again: bool = True) -> asyncio.Task[None]:
        async def keep() -> None:
            while True:
                try:
                    await forward.run()
                except UplinkError:
                    if not again:
                        raise
                    await asyncio.sleep(0.1)

        task = asyncio.create_task(keep())
        self._tasks.append(task)
        return task

    def delivered(self, name: str) -> bool:
        return self.journal.cursor(name) == self.journal.last

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await self.broker.close()
        await asyncio.to_thread(self.journal.close)

    def held(self) -> dict[int, bytes]:
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.folder / "ebr" / "ebr.db")) as db:
            return dict(db.execute("SELECT seq, payload FROM entries WHERE epoch=?", (self.journal.last[0],)))

    def stored_alike(self) -> bool:
        ours = {entry.seq: entry.payload for entry in self.journal.read((0, 0), max_bytes=1 << 30, max_entries=1_000_000)}
        return ours == self.held()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
@pytest.mark.parametrize("kind", ["mqtt", "https"])
async def test_everything_arrives_as_it_is_and_only_receipts_move_the_cursor(bench: Bench, kind: str) -> None:
    bench.append(300)
    if kind == "mqtt":
        await bench.broker.start()
    await bench.start_ebr(mqtt=bench.broker.url if kind == "mqtt" else None)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await until(lambda: bench.delivered(kind))
    bench.append(50)
    await until(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    assert bench.ebr.store.counts()["duplicates"] == 0
    assert forward.status.receipts > 0
    assert bench.findings == []
