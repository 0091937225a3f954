"""A change is observed only if its signal was seen to stand still: a gap within that time leaves it open, whenever it is learned."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from kit.lost_signals import BOUNDED, UNKNOWN, edge, ended, is_said_again, keyed, look_again, lose, one_step
from kit.plant import RUNNING, STEPS, Plant, begin, equipment, line_of, time

from config import Step
from config.sections import FromTag
from gateway.context.gaps import gaps


@pytest.fixture
def plant() -> Plant:
    return one_step()


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_step_that_was_lost_before_it_stood_began_nobody_knows_when(plant: Plant) -> None:
    plant.see(30, g_step=20)
    plant.see(30.3, g_speed=150.0)
    lose(plant, 30.3, 31)
    look_again(plant, 32, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(50)
    assert (edge(ended(plant), "start"), edge(ended(plant), "end")) == (("inferred-from-gap", 2.0), ("observed", 1.0))
    assert {p["status"] for p in ended(plant)["parameters"]} == {"gap"}
    assert plant.parameter("MIX", "mix_time")["uncertain_s"] == 3.0
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize(("accepted_s", "status"), [(1.9, "gap"), (2.0, "present")])
def test_a_step_that_was_lost_before_it_stood_began_until_it_was_seen_again_and_a_row_may_accept_that(
    accepted_s: float, status: str
) -> None:
    rows = tuple(replace(row, max_window_s=accepted_s, limit_source="none", low=None, high=None) for row in line_of().parameters)
    plant = Plant(line_of(routes=(), parameters=rows))
    begin(plant)
    plant.see(30, g_step=20, g_speed=100.0, g_speed_sp=250.0)
    lose(plant, 30.3, 31, ["g.step"])
    plant.see(32, "initial", entry_s=32, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(50)
    assert plant.parameter("MIX", "mix_sp")["status"] == status


@pytest.mark.parametrize("then", ["another value", "another gap"])
def test_a_value_that_does_not_stand_after_the_gap_either_bounds_nothing(plant: Plant, then: str) -> None:
    plant.see(30, g_step=20)
    plant.see(30.3, g_speed=150.0)
    lose(plant, 30.3, 31)
    look_again(plant, 32, g_step=20)
    if then == "another value":
        plant.see(32.2, g_step=0)
    else:
        lose(plant, 32.2, 33)
        look_again(plant, 40, g_step=0)
    plant.alive(50)
    assert edge(ended(plant), "start") == UNKNOWN
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_step_whose_end_did_not_stand_before_it_was_lost_ended_nobody_knows_when(plant: Plant) -> None:
    plant.see(30, g_step=20)
    plant.see(40, g_step=0)
    lose(plant, 40.1, 41)
    look_again(plant, 60)
    plant.alive(70)
    assert (edge(ended(plant), "start"), edge(ended(plant), "end"), ended(plant)["cause"]) == (
        ("observed", 1.0),
        ("inferred-from-gap", 20.0),
        "unknown",
    )
    told = {name: plant.parameter("MIX", name)["status"] for name in ("mix_time", "mix_mean", "mix_sp")}
    assert told == {"mix_time": "gap", "mix_mean": "gap", "mix_sp": "present"}, "the set point rests on the start alone"


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


@pytest.mark.parametrize("start_s", [30.5, 31.0])
def test_a_gap_after_the_settling_time_leaves_the_change_observed(plant: Plant, start_s: float) -> None:
    plant.see(30, g_step=20)
    plant.see(start_s, g_speed=150.0)
    lose(plant, start_s, 33)
    look_again(plant, 34, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(50)
    assert edge(ended(plant), "start") == ("observed", 1.0)


def test_an_outage_without_loss_hides_nothing(plant: Plant) -> None:
    plant.see(30, g_step=20)
    lose(plant, 30.2, 31)
    plant.happen(35, type="source", source="g-plc", state="resumed", tags="all", observed=time(35))
    plant.see(36, g_speed=150.0)
    plant.see(40, g_step=0)
    plant.alive(50)
    assert (edge(ended(plant), "start"), edge(ended(plant), "end")) == (("observed", 1.0), ("observed", 1.0))


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize("learned_s", [30.8, 44.0, 55.0])
def test_a_starved_signal_is_corrected_whenever_that_is_learned(plant: Plant, learned_s: float) -> None:
    """Only the step's polls starve; the source is alive. Before the end, before the record, or after it."""
    plant.see(30, g_step=20)
    plant.see(30.7, g_speed=150.0)
    for second in (43, 50):
        if second < learned_s:
            plant.see(second, g_speed=second)
    lose(plant, 30, learned_s, ["g.step"], "not-asked")
    plant.see(learned_s, g_step=20 if learned_s < 40 else 0)
    if learned_s < 40:
        plant.see(40, g_step=0)
    plant.alive(70)
    assert edge(plant.of("step", transition="start", step="MIX")[0], "start") == ("observed", 1.0), "so it was known then"
    assert edge(ended(plant), "start") == (("inferred-from-gap", round(learned_s - 30, 1)) if learned_s < 40 else UNKNOWN)
    assert {p["status"] for p in ended(plant)["parameters"]} == {"gap"}
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09", "URS-DAQ-06")
def test_a_record_is_made_again_when_it_is_learned_that_its_end_was_not_seen_to_stand(plant: Plant) -> None:
    plant.see(30, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(42)
    assert (edge(ended(plant), "end"), ended(plant)["cause"], ended(plant)["revision"]) == (("observed", 1.0), "completed", 1)
    lose(plant, 40, 45, ["g.step"], "not-asked")
    plant.see(45, g_step=0)
    plant.alive(60)
    again = ended(plant)
    assert (again["revision"], again["reason"], again["cause"], edge(again, "end")) == (
        2,
        "late-data",
        "unknown",
        ("inferred-from-gap", 5.0),
    )
    assert {"end", "cause"} <= {change["path"] for change in again["changed"]}
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_back_from_a_value_that_may_never_have_stood_nobody_knows_whether_the_step_ended(plant: Plant) -> None:
    plant.see(25, g_step=20)
    plant.see(30, g_step=30)
    lose(plant, 30.1, 31)
    look_again(plant, 35, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(50)
    first, second = ended(plant), ended(plant, run=2)
    assert (edge(first, "start"), edge(first, "end")) == (("observed", 1.0), UNKNOWN)
    assert (edge(ended(plant, "WET"), "start"), edge(second, "start")) == (UNKNOWN, UNKNOWN)


def test_to_a_third_value_the_window_is_the_gap(plant: Plant) -> None:
    plant.see(25, g_step=20)
    plant.see(30, g_step=30)
    lose(plant, 30.1, 31)
    look_again(plant, 35, g_step=40)
    plant.see(40, g_step=0)
    plant.alive(50)
    assert edge(ended(plant, "WET"), "end") == ("inferred-from-gap", 4.9)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_key_that_goes_back_right_after_a_gap_may_have_been_another_one_all_through_it() -> None:
    plant = keyed()
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 50)
    look_again(plant, 60, g_step=20, g_run=2)
    plant.see(60.2, g_run=1)
    plant.alive(70)
    plant.see(80, g_step=0)
    plant.alive(90)
    told = [(edge(ended(plant, run=run), "start"), edge(ended(plant, run=run), "end")) for run in (1, 2, 3)]
    assert told == [(("observed", 1.0), UNKNOWN), (UNKNOWN, UNKNOWN), (UNKNOWN, ("observed", 1.0))]
    statuses = [[p["status"] for p in ended(plant, run=run)["parameters"] if p["parameter"] == "mix_time"] for run in (1, 2, 3)]
    assert statuses == [["gap"], ["gap"], ["gap"]], "perhaps it was one run, perhaps three: nobody saw"
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_step_that_is_off_right_after_a_gap_and_on_again_may_have_been_off_all_through_it(plant: Plant) -> None:
    plant.see(30, g_step=20)
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 50)
    look_again(plant, 60, g_step=0)
    plant.see(60.2, g_step=20)
    plant.alive(70)
    assert edge(ended(plant), "end") == UNKNOWN
    assert edge(plant.of("step", transition="start", step="MIX", run=2)[0], "start") == UNKNOWN
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_value_right_after_a_gap_that_a_third_one_follows_may_have_stood_all_through_it(plant: Plant) -> None:
    """Whether its own step ran, nobody saw; the third one's began when it was read; one that both mean began in the gap."""
    plant.see(25, g_step=0)
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 50)
    look_again(plant, 60, g_step=20)
    plant.see(60.2, g_step=30)
    plant.alive(70)
    plant.see(80, g_step=0)
    plant.alive(90)
    around = ended(plant, "GRANULATE", run=2)
    assert (edge(around, "start"), edge(around, "end")) == (("inferred-from-gap", 20.0), ("observed", 1.0)), "both values mean it"
    assert (edge(ended(plant), "start"), edge(ended(plant), "end")) == (UNKNOWN, ("observed", 1.0))
    assert {p["status"] for p in ended(plant)["parameters"]} == {"gap"}
    assert (edge(ended(plant, "WET"), "start"), edge(ended(plant, "WET"), "end")) == (("observed", 1.0), ("observed", 1.0))
    assert plant.of("finding", code="unsettled") == []
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_key_right_after_a_gap_that_a_third_one_follows_may_have_had_a_run_in_it() -> None:
    plant = keyed()
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 50)
    look_again(plant, 60, g_step=20, g_run=2)
    plant.see(60.2, g_run=3)
    plant.alive(70)
    plant.see(80, g_step=0)
    plant.alive(90)
    told = [(edge(ended(plant, run=run), "start"), edge(ended(plant, run=run), "end")) for run in (1, 2, 3)]
    assert told == [
        (("observed", 1.0), ("inferred-from-gap", 20.0)),
        (UNKNOWN, ("observed", 1.0)),
        (("observed", 1.0), ("observed", 1.0)),
    ]
    is_said_again(plant)


