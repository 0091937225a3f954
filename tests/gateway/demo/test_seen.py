"""The demo's judge takes no edge of a step for observed of which the signal was lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit.plant import T0, line_of, time

from gateway.demo.received import Gap, Got, Received
from gateway.demo.seen import unproved
from gateway.entries.ticks import TICKS_PER_S

LATE = {"code": "late-data", "tags": ["g.step"]}


def ticks(at_s: float) -> int:
    return T0 + round(at_s * TICKS_PER_S)


def received(*gaps: Gap, start: str = "observed", end: str = "observed") -> Received:
    """A receiver of one run of MIX, 30 s to 40 s, that its signal told."""
    told: dict[str, Any] = {"record": "r/B1/granulator/MIX/1", "equipment": "granulator", "step": "MIX", "batch": "B1"}
    told |= {"start": {"time": time(30), "basis": start}, "end": {"time": time(40), "basis": end}}
    readings = [Got(20, 0, "change", ticks(30), None, ticks(30.1), 1, 1), Got(0, 0, "change", ticks(40), None, ticks(40.1), 1, 2)]
    held = {("e", str(n)): gap for n, gap in enumerate(gaps)}
    return Received(readings={"g-plc": {"g.step": readings}}, gaps=held, steps={told["record"]: told})  # type: ignore[arg-type]


def lost(start_s: float, end_s: float | None, tags: Any = "all", outcome: str = "lost") -> Gap:
    return Gap("g-plc", tags, ticks(start_s), "not-asked", None if end_s is None else ticks(end_s), outcome)


@pytest.mark.parametrize(
    ("gap", "edges"),
    [
        (lost(29.7, 35), ["start"]),
        (lost(30.2, 35), ["start"]),
        (lost(40, None), ["end"]),
        (lost(20, 60, frozenset({"g.step"})), ["start", "end"]),
        (lost(20, 30), []),
        (lost(30.5, 40), []),
        (lost(40.5, None), []),
        (lost(20, 60, frozenset({"g.speed"})), []),
        (lost(20, 60, outcome="filled"), []),
    ],
)
def test_an_observed_edge_lies_in_no_gap_of_its_signal_and_stood_for_the_settling_time(gap: Gap, edges: list[str]) -> None:
    found = unproved(line_of(), received(gap))
    assert [text.split()[1] for text in found] == [f"{edge}s" for edge in edges]


def test_an_edge_that_something_else_told_needs_its_signal_at_that_instant_alone() -> None:
    got = received(lost(30.2, 35))
    got.readings.clear()
    assert unproved(line_of(), got) == []
    assert len(unproved(line_of(), replace(got, gaps={(1, "g"): lost(29.7, 35)}))) == 1


def test_what_is_inferred_or_said_to_be_learned_too_late_is_no_problem() -> None:
    assert unproved(line_of(), received(lost(29.7, 35), start="inferred-from-gap")) == []
    assert unproved(line_of(), replace(received(lost(29.7, 35)), findings=[LATE])) == []


def test_an_equipment_whose_steps_rows_tell_needs_no_signal() -> None:
    line = line_of()
    units = tuple(unit.model_copy(update={"steps_from": "mes"}) for unit in line.equipment)
    assert unproved(replace(line, folder=Path(), equipment=units), received(lost(29.7, 35))) == []
