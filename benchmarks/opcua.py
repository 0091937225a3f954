"""10,000 items at 10 Hz from node-opcua: this driver beside a plain asyncua subscription handler, and the simulated PLC at its own limit.

Both over a Basic256Sha256 channel, signed and encrypted, with a user name. The server counts up, so every value that does not follow the
one before is a loss. A node-opcua server is one thread: where one can not give that much, two share the items, still read by one process of
ours; where the cores can not carry that either, fewer items are tried until they are held.
Needs node and npm for the first table (EBR_NODE_OPCUA names a folder where node-opcua is installed; else npm fetches it once).
Usage: python benchmarks/opcua.py [items] [seconds]
"""

import asyncio
import contextlib
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
from drivers.opcua.session import certs

ITEMS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 15.0
SERVER = Path(simulators.opcua_plc.__file__).parent / "node_server"
RATE = 10
HELD = 0.99
USER, PASSWORD = "ebr", "secret"  # what node_server asks for


class Counting:
    """The seam, without a disk: what the driver itself costs."""

    def __init__(self) -> None:
        self.watermark: dict[str, Any] = {}
        self.values = self.lists = self.lost_ = self.gaps = 0
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

    def lost(self, *_: Any) -> Any:
        """See Emit."""
        self.gaps += 1
        return self._done()

    found = filled = _done

    def connected(self, *_: Any) -> None:
        """See Emit."""

    source_offset = connected


