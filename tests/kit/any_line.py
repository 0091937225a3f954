"""A line of any kind, and whatever happens on it: each way to name and end a batch, to tell steps and bookings, with gaps and late data."""

import random
from dataclasses import replace
from typing import Any

import orjson
from kit.plant import ABORTED, HELD, IDLE, RUNNING, STEPS, TAGS, Plant, equipment, line_of, row, tag, time

from config import Alarm, Line, Parameter, Step
from config.grammars.terms import term
from config.lots.rules import LotRules
from config.materials import Booking, Sampling
from config.sections import FromTag, MesSteps, Pushed, Route
from gateway.entries.fold_input import EventInput, ReadingsInput

BY_STATE = MesSteps(row="mes.steps", key="unit_id", step="step", state="state", within_s=2.0)
BY_TIMES = MesSteps(row="mes.steps", key="unit_id", step="step", run="n", start="began", end="ended", zone="Europe/Paris", within_s=2.0)
BATCHES = ("B1", "B2", "B3", "X?", "", None)
VALUES: dict[str, tuple[Any, ...]] = {
    "g.step": (0, 0, 20, 20, 30),
    "g.run": (0, 1, 1, 2),
    "g.state": (RUNNING, RUNNING, IDLE, HELD, ABORTED),
    "g.user": ("jdupont", "mmartin", "x" * 300, ""),
    "g.speed": (0.0, 9.5, 150.0, 250.0),
    "g.speed_sp": (100.0, 250.0),
    "g.batch": ("B1", "B2", "B3", "X?", ""),
    "g.activity": ("production", "cleaning", ""),
    "g.done": (False, False, True),
    "d.step": (0, 1),
    "d.temp": (20.0, 60.5),
}
MORE_TAGS = (tag("g.activity", "g-plc", "string"), tag("g.done", "g-plc", "bool"))
MORE_STEPS = (Step("CLEAN", "granulator", "phase", "g.activity", "cleaning", activity="cleaning", occurs="0..n"),)
PARAMETERS = (
    Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1, high="=g.speed_sp", limit_source="tag", min_covered=0.9),
    Parameter("mix_time", "granulator", "MIX", "duration", decimals=1),
    Parameter("op_max", "granulator", "MIX", "max", "g.speed", when="operation", include="running"),
    Parameter("all_min", "granulator", None, "min", "g.speed", when="batch"),
    Parameter("sp_at_charge", "granulator", None, "value_at_start", "g.speed_sp", when="event", event="material:charge"),
    Parameter("sp_at_fast", "granulator", None, "value_at_start", "g.speed_sp", when="event", event="alarm:fast"),
    Parameter("dry_mean", "dryer", "DRY", "mean", "d.temp", decimals=2),
)
MATERIALS = (
    Booking("charge", "granulator", "g.run", "1", lot=term("=g.user"), quantity=term("=g.speed"), unit="/min", step="MIX", occurs="1"),
    Booking("output", "granulator", "mes.lots", kind="produce", batch=term("row.batch_no"), output_lot=term("row.lot"), occurs="1..n"),
)
SAMPLES = (Sampling("lod", "granulator", "g.done", "true", sample=term("=g.batch"), results="mes.results", results_key="sample"),)


