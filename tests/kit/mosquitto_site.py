"""An uplink with Debian's mosquitto as a site has it: persistence, access lists, limits; a journal, and the reference EBR behind it."""

import asyncio
import contextlib
import getpass
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import AsyncIterator
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
from simulators.ebr import Ebr, InjectedFaults

BROKER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
GATEWAY = "lyon/granulation-2"


def SITE(test: Any) -> Any:  # noqa: N802 - a mark, as those of pytest
    """Mark a test that needs mosquitto."""
    return pytest.mark.mosquitto(pytest.mark.skipif(not Path(BROKER).exists(), reason="Debian's mosquitto is not installed")(test))


class Site:
    """A mosquitto, a journal, an EBR, one uplink."""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["Site"]:
        site = cls(folder)
        try:
            yield site
        finally:
            await site.close()

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.script = folder, free_port(), InjectedFaults()
        self.journal = Journal.open(folder / "data", GATEWAY, retain_s=86_400, max_bytes=2_000_000_000)
        self.findings: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.ebr: Ebr

    async def broker(self, *lines: str) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join((f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}", *lines)) + "\n")
        self._start(config)
        await eventually(self._listens)

    def _start(self, config: Path) -> None:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([BROKER, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
            return True
        return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def receive(self, **options: Any) -> asyncio.Task[None]:
        ebr = self.ebr = Ebr(self.folder / "ebr", script=self.script, **{"mqtt": f"mqtt://127.0.0.1:{self.port}", **options})
        self._tasks.append(asyncio.create_task(ebr.run()))
        await eventually(ebr.ready.is_set)
        return self._tasks[-1]

    async def stop(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def through(self) -> int:
        return self.ebr.store.streams().get((GATEWAY, self.journal.last[0]), (0, ""))[0]

    def dropped(self) -> int:
        """Messages that the broker says it has thrown away, by its own log."""
        return (self.folder / "mosquitto.log").read_text().count("being dropped")

    def append(self, count: int, size: int = 200) -> None:
        event = {"time": "2026-11-22T07:15:02.512345Z", "event": {"type": "finding", "code": "x", "text": "y" * size}}
        self.journal.append([Body("ebr-gateway/event/1", orjson.dumps(event)[1:])] * count, urgent=True).result()

    def forward(self, **options: Any) -> Forwarder:
        given = {"name": "ebr", "kind": "mqtt", "endpoint": f"mqtt://127.0.0.1:{self.port}", "resend_after_s": 0.5, **options}
        line = cast("Line", SimpleNamespace(gateway=GATEWAY, folder=self.folder))
        forward = Forwarder(self.journal, line, Uplink(**given), self.findings.append)
        self.journal.on_commit(forward.wake)
        return forward

    def run(self, forward: Forwarder) -> None:
        async def keep() -> None:
            while True:
                try:
                    await forward.run()
                except UplinkError:
                    await asyncio.sleep(0.1)

        self._tasks.append(asyncio.create_task(keep()))

    def delivered(self) -> bool:
        return self.journal.cursor("ebr") == self.journal.last

    def held(self) -> dict[int, bytes]:
        with contextlib.closing(sqlite3.connect(self.folder / "ebr" / "ebr.db")) as db:
            return dict(db.execute("SELECT seq, payload FROM entries"))

    def stored_alike(self) -> bool:
        return self.held() == {entry.seq: entry.payload for entry in journals.entries(self.journal)}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            for task in self._tasks:
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
        finally:
            self.kill()
            await asyncio.to_thread(self.journal.close)
