"""A small line that a story plays: two equipments on two PLCs and a MES, readings and rows in, events of the fold out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from config import Code, CodeTable, Equipment, FromRow, Line, Parameter, Source, Step, Tag
from config.lots.rules import LotRules
from config.sections import BufferSection, ClockSection, LineSection, Route
from gateway.context import Fold
from gateway.entries.bodies import readings_body, table
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
PACKML = CodeTable(
    "packml",
    "1",
    {4: Code(4, "Idle", "Idle"), 6: Code(6, "Execute", "Running"), 9: Code(9, "Aborted", "Aborted"), 11: Code(11, "Held", "Held")},
)
RUNNING, IDLE, ABORTED, HELD = 6, 4, 9, 11


def tag(name: str, source: str, kind: str = "float64", **more: Any) -> Tag:
    return Tag(name, source, name, kind, **more)


TAGS = (
    tag("g.step", "g-plc", "int16", equipment=("granulator",)),
    tag("g.run", "g-plc", "uint16", equipment=("granulator",)),
    tag("g.state", "g-plc", "int16", codes="packml", equipment=("granulator",)),
    tag("g.user", "g-plc", "string", equipment=("granulator",)),
    tag("g.speed", "g-plc", unit="/min", source_unit="rpm", equipment=("granulator",)),
    tag("g.speed_sp", "g-plc", unit="/min", equipment=("granulator",)),
    tag("g.batch", "g-plc", "string", equipment=("granulator",)),
    tag("d.step", "d-plc", "int16", rate_ms=200, equipment=("dryer",)),
    tag("d.temp", "d-plc", unit="Cel", between="linear", equipment=("dryer",)),
)
STEPS = (
    Step("GRANULATE", "granulator", "operation", "g.step", "10..49", order=1),
    Step("MIX", "granulator", "phase", "g.step", "20..29", parent="GRANULATE", order=1),
    Step("WET", "granulator", "phase", "g.step", "30..39", parent="GRANULATE", occurs="1..n", order=2),
    Step("DRY", "dryer", "operation", "d.step", "1"),
)
PARAMETERS = (
    Parameter(
        "mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1, low="100", high="=g.speed_sp", limit_source="tag", min_covered=0.9
    ),
    Parameter("mix_time", "granulator", "MIX", "duration", decimals=1),
    Parameter("mix_sp", "granulator", "MIX", "value_at_start", "g.speed_sp", decimals=0),
    Parameter("wet_max", "granulator", "WET", "max", "g.speed", decimals=1),
    Parameter("wet_viscosity", "granulator", "WET", "sample", origin="by-lims"),
    Parameter("dry_mean", "dryer", "DRY", "mean", "d.temp", decimals=2),
)


def row(column: str) -> FromRow:
    return FromRow(row="mes.orders", key="unit_id", column=column)


def equipment(name: str, unit_id: str, **more: Any) -> Equipment:
    rows = {"batch": row("batch_no"), "order": row("order_no"), "product": row("product"), "recipe": row("recipe")}
    return Equipment(name=name, unit_id=unit_id, **(rows | more))


def line_of(**more: Any) -> Line:
    sources = tuple(Source(name=name, driver="opcua", endpoint="x", time_authority="device") for name in ("g-plc", "d-plc", "mes"))
    line = Line(
        folder=Path(),
        line=LineSection(site="lyon", name="granulation-2", timezone="Europe/Paris"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=sources,
        equipment=(
            equipment("granulator", "GRN-201", state="g.state", states="packml", operator="g.user", batch_ends="empty"),
            equipment("dryer", "FBD-202", batch_ends="empty"),
        ),
        routes=(Route(recipe="MBR-88", equipments=("granulator", "dryer")),),
        uplinks=(),
        tags=TAGS,
        steps=STEPS,
        parameters=PARAMETERS,
        codes={"packml": PACKML},
        lots=LotRules(),
        files={},
        sha256="0" * 64,
    )
    return replace(line, **more)


class Plant:
    """A line that the test plays. Times are seconds since the story's start; entries follow 10 ms after what they tell."""

    def __init__(self, line: Line) -> None:
        self.line, self.fold = line, Fold(line)
        self.names = {s.name: [t.tag for t in line.tags_of(s.name)] for s in line.sources}
        self.seq = 0
        self.events: list[dict[str, Any]] = []
        self.items: list[ReadingsInput | EventInput] = []

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        self.items.append(item)
        made = self.fold.decide(item)
        self.seq += len(made)
        self.events += made
        return made

    def see(self, at_s: float, kind: str = "change", entry_s: float | None = None, **values: Any) -> list[dict[str, Any]]:
        """Readings of one source by tag name (. as _): g_step=30. A value None is Bad."""
        named = {name.replace("_", ".", 1): value for name, value in values.items()}
        source = self.line.tags[[t.tag for t in self.line.tags].index(next(iter(named)))].source
        at, self.seq = T0 + round(at_s * TICKS_PER_S), self.seq + 1
        seen = [(self.names[source].index(n), v, 0x80310000 if v is None else 0, at, kind) for n, v in named.items()]
        entry = at + 100_000 if entry_s is None else T0 + round(entry_s * TICKS_PER_S)
        return self.decide(ReadingsInput(self.seq, entry, source, seen))

    def happen(self, at_s: float, **event: Any) -> list[dict[str, Any]]:
        self.seq += 1
        return self.decide(EventInput(self.seq, T0 + round(at_s * TICKS_PER_S), event))

    def alive(self, at_s: float, *sources: str) -> list[dict[str, Any]]:
        return self.happen(
            at_s, type="heartbeat", observed={s: rfc3339(T0 + round(at_s * TICKS_PER_S)) for s in sources or ("g-plc", "d-plc")}
        )

    def order(self, at_s: float, unit: str, batch: str | None, row_s: float | None = None) -> list[dict[str, Any]]:
        row = {"unit_id": unit, "batch_no": batch, "order_no": "4500", "product": "P-1", "recipe": "MBR-88"}
        time = None if row_s is None else rfc3339(T0 + round(row_s * TICKS_PER_S))
        told = {"key": f"{at_s}/{unit}", "change": "new", "time": time, "text": None, "row": row}
        return self.happen(at_s, type="message", source="mes", name="orders", rows=[told])

    def of(self, type_: str, **members: Any) -> list[dict[str, Any]]:
        return [e for e in self.events if e["type"] == type_ and all(e.get(k) == v for k, v in members.items())]

    def ended(self, step: str) -> Mapping[str, Any]:
        return self.of("step", transition="end", step=step)[-1]

    def parameter(self, step: str, name: str) -> Mapping[str, Any]:
        return next(p for p in self.ended(step)["parameters"] if p["parameter"] == name)