def any_line(rng: random.Random) -> Line:
    """Draw a line."""
    checks = {"pattern": rng.choice([None, "B.*"]), "known_in": rng.choice([None, "mes.orders"])}
    batch = rng.choice([row("batch_no"), row("batch_no"), FromTag(tag="g.batch", **checks), Pushed(push=True, **checks)])
    steps_from, how = rng.choice([("plc", None), ("plc", None), ("plc", BY_STATE), ("plc", BY_TIMES), ("mes", BY_STATE), ("mes", BY_TIMES)])
    more = {
        "batch": batch,
        "batch_ends": rng.choice(["change", "change", "empty", "state:Aborted", "g.done"]),
        "settle_ms": rng.choice([0, 500, 500, 3_000]),
        "settle_s": rng.choice([0.2, 5.0, 5.0]),
        "activity": rng.choice([None, "g.activity"]),
        "dirty_hold_h": rng.choice([None, 0.01]),
        "steps_from": steps_from,
        "mes_steps": how,
    }
    granulator = equipment("granulator", "GRN-201", state="g.state", states="packml", operator="g.user", **more)
    key = rng.choice([None, "g.run"])
    steps = tuple(replace(step, key=key) if step.step in {"MIX", "WET"} else step for step in (*STEPS, *MORE_STEPS))
    silence = rng.choice([None, None, 10.0])
    tags = tuple(replace(t, max_silence_s=silence) if t.tag == "g.speed" else t for t in (*TAGS, *MORE_TAGS))
    return line_of(
        equipment=(granulator, equipment("dryer", "FBD-202", batch_ends="empty")),
        routes=rng.choice([(), (Route(recipe="MBR-88", equipments=("granulator", "dryer"), close_after_h=0.05),)]),
        tags=tags,
        steps=steps,
        parameters=PARAMETERS,
        materials=rng.choice([(), MATERIALS]),
        samples=rng.choice([(), SAMPLES]),
        alarms=(Alarm("fast", "g.speed", "200..999", equipment="granulator"),),
        lots=LotRules(),
    )


