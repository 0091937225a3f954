"""A gateway that is stopped in the middle of a step: its polled sources have a gap of that length, OPC UA has what the server queued."""

import asyncio
import json
import os
import signal
import time
import tty
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
from kit.commands import called
from kit.processes import eventually, free_port, running

import config
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from simulators.device import Truth
from simulators.mes import MesDevice
from simulators.modbus_plc import ModbusPlc
from simulators.opcua_plc import OpcUaPlc
from simulators.scale import Scale

EVERY_S = 0.1
PERIOD_S = 0.2

LINE = """
[line]
site = "lyon"
name = "frozen"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:{modbus}"
byte_order = "ABCD"
rate_ms = 200
[[source]]
name = "queued"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{queued}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
time_authority = "device"
rate_ms = 100
publish_ms = 100
outage_tolerance_s = 60
[[source]]
name = "overrun"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{overrun}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
time_authority = "device"
rate_ms = 100
publish_ms = 100
queue_size = 2
history = false
[[source]]
name = "scale"
driver = "serial"
endpoint = "serial://scale"
protocol = "mt-sics"
rate_ms = 200
[[source]]
name = "stream"
driver = "serial"
endpoint = "serial://stream"
protocol = "mt-sics"
command = "SIR"
rate_ms = 200
[[source]]
name = "printer"
driver = "serial"
endpoint = "serial://printer"
protocol = "line"
pattern = '(?P<number>[0-9]++) (?P<weight>[0-9]++\\.[0-9]++) kg'
rate_ms = 200
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 200
[[source.query]]
name = "orders"
sql = "SELECT id, changed_at, batch_no FROM v_orders WHERE id > :since ORDER BY id"
key = "id"
watermark = {{ column = "id", kind = "sequence", overlap_s = 600 }}
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
rate_ms = 200
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"
[[equipment]]
name = "dryer"
"""
TAGS = """tag,source,address,type,unit,source_unit,scale,criticality,equipment
plc.step,plc,1/holding/0:uint16,uint16,,,,GMP,dryer
plc.temp,plc,1/holding/1:int16,int16,Cel,°C,0.1,CPP,dryer
plc.still,plc,1/holding/40:uint16,uint16,,,,,dryer
queued.count,queued,plc:s=count,int32,,,,,dryer
overrun.count,overrun,plc:s=count,int32,,,,,dryer
scale.weight,scale,weight,decimal,kg,kg,,,dryer
stream.weight,stream,weight,decimal,kg,kg,,,dryer
printer.number,printer,number,string,,,,,dryer
mes.batch,mes,orders.batch_no,string,,,,,dryer
lims.lod,lims,results.lod,decimal,,,,,dryer
"""
PARAMETERS = """parameter,equipment,step,tag,statistic,unit,decimals,high,limit_source
above,dryer,DRY,plc.temp,time_above,s,1,75,map
still,dryer,DRY,plc.still,max,,0,,none
counted,dryer,DRY,queued.count,max,,0,,none
"""


