"""A value right after a gap, or right before it, that another one follows: it may have stood all through the gap, or never."""

import pytest
from kit.lost_signals import UNKNOWN, edge, ended, is_said_again, keyed, look_again, lose, one_step
from kit.plant import Plant


@pytest.fixture
def plant() -> Plant:
    return one_step()


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
