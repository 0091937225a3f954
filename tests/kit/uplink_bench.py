"""An uplink with its real neighbours: a journal, a broker or an HTTP server, the reference EBR, certificates."""

import asyncio
import contextlib
import sqlite3
import ssl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from kit import journals
from kit.processes import eventually, free_port

from buffer import Body, Journal
from config import Line, Uplink
from gateway.uplink import Forwarder, UplinkError
from simulators.broker import Broker
from simulators.ebr import Ebr, InjectedFaults
from simulators.pki import Authority

Figures = Callable[[str, str], None]
GATEWAY = "lyon/granulation-2"


def bodies(count: int, size: int = 200) -> list[Body]:
    event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x", "text": "y" * size}}
    return [Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count


def record_bodies() -> list[Body]:
    """A step's start and end, its correction, a gap, and entries that are no records."""
    head = {"equipment": "granulator", "order": "4500", "batch": "B1", "step": "MIX", "record": f"{GATEWAY}/B1/granulator/MIX/1"}
    events = [
        {"type": "heartbeat", "observed": {}},
        {**head, "type": "step", "transition": "start", "revision": 1},
        {"type": "gap", "transition": "open", "gap": "plc/1", "source": "plc", "tags": "all"},
        {**head, "type": "step", "transition": "end", "revision": 1},
        {"type": "finding", "code": "x"},
        {**head, "type": "step", "transition": "end", "revision": 2, "reason": "late-data"},
        {"type": "batch", "transition": "end", "record": f"{GATEWAY}/B1", "revision": 1, "order": "4500", "batch": "B1"},
    ]
    return [Body("ebr-gateway/event/1", orjson.dumps({"time": "2026-11-22T07:15:02.512345Z", "event": event})[1:]) for event in events]


class Hands:
    """A clock that stands still until it is set, and goes on by a step with each look if there is one."""

    def __init__(self) -> None:
        self.now_s, self.step_s = 1_000.0, 0.0

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class Bench:
    """A journal, perhaps a broker, an EBR, and uplinks that can be started and stopped one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal.open(folder / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
        self.http, self.mqtt = free_port(), free_port()
        self.broker = Broker(self.mqtt, port_v4=free_port())
        self.script = InjectedFaults()
        self.findings: list[dict[str, Any]] = []
        self.ebr: Ebr
        self._tasks: list[asyncio.Task[None]] = []

    def append(self, count: int, size: int = 200) -> None:
        self.journal.append(bodies(count, size), urgent=True).result()

    async def start(self, kind: str, **options: Any) -> asyncio.Task[None]:
        """Broker and EBR for one kind of uplink."""
        if kind == "mqtt":
            await self.broker.start()
        return await self.start_ebr(mqtt=self.broker.url if kind == "mqtt" else None, **options)

    async def start_ebr(self, **options: Any) -> asyncio.Task[None]:
        ebr = self.ebr = Ebr(self.folder / "ebr", script=self.script, **{"http": self.http, **options})
        task = asyncio.create_task(ebr.run())
        self._tasks.append(task)
        await eventually(lambda: ebr.ready.is_set() or task.done())
        return task

    async def stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def uplink(self, kind: str, **options: Any) -> Uplink:
        endpoint = f"mqtt://127.0.0.1:{self.mqtt}" if kind == "mqtt" else f"http://127.0.0.1:{self.http}"
        return Uplink(**{"name": kind, "kind": kind, "endpoint": endpoint, "resend_after_s": 0.3, **options})

    def forward(self, uplink: Uplink, clock: Callable[[], float] | None = None) -> Forwarder:
        line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=self.folder))
        forward = Forwarder(self.journal, line, uplink, self.findings.append, clock=clock or asyncio.get_running_loop().time)
        self.journal.on_commit(forward.wake)
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

    async def secure(self, kind: str, tls: "Tls") -> None:
        """A broker that speaks TLS and wants client certificates."""
        if kind == "mqtt":
            self.broker = Broker(self.mqtt, tls=(tls.server.cert, tls.server.key), ca=tls.authority.cert)
            await self.broker.start()

    def secure_endpoint(self, kind: str) -> str:
        return f"mqtts://127.0.0.1:{self.mqtt}" if kind == "mqtt" else f"https://127.0.0.1:{self.http}"

    def ebr_tls(self, tls: "Tls") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tls.authority.cert)
        context.load_cert_chain(tls.client.cert, tls.client.key)
        return context

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
        with contextlib.closing(sqlite3.connect(self.folder / "ebr" / "ebr.db")) as db:
            return dict(db.execute("SELECT seq, payload FROM entries WHERE epoch=?", (self.journal.last[0],)))

    def stored_alike(self) -> bool:
        ours = {entry.seq: entry.payload for entry in journals.entries(self.journal)}
        return ours == self.held()


BOTH = pytest.mark.parametrize("kind", ["mqtt", "https"])


class Tls:
    """An authority, a server that it vouches for, and a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.server = self.authority.issue("server", ("127.0.0.1", "localhost"))
        self.client = self.authority.issue("client")

    def server_context(self, *, mutual: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority.cert)
        context.load_cert_chain(self.server.cert, self.server.key)
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return context

    def options(self, *, client: bool = True) -> dict[str, Any]:
        names: dict[str, Any] = {"ca": str(self.authority.cert)}
        return {"tls": names | ({"cert": str(self.client.cert), "key": str(self.client.key)} if client else {})}