async def ours(urls: list[str], folder: Path, servers: list[int]) -> dict[str, float]:
    from drivers.opcua import OpcUaDriver

    options = {"namespaces": {"n": "urn:example:node"}, "user": USER, "password": {"credential": "node"}}
    tags = [Tag(tag=f"t{i}", source="node", address=f"n:s=item.{i}", type="float64") for i in range(ITEMS // len(urls))]
    countings = [Counting() for _ in urls]
    drivers = [
        OpcUaDriver(Source(name="node", driver="opcua", endpoint=url, rate_ms=0, options=options, folder=folder), tags) for url in urls
    ]
    tasks = [asyncio.create_task(driver.run(counting)) for driver, counting in zip(drivers, countings, strict=True)]
    begun = time.monotonic()
    while any(len(counting.last) < len(tags) for counting in countings):
        await asyncio.sleep(0.1)
        if any(task.done() for task in tasks) or time.monotonic() - begun > 120:
            raise SystemExit(
                f"{[len(counting.last) for counting in countings]} items of {len(tags)} came: {[*filter(asyncio.Task.done, tasks)]}"
            )
    await asyncio.sleep(2)
    told = await _measured(servers, lambda: sum(one.values for one in countings), lambda: sum(one.lost_ for one in countings))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return told | {"gaps": float(sum(one.gaps for one in countings))}


async def plain(urls: list[str], folder: Path, servers: list[int]) -> dict[str, float]:
    """As the library's own examples do it."""
    from asyncua import Client
    from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256

    class Handler:
        def __init__(self) -> None:
            self.last: dict[Any, float] = {}
            self.values = self.lost = 0

        def datachange_notification(self, node: Any, value: float, _data: Any) -> None:
            self.values += 1
            key = node.nodeid.Identifier
            if value != self.last.get(key, value - 1) + 1:
                self.lost += 1
            self.last[key] = value

    own = certs.own(folder / "certs")
    assert own is not None
    handlers = [Handler() for _ in urls]
    async with contextlib.AsyncExitStack() as stack:
        for url, handler in zip(urls, handlers, strict=True):
            client = Client(url, timeout=60, watchdog_intervall=60)
            client.application_uri = own.uri
            await client.set_security(SecurityPolicyBasic256Sha256, folder / "certs" / "own" / "cert.der", own.key_file)
            client.set_user(USER)
            client.set_password(PASSWORD)
            await stack.enter_async_context(client)
            index = await client.get_namespace_index("urn:example:node")
            subscription = await client.create_subscription(50, handler)
            for start in range(0, ITEMS // len(urls), 1000):
                nodes = [client.get_node(f"ns={index};s=item.{i}") for i in range(start, min(start + 1000, ITEMS // len(urls)))]
                await subscription.subscribe_data_change(nodes, queuesize=100, sampling_interval=0)
        await asyncio.sleep(2)
        return await _measured(servers, lambda: sum(one.values for one in handlers), lambda: sum(one.lost for one in handlers))


async def _measured(servers: list[int], values: Any, lost: Any) -> dict[str, float]:
    before, lost_before, cpu, begun = values(), lost(), time.process_time(), time.monotonic()
    theirs = sum(map(_cpu_s, servers))
    await asyncio.sleep(SECONDS)
    elapsed, used, got = time.monotonic() - begun, time.process_time() - cpu, values() - before
    theirs = sum(map(_cpu_s, servers)) - theirs
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "values/s": got / elapsed,
        "CPU %": used / elapsed * 100,
        "CPU s/M": used / max(got, 1) * 1e6,
        "server %": theirs / elapsed * 100,
        "jumps": float(lost() - lost_before),
        "peak MB": peak,
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


def trusting(folder: Path, ports: list[int]) -> None:
    """Our own certificate, the servers' trusted, the password in its file."""
    from asyncua import Client

    certs.make(folder / "certs")
    for port in ports:
        endpoints = asyncio.run(Client(f"opc.tcp://127.0.0.1:{port}").connect_and_get_server_endpoints())
        (folder / "server.der").write_bytes(next(one.ServerCertificate for one in endpoints if one.ServerCertificate))
        certs.trust(folder / "certs", str(folder / "server.der"))
    secrets = folder / "credentials"
    secrets.mkdir()
    (secrets / "node").write_text(PASSWORD)
    (secrets / "node").chmod(0o600)


def in_a_process(which: str, items: int, ports: list[int], folder: Path, servers: list[int]) -> dict[str, float]:
    """Each way in a process of its own, so that neither pays for the other's imports. servers: their pids, for their CPU share."""
    urls = [f"opc.tcp://127.0.0.1:{port}" for port in ports]
    command = [sys.executable, __file__, str(items), str(SECONDS), which, str(folder), json.dumps(urls), json.dumps(servers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 240)
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def row(name: str, told: dict[str, float]) -> str:
    return f"{name:<30}" + "  ".join(f"{key} {value:>9,.{0 if key in WHOLE else 2}f}" for key, value in told.items())


WHOLE = ("values/s", "CPU %", "server %", "jumps", "gaps", "peak MB")


def main() -> None:
    if len(sys.argv) > 4:
        way = {"ours": ours, "plain": plain}[sys.argv[3]]
        print(json.dumps(asyncio.run(way(json.loads(sys.argv[5]), Path(sys.argv[4]), json.loads(sys.argv[6])))))
        return
    place = node_folder()
    if place is None:
        print("node-opcua: not here (node and npm are needed)")
    elif not against_node(place, ITEMS, 1):
        items = ITEMS
        while not against_node(place, items, 2) and items > 1000:
            items = items * 3 // 4
    print(row("2 simulated PLCs, 500 tags", asyncio.run(simulated())))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def against_node(place: Path, items: int, servers: int) -> bool:
    """One table: so many items, shared by so many servers, read by one process. Whether this driver held the rate without a loss."""
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as stack:
        folder, ports, pids = Path(made), [free_port() for _ in range(servers)], []
        for port in ports:
            command = ["node", "server.js", str(port), str(items // servers), str(RATE), f"{folder}/state{port}", "user"]
            server = stack.enter_context(subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE))
            stack.callback(server.kill)
            pids.append(server.pid)
            assert server.stdout is not None
            while b"ready" not in server.stdout.readline():
                pass
        trusting(folder, ports)
        whose = "one node-opcua server" if servers == 1 else f"{servers} node-opcua servers"
        print(f"{items:,} items at {RATE} Hz of {whose}, Basic256Sha256 with user name, {SECONDS:.0f} s each; jumps: values lost")
        told = {}
        for which, name in (("ours", "this driver"), ("plain", "asyncua subscription handler")):
            told[which] = in_a_process(which, items, ports, folder, pids)
            print(row(name, told[which]), flush=True)
    mine = told["ours"]
    held = mine["values/s"] >= HELD * items * RATE and not mine["jumps"] and not mine["gaps"]
    why = "" if held else f": {'a server is at its limit' if mine['server %'] > 85 * servers else 'the cores are not free for it'}"
    print(f"{items * RATE:,} values/s: {'held without a loss' if held else 'NOT held'} by one process of ours{why}\n")
    return held


if __name__ == "__main__":
    main()
