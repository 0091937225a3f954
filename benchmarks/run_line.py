"""A large line through the real `ebr-gateway run`: two OPC UA and two Modbus sources of 500 tags each at 10 Hz, to the reference EBR.

Every OPC UA tag counts up ten times a second; every Modbus tag counts up each time it was answered, so no two polls find the same value and
each poll must stand in the record with its own. Prints the rate that stands in the record, what became of every value (against the devices'
ground truth), the polls that came late or not at all, and what the gateway took of the machine. The devices, the broker and the EBR run on
the same machine; their share is printed too. Exit 1 if anything is lost, doubled or made up, or if the rate was not held.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from config import Line, load
from gateway.demo.compare import Counts, compare, total
from gateway.demo.processes import COMMAND, Child, ending
from gateway.demo.received import Received
from gateway.demo.store import Store
from gateway.demo.truth import read
from gateway.entries.ticks import TICKS_PER_MS
from gateway.operation.control import NotRunning, ask
from simulators.broker import Broker
from simulators.device import Truth
from simulators.line.endpoints import free_ports
from simulators.modbus_plc import ModbusPlc

TAGS, RATE_MS = 500, 100
SOURCES = (("plc-1", "opcua"), ("plc-2", "opcua"), ("plc-3", "modbus"), ("plc-4", "modbus"))
ASKED = len(SOURCES) * TAGS * 1000 / RATE_MS
HELD = 0.995
"""A window cuts through a cycle at both of its ends."""


def line_folder(folder: Path) -> tuple[Line, int, int]:
    """Write the line; gives it with the broker's and the EBR page's ports."""
    ports = free_ports()
    broker, page = next(ports), next(ports)
    text = '[line]\nsite = "bench"\nname = "large"\ntimezone = "UTC"\n\n'
    rows = ["tag,source,address,type,rate_ms"]
    for name, driver in SOURCES:
        url = f"opc.tcp://127.0.0.1:{next(ports)}" if driver == "opcua" else f"tcp://127.0.0.1:{next(ports)}"
        extra = (
            'security = { policy = "None" }\nnamespaces = { plc = "urn:example:bench" }\ntime_authority = "device"\n'
            if driver == "opcua"
            else ""
        )
        text += f'[[source]]\nname = "{name}"\ndriver = "{driver}"\nendpoint = "{url}"\nrate_ms = {RATE_MS}\n{extra}\n'
        for k in range(TAGS):
            address = f"plc:s=t{k}" if driver == "opcua" else f"1/holding/{2 * k}:uint32:ABCD"
            rows.append(f"{name}.t{k:03d},{name},{address},uint32,{RATE_MS}")
    text += f'[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{broker}"\n'
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(text)
    (folder / "tags.csv").write_text("\n".join(rows) + "\n")
    return load(folder), broker, page


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """The largest resident size so far."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


async def snapshot(line: Line, *, connected: bool = False) -> dict:
    """The gateway's own account, once it answers (and every source is connected)."""
    async with asyncio.timeout(60):
        while True:
            try:
                now = await asyncio.to_thread(ask, line.data)
                if not connected or all(source["state"] == "connected" for source in now["sources"]):
                    return now
            except NotRunning:
                pass
            await asyncio.sleep(0.2)


@dataclass
class Measured:
    """One run. cpu_s: process -> CPU seconds in the window; window: its ends in ticks."""

    window: tuple[int, int]
    took_s: float
    cpu_s: dict[str, float]
    peak_mb: float
    behind: int
    held: dict[str, int] = field(default_factory=dict)
    cycles: dict[str, "Cycles"] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)


class Cycles(NamedTuple):
    """Polls of one source in the window, by the instants in the record. late: begun more than half a period after their grid point."""

    polls: int
    late: int
    missed: int
    worst_ms: float


