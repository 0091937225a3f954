"""What a reading was read from: registers with their order and instants, windows of aggregates, against what the devices wrote down."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from kit.commands import called
from kit.processes import free_port, running

import config
from gateway.entries.ticks import from_rfc3339
from gateway.operation.control import ask
from simulators.device import Truth
from simulators.mes import MesDevice
from simulators.modbus_plc import ModbusPlc
from simulators.modbus_plc.encode import place_of, registers_of
from simulators.modbus_plc.faults import Fault

BATCH = "B2026-0417"
LINE = """
[line]
site = "lyon"
name = "read-from"
timezone = "Europe/Paris"

[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:PORT"
byte_order = "CDAB"
rate_ms = 100

[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
time_authority = "device"
rate_ms = 100
[[source.query]]
name = "minutes"
sql = "SELECT id, ended_at, began_at, temp, samples FROM v_minutes WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
time = { column = "ended_at", zone = "Europe/Paris" }

[[equipment]]
name = "mixer"
batch = { tag = "mix.batch" }
batch_ends = "empty"
settle_ms = 0
settle_s = 2.0
"""
TAGS = """tag,source,address,type,unit,scale,aggregate,aggregate_start,aggregate_end,aggregate_count,equipment
mix.batch,plc,1/holding/0:string16,string,,,,,,,mixer
mix.step,plc,1/holding/8:int16,int16,,,,,,,mixer
mix.temp,plc,1/holding/10:float32,float32,Cel,,,,,,mixer
mix.mass,plc,1/holding/12:int32:DCBA,int32,kg,0.1,,,,,mixer
mix.ready,plc,1/holding/14.5,bool,,,,,,,mixer
mix.open,plc,1/holding/14.2,bool,,,,,,,mixer
mix.temp_mean,mes,minutes.temp,float64,Cel,,mean:1,began_at,ended_at,samples,mixer
"""
STEPS = "step,equipment,level,signal,active\nMIX,mixer,phase,mix.step,10\n"
PARAMETERS = """parameter,equipment,step,tag,statistic,unit,min_covered,max_window_s
t,mixer,MIX,mix.temp,last,Cel,,60
m,mixer,MIX,mix.mass,last,kg,,60
r,mixer,MIX,mix.ready,last,,,60
o,mixer,MIX,mix.open,last,,,60
mean,mixer,MIX,mix.temp_mean,mean,Cel,0.01,60
"""


def line_at(folder: Path) -> Path:
    folder.mkdir()
    (folder / "line.toml").write_text(LINE.replace("PORT", str(free_port())))
    for name, text in {"tags.csv": TAGS, "steps.csv": STEPS, "parameters.csv": PARAMETERS}.items():
        (folder / name).write_text(text)
    return folder


class Plant:
    """A PLC that is slow to answer, and a MES that samples for itself and keeps means alone; each writes down what it had."""

    def __init__(self, folder: Path, truth: Path) -> None:
        self._line = config.load(folder)
        truth.mkdir()
        sources = {source.name: source for source in self._line.sources}
        self.logs = {name: truth / f"{name}.jsonl" for name in sources}
        self._truths = {name: Truth(path) for name, path in self.logs.items()}
        made = {name: (sources[name], self._line.tags_of(name), truth) for name, truth in self._truths.items()}
        self.plc, self.mes = ModbusPlc(*made["plc"]), MesDevice(*made["mes"])
        self.tags = {tag.tag: tag for tag in self._line.tags}
        self.temp = 20.0

    def close(self) -> None:
        for truth in self._truths.values():
            truth.close()

    def told(self, source: str, what: str) -> list[dict[str, Any]]:
        return [item for item in map(json.loads, self.logs[source].read_text().splitlines()) if item["what"] == what]

    async def set(self, **values: Any) -> None:
        await self.plc.set({f"mix.{name}": value for name, value in values.items()}, time.time_ns() // 100)

    async def run(self) -> None:
        """Move the temperature, and let the MES take its samples."""
        while True:
            self.temp += 0.25
            await self.set(temp=self.temp, mass=round(self.temp * 3, 1), ready=int(self.temp * 4) % 2 == 1, open=True)
            await self.mes.sample({"mix.temp_mean": self.temp}, time.time_ns() // 100)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def moving(plant: Plant) -> AsyncIterator[None]:
    await plant.plc.start()
    await plant.mes.start()
    moved = asyncio.create_task(plant.run())
    try:
        yield
    finally:
        moved.cancel()
        await plant.plc.stop()
        await plant.mes.stop()
        plant.close()


async def there(state: Callable[[], Any]) -> Any:
    """Wait for a state that a command or a file tells, which is asked in a thread: the devices answer meanwhile."""
    while not (found := await asyncio.to_thread(state)):  # noqa: ASYNC110 - nobody tells it
        await asyncio.sleep(0.05)
    return found


def traced(folder: Path) -> dict[str, Any] | None:
    done = called("trace", folder, "--batch", BATCH, "--step", "MIX", "--json")
    return {one["parameter"]: one for one in json.loads(done.stdout)["runs"][0]["parameters"]} if done.returncode == 0 else None


def incomplete(folder: Path) -> Any:
    """The completeness of the batch's end, when there is one."""
    done = called("log", folder, "--type", "batch", "--format", "jsonl")
    ends = [entry["event"] for entry in map(json.loads, done.stdout.splitlines()) if entry["event"]["transition"] == "end"]
    return ends[-1]["completeness"] if ends else None


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[None]:
    """The gateway as a process beside the devices, which are tasks of this one."""
    its = running(folder)
    await asyncio.to_thread(its.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(its.__exit__, None, None, None)


async def played(plant: Plant, folder: Path) -> tuple[dict[str, Any], Any]:
    """Play one step of one batch, long enough for three windows; what its trace and the batch's end say."""
    await plant.set(batch="", step=0)
    async with gateway(folder):
        await there(lambda: ask(folder / "data")["sources"][0]["readings"])
        await plant.set(batch=BATCH, step=10)
        before = len(plant.told("mes", "row"))
        await there(lambda: len(plant.told("mes", "row")) >= before + 4)
        await plant.set(step=0)
        found = await there(lambda: traced(folder))
        await plant.set(batch="")
        return found, await there(lambda: incomplete(folder))


@pytest.fixture
async def seen(tmp_path: Path) -> tuple[Plant, dict[str, Any], Any]:
    folder = line_at(tmp_path / "line")
    assert called("check", folder).stdout.count("error") == 0
    plant = Plant(folder, tmp_path / "truth")
    plant.plc.faults.append(Fault("delay", times=1_000_000, seconds=0.02))
    async with moving(plant):
        return plant, *await played(plant, folder)


@pytest.mark.urs("URS-DAQ-03", "URS-DAQ-08", "URS-CTX-08")
async def test_a_trace_shows_registers_instants_and_windows_as_the_devices_had_them(seen: tuple[Plant, dict[str, Any], Any]) -> None:
    plant, parameters, completeness = seen
    _registers_are_those_of_the_device(plant, parameters)
    _windows_are_those_of_the_mes(plant, parameters["mean"])
    assert {"equipment": "mixer", "step": "MIX", "run": 1, "parameter": "mean", "status": "aggregate-only"} in [
        {name: one.get(name) for name in ("equipment", "step", "run", "parameter", "status")} for one in completeness["missing"]
    ], "the batch asked for step-level data, and got means"


def _registers_are_those_of_the_device(plant: Plant, parameters: dict[str, Any]) -> None:
    served: dict[str, list[dict[str, Any]]] = {}
    for item in plant.told("plc", "served"):
        served.setdefault(item["tag"], []).append(item)
    for parameter, tag, order, kept in (("t", "mix.temp", "CDAB", False), ("m", "mix.mass", "DCBA", False)):
        readings = parameters[parameter]["readings"]
        assert len(readings) > 2
        for reading in readings:
            raw = reading["value"] if reading["raw"] is None else reading["raw"]
            expected = registers_of(place_of(plant.tags[tag], "CDAB"), raw, "ascii")
            assert reading["registers"] == {"hex": expected.hex(" ", 2), "byte_order": order, "kept": kept}
            (instant,) = [item["t"] for item in served[tag] if item["value"] == reading["value"]]
            requested, received = (from_rfc3339(reading[f"{name}_time"]) for name in ("requested", "received"))
            assert requested <= instant <= received, "the instant at which the device answered lies between question and answer"
            assert received - requested >= 200_000, "which took 20 ms and more"
    for parameter, own in (("r", 1 << 5), ("o", 1 << 2)):
        for reading in parameters[parameter]["readings"]:
            word = int(reading["registers"]["hex"], 16)
            assert bool(word & own) is reading["value"]
            assert reading["registers"]["kept"] is (word not in (0, own)), "kept where the other bit of the register is set"
    assert any(reading["registers"]["kept"] for reading in parameters["r"]["readings"])


def _windows_are_those_of_the_mes(plant: Plant, mean: dict[str, Any]) -> None:
    samples = [(item["t"], item["value"]) for item in plant.told("mes", "sampled")]
    rows = {item["row"]["temp"]: item["row"] for item in plant.told("mes", "row")}
    inside = [reading for reading in mean["readings"] if reading["in_step"]]
    assert len(inside) >= 2
    for reading in mean["readings"]:
        window = reading["window"]
        start, end = (from_rfc3339(window[name]) for name in ("start", "end"))
        sampled = [value for ticks, value in samples if start <= ticks < end]
        assert (window["function"], window["by"], window["declared"]) == ("mean", "source", [])
        assert (window["count"], round(fmean(sampled), 6)) == (len(sampled), reading["value"])
        assert (end - start, rows[reading["value"]]["samples"]) == (10_000_000, window["count"])
    told = mean["aggregate"]
    assert mean["status"] == "aggregate-only"
    assert (told["function"], told["window_s"], told["told"], told["counted"]) == ("mean", 1.0, len(inside), len(inside))
    assert (told["start"], told["end"]) == (min(one["window"]["start"] for one in inside), max(one["window"]["end"] for one in inside))
    assert told["count"] == sum(one["window"]["count"] for one in inside)
