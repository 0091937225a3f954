"""Against node-opcua, a server that nobody here wrote: SIGKILL in mid-stream, server restarts, a cut port.

Needs node and npm, which fetches node-opcua once.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.node_opcua import fetched, free_port, started, until

from drivers.contract import OVERFLOW
from drivers.opcua.session import certs
from simulators.cable import Cable

pytestmark = [pytest.mark.nodeopcua, pytest.mark.timeout(600)]

ITEMS = 2000

WORKER = '''
import asyncio, json, os, sys
from pathlib import Path
from config import Source, Tag
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver

folder, endpoint, items = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
options = {"user": "ebr", "password": {"credential": "node"}, "namespaces": {"n": "urn:example:node"}}
options |= {"keep_alive_s": 1.0, "request_timeout_s": 5.0}
source = Source(name="node", driver="opcua", endpoint=endpoint, rate_ms=0, time_authority="device", options=options, folder=folder)
tags = [Tag(tag=f"t{i}", source="node", address=f"n:s=item.{i}", type="float64") for i in range(items)]

class Journal:
    """One line per list, on disk before its future is done; group commit each 20 ms."""
    def __init__(self):
        self.path, self.watermark, self.waiting = folder / "journal.jsonl", {}, []
        whole = self.path.read_bytes() if self.path.exists() else b""
        whole = whole[: whole.rfind(b"\\n") + 1]
        for line in whole.splitlines():
            self.watermark |= json.loads(line).get("watermark") or {}
        self.file = open(self.path, "r+b" if whole else "wb", buffering=0)
        self.file.truncate(len(whole)); self.file.seek(len(whole))
    def add(self, what):
        future = asyncio.get_running_loop().create_future()
        if not self.waiting:
            asyncio.get_running_loop().call_later(0.02, self.commit)
        self.waiting.append((what, future))
        return future
    def commit(self):
        waiting, self.waiting = self.waiting, []
        self.file.write(b"".join(json.dumps(what).encode() + b"\\n" for what, _ in waiting))
        os.fdatasync(self.file.fileno())
        for what, future in waiting:
            self.watermark |= what.get("watermark") or {}
            future.set_result(None)
    def __call__(self, readings, *, kind="change", watermark=None, resumed=False, **_):
        return self.add({"kind": kind, "watermark": watermark, "resumed": resumed, "readings": [(r[0], r[1], r[2]) for r in readings]})
    async def room(self):
        while len(self.waiting) >= 32:
            await asyncio.sleep(0.005)
    def lost(self, loss): return self.add({"lost": loss.cause, "tags": loss.tags})
    def filled(self, *_): return self.add({})
    def found(self, finding): return self.add({"finding": finding.code})
    def connected(self, detail=""): self.add({"connected": detail})
    def not_taken(self): pass
    def source_offset(self, *_): pass
    def samples(self, *_): pass

async def main():
    driver, journal = OpcUaDriver(source, tags), Journal()
    while True:
        try:
            await driver.run(journal)
        except* DriverError as group:
            print(group.exceptions, file=sys.stderr, flush=True)
        await asyncio.sleep(0.2)

asyncio.run(main())
'''


@pytest.fixture(scope="session")
def modules() -> Path:
    return fetched()


class Rig:
    """The node server, a cable, and the driver in a process of its own."""

    def __init__(self, path: Path, modules: Path) -> None:
        self.path, self.modules = path, modules
        self.port = free_port()
        self.cable = Cable("127.0.0.1", self.port)
        self._server: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        certs.make(path / "certs")
        (path / "credentials").mkdir()
        (path / "credentials" / "node").write_text("secret")
        (path / "credentials" / "node").chmod(0o600)

    async def serve(self) -> None:
        command = ["node", "server.js", str(self.port), str(ITEMS), "10", str(self.path / "state"), "user"]
        self._server = started(command, self.path / "server.log", self.modules)
        await until(lambda: b"ready" in (self.path / "server.log").read_bytes(), 60)

    def stop_server(self) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        (self.path / "server.log").write_bytes(b"")

    def work(self) -> None:
        command = [sys.executable, "-c", WORKER, str(self.path), f"opc.tcp://127.0.0.1:{self.cable.port}", str(ITEMS)]
        self._worker = started(command, self.path / "worker.log", self.path)

    def kill_worker(self) -> None:
        assert self._worker is not None
        self._worker.kill()
        self._worker.wait()

    def end(self) -> None:
        for process in (self._worker, self._server):
            if process is not None:
                process.kill()
                process.wait()

    async def trusted(self) -> None:
        """The first attempt lays the server's certificate in rejected/: trust it."""
        await until(lambda: list((self.path / "certs" / "rejected").glob("*.der")), 60)
        (refused,) = (self.path / "certs" / "rejected").glob("*.der")
        certs.trust(self.path / "certs", refused.stem)

    def lists(self) -> list[dict[str, Any]]:
        place = self.path / "journal.jsonl"
        whole = place.read_bytes() if place.exists() else b""
        return [json.loads(line) for line in whole[: whole.rfind(b"\n") + 1].splitlines()]

    async def stream(self, megabytes: float = 4.0) -> None:
        """Until so much more was written down: some seconds in mid-stream."""
        place = self.path / "journal.jsonl"
        goal = (place.stat().st_size if place.exists() else 0) + megabytes * 1e6
        await until(lambda: place.exists() and place.stat().st_size > goal, 60)

    def connections(self) -> int:
        place = self.path / "journal.jsonl"
        return place.read_bytes().count(b'{"connected"') if place.exists() else 0

    def figures(self) -> dict[str, int]:
        """Item by item: each change must be the next number.

        A jump is in a gap if it is the first value after a reconnect, or if a loss of this item was declared since its last value; one
        after a queue that ran over is counted as overrun, too. Any other jump is lost without a word.
        """
        last: dict[int, float] = {}
        declared: dict[int, set[str]] = {}
        told = {"values": 0, "silently_lost": 0, "doubled": 0, "in_gaps": 0, "overrun": 0, "resumed": 0, "items": 0}
        for entry in self.lists():
            told["resumed"] += bool(entry.get("resumed"))
            for item in entry.get("tags", ()):
                declared.setdefault(item, set()).add(entry["lost"])
            for item, value, status in entry.get("readings", ()):
                told["values"] += 1
                step, causes = value - last.get(item, value - 1), declared.pop(item, set())
                missing = max(0, int(step) - 1)
                is_told = entry["kind"] == "initial" or bool(causes)
                told["in_gaps" if is_told else "silently_lost"] += missing
                told["overrun"] += missing * (causes == {"queue-overflow"} and status & OVERFLOW == OVERFLOW)
                told["doubled"] += entry["kind"] != "initial" and step <= 0
                last[item] = value
        return told | {"items": len(last)}


