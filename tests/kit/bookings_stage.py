"""A small line with a scale, scans, a MES and a laboratory, which a test plays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from config import Equipment, FromRow, Line, Source, Step, Tag
from config.grammars.terms import term
from config.materials import Booking, Sampling
from config.sections import BufferSection, ClockSection, LineSection, Route
from config.toml.lot_rules import read as lot_rules
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
LOTS = b"""
version = "3"
[[rule]]
name = "legacy"
pattern = "(?P<year>[0-9]{2})/(?P<number>[1-9][0-9]{0,3})-(?P<part>[A-Z])"
canonical = "L20{year}-{number:04}-{part}"
sources = ["plc", "mes"]
examples = { "26/417-A" = "L2026-0417-A" }
"""
WEIGH = Booking(
    "weigh",
    "granulator",
    "plc.weighed",
    "true",
    step="CHARGE",
    material=term("Lactose"),
    lot=term("=plc.lot"),
    quantity=term("=scale.net"),
    gross=term("=scale.gross"),
    tare=term("=scale.tare"),
    at_rest="scale.stable",
    unit="kg",
    decimals=2,
    target=term("=plc.target"),
    tolerance=term("1%"),
    occurs="1..n",
)
GRANULES = Booking(
    "granules",
    "granulator",
    "mes.lots",
    where=(("unit_id", "GRN-201"), ("move", "101")),
    batch=term("row.batch_no"),
    kind="produce",
    output_lot=term("row.lot_no"),
    quantity=term("row.quantity"),
    source_unit=term("row.unit"),
    unit="kg",
    decimals=1,
    performed_by=term("row.user"),
)
SAMPLE = Sampling(
    "lod", "granulator", "plc.sample", sample=term("=plc.sample"), results="lims.results", results_key="sample_id", occurs="0..n"
)


def row(column: str) -> FromRow:
    return FromRow(row="mes.orders", key="unit_id", column=column)


def line_of(**more: Any) -> Line:
    tags: dict[str, list[tuple[str, str, str | None]]] = {
        "plc": [
            *((f"plc.{name}", "string", None) for name in ("lot", "sample", "user")),
            *(("plc.step", "int16", None), ("plc.weighed", "bool", None), ("plc.target", "float64", "g")),
        ],
        "scale": [(f"scale.{name}", "decimal", "kg") for name in ("net", "gross", "tare")] + [("scale.stable", "bool", None)],
        "mes": [],
        "lims": [],
    }
    identity = {"batch": row("batch_no"), "order": row("order_no"), "recipe": row("recipe")}
    line = Line(
        folder=Path(),
        line=LineSection(site="lyon", name="granulation-2", timezone="Europe/Paris"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        push=None,
        sources=tuple(Source(name=name, driver="opcua", endpoint="x", time_authority="device") for name in tags),
        equipment=(Equipment(name="granulator", unit_id="GRN-201", operator="plc.user", batch_ends="empty", **identity),),
        routes=(Route(recipe="MBR-88", equipments=("granulator",)),),
        uplinks=(),
        tags=tuple(Tag(n, s, n, t, unit=u, source_unit=u, equipment=("granulator",)) for s, rows in tags.items() for n, t, u in rows),
        steps=(Step("CHARGE", "granulator", "phase", "plc.step", "10"),),
        parameters=(),
        codes={},
        lots=lot_rules(LOTS, list(tags)).rules,
        files={},
        sha256="0" * 64,
        materials=(WEIGH,),
    )
    return replace(line, **more)


class Stage:
    """A line that the test plays; times in seconds since the story's start, entries follow 10 ms after what they tell."""

    def __init__(self, line: Line) -> None:
        self.line, self.fold, self.seq = line, Fold(line), 0
        self.events: list[dict[str, Any]] = []
        self.names = {s.name: [t.tag for t in line.tags_of(s.name)] for s in line.sources}
        self.restart = False

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        if self.restart:  # a gateway that is killed after every entry and loads the state it had dumped
            self.fold = Fold.load(self.line, self.fold.dump())
        made = self.fold.decide(item)
        self.seq += len(made)
        self.events += made
        return made

    def see(self, at_s: float, kind: str = "change", entry_s: float | None = None, **values: Any) -> list[dict[str, Any]]:
        named = {name.replace("_", ".", 1): value for name, value in values.items()}
        source = next(iter(named)).split(".")[0]
        at, self.seq = T0 + round(at_s * TICKS_PER_S), self.seq + 1
        seen = [(self.names[source].index(n), v, 0x80310000 if v is None else 0, at, kind) for n, v in named.items()]
        return self.decide(ReadingsInput(self.seq, at + 100_000 if entry_s is None else T0 + round(entry_s * TICKS_PER_S), source, seen))

    def happen(self, at_s: float, **event: Any) -> list[dict[str, Any]]:
        self.seq += 1
        return self.decide(EventInput(self.seq, T0 + round(at_s * TICKS_PER_S), event))

    def alive(self, at_s: float) -> list[dict[str, Any]]:
        return self.happen(at_s, type="heartbeat", observed=dict.fromkeys(("plc", "scale"), time(at_s)))

    def row(self, at_s: float, query: str, key: str, row: dict[str, Any], *, row_s: float | None = None, change: str = "new") -> None:
        source, name = query.split(".")
        told = {"key": key, "change": change, "time": None if row_s is None else time(row_s), "text": None, "row": row}
        self.happen(at_s, type="message", source=source, name=name, rows=[told])

    def order(self, at_s: float, batch: str | None, recipe: str = "MBR-88") -> None:
        self.row(at_s, "mes.orders", str(at_s), {"unit_id": "GRN-201", "batch_no": batch, "order_no": "4500", "recipe": recipe}, row_s=at_s)

    def of(self, type_: str, **members: Any) -> list[dict[str, Any]]:
        return [e for e in self.events if e["type"] == type_ and all(e.get(k) == v for k, v in members.items())]

    def codes(self) -> list[str]:
        return [e["code"] for e in self.of("finding")]


def time(seconds: float) -> str:
    return rfc3339(T0 + round(seconds * TICKS_PER_S))


def begin(stage: Stage) -> None:
    stage.see(0, "initial", plc_step=0, plc_lot="", plc_weighed=False, plc_target=12500.0, plc_sample="", plc_user="jdupont")
    stage.see(0, "initial", scale_net="0.00", scale_gross="0.00", scale_tare="0.00", scale_stable=True)
    stage.order(2, "B1")
    stage.see(5, plc_step=10)
    stage.alive(6)


def weigh(stage: Stage, at_s: float, lot: str, net: str = "12.48", *, stable: bool = True) -> None:
    stage.see(at_s - 2, plc_lot=lot)
    stage.see(at_s - 1, scale_net=net, scale_gross="14.08", scale_tare="1.60", scale_stable=stable)
    stage.see(at_s, plc_weighed=True)
    stage.see(at_s + 0.2, plc_weighed=False)
    stage.alive(at_s + 1)


def end(stage: Stage, at_s: float) -> dict[str, Any]:
    stage.see(at_s, plc_step=0)
    stage.order(at_s + 1, None)
    stage.alive(at_s + 3)
    stage.alive(at_s + 10)
    return stage.of("batch", transition="end")[-1]
