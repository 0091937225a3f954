"""Conditions compare numbers with numbers, also those whose digits stand in an entry as text: 64-bit integers and decimals."""

from dataclasses import replace

import pytest
from kit.plant import PARAMETERS, STEPS, TAGS, Plant, line_of

from config import Alarm

SIGNALS = [("int64", "20", "0"), ("uint64", "25", "0"), ("decimal", "20.0", "0"), ("decimal", "29", "30.5"), ("int16", 20, 0)]


@pytest.mark.urs("URS-CTX-04")
@pytest.mark.parametrize(("type_name", "active", "other"), SIGNALS)
def test_a_step_runs_and_an_alarm_rings_by_the_number_whatever_its_type(type_name: str, active: str | int, other: str | int) -> None:
    tags = tuple(replace(tag, type=type_name) if tag.tag == "g.step" else tag for tag in TAGS)
    steps = (replace(STEPS[1], parent=None), STEPS[3])
    alarms = (Alarm("mixing", "g.step", "20..29", equipment="granulator"),)
    plant = Plant(line_of(tags=tags, steps=steps, parameters=PARAMETERS[1:2], alarms=alarms))
    plant.order(1, "GRN-201", "B1")
    plant.see(2, "initial", g_step=other)
    plant.see(10, g_step=active)
    plant.see(20, g_step=other)
    plant.alive(40)
    assert plant.ended("MIX")["parameters"][0]["value"] == "10.0"
    assert [event["state"] for event in plant.of("alarm")] == ["raised", "cleared"]
