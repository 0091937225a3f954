"""Rows that tell of when nobody watched: they are history, never observation."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from kit.plant import STEPS, Plant, equipment, line_of, replayed, time

from config import FromRow, Parameter
from config.grammars.terms import Term
from config.materials import Booking, Sampling
from config.sections import MesSteps

STEPS_ROWS = MesSteps(row="mes.steps", key="unit_id", step="step", state="state")
LOTS = Booking("weigh", "granulator", "mes.lots", kind="consume", occurs="0..n", lot=Term("row", "lot"), batch=Term("row", "batch_no"))
SAMPLES = Sampling("ipc", "granulator", "mes.samples", occurs="0..n", sample=Term("row", "sample"), batch=Term("row", "batch_no"))


class Told(Plant):
    """A plant whose MES is looked at: `since_s` is the last whole look before, None: nobody watched."""

    def look(self, at_s: float, rows: list[tuple[float | None, str, dict[str, Any]]], name: str = "orders", **how: Any) -> None:
        since_s = how.pop("since_s", None)
        told = [
            {"key": key, "change": "new", "time": None if t is None else time(t), "text": None, "row": {"unit_id": "GRN-201", **row}}
            for t, key, row in rows
        ]
        since = None if since_s is None else time(since_s)
        self.happen(at_s, type="message", source="mes", name=name, rows=told, since=since, **how)

    def batches(self) -> list[tuple[str, str, str | None, str]]:
        """(transition, batch, cause, basis of its start) of each event of a batch."""
        return [(e["transition"], e["batch"], e.get("cause"), e["start"]["basis"]) for e in self.of("batch")]


def plant_of(**more: Any) -> Told:
    unit = equipment("granulator", "GRN-201", **({"product": None, "recipe": None} | more))
    steps = tuple(step for step in STEPS if step.equipment == "granulator")
    mix = Parameter("mix_mean", "granulator", "MIX", "mean", "g.speed", decimals=1)
    line = line_of(equipment=(unit,), routes=(), steps=steps, parameters=(mix,))
    return Told(replace(line, materials=(LOTS,), samples=(SAMPLES,)))


def orders(*numbers: int, ago_s: float = 3600.0) -> list[tuple[float | None, str, dict[str, Any]]]:
    """Orders, the last of which began at -60, each of the others `ago_s` before the next."""
    return [(-60 - ago_s * (numbers[-1] - n), str(n), {"batch_no": f"B{n}", "order_no": f"O{n}"}) for n in numbers]


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize("pieces", [1, 2, 30])
def test_at_a_first_start_only_the_order_that_stands_now_opens_a_batch(pieces: int) -> None:
    plant = plant_of()
    told = orders(*range(1, 31))
    size = len(told) // pieces
    for number in range(pieces):
        plant.look(1 + number, told[number * size : (number + 1) * size], more=True)
        plant.alive(1.5 + number)
        assert plant.of("batch") == [], "the look is not over: another row may stand at its end"
    plant.look(40, [], more=False)
    plant.alive(50)
    assert plant.batches() == [("start", "B30", None, "told-by-row")]
    assert plant.of("batch")[0]["start"]["time"] == time(-60)
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_rows_without_a_time_are_found_at_the_start() -> None:
    plant = plant_of()
    plant.look(1, [(None, key, row) for _, key, row in orders(1, 2, 3)])
    plant.alive(20)
    assert plant.batches() == [("start", "B3", None, "found-at-start")]
    assert plant.of("batch")[0]["start"]["window_s"] is None


@pytest.mark.urs("URS-CTX-03")
def test_a_row_that_is_watched_for_is_observed_and_one_of_before_is_not() -> None:
    plant = plant_of(batch_ends="change")
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.alive(20)
    plant.look(30, [(9.8, "2", {"batch_no": "B2"})], since_s=29)
    plant.alive(40)
    plant.look(50, [(49.9, "3", {"batch_no": "B3"})], since_s=49)
    plant.alive(60)
    starts = {e["batch"]: e["start"]["basis"] for e in plant.of("batch", transition="start")}
    assert starts == {"B1": "observed", "B2": "told-by-row", "B3": "observed"}
    causes = {e["batch"]: (e["cause"], e["end"]["basis"]) for e in plant.of("batch", transition="leave")}
    assert causes == {"B1": ("unknown", "told-by-row"), "B2": ("completed", "observed")}


@pytest.mark.urs("URS-CTX-03")
@pytest.mark.parametrize(("late_s", "basis"), [(0.4, "observed"), (6.0, "observed"), (13.0, "observed"), (15.0, "told-by-row")])
def test_how_late_a_row_may_be_does_not_depend_on_how_often_somebody_looks(late_s: float, basis: str) -> None:
    """A look of 12 s ago still watches (`outage_tolerance_s` and two polls), and clocks may differ by 2 s: so a row may be as late."""
    starts = []
    for since_s in (39.0, 30.0):  # a second ago; ten seconds ago
        plant = plant_of()
        plant.look(40, [(40 - late_s, "1", {"batch_no": "B1"})], since_s=since_s)
        plant.alive(60)
        (start,) = plant.of("batch", transition="start")
        starts.append(start["start"])
        assert (start["start"]["time"], start["start"]["basis"]) == (time(40 - late_s), basis)
    if (late_s, basis) == (6.0, "observed"):
        assert [start["window_s"] for start in starts] == [6.0, 1.0], "of what came after the next look nobody saw when within these 6 s"


def test_a_row_without_a_time_came_some_time_after_the_look_before() -> None:
    plant = plant_of()
    plant.look(40, [(None, "1", {"batch_no": "B1"})], since_s=35)
    plant.alive(60)
    (start,) = plant.of("batch", transition="start")
    assert (start["start"]["time"], start["start"]["window_s"], start["start"]["basis"]) == (time(40), 5.0, "observed")


@pytest.mark.urs("URS-CTX-03", "URS-CTX-09")
def test_final_records_of_an_order_that_is_told_long_after_go_over_to_it() -> None:
    """The MES could not be looked at; the PLC was read all the time, and its steps were taken for the order before."""
    plant = plant_of()
    plant.see(1, "initial", g_step=0, g_speed=0.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.see(40, g_step=20, g_speed=100.0)
    plant.see(50, g_step=0)
    for at_s in range(55, 200, 5):
        plant.see(at_s, g_speed=float(at_s))
    (made,) = plant.of("step", transition="end", step="MIX")
    assert made["batch"] == "B1"
    plant.look(200, [(30, "2", {"batch_no": "B2"})])
    plant.alive(210, "g-plc")
    (bound,) = plant.of("rebind", step="MIX")
    assert (bound["supersedes"], bound["to"]["batch"], bound["reason"]) == (made["record"], "B2", "id-late")
    assert bound["final"]["revision"] == 1
    end = plant.of("batch", transition="end", batch="B1")[-1]
    assert end["records"] == []
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08", "URS-CFG-01")
def test_gaps_and_configurations_of_final_records_are_those_of_the_batch_that_lists_them() -> None:
    plant = plant_of()
    how = {"follows": None, "changes": 0, "diff": [], "approved_by": None}
    plant.happen(0, type="config", version=1, sha256="0" * 64, **how)
    plant.see(1, "initial", g_step=0, g_speed=0.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.see(40, g_step=20, g_speed=100.0)
    gap = {"gap": "g-plc/7", "source": "g-plc", "tags": ["g.speed"], "start": time(42), "detected": time(44), "cause": "link-lost"}
    plant.happen(44, type="gap", transition="open", detail="", **gap)
    plant.see(46, g_speed=101.0)
    plant.see(50, g_step=0)
    for at_s in range(55, 200, 5):
        plant.see(at_s, g_speed=float(at_s))
    plant.line = replace(plant.line, sha256="1" * 64)
    plant.fold = plant.fold.under(plant.line)
    plant.happen(198, type="config", version=2, sha256="1" * 64, **how)
    plant.look(200, [(30, "2", {"batch_no": "B2"})])
    plant.alive(210, "g-plc")
    plant.look(220, [(219.5, "3", {"batch_no": "B3"})], since_s=219)
    plant.alive(230, "g-plc")
    ends = {e["batch"]: e for e in plant.of("batch", transition="end")}
    told = {batch: (end["gaps"], [known["version"] for known in end["configurations"]]) for batch, end in ends.items()}
    assert told == {"B1": ([], [1, 2]), "B2": (["g-plc/7"], [1, 2])}


@pytest.mark.urs("URS-CTX-03", "URS-CTX-04")
@pytest.mark.parametrize("at_once", [True, False])
def test_an_order_that_is_told_after_the_late_end_of_the_one_before_cuts_no_step(at_once: bool) -> None:
    """B2 began at 50, and the MES closed B1 at 56 only, in the middle of a step of B2; the row of B2 came last."""
    closed = {"batch_no": "B1", "status": "CLOSED"}
    plant = plant_of(batch=FromRow(row="mes.orders", key="unit_id", column="batch_no", where="status=RUN"), order=None, batch_ends="empty")
    plant.see(1, "initial", g_step=0, g_speed=100.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1", "status": "RUN"})], since_s=9)
    plant.see(53, g_step=20, g_speed=90.0)
    plant.alive(57, "g-plc")
    following = (50.0, "2", {"batch_no": "B2", "status": "RUN"})
    if at_once:
        plant.look(58, [(56.0, "1", closed), following], since_s=57)
    else:
        plant.look(58, [(56.0, "1", closed)], since_s=57)
        plant.alive(59, "g-plc")
        plant.look(60, [following], since_s=59)
    plant.see(70, g_step=0)
    plant.alive(80, "g-plc")
    plant.alive(90, "g-plc")
    leaves = [(e["batch"], e["end"]["time"]) for e in plant.of("batch", transition="leave")]
    assert leaves[-1] == ("B1", time(50)), "an equipment works for one batch at a time"
    gone = {e["supersedes"] for e in plant.of("rebind")}
    ends = {e["record"]: e for e in plant.of("step", transition="end", step="MIX") if e["record"] not in gone}
    assert [(e["batch"], e["start"]["time"], e["end"]["time"], e["cause"]) for e in ends.values()] == [
        ("B2", time(53), time(70), "completed")
    ]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def test_a_look_long_after_the_one_before_was_not_watching() -> None:
    plant = plant_of()
    plant.look(1000, [(990, "1", {"batch_no": "B1"})], since_s=100)
    plant.alive(1020)
    assert plant.batches() == [("start", "B1", None, "told-by-row")]


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_orders_that_came_and_went_in_an_outage_are_neither_observed_nor_completed() -> None:
    plant = plant_of()
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.alive(20)
    plant.look(5000, [(1000, "2", {"batch_no": "B2"}), (2000, "3", {"batch_no": "B3"}), (4990, "4", {"batch_no": "B4"})])
    plant.alive(5020)
    assert [(t, b, c) for t, b, c, _ in plant.batches()] == [
        ("start", "B1", None),
        ("leave", "B1", "unknown"),
        ("start", "B4", None),
        ("end", "B1", "unknown"),
    ]
    assert plant.of("batch", transition="leave")[0]["end"] == plant.of("batch", transition="end")[0]["end"]
    assert plant.of("batch", transition="leave")[0]["end"]["time"] == time(1000), "the next order's row says so, whoever it was"
    assert plant.of("batch", transition="start", batch="B4")[0]["start"]["basis"] == "told-by-row"
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_an_order_of_an_outage_of_the_mes_alone_is_a_batch_by_what_was_seen_of_it() -> None:
    """The PLC was read all the time: its steps belong to the orders of their times."""
    plant = plant_of()
    plant.see(1, "initial", g_step=0, g_speed=0.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.see(15, g_step=20)
    plant.see(18, g_step=0)
    plant.see(40, g_step=20, g_speed=100.0)
    plant.see(50, g_step=0)
    plant.alive(60, "g-plc")
    plant.look(70, [(30, "2", {"batch_no": "B2"}), (55, "3", {"batch_no": "B3"}), (65, "4", {"batch_no": "B4"})])
    plant.alive(80, "g-plc")
    plant.alive(90, "g-plc")
    assert [(t, b, c) for t, b, c, _ in plant.batches() if b in {"B2", "B3"}] == [
        ("start", "B2", None),
        ("leave", "B2", "unknown"),
        ("end", "B2", "unknown"),
    ]
    assert {(e["batch"], e["step"]) for e in plant.of("step", transition="end")} >= {("B1", "MIX"), ("B2", "MIX")}
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


def steps(*told: tuple[float, str]) -> list[tuple[float | None, str, dict[str, Any]]]:
    return [(at_s, f"{at_s}", {"step": "MIX", "state": state}) for at_s, state in told]


@pytest.mark.urs("URS-CTX-04")
@pytest.mark.parametrize("orders_first", [True, False])
def test_steps_of_orders_that_were_over_make_no_records(orders_first: bool) -> None:
    plant = plant_of(mes_steps=STEPS_ROWS, steps_from="mes")
    looks = [("orders", orders(1, 2)), ("steps", steps((-3000, "START"), (-2900, "END"), (-50, "START"), (-20, "END")))]
    for name, rows in looks if orders_first else reversed(looks):
        plant.look(1, rows, name)
    plant.alive(5, "g-plc")
    plant.alive(20, "g-plc")
    plant.alive(40, "g-plc")
    (end,) = plant.of("step", transition="end")
    assert (end["batch"], end["start"]["basis"], end["end"]["basis"], end["cause"]) == ("B2", "told-by-row", "told-by-row", "unknown")
    assert [e["severity"] for e in plant.of("finding", code="step-before-start")] == ["info"]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_bookings_and_samples_of_orders_that_were_over_are_not_made() -> None:
    plant = plant_of()
    rows = [(-3000.0, "1", {"batch_no": "B1"}), (-30.0, "2", {"batch_no": "B2"})]
    plant.look(1, [(t, k, {**row, "lot": f"L{k}"}) for t, k, row in rows], "lots")
    plant.look(1.1, [(t, k, {**row, "sample": f"S{k}"}) for t, k, row in rows], "samples")
    plant.look(1.2, orders(1, 2))
    plant.alive(20)
    plant.alive(30)
    assert [(e["batch"], e["at"]["basis"]) for e in plant.of("material")] == [("B2", "told-by-row")]
    assert [(e["batch"], e["taken"]["basis"]) for e in plant.of("sample")] == [("B2", "told-by-row")]
    assert {e["text"].partition(":")[0] for e in plant.of("finding", code="booking-before-start")} == {"mes.lots", "mes.samples"}
    plant.look(50, [(49.5, "3", {"batch_no": "B2", "lot": "L3"})], "lots", since_s=49)
    plant.alive(60)
    assert plant.of("material")[-1]["at"]["basis"] == "observed"


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_batch_lacks_the_step_whose_only_run_went_over_to_the_next_order() -> None:
    plant = plant_of()
    plant = Told(replace(plant.line, steps=tuple(replace(step, occurs="1") for step in plant.line.steps if step.step != "WET")))
    plant.see(1, "initial", g_step=0, g_speed=0.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1"})], since_s=9)
    plant.see(40, g_step=20, g_speed=100.0)
    plant.see(50, g_step=0)
    plant.alive(55, "g-plc")
    plant.look(60, [(30, "2", {"batch_no": "B2"})])
    plant.alive(70, "g-plc")
    plant.alive(80, "g-plc")
    assert {e["supersedes"].split("/")[2] for e in plant.of("rebind")} == {"B1"}
    end = plant.of("batch", transition="end", batch="B1")[-1]
    missing = [(item["step"], item["status"]) for item in end["completeness"]["missing"]]
    assert (end["status"], missing) == ("incomplete", [("GRANULATE", "missing"), ("MIX", "missing")])
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-04")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_step_goes_on_that_was_cut_minutes_back_where_its_batch_did_not_change(at_once: bool) -> None:
    """The readings after the cut are in the step's sums by then, where they belong; nothing has to be held for that."""
    plant = plant_of(batch=FromRow(row="mes.orders", key="unit_id", column="batch_no", where="status=RUN"), order=None, batch_ends="empty")
    plant.see(1, "initial", g_step=0, g_speed=100.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1", "status": "RUN"})], since_s=9)
    plant.see(53, g_step=20, g_speed=90.0)
    for at_s in range(60, 230, 10):
        plant.see(at_s, g_speed=float(at_s))
    closed, following = (56.0, "1", {"batch_no": "B1", "status": "CLOSED"}), (50.0, "2", {"batch_no": "B2", "status": "RUN"})
    if at_once:
        plant.look(230, [closed, following], since_s=229)
    else:
        plant.look(230, [closed], since_s=229)
        plant.alive(231, "g-plc")
        plant.look(232, [following], since_s=231)
    plant.see(240, g_speed=240.0)
    plant.see(250, g_step=0)
    for at_s in range(260, 300, 10):
        plant.alive(at_s, "g-plc")
    gone = {e["supersedes"] for e in plant.of("rebind")}
    ends = {e["record"]: e for e in plant.of("step", transition="end", step="MIX") if e["record"] not in gone}
    (end,) = ends.values()
    assert (end["batch"], end["start"]["time"], end["end"]["time"], end["cause"]) == ("B2", time(53), time(250), "completed")
    (mean,) = end["parameters"]
    assert (mean["status"], mean["readings"]) == ("present", 19)
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-04")
def test_a_step_that_was_cut_twice_in_the_time_of_one_batch_is_one_run_of_it() -> None:
    plant = plant_of(batch=FromRow(row="mes.orders", key="unit_id", column="batch_no", where="status=RUN"), order=None, batch_ends="empty")
    plant.see(1, "initial", g_step=0, g_speed=100.0)
    plant.look(10, [(9.5, "1", {"batch_no": "B1", "status": "RUN"})], since_s=9)
    plant.see(53, g_step=20, g_speed=90.0)
    for at_s, row_s, status in ((57, 56, "CLOSED"), (60, 59, "RUN"), (63, 62, "CLOSED")):
        plant.look(at_s, [(row_s, "1", {"batch_no": "B1", "status": status})], since_s=at_s - 1)
        plant.alive(at_s + 1, "g-plc")
    plant.look(66, [(50, "2", {"batch_no": "B2", "status": "RUN"})], since_s=65)
    plant.alive(67, "g-plc")
    plant.see(90, g_step=0)
    plant.alive(95, "g-plc")
    plant.alive(100, "g-plc")
    gone = {e["supersedes"] for e in plant.of("rebind")}
    ends = {e["record"]: e for e in plant.of("step", transition="end", step="MIX") if e["record"] not in gone}
    told = [(e["batch"], e["start"]["time"], e["end"]["time"], e["cause"]) for e in ends.values()]
    assert told == [("B2", time(53), time(90), "completed")]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
