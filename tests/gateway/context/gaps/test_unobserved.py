"""Steps that were over before anybody could see them: the record says that they were not observed, not that they did not run."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import PARAMETERS, RUNNING, STEPS, Plant, begin, line_of, replayed, time

from config import Parameter, Step

LINE = line_of(routes=())


def lose(plant: Plant, start_s: float, detected_s: float) -> None:
    gap = {"gap": f"g-plc/{start_s:g}", "source": "g-plc", "tags": "all", "start": time(start_s), "detected": time(detected_s)}
    plant.happen(detected_s, type="gap", transition="open", cause="link-lost", detail="", **gap)


def look_again(plant: Plant, at_s: float, step: int) -> None:
    standing = {"g_step": step, "g_run": 0, "g_state": RUNNING, "g_user": "jdupont", "g_speed": 200.0, "g_speed_sp": 250.0, "g_batch": ""}
    plant.see(at_s, "initial", entry_s=at_s, **standing)


def ended(plant: Plant, at_s: float) -> dict[str, Any]:
    plant.order(at_s, "GRN-201", None, row_s=at_s)
    plant.alive(at_s + 1)
    plant.alive(at_s + 20)
    (end,) = plant.of("batch", transition="end", batch="B1")
    assert replayed(plant) == plant.events
    return end


def step_item(end: dict[str, Any], step: str) -> dict[str, Any]:
    (item,) = [item for item in end["completeness"]["missing"] if item["step"] == step and item["parameter"] is None]
    return item


@pytest.mark.urs("URS-CTX-05", "URS-CTX-08")
def test_a_step_that_must_lie_in_a_gap_was_not_observed_and_is_not_called_skipped() -> None:
    """MIX has to run before WET; after the gap WET runs."""
    plant = Plant(LINE)
    begin(plant)
    plant.see(10, g_step=0, g_speed=1.0)
    lose(plant, 10, 13)
    look_again(plant, 70, 30)
    plant.see(80, g_step=0)
    plant.alive(82)
    assert not plant.of("finding", code="step-skipped")
    (finding,) = plant.of("finding", code="step-not-observed")
    assert (finding["evidence"]["not_observed"], finding["evidence"]["unseen"]) == ("MIX", [{"start": time(10), "end": time(70)}])

    end = ended(plant, 90)
    assert (step_item(end, "MIX")["status"], end["status"]) == ("not-observed", "incomplete")
    assert not plant.of("finding", code="step-missing")
    assert plant.of("finding", code="step-not-observed")[-1]["evidence"]["step"] == "MIX"
    assert not plant.of("step", step="MIX"), "no record is made of what nobody saw"


@pytest.mark.urs("URS-CTX-05", "URS-CTX-08")
def test_a_step_that_did_not_run_while_everything_was_seen_is_missing() -> None:
    plant = Plant(LINE)
    begin(plant)
    plant.see(10, g_step=30, g_speed=1.0)
    plant.see(20, g_step=0)
    plant.alive(22)
    assert plant.of("finding", code="step-skipped")[0]["evidence"]["skipped"] == ["MIX"]
    assert step_item(ended(plant, 30), "MIX")["status"] == "missing"
    lose(plant, 60, 63)  # afterwards
    assert not plant.of("finding", code="step-not-observed")


@pytest.mark.urs("URS-CTX-08")
def test_a_gap_of_before_the_batch_or_of_another_signal_hides_no_step_of_it() -> None:
    plant = Plant(LINE)
    begin(plant)
    plant.order(6, "GRN-201", None, row_s=6)
    lose(plant, 7, 8)
    look_again(plant, 9, 0)
    plant.order(10, "GRN-201", "B2", row_s=10)
    gap = {"gap": "g-plc/x", "source": "g-plc", "tags": ["g.speed"], "start": time(11), "detected": time(12)}
    plant.happen(12, type="gap", transition="open", cause="silence", detail="", **gap)
    plant.see(20, g_speed=5.0)
    plant.order(30, "GRN-201", None, row_s=30)
    plant.alive(31)
    plant.alive(50)
    (end,) = plant.of("batch", transition="end", batch="B2")
    assert step_item(end, "MIX")["status"] == "missing"


@pytest.mark.urs("URS-CTX-08")
def test_a_batch_that_came_and_went_in_one_gap_had_its_steps_unseen() -> None:
    plant = Plant(LINE)
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=0.0, g_speed_sp=250.0)
    lose(plant, 2, 3)
    plant.order(5, "GRN-201", "B1", row_s=4)
    plant.order(11, "GRN-201", None, row_s=10.5)
    look_again(plant, 70, 0)
    plant.alive(80)
    plant.alive(100)
    (end,) = plant.of("batch", transition="end", batch="B1")
    assert {item["step"]: item["status"] for item in end["completeness"]["missing"]} == dict.fromkeys(
        ("GRANULATE", "MIX", "WET"), "not-observed"
    )


@pytest.mark.urs("URS-CTX-08")
def test_a_batch_of_before_the_first_entry_may_have_had_steps_that_nobody_saw() -> None:
    plant = Plant(LINE)
    plant.see(0, "initial", g_step=30, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=0.0, g_speed_sp=250.0)
    plant.order(5, "GRN-201", "B1", row_s=-600)
    plant.alive(11)
    plant.see(20, g_step=0)
    end = ended(plant, 30)
    assert step_item(end, "MIX")["status"] == "not-observed"


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize("lost", [False, True])
def test_nobody_says_of_an_optional_step_that_it_did_not_run_while_nobody_looked(*, lost: bool) -> None:
    rinse = Step("RINSE", "granulator", "phase", "g.step", "40..49", parent="GRANULATE", occurs="0..1", order=3)
    parameters = (*PARAMETERS, Parameter("rinse_mean", "granulator", "RINSE", "mean", "g.speed"))
    plant = Plant(replace(LINE, steps=(*STEPS, rinse), parameters=parameters))
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=30)
    if lost:
        lose(plant, 22, 23)
        look_again(plant, 28, 30)
    plant.see(40, g_step=0)
    (idle,) = ended(plant, 50)["completeness"]["not_applicable"]
    seen = "the step did not run, and need not"
    assert idle["reason"] == ("the step was not seen to run, and need not; nobody saw its signal throughout" if lost else seen)
