"""`browse` of an address space of 100,000 nodes: the command in its own process, its time, its CPU and its memory."""

import asyncio
import csv
import io
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from config import Source, Tag
from gateway.demo.processes import COMMAND
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc

pytestmark = pytest.mark.timeout(1800)
NODES = 100_000
TRIES = 3
LINE = """
[line]
site = "lab"
name = "large"
timezone = "UTC"

[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{port}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
request_timeout_s = 60

[[uplink]]
name = "ebr"
kind = "mqtt"
endpoint = "mqtt://127.0.0.1:1"
"""


def high_water_kb(pid: int) -> int:
    """The largest resident size of a process so far; 0 once it has ended."""
    _, _, rest = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")
    return int(rest.split()[0]) if rest else 0


def browsed(folder: Path, *more: str) -> tuple[str, str, float, float, float]:
    """Rows and messages, seconds, CPU seconds, peak MB of one `browse`.

    A machine that gives it no processor for two minutes costs it its session: it says so, and is begun again, as a person would.
    """
    for _ in range(TRIES):
        told = _browsed(folder, *more)
        if told is not None:
            return told
    pytest.fail(f"{TRIES} times the session was lost: {(folder / 'err').read_text()}")


def _browsed(folder: Path, *more: str) -> tuple[str, str, float, float, float] | None:
    """None: the server gave its session up."""
    begun = time.monotonic()
    command = [*COMMAND, "browse", str(folder), "--source", "plc", *more]
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        peak_kb = 0
        ended = status = 0
        used = None
        while not ended:
            peak_kb = max(peak_kb, high_water_kb(process.pid))  # ru_maxrss would count this process, from which it was forked
            time.sleep(0.02)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and "BadSessionNotActivated" in (folder / "err").read_text():
        return None
    assert process.returncode == 0, (folder / "err").read_text()
    assert used is not None
    took_s = time.monotonic() - begun
    return (folder / "out").read_text(), (folder / "err").read_text(), took_s, used.ru_utime + used.ru_stime, peak_kb / 1024


async def test_a_hundred_thousand_nodes(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    places = [f"plc:s=Area{i // 10_000}.Unit{i // 100 % 100}.Point{i % 100}" for i in range(NODES)]
    tags = [Tag(tag=f"t{i}", source="plc", address=place, type=("float64", "int16", "bool")[i % 3]) for i, place in enumerate(places)]
    options = {"security": {"policy": "None"}, "namespaces": {"plc": "urn:example:plc"}}
    plc = OpcUaPlc(Source(name="plc", driver="opcua", endpoint="opc.tcp://127.0.0.1:0", options=options), tags, Truth(None))
    await plc.start()
    (tmp_path / "line.toml").write_text(LINE.format(port=plc.port))
    header = "tag,source,address,type\n"
    (tmp_path / "tags.csv").write_text(header + f"t0,plc,{places[0]},float64\n")
    try:
        text, said, took_s, cpu_s, peak_mb = await asyncio.to_thread(browsed, tmp_path)
        again, *_ = await asyncio.to_thread(browsed, tmp_path)
        (tmp_path / "tags.csv").write_text(header + "".join(f"t{i},plc,{place},float64\n" for i, place in enumerate(places[:-7])))
        new, *_ = await asyncio.to_thread(browsed, tmp_path, "--new-only")
        part, *_ = await asyncio.to_thread(browsed, tmp_path, "--under", "Area3", "--match", "*/Unit7/*")
    finally:
        await plc.stop()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["address"] for row in rows} == set(places)
    assert len({row["tag"] for row in rows}) == NODES
    assert f"{NODES} rows, 0 left out" in said
    assert text == again
    assert sorted(row["address"] for row in csv.DictReader(io.StringIO(new))) == sorted(places[-7:])
    assert len(part.splitlines()) == 1 + 100
    figures(
        "browse",
        f"{NODES:,} nodes: {took_s:.0f} s with the simulated server, {cpu_s:.0f} s CPU and {peak_mb:.0f} MB of our own; "
        "two runs alike to the byte; --new-only 7 of 7",
    )
    assert peak_mb < 600
