"""What a reading costs from the source to the receipt: CPU seconds of the gateway per million readings, its memory, and what was lost.

Each row is a whole line: a source that counts (benchmarks/steady), this gateway in a process of its own, a broker, and a receiver that
proves what it holds. Every reading that the receiver has is looked at: a value that does not follow the one before is a loss (exit 1).
CPU seconds are those of user and system of the gateway's process alone: they hold on a busy machine, seconds that pass do not.
Usage: python benchmarks/throughput.py [--seconds S] [--profile FILE] [ROW ...]; without rows, all of them.
"""

import argparse
import asyncio
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from config import Line, load
from gateway.demo.processes import COMMAND, Child, ending
from gateway.operation.control import NotRunning, ask
from simulators.line.endpoints import free_ports

MIXED = ("float64", "int32", "string", "bool")


class Row(NamedTuple):
    """A row of the table. types: in turn. hz: 0 as fast as it goes. goal: CPU seconds per million readings."""

    driver: str
    tags: int
    types: tuple[str, ...]
    hz: int
    goal: float


ROWS = {
    "opcua-1k-mixed": Row("opcua", 1_000, MIXED, 10, 3.0),
    "opcua-10k-doubles": Row("opcua", 10_000, ("float64",), 10, 1.5),
    "opcua-10k-mixed": Row("opcua", 10_000, MIXED, 10, 2.0),
    "opcua-10k-float32": Row("opcua", 10_000, ("float32",), 10, 2.0),
    "modbus-1k": Row("modbus", 1_000, ("uint16",), 10, 2.0),
    "modbus-10k": Row("modbus", 10_000, ("uint16",), 10, 1.2),
    "opcua-saturated": Row("opcua", 10_000, ("float64",), 0, 1.0),
    "opcua-idle": Row("opcua", 1_000, MIXED, -1, 0.0),
    "modbus-idle": Row("modbus", 1_000, ("uint16",), -1, 0.0),
}
"""hz -1: nothing changes; what is told is the share of a core."""
GROUND = Path(__file__).parent


@dataclass
class Measured:
    """What a row came to. cpu_s: of the window; lost: values that do not follow the one before.

    in_gaps: the same, but the journal declares a gap of their tag: on a busy machine polls come late, or are asked again.
    """

    readings: int
    took_s: float
    cpu_s: float
    rss_mib: float
    peak_mib: float
    anonymous_mib: float
    lost: int
    in_gaps: int
    entry_bytes: int


