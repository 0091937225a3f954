"""Steps whose start or end nobody saw: what of their parameters is known all the same, and what is a gap."""

from dataclasses import replace
from typing import Any, Literal

import pytest
from kit.plant import HELD, PARAMETERS, RUNNING, STEPS, TAGS, Plant, begin, line_of, replayed, time

from config import Parameter
from gateway.parameters.edges import EDGES

LINE = line_of(routes=())


def lose(plant: Plant, start_s: float, detected_s: float, source: str = "g-plc") -> None:
    gap = {"gap": f"{source}/{start_s:g}", "source": source, "tags": "all", "start": time(start_s), "detected": time(detected_s)}
    plant.happen(detected_s, type="gap", transition="open", cause="link-lost", detail="", **gap)


def look_again(plant: Plant, at_s: float, **values: Any) -> None:
    """The first reading of every tag of the PLC after a gap."""
    standing = {"g_step": 0, "g_run": 0, "g_state": RUNNING, "g_user": "jdupont", "g_speed": 200.0, "g_speed_sp": 250.0, "g_batch": ""}
    plant.see(at_s, "initial", entry_s=at_s, **{**standing, **values})


# ---- stories


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06", "URS-DAQ-11")
def test_a_step_that_began_while_nobody_looked_has_no_duration_and_no_mean() -> None:
    above = Parameter("mix_above", "granulator", "MIX", "time_above", "g.speed", high="300", limit_source="map", decimals=1)
    plant = Plant(replace(LINE, parameters=(*PARAMETERS, above)))
    begin(plant)
    plant.see(10, g_step=0, g_speed=0.0)
    lose(plant, 10, 13)
    plant.alive(60, "d-plc")
    look_again(plant, 70, g_step=20)
    plant.see(74, g_speed=210.0)
    plant.see(75, g_step=0)
    plant.alive(90)

    end = plant.ended("MIX")
    assert (end["start"]["basis"], end["start"]["window_s"], end["end"]["basis"]) == ("inferred-from-gap", 60.0, "observed")
    told = {p["parameter"]: p for p in end["parameters"]}
    assert {name: p["status"] for name, p in told.items()} == dict.fromkeys(told, "gap")
    assert told["mix_time"]["value"] == "5.0", "the value stands there, and is not counted as known"
    assert told["mix_time"]["uncertain_s"] == 61.0, "the gap, and the sampling interval of the end"
    assert (told["mix_mean"]["covered"], told["mix_above"]["covered"]) == (0.076923, 0.076923)
    assert told["mix_mean"]["result"] == "not-judged"
    assert (told["mix_mean"]["low"], told["mix_mean"]["high"]) == ("100", None), "nobody saw the set point of the start"
    assert (told["mix_sp"]["uncertain_s"], told["mix_sp"]["value"]) == (60.0, "250")
    assert end["completeness"]["present"] == 0
    assert len(end["completeness"]["missing"]) == end["completeness"]["required"] == 4


def cooled(**more: Any) -> Plant:
    """The dryer heats, its link is lost for 24.5 s, it cools when it is seen again, for another 14.8 s."""
    temp = Parameter("cool_end", "dryer", "DRY", "value_at_end", "d.temp", decimals=1, low="20", high="30", limit_source="map")
    plant = Plant(replace(LINE, parameters=(Parameter("cool_time", "dryer", "DRY", "duration", decimals=1, **more), temp)))
    begin(plant)
    plant.order(6, "FBD-202", "B1", row_s=6)
    plant.see(10, d_step=9, d_temp=60.0)
    lose(plant, 10, 12, "d-plc")
    plant.see(34.5, "initial", entry_s=34.5, d_step=1, d_temp=40.0)
    plant.see(40, d_temp=25.0)
    plant.see(49.3, d_step=0)
    plant.alive(60)
    return plant


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize(("max_window_s", "status"), [(None, "gap"), (24.4, "gap"), (24.5, "present")])
def test_a_cooling_time_is_known_only_as_well_as_its_start_was_seen(max_window_s: float | None, status: str) -> None:
    plant = cooled(max_window_s=max_window_s)
    time_, end = plant.parameter("DRY", "cool_time"), plant.parameter("DRY", "cool_end")
    assert (time_["value"], time_["status"], time_["uncertain_s"]) == ("14.8", status, 24.7)
    assert (end["value"], end["status"], end["result"], end["uncertain_s"]) == ("25.0", "present", "within", 0.2)
    assert plant.ended("DRY")["completeness"]["present"] == (2 if status == "present" else 1)


