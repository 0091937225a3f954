"""A change is observed only if its signal was seen to stand still: a gap within that time leaves it open, whenever it is learned."""

from dataclasses import replace

import pytest
from kit.lost_signals import BOUNDED, UNKNOWN, edge, ended, is_said_again, look_again, lose, one_step
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
