"""A large line through the real `ebr-gateway run`: two OPC UA and two Modbus sources of 500 tags each at 10 Hz, to the reference EBR.

Every tag counts up ten times a second. Prints the rate that was held, what became of every value (compared with the devices' ground truth),
and what the gateway took of the machine. The devices, the broker and the EBR run on the same machine and take their share of its cores.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from config import Line, load
from gateway.control import NotRunning, ask
from gateway.demo.compare import Counts, compare, total
from gateway.demo.processes import COMMAND, Child, ending
from gateway.demo.received import Received
from gateway.demo.store import Store
from gateway.demo.truth import read
from simulators.broker import Broker
from simulators.line.endpoints import free_ports

TAGS, RATE_MS = 500, 100
SOURCES = (("plc-1", "opcua"), ("plc-2", "opcua"), ("plc-3", "modbus"), ("plc-4", "modbus"))


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


async def measure(base: Path, seconds: float) -> tuple[dict[str, float], dict[str, Counts], float]:
    """Run everything; gives figures, counts per source and the seconds that were measured."""
    line, broker_port, page = line_folder(base / "line")
    truth = base / "truth"
    plants = [
        Child(
            f"plant {name}",
            [sys.executable, "-P", "-m", "gateway.demo.plant", str(line.folder), "--truth", str(truth), "--only", name],
            base / f"{name}.log",
        )
        for name, _ in SOURCES
    ]
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
        await stack.enter_async_context(ending([*plants, ebr, gateway]))
        await ebr.start()
        for plant in plants:
            await plant.start()
        await asyncio.to_thread(wait_for, [plant.log for plant in plants], "serving")
        await gateway.start()
        await snapshot(line, connected=True)
        for plant in plants:
            await plant.say("go")
        await asyncio.sleep(3)
        pid = gateway.pid
        assert pid is not None
        before, cpu, began = await snapshot(line), cpu_s(pid), time.monotonic()
        await asyncio.sleep(seconds)
        after, cpu, took = await snapshot(line), cpu_s(pid) - cpu, time.monotonic() - began
        for child in (*plants, ebr, gateway):
            child.check()
        for plant in plants:
            await plant.say("still")
        await asyncio.sleep(2)
        peak = peak_mb(pid)
        await drained(line, base / "store")
        await gateway.end()
    readings = sum(source["readings"] for source in after["sources"]) - sum(source["readings"] for source in before["sources"])
    figures = {"readings": readings, "cpu_s": cpu, "peak_mb": peak, "behind": after["uplinks"][0]["entries"]}
    received = Received().feed(Store(base / "store").entries())
    return figures, compare(line, read(truth), received), took


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


def shown(figures: dict[str, float], counts: dict[str, Counts], took: float) -> None:
    """The table."""
    console = Console(highlight=False, width=110)
    table = Table(title=f"{len(SOURCES)} sources of {TAGS} tags at {1000 / RATE_MS:.0f} Hz, {took:.0f} s", title_justify="left")
    for name in ("source", "driver", "read", "received", "in gaps", "lost", "doubled"):
        table.add_column(name, justify="left" if name in ("source", "driver") else "right")
    for name, driver in SOURCES:
        of = counts[name]
        table.add_row(name, driver, *(f"{number:,}" for number in (of.read, of.received, of.in_gaps, of.lost, of.doubled)))
    table.caption = (
        "A value that changes at the rate at which it is polled is sometimes seen twice and sometimes not at all: that is no loss"
    )
    table.caption_justify = "left"
    console.print(table)
    millions = figures["readings"] / 1e6
    console.print(
        f"readings per second       {figures['readings'] / took:10,.0f}   of {len(SOURCES) * TAGS * 1000 / RATE_MS:,.0f} asked for"
    )
    console.print(f"CPU seconds per million   {figures['cpu_s'] / millions:10.1f}   ({figures['cpu_s'] / took:.0%} of one core)")
    console.print(f"peak memory of the gateway{figures['peak_mb']:10.0f}   MB")
    console.print(f"entries behind at the end {figures['behind']:10.0f}")


def main() -> int:
    """Exit 1 if anything is lost, doubled or made up."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-line-") as folder:
        figures, counts, took = asyncio.run(measure(Path(folder), given.seconds))
    shown(figures, counts, took)
    whole = total(counts.values())
    for example in whole.examples:
        print(example)
    return 0 if whole.good else 1


if __name__ == "__main__":
    sys.exit(main())
