"""Parameters taken at an event; limits from the map, tags, the MES and the EBR; aggregates; tags that several equipments share."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.plant import PARAMETERS, TAGS, Plant, line_of, time

import config
from config import Alarm, Parameter, Tag, examples
from gateway.context import Fold


def replayed(plant: Plant) -> bytes:
    fold, made = Fold(plant.line), []
    for item in plant.items:
        made += fold.decide(item)
        fold = Fold.load(plant.line, fold.dump())
    return orjson.dumps(made)


def begin(plant: Plant) -> None:
    plant.order(1, "GRN-201", "B1")
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_speed_sp=250.0, g_state=6)
    plant.see(10, g_step=20, g_speed=150.0)


def end(plant: Plant) -> dict[str, Any]:
    plant.see(40, g_step=0)
    plant.order(50, "GRN-201", None)
    plant.alive(70)
    return plant.of("batch", transition="end", batch="B1")[-1]


# ---- at an event


def with_events() -> Plant:
    alarms = (Alarm("fast", "g.speed", "200..999", equipment="granulator"), Alarm("never", "g.run", "99", equipment="granulator"))
    parameters = (
        *PARAMETERS,
        Parameter(
            "sp_at_fast",
            "granulator",
            None,
            "value_at_start",
            "g.speed_sp",
            when="event",
            event="alarm:fast",
            decimals=0,
            high="240",
            limit_source="map",
        ),
        Parameter("sp_at_never", "granulator", None, "value_at_start", "g.speed_sp", when="event", event="alarm:never"),
    )
    tags = tuple(replace(t, type="int32") if t.tag == "g.speed" else t for t in TAGS)
    return Plant(line_of(alarms=alarms, parameters=parameters, routes=(), tags=tags))


@pytest.mark.urs("URS-CTX-08")
def test_a_parameter_at_an_event_is_what_stood_then() -> None:
    plant = with_events()
    begin(plant)
    plant.see(15, g_speed=300)
    plant.see(16, g_speed=100)
    plant.see(17, g_speed_sp=230.0)
    plant.see(20, g_speed=300)
    record = end(plant)
    taken = [p for p in record["equipments"][0]["parameters"] if p["parameter"] == "sp_at_fast"]
    told = [(p["event"], p["occurrence"], p["at"], p["value"], p["result"], p["status"]) for p in taken]
    assert told == [("alarm:fast", 1, time(15), "250", "above", "present"), ("alarm:fast", 2, time(20), "230", "within", "present")]
    never = {
        "equipment": "granulator",
        "status": "not-applicable",
        "step": None,
        "parameter": "sp_at_never",
        "reason": "the event did not happen",
    }
    assert never in record["completeness"]["not_applicable"]
    assert replayed(plant) == orjson.dumps(plant.events)


def test_what_nobody_saw_at_an_event_makes_the_batch_incomplete() -> None:
    plant = with_events()
    begin(plant)
    gap = {"gap": "g-plc/9", "source": "g-plc", "start": time(12), "detected": time(13), "cause": "link-lost"}
    plant.happen(13, type="gap", transition="open", tags=["g.speed_sp"], **gap)
    plant.see(15, g_speed=300)
    plant.see(20, g_speed=100, g_speed_sp=250.0)
    record = end(plant)
    (taken,) = [p for p in record["equipments"][0]["parameters"] if p["parameter"] == "sp_at_fast"]
    assert (taken["status"], taken["value"], taken["gaps"]) == ("gap", None, ["g-plc/9"])
    assert {"equipment": "granulator", "step": None, "run": None, "parameter": "sp_at_fast", "status": "gap"} in record["completeness"][
        "missing"
    ]


def test_an_event_outside_any_batch_takes_nothing() -> None:
    plant = with_events()
    plant.see(2, "initial", g_step=0, g_speed=300, g_speed_sp=250.0, g_state=6)
    plant.alive(10)
    assert plant.of("alarm")
    assert not plant.fold.state.runs


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,granulator,,granulator.speed_sp,value_at_start,event,", "write in `event` which one"),
        ("x,granulator,,granulator.impeller_speed,value_at_start,event,alarm:nope", "unknown alarm `nope`"),
        ("x,granulator,,granulator.impeller_speed,mean,event,material:nope", "only value_at_start has a meaning"),
        ("x,granulator,,granulator.impeller_speed,value_at_start,batch,alarm:x", "`when` is not event"),
        ("x,granulator,GRANULATE,granulator.impeller_speed,value_at_start,event,alarm:nope", "have no meaning at an event"),
    ],
)
def test_an_event_is_checked_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    folder = tmp_path / "line"
    examples.copy("granulation-2", folder)
    (folder / "parameters.csv").write_text(f"parameter,equipment,step,tag,statistic,when,event\n{row}\n")
    _, problems = config.read(folder)
    assert any(str(p).startswith("parameters.csv:2: ") and message in str(p) for p in problems), [
        str(p) for p in problems if p.severity == "error"
    ]


# ---- whose limits


@pytest.mark.urs("URS-CTX-11")
@pytest.mark.parametrize(
    ("limit_source", "low", "high"),
    [("map", "100", "160"), ("tag", "100", "=g.speed_sp"), ("mes", "100", "=mes.high"), ("ebr", "100", "160")],
)
def test_limits_of_every_source_are_judged_and_named_with_their_excursions(limit_source: Any, low: str, high: str) -> None:
    tags = (*TAGS, Tag("mes.high", "mes", "orders.speed_high", "float64", equipment=("granulator",)))
    row = Parameter("top", "granulator", "MIX", "max", "g.speed", decimals=1, low=low, high=high, limit_source=limit_source)
    plant = Plant(line_of(tags=tags, parameters=(row,), routes=()))
    plant.see(1, mes_high=160.0)
    begin(plant)
    plant.see(9, g_speed_sp=160.0)
    plant.see(15, g_speed=170.5)
    plant.see(18, g_speed=150.0)
    plant.see(20, g_step=0, g_speed=0.0)
    plant.alive(30, "g-plc", "d-plc", "mes")
    (told,) = plant.ended("MIX")["parameters"]
    assert (told["limit_source"], told["low"], told["high"], told["value"]) == (limit_source, "100", "160", "170.5")
    assert told["result"] == "above"
    found = [(e["side"], e["start"], e["end"], e["duration_s"], e["extreme"]) for e in told["excursions"]]
    assert found == [("above", time(15), time(18), 3.0, "170.5")]


# ---- what the source averaged, and what several share


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-08")
def test_an_average_of_the_source_can_not_pass_for_step_level_data() -> None:
    tags = tuple(replace(t, aggregate=("mean", 60.0)) if t.tag == "g.speed" else t for t in TAGS)
    plant = Plant(line_of(tags=tags, routes=()))
    begin(plant)
    record = end(plant)
    mean = next(p for p in plant.ended("MIX")["parameters"] if p["parameter"] == "mix_mean")
    assert (mean["status"], mean["value"]) == ("aggregate-only", "150.0")
    missing = [(m["step"], m["parameter"], m["status"]) for m in record["completeness"]["missing"]]
    assert ("MIX", "mix_mean", "aggregate-only") in missing
    assert record["status"] == "incomplete"


@pytest.mark.urs("URS-CTX-01")
@pytest.mark.parametrize("shared", [("line",), ("granulator", "dryer")])
def test_a_shared_tag_counts_in_the_steps_of_each_equipment(shared: tuple[str, ...]) -> None:
    tags = (*TAGS, Tag("g.room", "g-plc", "room", "float64", unit="Cel", equipment=shared))
    parameters = (
        Parameter("g_room", "granulator", "MIX", "mean", "g.room", decimals=1),
        Parameter("d_room", "dryer", "DRY", "mean", "g.room", decimals=1),
    )
    plant = Plant(line_of(tags=tags, parameters=parameters, routes=()))
    plant.order(1, "GRN-201", "B1")
    plant.order(1.1, "FBD-202", "B2")
    plant.see(2, "initial", g_step=0, g_room=20.0, g_state=6)
    plant.see(2, "initial", d_step=0)
    plant.see(10, g_step=20)
    plant.see(10, d_step=1)
    plant.see(15, g_room=24.0)
    plant.see(20, g_step=0)
    plant.see(30, d_step=0)
    plant.alive(40)
    assert [(e["batch"], e["parameters"][0]["value"]) for e in (plant.ended("MIX"), plant.ended("DRY"))] == [("B1", "22.0"), ("B2", "23.0")]
    assert set(plant.fold.contexts("g-plc")) == {"granulator", "dryer"}


@pytest.mark.urs("URS-CTX-08")
@pytest.mark.parametrize(("max_window_s", "status", "result"), [(None, "gap", "not-judged"), (30.0, "present", "above")])
def test_what_stood_at_an_event_that_nobody_saw_is_not_known(max_window_s: float | None, status: str, result: str) -> None:
    """The alarm was raised at some time in a gap of 25 s."""
    plant = with_events()
    rows = tuple(replace(row, max_window_s=max_window_s) for row in plant.line.parameters)
    plant = Plant(replace(plant.line, parameters=rows))
    begin(plant)
    gap = {"gap": "g-plc/9", "source": "g-plc", "tags": "all", "start": time(10), "detected": time(12), "cause": "link-lost"}
    plant.happen(12, type="gap", transition="open", detail="", **gap)
    plant.see(35, "initial", entry_s=35, g_speed=300, g_step=20, g_speed_sp=250.0, g_state=6, g_run=0, g_user="x", g_batch="")
    (taken,) = [p for p in end(plant)["equipments"][0]["parameters"] if p["parameter"] == "sp_at_fast"]
    assert (taken["at"], taken["value"], taken["uncertain_s"]) == (time(35), "250", 25.0)
    assert (taken["status"], taken["result"]) == (status, result)
    assert replayed(plant) == orjson.dumps(plant.events)
