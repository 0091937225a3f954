"""The share of a step that was covered: less than all never reads as all."""

from dataclasses import replace
from typing import Literal

import pytest
from kit.plant import RUNNING, STEPS, TAGS, Plant, begin, line_of, time

from config import Parameter
from gateway.parameters.edges import EDGES


def with_a_hole(to_s: float, *of: str, include: Literal["all", "running"] = "all") -> Plant:
    """MIX from 20 s to 40 s; these sources (d-plc has the tag, g-plc the step) are not asked from 30 s to `to_s`."""
    rows = tuple(
        Parameter(name, "granulator", "MIX", name, "d.temp", low="0", high="200", limit_source="map", include=include) for name in EDGES
    )
    steps = tuple(replace(step, key=None) for step in STEPS)
    plant = Plant(replace(line_of(routes=()), parameters=rows, steps=steps, tags=tuple(replace(tag, between="hold") for tag in TAGS)))
    begin(plant)
    plant.see(20, g_step=20, g_run=1)
    plant.see(24, d_temp=25.0)
    for source in of:
        gap = {"gap": f"{source}/1", "source": source, "tags": "all", "start": time(30), "detected": time(30)}
        plant.happen(30, type="gap", transition="open", cause="not-asked", detail="", **gap)
    standing = {"g_step": 20, "g_run": 1, "g_state": RUNNING, "g_user": "jdupont", "g_speed": 200.0, "g_speed_sp": 250.0}
    for source in of:
        plant.see(to_s, "initial", entry_s=to_s, **({"d_step": 0, "d_temp": 25.0} if source == "d-plc" else standing))
    plant.see(40, g_step=0)
    plant.alive(60)
    return plant


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize(
    "statistic", sorted(set(EDGES) - {"duration", "value_at_start", "value_at_end", "first", "last", "sample", "delta"})
)
def test_a_hole_of_a_microsecond_is_less_than_all(statistic: str) -> None:
    """A share of 0.99999995 was written as 1.0, beside the status gap."""
    told = with_a_hole(30.000_001, "d-plc").parameter("MIX", statistic)
    assert told["status"] == "gap"
    assert told["covered"] == 0.999999


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize("include", ["all", "running"])
@pytest.mark.parametrize("statistic", sorted(set(EDGES) - {"duration"}))
def test_what_is_a_gap_because_the_step_was_out_of_sight_is_not_all_covered(statistic: str, include: Literal["all", "running"]) -> None:
    """A delta, a sample, and with it the first and the last value while running, were a gap with a share of 1.0."""
    told = with_a_hole(35, "g-plc", include=include).parameter("MIX", statistic)
    assert told["covered"] == {"present": 1.0, "gap": 0.75}[told["status"]]


@pytest.mark.parametrize("statistic", ["delta", "sample", "mean"])
def test_what_neither_the_step_nor_the_tag_was_seen_in_is_left_out_once(statistic: str) -> None:
    plant = with_a_hole(35, "d-plc", "g-plc")
    assert plant.parameter("MIX", statistic)["covered"] == 0.75
