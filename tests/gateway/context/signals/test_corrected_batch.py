"""The batch number of the order that runs is corrected in its row: one batch, under its right number; the wrong one was never there."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from kit.plant import STEPS, Plant, equipment, line_of, replayed, time

from config import Alarm, Parameter
from config.grammars.terms import Term
from config.materials import Booking
from config.sections import FromRow

LOTS = Booking("weigh", "granulator", "mes.lots", kind="consume", occurs="1..n", lot=Term("row", "lot"))
MIX = (
    Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1),
    Parameter("batch_mean", "granulator", None, "mean", "g.speed", decimals=1, when="batch"),
)
WHERE = FromRow(row="mes.orders", key="unit_id", column="batch_no", where="status=RUN")


class Corrected(Plant):
    """A plant whose MES tells orders, and corrects them."""

    def row(self, at_s: float, key: str, change: str = "new", *, unit: str = "GRN-201", name: str = "orders", **columns: Any) -> None:
        row = {"key": key, "change": change, "time": time(at_s), "text": None, "row": {"unit_id": unit, **columns}}
        self.happen(at_s + 0.3, type="message", source="mes", name=name, rows=[row])

    def run_on(self, first_s: int, last_s: int) -> None:
        """Let a granulator go on that mixes: its speed is read each second."""
        for at_s in range(first_s, last_s):
            self.see(at_s, g_speed=100.0 + at_s % 2)
            self.alive(at_s + 0.5)

    def batches(self) -> list[tuple[str, str, str | None]]:
        return [(e["transition"], e["batch"], e.get("cause")) for e in self.of("batch")]

    def codes(self) -> set[str]:
        return {event["code"] for event in self.of("finding")}


def plant_of(key: str | list[str] = "id", *, dryer: bool = False, parameters: tuple[Parameter, ...] = MIX, **more: Any) -> Corrected:
    plain = {"product": None, "recipe": None, **more}
    units = (equipment("granulator", "GRN-201", **plain), *((equipment("dryer", "FBD-202", **plain),) if dryer else ()))
    names = {unit.name for unit in units}
    steps = tuple(replace(step, occurs="0..n") for step in STEPS if step.equipment in names)
    line = line_of(equipment=units, routes=(), steps=steps, parameters=parameters, materials=(LOTS,))
    orders = {"query": [{"name": "orders", "key": key}, {"name": "lots", "key": "id"}]}
    sources = tuple(replace_options(source, orders) if source.name == "mes" else source for source in line.sources)
    return Corrected(replace(line, sources=sources))


def replace_options(source: Any, options: dict[str, Any]) -> Any:
    return source.model_copy(update={"options": options})


def begun(plant: Corrected, batch: str = "B1") -> None:
    """The order runs, a lot is weighed, one mixing is recorded, the next one goes on."""
    plant.see(0, "initial", g_step=0, g_run=0, g_speed=100.0)
    plant.row(1, "7", order_no="O7", batch_no=batch, status="RUN")
    plant.alive(5)
    plant.see(6, g_step=20)
    plant.row(8, "L1", name="lots", lot="LOT-1")
    plant.run_on(9, 16)
    plant.see(16, g_step=30)
    plant.run_on(17, 30)


def ended(plant: Corrected, at_s: int) -> None:
    plant.see(at_s, g_step=0)
    plant.row(at_s + 2, "8", order_no="O8", batch_no="B9", status="RUN")
    plant.run_on(at_s + 3, at_s + 30)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_corrected_number_gives_all_of_the_order_to_the_right_batch() -> None:
    plant = plant_of()
    begun(plant)
    assert plant.of("step", transition="end", step="MIX")[0]["batch"] == "B1"
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 50)
    assert plant.batches() == [("start", "B1", None), ("start", "B2", None), ("leave", "B1", "corrected"), ("end", "B1", "corrected")]
    assert {e["superseded_by"] for e in plant.of("batch", cause="corrected")} == {"B2"}
    assert plant.of("batch", transition="start", batch="B2")[0]["start"]["time"] == time(1), "it was this batch from the beginning"
    bound = [(e["supersedes"], e["record"], e["reason"]) for e in plant.of("rebind")]
    place = "lyon/granulation-2"
    assert bound == [
        (f"{place}/B1/granulator/{step}/1", f"{place}/B2/granulator/{step}/1", "source-corrected") for step in ("GRANULATE", "MIX", "WET")
    ]
    ended(plant, 50)
    end = plant.of("batch", transition="end", batch="B2")[0]
    assert (end["cause"], end["start"]["time"], [line["lot"]["raw"] for line in end["materials"]]) == ("completed", time(1), ["LOT-1"])
    assert [r["record"] for r in end["records"]] == [f"{place}/B2/granulator/{step}/1" for step in ("GRANULATE", "MIX", "WET")]
    assert end["equipments"][0]["parameters"][0]["status"] == "present", "what was gathered for the batch is whole"
    wrong = plant.of("batch", transition="end", batch="B1")[-1]
    assert (wrong["records"], wrong["materials"], wrong["status"]) == ([], [], "incomplete")
    assert [m["parameters"] for m in wrong["equipments"]] == [[]]
    (said,) = plant.of("finding", code="batch-corrected")
    evidence = {"equipment": "granulator", "batch": "B2", "old": "B1", "new": "B2", "key": "7", "final": [], "final_count": 0}
    assert (said["severity"], said["evidence"]) == ("warning", evidence)
    assert "step-missing" not in plant.codes()
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize("key", ["unit_id", ["plant", "unit_id"]])
def test_the_row_of_a_unit_tells_the_next_batch(key: str | list[str]) -> None:
    plant = plant_of(key)
    begun(plant)
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 50)
    assert plant.batches()[:4] == [("start", "B1", None), ("leave", "B1", "completed"), ("start", "B2", None), ("end", "B1", "completed")]
    assert "batch-corrected" not in plant.codes()


def test_a_row_that_goes_on_to_another_order_tells_the_next_batch() -> None:
    plant = plant_of()
    begun(plant)
    plant.row(30, "7", "changed", order_no="O8", batch_no="B2", status="RUN")
    plant.run_on(31, 50)
    assert ("leave", "B1", "completed") in plant.batches()
    assert "batch-corrected" not in plant.codes()


@pytest.mark.urs("URS-CTX-03")
def test_a_batch_in_two_equipments_goes_over_where_its_row_is_corrected() -> None:
    plant = plant_of(dryer=True)
    begun(plant)
    plant.row(30, "9", unit="FBD-202", order_no="O7", batch_no="B1", status="RUN")
    plant.run_on(31, 35)
    plant.row(35, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(36, 55)
    contexts = [plant.fold.context(name)["batch"] for name in ("granulator", "dryer")]
    assert contexts == ["B2", "B1"]
    assert plant.of("batch", transition="end") == [], "B1 still stands in the dryer's row"
    plant.row(55, "9", "changed", unit="FBD-202", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(56, 75)
    (end,) = plant.of("batch", transition="end")
    assert (end["batch"], end["cause"], end["superseded_by"]) == ("B1", "corrected", "B2")
    left = [(e["equipment"], e["cause"], e["superseded_by"]) for e in plant.of("batch", transition="leave")]
    assert left == [("granulator", "corrected", "B2"), ("dryer", "corrected", "B2")]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_a_row_that_was_left_is_corrected_without_any_effect_but_the_finding() -> None:
    plant = plant_of()
    begun(plant)
    ended(plant, 30)
    before = plant.batches()
    plant.row(60, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(61, 80)
    assert plant.batches() == before
    assert plant.of("rebind") == []
    assert "source-row-changed" in plant.codes()
    assert "batch-corrected" not in plant.codes()


def test_a_batch_that_its_state_ended_is_not_begun_anew_by_a_correction() -> None:
    plant = plant_of(state="g.state", states="packml", batch_ends="state:Held")
    begun(plant)
    plant.see(30, g_step=0, g_state=11)
    plant.run_on(31, 40)
    assert plant.batches()[-1] == ("end", "B1", "completed")
    plant.row(40, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(41, 60)
    assert plant.batches()[-1] == ("end", "B1", "completed")
    assert plant.fold.context("granulator")["batch"] is None
    plant.row(60, "8", order_no="O8", batch_no="B3", status="RUN")
    plant.run_on(61, 70)
    assert plant.batches()[-1] == ("start", "B3", None)
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-09")
def test_records_that_are_final_go_over_as_they_stand() -> None:
    plant = plant_of()
    begun(plant)
    plant.run_on(30, 160)
    (made,) = plant.of("step", transition="end", step="MIX")
    plant.row(160, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(161, 180)
    (said,) = plant.of("finding", code="batch-corrected")
    assert said["evidence"]["final"] == []
    wrong, right = (f"lyon/granulation-2/{batch}/granulator/MIX/1" for batch in ("B1", "B2"))
    (bound,) = plant.of("rebind", step="MIX")
    assert (bound["supersedes"], bound["record"], bound["reason"]) == (wrong, right, "source-corrected")
    assert bound["final"]["revision"] == made["revision"]
    assert bound["evidence"] == made["evidence"]
    end = plant.of("batch", transition="end", batch="B1")[-1]
    assert (end["cause"], end["records"], end["completeness"]["missing"]) == ("corrected", [], [])
    ended(plant, 180)
    last = plant.of("batch", transition="end", batch="B2")[0]
    listed = next(record for record in last["records"] if record["record"] == right)
    assert listed == {"record": right, **bound["final"]}
    assert [line["lot"]["raw"] for line in last["materials"]] == ["LOT-1"], "a booking that is held goes over, however old it is"
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_a_number_that_is_corrected_when_its_order_is_closed_is_corrected_all_the_same() -> None:
    """Between two looks the MES wrote the right number, and then that the order is over."""
    plant = plant_of(batch=WHERE, batch_ends="empty")
    begun(plant)
    plant.see(30, g_step=0)
    plant.run_on(31, 40)
    plant.row(40, "7", "changed", order_no="O7", batch_no="B2", status="CLOSED")
    plant.run_on(41, 60)
    assert sorted(plant.batches()[1:5]) == [
        ("end", "B1", "corrected"),
        ("leave", "B1", "corrected"),
        ("leave", "B2", "completed"),
        ("start", "B2", None),
    ]
    (end,) = plant.of("batch", transition="end", batch="B2")
    assert (end["cause"], end["end"]["time"], len(end["records"])) == ("completed", time(40), 3)


def test_a_correction_that_is_taken_back_gives_all_back() -> None:
    plant = plant_of()
    begun(plant)
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 40)
    plant.row(40, "7", "changed", order_no="O7", batch_no="B1", status="RUN")
    plant.run_on(41, 60)
    ended(plant, 60)
    ends = [(e["batch"], e["revision"], e["cause"], len(e["equipments"])) for e in plant.of("batch", transition="end")]
    assert ends == [("B1", 1, "corrected", 1), ("B2", 1, "corrected", 1), ("B1", 2, "completed", 1)]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_a_number_that_is_corrected_before_it_counted_is_the_only_one() -> None:
    plant = plant_of()
    plant.see(0, "initial", g_step=0, g_run=0, g_speed=100.0)
    plant.row(1, "7", order_no="O7", batch_no="B1", status="RUN")
    plant.row(1.5, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(2, 20)
    assert plant.batches() == [("start", "B2", None)]
    assert plant.of("batch")[0]["start"]["time"] == time(1)


def test_a_number_that_another_order_of_the_unit_bears_too_is_not_corrected_away() -> None:
    plant = plant_of()
    begun(plant)
    plant.row(30, "8", order_no="O8", batch_no="B1", status="RUN")
    plant.row(40, "8", "changed", order_no="O8", batch_no="B2", status="RUN")
    plant.run_on(41, 60)
    assert plant.batches()[:3] == [("start", "B1", None), ("leave", "B1", "completed"), ("start", "B2", None)]


@pytest.mark.urs("URS-CTX-03")
def test_an_alarm_of_the_equipment_is_listed_with_the_right_batch() -> None:
    plant = plant_of()
    door = Alarm("DOOR", "g.run", "1", equipment="granulator", text="Door open")
    plant = Corrected(replace(plant.line, alarms=(door,)))
    begun(plant)
    plant.see(28.2, g_run=1)
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 40)
    plant.see(40.2, g_run=0)
    ended(plant, 50)
    ends = {e["batch"]: e for e in plant.of("batch", transition="end")}
    assert (ends["B1"]["alarms"], ends["B1"]["alarm_count"]) == ([], 0)
    (alarm,) = ends["B2"]["alarms"]
    assert (alarm["alarm"], alarm["raised"] is None, alarm["cleared"] is None) == ("DOOR", False, False)


@pytest.mark.urs("URS-CTX-03")
def test_alarms_of_an_earlier_stay_in_the_wrong_batch_stay_there() -> None:
    """The granulator was in B1, then in B9, and the row that brought it back to B1 was wrong."""
    door = Alarm("DOOR", "g.run", "1", equipment="granulator", text="Door open")
    plant = Corrected(replace(plant_of(dryer=True).line, alarms=(door,)))
    begun(plant)
    plant.row(28, "D", unit="FBD-202", order_no="O7", batch_no="B1", status="RUN")
    plant.see(28.5, g_run=1)
    plant.see(29, g_run=0)
    ended(plant, 30)
    plant.row(60, "7", "deleted", order_no="O7", batch_no="B1", status="RUN")
    plant.row(61, "9", order_no="O9", batch_no="B1", status="RUN")
    plant.run_on(62, 70)
    plant.see(70.2, g_run=1)
    plant.see(71, g_run=0)
    plant.row(80, "9", "changed", order_no="O9", batch_no="B2", status="RUN")
    plant.run_on(81, 90)
    batches = plant.fold.state.batches
    assert [[a["raised"] for a in batches[name].alarms] for name in ("B1", "B2")] == [[time(28.5)], [time(70.2)]]
    assert [batches[name].alarm_count for name in ("B1", "B2")] == [1, 1]


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_number_that_was_wrong_may_be_right_later_and_has_then_run_nothing_yet() -> None:
    plant = plant_of()
    steps = tuple(replace(step, occurs="1") for step in plant.line.steps)
    plant = Corrected(replace(plant.line, steps=steps))
    begun(plant)
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 40)
    plant.see(40, g_step=0)
    plant.row(42, "8", order_no="O8", batch_no="B1", status="RUN")
    plant.run_on(43, 60)
    plant.row(60, "9", order_no="O9", batch_no="B3", status="RUN")
    plant.run_on(61, 80)
    ends = [(e["batch"], e["revision"], e["cause"], e["status"]) for e in plant.of("batch", transition="end")]
    assert [end[:3] for end in ends] == [("B1", 1, "corrected"), ("B2", 1, "completed"), ("B1", 2, "completed")]
    missing = [e["evidence"]["step"] for e in plant.of("finding", code="step-missing") if e["evidence"]["batch"] == "B1"]
    assert missing == ["GRANULATE", "MIX", "WET"], "what went over to B2 did not run in B1"
    assert ends[-1][3] == "incomplete"


@pytest.mark.urs("URS-CTX-04")
def test_a_step_is_not_repeated_where_its_first_run_went_over() -> None:
    plant = plant_of()
    plant = Corrected(replace(plant.line, steps=tuple(replace(step, occurs="1") for step in plant.line.steps)))
    begun(plant)
    plant.row(30, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(31, 40)
    plant.see(40, g_step=0)
    plant.row(42, "8", order_no="O8", batch_no="B1", status="RUN")
    plant.run_on(43, 50)
    plant.see(50, g_step=20)
    plant.run_on(51, 60)
    assert [e["batch"] for e in plant.of("step", transition="start", step="MIX")] == ["B1", "B1"]
    assert "step-repeated" not in plant.codes(), "the first of them is B2's by now"


@pytest.mark.urs("URS-CTX-03", "URS-CTX-09")
@pytest.mark.parametrize("until_s", [40, 160])
def test_events_at_which_parameters_were_taken_go_over_with_their_numbers(until_s: int) -> None:
    at_lot = Parameter("speed_at_lot", "granulator", None, "value_at_start", "g.speed", decimals=0, when="event", event="material:weigh")
    plant = plant_of(parameters=(at_lot,))
    begun(plant)
    plant.run_on(30, until_s)
    plant.row(until_s, "7", "changed", order_no="O7", batch_no="B2", status="RUN")
    plant.run_on(until_s + 1, until_s + 10)
    plant.row(until_s + 10, "L2", name="lots", lot="LOT-2")
    plant.run_on(until_s + 11, until_s + 20)
    ended(plant, until_s + 20)
    end = plant.of("batch", transition="end", batch="B2")[0]
    (stay,) = end["equipments"]
    assert [(p["event"], p["occurrence"], p["status"]) for p in stay["parameters"]] == [
        ("material:weigh", 1, "present"),
        ("material:weigh", 2, "present"),
    ]
    assert "not_applicable" not in end["completeness"]
    plant.row(until_s + 60, "9", order_no="O9", batch_no="B1", status="RUN")
    plant.run_on(until_s + 61, until_s + 70)
    plant.see(until_s + 70, g_step=0)
    plant.row(until_s + 71, "10", order_no="O10", batch_no="B3", status="RUN")
    plant.run_on(until_s + 72, until_s + 90)
    idle = plant.of("batch", transition="end", batch="B1")[-1]["completeness"]["not_applicable"]
    assert [(item["parameter"], item["reason"]) for item in idle] == [("speed_at_lot", "the event did not happen")]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
