"""Stories of a clock that was ahead: what happens afterwards is recorded where it was, and what can not be placed is not counted."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import TAGS, Plant, begin, line_of, replayed, time

from config import Alarm, Parameter, Source
from config.grammars.terms import Term
from config.materials import Booking
from gateway.entries.ticks import rfc3339

HOUR_S = 3_600.0


def plant_of(**more: Any) -> Plant:
    """A line whose readings are stamped by the gateway's clock."""
    line = line_of(**more)
    sources = tuple(Source(name=s.name, driver="modbus", endpoint="x", time_authority="gateway") for s in line.sources)
    plant = Plant(replace(line, sources=sources))
    begin(plant)
    return plant


def set_clock(plant: Plant, shows_s: float, step_s: float) -> None:
    plant.happen(shows_s, type="clock", kind="step", step_s=step_s, status="unsynchronised", bound_s=None)


def run(plant: Plant, start_s: int, end_s: int, speed: float | None = 100.0) -> None:
    """Each second a value, if there is one, and a sign of life."""
    for at_s in range(start_s, end_s):
        if speed is not None:
            plant.see(at_s + 0.2, g_speed=speed)
        plant.alive(at_s + 0.7)


def ahead(plant: Plant, at_s: int, for_s: int, by_s: float = HOUR_S) -> None:
    """The clock is ahead for a while. Meanwhile the set point is changed, and never again."""
    set_clock(plant, at_s + by_s, by_s)
    plant.see(at_s + by_s + 0.5, g_speed_sp=180.0)
    run(plant, round(at_s + by_s) + 1, round(at_s + by_s) + for_s, speed=300.0)
    set_clock(plant, at_s + for_s, -by_s)


def summed(plant: Plant, step: str, name: str) -> tuple[Any, ...]:
    found = plant.parameter(step, name)
    return found["value"], found["status"], found["covered"]


@pytest.mark.urs("URS-TIME-07", "URS-CTX-04", "URS-CTX-08")
@pytest.mark.parametrize("by_s", [30.0, HOUR_S, 3_650 * 86_400.0])
@pytest.mark.parametrize("for_s", [4, 200])
def test_a_step_after_a_clock_was_ahead_is_recorded_where_it_was(for_s: int, by_s: float) -> None:
    plant = plant_of()
    run(plant, 6, 20)
    ahead(plant, 20, for_s, by_s)
    run(plant, 20 + for_s, 280)
    plant.see(280, g_step=20)
    run(plant, 281, 300, speed=150.0)
    plant.see(300, g_step=0)
    run(plant, 301, 310)
    mix = plant.ended("MIX")
    assert (mix["start"]["time"], mix["end"]["time"], mix["start"]["basis"]) == (time(280), time(300), "observed")
    assert summed(plant, "MIX", "mix_time")[:2] == ("20.0", "present")
    assert summed(plant, "MIX", "mix_mean") == ("147.0", "present", 1.0), "1.2 s of 100 and 18.8 s of 150"
    assert plant.parameter("MIX", "mix_mean")["readings"] == 19
    assert summed(plant, "MIX", "mix_sp")[:2] == ("180", "present"), "what was set while the clock was ahead stands"
    assert not plant.of("finding", code="late-data")
    assert plant.events == replayed(plant)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-08")
def test_a_step_that_runs_on_while_the_clock_is_ahead_for_seconds_has_all_of_its_readings() -> None:
    plant = plant_of()
    plant.see(10, g_step=20, g_speed=100.0)
    run(plant, 11, 20)
    ahead(plant, 20, 4)
    run(plant, 24, 40)
    plant.see(40, g_step=0)
    run(plant, 41, 50)
    assert summed(plant, "MIX", "mix_time")[:2] == ("30.0", "present")
    mean = plant.parameter("MIX", "mix_mean")
    assert (mean["status"], mean["covered"], mean["max"], mean["readings"]) == ("present", 1.0, "300.0", 29)
    assert mean["unrounded"] == pytest.approx((27 * 100 + 3 * 300) / 30)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-08")
def test_a_step_that_runs_on_while_the_clock_is_ahead_for_minutes_claims_nothing_of_before() -> None:
    plant = plant_of()
    plant.see(10, g_step=20, g_speed=100.0)
    run(plant, 11, 20)
    ahead(plant, 20, 200)
    run(plant, 220, 240)
    plant.see(240, g_step=0)
    run(plant, 241, 250)
    assert summed(plant, "MIX", "mix_time")[:2] == ("230.0", "present")
    mean = plant.parameter("MIX", "mix_mean")
    assert mean["status"] != "present"
    assert mean["covered"] < 0.1, "what was summed with an hour that never was can not be taken apart"


