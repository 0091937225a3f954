"""What a batch that is under way lacks so far is what its end lists then, as far as it has happened."""

from typing import Any

import pytest
from kit.plant import RUNNING, Plant, begin, line_of, time


@pytest.fixture
def plant() -> Plant:
    """MIX runs in B1, last seen at 11."""
    made = Plant(line_of(routes=()))
    begin(made)
    made.see(10, g_step=20, g_speed=100.0)
    made.see(11, g_speed=110.0)
    return made


def told(plant: Plant) -> dict[str, Any]:
    told = plant.fold.context("granulator")["so_far"]
    assert isinstance(told, dict)
    return told


def lose(plant: Plant, start_s: float, detected_s: float) -> None:
    gap = {"gap": f"g-plc/{plant.seq}", "source": "g-plc", "tags": "all", "start": time(start_s), "detected": time(detected_s)}
    plant.happen(detected_s, type="gap", transition="open", cause="link-lost", detail="", **gap)


@pytest.mark.urs("URS-OBS-02")
def test_a_gap_is_told_while_it_hides_something_and_counted_as_the_end_lists_it(plant: Plant) -> None:
    before = told(plant)
    assert (before["batch"], before["since"], before["gaps"], before["hidden_by"]) == ("B1", time(4), 0, [])
    lose(plant, 11, 15)
    during = told(plant)
    assert (during["gaps"], during["hidden_by"]) == (1, ["g-plc"])
    plant.see(20, g_step=20, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=110.0, g_speed_sp=250.0, g_batch="")
    after = told(plant)
    assert (after["gaps"], after["hidden_by"]) == (1, []), "what was missed stays missed"
    plant.see(30, g_step=0)
    plant.see(40, g_speed=0.0)
    missed = told(plant)
    plant.order(41, "GRN-201", None, row_s=41)
    plant.see(60, g_speed=0.0)
    (end,) = plant.of("batch", transition="end")
    assert end["gap_count"] == after["gaps"]
    listed = end["completeness"]["missing"]
    assert missed["missing"] == len(missed["missing_items"]) > 0
    assert [item for item in missed["missing_items"] if item not in listed] == []
    assert plant.fold.context("granulator")["so_far"] is None


def test_an_equipment_without_a_batch_lacks_nothing() -> None:
    assert Plant(line_of()).fold.context("granulator")["so_far"] is None