def said(told: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in told.items())


@pytest.fixture
def rig(tmp_path: Path, modules: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, modules)
    yield made
    made.end()


async def test_five_kills_lose_nothing_over_a_signed_channel(rig: Rig, figures: Callable[[str, str], None]) -> None:
    async with rig.cable:
        await rig.serve()
        rig.work()
        await rig.trusted()
        for round_ in range(5):
            await until(lambda number=round_: rig.connections() > number, 60)
            await rig.stream()
            rig.kill_worker()
            rig.work()
        await until(lambda: rig.connections() > 5, 60)
        await rig.stream()
        rig.kill_worker()
        told = rig.figures()
        figures("node", f"node-opcua, {ITEMS} items at 10 Hz, Basic256Sha256, user name, gateway killed 5 times: {said(told)}")
        assert told["items"] == ITEMS
        assert told["resumed"] >= 5
        assert (told["silently_lost"], told["doubled"]) == (0, 0)
        assert told["in_gaps"] == told["overrun"], "a start may take longer than the server's queues last; nothing else may be lost"


@pytest.mark.urs("URS-DAQ-11")
async def test_server_restarts_and_a_cut_port_leave_exact_gaps(rig: Rig, figures: Callable[[str, str], None]) -> None:
    async with rig.cable:
        await rig.serve()
        rig.work()
        await rig.trusted()
        for what in ("restart", "cut", "restart"):
            await until(lambda: rig.connections() > 0, 60)
            await rig.stream()
            known = rig.connections()
            if what == "restart":
                rig.stop_server()
                await rig.serve()
            else:
                noticed = (rig.path / "worker.log").stat().st_size
                rig.cable.cut()
                await until(lambda before=noticed: (rig.path / "worker.log").stat().st_size > before, 60)
                rig.cable.mend()
            await until(lambda number=known: rig.connections() > number, 60)
        await rig.stream()
        rig.kill_worker()
        told = rig.figures()
        figures("node", f"node-opcua, {ITEMS} items at 10 Hz, Basic256Sha256, user name, 2 restarts, port cut once: {said(told)}")
        assert told["items"] == ITEMS
        assert told["resumed"] >= 1
        assert (told["silently_lost"], told["doubled"]) == (0, 0)
