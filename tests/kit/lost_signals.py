"""Losing what tells a step, and looking at it again: a plant with a granulator and one step."""

from dataclasses import replace
from typing import Any

import orjson
from kit.plant import RUNNING, STEPS, Plant, begin, line_of, replayed, stored, time

from gateway.evidence.recompute import recompute

UNKNOWN = ("inferred-from-gap", None)
BOUNDED = ("inferred-from-gap", 2.0)  # by when it was seen again
STANDING = {"g_step": 0, "g_run": 0, "g_state": RUNNING, "g_user": "jdupont", "g_speed": 200.0, "g_speed_sp": 250.0, "g_batch": ""}


def lose(plant: Plant, start_s: float, entry_s: float, tags: Any = "all", cause: str = "link-lost") -> None:
    gap = {"gap": f"g-plc/{start_s:g}", "source": "g-plc", "tags": tags, "start": time(start_s), "detected": time(entry_s)}
    plant.happen(entry_s, type="gap", transition="open", cause=cause, detail="", **gap)


def look_again(plant: Plant, at_s: float, **values: Any) -> None:
    plant.see(at_s, "initial", entry_s=at_s, **{**STANDING, **values})


def edge(event: Any, side: str) -> tuple[str, float | None]:
    return event[side]["basis"], event[side]["window_s"]


def one_step() -> Plant:
    made = Plant(line_of(routes=()))
    begin(made)
    made.see(20, g_step=10, g_speed=100.0)
    return made


def keyed() -> Plant:
    steps = tuple(replace(step, key="g.run" if step.step == "MIX" else None) for step in STEPS)
    plant = Plant(line_of(routes=(), steps=steps))
    begin(plant)
    plant.see(30, g_step=20, g_run=1)
    return plant


def ended(plant: Plant, step: str = "MIX", run: int = 1) -> Any:
    return plant.of("step", transition="end", step=step, run=run)[-1]


def is_said_again(plant: Plant) -> None:
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
    assert list(recompute(plant.line, stored(plant))) == []
