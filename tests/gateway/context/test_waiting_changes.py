"""A change that waits when the gateway goes away counts for its own time when it is back, and readings after it are not the step's."""

import orjson
import pytest
from kit.plant import Plant, begin, line_of, replayed, time


@pytest.mark.urs("URS-CTX-08")
def test_a_step_that_ended_just_before_the_gateway_stopped_has_the_readings_until_its_end() -> None:
    """The end had not stood still yet; when the gateway is back minutes have passed, and what came after the end is not summed up in it."""
    plant = Plant(line_of())
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.see(20.2, g_speed=999.0)
    stopped = {"type": "gap", "transition": "open", "gap": "g-plc/1", "source": "g-plc", "tags": "all", "start": time(20.3)}
    plant.happen(300, type="audit", action="start", who="system:x", what={}, reason="")
    plant.happen(300, **stopped, detected=time(300), cause="gateway-stopped", detail="")
    plant.see(300.1, "initial", g_step=0, g_run=0, g_state=6, g_user="jdupont", g_speed=5.0, g_speed_sp=250.0)
    plant.alive(310)
    plant.alive(320)
    assert plant.ended("WET")["end"]["time"] == time(20)
    assert plant.parameter("WET", "wet_max")["value"] == "100.0"
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
