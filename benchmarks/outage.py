"""How soon a line goes on after its broker or its PLC was away: from "the port listens again" to the first receipt, or the first reading.

Each is killed (SIGKILL), stays away for AWAY_S, and is started again; when its port listens is seen in /proc/net/tcp, so that nobody knocks
but the gateway. A receipt counts if it moves the cursor, a reading if the journal holds it as one that came after the start. The rows:
mqtt: mosquitto, with a receiver that is back at once; ebr: mosquitto, with the reference EBR, which asks for its broker once a second;
opcua, modbus: the simulated PLC. Seconds that pass: a busy machine makes them longer, never shorter.
Usage: python benchmarks/outage.py [--runs N] [--away S] [ROW ...]
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from throughput import GROUND, broker_command, until

from config import Line, load
from gateway.demo.processes import COMMAND, Child, ending
from gateway.operation.control import NotRunning, ask
from simulators.line.endpoints import free_ports

GOAL_S, LOOK_S, WITHIN_S, TAGS = 1.0, 0.02, 60.0, 100
ROWS = {"mqtt": "modbus", "ebr": "modbus", "opcua": "opcua", "modbus": "modbus"}
"""Row -> driver of the line's source."""
LISTENS = "0A"


class Ports(NamedTuple):
    """Where the parts of a line listen."""

    broker: int
    plc: int
    page: int


def line_of(folder: Path, driver: str) -> tuple[Line, Ports]:
    """Write the folder of a line with one source and one uplink."""
    free = free_ports()
    ports = Ports(next(free), next(free), next(free))
    text = '[line]\nsite = "bench"\nname = "outage"\ntimezone = "UTC"\n\n[[source]]\nname = "plc"\nrate_ms = 100\n'
    if driver == "opcua":
        text += f'driver = "opcua"\nendpoint = "opc.tcp://127.0.0.1:{ports.plc}"\n'
        text += 'security = { policy = "None" }\nnamespaces = { plc = "urn:example:bench" }\n'
        addresses = [f"plc:s=t{number}" for number in range(TAGS)]
    else:
        text += f'driver = "modbus"\nendpoint = "tcp://127.0.0.1:{ports.plc}"\n'
        addresses = [f"1/holding/{number}:uint16" for number in range(TAGS)]
    text += f'\n[[uplink]]\nname = "ebr"\nkind = "mqtt"\nendpoint = "mqtt://127.0.0.1:{ports.broker}"\n'
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(text)
    rows = [f"plc.t{number:03},plc,{address},uint16" for number, address in enumerate(addresses)]
    (folder / "tags.csv").write_text("\n".join(["tag,source,address,type", *rows]) + "\n")
    return load(folder), ports


def listens(port: int) -> bool:
    """Return whether a process listens at a port of this machine; nothing is sent there."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[3] == LISTENS and int(row[1].rpartition(":")[2], 16) == port for row in rows)


async def come(what: Callable[[], Any], pause_s: float = LOOK_S) -> Any:
    """Return what a look gives, once it gives something."""
    async with asyncio.timeout(WITHIN_S):
        while not (found := what()):
            await asyncio.sleep(pause_s)
    return found


async def status(line: Line) -> dict[str, Any]:
    """Ask the gateway how it is; {} while it can not be asked."""
    try:
        return dict(await asyncio.to_thread(ask, line.data))
    except NotRunning:
        return {}


class Running(NamedTuple):
    """A line that runs, and the process of it that is going to be away."""

    line: Line
    port: int
    away: Child
    is_uplink: bool

    async def progress(self) -> tuple[bool, int]:
        """Return whether the part is connected, and a number that grows with it: entries confirmed, readings taken."""
        now = await status(self.line)
        if not now:
            return False, 0
        part = now["uplinks"][0] if self.is_uplink else now["sources"][0]
        if self.is_uplink:
            return part["state"] == "forwarding", now["journal"]["seq"] - part["entries"]
        return part["state"] == "connected", part["readings"]

    async def goes_on(self, beyond: int) -> None:
        """Wait until the part is connected, and its number greater than `beyond`."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                connected, number = await self.progress()
                if connected and number > beyond:
                    return
                await asyncio.sleep(LOOK_S)

    async def outage_s(self, away_s: float) -> float:
        """Have the process be away, and return how long after its port listened again the line went on."""
        await self.goes_on((await self.progress())[1] if self.is_uplink else 0)
        await self.away.kill()
        await asyncio.sleep(away_s)
        _, before = await self.progress()
        await self.away.start()
        await come(lambda: listens(self.port), 0.001)
        begun = time.monotonic()
        await self.goes_on(before)
        return time.monotonic() - begun


@asynccontextmanager
async def running(base: Path, row: str) -> AsyncIterator[Running]:
    """Run a line with all that belongs to it."""
    line, ports = line_of(base / "line", ROWS[row])
    is_uplink = row in ("mqtt", "ebr")
    broker = Child("broker", broker_command(ports.broker, base), base / "broker.log")
    counting = [sys.executable, "-m", "steady.modbus", str(ports.plc), str(TAGS)]
    plc = Child("plc", counting if is_uplink else [*COMMAND, "simulate", str(line.folder)], base / "plc.log")
    if row == "ebr":
        mqtt, page = f"mqtt://127.0.0.1:{ports.broker}", str(ports.page)
        receiver = Child("EBR", [*COMMAND, "ebr", "--store", str(base / "store"), "--mqtt", mqtt, "--http", page], base / "ebr.log")
    else:
        words = [sys.executable, "-m", "steady.receiver", str(ports.broker), "ebr/bench/outage", str(base / "entries")]
        receiver = Child("receiver", words, base / "ebr.log")
    gateway = Child("gateway", [*COMMAND, "run", str(line.folder)], base / "gateway.log")
    async with ending([plc, broker, receiver, gateway]):
        await broker.start()
        await come(lambda: listens(ports.broker))
        await plc.start()
        await receiver.start()
        await until(plc.log, "serving")
        if row != "ebr":
            await until(receiver.log, "serving")
        await gateway.start()
        if is_uplink:
            await plc.say("go")
        yield Running(line, ports.broker if is_uplink else ports.plc, broker if is_uplink else plc, is_uplink)


async def measured(row: str, runs: int, away_s: float) -> list[float]:
    """Return how long each return took."""
    with tempfile.TemporaryDirectory(prefix="bench-outage-") as folder:
        async with running(Path(folder), row) as its:
            return [await its.outage_s(away_s) for _ in range(runs)]


def main() -> int:
    """Print the table. Exit 1 if the median of a row misses the goal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="rows of the table")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--away", type=float, default=5.0, help="seconds")
    given = parser.parse_args()
    if shutil.which("mosquitto") is None:
        os.environ["PATH"] += ":/usr/sbin"
    os.environ["PYTHONPATH"] = str(GROUND)
    print(f"{'away for ' + format(given.away, 'g') + ' s: back after, s':32}{'least':>8}{'median':>8}{'most':>8}{'goal':>6}")
    missed = False
    for row in given.rows or ROWS:
        took = asyncio.run(measured(row, given.runs, given.away))
        missed = missed or statistics.median(took) > GOAL_S
        print(f"{row:32}{min(took):8.2f}{statistics.median(took):8.2f}{max(took):8.2f}{GOAL_S:6.1f}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
