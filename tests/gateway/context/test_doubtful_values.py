"""What a status says is not Good does not count as Good: simulated values in production, values of which unit or range changed."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from kit.plant import T0, Plant, line_of

from config import Alarm
from config.sections import LineSection
from gateway.context import Fold
from gateway.entries.fold_input import ReadingsInput
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters import quality, usable

SIMULATED, SEMANTICS_CHANGED = 0x42090000, 0x4000


def plant_in(environment: str, **more: Any) -> Plant:
    return Plant(line_of(line=LineSection(site="x", name="y", timezone="UTC", environment=environment), **more))


def see(plant: Plant, at_s: float, status: int, **values: Any) -> None:
    at, plant.seq = T0 + round(at_s * TICKS_PER_S), plant.seq + 1
    names = {name.replace("_", ".", 1): value for name, value in values.items()}
    seen = [(plant.names["g-plc"].index(name), value, status, at, "change") for name, value in names.items()]
    plant.decide(ReadingsInput(plant.seq, at + 100_000, "g-plc", seen))


def mixed(plant: Plant, status: int) -> dict[str, Any]:
    """Play MIX for ten seconds with a speed of this status; its parameter."""
    plant.order(1, "GRN-201", "B1")
    plant.see(2, "initial", g_step=0, g_speed_sp=250.0)
    see(plant, 8, status, g_speed=150.0)
    plant.see(10, g_step=20)
    plant.see(20, g_step=0)
    plant.alive(40)
    return {parameter["parameter"]: parameter for parameter in plant.ended("MIX")["parameters"]}["mix_mean"]


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-10", "URS-CFG-07")
def test_a_simulated_value_counts_nowhere_in_production() -> None:
    plant = plant_in("production", alarms=(Alarm("fast", "g.speed", "100..200", equipment="granulator"),))
    mean = mixed(plant, SIMULATED)
    assert (mean["value"], mean["status"], mean["quality"], mean["covered"], mean["result"]) == (None, "bad", "bad", 0.0, "not-judged")
    assert not plant.of("alarm"), "nothing is raised by it"
    (finding,) = plant.of("finding", code="simulated-in-production")
    assert (finding["severity"], finding["tags"], finding["evidence"]) == ("alarm", ["g.speed"], {"status": "0x42090000"})


@pytest.mark.urs("URS-DAQ-10")
def test_a_step_does_not_begin_by_a_simulated_signal_in_production() -> None:
    for environment, steps in (("production", 0), ("validation", 1)):
        plant = plant_in(environment)
        plant.order(1, "GRN-201", "B1")
        plant.see(2, "initial", g_step=0)
        see(plant, 10, SIMULATED, g_step=20)
        plant.alive(20)
        assert len(plant.of("step", transition="start", step="MIX")) == steps


def test_outside_production_a_simulated_value_is_used_and_named() -> None:
    plant = plant_in("development")
    mean = mixed(plant, SIMULATED)
    assert (mean["value"], mean["status"], mean["quality"]) == ("150.0", "present", "simulated")
    assert not plant.of("finding", code="simulated-in-production")


@pytest.mark.urs("URS-DAQ-10")
def test_that_values_are_simulated_is_told_once_until_they_are_real_again_also_after_a_restart() -> None:
    plant = plant_in("production")

    def told() -> Iterator[str]:
        yield from (finding["code"] for finding in plant.of("finding") if finding["code"].startswith("simulated"))

    plant.see(1, g_speed=1.0)
    for at_s in (10, 11):
        see(plant, at_s, SIMULATED, g_speed=2.0 + at_s)
    plant.see(12, g_speed=3.0)
    see(plant, 13, SIMULATED, g_speed=4.0)
    assert list(told()) == ["simulated-in-production"], "it flutters"
    plant.fold = Fold.load(plant.line, plant.fold.dump())
    see(plant, 100, SIMULATED, g_speed=5.0)
    plant.see(101, g_speed=6.0)
    assert list(told()) == ["simulated-in-production", "simulated-in-production-over"]
    again, events = Fold(plant.line), []
    for item in plant.items:
        events += again.decide(item)
    assert orjson.dumps(events) == orjson.dumps(plant.events), "a replay says the same"


@pytest.mark.urs("URS-DAQ-10")
def test_good_with_changed_semantics_is_not_good() -> None:
    assert (quality(SEMANTICS_CHANGED), quality(0x00960000 | SEMANTICS_CHANGED)) == ("uncertain", "uncertain")
    assert (quality(0x80890000 | SEMANTICS_CHANGED), quality(0x40900000 | SEMANTICS_CHANGED)) == ("bad", "stale")
    assert usable(SEMANTICS_CHANGED)
    assert mixed(plant_in("production"), SEMANTICS_CHANGED)["quality"] == "uncertain"
