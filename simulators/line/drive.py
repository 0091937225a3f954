"""Serves every source of a line and moves it by the plan: thin I/O around `plan`, `signals` and `rows`."""

import asyncio
import errno
import importlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import Line, Source
from simulators.announced import announced
from simulators.device import TICKS_PER_S, Device, NotSimulated, Truth
from simulators.line.beyond import Beyond
from simulators.line.endpoints import free_ports
from simulators.line.failing import behind_cable, fail
from simulators.line.genealogy import Genealogy
from simulators.line.load import Load, driven
from simulators.line.orders import Orders, Script
from simulators.line.plan import FIRST_BATCH, Plan
from simulators.line.ranges import fitted
from simulators.line.rows import Filler, Write, with_batch_numbers, writes
from simulators.line.signal import Moment
from simulators.line.signals import moment, sampled, signals
from simulators.line.weighing import Weighings

DEVICES = {
    "opcua": ("simulators.opcua_plc", "OpcUaPlc"),
    "modbus": ("simulators.modbus_plc", "ModbusPlc"),
    "serial": ("simulators.scale", "at_port"),
    "mes_sql": ("simulators.mes", "MesDevice"),
    "mes_file": ("simulators.mes", "MesDevice"),
}
TICK_S = 0.1


@dataclass
class Progress:
    """The state of the running simulation, for people. newest: the highest number of a batch that was begun."""

    at_s: float = 0.0
    values: int = 0
    rows: int = 0
    newest: int = 0
    situations: dict[str, str] = field(default_factory=dict)


def now_ticks() -> int:
    """Read this machine's clock, in ticks."""
    return time.time_ns() * TICKS_PER_S // 1_000_000_000


class UnknownDriver(NotSimulated):
    """There is no simulated device for a driver of the line."""


async def serve(
    line: Line,
    truth: Path | None,
    *,
    seed: int = 1,
    batch_s: float = 60.0,
    started: asyncio.Event | None = None,
    still: asyncio.Event | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    only: Collection[str] | None = None,
    load: Load | None = None,
    logs: list[Truth] | None = None,
    failing: Mapping[str, str] | None = None,
    say: Callable[[str], Any] = lambda _: None,
    script: Script = (),
    obeys: Callable[[Orders], object] = lambda _: None,
    first: int = FIRST_BATCH,
) -> None:
    """Serve until cancelled. truth: a folder for one ground-truth log per source, or None. Raises CanNotServe.

    started: set when every device can be connected to. still: while set, the process stands still and the devices go on answering.
    report: called about each second. only: serve these sources alone. load: move tags at given rates. logs: takes the logs, to turn them.
    failing: source -> how it fails, in turns; say: is told when. script: orders by the plant's own seconds. obeys: is handed what takes
    orders, before `started`. first: number of the first batch.
    """
    async with served(line, truth, only, failing, say, logs) as devices:
        genealogy = Genealogy(line, truth)
        try:
            process = Process(line, devices, seed, batch_s, genealogy, script, load=load or Load(), first=first)
            obeys(process.orders)
            if started is not None:
                started.set()
            await process.drive(report, still or asyncio.Event())
        finally:
            genealogy.close()


@asynccontextmanager
async def served(
    line: Line,
    truth: Path | None,
    only: Collection[str] | None,
    failing: Mapping[str, str] | None = None,
    say: Callable[[str], Any] = lambda _: None,
    logs: list[Truth] | None = None,
) -> AsyncIterator[dict[str, Device]]:
    """Run the devices of a line, by source, within the block. truth, only, failing, say, logs: as of `serve`."""
    async with AsyncExitStack() as stack:
        devices: dict[str, Device] = {}
        left_out = unserved(line) if only is None else {}
        ports, tasks = free_ports(), await stack.enter_async_context(_ended_at_exit())
        for source in line.sources:
            if (only is None or source.name in only) and source.name not in left_out:
                log = _log(truth, source.name)
                stack.callback(log.close)
                if logs is not None:
                    logs.append(log)
                how, cable, its = (failing or {}).get(source.name), None, source
                if how not in (None, "gone"):
                    its, cable = behind_cable(source, next(ports))
                    stack.push_async_callback(cable.stop)
                stack.enter_context(announced(source))
                device = made(line, its, log, **_secured(its))
                stack.push_async_callback(device.stop)
                with _told(source.name, source.endpoints[0]):
                    await device.start()
                    if cable is not None:
                        await cable.start()
                if how is not None:
                    tasks.append(asyncio.create_task(fail(source.name, how, device, cable, say)))
                devices[source.name] = device
        yield devices


