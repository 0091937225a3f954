"""Seven days without an EBR at the full rate, in compressed time: the journal holds them, and the EBR has each reading once afterwards.

The real intake writes them by a clock that goes as fast as the intake does; a real gateway then sends them to the bundled EBR. What is
compressed is the time alone: as many lists, readings and days of stamps as seven days have.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from kit.processes import command, free_port, process, running, until

import config
from buffer import Journal
from drivers.columns import Columns
from gateway.clock import Clock
from gateway.context import Fold
from gateway.entries.ticks import TICKS_PER_S
from gateway.intake import Intake
from gateway.operation.control import ask

TAGS, EVERY_S, DAYS = 100, 5, 7
LISTS = DAYS * 86_400 // EVERY_S
LINE = """
[line]
site = "lyon"
name = "seven"
timezone = "UTC"
environment = "development"
[buffer]
directory = "data"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{opcua}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
time_authority = "device"
rate_ms = {rate_ms}
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{ebr}"
required = true
"""


class Fast:
    """The clocks of a machine whose time is set by hand, never back."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns, self._boot_ns = now_ns, time.time_ns() - time.monotonic_ns()

    def realtime_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns - self._boot_ns

    boottime_ns = raw_ns = monotonic_ns


def line_of(folder: Path) -> tuple[Path, int]:
    folder.mkdir()
    ebr = free_port()
    (folder / "line.toml").write_text(LINE.format(opcua=free_port(), ebr=ebr, rate_ms=EVERY_S * 1000))
    rows = [f"t{n:03},plc,plc:s=t{n},float64" for n in range(TAGS)]
    (folder / "tags.csv").write_text("\n".join(["tag,source,address,type", *rows]) + "\n")
    return folder, ebr


async def lived(folder: Path) -> int:
    """Let seven days go by, up to now; return how many entries they have."""
    line = config.load(folder)
    clocks = Fast(time.time_ns() - LISTS * EVERY_S * 10**9)
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=line.buffer.max_bytes)
    faults: list[BaseException] = []
    intake = Intake(line, journal, Clock(times=clocks), Fold(line), on_fault=faults.append)
    intake.begin()
    port, tags = intake.ports["plc"], tuple(range(TAGS))
    port.connected()
    for number in range(LISTS):
        clocks.now_ns += EVERY_S * 10**9
        stamps = [clocks.now_ns // 100 - TICKS_PER_S // 100] * TAGS
        await port.room()
        stored = port(Columns(tags, [number + n / 1000 for n in tags], stamps, stamps), received_ns=clocks.monotonic_ns(), alive=tags)
    await stored
    entries = journal.last[1]
    await asyncio.to_thread(journal.close)
    assert not faults
    return entries


def numbers(store: Path) -> Iterator[int]:
    """Yield of each list of readings that the EBR holds which one it is, as its values say; -1: they do not fit together."""
    with sqlite3.connect(store / "ebr.db") as db:
        for (payload,) in db.execute("SELECT payload FROM entries ORDER BY epoch, seq"):
            rows = orjson.loads(payload).get("readings", [])
            if rows:
                first = int(rows[0][1])
                yield first if [row[1] for row in rows] == [first + n / 1000 for n in range(TAGS)] else -1


@pytest.mark.faults
@pytest.mark.urs("URS-BUF-03")
def test_seven_days_at_the_full_rate_without_an_ebr_are_held_and_arrive_once(tmp_path: Path) -> None:
    folder, port = line_of(tmp_path / "line")
    entries, store = asyncio.run(lived(folder)), tmp_path / "store"
    with running(folder):
        held = ask(folder / "data")["uplinks"][0]
        assert held["entries"] >= entries, "all of it waits: nothing was let go by age or size"
        with process("ebr", "--store", store, "--http", str(port), log=tmp_path / "ebr.log"):
            until(lambda: ask(folder / "data")["uplinks"][0]["entries"] == 0, deadline_s=1_200, every_s=1)
    ran = command("reconcile", folder, "--ebr", store, "--json", timeout_s=600)
    (stream,) = json.loads(ran.stdout)["streams"]
    assert (ran.returncode, stream["verdict"]) == (0, "equal")
    assert list(numbers(store)) == list(range(LISTS)), "each list once, in its order, each value as it was"