@pytest.mark.urs("URS-TIME-07", "URS-CTX-04")
def test_a_step_that_begins_while_the_clock_is_ahead_and_ends_after_it_has_its_length() -> None:
    plant = plant_of()
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    plant.see(21 + HOUR_S, g_step=20, g_speed=150.0)
    run(plant, round(22 + HOUR_S), round(24 + HOUR_S), speed=150.0)
    set_clock(plant, 24, -HOUR_S)
    run(plant, 24, 31, speed=150.0)
    plant.see(31, g_step=0)
    run(plant, 32, 40)
    mix = plant.ended("MIX")
    assert (mix["start"]["time"], mix["end"]["time"]) == (time(21), time(31))
    assert summed(plant, "MIX", "mix_time")[:2] == ("10.0", "present")
    assert summed(plant, "MIX", "mix_mean") == ("150.0", "present", 1.0)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-04")
def test_a_clock_that_was_wrongly_set_back_gives_a_running_step_its_start_again() -> None:
    plant = plant_of()
    plant.see(10, g_step=20, g_speed=100.0)
    run(plant, 11, 20)
    set_clock(plant, 20 - HOUR_S, -HOUR_S)
    run(plant, round(20 - HOUR_S), round(24 - HOUR_S))
    set_clock(plant, 24, HOUR_S)
    run(plant, 24, 40)
    plant.see(40, g_step=0)
    run(plant, 41, 50)
    assert (plant.ended("MIX")["start"]["time"], plant.ended("MIX")["end"]["time"]) == (time(10), time(40))


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
def test_a_gap_that_is_open_while_the_clock_is_set_back_has_its_length() -> None:
    plant = plant_of()
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    run(plant, round(20 + HOUR_S), round(22 + HOUR_S))
    gap = {"gap": "g-plc/1", "source": "g-plc", "tags": "all", "cause": "link-lost", "detail": ""}
    plant.happen(23 + HOUR_S, type="gap", transition="open", start=time(22 + HOUR_S), detected=time(23 + HOUR_S), **gap)
    set_clock(plant, 24, -HOUR_S)
    run(plant, 24, 30, speed=None)
    plant.see(60, g_step=20, g_speed=100.0, g_speed_sp=180.0)
    (closed,) = [e for e in plant.of("gap", transition="close") if "g.speed" in e["tags"]]
    assert (closed["start"], closed["end"]) == (time(22), time(60))


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
def test_a_step_of_the_clock_is_no_silence_and_hides_none() -> None:
    tags = tuple(replace(t, max_silence_s=10.0) if t.tag == "g.speed" else t for t in TAGS)
    plant = plant_of(tags=tags)
    run(plant, 6, 20)
    ahead(plant, 20, 4)
    run(plant, 24, 30)
    assert not plant.of("gap", cause="silence")
    run(plant, 30, 45, speed=None)
    (gap,) = plant.of("gap", cause="silence")
    assert (gap["start"], gap["tags"]) == (time(29.2), ["g.speed"])


@pytest.mark.urs("URS-TIME-07", "URS-CTX-09")
@pytest.mark.parametrize("by_s", [HOUR_S, 3_650 * 86_400.0])
def test_a_step_of_the_clock_is_no_time_that_a_batch_has_waited(by_s: float) -> None:
    """The dryer has not had the batch, so it closes 48 h after the granulator let it go."""
    plant = plant_of()
    plant.order(20, "GRN-201", None, row_s=20)
    run(plant, 21, 40)
    ahead(plant, 40, 4, by_s)
    run(plant, 44, 60)
    assert not plant.of("batch", transition="end"), "nobody waited two days"
    plant.alive(20 + 48 * 3_600 - 60)
    assert not plant.of("batch", transition="end")
    plant.alive(30 + 48 * 3_600)
    assert [batch["cause"] for batch in plant.of("batch", transition="end")] == ["closed-after"]


@pytest.mark.urs("URS-TIME-07", "URS-CTX-03")
def test_a_row_waits_as_long_when_the_clock_is_set_forward_meanwhile() -> None:
    plant = plant_of()
    run(plant, 6, 20)
    plant.order(20.2, "GRN-201", "B2", row_s=20.1)
    set_clock(plant, 20.3 + HOUR_S, HOUR_S)
    assert not plant.of("batch", transition="start", batch="B2"), "its equipment's signals have not been read until then"
    run(plant, round(21 + HOUR_S), round(24 + HOUR_S))
    assert plant.of("batch", transition="start", batch="B2")


