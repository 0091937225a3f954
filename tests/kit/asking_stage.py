"""A line with polled sources and a real journal, on a machine whose clocks are moved by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kit import journals

import config
from buffer import Journal
from config import Line
from gateway.clock import Clock
from gateway.context import Fold
from gateway.context.replay import replay
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.intake import Intake, Port

NS = 1_000_000_000
T0 = 1_795_330_000  # 2026-11-22T06:46:40Z

LINE = """
[line]
site = "lyon"
name = "asking"
timezone = "Europe/Paris"
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:5020"
rate_ms = 200
[[source]]
name = "drop"
driver = "mes_file"
endpoint = "file://drop"
rate_ms = 500
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "id"
[[source]]
name = "orders"
driver = "mes_file"
endpoint = "file://drop"
rate_ms = 500
[[source.pattern]]
name = "orders"
glob = "*.txt"
format = "csv"
key = "id"
[[equipment]]
name = "dryer"
"""
TAGS = """tag,source,address,type,rate_ms,unit,source_unit,scale,raw_low,raw_high,eu_low,eu_high,equipment
plc.step,plc,1/holding/0:uint16,uint16,,,,,,,,,dryer
plc.temp,plc,1/holding/1:int16,int16,,Cel,,0.1,,,,,dryer
plc.energy,plc,1/holding/2:uint16,uint16,2000,,,,,,,,dryer
drop.lod,drop,results.lod,float64,,,,,,,,,dryer
drop.ph,drop,results.ph,float64,,,,,,,,,dryer
"""
STEP, TEMP, ENERGY = 0, 1, 2


class Machine:
    """The clocks of a machine, moved by hand: awake, suspended, or set."""

    def __init__(self) -> None:
        self.awake_ns, self.asleep_ns, self.set_ns = 1_000 * NS, 0, 0

    def monotonic_ns(self) -> int:
        return self.awake_ns

    raw_ns = monotonic_ns

    def boottime_ns(self) -> int:
        return self.awake_ns + self.asleep_ns

    def realtime_ns(self) -> int:
        return T0 * NS + self.awake_ns - 1_000 * NS + self.asleep_ns + self.set_ns


class Stage:
    """A line with a real journal, on a machine of hands. Times are seconds that it was awake."""

    def __init__(self, line: Line) -> None:
        self.line, self.machine = line, Machine()
        self.clock = Clock(times=self.machine)
        self.journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=100_000_000)
        self.intake = Intake(line, self.journal, self.clock, Fold(line), on_fault=lambda _: None)
        self.intake.begin()
        self.begun = self.journal.next_seq
        self.clock._on_event = self._happened

    @property
    def plc(self) -> Port:
        return self.intake.ports["plc"]

    def _happened(self, event: Mapping[str, Any]) -> None:
        self.intake.happened(event)

    def at(self, second: float) -> int:
        self.machine.awake_ns = 1_000 * NS + round(second * NS)
        return self.machine.awake_ns

    async def poll(
        self, second: float, values: Mapping[int, int], alive: Sequence[int] = (), took_s: float = 0.002, source: str = "plc", **more: Any
    ) -> None:
        """Ask at this second; the values are news, the tags that are alive were found unchanged."""
        requested_ns = self.at(second)
        received_ns = self.at(second + took_s)
        readings: list[Any] = [(tag, value, 0, None, None) for tag, value in values.items()]
        port = self.intake.ports[source]
        await port(readings, received_ns=received_ns, requested_ns=requested_ns, kind="poll", alive=alive or None, **more)

    def look(self, second: float) -> None:
        """Look after the sources at this second, as a running gateway does each second."""
        self.at(second)
        self.intake.look_after()

    async def restart(self) -> None:
        """End this run, and begin the next one on its journal; the clocks go on."""
        await asyncio.to_thread(self.journal.close)
        self.journal = Journal.open(self.line.data, self.line.gateway, retain_s=0, max_bytes=100_000_000)
        self.intake = Intake(self.line, self.journal, self.clock, replay(self.line, self.journal), on_fault=lambda _: None)
        self.intake.begin()
        await self.plc.stopped("gateway-down", "the gateway was stopped")

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(entry.payload) for entry in journals.entries(self.journal)]

    def events(self, kind: str) -> list[Mapping[str, Any]]:
        return [entry["event"] for entry in self.entries() if entry.get("event", {}).get("type") == kind]

    def gaps(self, cause: str = "not-asked") -> list[tuple[Any, float, float, str]]:
        """(tags, start, end, outcome) of those that closed, in seconds of the wall clock since T0."""
        told: list[tuple[Any, float, float, str]] = []
        for event in self.events("gap"):
            if event["cause"] == cause and event["transition"] == "close":
                tags = event["tags"] if event["tags"] == "all" else tuple(event["tags"])
                told.append((tags, seconds(event["start"]), seconds(event["end"]), event["outcome"]))
        return told

    def opened(self) -> list[str]:
        return [event["cause"] for event in self.events("gap") if event["transition"] == "open"]

    def stored(self, tag: int) -> list[Any]:
        found = []
        for entry in self.entries():
            for row in entry.get("readings", ()):
                cells = {**entry["constant"], **dict(zip(entry["columns"], row, strict=True))}
                if entry["source"] == "plc" and cells["tag"] == tag:
                    found.append((cells["value"], cells.get("raw"), cells["kind"]))
        return found


def seconds(text: str) -> float:
    return round(from_rfc3339(text) / TICKS_PER_S - T0, 3)


@asynccontextmanager
async def staged(folder: Path, line: str = LINE, tags: str = TAGS) -> AsyncIterator[Stage]:
    """The line in a folder that is made for it."""
    (folder / "drop").mkdir(parents=True)
    (folder / "line.toml").write_text(line)
    (folder / "tags.csv").write_text(tags)
    (folder / "steps.csv").write_text("step,equipment,level,signal,active\nDRY,dryer,operation,plc.step,1..9\n")
    (folder / "parameters.csv").write_text("parameter,equipment,step,tag,statistic\n")
    made = Stage(config.load(folder))
    try:
        yield made
    finally:
        await asyncio.to_thread(made.journal.close)
