"""The simulated Modbus PLC over real sockets and pseudo-terminals, with the driver reading it into memory."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from kit.collector import Collector

from config import Source, Tag
from drivers.contract import BadReply, Kind, LinkLost, Reading
from drivers.modbus import ModbusDriver
from simulators.device import Truth
from simulators.modbus_plc import ModbusPlc

TRANSPORTS = ["tcp", "rtu-tcp", "rtu"]


class Collected(Collector):
    """The gateway's side, kept in memory: every list, loss and finding, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[int, list[Any]] = {}
        self.seen = Counter[int]()

    def __call__(
        self,
        readings: Sequence[Reading],
        *,
        received_ns: int,
        requested_ns: int | None = None,
        kind: Kind = "change",
        alive: Sequence[int] | None = None,
        **_: Any,
    ) -> Awaitable[None]:
        assert kind == "poll"
        assert requested_ns is not None
        assert requested_ns <= received_ns <= time.monotonic_ns()
        self.lists.append((list(readings), tuple(alive or ()), requested_ns, received_ns))
        for tag, value, status, source, server in readings:
            assert (source, server) == (None, None)
            self.values.setdefault(tag, []).append((value, status))
            self.seen[tag] += 1
        self.seen.update({*(alive or ())}.difference(reading[0] for reading in readings))
        return self.done()

    def last(self, tag: int) -> tuple[Any, Any]:
        value, status = self.values.get(tag, [(None, None)])[-1]
        return value, status


class Log:
    """A ground truth kept in memory."""

    def __init__(self) -> None:
        self.served_values: dict[str, list[Any]] = {}

    def made(self, *_: Any) -> None:
        pass

    def served(self, tag: str, ticks: int, value: Any) -> None:
        self.served_values.setdefault(tag, []).append(value)


def tags_of(*rows: tuple[str, str]) -> list[Tag]:
    return [Tag(tag=f"t{at}", source="plc", address=address, type=kind) for at, (address, kind) in enumerate(rows)]


def source_at(tmp_path: Path, transport: str = "tcp", port: int = 0, **options: Any) -> Source:
    endpoint = "rtu://bus?baudrate=115200" if transport == "rtu" else f"{transport}://127.0.0.1:{port}"
    rate_ms = options.pop("rate_ms", 20)
    return Source(name="plc", driver="modbus", endpoint=endpoint, rate_ms=rate_ms, options=options, folder=tmp_path)


@asynccontextmanager
async def plc_for(
    tmp_path: Path, tags: Sequence[Tag], transport: str = "tcp", truth: Any = None, **options: Any
) -> AsyncIterator[tuple[ModbusPlc, Source]]:
    """A running PLC and the source that reaches it."""
    plc = ModbusPlc(source_at(tmp_path, transport, **options), tags, truth or Truth(None))
    await plc.start()
    try:
        yield plc, source_at(tmp_path, transport, plc.port, **options)
    finally:
        await plc.stop()


@asynccontextmanager
async def running(source: Source, tags: Sequence[Tag]) -> AsyncIterator[Any]:
    """The driver running into a collection; it must still run at the end, and says why where it does not."""
    emit = Collected()
    task = asyncio.create_task(ModbusDriver(source, tags).run(emit))
    try:
        yield emit
        if task.done():
            task.result()
    except TimeoutError:
        if task.done():  # what was waited for could not come any more
            task.result()
        raise
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LinkLost, BadReply):
            await task
