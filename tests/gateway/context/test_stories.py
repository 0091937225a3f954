"""The fold as stories: a small line, readings in, records out."""

from dataclasses import replace

import orjson
import pytest
from kit.plant import ABORTED, HELD, IDLE, RUNNING, STEPS, TAGS, Plant, begin, equipment, line_of, replayed, stored, tag, time

from config import Alarm, FromTag, Parameter, Step
from config.sections import Pushed
from gateway.context import Fold
from gateway.evidence.recompute import recompute


@pytest.fixture
def plant() -> Plant:
    return Plant(line_of())


@pytest.mark.urs("URS-CTX-04")
def test_a_step_is_recorded_when_its_sources_have_shown_life_past_its_end(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=20, g_speed=100.0)
    plant.see(14, g_speed=200.0)
    plant.see(20, g_step=0)
    assert not plant.of("step", transition="end")
    plant.alive(20.6)

    start, end = plant.of("step", transition="start", step="MIX")[0], plant.ended("MIX")
    assert end["record"] == start["record"] == "lyon/granulation-2/B1/granulator/MIX/1"
    assert (start["start"]["time"], end["end"]["time"]) == (time(10), time(20))
    assert (end["cause"], end["parent"], end["run"], end["unit_id"]) == ("completed", "GRANULATE/1", 1, "GRN-201")
    assert end["performed_by"] == [{"id": "jdupont", "kind": "person", "from": "g.user"}]
    mean = plant.parameter("MIX", "mix_mean")
    assert mean["unrounded"] == pytest.approx((4 * 100 + 6 * 200) / 10)
    assert (mean["value"], mean["low"], mean["high"], mean["result"], mean["status"]) == ("160.0", "100", "250", "within", "present")
    assert (mean["covered"], mean["readings"], mean["min"], mean["max"]) == (1.0, 2, "100.0", "200.0")
    assert plant.parameter("MIX", "mix_time")["value"] == "10.0"
    assert plant.parameter("MIX", "mix_sp")["value"] == "250", "a set point that never changes is present, not missing"
    assert end["completeness"] == {"required": 3, "present": 3, "missing": []}


@pytest.mark.urs("URS-CTX-01", "URS-CTX-03")
def test_readings_know_their_place_and_outside_a_batch_it_is_none(plant: Plant) -> None:
    plant.see(0, "initial", g_step=0, g_state=IDLE)
    context = plant.fold.contexts("g-plc")["granulator"]
    assert (context["activity"], context["batch"], context["steps"], context["state"]) == ("idle", None, [], "Idle")
    plant.order(1, "GRN-201", "B1")
    plant.see(2, g_state=RUNNING)
    plant.see(10, g_step=30)
    assert plant.fold.contexts("g-plc")["granulator"] == {
        "activity": "production",
        "order": "4500",
        "batch": "B1",
        "product": "P-1",
        "recipe": "MBR-88",
        "recipe_version": None,
        "steps": [["operation", "GRANULATE", 1], ["phase", "WET", 1]],
        "state": "Running",
        "mode": None,
        "operator": None,
    }
    assert plant.fold.contexts("d-plc")["dryer"]["batch"] is None, "the other equipment has its own context"


def test_two_equipments_hold_different_batches_and_the_route_closes_each(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=30)
    plant.see(30, g_step=0)
    plant.order(40, "FBD-202", "B1")
    plant.see(41, d_step=1, d_temp=60.0)
    plant.order(42, "GRN-201", "B2")
    plant.alive(50)
    contexts = {e: plant.fold.contexts(s)[e]["batch"] for s, e in (("g-plc", "granulator"), ("d-plc", "dryer"))}
    assert contexts == {"granulator": "B2", "dryer": "B1"}
    assert not plant.of("batch", transition="end"), "the dryer still has B1"
    plant.see(60, d_step=0)
    plant.order(61, "FBD-202", None)
    plant.alive(70)

    (end,) = plant.of("batch", transition="end")
    assert (end["batch"], end["cause"], end["order"], end["recipe"]) == ("B1", "completed", "4500", "MBR-88")
    assert [(m["equipment"], m["start"]["time"], m["end"]["time"]) for m in end["equipments"]] == [
        ("granulator", time(4), time(42)),
        ("dryer", time(40), time(61)),
    ]
    assert [r["record"].removeprefix("lyon/granulation-2/B1/") for r in end["records"]] == [
        "dryer/DRY/1",
        "granulator/GRANULATE/1",
        "granulator/MIX/1",
        "granulator/WET/1",
    ]
    assert end["status"] == "complete"


