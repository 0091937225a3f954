"""Stories of a fold: links that are cut in the middle of a step, a batch, a change."""

import pytest
from kit.plant import RUNNING, Plant, begin, time


@pytest.mark.urs("URS-CTX-08")
def test_a_gap_cuts_the_series_and_the_parameter_says_so(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(12, g_speed=120.0)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(13), detected=time(15), cause="link-lost"
    )
    assert [g.tags for g in plant.fold.open_gaps("g-plc")] == ["all"]
    (close,) = plant.see(18, "initial", entry_s=18, g_step=30, g_speed=300.0, g_state=RUNNING)
    assert (close["transition"], close["start"], close["end"], close["outcome"]) == ("close", time(13), time(18), "lost")
    assert set(close["tags"]) == {"g.step", "g.speed", "g.state"}
    assert set(plant.fold.open_gaps("g-plc")[0].tags) == {"g.run", "g.user", "g.speed_sp", "g.batch"}
    plant.see(20, g_step=0)
    plant.alive(21)

    (end,) = plant.of("step", transition="end", step="WET")
    (most,) = [p for p in end["parameters"] if p["parameter"] == "wet_max"]
    assert (most["value"], most["status"], most["covered"], most["gaps"]) == ("300.0", "gap", 0.5, ["g-plc/9"])
    assert end["completeness"]["missing"] == [{"parameter": "wet_max", "status": "gap"}]
    assert end["run"] == 1, "a restart inside a step is the same run"


def test_a_resumed_source_closes_its_gap_as_filled(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(13), detected=time(15), cause="link-lost"
    )
    made = plant.happen(17, type="source", source="g-plc", state="resumed", tags="all", observed=time(17))
    assert [(e["tags"], e["outcome"], e["end"]) for e in made if e["type"] == "gap"] == [("all", "filled", time(17))]
    plant.see(14, entry_s=17, g_speed=140.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    assert (plant.parameter("WET", "wet_max")["status"], plant.parameter("WET", "wet_max")["value"]) == ("present", "140.0")


def test_a_step_found_running_and_one_that_ended_unseen(plant: Plant) -> None:
    plant.order(1, "GRN-201", "B1")
    plant.see(2, "initial", g_step=30, g_speed=100.0, g_state=RUNNING)
    plant.alive(3)
    start = plant.of("step", transition="start", step="WET")[0]["start"]
    assert (start["basis"], start["window_s"]) == ("found-at-start", None)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(13), detected=time(15), cause="link-lost"
    )
    plant.see(40, "initial", entry_s=40, g_step=0, g_speed=0.0)
    plant.alive(41)
    end = plant.ended("WET")
    assert (end["end"]["basis"], end["end"]["time"], end["end"]["window_s"], end["cause"]) == (
        "inferred-from-gap",
        time(40),
        27.0,
        "unknown",
    )


def test_a_change_that_is_settling_when_the_link_is_cut_waits_for_it(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=20)
    plant.happen(
        22, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(20), detected=time(22), cause="link-lost"
    )
    plant.alive(60, "d-plc")
    assert not plant.of("step", transition="end", step="WET"), "nobody looked: waiting proves nothing"
    plant.see(70, "initial", entry_s=70, g_step=0, g_speed=0.0)
    plant.alive(80)
    assert [(plant.ended(s)["start"]["time"], plant.ended(s)["end"]["time"]) for s in ("WET", "MIX")] == [
        (time(10), time(20)),
        (time(20), time(70)),
    ]


def test_a_batch_that_ends_during_a_gap_cuts_its_step_when_the_step_is_seen_again(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(11, g_speed=110.0)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(11), detected=time(15), cause="link-lost"
    )
    plant.order(30, "GRN-201", "B2", row_s=30)
    plant.alive(40, "d-plc")
    assert not plant.of("batch", transition="end"), "what became of its step is not known"
    plant.see(50, "initial", entry_s=50, g_step=0, g_speed=0.0)
    plant.alive(60)
    ends = [(e["batch"], e["cause"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", step="WET")]
    assert ends == [("B1", "unknown", time(10), time(30)), ("B2", "unknown", time(30), time(50))]
    last = plant.of("step", transition="end", step="WET", batch="B1")[0]["end"]
    assert (last["basis"], last["window_s"]) == ("inferred-from-gap", 19.0), "it may have been over before the batch was"
