"""Alarms of a time in which the batch was there and its id was not told yet: they are in its list, and in no other that was not there."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import RUNNING, Plant, equipment, line_of, replayed

from config import Alarm
from config.sections import FromTag

DOOR = Alarm("DOOR", "g.run", "1", equipment="granulator", text="Door open")
AIR = Alarm("AIR", "d.step", "2", text="No compressed air")


def plant_of(*alarms: Alarm, both: bool = False, **more: Any) -> Plant:
    units = (equipment("granulator", "GRN-201", batch_ends="empty", **more), equipment("dryer", "FBD-202", batch_ends="empty"))
    line = line_of(equipment=units, routes=(), alarms=alarms or (DOOR,))
    if both:
        line = replace(line, tags=tuple(replace(t, equipment=("line",)) if t.tag == "d.step" else t for t in line.tags))
    return Plant(line)


def begun(plant: Plant) -> None:
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_speed=0.0, g_speed_sp=250.0)
    plant.see(0, "initial", d_step=0, d_temp=20.0)


def opened(plant: Plant, from_s: float, to_s: float) -> None:
    plant.see(from_s, g_run=1)
    plant.see(to_s, g_run=0)
    plant.alive(to_s + 0.5)


def listed(plant: Plant) -> dict[str, list[tuple[str, str | None]]]:
    """Batch -> its alarms and when they were cleared, of the newest end."""
    ends = {end["batch"]: end for end in plant.of("batch", transition="end")}
    assert all(end["alarm_count"] == len(end["alarms"]) for end in ends.values())
    return {batch: [(alarm["alarm"], alarm["raised"][17:19]) for alarm in end["alarms"]] for batch, end in ends.items()}


def finished(plant: Plant, at_s: float, *units: str) -> None:
    for number, unit in enumerate(units or ("GRN-201",)):
        plant.order(at_s + number, unit, None, row_s=at_s)
    for later in range(1, 13):
        plant.alive(at_s + 10 * later)


def at(plant: Plant, alarm: str) -> list[str]:
    """The seconds at which an alarm was raised, as the record writes them."""
    return [event["at"]["time"][17:19] for event in plant.of("alarm", alarm=alarm, state="raised")]


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_before_the_id_was_told_is_the_batchs_and_one_before_the_batch_is_nobodys() -> None:
    plant = plant_of()
    begun(plant)
    opened(plant, 3, 4)
    opened(plant, 12, 14)
    plant.order(22, "GRN-201", "B1", row_s=9)
    finished(plant, 40)
    assert listed(plant) == {"B1": [("DOOR", at(plant, "DOOR")[1])]}
    assert replayed(plant) == plant.events


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_after_the_next_id_that_was_told_late_leaves_the_batch_before() -> None:
    plant = plant_of()
    begun(plant)
    plant.order(5, "GRN-201", "B1", row_s=4)
    opened(plant, 6, 7)
    opened(plant, 15, 16)
    plant.order(30, "GRN-201", "B2", row_s=10)
    finished(plant, 50)
    first, second = at(plant, "DOOR")
    assert listed(plant) == {"B1": [("DOOR", first)], "B2": [("DOOR", second)]}
    assert replayed(plant, 3) == plant.events


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_that_stood_when_the_next_batch_came_is_in_both() -> None:
    plant = plant_of()
    begun(plant)
    plant.order(5, "GRN-201", "B1", row_s=4)
    opened(plant, 8, 13)
    plant.order(30, "GRN-201", "B2", row_s=10)
    finished(plant, 50)
    (only,) = at(plant, "DOOR")
    assert listed(plant) == {"B1": [("DOOR", only)], "B2": [("DOOR", only)]}


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_after_a_release_that_was_told_late_is_not_the_released_batchs() -> None:
    plant = plant_of()
    begun(plant)
    plant.order(5, "GRN-201", "B1", row_s=4)
    opened(plant, 15, 16)
    finished(plant, 30)
    assert listed(plant)["B1"] == [("DOOR", at(plant, "DOOR")[0])]
    late = plant_of()
    begun(late)
    late.order(5, "GRN-201", "B1", row_s=4)
    opened(late, 15, 16)
    late.order(30, "GRN-201", None, row_s=10)
    for later in range(1, 13):
        late.alive(30 + 10 * later)
    assert listed(late) == {"B1": []}


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_of_several_equipments_stays_with_the_batch_that_is_in_another_of_them() -> None:
    plant = plant_of(AIR, both=True)
    begun(plant)
    plant.order(4, "FBD-202", "B1", row_s=3)
    plant.order(5, "GRN-201", "B1", row_s=4)
    plant.see(15, d_step=2)
    plant.see(16, d_step=0)
    plant.alive(17)
    plant.order(30, "GRN-201", "B2", row_s=10)
    finished(plant, 50, "GRN-201", "FBD-202")
    (only,) = at(plant, "AIR")
    assert listed(plant) == {"B1": [("AIR", only)], "B2": [("AIR", only)]}


@pytest.mark.urs("URS-CTX-03")
def test_what_becomes_of_an_alarm_of_nobody_is_in_the_list_of_the_batch_that_takes_it() -> None:
    plant = plant_of()
    begun(plant)
    plant.see(12, g_run=1)
    plant.alive(13)
    plant.order(22, "GRN-201", "B1", row_s=9)
    opened(plant, 25, 26)
    finished(plant, 40)
    (end,) = plant.of("batch", transition="end")
    assert [(alarm["alarm"], alarm["cleared"] is not None) for alarm in end["alarms"]] == [("DOOR", True)]


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_in_a_step_that_began_before_the_id_is_its_batchs() -> None:
    plant = plant_of(state="g.state", states="packml")
    begun(plant)
    plant.see(2, g_run=1)
    plant.see(3, g_run=0)
    plant.see(5, g_step=20, g_speed=150.0)
    opened(plant, 6, 8)
    plant.order(22, "GRN-201", "B1", row_s=12)
    plant.see(25, g_step=0)
    finished(plant, 40)
    assert {event["to"]["batch"] for event in plant.of("rebind")} == {"B1"}
    assert listed(plant) == {"B1": [("DOOR", at(plant, "DOOR")[1])]}
    assert replayed(plant) == plant.events


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_while_the_id_was_gone_for_a_while_is_the_batchs() -> None:
    none = {"order": None, "product": None, "recipe": None}
    unit = equipment("granulator", "GRN-201", batch=FromTag(tag="g.batch"), batch_ends="change", **none)
    plant = Plant(line_of(equipment=(unit,), routes=(), alarms=(DOOR,)))
    plant.see(0, "initial", g_step=0, g_run=0, g_batch="B1")
    plant.alive(4)
    plant.see(5, g_batch="")
    plant.alive(9)
    opened(plant, 10, 12)
    plant.see(20, g_batch="B1")
    plant.alive(25)
    plant.see(30, g_batch="B2")
    for later in range(1, 13):
        plant.alive(30 + 10 * later)
    assert listed(plant) == {"B1": [("DOOR", at(plant, "DOOR")[0])]}