@asynccontextmanager
async def _ended_at_exit() -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class CanNotServe(OSError):
    """A device can not listen at its endpoint; the text says which, and why."""


@contextmanager
def _told(source: str, endpoint: str) -> Iterator[None]:
    """Name the source whose endpoint can not be served."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CanNotServe(
                f"source {source}: something else listens at {endpoint} already (another `simulate`, or the device)"
            ) from error
        raise CanNotServe(f"source {source}: {endpoint}: {error.strerror or error}") from error


def made(line: Line, source: Source, log: Truth, **more: Any) -> Any:
    """Make the device for a source of a line, not started. Raises NotSimulated."""
    return device_class(source.driver)(with_batch_numbers(line, source), line.tags_of(source.name), log, **more)


def _secured(source: Source) -> dict[str, Any]:
    """Give a secured OPC UA server its certificate, which is made at the first time, and the password that the line logs in with."""
    if source.driver != "opcua":
        return {}
    from simulators.opcua_plc import identity  # imports a server, which lines without one do not pay for

    if not identity.is_secured(source):
        return {}
    return {"users": identity.users(source), "certificate": identity.own(source.folder / "simulated" / source.name, source)}


def _log(truth: Path | None, source: str) -> Truth:
    if truth is not None:
        truth.mkdir(parents=True, exist_ok=True)
    return Truth(None if truth is None else truth / f"{source}.jsonl")


def device_class(driver: str) -> Callable[..., Any]:
    """Find the simulated device for a driver. Raises UnknownDriver."""
    if driver not in DEVICES:
        raise UnknownDriver(f"no simulated device speaks what the driver {driver!r} reads")
    module, name = DEVICES[driver]
    device: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return device


def unserved(line: Line) -> dict[str, str]:
    """List the sources that no simulated device can stand for, with the reason."""
    reasons: dict[str, str] = {}
    for source in line.sources:
        try:
            made(line, source, Truth(None))  # none but can say that it can not
        except NotSimulated as error:
            reasons[source.name] = str(error)
    return reasons


class Process:
    """The plant: sets the changed values on every device at each tick."""

    def __init__(
        self,
        line: Line,
        devices: dict[str, Device],
        seed: int,
        batch_s: float,
        genealogy: Genealogy | None = None,
        script: Script = (),
        now: Callable[[], int] = now_ticks,
        load: Load = Load(),  # noqa: B008 - it never changes
        first: int = FIRST_BATCH,
    ) -> None:
        """now: the plant's clock, in ticks. first: number of the first batch."""
        self._line = line
        self._devices = devices
        self._plan = Plan(line, seed, batch_s, first)
        self._drivers = {source.name: source.driver for source in line.sources}
        self._driven = driven(line, load, {tag.tag: fitted(tag) for tag in line.tags}, seed) if load.rates else {}
        self._tick_s, self._speed = min([TICK_S, *(one.every_s for one in self._driven.values())]), load.speed
        beyond = Beyond(line)
        self.orders = Orders(devices, self._drivers, beyond, now, script)
        self._now, self._tags = now, _by_source(line, devices, seed, beyond, load.speed)
        self._sampled = _sampled(line, devices, seed, beyond)
        self._filler = Filler(line, seed)
        self._weighings = Weighings(line, seed)
        self._genealogy = genealogy or Genealogy(line, None)
        self._last: dict[str, Any] = {}
        self._progress = Progress()

    async def drive(self, report: Callable[[Progress], None], still: asyncio.Event) -> None:
        """Tick on a fixed grid for ever; a late tick skips those that it missed. While `still` is set, the plant's time stops."""
        began = time.monotonic()
        started = datetime.now(UTC)
        step_s, lasts_s = self._tick_s, self._tick_s / self._speed  # of the plant's time, and how long that takes
        before_s, tick = -step_s, 0
        while True:
            now = self.moment(tick * step_s, started)
            await self.tick(now, before_s)
            if int(now.at_s) != int(before_s):
                report(self._updated(now))
            before_s = now.at_s
            if still.is_set():
                stood = time.monotonic()
                while still.is_set():  # noqa: ASYNC110 - an event is set, and has no wait for that it is cleared
                    await asyncio.sleep(TICK_S)
                began += time.monotonic() - stood
            tick = max(tick + 1, int((time.monotonic() - began) / lasts_s) + 1)
            await asyncio.sleep(max(0.0, began + tick * lasts_s - time.monotonic()))

    def moment(self, at_s: float, started: datetime) -> Moment:
        """Take the plant's situation at this second of its own time."""
        return moment(self._plan, self._line, at_s, started)

    async def tick(self, now: Moment, before_s: float) -> None:
        """Do what is due since the moment before: orders of the script, rows, values."""
        await self.orders.due(now.at_s)
        for write in writes(self._line, self._plan, before_s, now.at_s):
            await self._write(write)
        for weighing in self._weighings.done(self._plan, before_s, now.at_s):
            self._genealogy.weighed(weighing, self._now())
        await self._sample(now, before_s)
        for source, tags in self._tags.items():
            if source in self.orders.away:
                continue  # what it would have had is set when it is back
            changed = self._changed(tags, now, before_s)
            if changed:
                self._progress.values += len(changed)
                await self._devices[source].set(changed, self._now())

    async def _sample(self, now: Moment, before_s: float) -> None:
        """Let each MES that keeps aggregates take its samples."""
        for source, (every_s, tags) in self._sampled.items():
            if source not in self.orders.away and (before_s < 0 or int(now.at_s / every_s) != int(before_s / every_s)):
                device: Any = self._devices[source]
                await device.sample({name: signal(now) for name, signal in tags.items()}, self._now())

    def _changed(self, tags: list[tuple[str, float, Callable[[Moment], Any]]], now: Moment, before_s: float) -> dict[str, Any]:
        """Find the tags that are due and whose value differs from the last one set on the device."""
        result, last = {}, self._last
        for name, rate_s, signal in tags:
            if (moved := self._driven.get(name)) is not None:
                if before_s < 0 or moved.is_due(now.at_s):
                    result[name] = last[name] = moved.moved(signal(now), last.get(name))
                continue
            if rate_s > self._tick_s and int(now.at_s / rate_s) == int(before_s / rate_s) and before_s >= 0:
                continue
            value = self.orders.held[name] if name in self.orders.held else signal(now)
            if name not in last or last[name] != value:
                result[name] = last[name] = value
        return result

    async def _write(self, write: Write) -> None:
        device: Any = self._devices.get(write.source)
        if device is None or write.source in self.orders.away:
            return
        self._progress.rows += 1
        row = self._filler.row(write, list(device.columns(write.name)))
        if self._drivers[write.source] == "mes_file":
            (whole,) = await device.drop(write.name, [row], self._now())
            self.orders.wrote(write.source, write.name, whole)
            return
        ticks = self._now()
        whole = await device.insert(write.name, row, ticks)
        self.orders.wrote(write.source, write.name, whole)
        self._genealogy.written(write, whole, ticks)

    def _updated(self, now: Moment) -> Progress:
        self._progress.at_s = now.at_s
        for name, situation in now.situations.items():
            self._progress.newest = max(self._progress.newest, situation.stay.number if situation.stay else 0)
            batch = situation.stay.identity["batch"] if situation.stay else "-"
            self._progress.situations[name] = f"{batch} {situation.run.step if situation.run else situation.phase}"
        return self._progress


