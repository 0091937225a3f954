"""A line from its folder to the archive, moved by hand: real intake, journal, EBR record, archive and verifier; no device, no network."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from golden.intake_rig import Rig, opened

import config
from buffer import verify
from buffer.archive import packing
from drivers import Message
from gateway.context.replay import replay
from gateway.evidence.recompute import differences
from gateway.intake import Intake
from simulators.ebr import Store
from simulators.ebr.builder import build

LINE = """
[line]
site = "lyon"
name = "granulation-2"
timezone = "Europe/Paris"
environment = "development"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:48400"
security = { policy = "None" }
time_authority = "device"
namespaces = { plc = "urn:example:mixer" }
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
[[source.query]]
name = "orders"
sql = "SELECT id, unit_id, batch_no, recipe, status FROM v_orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
[[source.query]]
name = "samples"
sql = "SELECT id, unit_id, batch_no, sample_id FROM v_samples WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence" }
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"
[[equipment]]
name = "mixer"
unit_id = "MIX-1"
batch = { row = "mes.orders", key = "unit_id", column = "batch_no" }
recipe = { row = "mes.orders", key = "unit_id", column = "recipe" }
batch_ends = "empty"
settle_ms = 500
settle_s = 2
[[route]]
recipe = "MBR-1"
equipments = ["mixer"]
"""
TABLES = {
    "tags.csv": """tag,source,address,type,unit,source_unit,equipment
mixer.step,plc,plc:s=step,int16,,,mixer
mixer.temp,plc,plc:s=temp,float64,Cel,°C,mixer
mixer.speed_sp,plc,plc:s=speed_sp,float64,/min,rpm,mixer
""",
    "steps.csv": """step,equipment,level,parent,signal,active,occurs,order
MIX,mixer,phase,,mixer.step,10,1,1
""",
    "parameters.csv": """parameter,ebr_field,name,equipment,step,tag,statistic,unit,decimals,low,high,limit_source,criticality
mix_temp,PM-1,Temperature,mixer,MIX,mixer.temp,mean,Cel,1,40,95,map,CPP
mix_speed,PM-2,Speed set point,mixer,MIX,mixer.speed_sp,value_at_start,/min,0,,,none,CPP
""",
    "samples.csv": """sampling,equipment,trigger,where,step,batch,sample,results,results_key,occurs
moisture,mixer,mes.samples,unit_id=MIX-1,,row.batch_no,row.sample_id,lims.results,sample_id,0..n
""",
}
TAGS = ("step", "temp", "speed_sp")


def write_folder(folder: Path, **changed: str) -> None:
    """Write the line folder. changed: content of a table by its name without .csv, where it shall be another."""
    folder.mkdir(exist_ok=True)
    (folder / "line.toml").write_text(LINE)
    for name, content in TABLES.items():
        (folder / name).write_text(changed.get(name.removesuffix(".csv"), content), encoding="utf-8")


class Way(Rig):
    """Times are seconds since T0."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self._store, self._at = folder, store, 0.0
        line = config.load(folder)
        super().__init__(line, opened(store / "journal", line))
        self.intake.begin()

    async def restart(self) -> None:
        """Start the gateway again on what is in the folder now, from the journal alone."""
        await self.stored()
        self.line = config.load(self.folder)
        fold = replay(self.line, self.journal)
        self.intake = Intake(self.line, self.journal, self.clock, fold, on_fault=self.faults.append, on_caused=self._caused)
        self.intake.begin()
        await self.intake.heartbeat()

    async def read(self, second: float, kind: str = "change", **values: Any) -> None:
        """Tags of the PLC have these values."""
        self.at(second)
        stamp = self.ticks(second)
        self.emit("plc", [(TAGS.index(name), value, 0, stamp, stamp) for name, value in values.items()], second, kind=kind)
        await self.stored()

    async def row(
        self, second: float, query: str, key: str, row: Mapping[str, Any], change: Any = "new", row_s: float | None = None
    ) -> None:
        """A source hands over a row. row_s: its own time."""
        self.at(second)
        source, name = query.split(".")
        message = Message(name, key, dict(row), self.ticks(second if row_s is None else row_s), None, change)
        self.emit(source, [], second, messages=[message])
        await self.stored()

    async def order(
        self, second: float, batch: str | None, key: str | None = None, row_s: float | None = None, change: Any = "new", **more: Any
    ) -> None:
        """The MES says what the mixer works for."""
        row = {"id": key or batch, "unit_id": "MIX-1", "batch_no": batch, "recipe": "MBR-1", "status": "released", **more}
        await self.row(second, "mes.orders", str(row["id"]), row, change, row_s)

    async def alive(self, second: float) -> None:
        """Every source is there, and says nothing."""
        self.at(second)
        for source in ("plc", "mes", "lims"):
            tags = range(len(TAGS)) if source == "plc" else ()
            self.emit(source, [], second, alive=tags, observed_ticks=self.ticks(second))
        self._waits.append(self.intake.heartbeat())
        await self.stored()

    async def batch(self, start_s: float, batch: str, *, seconds: float = 20) -> None:
        """A whole batch: ordered, mixed, emptied."""
        await self.order(start_s, batch)
        await self.alive(start_s + 1)
        await self.read(start_s + 2, step=10, temp=60.0)
        await self.read(start_s + seconds - 5, step=0)
        await self.order(start_s + seconds, None, f"{batch} ended")
        await self.finish(start_s + seconds + 1)

    async def finish(self, second: float) -> None:
        """Let time pass until everything is decided."""
        for late in (0, 4, 8, 12):
            await self.alive(second + late)

    # what comes of it

    def events(self, kind: str, **members: Any) -> list[dict[str, Any]]:
        """The events of a kind in the journal."""
        events = [orjson.loads(entry.payload).get("event", {}) for entry in self.entries()]
        return [e for e in events if e.get("type") == kind and all(e.get(name) == value for name, value in members.items())]

    def replayed(self, batch: str) -> list[Any]:
        """What comes out otherwise when everything is decided again from the journal."""
        return differences(self._store / "journal", batch).differences

    def record(self, batch: str) -> tuple[dict[str, Any], str, str]:
        """The EBR's record of a batch: JSON, page and BatchML."""
        folder = self._store / "ebr"
        folder.mkdir(exist_ok=True)
        store = Store(folder)
        store.take([entry.payload for entry in self.entries()])
        store.close()
        built = build(folder, batch)
        record: dict[str, Any] = orjson.loads((built / "record.json").read_bytes())
        return record, (built / "record.html").read_text(), (built / "record.xml").read_text()

    async def archive(self, batch: str) -> tuple[Path, verify.Report]:
        """The archive of a batch, and what the verifier says of it."""
        await self.sign("batch-end")
        target = self._store / f"{batch}-{len(self.entries())}.zip"
        report = packing.make(self._store / "journal", batch, target, [self.signer.public], self.signer.note)
        assert verify.verify(target, self.signer.public).exit_code == report.exit_code
        return target, report


@asynccontextmanager
async def way_of(store: Path) -> AsyncIterator[Way]:
    """Start the line, with everything read once and nothing running; close its journal at the end."""
    write_folder(store / "line")
    way = Way(store / "line", store)
    try:
        await way.read(0, "initial", step=0, temp=20.0, speed_sp=250.0)
        await way.alive(1)
        yield way
        await way.stored()
    finally:
        way.journal.close()