def cycles(requested: list[int]) -> Cycles:
    """requested: the instant of each poll, ticks, ascending. The grid is that of the poll that came earliest in its period."""
    period = RATE_MS * TICKS_PER_MS
    phase = min((ticks - requested[0] + period // 2) % period - period // 2 for ticks in requested)
    behind = [(ticks - requested[0] - phase) % period for ticks in requested]
    number = [(ticks - requested[0] - phase) // period for ticks in requested]
    missed = number[-1] - number[0] + 1 - len(set(number))
    return Cycles(len(requested), sum(late > period / 2 for late in behind), missed, max(behind) / TICKS_PER_MS)


async def measure(base: Path, truth: Path, seconds: float) -> Measured:
    """Run everything, then compare the record with the devices' logs in `truth`."""
    line, broker_port, page = line_folder(base / "line")
    plants = {name: Child(name, plant_of(name, driver, line.folder, truth), base / f"{name}.log") for name, driver in SOURCES}
    ebr = Child(
        "EBR",
        [*COMMAND, "ebr", "--store", str(base / "store"), "--mqtt", f"mqtt://127.0.0.1:{broker_port}", "--http", str(page)],
        base / "ebr.log",
    )
    gateway = Child("gateway", [*COMMAND, "run", str(line.folder)], base / "gateway.log")
    async with AsyncExitStack() as stack:
        broker = Broker(broker_port)
        await broker.start()
        stack.push_async_callback(broker.close)
        await stack.enter_async_context(ending([*plants.values(), ebr, gateway]))
        await ebr.start()
        for plant in plants.values():
            await plant.start()
        await asyncio.to_thread(wait_for, [plant.log for plant in plants.values()], "serving")
        await gateway.start()
        await snapshot(line, connected=True)
        for plant in plants.values():
            await plant.say("go")
        await asyncio.sleep(3)
        pids = {"gateway": gateway.pid, "EBR": ebr.pid, "broker": os.getpid(), **{name: plant.pid for name, plant in plants.items()}}
        before, began = cpu_of(pids), time.time_ns()
        await asyncio.sleep(seconds)
        after, ended = cpu_of(pids), time.time_ns()
        behind = (await snapshot(line))["uplinks"][0]["entries"]
        for child in (*plants.values(), ebr, gateway):
            child.check()
        for plant in plants.values():
            await plant.say("still")
        await asyncio.sleep(2)
        assert gateway.pid is not None
        peak = peak_mb(gateway.pid)
        await drained(line, base / "store")
        await gateway.end()
    spent = {name: after[name] - before[name] for name in before}
    told = Measured((began // 100, ended // 100), (ended - began) / 1e9, spent, peak, behind)
    judge(told, line, truth, Store(base / "store"))
    return told


def judge(told: Measured, line: Line, truth: Path, store: Store) -> None:
    """Fill in what the record says, against the devices' logs."""
    received = Received().feed(store.entries())
    told.counts = compare(line, read(truth), received)
    first, last = told.window
    for name, driver in SOURCES:
        inside = [[got for got in of_tag if first <= got.received < last] for of_tag in received.readings[name].values()]
        told.held[name] = sum(map(len, inside))
        if driver == "modbus":
            told.cycles[name] = cycles([got.requested for got in inside[0] if got.requested is not None])


def plant_of(name: str, driver: str, line: Path, truth: Path) -> list[str]:
    """The command of one device's process."""
    if driver == "modbus":
        return [sys.executable, __file__, "--plant", name, "--line", str(line), "--truth", str(truth)]
    return [sys.executable, "-P", "-m", "gateway.demo.plant", str(line), "--truth", str(truth), "--only", name]


async def plant(line: Line, truth: Path, name: str) -> None:
    """A Modbus device whose values count up as they are answered, from "go" on its standard input to "still"."""
    source, tags = next(source for source in line.sources if source.name == name), line.tags_of(name)
    device = ModbusPlc(source, tags, Truth(truth / f"{name}.jsonl"))
    await device.start()
    print("serving", flush=True)
    while word := await asyncio.to_thread(sys.stdin.readline):
        device.memory.counting = {tag.tag for tag in tags} if word.strip() == "go" else set()
        await device.set(dict.fromkeys(device.memory.counting, 1), time.time_ns() // 100)  # the first step; the polls make the others


def cpu_of(pids: dict[str, int | None]) -> dict[str, float]:
    """CPU seconds of each, and of everything else that runs on this machine."""
    ours = {name: cpu_s(pid) for name, pid in pids.items() if pid is not None}
    user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return ours | {"all else": (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - sum(ours.values())}


def wait_for(logs: list[Path], word: str) -> None:
    """Until each log says the word."""
    deadline = time.monotonic() + 60
    while not all(word in log.read_text() for log in logs):
        if time.monotonic() > deadline:
            raise SystemExit(f"a plant did not start: {[log.read_text()[-500:] for log in logs]}")
        time.sleep(0.1)


async def drained(line: Line, store: Path) -> None:
    """Until the EBR has what the journal has."""
    goal = (await snapshot(line))["journal"]
    async with asyncio.timeout(120):
        while await asyncio.to_thread(Store(store).last) < (goal["epoch"], goal["seq"]):
            await asyncio.sleep(0.2)


def shown(told: Measured) -> bool:
    """Print the tables; whether the rate was held and nothing is lost, doubled or made up."""
    console = Console(highlight=False, width=110)
    table = Table(title=f"{len(SOURCES)} sources of {TAGS} tags at {1000 / RATE_MS:.0f} Hz, {told.took_s:.0f} s", title_justify="left")
    for name in ("source", "driver", "per second", "given", "received", "replaced", "in gaps", "lost", "doubled", "made up"):
        table.add_column(name, justify="left" if name in ("source", "driver") else "right")
    for name, driver in SOURCES:
        of = told.counts[name]
        numbers = (told.held[name] / told.took_s, of.read, of.received, of.left_out, of.in_gaps, of.lost, of.doubled, of.foreign)
        table.add_row(name, driver, *(f"{number:,.0f}" for number in numbers))
    table.caption = "given: by the device, over the whole run. replaced: first read of a counter, read again at once to prove it whole"
    table.caption_justify = "left"
    console.print(table)
    readings = sum(told.held.values())
    rate, whole = readings / told.took_s, total(told.counts.values())
    held = rate >= HELD * ASKED
    console.print(f"readings per second       {rate:10,.0f}   of {ASKED:,.0f} asked for: {'held' if held else 'NOT HELD'}")
    for name, of in told.cycles.items():
        console.print(f"polls of {name:<17}{of.polls:10,}   {of.late} late, {of.missed} missed, at worst {of.worst_ms:.0f} ms behind")
    console.print(f"CPU seconds per million   {told.cpu_s['gateway'] / readings * 1e6:10.1f}")
    console.print(f"peak memory of the gateway{told.peak_mb:10.0f}   MB")
    console.print(f"entries behind at the end {told.behind:10.0f}")
    shares = ", ".join(f"{name} {spent / told.took_s:.0%}" for name, spent in told.cpu_s.items())
    console.print(f"of one core ({os.cpu_count()} are here): {shares}; together {sum(told.cpu_s.values()) / told.took_s:.0%}")
    for example in whole.examples:
        console.print(example)
    return held and whole.good


def main() -> int:
    """Exit 1 if anything is lost, doubled or made up, or the rate is not held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    for name in ("--plant", "--line", "--truth"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plant:
        asyncio.run(plant(load(Path(given.line)), Path(given.truth), given.plant))
        return 0
    # the devices write each value down before it can be read: on the disk that the journal syncs they would wait for it, as no device does
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bench-line-") as folder, tempfile.TemporaryDirectory(dir=memory) as truth:
        told = asyncio.run(measure(Path(folder), Path(truth), given.seconds))
    return 0 if shown(told) else 1


if __name__ == "__main__":
    sys.exit(main())