class AnyPlant(Plant):
    """A plant on which anything happens, most of it in an order that makes sense."""

    def __init__(self, rng: random.Random, line: Line | None = None) -> None:
        super().__init__(line or any_line(rng))
        self.rng, self.now_s, self.rows = rng, 10.0, 0
        self.looked_s = {"g-plc": 0.0, "d-plc": 0.0}

    def decide(self, item: ReadingsInput | EventInput) -> list[dict[str, Any]]:
        """Keep events as they were when they were made, as the intake does, which encodes them at once."""
        made: list[dict[str, Any]] = orjson.loads(orjson.dumps(super().decide(item)))
        self.events[len(self.events) - len(made) :] = made
        return made

    def play(self, happenings: int) -> None:
        """Play so many happenings, then let everything be read again and time pass."""
        self.see(0, "initial", **{name.replace(".", "_"): values[0] for name, values in VALUES.items() if name.startswith("g.")})
        self.see(0, "initial", d_step=0, d_temp=20.0)
        what = ("read",) * 12 + ("order",) * 3 + ("step_row",) * 3 + ("lot", "result", "push", "lost", "lost", "resumed", "resumed", "fill")
        for _ in range(happenings):
            self.now_s += self.rng.choice([0, 0.1, 0.3, 0.3, 0.6, 0.6, 1.5, 1.5, 4, 4, 12, 70 if self.rng.random() < 0.2 else 2])
            if self.rng.random() < 0.01:
                self.now_s -= 5
            getattr(self, f"_{self.rng.choice((*what, 'alive', 'alive', 'alive', 'start', 'history'))}")()
        for source in self.looked_s:
            self.now_s += 1
            self._read(source)
        for _ in range(6):
            self.now_s += 61
            self.alive(self.now_s)

    def _read(self, source: str | None = None) -> None:
        source = source or self.rng.choice(["g-plc", "g-plc", "g-plc", "d-plc"])
        names = [name for name in VALUES if name.startswith(source[0])]
        picked = self.rng.sample(names, min(self.rng.choice([1, 1, 2, 4]), len(names)))
        at_s = self.now_s - self.rng.choice([0, 0, 0, 0.05, 0.7, 20])
        values = {n.replace(".", "_"): None if self.rng.random() < 0.02 else self.rng.choice(VALUES[n]) for n in picked}
        self.see(at_s, "change" if self.rng.random() < 0.95 else "initial", entry_s=self.now_s, **values)
        self.looked_s[source] = self.now_s

    def _history(self) -> None:
        at_s = self.now_s - self.rng.choice([3, 10, 30])
        self.see(at_s, "backfill", entry_s=self.now_s, g_speed=self.rng.choice(VALUES["g.speed"]), g_run=self.rng.choice(VALUES["g.run"]))

    def _alive(self) -> None:
        self.alive(self.now_s)
        self.looked_s = dict.fromkeys(self.looked_s, self.now_s)

    def _message(self, name: str, row: dict[str, Any], change: str = "new", key: str | None = None) -> None:
        self.rows += 1
        at_s = self.rng.choice([None, self.now_s, self.now_s - 0.4, self.now_s - 6, round(self.now_s - 1)])
        when = None if at_s is None else time(at_s)
        told = {"key": key or str(self.rows), "change": change, "time": when, "text": None, "row": row}
        self.happen(self.now_s, type="message", source="mes", name=name, rows=[told])

    def _order(self) -> None:
        unit = self.rng.choice(["GRN-201", "GRN-201", "FBD-202"])
        row = {
            "unit_id": unit,
            "batch_no": self.rng.choice(BATCHES),
            "recipe": self.rng.choice(["MBR-88", "MBR-88", None]),
            "order_no": "45",
        }
        change = self.rng.choice(["new", "new", "new", "late", "changed", "deleted"])
        self._message("orders", row, change, None if change == "new" else str(self.rng.randint(1, max(self.rows, 1))))

    def _step_row(self) -> None:
        began_s = self.now_s - self.rng.choice([0.3, 2, 9])
        ended = self.rng.choice([None, time(self.now_s), time(self.now_s - 0.2)])
        row = {"unit_id": "GRN-201", "step": self.rng.choice(["GRANULATE", "MIX", "WET", "?"]), "n": self.rng.choice(["1", "2", None])}
        row |= {"state": self.rng.choice(["START", "END", "END", "?"]), "began": self.rng.choice([None, time(began_s)]), "ended": ended}
        change = self.rng.choice(["new", "new", "changed"])
        self._message("steps", row, change, None if change == "new" else f"s{self.rng.randint(1, 4)}")

    def _lot(self) -> None:
        row = {"batch_no": self.rng.choice(["B1", "B2", None]), "lot": self.rng.choice(["417-A", "418-B", None])}
        self._message("lots", row, self.rng.choice(["new", "new", "changed", "deleted"]), f"l{self.rng.randint(1, 5)}")

    def _result(self) -> None:
        self._message("results", {"sample": self.rng.choice(["B1", "B2", "S9"]), "lod": "1.9"})

    def _push(self) -> None:
        values = {"batch": self.rng.choice(BATCHES), "recipe": self.rng.choice(["MBR-88", None])}
        self.happen(self.now_s, type="context", equipment="granulator", values=values)

    def _lost(self) -> None:
        source = self.rng.choice(["g-plc", "g-plc", "d-plc"])
        tags = self.rng.choice(["all", "all", ["g.step", "g.run"]]) if source == "g-plc" else "all"
        gap = {"gap": f"{source}/{self.seq}", "source": source, "tags": tags, "start": time(self.looked_s[source])}
        self.happen(self.now_s, type="gap", transition="open", detected=time(self.now_s), cause="link-lost", **gap)

    def _resumed(self) -> None:
        source = self.rng.choice(["g-plc", "g-plc", "d-plc"])
        self.happen(self.now_s, type="source", source=source, state="resumed", tags="all", observed=time(self.now_s - 0.1))
        self.looked_s[source] = self.now_s

    def _fill(self) -> None:
        end_s = self.now_s - self.rng.choice([0, 4])
        filled = {"gap": "any", "source": "g-plc", "tags": self.rng.choice(["all", ["g.speed"]])}
        self.happen(self.now_s, type="gap", transition="fill", start=time(end_s - 9), end=time(end_s), **filled)

    def _start(self) -> None:
        """The gateway starts again: what it writes before it looks lets no time pass."""
        self.happen(self.now_s, type="audit", action=self.rng.choice(["start", "unclean-start"]), who="system:x", what={}, reason="")
        self.happen(self.now_s, type="config", version=1, sha256=self.rng.choice(["1", "2"]), software="x", files=[], part=1, of=1)
        for source, looked_s in self.looked_s.items():
            gap = {"gap": f"{source}/{self.seq}", "source": source, "tags": "all", "start": time(looked_s)}
            self.happen(self.now_s, type="gap", transition="open", detected=time(self.now_s), cause="gateway-stopped", **gap)