@pytest.mark.urs("URS-CTX-08")
def test_a_step_that_ran_when_it_was_first_seen_may_have_begun_at_any_time() -> None:
    plant = Plant(LINE)
    plant.order(1, "GRN-201", "B1")
    look_again(plant, 2, g_step=20)
    plant.see(12, g_step=0)
    plant.alive(20)
    told = {p["parameter"]: p for p in plant.ended("MIX")["parameters"]}
    assert {name: (p["status"], p["uncertain_s"]) for name, p in told.items()} == dict.fromkeys(told, ("gap", None))
    assert told["mix_mean"]["covered"] is None


# ---- each statistic against each edge

WHOLE, START, END_ = "both edges seen", "start unseen", "end unseen"
STATUSES = {
    # statistic: (both edges seen, start unseen, end unseen)
    "value_at_start": ("present", "gap", "present"),
    "first": ("present", "gap", "present"),
    "value_at_end": ("present", "present", "gap"),
    "last": ("present", "present", "gap"),
    **dict.fromkeys(EDGES.keys() - {"value_at_start", "first", "value_at_end", "last"}, ("present", "gap", "gap")),
}


def table_plant(edge: str, **more: Any) -> Plant:
    """MIX from 20 to 40, of which an edge may lie in a gap of the PLC; the temperature, from another source, is observed throughout."""
    limits = {"low": "0", "high": "100", "limit_source": "map"}
    rows = tuple(Parameter(name, "granulator", "MIX", name, "d.temp", **(limits | more)) for name in EDGES)
    plant = Plant(replace(LINE, parameters=rows, tags=tuple(replace(t, between="hold") for t in TAGS)))
    begin(plant)
    if edge == START:
        lose(plant, 14, 15)
        look_again(plant, 20, g_step=20)
    else:
        plant.see(20, g_step=20)
    plant.see(30, d_temp=25.0)
    plant.see(31, d_temp=26.0)
    if edge == END_:
        lose(plant, 34, 35)
        look_again(plant, 40)
    else:
        plant.see(40, g_step=0)
    plant.alive(60)
    return plant


def test_every_statistic_says_which_edges_it_depends_on() -> None:
    from config.csv.columns import CHOICES

    assert set(EDGES) == set(STATUSES) == set(CHOICES["statistic"])


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("statistic", sorted(STATUSES))
def test_a_statistic_is_present_only_if_the_edges_that_it_depends_on_were_seen(statistic: str, number: int) -> None:
    plant = table_plant((WHOLE, START, END_)[number])
    told, expected = plant.parameter("MIX", statistic), STATUSES[statistic][number]
    assert told["status"] == expected
    windows_s = {"start": (1.0, 6.0, 1.0)[number], "end": (1.0, 1.0, 6.0)[number]}
    assert told["uncertain_s"] == sum(windows_s[edge] for edge in EDGES[statistic])
    if statistic != "duration":
        assert told["covered"] == (1.0, 0.76923, 1.0)[number], "of the longest possible step"
    if statistic in {"mean", "min", "max", "value_at_end"}:
        assert told["result"] == ("within" if expected == "present" else "not-judged")
    assert replayed(plant) == plant.events


@pytest.mark.parametrize(
    ("statistic", "max_window_s", "min_covered", "status"),
    [
        ("duration", 6.0, None, "present"),
        ("duration", 5.9, None, "gap"),
        ("value_at_start", 6.0, None, "present"),
        ("mean", 6.0, None, "gap"),
        ("mean", 6.0, 0.7, "present"),
        ("mean", 6.0, 0.8, "gap"),
        ("mean", 5.9, 0.1, "gap"),
        ("max", None, 0.1, "gap"),
    ],
)
def test_a_window_that_is_accepted_still_counts_into_what_must_be_covered(
    statistic: str, max_window_s: float | None, min_covered: float | None, status: str
) -> None:
    plant = table_plant(START, max_window_s=max_window_s, min_covered=min_covered)
    assert plant.parameter("MIX", statistic)["status"] == status


def test_excursions_stay_where_the_value_is_not_judged() -> None:
    plant = table_plant(START, high="25.5")
    most = plant.parameter("MIX", "max")
    assert (most["status"], most["result"]) == ("gap", "not-judged")
    assert [(e["start"], e["extreme"]) for e in most["excursions"]] == [(time(31), "26")]


# ---- out of sight in between


