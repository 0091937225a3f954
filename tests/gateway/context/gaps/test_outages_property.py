"""An outage that is bridged changes no record: whatever it hides comes later, and is decided as if it had come in time."""

import os
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import Plant, begin, line_of, replayed, stored, time

from config import Line
from gateway.evidence.recompute import recompute

LOST_S = 11.5
POLL_S = 0.3
STEP = ["g.step", "g.run", "g.state", "g.user", "g.batch"]
FAST = ["g.speed", "g.speed_sp"]
LOADED_EVERY = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 3
"""After each entry, the default run stores and loads the fold in test_any_line_property."""

Happening = tuple[float, str, Any]
"""(when, in seconds of the story; "step" or "row"; the value or the batch)"""


@st.composite
def stories(draw: st.DrawFn) -> list[Happening]:
    """MIX runs in B1; steps change, B1 is released, B2 is ordered, in any order, never two in one settling time."""
    kinds = draw(st.permutations(["step", "step", "step", "step", "release", "order"]))
    if kinds.index("order") < kinds.index("release"):
        kinds = [kind for kind in kinds if kind != "release"]
    at_s, step, found = 11.8, 20, list[Happening]()
    for kind in kinds:
        at_s += draw(st.integers(13, 30)) / 10
        if kind == "step":
            step = draw(st.sampled_from([value for value in (0, 20, 30) if value != step]))
        found.append((round(at_s, 1), "step", step) if kind == "step" else (round(at_s, 1), "row", "B2" if kind == "order" else None))
    return [*found, (round(at_s + 5, 1), "step", 0 if step else 20), (round(at_s + 9, 1), "step", 0)]


def line(settle_s: float) -> Line:
    made = line_of(routes=())
    changed: Line = replace(made, equipment=tuple(unit.model_copy(update={"settle_s": settle_s}) for unit in made.equipment[:1]))
    return changed


def entries(
    story: list[Happening], back_s: float | None, detected_s: float, together: int, *, split: bool, by_tag: bool
) -> list[tuple[float, str, Any]]:
    """What the journal gets, and when: (entry time, what, ...). back_s None: no outage."""
    found: list[tuple[float, str, Any]] = []
    life = [(s / 2, "speed", float(s)) for s in range(22, int(2 * story[-1][0]) + 12)]
    hidden: list[Happening] = []
    for at_s, what, value in sorted([*story, *life]):
        if what == "row":
            found.append((at_s + POLL_S, "row", (at_s, value)))
        elif back_s is not None and LOST_S < at_s <= back_s:
            hidden.append((at_s, what, value))
        else:
            found.append((at_s + 0.01, "read", [(at_s, what, value)]))
    if back_s is None:
        return sorted(found, key=lambda each: each[0])
    found.append((detected_s, "lost", None))
    entry_s = back_s + 0.02
    for tags in (FAST, STEP) if split else (FAST + STEP,):
        found.append((entry_s, "resumed", (tags, back_s)))
        mine = [each for each in hidden if not split or (each[1] == "step") == (tags is STEP)]
        if by_tag:
            mine.sort(key=lambda each: (each[1], each[0]))
        for first in range(0, len(mine), together):
            entry_s += 0.001
            found.append((entry_s, "read", mine[first : first + together]))
        entry_s += 0.001
    return sorted(found, key=lambda each: each[0])


def played(settle_s: float, told: list[tuple[float, str, Any]]) -> Plant:
    plant = Plant(line(settle_s))
    begin(plant)
    plant.see(10, g_step=20)
    for entry_s, what, more in told:
        if what == "row":
            plant.order(entry_s, "GRN-201", more[1], row_s=more[0])
        elif what == "lost":
            gap = {"gap": "g-plc/9", "source": "g-plc", "tags": "all", "start": time(11), "detected": time(entry_s), "cause": "link-lost"}
            plant.happen(entry_s, type="gap", transition="open", **gap)
        elif what == "resumed":
            plant.happen(entry_s, type="source", source="g-plc", state="resumed", tags=more[0], observed=time(more[1]))
        else:
            for at_s, name, value in more:
                plant.see(at_s, entry_s=entry_s, **{f"g_{name}": value})
    for second in range(1, 9):
        plant.alive(told[-1][0] + second)
    return plant


def records(plant: Plant) -> list[Any]:
    """What became of it: each run's last word, each batch's start and end, and what is held against it."""
    superseded = {e["supersedes"] for e in plant.of("rebind")} | {
        e["supersedes"].rpartition("#")[0] for e in plant.of("step", transition="end") if e["supersedes"]
    }
    steps = [
        (e["record"], e["cause"], e["start"]["time"], e["end"]["time"], e["end"]["basis"])
        for e in plant.of("step", transition="end")
        if e["record"] not in superseded or e["revision"] > 1
    ]
    batches = [
        (e["batch"], e["transition"], e["start"]["time"], (e.get("end") or {}).get("time"), e.get("status")) for e in plant.of("batch")
    ]
    found = [(e["code"], e["evidence"].get("step"), e["evidence"].get("batch")) for e in plant.of("finding")]
    return [sorted(steps), sorted(batches, key=repr), sorted(found, key=repr)]


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
@given(
    story=stories(),
    lasts_s=st.integers(20, 90),
    detected_s=st.integers(5, 30),
    settle_s=st.sampled_from([3.5, 5.0]),
    together=st.integers(1, 9),
    split=st.booleans(),
    by_tag=st.booleans(),
)
def test_a_bridged_outage_leaves_the_records_as_they_were(
    story: list[Happening], lasts_s: int, detected_s: int, settle_s: float, together: int, split: bool, by_tag: bool
) -> None:
    back_s = LOST_S + lasts_s / 10
    back_s = next(b / 10 for b in range(round(back_s * 10), 999) if all(abs(b / 10 - at_s) > 0.7 for at_s, _, _ in story))
    detected = min(LOST_S + detected_s / 10, back_s - 0.1)
    calm = played(settle_s, entries(story, None, 0, 1, split=False, by_tag=False))
    rough = played(settle_s, entries(story, back_s, detected, together, split=split, by_tag=by_tag))
    assert records(rough) == records(calm)
    assert orjson.dumps(replayed(rough, LOADED_EVERY)) == orjson.dumps(rough.events)
    assert list(recompute(rough.line, stored(rough))) == []
