"""A step whose key changes while nobody sees its signal, or the other way round."""

from typing import Any

import pytest
from kit.lost_signals import UNKNOWN, edge, ended, is_said_again, keyed, look_again, lose
from kit.plant import time


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
def test_whose_run_it_was_is_not_known_while_nobody_saw_the_key() -> None:
    plant = keyed()
    plant.see(40, g_step=0)
    plant.see(41, g_step=20)
    lose(plant, 35, 50, ["g.run"], "not-asked")
    plant.see(50, g_run=2)
    plant.see(60, g_step=0)
    plant.alive(70)
    first, second = plant.of("step", transition="end", step="MIX", run=1)[-1], plant.of("step", transition="end", step="MIX", run=2)[-1]
    assert edge(first, "end") == ("inferred-from-gap", 5.0), "another run may have begun since 35"
    assert edge(second, "start") == UNKNOWN, "its key was another one when it was seen again"


def test_a_key_that_is_the_same_afterwards_proves_the_start() -> None:
    plant = keyed()
    plant.see(40, g_step=0)
    plant.see(41, g_step=20)
    lose(plant, 40.5, 50, ["g.run"], "not-asked")
    plant.see(50, g_run=1)
    plant.see(60, g_step=0)
    plant.alive(70)
    assert edge(plant.of("step", transition="end", step="MIX", run=2)[-1], "start") == ("observed", 1.0)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize("last", [2, 3])
def test_a_step_whose_key_is_another_one_after_a_gap_ended_in_it_though_its_signal_is_seen_to_end(last: int) -> None:
    plant = keyed()
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 50)
    look_again(plant, 60, g_step=20, g_run=2)
    plant.see(60.2, g_step=0, g_run=last)
    plant.alive(70)
    assert edge(ended(plant), "end") == ("inferred-from-gap", 20.0), "its key was another one at 60, and nobody saw since when"
    told = {p["parameter"]: p["status"] for p in ended(plant)["parameters"]}
    assert told == {"mix_time": "gap", "mix_mean": "gap", "mix_sp": "present"}
    assert len({step["run"] for step in plant.of("step", transition="end", step="MIX")}) == last - 1, "a third key: 2 may have had a run"
    is_said_again(plant)


def test_a_step_whose_key_was_seen_to_change_with_its_signal_ended_with_the_signal() -> None:
    plant = keyed()
    plant.see(59.8, g_run=2)
    plant.see(60, g_step=0)
    plant.alive(70)
    assert (edge(ended(plant), "end"), ended(plant)["end"]["time"]) == (("observed", 1.0), time(60))


@pytest.mark.urs("URS-CTX-04", "URS-DAQ-06")
@pytest.mark.parametrize(("value", "starts"), [(0, []), (20, [("inferred-from-gap", 20.0)])])
def test_a_key_that_changes_while_nobody_sees_its_signal_begins_no_run(value: int, starts: list[Any]) -> None:
    """It ended the run that bore the former key. The next one begins when its signal is seen on, some time in the gap; or it never did."""
    plant = keyed()
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 41, ["g.step"])
    plant.see(50, g_run=2)
    plant.alive(55)
    assert (edge(ended(plant), "end"), ended(plant)["end"]["time"]) == (("inferred-from-gap", 10.0), time(50))
    assert len(plant.of("step", transition="start", step="MIX")) == 1, "nobody saw a start"
    plant.see(60, "initial", entry_s=60, g_step=value)
    plant.alive(70)
    assert [edge(e, "start") for e in plant.of("step", transition="start", step="MIX")[1:]] == starts
    plant.see(80, g_step=0)
    plant.alive(90)
    runs = {e["run"]: (edge(e, "start"), edge(e, "end")) for e in plant.of("step", transition="end", step="MIX")}
    assert [runs[run] for run in sorted(runs)[1:]] == [(start, ("observed", 1.0)) for start in starts]
    assert len(plant.of("finding", code="step-repeated")) == len(starts)
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-04", "URS-DAQ-06")
def test_runs_whose_keys_came_before_what_their_signal_kept_begin_at_their_keys() -> None:
    """The signal's own queue comes late, without loss: it was on all the time, and two keys came meanwhile."""
    plant = keyed()
    plant.see(40, g_speed=150.0)
    lose(plant, 40, 41, ["g.step"])
    plant.see(50, g_run=2)
    plant.see(53, g_run=3)
    plant.alive(55)
    assert len(plant.of("step", transition="start", step="MIX")) == 1
    plant.happen(60, type="source", source="g-plc", state="resumed", tags=["g.step"], observed=time(60))
    plant.see(57, g_step=0, entry_s=61)
    plant.see(65, g_speed=150.0)
    plant.alive(70)
    plant.alive(80)
    runs = [(e["run"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", step="MIX")]
    assert runs[-2:] == [(2, time(50), time(53)), (3, time(53), time(57))]
    assert {edge(e, side) for e in plant.of("step", transition="end", step="MIX")[-2:] for side in ("start", "end")} == {("observed", 1.0)}
    is_said_again(plant)


@pytest.mark.urs("URS-CTX-04", "URS-DAQ-06")
def test_a_batch_that_begins_while_nobody_sees_a_step_that_had_ended_begins_no_run_of_it() -> None:
    plant = keyed()
    lose(plant, 40, 41, ["g.step"])
    plant.see(50, g_run=2)
    plant.alive(55)
    plant.order(56, "GRN-201", "B7", row_s=56)
    plant.alive(62)
    assert len(plant.of("step", transition="start", step="MIX")) == 1
    plant.see(70, "initial", entry_s=70, g_step=20)
    plant.alive(80)
    (start,) = plant.of("step", transition="start", step="MIX", run=1, batch="B7")
    assert (edge(start, "start"), start["start"]["time"]) == (("inferred-from-gap", 30.0), time(70))
    is_said_again(plant)