@pytest.mark.urs("URS-TIME-07")
def test_an_alarm_that_was_raised_while_the_clock_was_ahead_stood_as_long_as_it_stood() -> None:
    plant = plant_of(alarms=(Alarm("Overload", "g.run", "1", equipment="granulator", severity="alarm"),))
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    plant.see(21 + HOUR_S, g_run=1)
    run(plant, round(22 + HOUR_S), round(24 + HOUR_S))
    set_clock(plant, 24, -HOUR_S)
    plant.see(31, g_run=0)
    (cleared,) = plant.of("alarm", state="cleared")
    assert (cleared["raised"]["time"], cleared["at"]["time"], cleared["duration_s"]) == (time(21), time(31), 10.0)
    (listed,) = plant.fold.state.batches["B1"].alarms
    assert (listed["raised"], listed["cleared"], listed["duration_s"]) == (time(21), time(31), 10.0)


@pytest.mark.urs("URS-TIME-07")
def test_a_result_still_comes_to_a_step_that_was_recorded_while_the_clock_was_ahead() -> None:
    told = Parameter("wet_viscosity", "granulator", "WET", "sample", origin="by-lims", given_by="lod.lod")
    plant = plant_of(parameters=(told,))
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    plant.see(21 + HOUR_S, g_step=30)
    run(plant, round(22 + HOUR_S), round(26 + HOUR_S))
    plant.see(26 + HOUR_S, g_step=0)
    run(plant, round(27 + HOUR_S), round(40 + HOUR_S))
    record = plant.ended("WET")["record"]
    set_clock(plant, 40, -HOUR_S)
    assert record in plant.fold.state.awaiting


def recorded_ahead(step_s: float | None, **more: Any) -> Plant:
    """While the clock is ahead MIX runs, and its record becomes final; then the clock is right again."""
    plant = plant_of(**more)
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    plant.see(21 + HOUR_S, g_step=20, g_speed=150.0)
    run(plant, round(22 + HOUR_S), round(24 + HOUR_S), speed=150.0)
    plant.see(24 + HOUR_S, g_step=0)
    run(plant, round(25 + HOUR_S), round(35 + HOUR_S))
    assert plant.ended("MIX")["batch"] == "B1"
    if step_s is not None:
        set_clock(plant, 36, step_s)
    return plant


@pytest.mark.urs("URS-TIME-07", "URS-CTX-03")
def test_a_record_that_was_made_while_the_clock_was_ahead_stays_with_its_batch() -> None:
    plant = recorded_ahead(-HOUR_S)
    run(plant, 36, 50)
    plant.order(50.2, "GRN-201", "B2", row_s=50.1)
    run(plant, 51, 60)
    assert plant.of("batch", transition="start", batch="B2")
    assert not plant.of("rebind")
    (made,) = (r for r in plant.fold.state.batches["B1"].records if "/MIX/" in r)
    assert made == plant.ended("MIX")["record"]
    assert plant.events == replayed(plant)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-03")
def test_a_batch_that_left_while_the_clock_was_ahead_is_not_cut_again_by_the_next() -> None:
    plant = plant_of()
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    run(plant, round(21 + HOUR_S), round(24 + HOUR_S))
    plant.order(24.2 + HOUR_S, "GRN-201", None, row_s=24.1 + HOUR_S)
    run(plant, round(25 + HOUR_S), round(30 + HOUR_S))
    set_clock(plant, 31, -HOUR_S)
    run(plant, 31, 50)
    plant.order(50.2, "GRN-201", "B2", row_s=50.1)
    run(plant, 51, 60)
    assert [leave["batch"] for leave in plant.of("batch", transition="leave")] == ["B1"], "it left once"
    (member,) = plant.fold.state.batches["B1"].members
    assert member.end is not None
    assert rfc3339(member.end.ticks) == time(24.1)


@pytest.mark.urs("URS-TIME-07", "URS-CTX-01")
def test_what_was_booked_while_the_clock_was_ahead_stays_with_its_batch() -> None:
    weigh = Booking("weigh", "granulator", "g.run", "1", kind="consume", lot=Term("tag", "g.user"))
    plant = plant_of(materials=(weigh,))
    run(plant, 6, 20)
    set_clock(plant, 20 + HOUR_S, HOUR_S)
    plant.see(21 + HOUR_S, g_run=1)
    run(plant, round(22 + HOUR_S), round(35 + HOUR_S))
    set_clock(plant, 36, -HOUR_S)
    run(plant, 36, 50)
    plant.order(50.2, "GRN-201", "B2", row_s=50.1)
    run(plant, 51, 60)
    assert [event["batch"] for event in plant.of("material")] == ["B1"]
