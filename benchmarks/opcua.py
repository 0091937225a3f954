"""10,000 items at 10 Hz from node-opcua: this driver beside a plain asyncua subscription handler, and the simulated PLC at its own limit.

Needs node and npm for the first table (EBR_NODE_OPCUA names a folder where node-opcua is installed; else npm fetches it once).
Usage: python benchmarks/opcua.py [items] [seconds]
"""

import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import simulators.opcua_plc
from config import Source, Tag

ITEMS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 15.0
SERVER = Path(simulators.opcua_plc.__file__).parent / "node_server"


class Counting:
    """The seam, without a disk: what the driver itself costs."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.values = self.lists = self.lost_ = 0
        self.last: dict[int, float] = {}
        self.initial = 0

    def __call__(self, readings: Any, *, kind: str = "change", **_: Any) -> Any:
        """See Emit."""
        self.lists += 1
        self.values += len(readings)
        last = self.last
        for reading in readings:
            tag, value = reading[0], reading[1]
            if kind == "change" and value != last.get(tag, value - 1) + 1:
                self.lost_ += 1
            last[tag] = value
        return self._done()

    async def room(self) -> None:
        """See Emit."""

    def _done(self, *_: Any) -> Any:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    lost = found = filled = _done

    def connected(self, *_: Any) -> None:
        """See Emit."""

    source_offset = connected


async def ours(url: str) -> dict[str, float]:
    from drivers.opcua import OpcUaDriver

    options = {"security": {"policy": "None"}, "namespaces": {"n": "urn:example:node"}}
    source = Source(name="node", driver="opcua", endpoint=url, rate_ms=0, options=options)
    tags = [Tag(tag=f"t{i}", source="node", address=f"n:s=item.{i}", type="float64") for i in range(ITEMS)]
    counting = Counting()
    driver = OpcUaDriver(source, tags)
    task = asyncio.create_task(driver.run(counting))
    begun = time.monotonic()
    while len(counting.last) < ITEMS:
        await asyncio.sleep(0.1)
        if task.done() or time.monotonic() - begun > 120:
            raise SystemExit(f"{len(counting.last)} of {ITEMS} items came: {task.exception() if task.done() else 'too slow'}")
    await asyncio.sleep(2)
    told = await _measured(lambda: counting.values, lambda: counting.lost_)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told | {"overflows": float(driver.counts.get("overflows", 0))}


async def plain(url: str) -> dict[str, float]:
    """As the library's own examples do it."""
    from asyncua import Client

    class Handler:
        values = lost = 0

        def __init__(self) -> None:
            self.last: dict[Any, float] = {}

        def datachange_notification(self, node: Any, value: float, _data: Any) -> None:
            Handler.values += 1
            key = node.nodeid.Identifier
            if value != self.last.get(key, value - 1) + 1:
                Handler.lost += 1
            self.last[key] = value

    async with Client(url, timeout=60) as client:
        index = await client.get_namespace_index("urn:example:node")
        subscription = await client.create_subscription(50, Handler())
        for start in range(0, ITEMS, 1000):
            nodes = [client.get_node(f"ns={index};s=item.{i}") for i in range(start, min(start + 1000, ITEMS))]
            await subscription.subscribe_data_change(nodes, queuesize=100, sampling_interval=0)
        await asyncio.sleep(2)
        Handler.lost = 0
        return await _measured(lambda: Handler.values, lambda: Handler.lost)


async def _measured(values: Any, lost: Any) -> dict[str, float]:
    before, lost_before, cpu, begun = values(), lost(), time.process_time(), time.monotonic()
    await asyncio.sleep(SECONDS)
    elapsed, used, got = time.monotonic() - begun, time.process_time() - cpu, values() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "values/s": got / elapsed,
        "CPU %": used / elapsed * 100,
        "CPU s/M": used / max(got, 1) * 1e6,
        "jumps": float(lost() - lost_before),
        "peak MB": peak,
    }


async def simulated() -> dict[str, float]:
    """Two simulated PLCs of 500 tags at 10 Hz: what serving them costs."""
    from simulators.device import Truth
    from simulators.opcua_plc import OpcUaPlc

    options = {"security": {"policy": "None"}, "namespaces": {"n": "urn:example:node"}}
    source = Source(name="plc", driver="opcua", endpoint="opc.tcp://127.0.0.1:0", options=options)
    tags = [Tag(tag=f"t{i}", source="plc", address=f"n:s=item.{i}", type="float64") for i in range(500)]
    plcs = [OpcUaPlc(source, tags, Truth(None)) for _ in range(2)]
    for plc in plcs:
        await plc.start()
    cpu, begun, sets = time.process_time(), time.monotonic(), 0
    while time.monotonic() - begun < SECONDS / 3:
        for plc in plcs:
            await plc.set({tag.tag: float(sets) for tag in tags}, time.time_ns() // 100)
        sets += 1
        await asyncio.sleep(max(0.0, begun + sets * 0.1 - time.monotonic()))
    used, elapsed = time.process_time() - cpu, time.monotonic() - begun
    for plc in plcs:
        await plc.stop()
    return {"values/s": sets * 1000 / elapsed, "CPU %": used / elapsed * 100}


def node_folder() -> Path | None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    place = Path(os.environ.get("EBR_NODE_OPCUA", Path.home() / ".cache" / "ebr-gateway" / "node-opcua"))
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        shutil.copy(SERVER / name, place / name)
    if not (place / "node_modules" / "node-opcua").is_dir():
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=place, capture_output=True, check=False)
        if done.returncode:
            return None
    return place


def in_a_process(which: str, url: str) -> dict[str, float]:
    """Each way in a process of its own, so that neither pays for the other's imports and garbage."""
    command = [sys.executable, __file__, str(ITEMS), str(SECONDS), which, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 240)
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def row(name: str, told: dict[str, float]) -> str:
    return f"{name:<34}" + "".join(f"{key} {value:>10,.2f}   " for key, value in told.items())


def main() -> None:
    if len(sys.argv) > 4:
        print(json.dumps(asyncio.run({"ours": ours, "plain": plain}[sys.argv[3]](sys.argv[4]))))
        return
    place = node_folder()
    if place is None:
        print("node-opcua: not here (node and npm are needed)")
    else:
        against_node(place)
    print(row("2 simulated PLCs, 500 tags, 10 Hz", asyncio.run(simulated())))


def against_node(place: Path) -> None:
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = subprocess.Popen(["node", "server.js", str(port), str(ITEMS), "10", f"{folder}/state"], cwd=place, stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            while b"ready" not in server.stdout.readline():
                pass
            print(f"node-opcua, {ITEMS} items at 10 Hz, {SECONDS:.0f} s each; jumps: values that did not follow the one before")
            for which in ("ours", "plain"):
                name = "this driver" if which == "ours" else "asyncua subscription handler"
                print(row(name, in_a_process(which, f"opc.tcp://127.0.0.1:{port}")), flush=True)
        finally:
            server.kill()
            server.wait()
            if server.stdout is not None:
                server.stdout.close()


if __name__ == "__main__":
    main()
