"""A required step has run if it was seen for its settling time, in any of its runs; else the batch says that it was not observed."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from kit.lost_signals import UNKNOWN, edge, ended, is_said_again, look_again, lose
from kit.plant import STEPS, Plant, begin, line_of


def released(plant: Plant) -> Any:
    """End the batch in its only equipment; gives its end record."""
    for unit, at_s in (("GRN-201", 80), ("FBD-202", 80.1)):
        plant.order(at_s, unit, None, row_s=at_s)
    for at_s in (82, 90, 120):
        plant.alive(at_s)
    return plant.of("batch", transition="end")[-1]


def without_parameters(occurs: Literal["1", "1..n"] = "1") -> Plant:
    """A plant whose map asks for nothing but that each step runs."""
    steps = tuple(replace(step, occurs=occurs) for step in STEPS if step.step in {"GRANULATE", "MIX"})
    plant = Plant(line_of(routes=(), parameters=(), steps=steps, equipment=(line_of().equipment[0],)))
    begin(plant)
    return plant


@pytest.mark.urs("URS-CTX-09", "URS-DAQ-06")
def test_a_required_step_that_was_lost_before_it_stood_does_not_count_as_having_run() -> None:
    plant = without_parameters()
    plant.see(30, g_step=20)
    plant.see(30.1, g_speed=150.0)
    lose(plant, 30.1, 31)
    look_again(plant, 60, g_step=0)
    end = released(plant)
    assert edge(ended(plant), "start") == UNKNOWN
    lacks = [(item["equipment"], item["step"], item["status"]) for item in end["completeness"]["missing"]]
    assert lacks == [("granulator", "GRANULATE", "not-observed"), ("granulator", "MIX", "not-observed")]
    assert (end["status"], end["completeness"]["required"], end["completeness"]["present"]) == ("incomplete", 2, 0)
    is_said_again(plant)


@pytest.mark.parametrize(("seen_s", "missing"), [(30.4, ["GRANULATE", "MIX"]), (30.5, []), (35.0, [])])
def test_a_required_step_ran_if_it_was_seen_for_its_settling_time(seen_s: float, missing: list[str]) -> None:
    plant = without_parameters()
    plant.see(30, g_step=20)
    plant.see(seen_s, g_speed=150.0)
    lose(plant, seen_s, 36)
    look_again(plant, 60, g_step=0)
    assert [item["step"] for item in released(plant)["completeness"]["missing"]] == missing


def test_a_step_that_stood_in_another_run_has_run() -> None:
    plant = without_parameters("1..n")
    plant.see(20, g_step=20)
    plant.see(25, g_step=0)
    plant.see(30, g_step=20)
    lose(plant, 30.1, 31)
    look_again(plant, 60, g_step=0)
    end = released(plant)
    assert len(end["records"]) == 4
    assert (end["status"], end["completeness"]["missing"]) == ("complete", [])


def test_a_required_step_of_which_it_is_learned_late_that_it_was_not_seen_to_stand_is_taken_back() -> None:
    plant = without_parameters()
    plant.see(65, g_step=20)
    plant.see(67, g_step=0)
    plant.order(70, "GRN-201", None, row_s=70)
    plant.alive(71)
    plant.alive(75)
    assert plant.of("batch", transition="end")[-1]["status"] == "complete"
    lose(plant, 65.1, 80, ["g.step"], "not-asked")
    plant.see(80, g_step=0)
    plant.alive(100)
    again = plant.of("batch", transition="end")[-1]
    assert (again["revision"] > 1, again["status"]) == (True, "incomplete")
    assert {item["status"] for item in again["completeness"]["missing"]} == {"not-observed"}
