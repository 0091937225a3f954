"""An end that is put before what has been summed already: sums can not be taken back, so what rests on that end is not known."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import STEPS, Plant, equipment, line_of, replayed, time

from config import FromRow, Parameter
from config.sections import FromTag

RUNNING = FromRow(row="mes.orders", key="unit_id", column="batch_no", where="status=RUN")
MEANS = (
    Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1),
    Parameter("mix_first", "granulator", "MIX", "value_at_start", "g.speed", decimals=1),
    Parameter("mix_time", "granulator", "MIX", "duration", decimals=1),
    Parameter("batch_mean", "granulator", None, "mean", "g.speed", decimals=1, when="batch"),
)


class Ordered(Plant):
    """A plant whose MES tells orders, sometimes long after they began."""

    def order_row(self, at_s: float, key: str, row_s: float, status: str, change: str = "new") -> None:
        columns = {"unit_id": "GRN-201", "batch_no": f"B{key}", "order_no": f"O{key}", "status": status}
        row = {"key": key, "change": change, "time": time(row_s), "text": None, "row": columns}
        self.happen(at_s, type="message", source="mes", name="orders", rows=[row], since=time(at_s - 1))

    def speeds(self, first_s: int, last_s: int) -> None:
        for at_s in range(first_s, last_s, 5):
            self.see(at_s, g_speed=float(at_s))

    def statuses(self, step: str = "MIX") -> dict[str, str]:
        return {p["parameter"]: p["status"] for p in self.ended(step)["parameters"]}


def plant_of(**more: Any) -> Ordered:
    unit = equipment("granulator", "GRN-201", **{"product": None, "recipe": None, "order": None, **more})
    steps = tuple(replace(step, occurs="0..n") for step in STEPS if step.equipment == "granulator")
    return Ordered(line_of(equipment=(unit,), routes=(), steps=steps, parameters=MEANS))


def taken(plant: Ordered, batch: str) -> tuple[str, str, float | None]:
    """(end of the stay, status and share of the parameter of the stay) in the newest end record of a batch."""
    (stay,) = plant.of("batch", transition="end", batch=batch)[-1]["equipments"]
    return stay["end"]["time"], stay["parameters"][0]["status"], stay["parameters"][0]["covered"]


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
def test_a_stay_that_turns_out_to_have_ended_before_what_was_summed_of_it_is_not_known_by_its_sums() -> None:
    plant = plant_of(batch=RUNNING, batch_ends="empty")
    plant.see(1, "initial", g_step=0, g_speed=1.0)
    plant.order_row(10, "1", 9.5, "RUN")
    plant.speeds(15, 200)
    plant.order_row(201, "1", 200, "CLOSED", "changed")
    plant.speeds(202, 240)
    assert taken(plant, "B1") == (time(200), "present", 1.0)
    plant.order_row(241, "2", 50, "RUN")
    plant.speeds(242, 270)
    assert taken(plant, "B1") == (time(50), "gap", None), "its mean holds readings until after it had ended"
    assert plant.events == replayed(plant)


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
def test_a_stay_whose_parameters_are_final_says_that_its_end_came_too_late_for_them() -> None:
    plant = plant_of(batch=RUNNING, batch_ends="empty")
    plant.see(1, "initial", g_step=0, g_speed=1.0)
    plant.order_row(10, "1", 9.5, "RUN")
    plant.speeds(15, 60)
    plant.order_row(61, "1", 60, "CLOSED", "changed")
    plant.speeds(62, 240)
    assert taken(plant, "B1") == (time(60), "present", 1.0)
    plant.order_row(241, "2", 40, "RUN")
    plant.speeds(242, 270)
    assert taken(plant, "B1") == (time(40), "gap", None)
    (said,) = plant.of("finding", code="late-correction")
    assert (said["evidence"]["batch"], said["evidence"]["equipment"]) == ("B1", "granulator")
    assert plant.events == replayed(plant)


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
def test_what_was_seen_until_its_batch_was_left_is_present_however_late_the_next_batch_comes() -> None:
    plant = plant_of(batch=FromTag(tag="g.batch"), batch_ends="change")
    plant.see(1, "initial", g_step=0, g_speed=1.0, g_batch="")
    plant.see(5, g_batch="B1")
    plant.see(10, g_step=20)
    plant.speeds(10, 50)
    plant.see(50, g_batch="")
    plant.speeds(50, 240)
    plant.see(240.5, g_batch="B2")
    plant.speeds(242, 270)
    mix = plant.ended("MIX")
    assert (mix["batch"], mix["end"]["time"]) == ("B1", time(50))
    assert plant.statuses() == {"mix_mean": "present", "mix_first": "present", "mix_time": "present"}
    mean = plant.parameter("MIX", "mix_mean")
    assert (mean["value"], mean["readings"], mean["min"], mean["max"]) == ("27.5", 8, "10.0", "45.0"), "of 10, 15, ... 45, for 5 s each"
    assert taken(plant, "B1") == (time(50), "present", 1.0)
    assert plant.events == replayed(plant)


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
def test_a_batch_whose_id_comes_back_is_summed_until_its_own_end() -> None:
    plant = plant_of(batch=FromTag(tag="g.batch"), batch_ends="change")
    plant.see(1, "initial", g_step=0, g_speed=1.0, g_batch="")
    plant.see(5, g_batch="B1")
    plant.speeds(10, 50)
    plant.see(50, g_batch="")
    plant.speeds(50, 140)
    plant.see(140, g_batch="B1")
    plant.speeds(140, 240)
    plant.see(240, g_batch="")
    plant.speeds(240, 400)
    plant.see(400, g_batch="B2")
    plant.speeds(400, 420)
    assert taken(plant, "B1") == (time(240), "present", 1.0)
    (stay,) = plant.of("batch", transition="end", batch="B1")[-1]["equipments"]
    assert (stay["parameters"][0]["readings"], stay["parameters"][0]["max"]) == (46, "235.0")
    assert plant.events == replayed(plant)