def test_a_batch_without_a_required_step_is_incomplete(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.order(40, "FBD-202", "B1")
    plant.see(41, d_step=1)
    plant.see(50, d_step=0)
    plant.order(55, "GRN-201", None)
    plant.order(55, "FBD-202", None)
    plant.alive(70)

    (end,) = plant.of("batch", transition="end")
    assert end["status"] == "incomplete"
    assert {"equipment": "granulator", "step": "MIX", "run": None, "parameter": None, "status": "missing"} in end["completeness"]["missing"]
    assert plant.of("finding", code="step-skipped")[0]["evidence"]["skipped"] == ["MIX"]
    assert plant.of("finding", code="step-missing")[0]["evidence"]["step"] == "MIX"


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


def test_a_late_reading_makes_a_whole_record_again(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    plant.see(15, "backfill", entry_s=30, g_speed=500.0)
    plant.alive(36)

    first, second = plant.of("step", transition="end", step="WET")
    assert (second["revision"], second["supersedes"], second["reason"]) == (2, f"{first['record']}#1", "late-data")
    assert {"path": "parameters/wet_max/value", "old": "100.0", "new": "500.0"} in second["changed"]
    assert plant.parameter("WET", "wet_max")["value"] == "500.0"


def test_an_aborted_step_says_so(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(15, g_step=0)
    plant.see(15.1, g_state=ABORTED)
    plant.alive(16)
    assert plant.ended("WET")["cause"] == "aborted"


def test_holds_are_listed_and_do_not_count_where_only_running_does() -> None:
    running = Parameter("mix_run", "granulator", "MIX", "mean", "g.speed", include="running", decimals=1)
    plant = Plant(line_of(parameters=(running, replace(running, parameter="mix_all", include="all"))))
    begin(plant)
    plant.see(10, g_step=20, g_speed=100.0)
    plant.see(12, g_state=HELD)
    plant.see(12.5, g_speed=0.0)
    plant.see(18, g_state=RUNNING, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    assert [(h["state"], h["start"]["time"], h["end"]["time"]) for h in plant.ended("MIX")["holds"]] == [("Held", time(12), time(18))]
    assert plant.parameter("MIX", "mix_run")["value"] == "100.0"
    assert plant.parameter("MIX", "mix_all")["value"] == "45.0"


def test_a_key_tells_two_runs_of_the_same_phase_apart() -> None:
    steps = (replace(STEPS[2], parent=None, key="g.run"),)
    plant = Plant(line_of(steps=steps))
    begin(plant)
    plant.see(10, g_step=30, g_run=1, g_speed=100.0)
    plant.see(20, g_run=2, g_speed=200.0)
    plant.see(30, g_step=0, g_run=0)
    plant.alive(31)
    one, two = plant.of("step", transition="end", step="WET")
    assert [(e["run"], e["start"]["time"], e["end"]["time"]) for e in (one, two)] == [(1, time(10), time(20)), (2, time(20), time(30))]
    assert [e["parameters"][0]["value"] for e in (one, two)] == ["100.0", "200.0"]


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


def test_a_value_that_does_not_stand_still_is_no_step(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30)
    plant.see(10.2, g_step=20)
    plant.alive(11)
    plant.see(15, g_step=0)
    plant.see(15.1, g_step=20)
    plant.see(20, g_step=0)
    plant.alive(26)
    assert not plant.of("step", step="WET")
    (mix,) = plant.of("step", transition="end", step="MIX")
    assert (mix["start"]["time"], mix["end"]["time"]) == (time(10.2), time(20))
    assert plant.of("finding", code="unsettled")


@pytest.mark.urs("URS-CTX-03")
def test_an_id_of_the_mes_that_comes_late_rebinds_what_began_since(plant: Plant) -> None:
    plant.see(0, "initial", g_step=0, g_state=RUNNING, g_speed=0.0, g_speed_sp=250.0)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_step=0)
    plant.alive(21)
    assert plant.ended("MIX")["batch"] is None
    plant.order(22, "GRN-201", "B1", row_s=9)
    plant.alive(30)

    rebinds = plant.of("rebind")
    assert {r["record"] for r in rebinds} == {f"lyon/granulation-2/B1/granulator/{s}/1" for s in ("GRANULATE", "MIX")}
    first, second = plant.of("step", transition="end", step="MIX")
    assert (second["batch"], second["revision"], second["reason"], second["supersedes"]) == ("B1", 2, "re-bound", f"{first['record']}#1")


@pytest.mark.urs("URS-CTX-03")
def test_an_id_from_a_tag_counts_only_if_well_formed_and_known() -> None:
    how = FromTag(tag="g.batch", pattern=r"B\d", known_in="mes.orders")
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", batch=how, state="g.state", batch_ends="change"),)))
    plant.see(0, "initial", g_step=0, g_batch="", g_state=RUNNING)
    plant.see(5, g_batch="B?")
    plant.alive(6)
    assert plant.of("finding", code="batch-unknown")[0]["evidence"]["raw"] == "B?"
    plant.see(8, g_batch="B7")
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.fold.contexts("g-plc")["granulator"]["batch"] is None
    assert plant.fold.contexts("g-plc")["granulator"]["batch_raw"] == "B7"
    plant.order(12, "GRN-201", "B7", row_s=11)
    assert plant.fold.contexts("g-plc")["granulator"]["batch"] == "B7"
    assert {r["reason"] for r in plant.of("rebind")} == {"known-late"}


def test_a_pushed_order_binds_its_equipment() -> None:
    pushed = {name: Pushed(push=True) for name in ("batch", "order", "product", "recipe")}
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", **pushed, batch_ends="empty"),)))
    plant.see(0, "initial", g_step=0)
    plant.happen(5, type="context", equipment="granulator", values={"batch": "B9", "order": "77", "recipe": "MBR-1"})
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.of("step", transition="start", step="MIX")[0]["batch"] == "B9"
    plant.happen(20, type="context", equipment="granulator", values={"batch": None})
    plant.alive(30)
    assert [e["cause"] for e in plant.of("step", transition="end", step="MIX")] == ["batch-changed"]


def test_a_batch_that_its_state_ends_keeps_its_last_step_whole() -> None:
    plant = Plant(
        line_of(equipment=(equipment("granulator", "GRN-201", state="g.state", states="packml", batch_ends="state:Idle"),), routes=())
    )
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(20, g_state=IDLE)
    plant.see(20.1, g_step=0)
    plant.alive(30)
    assert plant.ended("MIX")["cause"] == "completed"
    (end,) = plant.of("batch", transition="end")
    assert end["end"]["time"] == time(20)
    assert plant.fold.contexts("g-plc")["granulator"]["batch"] is None, "the id still stands, but its batch has ended"


def test_every_event_names_what_caused_it_and_a_replay_makes_the_same(plant: Plant) -> None:
    test_two_equipments_hold_different_batches_and_the_route_closes_each(plant)
    again = Fold(plant.line)
    made = []
    for item in plant.items:
        events = again.decide(item)
        assert all(event["caused_by"] == item.seq for event in events)
        made += events
        again = Fold.load(plant.line, again.dump())
    assert orjson.dumps(made) == orjson.dumps(plant.events)


def test_a_recomputation_makes_the_same_events_and_names_what_differs(plant: Plant) -> None:
    test_two_equipments_hold_different_batches_and_the_route_closes_each(plant)
    payloads = stored(plant)
    assert list(recompute(plant.line, payloads)) == []
    at = next(i for i, p in enumerate(payloads) if b'"transition":"end"' in p and b"MIX" in p)
    forged = [*payloads[:at], payloads[at].replace(b'"value":"150.0"', b'"value":"151.0"'), *payloads[at + 1 :]]
    (difference,) = recompute(plant.line, forged)
    assert (difference.batch, b"151.0" in (difference.stored or b""), b"150.0" in (difference.made or b"")) == ("B1", True, True)
    assert list(recompute(plant.line, [*payloads[:at], *payloads[at + 1 :]])), "a record that was left out is found"


def test_alarms_are_raised_and_cleared_and_listed_in_the_batch() -> None:
    alarms = (
        Alarm("G-HIGH", "g.run", "true", bit=2, equipment="granulator", text="Speed high"),
        Alarm("G-STEP", "g.step", "99", severity="warning"),
    )
    plant = Plant(line_of(alarms=alarms, routes=()))
    begin(plant)
    plant.see(10, g_step=30, g_run=0b100)
    plant.see(12, g_run=0b111)
    plant.see(15, g_run=0b011)
    plant.see(16, g_run=0b100)
    plant.see(20, g_step=0)
    plant.order(30, "GRN-201", None)
    plant.alive(40)
    told = [(a["alarm"], a["state"], a["at"]["time"], a["batch"]) for a in plant.of("alarm")]
    assert told == [("G-HIGH", s, time(t), "B1") for s, t in (("raised", 10), ("cleared", 15), ("raised", 16))]
    (end,) = plant.of("batch", transition="end")
    assert [(a["alarm"], a["raised"], a["cleared"]) for a in end["alarms"]] == [
        ("G-HIGH", time(10), time(15)),
        ("G-HIGH", time(16), None),
    ]
    assert end["alarm_count"] == 2


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
    assert ends == [("B1", "batch-changed", time(10), time(30)), ("B2", "unknown", time(30), time(50))]


def test_a_phase_told_by_its_name_and_one_by_a_bit() -> None:
    tags = (*TAGS, tag("g.name", "g-plc", "string"), tag("g.bit", "g-plc", "bool"), tag("g.long", "g-plc", "int64"))
    steps = (
        Step("HEAT", "granulator", "phase", "g.name", "HEAT"),
        Step("STIR", "granulator", "phase", "g.bit", "true"),
        Step("WORD", "granulator", "phase", "g.long", "4294967296..4294967299"),
        Step("STATE", "granulator", "phase", "g.state", "Held", occurs="0..n"),
    )
    plant = Plant(line_of(tags=tags, steps=steps))
    begin(plant)
    plant.see(1, "initial", g_name="", g_bit=False, g_long="0")
    plant.see(10, g_name="HEAT", g_bit=True, g_long="4294967297", g_state=HELD)
    assert plant.fold.contexts("g-plc")["granulator"]["steps"] == [["phase", s, 1] for s in ("HEAT", "STIR", "WORD", "STATE")]
    plant.see(20, g_name="COOL", g_bit=False, g_long="5", g_state=RUNNING)
    plant.alive(30)
    ended = {e["step"] for e in plant.of("step", transition="end") if (e["start"]["time"], e["end"]["time"]) == (time(10), time(20))}
    assert ended == {"HEAT", "STIR", "WORD", "STATE"}


def test_a_text_without_end_does_not_fill_every_entry() -> None:
    plant = Plant(line_of())
    plant.see(0, "initial", g_step=0, g_user="x" * 30_000)
    assert plant.fold.contexts("g-plc")["granulator"]["operator"] == "x" * 256
    assert plant.of("finding", code="text-cut")


def test_a_state_of_another_format_is_refused(plant: Plant) -> None:
    begin(plant)
    dumped = orjson.loads(plant.fold.dump())
    assert orjson.loads(Fold.load(plant.line, orjson.dumps(dumped)).dump()) == dumped
    with pytest.raises(ValueError, match="format 0"):
        Fold.load(plant.line, orjson.dumps({**dumped, "format": 0}))


@pytest.mark.urs("URS-CTX-11")
def test_an_excursion_is_a_fact_with_its_instants() -> None:
    mean = Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1, low="100", high="=g.speed_sp", limit_source="tag")
    warm = Parameter("dry_above", "dryer", "DRY", "time_above", "d.temp", decimals=1, high="60", limit_source="map")
    plant = Plant(line_of(parameters=(mean, warm)))
    begin(plant)
    plant.see(10, g_step=20, g_speed=150.0)
    plant.see(12, g_speed=260.0)
    plant.see(13, g_speed=300.0)
    plant.see(15, g_speed=90.0)
    plant.see(16, g_speed=150.0)
    plant.see(20, g_step=0)
    plant.see(30, d_step=1, d_temp=50.0)
    plant.see(40, d_temp=70.0)
    plant.see(50, d_temp=50.0)
    plant.see(60, d_step=0, d_temp=50.0)
    plant.alive(70)
    told = plant.parameter("MIX", "mix_mean")
    assert [tuple(e.values()) for e in told["excursions"]] == [
        ("above", time(12), time(15), 3.0, "300.0"),
        ("below", time(15), time(16), 1.0, "90.0"),
    ]
    assert (told["excursion_count"], told["result"]) == (2, "within"), "a fact, and no judgement of its own"
    (above,) = plant.parameter("DRY", "dry_above")["excursions"]
    assert tuple(above.values()) == ("above", time(35), time(45), 10.0, "70"), "a straight line crosses the limit between two readings"
    assert plant.parameter("DRY", "dry_above")["value"] == "10.0"


def test_three_weeks_in_one_step_need_no_more_memory_than_one() -> None:
    """A bioreactor's batch: one step, a reading each four minutes, bursts of ten in a second, a hold and a cut each day."""
    parameters = tuple(
        Parameter(f"p{n}", "granulator", "MIX", s, "g.speed", include="running") for n, s in enumerate(("mean", "max", "total"))
    )
    plant = Plant(line_of(parameters=parameters))
    begin(plant)
    plant.see(10, g_step=20, g_speed=0.0)
    bytes_at = []
    for day in range(21):
        for minute in range(1, 1_440, 4):
            at = 86_400 * day + 60 * minute
            plant.see(at, g_speed=float(minute % 50))
            for tenth in range(10 if minute % 100 == 1 else 0):
                plant.see(at + 1 + tenth / 10, g_speed=float(tenth))
        at = 86_400 * (day + 1) - 30
        plant.see(at, g_state=HELD)
        plant.happen(
            at + 8, type="gap", transition="open", gap=f"g-plc/{day}", source="g-plc", tags="all", start=time(at), cause="link-lost"
        )
        plant.see(at + 10, "initial", entry_s=at + 10, **{n.replace(".", "_", 1): 250.0 for n in plant.names["g-plc"][4:6]})
        plant.see(at + 20, g_state=RUNNING, g_step=20, g_run=0, g_user="jdupont", g_batch="")
        plant.items.clear()
        bytes_at.append(len(plant.fold.dump()))
    plant.see(86_400 * 21, g_step=0)
    plant.alive(86_400 * 21 + 1)
    mean = plant.parameter("MIX", "p0")
    assert mean["readings"] > 7_500
    assert mean["covered"] > 0.999
    assert len(plant.ended("MIX")["holds"]) == 21
    assert bytes_at[-1] < bytes_at[6] + 15_000, "what grows is one line for each hold and each gap"
    assert bytes_at[-1] < 100_000


def test_rows_that_are_read_before_the_readings_of_their_time_wait_for_them(plant: Plant) -> None:
    """After a restart the MES answers at once; what the PLC had queued comes a little later."""
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(11, g_speed=110.0)
    orders = [("1", None, 19), ("2", "B2", 21)]
    row = {"unit_id": "GRN-201", "order_no": "4501", "product": "P-1", "recipe": "MBR-88"}
    rows = [{"key": k, "change": "new", "time": time(t), "text": None, "row": {**row, "batch_no": b}} for k, b, t in orders]
    plant.happen(23, type="message", source="mes", name="orders", rows=rows)
    plant.see(17.9, entry_s=23.1, g_step=0)
    plant.see(22, entry_s=23.2, g_speed=0.0)
    plant.see(25, g_step=30)
    plant.alive(27)
    (end,) = plant.of("step", transition="end", step="WET")
    assert (end["batch"], end["cause"], end["end"]["time"]) == ("B1", "completed", time(17.9))
    assert [(s["batch"], s["run"]) for s in plant.of("step", transition="start", step="WET")] == [("B1", 1), ("B2", 1)]
    assert plant.of("batch", transition="leave")[0]["end"]["time"] == time(19)
    assert plant.of("batch", transition="start", batch="B2")[0]["start"]["time"] == time(21)


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize("ordered_s", [30, 49.5])
@pytest.mark.parametrize("after", [30, 0])
def test_what_happens_between_a_release_and_the_next_id_unseen_is_nobodys(plant: Plant, ordered_s: float, after: int) -> None:
    """The step was left and perhaps begun again, all in one gap: only what was seen is bound."""
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(11, g_speed=110.0)
    plant.happen(
        15, type="gap", transition="open", gap="g-plc/9", source="g-plc", tags="all", start=time(11), detected=time(15), cause="link-lost"
    )
    plant.order(20.3, "GRN-201", None, row_s=20)
    plant.order(ordered_s + 0.3, "GRN-201", "B2", row_s=ordered_s)
    plant.see(50, "initial", entry_s=50, g_step=after, g_speed=0.0)
    plant.alive(55)
    plant.see(60, g_step=0)
    plant.alive(70)
    ends = [(e["batch"], e["cause"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", step="WET")]
    seen = [("B2", "completed", time(50), time(60))] if after else []
    assert ends == [("B1", "batch-changed", time(10), time(20)), (None, "unknown", time(20), time(50)), *seen]
    if after:
        begun = plant.of("step", transition="start", step="WET", batch="B2")[0]["start"]
        assert (begun["basis"], begun["window_s"]) == ("inferred-from-gap", 39.0)
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_a_pushed_id_counts_only_if_well_formed_and_known_and_outlives_a_restart() -> None:
    pushed = {name: Pushed(push=True) for name in ("order", "product", "recipe")}
    batch = Pushed(push=True, pattern=r"B\d", known_in="mes.orders")
    plant = Plant(line_of(equipment=(equipment("granulator", "GRN-201", batch=batch, **pushed, batch_ends="empty"),)))
    plant.see(0, "initial", g_step=0)
    plant.happen(2, type="context", equipment="granulator", values={"batch": "B?", "order": "77"})
    plant.alive(4)
    assert plant.of("finding", code="batch-unknown")[0]["evidence"]["raw"] == "B?"
    plant.happen(5, type="context", equipment="granulator", values={"batch": "B9", "order": "78", "recipe": "MBR-1"})
    plant.see(10, g_step=20)
    plant.alive(11)
    assert plant.of("step", transition="start", step="MIX")[0]["batch"] is None, "well-formed, but nobody knows it"
    plant.fold = Fold.load(plant.line, plant.fold.dump())
    plant.order(12, "GRN-201", "B9", row_s=11)
    plant.alive(14)
    context = plant.fold.contexts("g-plc")["granulator"]
    assert (context["batch"], context["order"], context["recipe"]) == ("B9", "78", "MBR-1")
    assert {(r["reason"], r["to"]["batch"]) for r in plant.of("rebind")} == {("known-late", "B9")}
    plant.happen(20, type="context", equipment="granulator", values={"batch": None, "order": None})
    plant.see(21, g_step=0)
    plant.alive(23)
    assert plant.of("batch", transition="leave")[0]["batch"] == "B9"
