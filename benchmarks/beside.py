"""The same sources through other programs: CPU seconds per million readings and memory, beside this gateway's, in one run.

Rows are those of throughput.py at 1,000 tags. By hand is a script of an afternoon (steady/by_hand.py), which keeps nothing. Telegraf runs
where its program is given, thingsboard-gateway where the Python is in which it is installed. Whatever a program publishes is looked at
value by value: `missing` are values that the source had and the broker never saw. Only this gateway's are proved by receipts, kept in a
journal, and sent again after an outage.
Usage: python benchmarks/beside.py [--seconds S] [--telegraf FILE] [--thingsboard PYTHON]
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from asyncua import Client
from steady import thingsboard
from steady.by_hand import NAMESPACE
from steady.heard import heard
from throughput import GROUND, ROWS, Row, broker_command, cpu_s, line_of, measure, memory_mib, number_of, until

from gateway.demo.processes import Child, ending

WRAP = {"opcua": 30_000, "modbus": 0x8000}


class Peer(NamedTuple):
    """Another program. read: (name, value) of a payload. command: of folder, row, source's port, number of its namespace, broker's port.

    server: module of a program that answers it at the broker.
    """

    name: str
    command: Callable[[Path, Row, int, int, int], list[str]]
    read: Callable[[bytes], Iterator[tuple[str, Any]]]
    server: str | None = None


class Took(NamedTuple):
    """What a program took, and what it did not carry."""

    readings: int
    seconds: float
    cpu_s: float
    rss_mib: float
    missing: int


def by_hand() -> Peer:
    """The script."""

    def command(_: Path, row: Row, port: int, __: int, broker: int) -> list[str]:
        return [sys.executable, "-m", "steady.by_hand", row.driver, str(port), str(row.tags), str(broker)]

    return Peer("by hand", command, lambda payload: iter(orjson.loads(payload)))


def telegraf(program: str) -> Peer:
    """Telegraf, with its subscription of OPC UA or its largest questions of Modbus, and its output of MQTT."""

    def command(folder: Path, row: Row, port: int, namespace: int, broker: int) -> list[str]:
        source = _opcua(row, port, namespace) if row.driver == "opcua" else _modbus(row, port)
        (folder / "telegraf.conf").write_text(OUT.format(broker=broker) + source)
        return [program, "--config", str(folder / "telegraf.conf"), "--quiet"]

    def read(payload: bytes) -> Iterator[tuple[str, Any]]:
        for metric in orjson.loads(payload)["metrics"]:
            yield from ((name, value) for name, value in metric["fields"].items() if name != "Quality")

    return Peer("Telegraf", command, read)


def thingsboard_gateway(python: str) -> Peer:
    """ThingsBoard's gateway with its store in SQLite, its subscription of OPC UA or its largest questions of Modbus."""

    def command(folder: Path, row: Row, port: int, namespace: int, broker: int) -> list[str]:
        connector = thingsboard.opcua(port, namespace, row.tags) if row.driver == "opcua" else thingsboard.modbus(port, row.tags)
        thingsboard.configured(folder, broker, row.driver, connector)
        run = "from thingsboard_gateway.tb_gateway import daemon; daemon()"
        return ["env", f"--chdir={folder}", f"TB_GW_CONFIG_DIR={folder / 'thingsboard'}", "PYTHONPATH=", python, "-c", run]

    return Peer("thingsboard", command, thingsboard.read, "steady.thingsboard")


OUT = """[agent]
interval = "100ms"
flush_interval = "100ms"
round_interval = false
metric_batch_size = 10000
metric_buffer_limit = 1000000
omit_hostname = true
[[outputs.mqtt]]
servers = ["tcp://127.0.0.1:{broker}"]
topic = "telegraf"
qos = 1
layout = "batch"
data_format = "json"
"""


def _opcua(row: Row, port: int, namespace: int) -> str:
    nodes = ", ".join(f'{{name = "t{n}", namespace = "{namespace}", identifier_type = "s", identifier = "t{n}"}}' for n in range(row.tags))
    return f"""[[inputs.opcua_listener]]
endpoint = "opc.tcp://127.0.0.1:{port}"
security_policy = "None"
security_mode = "None"
auth_method = "Anonymous"
subscription_interval = "100ms"
nodes = [{nodes}]
"""


def _modbus(row: Row, port: int) -> str:
    fields = ", ".join(f'{{address = {n}, name = "t{n}", type = "UINT16"}}' for n in range(row.tags))
    return f"""[[inputs.modbus]]
name = "plc"
controller = "tcp://127.0.0.1:{port}"
configuration_type = "request"
[[inputs.modbus.request]]
slave_id = 1
byte_order = "ABCD"
register = "holding"
fields = [{fields}]
"""


