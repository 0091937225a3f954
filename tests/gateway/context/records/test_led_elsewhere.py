"""Records that were led elsewhere for a time: which batches say so, since when, until when, and that nothing else is decided otherwise."""

from typing import Any

import pytest
from kit.plant import RUNNING, Plant, begin, line_of, replayed, time

from gateway.context.records import batches

OTTO = {"user": "otto", "name": "Otto Bediener", "role": "operator", "kind": "person", "auth": "password"}
REASON = "the network switch is being replaced"


def plant_of() -> Plant:
    made = Plant(line_of(routes=()))
    begin(made)
    return made


def falls_back(plant: Plant, at_s: float, from_s: float | None = None, id_: str = "F-1", led_by: str = "manual", *equipments: str) -> None:
    basis = "commanded" if from_s is None else "reported"
    what = {"fallback": id_, "led_by": led_by, "equipments": list(equipments), "basis": basis}
    what["from"] = time(at_s if from_s is None else from_s)
    plant.happen(at_s, type="audit", action="fallback-begun", who=OTTO, reason=REASON, what=what)


def returns(plant: Plant, at_s: float, id_: str = "F-1", basis: str = "commanded") -> None:
    what = {"fallback": id_, "until": time(at_s), "basis": basis}
    plant.happen(at_s, type="audit", action="fallback-ended", who=OTTO, reason="the switch works again", what=what)


def mix(plant: Plant, first_s: float) -> None:
    """Let MIX run for twenty seconds."""
    plant.see(first_s, g_step=20, g_run=0, g_state=RUNNING, g_user="jdupont", g_speed=100.0, g_speed_sp=250.0)
    plant.see(first_s + 10, g_speed=110.0)
    plant.see(first_s + 20, g_step=0)


def leaves(plant: Plant, at_s: float) -> None:
    plant.order(at_s, "GRN-201", None, row_s=at_s)
    plant.see(at_s + 30, g_speed=0.0)
    plant.see(at_s + 60, g_speed=0.0)


def ends(plant: Plant, batch: str = "B1") -> list[dict[str, Any]]:
    return plant.of("batch", transition="end", batch=batch)


def findings(plant: Plant) -> list[str]:
    return [held.text for held in plant.fold.findings.found.standing if held.code == "fallback-open"]


@pytest.mark.urs("URS-OBS-07")
def test_a_batch_during_a_fallback_says_who_led_its_records_and_until_when_and_has_every_value_all_the_same() -> None:
    plain, plant = plant_of(), plant_of()
    for one in (plain, plant):
        mix(one, 10)
        if one is plant:
            falls_back(one, 35)
            assert len(findings(one)) == 1
        mix(one, 40)
        if one is plant:
            returns(one, 65)
            assert findings(one) == []
        leaves(one, 80)
    (bare,), (end,) = ends(plain), ends(plant)
    (told,) = end["led_elsewhere"]
    assert told == {
        "fallback": "F-1",
        "led_by": "manual",
        "equipments": ["granulator"],
        "from": time(35),
        "from_basis": "commanded",
        "until": time(65),
        "until_basis": "commanded",
        "reason": REASON,
        "by": "Otto Bediener (otto, operator)",
        "ended_by": "Otto Bediener (otto, operator)",
    }
    assert "led_elsewhere" not in bare, "a record that was led here all the time says nothing of it"
    told_alone = {"led_elsewhere", "caused_by", "evidence", "merkle_root", "records"}
    assert {k: v for k, v in end.items() if k not in told_alone} == {k: v for k, v in bare.items() if k not in told_alone}
    assert [p["value"] for p in plant.ended("MIX")["parameters"]] == [p["value"] for p in plain.ended("MIX")["parameters"]]


@pytest.mark.urs("URS-OBS-07")
def test_a_batch_that_closed_while_the_fallback_lasted_is_revised_when_it_ends_and_one_before_it_is_not() -> None:
    plant = plant_of()
    mix(plant, 10)
    leaves(plant, 40)
    falls_back(plant, 110)
    plant.order(120, "GRN-201", "B2", row_s=120)
    mix(plant, 125)
    leaves(plant, 150)
    (open_,) = [end["led_elsewhere"] for end in ends(plant, "B2")]
    assert [(one["from"], one["until"], one["ended_by"]) for one in open_] == [(time(110), None, None)]
    returns(plant, 220)
    plant.see(230, g_speed=0.0)
    (_, revised) = ends(plant, "B2")
    assert (revised["revision"], revised["reason"], revised["led_elsewhere"][0]["until"]) == (2, "led-elsewhere", time(220))
    assert [end.get("led_elsewhere") for end in ends(plant, "B1")] == [None]