@pytest.mark.parametrize("gap_s", [None, 59.9])
def test_a_value_that_can_not_have_stood_is_none(plant: Plant, gap_s: float | None) -> None:
    """Also where it was read after a gap: one that is shorter than the settling time hides nothing that stood."""
    plant.see(30, g_step=20)
    if gap_s is not None:
        plant.see(gap_s, g_speed=150.0)
        lose(plant, gap_s, 59.95)
    look_again(plant, 60, g_step=0)
    plant.see(60.2, g_step=20)
    plant.alive(70)
    assert plant.of("step", transition="end", step="MIX") == []


@pytest.mark.urs("URS-CTX-02", "URS-DAQ-06")
@pytest.mark.parametrize("read", ["after the gap", "before the gap", "before a gap that is learned late"])
def test_an_id_that_may_have_stood_unseen_between_the_same_one_is_a_batch_of_unknown_times(read: str) -> None:
    unit = equipment("granulator", "GRN-201", batch=FromTag(tag="g.batch"), order=None, product=None, recipe=None, batch_ends="change")
    plant = Plant(line_of(equipment=(unit,), routes=()))
    look_again(plant, 0)
    plant.see(20, g_batch="B1")
    plant.alive(25)
    if read == "after the gap":
        lose(plant, 40, 50)
        look_again(plant, 60, g_batch="B2")
        plant.see(60.2, g_batch="B1")
    else:
        plant.see(40, g_batch="B2")
        lose(plant, 40.1, 50 if "late" in read else 41)
        look_again(plant, 60, g_batch="B1")
    plant.alive(70)
    starts = [(e["batch"], edge(e, "start")) for e in plant.of("batch", transition="start")]
    assert starts[0::2] == [("B1", ("observed", 1.0)), ("B1", UNKNOWN)]
    assert starts[1] == ("B2", ("observed", 1.0) if "late" in read else UNKNOWN), "so it was known when it was said"
    left = [(e["batch"], edge(e, "end")) for e in plant.of("batch", transition="leave")]
    assert left[-1] == ("B2", UNKNOWN)
    assert left[0] == ("B1", ("observed", 1.0) if "late" in read else UNKNOWN)
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-02", "URS-DAQ-06")
def test_a_batch_whose_id_was_not_seen_to_stand_began_nobody_knows_when() -> None:
    unit = equipment("granulator", "GRN-201", batch=FromTag(tag="g.batch"), order=None, product=None, recipe=None, batch_ends="empty")
    plant = Plant(line_of(routes=(), equipment=(unit,)))
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=0.0, g_speed_sp=250.0, g_batch="")
    plant.see(10, g_batch="B1")
    plant.see(11, g_speed=1.0)
    assert edge(plant.of("batch", transition="start")[0], "start") == ("observed", 1.0)
    lose(plant, 10.2, 12, ["g.batch"], "not-asked")
    plant.see(12, g_batch="B1")
    plant.see(30, g_batch="")
    plant.alive(40)
    end = plant.of("batch", transition="end")[-1]
    assert (edge(end, "start"), edge(end["equipments"][0], "start"), edge(end, "end")) == (BOUNDED, BOUNDED, ("observed", 1.0))