def line_of(folder: Path, row: Row) -> tuple[Line, int, int]:
    """Write the folder of a line; return it with the ports of broker and source."""
    ports = free_ports()
    broker, port = next(ports), next(ports)
    text = '[line]\nsite = "bench"\nname = "throughput"\ntimezone = "UTC"\n\n[[source]]\nname = "plc"\n'
    text += f'rate_ms = {1000 // row.hz if row.hz > 0 else 100}\ndriver = "{row.driver}"\n'
    if row.driver == "opcua":
        text += f'endpoint = "opc.tcp://127.0.0.1:{port}"\nsecurity = {{ policy = "None" }}\nnamespaces = {{ plc = "urn:example:bench" }}\n'
        if not row.hz:
            text += "publish_ms = 10\n"
        addresses = [f"plc:s=t{number}" for number in range(row.tags)]
    else:
        text += f'endpoint = "tcp://127.0.0.1:{port}"\n'
        addresses = [f"1/holding/{number}:uint16" for number in range(row.tags)]
    text += f'\n[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{broker}"\n'
    rows = [f"plc.t{n:05},plc,{address},{row.types[n % len(row.types)]}" for n, address in enumerate(addresses)]
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(text)
    (folder / "tags.csv").write_text("\n".join(["tag,source,address,type", *rows]) + "\n")
    return load(folder), broker, port


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, name: str) -> float:
    """Return a figure of /proc/PID/status: VmRSS, VmHWM, RssAnon."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) / 1024


async def until(log: Path, word: str, within_s: float = 180.0) -> None:
    """Wait until a log has a line."""
    async with asyncio.timeout(within_s):
        while word not in (log.read_text() if log.exists() else ""):
            await asyncio.sleep(0.1)


async def connected(line: Line) -> None:
    """Wait until the gateway reads its source."""
    async with asyncio.timeout(180):
        while True:
            try:
                if (await asyncio.to_thread(ask, line.data))["sources"][0]["state"] == "connected":
                    return
            except NotRunning:
                pass
            await asyncio.sleep(0.2)


def broker_command(port: int, folder: Path) -> list[str]:
    """Return the command of a broker: mosquitto where it is installed."""
    mosquitto = shutil.which("mosquitto") or next((str(p) for p in [Path("/usr/sbin/mosquitto")] if p.exists()), None)
    if mosquitto is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    return [mosquitto, "-c", str(conf)]


async def measure(base: Path, row: Row, seconds: float, profile: str | None) -> Measured:
    """Run one row."""
    line, broker_port, port = line_of(base / "line", row)
    if row.driver == "opcua":
        command = [sys.executable, "-m", "steady.opcua", str(line.folder), "plc", str(max(row.hz, 0))]
    else:
        command = [sys.executable, "-m", "steady.modbus", str(port), str(row.tags)]
    run = [*COMMAND, "run", str(line.folder)]
    if profile:
        run = [sys.executable, "-P", str(GROUND / "steady" / "profiled.py"), profile, "run", str(line.folder)]
    source = Child("source", command, base / "source.log")
    broker = Child("broker", broker_command(broker_port, base), base / "broker.log")
    topic, store = "ebr/bench/throughput", base / "entries"
    receiver = Child("receiver", [sys.executable, "-m", "steady.receiver", str(broker_port), topic, str(store)], base / "receiver.log")
    gateway = Child("gateway", run, base / "gateway.log")
    os.environ["PYTHONPATH"] = str(GROUND)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # byte code is there where the program is installed
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ending([source, broker, receiver, gateway]))
        await broker.start()
        await source.start()
        await until(source.log, "serving")
        await receiver.start()
        await until(receiver.log, "serving")
        await gateway.start()
        await connected(line)
        await asyncio.sleep(2)
        if row.hz >= 0:
            await source.say("go")
        await asyncio.sleep(3 if row.hz >= 0 else 10)
        pid = gateway.pid
        assert pid is not None
        if profile:
            os.kill(pid, signal.SIGUSR2)
        before, began = cpu_s(pid), time.time_ns()
        await asyncio.sleep(seconds)
        if profile:
            os.kill(pid, signal.SIGUSR2)
        after, ended = cpu_s(pid), time.time_ns()
        rss, peak, anonymous = (memory_mib(pid, name) for name in ("VmRSS", "VmHWM", "RssAnon"))
        await source.say("still")
        await drained(line, row)
        for child in (source, broker, receiver, gateway):
            child.check()
        await gateway.end()
    readings, lost, in_gaps, entry_bytes = judged(store, row, began // 100, ended // 100)
    return Measured(readings, (ended - began) / 1e9, after - before, rss, peak, anonymous, lost, in_gaps, entry_bytes)


async def drained(line: Line, row: Row) -> None:
    """Wait until everything that came has its receipt."""
    async with asyncio.timeout(300):
        still = 0
        while still < 3:
            await asyncio.sleep(1.2)
            now = await asyncio.to_thread(ask, line.data)
            still = still + 1 if now["uplinks"][0]["entries"] <= 2 else 0


def entries(store: Path) -> Iterator[dict]:
    """Yield what was received, parsed."""
    with store.open("rb") as file:
        while head := file.read(4):
            yield orjson.loads(file.read(struct.unpack("<I", head)[0]))


def number_of(value: object) -> int | None:
    """Return the count that a value stands for, None of a bool."""
    if isinstance(value, bool):
        return None
    return int(value.removeprefix("state") or 0) if isinstance(value, str) else int(value)  # type: ignore[call-overload]


def judged(store: Path, row: Row, first: int, last: int) -> tuple[int, int, int, int]:
    """Return (readings that came in the window, values that do not follow, of gaps, bytes of entries per reading)."""
    held: dict[int, object] = {}
    declared: set[int] = set()
    readings = lost = in_gaps = size = of_all = 0
    wrap = 0x8000 if row.driver == "modbus" else 30_000
    for entry in entries(store):
        if "readings" not in entry:
            declared |= tags_of_gap(entry.get("event", {}), row)
            continue
        columns, base = entry["columns"], entry["time_base"]
        tag, value = columns.index("tag"), columns.index("value")
        size, of_all = size + len(orjson.dumps(entry)), of_all + len(entry["readings"])
        for reading in entry["readings"]:
            before, now = held.get(reading[tag]), reading[value]
            held[reading[tag]] = now
            number, earlier = number_of(now), None if before is None else number_of(before)
            if before is not None and (now == before if number is None else number not in (earlier + 1, (earlier + 1) % wrap)):  # type: ignore[operator]
                is_lost = now != before or number is None
                lost, in_gaps = lost + (is_lost and reading[tag] not in declared), in_gaps + (is_lost and reading[tag] in declared)
            declared.discard(reading[tag])
        received = ticks_of(base)
        readings += len(entry["readings"]) if first <= received < last else 0
    return readings, lost + (row.tags - len(held)), in_gaps, round(size / max(of_all, 1))


def tags_of_gap(event: dict, row: Row) -> set[int]:
    """Return the tags of which an event declares a gap."""
    if event.get("type") != "gap" or event.get("transition") != "open":
        return set()
    return set(range(row.tags)) if event["tags"] == "all" else {int(name.removeprefix("plc.t")) for name in event["tags"]}


def ticks_of(text: str) -> int:
    """Read a time, to the millisecond."""
    from datetime import datetime

    return round(datetime.fromisoformat(text).timestamp() * 1000) * 10_000


def main() -> int:
    """Print the table. Exit 1 if anything is lost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="rows of the table")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--profile", help="write a cProfile of the gateway into this file")
    given = parser.parse_args()
    print(
        f"{'row':20}{'readings':>10}{'a second':>10}{'CPU %':>7}{'CPU s/M':>9}"
        f"{'goal':>6}{'RSS MiB':>9}{'peak':>6}{'anon':>6}{'lost':>6}{'in gaps':>8}{'B each':>7}"
    )
    lost = 0
    for name in given.rows or ROWS:
        row = ROWS[name]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            of = asyncio.run(measure(Path(folder), row, given.seconds, given.profile))
        lost += of.lost
        cost = f"{of.cpu_s / of.readings * 1e6:9.2f}{row.goal:6.1f}" if row.hz >= 0 and of.readings else f"{'':15}"
        print(
            f"{name:20}{of.readings:10,}{of.readings / of.took_s:10,.0f}{of.cpu_s / of.took_s:7.1%}{cost}"
            f"{of.rss_mib:9.0f}{of.peak_mib:6.0f}{of.anonymous_mib:6.0f}{of.lost:6}{of.in_gaps:8}{of.entry_bytes:7}",
            flush=True,
        )
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
