"""A PLC is cut off while the MES database answers: the real gateway, a real OPC UA server, and what the journal says afterwards."""

import asyncio
import contextlib
import signal
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.processes import DEADLINE_S, free_port, process

import config
from buffer import StorageError, read_journal
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from gateway.evidence.recompute import recompute
from simulators.cable import Cable
from simulators.device import Truth
from simulators.opcua_plc import OpcUaPlc

SETTLE_S = 1.0
LINE = """
[line]
site = "lyon"
name = "cut"
timezone = "UTC"
environment = "development"
[buffer]
directory = "data"
[web]
listen = "127.0.0.1:{page}"
[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{opcua}"
security = {{ policy = "None" }}
namespaces = {{ plc = "urn:example:plc" }}
time_authority = "device"
rate_ms = 50
outage_tolerance_s = 30
[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 100
[[source.query]]
name = "orders"
sql = "SELECT id, at, unit, batch FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = {{ column = "id", kind = "sequence" }}
time = {{ column = "at", zone = "UTC" }}
[[equipment]]
name = "mixer"
unit_id = "M1"
batch = {{ row = "mes.orders", key = "unit", column = "batch" }}
batch_ends = "empty"
settle_ms = 200
settle_s = 1.0
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{ebr}"
required = true
"""


class Story:
    """The plant and its MES; what happens is written by the test, in the order of time."""

    def __init__(self, folder: Path, opcua: int) -> None:
        self.folder, (page, ebr) = folder, (free_port(), free_port())
        folder.mkdir()
        (folder / "line.toml").write_text(LINE.format(page=page, opcua=opcua, ebr=ebr))
        (folder / "tags.csv").write_text("tag,source,address,type\nm.step,plc,plc:s=step,int32\nm.speed,plc,plc:s=speed,float64\n")
        steps = "step,equipment,level,signal,active,occurs\nMIX,mixer,phase,m.step,1,1\nADD,mixer,phase,m.step,2,1\n"
        (folder / "steps.csv").write_text(steps)
        (folder / "parameters.csv").write_text(
            "parameter,name,equipment,step,tag,statistic\nadd_speed,Speed while adding,mixer,ADD,m.speed,value_at_end\n"
        )
        with contextlib.closing(sqlite3.connect(folder / "mes.db")) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, at TEXT, unit TEXT, batch TEXT)")
            db.commit()

    def order(self, batch: str | None) -> None:
        with contextlib.closing(sqlite3.connect(self.folder / "mes.db")) as db:
            db.execute("INSERT INTO orders (at, unit, batch) VALUES (?, 'M1', ?)", (datetime.now(UTC).isoformat(), batch))
            db.commit()

    def entries(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError, StorageError):  # its first segment is being made
            return [orjson.loads(entry.payload) for entry in read_journal(self.folder / "data")]
        return []

    def events(self, type_: str, **members: Any) -> list[dict[str, Any]]:
        found = [{**e["event"], "entry": from_rfc3339(e["time"])} for e in self.entries() if "event" in e]
        return [e for e in found if e["type"] == type_ and all(e.get(k) == v for k, v in members.items())]

    async def until(self, type_: str, naming: str = "", **members: Any) -> list[dict[str, Any]]:
        """Events as they are once there are any; naming: that say this somewhere."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := [e for e in self.events(type_, **members) if naming in repr(e)]):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.25)
        return found


async def lived(plc: OpcUaPlc, seconds: float, **values: Any) -> None:
    """The PLC goes on, so long and at that pace: a new speed each 50 ms."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told = {f"m.{name}": value for name, value in values.items()}
        await plc.set({**told, "m.speed": time.time() % 100.0}, time.time_ns() // 100)
        await asyncio.sleep(0.05)


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
@pytest.mark.timeout(240)
async def test_what_the_plc_queued_comes_before_the_row_that_the_mes_told_meanwhile(tmp_path: Path) -> None:
    port = free_port()
    cable = Cable("127.0.0.1", port)
    async with cable:
        story = Story(tmp_path / "line", cable.port)
        line = config.load(story.folder)
        source = next(s for s in line.sources if s.name == "plc").model_copy(update={"endpoint": f"opc.tcp://127.0.0.1:{port}"})
        plc = OpcUaPlc(source, line.tags_of("plc"), Truth(None))
        await plc.start()
        try:
            await plc.set({"m.step": 0, "m.speed": 0.0}, time.time_ns() // 100)
            story.order("B1")
            with process("run", story.folder, log=tmp_path / "run.log", stop=signal.SIGINT):
                await story.until("source", source="plc", state="connected")
                await story.until("batch", transition="start", batch="B1")
                await lived(plc, 1.0, step=1)
                await story.until("step", transition="start", step="MIX")
                cable.cut()
                await story.until("gap", transition="open", source="plc")
                await lived(plc, 0.6, step=2)
                await lived(plc, 0.6, step=0)
                story.order(None)
                await lived(plc, 0.5, step=0)
                story.order("B2")
                row = (await story.until("message", source="mes", naming="B2"))[-1]
                await lived(plc, 3 * SETTLE_S, step=0)
                cable.mend()
                await lived(plc, 0.5, step=1)
                await story.until("batch", transition="end", batch="B1")
                await lived(plc, 0.5, step=0)
                await story.until("step", transition="end", step="MIX", batch="B2")
        finally:
            await plc.stop()
    back = story.events("source", source="plc", state="resumed")[-1]
    assert back["entry"] > row["entry"] + SETTLE_S * TICKS_PER_S, "the row was due while the PLC was away"
    ends = [(e["step"], e["batch"], e["cause"], e["run"], e["revision"]) for e in story.events("step", transition="end")]
    assert ends == [("MIX", "B1", "completed", 1, 1), ("ADD", "B1", "completed", 1, 1), ("MIX", "B2", "completed", 1, 1)]
    assert not [e["code"] for e in story.events("finding") if e["code"].startswith("step-")], "no step was missed"
    (end,) = story.events("batch", transition="end", batch="B1")
    assert (end["status"], end["revision"]) == ("complete", 1)
    payloads = (entry.payload for entry in read_journal(story.folder / "data"))
    assert list(recompute(line, payloads)) == []
