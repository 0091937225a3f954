"""The fold as stories: a small line, readings in, records out."""

from dataclasses import replace

import orjson
import pytest
from kit.plant import ABORTED, HELD, IDLE, RUNNING, STEPS, TAGS, Plant, begin, equipment, line_of, stored, tag, time

from buffer.times import from_rfc3339
from config import Alarm, Parameter, Step
from gateway.context import Fold
from gateway.evidence.recompute import recompute


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


@pytest.mark.urs("URS-CTX-05", "URS-CTX-08")
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


@pytest.mark.urs("URS-CTX-05")
def test_a_step_that_begins_too_late_or_once_more_is_a_finding_and_is_recorded_all_the_same(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(15, g_step=20)
    plant.see(20, g_step=30)
    plant.see(25, g_step=20)
    plant.see(30, g_step=0)
    plant.alive(40)

    told = [(e["code"], e["evidence"]["step"], e["evidence"]["run"]) for e in plant.of("finding") if e["code"].startswith("step-")]
    assert told == [("step-skipped", "WET", 1), ("step-out-of-order", "MIX", 1), ("step-repeated", "MIX", 2)]
    assert plant.of("finding", code="step-out-of-order")[0]["evidence"]["after"] == ["WET"]
    runs = [
        (e["step"], e["run"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end") if e["level"] == "phase"
    ]
    assert sorted(runs, key=lambda run: run[2]) == [
        ("WET", 1, time(10), time(15)),
        ("MIX", 1, time(15), time(20)),
        ("WET", 2, time(20), time(25)),
        ("MIX", 2, time(25), time(30)),
    ]


@pytest.mark.urs("URS-TIME-01")
def test_each_edge_of_a_batch_bears_utc_the_wall_clock_and_the_sites_zone(plant: Plant) -> None:
    begin(plant)
    plant.see(10, g_step=30, g_speed=100.0)
    plant.see(20, g_step=0)
    plant.order(40, "FBD-202", "B1")
    plant.order(55, "GRN-201", None)
    plant.order(55, "FBD-202", None)
    plant.alive(70)
    begun, ended = plant.of("batch", transition="start"), plant.of("batch", transition="end")
    assert (len(begun), len(ended)) == (2, 1)
    edges = [begun[0]["start"], *(ended[0]["equipments"][0][side] for side in ("start", "end"))]
    for edge in edges:
        assert edge["time"].endswith("Z")
        assert edge["zone"] == "Europe/Paris"
        assert edge["local"].endswith("+01:00")
        assert from_rfc3339(edge["local"]) == from_rfc3339(edge["time"])


@pytest.mark.urs("URS-CTX-09")
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