def time(seconds: float) -> str:
    return rfc3339(T0 + round(seconds * TICKS_PER_S))


def begin(plant: Plant) -> None:
    """Everything has been read once; the batch is ordered; nothing runs."""
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=0.0, g_speed_sp=250.0)
    plant.see(0, "initial", d_step=0, d_temp=20.0)
    plant.order(5, "GRN-201", "B1", row_s=4)


def entry_of(plant: Plant, item: ReadingsInput | EventInput, event: Mapping[str, Any] | None = None) -> bytes:
    """An entry as the journal stores it, as far as a replay reads it."""
    head = {"seq": item.seq, "time": rfc3339(item.ticks), "config": {"version": 1, "sha256": plant.line.sha256}}
    if event is not None or isinstance(item, EventInput):
        return orjson.dumps({**head, "event": item.event if event is None and isinstance(item, EventInput) else event})
    rows = [(i, v, None, s, k, t, None) for i, v, s, t, k in item.readings]
    body = readings_body(
        {"source": item.source, "source_clock": {"authority": "device"}},
        {},
        item.source * 5,
        table(tuple(zip(*rows, strict=True)), None, item.ticks),
    )
    return orjson.dumps(head)[:-1] + b"," + body.body


def stored(plant: Plant) -> list[bytes]:
    """The journal of a story: its tag tables, then every item with what it caused."""
    first = plant.items[0].ticks if plant.items else T0
    tagsets = [
        EventInput(0, first, {"type": "tagset", "tagset": s * 5, "source": s, "first": 0, "tags": [{"tag": t} for t in names]})
        for s, names in plant.names.items()
    ]
    payloads = [entry_of(plant, item) for item in tagsets]
    for item in plant.items:
        payloads.append(entry_of(plant, item))
        payloads += [entry_of(plant, item, event) for event in plant.events if event["caused_by"] == item.seq]
    return payloads


def replayed(plant: Plant, every: int = 1) -> list[dict[str, Any]]:
    """The same items through another fold, dumped and loaded after each, or after each so many."""
    fold, made = Fold(plant.line), []
    for number, item in enumerate(plant.items, 1):
        made += fold.decide(item)
        if number % every == 0:
            fold = Fold.load(plant.line, fold.dump())
    return made
