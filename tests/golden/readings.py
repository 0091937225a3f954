"""Readings, rows and calls of a driver, one of each kind that changes the bytes of an entry."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from golden.intake_rig import Rig, rig_of
from golden.product import BAD, Finding, Loss, Message, load

FILES = {
    "line.toml": """
[line]
site = "lyon"
name = "golden"
timezone = "Europe/Paris"

[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
time_authority = "device"
rate_ms = 100

[[source]]
name = "server"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4841"
security = { policy = "None" }
time_authority = "server"

[[source]]
name = "polled"
driver = "modbus"
endpoint = "tcp://127.0.0.1:5020"
rate_ms = 200

[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"

[[source.query]]
name = "orders"
sql = "SELECT id, unit, batch, recipe FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence", overlap_s = 600 }

[[equipment]]
name = "mixer"
unit_id = "M-1"
batch = { row = "mes.orders", key = "unit", column = "batch" }
recipe = { row = "mes.orders", key = "unit", column = "recipe" }
batch_ends = "empty"
state = "plc.state"
states = "states"

[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:8443"
""",
    "codes.csv": "table,version,code,text,state\nstates,1,4,Idle,Idle\nstates,1,6,Execute,Running\nstates,1,11,Held,Held\n",
    "tags.csv": """tag,source,address,type,unit,source_unit,codes,deadband,store,between,raw_low,raw_high,eu_low,eu_high,time_authority,\
equipment,description
plc.step,plc,ns=2;s=step,int16,,,,,,,,,,,,mixer,Step number
plc.state,plc,ns=2;s=state,int16,,,states,,,,,,,,,mixer,State
plc.bool,plc,ns=2;s=bool,bool,,,,,,,,,,,,mixer,
plc.int64,plc,ns=2;s=int64,int64,,,,,,,,,,,,mixer,
plc.float32,plc,ns=2;s=float32,float32,,,,,,,,,,,,mixer,
plc.float64,plc,ns=2;s=float64,float64,Cel,,,,,linear,,,,,,mixer,Bowl \u00b0C
plc.scaled,plc,ns=2;s=scaled,int16,kg,,,,,,0,27648,0,120,,mixer,
plc.text,plc,ns=2;s=text,string,,,,,,,,,,,,mixer,
plc.bytes,plc,ns=2;s=bytes,bytes,,,,,,,,,,,,mixer,
plc.time,plc,ns=2;s=time,datetime,,,,,,,,,,,,mixer,
plc.ours,plc,ns=2;s=ours,float64,,,,,,,,,,,gateway,mixer,Stamped by the gateway
server.value,server,ns=2;s=value,float64,,,,,,,,,,,,line,
polled.level,polled,1/holding/0:float32,float32,,,,2,,,,,0,100,,mixer,
polled.share,polled,1/holding/2:float32,float32,,,,1%,,,,,0,50,,mixer,
polled.count,polled,1/holding/4:uint16,uint16,,,,,,,,,,,,mixer,
polled.all,polled,1/holding/5:uint16,uint16,,,,,all,,,,,,,mixer,
""",
    "steps.csv": """step,equipment,level,parent,signal,active,key,occurs
MIX,mixer,operation,,plc.step,10..19,,0..n
BLEND,mixer,phase,MIX,plc.step,11,,0..n
""",
    "parameters.csv": """parameter,equipment,step,tag,statistic,include,unit,decimals,low,high,limit_source,min_covered
blend_mean,mixer,BLEND,plc.float64,mean,running,Cel,2,10,30,map,0.5
blend_s,mixer,BLEND,,duration,all,s,1,,,none,
""",
}


def line_folder(folder: Path) -> Path:
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content, "utf-8")
    return folder


async def payloads(folder: Path) -> list[str]:
    """Every entry, whole, as it lies in the journal."""
    line = load(line_folder(folder / "line"))
    with pytest.MonkeyPatch.context() as machine:
        even = Even()
        machine.setattr("time.monotonic", even)
        async with rig_of(line, folder / "journal") as rig:
            for act in (_orders, _every_type, _not_good, _times, _signals, _polls, even.leap, _polls_again, _losses, _rows, _said, _later):
                act(rig)
                await rig.stored()
            await rig.sign("interval")
            await rig.intake.heartbeat()
            return [entry.payload.decode() for entry in rig.entries()]


class Even:
    """The machine's monotonic clock, which leaps when the case says: what is repeated after a minute must not wait for one."""

    def __init__(self) -> None:
        self._clock, self._ahead_s = time.monotonic, 0.0

    def __call__(self) -> float:
        return self._clock() + self._ahead_s

    def leap(self, _: Rig) -> None:
        self._ahead_s += 61


def _indexes(rig: Rig, source: str) -> dict[str, int]:
    return {tag.tag.split(".")[1]: number for number, tag in enumerate(rig.line.tags_of(source))}


def _plc(rig: Rig, second: float, *readings: tuple[Any, ...], **more: Any) -> None:
    """Readings of the plc: (name, value, status, seconds of the source's time, of the server's); without times, the source's is now."""
    names = _indexes(rig, "plc")
    rows = []
    for name, value, *rest in readings:
        defaults: tuple[Any, ...] = (0, second, None)
        status, source_s, server_s = *rest, *defaults[len(rest) :]
        times = (None if at_s is None else rig.ticks(at_s) for at_s in (source_s, server_s))
        rows.append((names[name], value, status, *times))
    rig.at(second + 0.02)
    rig.emit("plc", rows, second + 0.02, **more)


def _orders(rig: Rig) -> None:
    rig.at(1)
    rig.intake.ports["plc"].connected("session 1")
    rig.intake.ports["polled"].connected()
    rig.emit("mes", [], 1, messages=[_order("1", "B1", 0.5)], watermark={"since": "1"})


def _order(key: str, batch: str | None, second: float) -> Message:
    return Message("orders", key, {"unit": "M-1", "batch": batch, "recipe": "R-1", "id": int(key)}, Rig.ticks(second))


def _every_type(rig: Rig) -> None:
    stamp = datetime(2026, 11, 22, 7, 13, 22, 123_456, tzinfo=UTC)
    values: dict[str, Any] = {"step": 0, "state": 6, "bool": True, "int64": -(1 << 62), "float32": 0.10000000149011612, "float64": 20.25}
    values |= {"scaled": 13_824, "text": '\u00e9t\u00e9 \u9020\u7c92 "x"', "bytes": b"\x00\xff\x10", "time": stamp, "ours": 1e300}
    _plc(rig, 2, *values.items(), kind="initial")
    _plc(rig, 3, ("int64", 9_007_199_254_740_993), ("float32", 3.4028234663852886e38), ("float64", -0.0), ("scaled", 1), ("text", ""))
    rig.emit("server", [(0, 1.5, 0, None, rig.ticks(3)), (0, 1.75, 0, rig.ticks(2.9), rig.ticks(3.1))], 3.2)


def _not_good(rig: Rig) -> None:
    nan, infinite = float("nan"), float("inf")
    _plc(rig, 4, ("float64", None, BAD), ("float32", None, 0x80310000), ("scaled", 5, 0x40900000), ("text", "x", 0x00000480))
    _plc(rig, 5, ("float64", nan), ("float32", infinite), ("int64", "12"), ("step", 40_000), ("bool", 1), ("state", 77), ("time", "now"))
    _plc(rig, 6, ("text", "\x01" * 20_000), ("bytes", b"\x7f" * 40_000), ("float64", 21), ("ours", Decimal("1.10")))
    _plc(rig, 7, ("float64", nan), ("float64", 21.5), ("state", 6), ("step", 0), ("bool", False))


def _times(rig: Rig) -> None:
    _plc(rig, 8, ("float64", 22.0, 0, None, None), ("float64", 22.5, 0, -1e9, 7.5), ("float64", 22.25, 0, 7.75, None))
    _plc(rig, 9, ("ours", 2.0, 0, 8.0, 8.5), ("float64", 22.75, 0, 500.0, None), ("float32", 1.5, 0, 8.999, 9.001))
    rig.emit("plc", [(0, 0, 0, 1, None), (5, 23.0, 0, -(1 << 60), 1 << 60)], 9.5)  # beyond what a JSON number keeps
    rig.intake.ports["plc"].source_offset(0.25, 0.01)
    _plc(rig, 10, ("float64", 22.0))
    rig.intake.ports["plc"].source_offset(3.5, 0.01)
    _plc(rig, 11, ("float64", 22.5))
    rig.intake.ports["plc"].source_offset(0.0, 0.01)


def _signals(rig: Rig) -> None:
    """Cut where a signal changes; sorted by the source's time where they come tag by tag; halved where too long."""
    _plc(
        rig,
        14,
        ("float64", 20.0, 0, 12.0),
        ("float64", 21.0, 0, 13.5),
        ("step", 11, 0, 12.5),
        ("step", 12, 0, 13.0),
        ("step", 11, 0, 13.75),
    )
    _plc(rig, 15, ("state", 11, 0, 14.5), ("step", 11, 0, 14.6), ("float64", 22.0, 0, 14.7), ("state", 6, 0, 14.9))
    _plc(rig, 17, *[("float64", 20 + n / 8, 0, 15 + n / 2_000) for n in range(2_500)])
    _plc(rig, 18, *[("text", f"{n:03}" * 200, 0, 17 + n / 1_000) for n in range(120)])
    _plc(rig, 20, ("step", 0))
    rig.emit("plc", [], 21, alive=range(11), observed_ticks=rig.ticks(21))


def _polls(rig: Rig) -> None:
    changes = [(10.0, 10.0, 1, 1), (10.0, 10.0, 1, 1), (11.5, 10.4, 1, 1), (12.5, 10.6, 2, 2), (12.5, 10.6, 2, 2)]
    for number, values in enumerate(changes):
        second = 22 + number / 5
        rig.at(second + 0.01)
        rig.emit("polled", [(n, v, 0, None, None) for n, v in enumerate(values)], second + 0.01, second, kind="poll")
    rig.at(23.2)
    rig.emit("polled", [(0, None, 0x800A0000, None, None), (2, 2, 0, None, None)], 23.2, 23.1, kind="poll", alive=range(4))


def _polls_again(rig: Rig) -> None:
    rig.at(23.5)
    rig.emit("polled", [(n, v, 0, None, None) for n, v in enumerate((12.5, 10.6, 2, 2))], 23.5, 23.4, kind="poll")


def _losses(rig: Rig) -> None:
    port = rig.intake.ports["plc"]
    rig.at(25)
    port.lost(Loss("link-lost", detail="connection reset"))
    port.lost(Loss("queue-overflow", tags=(4, 5), since_ticks=rig.ticks(24), until_ticks=rig.ticks(24.5)))
    _plc(rig, 27, ("float64", 24.0), ("step", 0), kind="initial")
    _plc(rig, 27.5, *[(name, value) for name, value in (("state", 6), ("bool", True), ("text", "back"))], kind="initial")
    _plc(rig, 28, ("float64", 23.5, 0, 26.0), kind="backfill")
    port.filled((5,), rig.ticks(25), rig.ticks(27), "history")
    rig.at(29)
    port.lost(Loss("link-lost"))
    rig.emit("plc", [(5, 24.5, 0, rig.ticks(29.5), None)], 30, alive=range(11), observed_ticks=rig.ticks(30), resumed=True)
    rig.at(31)
    rig.intake.ports["polled"].lost(Loss("link-lost", tags=(1,), detail="timeout"))
    rig.intake.ports["mes"].lost(Loss("link-lost", detail="no such table"))


def _rows(rig: Rig) -> None:
    rig.at(32)
    row = {"unit": "M-9", "big": 1 << 60, "d": Decimal("1.50"), "f": 0.1, "nan": float("nan"), "none": None, "list": [1, {"a": True}]}
    told = [Message("orders", f"{n}", row | {"n": n}, None, "22.11.2026 08:13", "changed") for n in range(2, 5)]
    rig.emit("mes", [], 32, messages=told, watermark={"since": "4"})
    rig.emit("mes", [], 33, messages=[Message("orders", "5", {"text": "\u00fc\x02" * 9_000}, Rig.ticks(33))], watermark={"since": "5"})
    rig.emit("mes", [], 34, messages=[Message("orders", f"{n}", {"text": "y" * 900}, change="deleted") for n in range(6, 70)])
    rig.emit("mes", [], 34.5, watermark={"since": "70"})
    rig.emit("mes", [], 35, 34.9, kind="poll")
    rig.at(36)
    rig.emit("mes", [], 36, messages=[_order("71", None, 35)], watermark={"since": "71"})


def _said(rig: Rig) -> None:
    rig.at(40)
    finding = Finding("unit-changed", "the unit is now \u00b0F", (5,), "alarm", {"unit": "degF"})
    for _ in range(2):
        rig.intake.ports["plc"].found(finding)
    rig.intake.ports["plc"].found(Finding("node-unknown", "no such node", (1, 2)))
    rig.happened({"type": "finding", "code": "low-space", "severity": "warning", "source": None, "tags": [], "text": "x", "evidence": {}})
    rig.happened({"type": "heartbeat", "observed": {}})
    rig.intake.ports["plc"].stopped("gateway-stopped", "restart")
    rig.intake.ports["polled"].stopped("gateway-crashed", "")


def _later(rig: Rig) -> None:
    """What waited is decided."""
    rig.at(90)
    rig.emit("polled", [(n, v, 0, None, None) for n, v in enumerate((12.5, 10.6, 2, 2))], 90, 89.9, kind="poll")
    _plc(rig, 90, ("float64", 20.5), kind="initial")


def lines(folder: Path) -> Iterator[str]:
    yield from asyncio.run(payloads(folder))