@pytest.mark.urs("URS-CTX-08")
def test_a_cleaning_whose_end_was_not_seen_to_stand_gives_no_hold_time() -> None:
    steps = (*STEPS, Step("CIP", "granulator", "phase", "g.step", "90", occurs="0..n", activity="cleaning"))
    unit = equipment("granulator", "GRN-201", state="g.state", states="packml", batch_ends="empty", clean_hold_h=1.0)
    plant = Plant(line_of(routes=(), steps=steps, equipment=(unit, *line_of().equipment[1:])))
    plant.see(0, "initial", g_step=0, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=0.0, g_speed_sp=250.0)
    plant.see(10, g_step=90)
    plant.see(20, g_step=0)
    plant.see(21, g_speed=1.0)
    lose(plant, 20.1, 22, ["g.step"], "not-asked")
    plant.see(22, g_step=0)
    plant.order(30, "GRN-201", "B1", row_s=29.5)
    plant.alive(40)
    (hold,) = (hold for hold in plant.of("batch", transition="start")[0]["hold_times"] if hold["hold"] == "clean")
    assert (hold["status"], hold["result"], edge(hold, "start")) == ("gap", "not-judged", BOUNDED)


def test_of_too_many_lost_gaps_none_is_forgotten() -> None:
    apart = [(10 * number, 10 * number + 1) for number in range(gaps.MOST_REMEMBERED)]
    kept = gaps._remembered([*apart, (10 * gaps.MOST_REMEMBERED - 8, 10 * gaps.MOST_REMEMBERED - 5)])
    assert len(kept) == gaps.MOST_REMEMBERED
    assert all(any(a <= start and end <= b for a, b in kept) for start, end in apart)
    assert kept[:-1] == apart[:-1], "the two that are nearest have become one"


@pytest.mark.urs("URS-CTX-09", "URS-DAQ-06")
@pytest.mark.parametrize(("learned_s", "told"), [(95.0, 0), (115.0, 1)])
def test_a_gap_that_is_learned_too_late_for_final_records_is_said(plant: Plant, learned_s: float, told: int) -> None:
    plant.see(30, g_step=20)
    plant.see(40, g_step=0)
    for second in range(41, round(learned_s)):
        plant.alive(second)
    lose(plant, 40, learned_s, ["g.step"], "not-asked")
    plant.see(learned_s, g_step=0)
    plant.alive(learned_s + 10)
    found = plant.of("finding", code="late-data")
    assert [finding["tags"] for finding in found] == [["g.step"]] * told
    assert ended(plant)["revision"] == (1 if told else 2)


def test_a_lost_link_is_not_learned_late(plant: Plant) -> None:
    plant.see(30, g_step=20)
    plant.alive(300)
    lose(plant, 299, 400)
    look_again(plant, 500, g_step=20)
    assert not plant.of("finding", code="late-data")