def interrupted(*, key: bool, min_covered: float | None = None, include: Literal["all", "running"] = "all", state: int = RUNNING) -> Plant:
    """MIX from 20 to 40; its PLC is lost from 25 to 30, and MIX is on, with the same key, before and after. state: before."""
    limits: dict[str, Any] = {"low": "0", "high": "100", "limit_source": "map"}
    rows = tuple(Parameter(name, "granulator", "MIX", name, "d.temp", min_covered=min_covered, include=include, **limits) for name in EDGES)
    steps = tuple(replace(step, key="g.run" if key and step.step == "MIX" else None) for step in STEPS)
    plant = Plant(replace(LINE, parameters=rows, steps=steps, tags=tuple(replace(t, between="hold") for t in TAGS)))
    begin(plant)
    plant.see(20, g_step=20, g_run=1)
    plant.see(24, d_temp=25.0)
    plant.see(25, g_state=state)
    lose(plant, 25, 26)
    look_again(plant, 30, g_step=20, g_run=1)
    plant.see(40, g_step=0)
    plant.alive(60)
    return plant


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize("statistic", sorted(STATUSES))
def test_a_step_that_was_out_of_sight_may_have_been_two_unless_a_key_says_that_it_was_one(statistic: str) -> None:
    alone = len(EDGES[statistic]) == 1
    assert interrupted(key=False).parameter("MIX", statistic)["status"] == ("present" if alone else "gap")
    assert interrupted(key=False, min_covered=0.75).parameter("MIX", statistic)["status"] == "present"
    assert interrupted(key=False, min_covered=0.76).parameter("MIX", statistic)["status"] == ("present" if alone else "gap")
    assert interrupted(key=True).parameter("MIX", statistic)["status"] == "present"


def test_covered_is_the_share_in_which_the_step_and_the_tag_were_seen() -> None:
    assert interrupted(key=False).parameter("MIX", "mean")["covered"] == 0.75
    assert interrupted(key=True).parameter("MIX", "mean")["covered"] == 1.0


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize("state", [RUNNING, HELD])
@pytest.mark.parametrize("statistic", sorted(STATUSES))
def test_where_nobody_saw_the_state_it_is_not_known_what_of_the_tag_counts(statistic: str, state: int) -> None:
    alone = statistic in {"value_at_start", "value_at_end"}
    told = interrupted(key=True, include="running", state=state).parameter("MIX", statistic)
    assert told["status"] == ("present" if alone else "gap")
    assert interrupted(key=True, include="running", state=state, min_covered=0.75).parameter("MIX", statistic)["status"] == "present"
    over_time = interrupted(key=True, include="running", state=state, min_covered=0.76).parameter("MIX", statistic)
    assert over_time["status"] == ("present" if alone else "gap")


@pytest.mark.parametrize("state", [RUNNING, HELD])
def test_covered_is_the_share_of_all_the_time_that_may_have_counted(state: int) -> None:
    assert interrupted(key=True, include="running", state=state).parameter("MIX", "mean")["covered"] == 0.75


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_state_that_was_not_asked_for_makes_the_record_again_when_that_is_learned() -> None:
    rows = (Parameter("mean", "granulator", "MIX", "mean", "d.temp", include="running"),)
    plant = Plant(replace(LINE, parameters=rows))
    begin(plant)
    plant.see(20, g_step=20)
    plant.see(30, g_step=0)
    plant.alive(40)
    assert plant.parameter("MIX", "mean")["status"] == "present"
    gap = {"gap": "g-plc/late", "source": "g-plc", "tags": ["g.state"], "start": time(25), "detected": time(41), "cause": "not-asked"}
    plant.happen(41, type="gap", transition="open", detail="", **gap)
    plant.see(41, g_state=RUNNING)
    plant.alive(60)
    assert (plant.ended("MIX")["revision"], plant.parameter("MIX", "mean")["status"]) == (2, "gap")


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_a_key_says_that_a_step_ended_and_not_when_nobody_saw_its_signal() -> None:
    steps = tuple(replace(step, key="g.run" if step.step == "MIX" else None) for step in STEPS)
    plant = Plant(replace(LINE, steps=steps))
    begin(plant)
    plant.see(20, g_step=20, g_run=1)
    plant.see(30, g_run=2)
    gap = {"gap": "g-plc/late", "source": "g-plc", "tags": ["g.step"], "start": time(25), "detected": time(30.2), "cause": "not-asked"}
    plant.happen(30.2, type="gap", transition="open", detail="", **gap)
    plant.see(30.2, g_step=20)
    plant.see(40, g_step=0)
    plant.alive(60)
    first, second = (plant.of("step", transition="end", step="MIX", run=run)[-1] for run in (1, 2))
    assert (first["end"]["basis"], first["end"]["window_s"], first["cause"]) == ("inferred-from-gap", 5.0, "unknown"), (
        "it may have been over since 25"
    )
    start = second["start"]
    assert (start["basis"], start["time"], start["window_s"]) == ("inferred-from-gap", time(30.2), 5.2), "it may have begun until 30.2"