@pytest.mark.urs("URS-OBS-07")
def test_a_fallback_that_is_reported_afterwards_is_of_the_batch_that_ran_then_and_is_never_called_observed() -> None:
    plant = plant_of()
    mix(plant, 10)
    leaves(plant, 40)
    falls_back(plant, 200, 15)
    plant.see(210, g_speed=0.0)
    first, revised = ends(plant)
    assert "led_elsewhere" not in first
    assert (revised["reason"], revised["led_elsewhere"][0]["from"], revised["led_elsewhere"][0]["from_basis"]) == (
        "led-elsewhere",
        time(15),
        "reported",
    )


@pytest.mark.urs("URS-OBS-07")
def test_a_fallback_of_another_equipment_is_not_of_this_batch_and_what_is_no_whole_event_changes_nothing() -> None:
    plant = plant_of()
    falls_back(plant, 8, None, "F-1", "manual", "dryer")
    for what in (
        {},
        {"fallback": "F-9"},
        {"fallback": "F-9", "led_by": "nobody", "from": time(9)},
        {"fallback": 1, "led_by": "manual"},
        None,
    ):
        plant.happen(9, type="audit", action="fallback-begun", who="?", what=what)
    returns(plant, 9, "F-unknown")
    mix(plant, 10)
    leaves(plant, 40)
    (end,) = ends(plant)
    assert "led_elsewhere" not in end
    assert len(findings(plant)) == 1


@pytest.mark.urs("URS-OBS-07")
def test_a_fallback_outlasts_a_start_as_what_stands() -> None:
    plant = plant_of()
    falls_back(plant, 8)
    plant.happen(9, type="audit", action="start", who="system:lyon/1", what={})
    assert len(findings(plant)) == 1
    (held,) = [one for one in plant.fold.findings.found.standing if one.code == "fallback-open"]
    assert held.asked_anew is None, "the fold remembers it: nobody has to find it again"
    mix(plant, 10)
    leaves(plant, 40)
    returns(plant, 120)
    plant.see(130, g_speed=0.0)
    assert replayed(plant) == plant.events


@pytest.mark.urs("URS-OBS-07")
def test_a_fallback_that_ended_by_a_clock_set_back_is_of_what_lay_between_both_instants_and_says_them_as_told() -> None:
    plant = plant_of()
    mix(plant, 10)
    leaves(plant, 40)
    falls_back(plant, 200, 7_200)
    returns(plant, 210, basis="commanded-clock-set-back")
    assert findings(plant) == []
    plant.order(220, "GRN-201", "B2", row_s=220)
    mix(plant, 225)
    leaves(plant, 250)
    assert [end.get("led_elsewhere") for end in ends(plant, "B1")] == [None]
    (told,) = ends(plant, "B2")[0]["led_elsewhere"]
    assert (told["from"], told["until"], told["until_basis"]) == (time(7_200), time(210), "commanded-clock-set-back")
    assert replayed(plant) == plant.events


def not_revised(plant: Plant) -> list[str]:
    return [one["text"] for one in plant.of("finding", code="fallback-not-revised")]


@pytest.mark.urs("URS-OBS-07")
def test_a_late_report_of_a_time_whose_batches_are_forgotten_says_which_time_was_not_revised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_CLOSED", 1)
    plant = plant_of()
    mix(plant, 10)
    leaves(plant, 40)
    for number, at in ((2, 120), (3, 320)):
        plant.order(at, "GRN-201", f"B{number}", row_s=at)
        mix(plant, at + 5)
        leaves(plant, at + 30)
    plant.see(450, g_speed=0.0)
    assert set(plant.fold.state.batches) == {"B3"}
    falls_back(plant, 500, 325, "F-late")
    returns(plant, 505, "F-late")
    assert not_revised(plant) == [], "all that it is of is remembered"
    falls_back(plant, 510, 20, "F-later", "manual", "dryer")
    returns(plant, 515, "F-later")
    assert not_revised(plant) == [], "no batch that is forgotten was in that equipment"
    falls_back(plant, 520, 20, "F-last")
    plant.see(530, g_speed=0.0)
    (told,) = not_revised(plant)
    assert "no longer remembered: their ends were not made again" in told
    assert "F-last" in told
    assert [end["revision"] for end in ends(plant, "B2")] == [1]
    assert ends(plant, "B3")[-1]["reason"] == "led-elsewhere"
    assert replayed(plant) == plant.events