async def carried(base: Path, row: Row, peer: Peer, seconds: float) -> Took:
    """Run one program."""
    line, broker_port, port = line_of(base / "line", row)
    kind = [str(line.folder), "plc", str(row.hz)] if row.driver == "opcua" else [str(port), str(row.tags)]
    source = Child("source", [sys.executable, "-m", f"steady.{row.driver}", *kind], base / "source.log")
    broker = Child("broker", broker_command(broker_port, base), base / "broker.log")
    receiver = Child("receiver", [sys.executable, "-m", "steady.heard", str(broker_port), str(base / "heard")], base / "receiver.log")
    os.environ["PYTHONPATH"] = str(GROUND)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ending([source, broker, receiver]))
        await broker.start()
        await source.start()
        await until(source.log, "serving")
        await receiver.start()
        await until(receiver.log, "serving")
        if peer.server is not None:
            server = Child("server", [sys.executable, "-m", peer.server, str(broker_port)], base / "server.log")
            await stack.enter_async_context(ending([server]))
            await server.start()
            await until(server.log, "serving")
        namespace = await numbered(port) if row.driver == "opcua" else 0
        program = Child(peer.name, peer.command(base, row, port, namespace, broker_port), base / "program.log")
        await stack.enter_async_context(ending([program]))
        await program.start()
        await asyncio.sleep(8)  # its start and its first values are not measured
        await source.say("go")
        await asyncio.sleep(3)
        pid = program.pid
        assert pid is not None, program.log.read_text()[-2000:]
        before, began = cpu_s(pid), time.time_ns()
        await asyncio.sleep(seconds)
        after, ended = cpu_s(pid), time.time_ns()
        rss = memory_mib(pid, "VmRSS")
        await source.say("still")
        await asyncio.sleep(3)
        for child in (source, broker, receiver, program):
            child.check()
    readings, missing = judged(base / "heard", row, peer, began // 100, ended // 100)
    return Took(readings, (ended - began) / 1e9, after - before, rss, missing)


async def numbered(port: int) -> int:
    """Return the number of the source's namespace, which stands in the configuration of others."""
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        return await client.get_namespace_index(NAMESPACE)


def judged(file: Path, row: Row, peer: Peer, first: int, last: int) -> tuple[int, int]:
    """Return (readings that came in the window, values that are missing, with tags that never came).

    From the first step on: what stood before "go" may come as often as it likes.
    """
    held: dict[str, Any] = {}
    readings = missing = 0
    for ticks, payload in heard(file):
        for name, value in peer.read(payload):
            before, now = held.get(name), number_of(value)
            held[name] = value
            readings += first <= ticks < last
            earlier = None if before is None else number_of(before)
            if now and earlier:
                missing += max((now - earlier) % WRAP[row.driver] - 1, 0)
    return readings, missing + (row.tags - len(held))


def told(name: str, program: str, took: Took) -> str:
    """Make a row of the table."""
    cost = f"{took.cpu_s / took.readings * 1e6:9.2f}" if took.readings else f"{'-':>9}"
    rate, share = took.readings / took.seconds, took.cpu_s / took.seconds
    return f"{name:16}{program:14}{rate:10,.0f}{share:7.1%}{cost}{took.rss_mib:9.0f}{took.missing:9,}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--telegraf", default=shutil.which("telegraf"), help="its program; without it, it is not measured")
    parser.add_argument("--thingsboard", help="the Python in which it is installed; without it, it is not measured")
    given = parser.parse_args()
    peers = [by_hand(), *([telegraf(given.telegraf)] if given.telegraf else [])]
    peers += [thingsboard_gateway(given.thingsboard)] if given.thingsboard else []
    print(f"{'row':16}{'program':14}{'a second':>10}{'CPU %':>7}{'CPU s/M':>9}{'RSS MiB':>9}{'missing':>9}")
    for name in ("opcua-1k-mixed", "modbus-1k"):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            of = asyncio.run(measure(Path(folder), ROWS[name], given.seconds, None))
        print(told(name, "ebr-gateway", Took(of.readings, of.took_s, of.cpu_s, of.rss_mib, of.lost + of.in_gaps)), flush=True)
        for peer in peers:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                took = asyncio.run(carried(Path(folder), ROWS[name], peer, given.seconds))
            print(told(name, peer.name, took), flush=True)
    if not given.telegraf:
        print("Telegraf is not here: not measured (--telegraf FILE)")
    if not given.thingsboard:
        print("thingsboard-gateway is not here: not measured (--thingsboard PYTHON)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