def _by_source(
    line: Line, devices: dict[str, Device], seed: int, beyond: Beyond, speed: float
) -> dict[str, list[tuple[str, float, Callable[[Moment], Any]]]]:
    rates = {source.name: source.rate_ms for source in line.sources}
    result: dict[str, list[tuple[str, float, Callable[[Moment], Any]]]] = {}
    for tag, signal in zip(line.tags, signals(line, seed, beyond.over), strict=True):
        if signal is not None and tag.source in devices:
            rate_ms = tag.rate_ms if tag.rate_ms is not None else rates[tag.source]
            result.setdefault(tag.source, []).append((tag.tag, rate_ms / 1000 * speed, signal))
    return result


def _sampled(
    line: Line, devices: dict[str, Device], seed: int, beyond: Beyond
) -> dict[str, tuple[float, dict[str, Callable[[Moment], Any]]]]:
    """Give the tags that each MES samples for its aggregates, and how often: ten times in its shortest window, at least each second."""
    found: dict[str, tuple[float, dict[str, Callable[[Moment], Any]]]] = {}
    lengths_s = {tag.tag: tag.aggregate[1] for tag in line.tags if tag.aggregate is not None}
    sources = {tag.tag: tag.source for tag in line.tags}
    for name, signal in sampled(line, seed, beyond.over).items():
        if sources[name] in devices:
            every_s, tags = found.get(sources[name], (1.0, {}))
            found[sources[name]] = min(every_s, max(lengths_s[name] / 10, TICK_S)), {**tags, name: signal}
    return found
