"""A simulated PLC, a cable that can be cut, a driver under supervision and a disk: what the OPC UA tests stand on."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from kit.processes import eventually

from config import Source, Tag
from drivers.contract import DriverError, Finding, Loss, Reading
from drivers.opcua import OpcUaDriver
from drivers.opcua.session import certs
from simulators.cable import Cable
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc

QUICK = {"keep_alive_s": 0.4, "request_timeout_s": 2.0, "publish_ms": 50, "retry_bad_nodes_s": 0.3}


class Disk:
    """The gateway's side at the seam: everything handed over, and what of it is on disk. `stalled` stops the commits."""

    def __init__(self, before: "Disk | None" = None) -> None:
        self.committed: list[tuple[Sequence[Reading], dict[str, Any]]] = list(before.committed) if before else []
        self.watermark: dict[str, Any] = dict(before.watermark) if before else {}
        self.losses: list[Loss] = list(before.losses) if before else []
        self.fillings: list[tuple[Any, int, int]] = list(before.fillings) if before else []
        self.findings: list[Finding] = []
        self.granted: dict[int, int | None] = {}
        self.order: list[str | Loss] = []  # "resumed", "list" and losses, as they came
        self.connections = 0
        self.stalled = False
        self._waiting: list[tuple[Any, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def __call__(self, readings: Sequence[Reading], **told: Any) -> Awaitable[None]:
        assert len(self._waiting) < 32
        return self._queued((list(readings), told))

    async def room(self) -> None:
        while len(self._waiting) >= 32:  # noqa: ASYNC110 - a test's disk
            await asyncio.sleep(0.01)

    def lost(self, loss: Loss) -> Awaitable[None]:
        self.losses.append(loss)
        return self._queued(loss)

    def filled(self, tags: Any, since_ticks: int, until_ticks: int, detail: str = "", received: int | None = None) -> Awaitable[None]:
        self.fillings.append((tags, since_ticks, until_ticks))
        return self._queued(None)

    def found(self, finding: Finding) -> Awaitable[None]:
        self.findings.append(finding)
        return self._queued(None)

    def connected(self, detail: str = "", unread: str = "") -> None:
        self.connections += 1

    def not_taken(self) -> None:
        pass

    def samples(self, every_ms: Mapping[int, int | None]) -> None:
        self.granted |= every_ms

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        self.offset = (offset_s, bound_s)

    def _queued(self, what: Any) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((what, future))
        asyncio.get_running_loop().call_soon(self.commit)
        return future

    def commit(self) -> None:
        while self._waiting and not self.stalled:
            what, future = self._waiting.pop(0)
            if isinstance(what, Loss):
                self.order.append(what)
            elif isinstance(what, tuple):
                self.order.append("resumed" if what[1].get("resumed") else "list")
            if isinstance(what, tuple):
                self.committed.append(what)
                self.watermark |= what[1].get("watermark") or {}
            if not future.done():
                future.set_result(None)

    @property
    def readings(self) -> list[Reading]:
        return [reading for readings, _ in self.committed for reading in readings]

    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]


class Bench:
    """A PLC, a cable and a driver under supervision."""

    def __init__(self, path: Path, count: int = 20, types: Sequence[str] = ("float64",), **options: Any) -> None:
        self.truth = path / "truth.jsonl"
        settings = {"security": {"policy": "None"}, "namespaces": {"plc": "urn:example:plc"}, **QUICK, **options.pop("settings", {})}
        self.users = options.pop("users", None)
        self.certificate = options.pop("certificate", None)
        fields = {"rate_ms": 50, "time_authority": "device", "outage_tolerance_s": 5.0, "max_offset_s": 60.0, **options}
        self.source = Source(name="plc", driver="opcua", endpoint="opc.tcp://127.0.0.1:0", options=settings, folder=path, **fields)
        self.tags = [Tag(tag=f"t{i}", source="plc", address=f'plc:s="DB"."T{i}"', type=types[i % len(types)]) for i in range(count)]
        self.disk = Disk()
        self.failures: list[str] = []
        self.detected_s: list[float] = []
        self.number = 0

    async def __aenter__(self) -> Self:
        self.log = Truth(self.truth)
        self.plc = OpcUaPlc(self.source, self.tags, self.log, users=self.users, certificate=self.certificate)
        await self.plc.start()
        self.cable = Cable.to(self.plc.url)
        await self.cable.start()
        self.source = self.source.model_copy(update={"endpoint": self.cable.url(self.plc.url)})
        self.driver = OpcUaDriver(self.source, self.tags)
        self._stack = contextlib.AsyncExitStack()
        self._task: asyncio.Task[None] | None = None
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.cable.stop()
        await self.plc.stop()
        self.log.close()

    async def begun(self, lists: int = 3, every_s: float = 0.02) -> None:
        """The driver runs, is connected, and what the process made meanwhile is on disk."""
        await self.make()
        self.run()
        await eventually(lambda: self.disk.connections)
        await self.make(lists, every_s)
        await self.caught_up()

    def run(self) -> None:
        self._task = asyncio.create_task(self._supervised())

    async def _supervised(self) -> None:
        while True:
            try:
                await self.driver.run(self.disk)
            except* DriverError as group:
                self.failures.append("; ".join(map(str, group.exceptions)))
                self.detected_s.append(asyncio.get_running_loop().time())
            self.disk.lost(Loss("link-lost"))
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def kill(self) -> None:
        """As SIGKILL: nothing is said to the server, what was not committed is gone."""
        self.cable.reset()
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.disk = Disk(self.disk)
        self.driver = OpcUaDriver(self.source, self.tags)

    async def make(self, lists: int = 1, every_s: float = 0.02, tags: Sequence[str] | None = None) -> None:
        """The process moves on: each time every tag gets a value that it never had."""
        for _ in range(lists):
            self.number += 1
            await self.plc.set({tag: self._value(tag) for tag in tags or [t.tag for t in self.tags]}, time.time_ns() // 1000 * 10)
            await asyncio.sleep(every_s)

    def _value(self, name: str) -> Any:
        kind = self.tags[int(name[1:])].type
        return f"v{self.number}" if kind == "string" else bool(self.number % 2) if kind == "bool" else self.number

    def made(self) -> dict[int, list[tuple[int, Any]]]:
        values: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        for line in self.truth.read_text().splitlines():
            item = json.loads(line)
            values[int(item["tag"][1:])].append((item["t"], item["value"]))
        return values

    def missing(self) -> dict[int, list[tuple[int, Any]]]:
        """By tag, what the PLC had and the disk has not."""
        had: dict[int, set[Any]] = defaultdict(set)
        for tag, _, _, source, _ in self.disk.readings:
            had[tag].add(source)
        return {tag: rest for tag, all_ in self.made().items() if (rest := [one for one in all_ if one[0] not in had[tag]])}

    def doubled(self) -> int:
        seen = [(tag, source) for tag, _, _, source, _ in self.disk.readings if source is not None]
        return len(seen) - len(set(seen))

    def unordered(self) -> int:
        last: dict[int, int] = {}
        wrong = 0
        for tag, _, _, source, _ in self.disk.readings:
            wrong += (source or 0) < last.get(tag, 0)
            last[tag] = source or 0
        return wrong

    async def caught_up(self, seconds: float = 20.0) -> None:
        """The newest value of every tag is on disk."""
        newest = {tag: values[-1][0] for tag, values in self.made().items()}

        def there() -> bool:
            last: dict[int, int] = {}
            for tag, _, _, source, _ in self.disk.readings:
                last[tag] = source or 0
            return all(last.get(tag, 0) >= ticks for tag, ticks in newest.items())

        await eventually(there, seconds)

    def wrong_values(self) -> int:
        truth: dict[tuple[int, int | None], Any] = {(tag, ticks): value for tag, values in self.made().items() for ticks, value in values}
        return sum(truth.get((tag, source), value) != value for tag, value, status, source, _ in self.disk.readings if status < 0x80000000)


def secured(path: Path, policy: str = "Basic256Sha256", mode: str = "SignAndEncrypt", **more: Any) -> Bench:
    server = certs.make(path / "server", "urn:example:simulated-plc")
    certs.make(path / "certs")
    settings = {"security": {"policy": policy, "mode": mode}, **more.pop("settings", {})}
    return Bench(path, certificate=(Path(server.file), path / "server" / "own" / "key.pem"), settings=settings, **more)


ROUNDS = [2, pytest.param(15, marks=pytest.mark.faults)]


ONCE = [1, pytest.param(2, marks=pytest.mark.faults)]  # once in every run, once more where the figures are printed


TABLE: list[Callable[[str, str], None]] = []


def say(name: str, **told: Any) -> None:
    """One row of the table of figures."""
    case, _, what = name.partition(" ")
    TABLE[0](case, f"{what}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items()))


def lost(bench: Bench) -> int:
    """Values that the PLC had and the disk has not."""
    return sum(map(len, bench.missing().values()))
