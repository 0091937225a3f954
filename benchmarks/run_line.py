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
    """Write the line's folder; return the line with the broker's and the EBR page's ports."""
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
    """Return the user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Return the largest resident size of a process so far."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


async def snapshot(line: Line, *, connected: bool = False) -> dict:
    """Return the gateway's own account, once it answers (and every source is connected)."""
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
    """The result of one run. cpu_s: process -> CPU seconds in the window; window: its ends in ticks; held: readings in it by source."""

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
    """Judge the polls of a source by their instants (ticks, ascending). The grid is that of the poll that came earliest in its period."""
    period = RATE_MS * TICKS_PER_MS
    phase = min((ticks - requested[0] + period // 2) % period - period // 2 for ticks in requested)
    behind = [(ticks - requested[0] - phase) % period for ticks in requested]
    number = [(ticks - requested[0] - phase) // period for ticks in requested]
    missed = number[-1] - number[0] + 1 - len(set(number))
    return Cycles(len(requested), sum(late > period / 2 for late in behind), missed, max(behind) / TICKS_PER_MS)


async def measure(base: Path, truth: Path, seconds: float) -> Measured:
    """Run everything, then compare the record with the devices' logs in `truth`."""
    line, broker_port, page = line_folder(base / "line")
    processes = Processes.of(line, base, truth, broker_port, page)
    async with AsyncExitStack() as stack:
        broker = Broker(broker_port)
        await broker.start()
        stack.push_async_callback(broker.close)
        await stack.enter_async_context(ending(processes.all))
        await start(processes, line)
        measured = await count_for(seconds, processes, line)
        await finish(processes, line, base / "store", measured)
    judge(measured, line, truth, Store(base / "store"))
    return measured


class Processes(NamedTuple):
    """The processes of one run, beside the broker, which runs in this one."""

    plants: dict[str, Child]
    ebr: Child
    gateway: Child

    @classmethod
    def of(cls, line: Line, base: Path, truth: Path, broker_port: int, page: int) -> "Processes":
        """Make them, not started yet; each writes its log into `base`."""
        plants = {name: Child(name, plant_of(name, driver, line.folder, truth), base / f"{name}.log") for name, driver in SOURCES}
        ebr = Child(
            "EBR",
            [*COMMAND, "ebr", "--store", str(base / "store"), "--mqtt", f"mqtt://127.0.0.1:{broker_port}", "--http", str(page)],
            base / "ebr.log",
        )
        return cls(plants, ebr, Child("gateway", [*COMMAND, "run", str(line.folder)], base / "gateway.log"))

    @property
    def all(self) -> list[Child]:
        """In the order in which they are looked at and ended."""
        return [*self.plants.values(), self.ebr, self.gateway]

    @property
    def pids(self) -> dict[str, int | None]:
        """Name -> process, the broker's among them."""
        plants = {name: plant.pid for name, plant in self.plants.items()}
        return {"gateway": self.gateway.pid, "EBR": self.ebr.pid, "broker": os.getpid(), **plants}


async def start(processes: Processes, line: Line) -> None:
    """Start the EBR, the devices and the gateway; once all sources are connected have the devices count, for three seconds of run-in."""
    await processes.ebr.start()
    for plant in processes.plants.values():
        await plant.start()
    await asyncio.to_thread(wait_for, [plant.log for plant in processes.plants.values()], "serving")
    await processes.gateway.start()
    await snapshot(line, connected=True)
    for plant in processes.plants.values():
        await plant.say("go")
    await asyncio.sleep(3)


async def count_for(seconds: float, processes: Processes, line: Line) -> Measured:
    """Let the window pass and account for it; every process must still run at its end."""
    before, began = cpu_of(processes.pids), time.time_ns()
    await asyncio.sleep(seconds)
    after, ended = cpu_of(processes.pids), time.time_ns()
    behind = (await snapshot(line))["uplinks"][0]["entries"]
    for child in processes.all:
        child.check()
    spent = {name: after[name] - before[name] for name in before}
    return Measured((began // 100, ended // 100), (ended - began) / 1e9, spent, 0.0, behind)


async def finish(processes: Processes, line: Line, store: Path, measured: Measured) -> None:
    """Have the devices stand still, note the gateway's peak of memory, wait until the EBR has everything, and end the gateway."""
    for plant in processes.plants.values():
        await plant.say("still")
    await asyncio.sleep(2)
    assert processes.gateway.pid is not None
    measured.peak_mb = peak_mb(processes.gateway.pid)
    await drained(line, store)
    await processes.gateway.end()


def judge(measured: Measured, line: Line, truth: Path, store: Store) -> None:
    """Fill in what the record says, against the devices' logs."""
    received = Received().feed(store.entries())
    measured.counts = compare(line, read(truth), received)
    first, last = measured.window
    for name, driver in SOURCES:
        in_window = [[reading for reading in of_tag if first <= reading.received < last] for of_tag in received.readings[name].values()]
        measured.held[name] = sum(map(len, in_window))
        if driver == "modbus":
            measured.cycles[name] = cycles([reading.requested for reading in in_window[0] if reading.requested is not None])


def plant_of(name: str, driver: str, line: Path, truth: Path) -> list[str]:
    """Return the command of a device's process."""
    if driver == "modbus":
        return [sys.executable, __file__, "--plant", name, "--line", str(line), "--truth", str(truth)]
    return [sys.executable, "-P", "-m", "gateway.demo.plant", str(line), "--truth", str(truth), "--only", name]


async def plant(line: Line, truth: Path, name: str) -> None:
    """Serve a Modbus device whose values count up as they are answered, from "go" on its standard input to "still"."""
    source, tags = next(source for source in line.sources if source.name == name), line.tags_of(name)
    device = ModbusPlc(source, tags, Truth(truth / f"{name}.jsonl"))
    await device.start()
    print("serving", flush=True)
    while word := await asyncio.to_thread(sys.stdin.readline):
        device.memory.counting = {tag.tag for tag in tags} if word.strip() == "go" else set()
        await device.set(dict.fromkeys(device.memory.counting, 1), time.time_ns() // 100)  # the first step; the polls make the others


def cpu_of(pids: dict[str, int | None]) -> dict[str, float]:
    """Return the CPU seconds of each process, and of everything else that runs on this machine."""
    ours = {name: cpu_s(pid) for name, pid in pids.items() if pid is not None}
    user, nice, system, _idle, _wait, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return ours | {"all else": (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - sum(ours.values())}


def wait_for(logs: list[Path], word: str) -> None:
    """Wait until every log holds the word."""
    deadline = time.monotonic() + 60
    while not all(word in log.read_text() for log in logs):
        if time.monotonic() > deadline:
            raise SystemExit(f"a plant did not start: {[log.read_text()[-500:] for log in logs]}")
        time.sleep(0.1)


async def drained(line: Line, store: Path) -> None:
    """Wait until the EBR has what the journal has."""
    goal = (await snapshot(line))["journal"]
    async with asyncio.timeout(120):
        while await asyncio.to_thread(Store(store).last) < (goal["epoch"], goal["seq"]):
            await asyncio.sleep(0.2)


def shown(measured: Measured) -> bool:
    """Print the tables; return whether the rate was held and nothing is lost, doubled or made up."""
    console = Console(highlight=False, width=110)
    table = Table(title=f"{len(SOURCES)} sources of {TAGS} tags at {1000 / RATE_MS:.0f} Hz, {measured.took_s:.0f} s", title_justify="left")
    for name in ("source", "driver", "per second", "given", "received", "replaced", "in gaps", "lost", "doubled", "made up"):
        table.add_column(name, justify="left" if name in ("source", "driver") else "right")
    for name, driver in SOURCES:
        of = measured.counts[name]
        numbers = (measured.held[name] / measured.took_s, of.read, of.received, of.left_out, of.in_gaps, of.lost, of.doubled, of.foreign)
        table.add_row(name, driver, *(f"{number:,.0f}" for number in numbers))
    table.caption = "given: by the device, over the whole run. replaced: first read of a counter, read again at once to prove it whole"
    table.caption_justify = "left"
    console.print(table)
    readings = sum(measured.held.values())
    rate, whole = readings / measured.took_s, total(measured.counts.values())
    held = rate >= HELD * ASKED
    console.print(f"readings per second       {rate:10,.0f}   of {ASKED:,.0f} asked for: {'held' if held else 'NOT HELD'}")
    for name, of in measured.cycles.items():
        console.print(f"polls of {name:<17}{of.polls:10,}   {of.late} late, {of.missed} missed, at worst {of.worst_ms:.0f} ms behind")
    console.print(f"CPU seconds per million   {measured.cpu_s['gateway'] / readings * 1e6:10.1f}")
    console.print(f"peak memory of the gateway{measured.peak_mb:10.0f}   MB")
    console.print(f"entries behind at the end {measured.behind:10.0f}")
    shares = ", ".join(f"{name} {spent / measured.took_s:.0%}" for name, spent in measured.cpu_s.items())
    console.print(f"of one core ({os.cpu_count()} are here): {shares}; together {sum(measured.cpu_s.values()) / measured.took_s:.0%}")
    for example in whole.examples:
        console.print(example)
    return held and whole.good


def main() -> int:
    """Run the benchmark. Exit 1 if anything is lost, doubled or made up, or the rate is not held."""
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
        measured = asyncio.run(measure(Path(folder), Path(truth), given.seconds))
    return 0 if shown(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
