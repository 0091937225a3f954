"""Bookings of material and samples as stories: tags and rows in, events and the batch's end out."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from kit.bookings_stage import GRANULES, SAMPLE, WEIGH, Stage, begin, end, line_of, time, weigh

from config.grammars.terms import term
from gateway.context import Fold
from gateway.context.materials.batch_materials import orphans


@pytest.fixture(params=[False, True], ids=["runs on", "restarted after each entry"])
def stage(request: pytest.FixtureRequest) -> Stage:
    made = Stage(line_of())
    made.restart = request.param
    return made


@pytest.mark.urs("URS-DAQ-09")
def test_a_tolerance_is_a_difference_and_is_converted_without_the_offset_of_its_unit() -> None:
    tags = tuple(replace(tag, unit="[degF]") if tag.unit is not None else tag for tag in line_of().tags)
    row = replace(WEIGH, unit="Cel", gross=None, tare=None, target=term("-10"), tolerance=term("=plc.target"))
    stage = Stage(replace(line_of(materials=(row,)), tags=tags))
    begin(stage)
    weigh(stage, 20, "26/417-A")
    (event,) = stage.of("material")
    assert (event["quantity"], event["low"], event["high"]) == ("-10.84", "-6954.44", "6934.44"), "12500 [degF] apart are 6944.44 Cel"


@pytest.mark.urs("URS-CTX-07")
def test_a_weighing_is_one_event_of_scale_scan_and_target(stage: Stage) -> None:
    begin(stage)
    weigh(stage, 20, "26/417-A")
    (event,) = stage.of("material")
    assert event["record"] == "lyon/granulation-2/B1/granulator/material/weigh/1"
    assert event["lot"] == {"raw": "26/417-A", "canonical": "L2026-0417-A", "rule": "legacy@3"}
    told = ("kind", "quantity", "gross", "tare", "unit", "target", "low", "high", "result", "status", "problems", "batch", "order")
    assert tuple(event[k] for k in told) == (
        *("consume", "12.48", "14.08", "1.60", "kg", "12.50", "12.38", "12.63", "within", "present", [], "B1", "4500"),
    ), "a target in g is converted; a tolerance of 1% is rounded half up"
    assert (event["at"]["time"], event["steps"]) == (time(20), [["phase", "CHARGE", 1]])
    assert event["performed_by"] == [{"id": "jdupont", "kind": "person", "from": "plc.user"}]
    gave = {item["of"]: item.get("tag") for item in event["evidence"]["items"]}
    assert gave["lot"], gave["quantity"] == ("plc.lot", "scale.net")
    assert event["evidence"]["from_seq"] < event["evidence"]["to_seq"] < event["caused_by"]


@pytest.mark.urs("URS-CTX-07")
def test_the_scale_is_read_at_the_instant_of_the_trigger_though_it_answers_later(stage: Stage) -> None:
    begin(stage)
    stage.see(18, plc_lot="26/417-A")
    stage.see(19, scale_net="5.00", scale_gross="6.60", scale_tare="1.60")
    stage.see(20, plc_weighed=True)
    assert not stage.of("material"), "the scale has not shown life past the trigger"
    stage.see(19.9, entry_s=20.5, scale_net="12.50")
    stage.see(20.4, entry_s=20.6, scale_net="0.00")
    stage.alive(22)
    (event,) = stage.of("material")
    assert (event["quantity"], event["result"]) == ("12.50", "within")


@pytest.mark.parametrize(
    ("spoil", "status", "problem"),
    [
        (lambda s: s.see(18.5, scale_net=None), "bad", "quantity-bad"),
        (lambda s: s.see(18.5, scale_stable=False), "bad", "at_rest-no"),
        (lambda s: s.see(18.5, plc_lot="L-17?"), "bad", "lot-no-rule"),
        (lambda s: s.see(18.5, plc_lot=""), "missing", "lot-missing"),
        (
            lambda s: s.happen(
                19, type="gap", transition="open", gap="scale/1", source="scale", tags="all", start=time(18.5), cause="link-lost"
            ),
            "gap",
            "quantity-gap",
        ),
    ],
)
def test_what_can_not_be_read_is_said_and_the_event_is_made(stage: Stage, spoil: Any, status: str, problem: str) -> None:
    begin(stage)
    stage.see(17, plc_lot="26/417-A")
    stage.see(18, scale_net="12.50", scale_gross="14.10", scale_tare="1.60")
    spoil(stage)
    stage.see(20, plc_weighed=True)
    for later in (21, 24, 26):
        stage.alive(later) if status != "gap" else stage.happen(later, type="heartbeat", observed={"plc": time(later)})
    (event,) = stage.of("material")
    assert (event["status"], problem in event["problems"]) == (status, True), event["problems"]
    assert event["lot"] is None if problem == "lot-missing" else event["lot"]["raw"] in ("26/417-A", "L-17?")
    closed = end(stage, 30)
    assert closed["status"] == "incomplete"
    assert {"material": "weigh", "status": status}.items() <= closed["completeness"]["missing"][0].items()


@pytest.mark.urs("URS-CTX-07", "URS-CTX-08")
def test_lots_that_lead_nowhere_are_reported_and_make_the_batch_incomplete(stage: Stage) -> None:
    stage.line = line_of(materials=(WEIGH, GRANULES))
    stage.fold = Fold(stage.line)
    begin(stage)
    weigh(stage, 20, "26/417-A")
    weigh(stage, 25, "26/418-B", "12.52")
    closed = end(stage, 30)
    assert [(o["lot"], o["side"]) for o in closed["orphans"]] == [("L2026-0417-A", "no-child"), ("L2026-0418-B", "no-child")]
    assert closed["status"] == "incomplete"
    assert {m["status"] for m in closed["completeness"]["missing"]} == {"missing", "no-child"}
    assert stage.codes().count("lot-orphan") == 2
    assert [m["quantity"] for m in closed["materials"]] == ["12.48", "12.52"]

    produced = {"unit_id": "GRN-201", "move": "101", "batch_no": "B1", "lot_no": "26/900-G", "quantity": "24.6", "unit": "kg", "user": "mk"}
    stage.row(45, "mes.lots", "17", produced, row_s=31)
    stage.alive(55)
    again = stage.of("batch", transition="end")[-1]
    assert (again["revision"], again["status"], again["orphans"]) == (2, "complete", []), "a late row amends the batch's end"
    (granules,) = stage.of("material", kind="produce")
    assert (granules["output_lot"]["canonical"], granules["quantity"], granules["batch"]) == ("L2026-0900-G", "24.6", "B1")
    assert granules["performed_by"] == [{"id": "mk", "kind": "person", "from": "mes.lots.user"}]


def test_a_row_that_changes_or_goes_away_revises_its_booking(stage: Stage) -> None:
    stage.line = line_of(materials=(GRANULES,))
    stage.fold = Fold(stage.line)
    begin(stage)
    made = {"unit_id": "GRN-201", "move": "101", "batch_no": "B1", "lot_no": "26/900-G", "quantity": "24600", "unit": "g", "user": "mk"}
    stage.row(20, "mes.lots", "17", made, row_s=19)
    stage.row(21, "mes.lots", "18", {**made, "move": "261"}, row_s=19)
    stage.row(22, "mes.lots", "19", {**made, "unit_id": "FBD-202"}, row_s=19)
    stage.alive(24)
    stage.row(25, "mes.lots", "17", {**made, "quantity": "24700"}, row_s=19, change="changed")
    stage.alive(27)
    stage.row(28, "mes.lots", "17", made, row_s=19, change="deleted")
    stage.alive(30)
    one, two, three = stage.of("material")
    assert [(e["quantity"], e["revision"], e["reason"]) for e in (one, two)] == [("24.6", 1, None), ("24.7", 2, "source-corrected")]
    assert (two["supersedes"], two["record"]) == (f"{one['record']}#1", one["record"])
    assert {"path": "quantity", "old": "24.6", "new": "24.7"} in two["changed"]
    assert (three["status"], three["problems"], three["revision"]) == ("missing", ["row-withdrawn"], 3)


def test_what_was_weighed_before_the_batch_was_known_goes_over_to_it(stage: Stage) -> None:
    stage.see(0, "initial", plc_step=0, plc_lot="", plc_weighed=False, plc_target=12500.0, plc_user="")
    stage.see(0, "initial", scale_net="0.00", scale_gross="0.00", scale_tare="0.00", scale_stable=True)
    stage.see(5, plc_step=10)
    weigh(stage, 20, "26/417-A")
    (before,) = stage.of("material")
    assert (before["batch"], before["record"].split("/")[2]) == (None, "-")
    assert before["performed_by"][0]["kind"] == "system"
    stage.row(30, "mes.orders", "1", {"unit_id": "GRN-201", "batch_no": "B1", "order_no": "4500", "recipe": "MBR-88"}, row_s=4)
    stage.alive(32)
    after = stage.of("material")[-1]
    assert (after["batch"], after["revision"], after["reason"], after["supersedes"]) == ("B1", 2, "re-bound", f"{before['record']}#1")
    assert after["quantity"] == before["quantity"]
    assert [m["record"] for m in end(stage, 40)["materials"]] == [after["record"]]


def test_a_late_reading_revises_the_booking_that_rests_on_it(stage: Stage) -> None:
    begin(stage)
    weigh(stage, 20, "26/417-A")
    stage.see(19.5, entry_s=23, scale_net="12.60")
    stage.alive(24)
    stage.alive(30)
    first, second = stage.of("material")
    assert (first["quantity"], second["quantity"], second["reason"]) == ("12.48", "12.60", "late-data")
    assert end(stage, 40)["materials"][0]["revision"] == 2


def test_history_that_tells_of_a_trigger_in_a_gap_books_it(stage: Stage) -> None:
    stage.line = line_of(materials=(replace(WEIGH, trigger="plc.lot", active=None, at_rest=None, target=None, tolerance=None, step=None),))
    stage.fold = Fold(stage.line)
    begin(stage)
    stage.see(10, scale_net="3.00", scale_gross="4.60", scale_tare="1.60")
    stage.see(12, plc_lot="26/1-A")
    stage.alive(14)
    stage.happen(20, type="gap", transition="open", gap="plc/1", source="plc", tags="all", start=time(14), cause="link-lost")
    everything = {"plc_step": 10, "plc_weighed": False, "plc_target": 12500.0, "plc_sample": "", "plc_user": "jdupont"}
    stage.see(17, "initial", entry_s=21, plc_lot="26/3-A", **everything)
    stage.see(15, "backfill", entry_s=21.5, plc_lot="26/2-A")
    stage.see(17, "backfill", entry_s=21.6, plc_lot="26/3-A")
    stage.alive(23)
    stage.alive(28)
    lots = [(e["lot"]["raw"], e["at"]["time"]) for e in sorted(stage.of("material", revision=1), key=lambda e: e["at"]["time"])]
    assert lots == [("26/1-A", time(12)), ("26/2-A", time(15)), ("26/3-A", time(17))], "each once, at its own time"
    assert {(e["status"], e["at"]["basis"]) for e in stage.of("material")} == {("present", "observed")}, "history says when"


def test_a_trigger_that_stood_when_first_seen_is_no_booking_but_said(stage: Stage) -> None:
    stage.see(0, "initial", plc_step=0, plc_lot="26/1-A", plc_weighed=True, plc_target=12500.0)
    stage.see(0, "initial", scale_net="0.00", scale_stable=True)
    stage.alive(10)
    assert not stage.of("material")
    assert "booking-found-at-start" in stage.codes()


def test_out_of_its_step_twice_or_for_another_recipe_is_said_and_not_suppressed(stage: Stage) -> None:
    stage.line = line_of(materials=(replace(WEIGH, occurs="1", recipe="MBR-88"),))
    stage.fold = Fold(stage.line)
    begin(stage)
    weigh(stage, 20, "26/417-A")
    stage.see(25, plc_step=0)
    weigh(stage, 30, "26/418-A")
    assert len(stage.of("material")) == 2
    assert {"booking-repeated", "booking-outside-step"} <= set(stage.codes())
    stage.order(40, None)
    stage.order(42, "B2", recipe="MBR-99")
    weigh(stage, 50, "26/419-A")
    assert len(stage.of("material")) == 2
    assert "material-unmapped" in stage.codes()


@pytest.mark.urs("URS-CTX-09")
def test_a_sample_is_an_event_and_its_result_an_amendment_long_after(stage: Stage) -> None:
    stage.line = line_of(materials=(), samples=(SAMPLE,))
    stage.fold = Fold(stage.line)
    begin(stage)
    stage.see(20, plc_sample="S-1")
    stage.alive(22)
    closed = end(stage, 30)
    (taken,) = stage.of("sample")
    assert (taken["sample"], taken["batch"], taken["steps"], taken["taken"]["time"]) == ("S-1", "B1", [["phase", "CHARGE", 1]], time(20))
    assert (closed["samples"][0]["sample"], closed["samples"][0]["results"], closed["status"]) == ("S-1", 0, "complete")
    stage.row(86_400, "lims.results", "S-1", {"sample_id": "S-1", "lod": "1.92"})
    stage.row(86_401, "lims.results", "S-9", {"sample_id": "S-9", "lod": "1.92"})
    amended = stage.of("sample")[-1]
    assert (amended["record"], amended["revision"], amended["reason"], amended["batch"]) == (taken["record"], 2, "result", "B1")
    assert [(r["source"], r["values"]["lod"]) for r in amended["results"]] == [("lims", "1.92")]
    assert stage.codes().count("sample-unknown") == 1, "a result of a sample that nobody took here is told"
    stage.row(86_500, "lims.results", "S-1", {"sample_id": "S-1", "lod": "1.95"}, change="changed")
    assert [r["values"]["lod"] for r in stage.of("sample")[-1]["results"]] == ["1.95"]
    assert stage.of("sample")[-1]["revision"] == 3


def test_a_result_that_is_read_before_its_sample_is_linked_when_the_sample_is_told(stage: Stage) -> None:
    stage.line = line_of(materials=(), samples=(SAMPLE,))
    stage.fold = Fold(stage.line)
    begin(stage)
    stage.see(20, plc_sample="S-1")
    stage.row(20.1, "lims.results", "S-1", {"sample_id": "S-1", "lod": "1.92"})
    assert not stage.of("sample"), "the sample waits for the steps to settle"
    stage.alive(22)
    assert [(e["revision"], len(e["results"])) for e in stage.of("sample")] == [(1, 0), (2, 1)]
    assert "sample-unknown" not in stage.codes()
    stage.row(30, "lims.results", "S-2", {"sample_id": "S-2", "lod": "2.10"})
    assert stage.codes().count("sample-unknown") == 1
    stage.see(40, plc_sample="S-2")
    stage.alive(42)
    assert stage.of("sample")[-1]["results"][0]["values"]["lod"] == "2.10", "told as unknown at first, linked when it is known"
    assert stage.codes().count("sample-unknown") == 1


def test_the_genealogy_of_a_batch() -> None:
    def lot(name: str) -> dict[str, str]:
        return {"raw": name.lower(), "canonical": name, "rule": "r@1"}

    def line(kind: str, into: str | None, out: str | None) -> dict[str, Any]:
        return {"kind": kind, "lot": lot(into) if into else None, "output_lot": lot(out) if out else None}

    def told(*lines: dict[str, Any], consumes: bool = True, produces: bool = True) -> set[tuple[str, str]]:
        return {(o["lot"], o["side"]) for o in orphans("B1", lines, consumes=consumes, produces=produces)}

    assert told(line("consume", "A", None), line("consume", "B", "B1"), line("produce", None, "G")) == set()
    assert told(line("consume", "A", "X"), line("produce", "X", "G")) == set(), "an intermediate on the way"
    assert told(line("consume", "A", "X"), line("consume", "B", None), line("produce", None, "G")) == {("A", "no-child"), ("X", "no-child")}
    assert told(line("produce", None, "G")) == {("G", "no-parent")}
    assert told(line("produce", None, "G"), consumes=False) == set()
    assert told(line("consume", "A", None), produces=False) == set()
    assert told(line("consume", "A", None), {**line("produce", None, "G"), "withdrawn": True}) == {("A", "no-child")}
    assert told(line("consume", "A", None), line("produce", "Z", "G"), line("produce", None, "H")) == {("G", "no-parent")}


def test_the_state_is_dumped_and_loaded_without_loss(stage: Stage) -> None:
    begin(stage)
    weigh(stage, 20, "26/417-A")
    stage.see(25, plc_weighed=True)
    dumped = stage.fold.dump()
    assert orjson.loads(dumped)["occurred"], "one is still waiting for the scale"
    assert orjson.loads(Fold.load(stage.line, dumped).dump()) == orjson.loads(dumped)
