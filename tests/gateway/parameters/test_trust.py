"""How far a parameter can be trusted: silent tags, an unverified clock, what did not apply, what was corrected by configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from kit.plant import PARAMETERS, STEPS, TAGS, Plant, line_of, replayed, time

import config
from config import Parameter, Step, examples
from config.sections import ClockSection
from gateway.context import Fold


def silent_plant() -> Plant:
    tags = tuple(replace(t, max_silence_s=5.0) if t.tag == "g.speed" else t for t in TAGS)
    return Plant(line_of(tags=tags, routes=()))


def begin(plant: Plant) -> None:
    plant.order(1, "GRN-201", "B1")
    plant.see(2, "initial", g_step=0, g_speed=0.0, g_speed_sp=250.0, g_state=6)


@pytest.mark.urs("URS-DAQ-11", "URS-CTX-08")
def test_a_tag_that_is_silent_too_long_is_a_gap_and_a_finding_and_makes_its_parameter_incomplete() -> None:
    plant = silent_plant()
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    for at_s in (12, 14, 16, 18):
        plant.alive(at_s)
    plant.see(20, g_speed=160.0)
    plant.see(22, g_step=0, g_speed=160.0)
    plant.alive(25)
    (said,) = plant.of("finding", code="tag-silent")
    assert (said["tags"], said["evidence"]["last"], said["evidence"]["max_silence_s"]) == (["g.speed"], time(10), 5.0)
    opened, closed = plant.of("gap")
    assert (opened["transition"], opened["cause"], opened["start"], opened["tags"]) == ("open", "silence", time(10), ["g.speed"])
    assert (closed["transition"], closed["outcome"], closed["end"]) == ("close", "lost", time(20))
    mean = {p["parameter"]: p for p in plant.ended("MIX")["parameters"]}["mix_mean"]
    assert (mean["status"], mean["covered"], mean["gaps"]) == ("gap", 0.166666, [opened["gap"]])
    assert {"parameter": "mix_mean", "status": "gap"} in plant.ended("MIX")["completeness"]["missing"]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_a_tag_that_is_never_heard_is_silent_from_the_first_sign_of_life() -> None:
    plant = silent_plant()
    plant.see(2, "initial", g_step=0, g_state=6)
    plant.alive(6)
    assert not plant.of("finding", code="tag-silent")
    plant.alive(9)
    assert plant.of("gap", transition="open")[0]["start"] == time(2)


def test_nobody_calls_a_tag_silent_while_its_source_is_lost_or_goes_on_without_loss() -> None:
    plant = silent_plant()
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    gap = {"gap": "g-plc/9", "source": "g-plc", "tags": "all", "start": time(11), "detected": time(13), "cause": "link-lost"}
    plant.happen(13, type="gap", transition="open", **gap)
    plant.alive(30, "d-plc")
    plant.happen(40, type="source", source="g-plc", state="resumed", tags="all", observed=time(40))
    plant.see(30, entry_s=40.1, g_speed=151.0)
    plant.see(41, g_speed=152.0)
    plant.alive(44)
    assert not plant.of("finding", code="tag-silent")


@pytest.mark.parametrize(
    ("driver", "row", "message"),
    [
        ("granulator-plc", "granulator.heartbeat", None),
        ("dryer-plc", "dryer.energy", "an unchanged value is stored once a minute; write at least 90"),
        ("lims-drop", "lims.lod", "nothing follows from their silence"),
    ],
)
def test_where_silence_proves_nothing_it_is_refused(tmp_path: Path, driver: str, row: str, message: str | None) -> None:
    folder = tmp_path / "line"
    examples.copy("granulation-2", folder)
    lines = (folder / "tags.csv").read_text("utf-8").splitlines()
    where = next(n for n, text in enumerate(lines) if text.startswith(f"{row},"))
    more = [f"{text},{'max_silence_s' if n == 0 else '5' if n == where else ''}" for n, text in enumerate(lines)]
    (folder / "tags.csv").write_text("\n".join(more) + "\n", "utf-8")
    _, problems = config.read(folder)
    told = [str(p) for p in problems if p.severity == "error"]
    assert told == [] if message is None else (told[0].startswith(f"tags.csv:{where + 1}: ") and message in told[0]), (driver, told)


# ---- the clock


def clocked(unverified: Any, environment: Any = "development") -> Plant:
    line = line_of(routes=())
    return Plant(replace(line, clock=ClockSection(unverified=unverified), line=line.line.model_copy(update={"environment": environment})))


@pytest.mark.urs("URS-TIME-06", "URS-CTX-08")
@pytest.mark.parametrize(
    ("key", "environment", "status"),
    [
        (None, "development", "present"),
        (None, "validation", "time-unverified"),
        (None, "production", "time-unverified"),
        ("stated", "production", "present"),
        ("incomplete", "development", "time-unverified"),
    ],
)
def test_a_parameter_read_while_the_clock_was_not_verified_says_so(key: Any, environment: Any, status: str) -> None:
    plant = clocked(key, environment)
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    decide = plant.decide
    plant.decide = lambda item: decide(item._replace(verified=False))  # type: ignore[method-assign]
    plant.see(15, g_speed=151.0)
    plant.decide = decide  # type: ignore[method-assign]
    plant.see(20, g_step=30, g_speed=160.0)
    plant.see(30, g_step=0)
    plant.alive(40)
    plant.order(50, "GRN-201", None)
    plant.alive(60)
    mix = {p["parameter"]: p for p in plant.ended("MIX")["parameters"]}
    assert (mix["mix_mean"]["status"], mix["mix_mean"]["time_verified"]) == (status, False)
    wet = {p["parameter"]: p for p in plant.ended("WET")["parameters"]}
    assert wet["wet_max"]["status"] == "present"
    assert "time_verified" not in wet["wet_max"], "the clock was verified again"
    end = plant.of("batch", transition="end", batch="B1")[0]
    missing = [m for m in end["completeness"]["missing"] if m["status"] == "time-unverified"]
    assert bool(missing) == (status == "time-unverified")
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


# ---- what did not apply


@pytest.mark.urs("URS-CTX-08")
def test_parameters_of_a_step_that_need_not_run_and_did_not_are_accounted_for() -> None:
    steps = (*STEPS, Step("RINSE", "granulator", "phase", "g.step", "40..49", parent="GRANULATE", occurs="0..1", order=3))
    parameters = (
        *PARAMETERS,
        Parameter("rinse_mean", "granulator", "RINSE", "mean", "g.speed"),
        Parameter("other_mean", "granulator", "WET", "mean", "g.speed", recipe="MBR-99"),
    )
    plant = Plant(line_of(steps=steps, parameters=parameters, routes=()))
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=30, g_speed=160.0)
    plant.see(30, g_step=0)
    plant.alive(40)
    plant.order(50, "GRN-201", None)
    plant.alive(60)
    told = plant.of("batch", transition="end", batch="B1")[0]["completeness"]["not_applicable"]
    head = {"equipment": "granulator", "status": "not-applicable"}
    assert told == [
        {**head, "step": "RINSE", "parameter": "rinse_mean", "reason": "the step did not run, and need not"},
        {**head, "step": "WET", "parameter": "other_mean", "reason": "of another recipe"},
    ]


# ---- what the configuration corrected


@pytest.mark.urs("URS-CTX-09")
def test_a_configuration_that_changes_a_record_makes_it_again_while_its_readings_are_held() -> None:
    plant = Plant(line_of(routes=()))
    plant.happen(0, type="config", version=1, sha256=plant.line.sha256)
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=0, g_speed=0.0)
    plant.alive(25)
    assert plant.ended("MIX")["revision"] == 1
    rows = tuple(replace(p, decimals=0) if p.parameter == "mix_mean" else p for p in plant.line.parameters)
    corrected = replace(plant.line, parameters=rows, sha256="1" * 64)
    plant.fold = Fold.load(corrected, plant.fold.dump())
    plant.happen(26, type="config", version=2, sha256=corrected.sha256)
    plant.alive(40)
    record = plant.ended("MIX")
    assert (record["revision"], record["reason"]) == (2, "config-corrected")
    assert [c["path"] for c in record["changed"]] == [f"parameters/mix_mean/{k}" for k in ("value", "min", "max")]
    plant.fold = Fold.load(replace(corrected, sha256="2" * 64), plant.fold.dump())
    plant.happen(41, type="config", version=3, sha256="2" * 64)
    plant.alive(60)
    assert plant.ended("MIX")["revision"] == 2, "another configuration that says the same changes nothing"