class Plant:
    """Devices of all kinds in the test's own process, which goes on while the gateway is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "drop").mkdir(parents=True)
        ports = {name: free_port() for name in ("modbus", "queued", "overrun")}
        (folder / "line.toml").write_text(LINE.format(**ports))
        (folder / "tags.csv").write_text(TAGS)
        # The key says that it is one run on both sides of the gap: without it the step itself counts as covered only while it was in sight.
        (folder / "steps.csv").write_text("step,equipment,level,signal,active,key\nDRY,dryer,operation,plc.step,1..9,plc.still\n")
        (folder / "parameters.csv").write_text(PARAMETERS)
        self.line = config.load(folder)
        self.truth = folder.with_name("truth")
        self.truth.mkdir()
        self.step = self.count = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        kinds = {"modbus": ModbusPlc, "opcua": OpcUaPlc, "serial": Scale, "mes_sql": MesDevice}
        self._devices: list[Any] = []
        self._printer, slave = os.openpty()
        tty.setraw(slave)
        (self.folder / "printer").symlink_to(os.ttyname(slave))
        for fd in (self._printer, slave):
            self._stack.callback(os.close, fd)
        for source in self.line.sources:
            if source.driver in kinds and source.name != "printer":
                log = Truth(self.truth / f"{source.name}.jsonl")
                device = kinds[source.driver](source, self.line.tags_of(source.name), log)
                await device.start()
                self._devices.append((source, device))
                self._stack.callback(log.close)
                self._stack.push_async_callback(device.stop)
        self._task = asyncio.create_task(self._count_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stack.aclose()

    async def _count_on(self) -> None:
        due_s = time.monotonic()
        while True:
            self.count += 1
            values = {
                "plc.step": self.step,
                "plc.temp": 60.0 + self.count % 7,
                "plc.still": 7,
                "scale.weight": "12.50",
                "stream.weight": "7.25",
            }
            values |= {"queued.count": self.count, "overrun.count": self.count}
            for source, device in self._devices:
                if source.driver != "mes_sql":
                    mine = {tag.tag: values[tag.tag] for tag in self.line.tags_of(source.name)}
                    await device.set(mine, time.time_ns() // 100)
            due_s = max(due_s + EVERY_S, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    def ticket(self, number: int) -> None:
        """Print a ticket."""
        os.write(self._printer, b"%04d 12.50 kg\r\n" % number)

    def made(self, source: str, tag: str) -> dict[int, int]:
        """Value -> when it was made."""
        told = [json.loads(line) for line in (self.truth / f"{source}.jsonl").read_bytes().splitlines()]
        return {one["value"]: one["t"] for one in told if one["what"] == "made" and one["tag"] == tag}


class Record:
    """What stands in the journal."""

    def __init__(self, entries: Sequence[dict[str, Any]]) -> None:
        self.entries = entries
        self.events = [entry["event"] for entry in entries if "event" in entry]

    def gaps(self, tag: str, source: str) -> list[tuple[str, float, float, str]]:
        """(cause, start, end, outcome) of the gaps of a tag that closed; times in seconds."""
        closed = [e for e in self.events if e["type"] == "gap" and e["transition"] == "close" and e["source"] == source]
        mine = [e for e in closed if e["tags"] == "all" or tag in e["tags"]]
        return [(e["cause"], _s(e["start"]), _s(e["end"]), e["outcome"]) for e in mine]

    def step(self, transition: str) -> dict[str, Any] | None:
        return next((e for e in reversed(self.events) if e["type"] == "step" and e["transition"] == transition), None)

    def values(self, source: str) -> set[Any]:
        held = set()
        for entry in self.entries:
            if entry.get("source") == source and "readings" in entry:
                at = entry["columns"].index("value")
                held |= {row[at] for row in entry["readings"]}
        return held


def _s(text: str) -> float:
    return from_rfc3339(text) / TICKS_PER_S


def read(folder: Path) -> Record:
    return Record([json.loads(line) for line in called("log", folder, "--format", "jsonl").stdout.splitlines()])


async def frozen(plant: Plant, stopped_s: float) -> tuple[Record, float, float]:
    """Run a step, stop the gateway in the middle of it; returns the record of it, and when it was stopped and went on."""
    folder = plant.folder

    async def until(state: Any) -> None:
        async with asyncio.timeout(120):
            while not state(await asyncio.to_thread(read, folder)):  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(0.5)

    with running(folder) as gateway:
        await until(lambda record: record.values("queued") and record.values("scale") and record.values("plc") and record.values("stream"))
        numbers = count(1)

        def printed(record: Record) -> bool:
            plant.ticket(next(numbers))  # the port may be opened in the middle of one
            return bool(record.values("printer"))

        await until(printed)
        plant.step = 1
        await until(lambda record: record.step("start"))
        gateway.send_signal(signal.SIGSTOP)
        begun = time.time()  # between the signals: a busy machine may let the gateway poll beside either of them
        try:
            await asyncio.sleep(stopped_s)
            plant.ticket(7001)
            plant.ticket(7002)
            ended = time.time()
        finally:
            gateway.send_signal(signal.SIGCONT)
        await eventually(lambda: plant.count > (ended - begun + 2) / EVERY_S)
        await until(lambda record: any(cause == "not-asked" and end > ended for cause, _, end, _ in record.gaps("plc.temp", "plc")))
        plant.step = 0
        await until(lambda record: record.step("end"))
    return await asyncio.to_thread(read, folder), begun, ended


def covered_by(gaps: Sequence[tuple[str, float, float, str]], begun: float, ended: float) -> tuple[float, float]:
    """How much earlier the gaps over a time begin, and how much later they end; they must leave nothing between."""
    over = sorted((start, end) for _, start, end, _ in gaps if start < ended and end > begun)
    assert over, (gaps, begun, ended)
    through = over[0][1]
    for start, end in over:
        assert start <= through, over
        through = max(through, end)
    return begun - over[0][0], through - ended


@pytest.mark.bar("F43")
@pytest.mark.urs("URS-DAQ-11", "URS-CTX-08")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("stopped_s", [4.0, pytest.param(30.0, marks=pytest.mark.faults)])
async def test_a_gateway_that_is_stopped_within_a_step_says_what_it_did_not_see(tmp_path: Path, stopped_s: float, figures: Any) -> None:
    async with Plant(tmp_path / "line") as plant:
        record, begun, ended = await frozen(plant, stopped_s)

    ends = []
    for source, tag in (
        ("plc", "plc.temp"),
        ("plc", "plc.still"),
        ("scale", "scale.weight"),
        ("stream", "stream.weight"),
        ("mes", "mes.batch"),
        ("lims", "lims.lod"),
    ):
        gaps = [gap for gap in record.gaps(tag, source) if gap[0] == "not-asked"]
        before_s, after_s = covered_by(gaps, begun, ended)
        ends.append(f"{source} {before_s * 1000:+.0f} {after_s * 1000:+.0f} ms")
        assert before_s >= 0, (source, gaps)
        assert after_s >= 0, (source, gaps)
        assert {outcome for *_, outcome in gaps} == {"filled" if source == "mes" else "lost"}
    step = record.step("end")
    assert step is not None
    told = {parameter["parameter"]: parameter for parameter in step["parameters"]}
    # A slow machine may have starved the polls around an edge too. With a start that nobody saw nobody may know how long the step was, and
    # says so; an end that nobody saw makes it no longer, because the latest one possible is stated (`Edges.longer`).
    unknown = step["start"]["basis"] != "observed" and step["start"]["window_s"] is None
    shares = {name: element["covered"] for name, element in told.items()}
    assert {name for name, share in shares.items() if share is None} == (set(shares) if unknown else set()), shares
    for name in ("above", "still"):
        assert told[name]["status"] == "gap", told[name]
        assert shares[name] is None or 0 < shares[name] < 1, (told[name], step, record.gaps("plc.temp", "plc"))
        assert told[name]["gaps"], told[name]

    assert {"7001", "7002"} <= record.values("printer"), "the kernel kept two tickets"
    assert [gap for gap in record.gaps("printer.number", "printer") if gap[2] > begun] == [], "and it was never full"
    said = next(entry for entry in record.entries if entry.get("source") == "printer" and "7001" in str(entry.get("readings")))
    after, before = (_s(said["time_base"]) + said["constant"][name] / TICKS_PER_S for name in ("requested_ticks", "received_ticks"))
    assert after <= ended <= before, "when it came is as uncertain as the gateway stood still"

    assert [gap for gap in record.gaps("queued.count", "queued") if gap[2] > begun] == [], "the server's queue bridged it"
    # Seen is one thing, how long the step may have been another: an edge that was starved makes no value present, whatever was covered.
    seen = all(step[edge]["basis"] == "observed" for edge in ("start", "end"))
    assert told["counted"]["status"] == ("present" if seen else "gap"), told["counted"]
    assert not seen or shares["counted"] == 1.0, (told["counted"], step["start"], step["end"])
    made = {value for value, ticks in plant.made("queued", "queued.count").items() if begun - 1 < ticks / TICKS_PER_S < ended + 1}
    assert made - record.values("queued") == set(), "nothing of it is lost"

    lost = {value: ticks for value, ticks in plant.made("overrun", "overrun.count").items() if begun < ticks / TICKS_PER_S < ended}
    lost = {value: ticks for value, ticks in lost.items() if value not in record.values("overrun")}
    gaps = record.gaps("overrun.count", "overrun")
    assert lost, "the queue of two ran over"
    for ticks in lost.values():
        assert any(start <= ticks / TICKS_PER_S <= end and outcome == "lost" for _, start, end, outcome in gaps), (ticks, gaps)
    figures("FROZEN", f"{stopped_s:g} s: gaps begin earlier, end later by {', '.join(ends)}; {len(lost)} values of a queue of 2 in gaps")
