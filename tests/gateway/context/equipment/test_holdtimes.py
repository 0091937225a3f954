"""Cleaning between batches: who says it, how long an equipment stood dirty and clean, and what is said where nobody looked."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from config import Code, CodeTable, Equipment, FromRow, Line, Source, Step, Tag
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
WORDS = ("production", "cleaning", "changeover", "maintenance", "qualification", "idle")
ACTIVITIES = CodeTable("activities", "1", {number: Code(number, word.capitalize()) for number, word in enumerate(WORDS)})
CIP = (
    Step("CIP", "reactor", "operation", "r.step", "90..99", occurs="0..n", activity="cleaning"),
    Step("RINSE", "reactor", "phase", "r.step", "91", parent="CIP", occurs="0..n", activity="cleaning"),
    Step("FERMENT", "reactor", "operation", "r.step", "10", occurs="0..n"),
)


def line_of(*, by_tag: bool = False, **more: Any) -> Line:
    tags = [Tag("r.step", "plc", "r.step", "int16", equipment=("reactor",))]
    tags += [Tag("r.activity", "plc", "r.activity", "int16", codes="activities", equipment=("reactor",))] if by_tag else []
    batch = FromRow(row="mes.orders", key="unit_id", column="batch_no")
    unit = Equipment(name="reactor", unit_id="R-1", batch=batch, batch_ends="empty", activity="r.activity" if by_tag else None)
    return Line(
        folder=Path(),
        line=LineSection(site="basel", name="bioreactor-3", timezone="Europe/Zurich"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        push=None,
        sources=tuple(Source(name=name, driver="opcua", endpoint="x", time_authority="device") for name in ("plc", "mes")),
        equipment=(unit.model_copy(update=more),),
        routes=(),
        uplinks=(),
        tags=tuple(tags),
        steps=tuple(replace(step, activity=None) for step in CIP) if by_tag else CIP,
        parameters=(),
        codes={"activities": ACTIVITIES},
        lots=None,  # no lot number stands in this line
        files={},
        sha256="0" * 64,
    )


class Stage:
    """Times in hours since the story's start."""

    def __init__(self, line: Line) -> None:
        self.line, self.fold, self.seq, self.events = line, Fold(line), 0, list[dict[str, Any]]()

    def decide(self, item: ReadingsInput | EventInput) -> None:
        self.fold = Fold.load(self.line, self.fold.dump())  # killed after each entry
        made = self.fold.decide(item)
        self.seq += 1 + len(made)
        self.events += made

    def see(self, at_h: float, kind: str = "change", **values: int) -> None:
        names = [tag.tag for tag in self.line.tags_of("plc")]
        seen = [(names.index(f"r.{name}"), value, 0, ticks(at_h), kind) for name, value in values.items()]
        self.decide(ReadingsInput(self.seq + 1, ticks(at_h) + 100_000, "plc", seen))
        self.alive(at_h + 0.01)

    def alive(self, at_h: float) -> None:
        self.decide(EventInput(self.seq + 1, ticks(at_h), {"type": "heartbeat", "observed": {"plc": time(at_h)}}))

    def order(self, at_h: float, batch: str | None) -> None:
        row = {"key": str(at_h), "change": "new", "time": time(at_h), "text": None, "row": {"unit_id": "R-1", "batch_no": batch}}
        self.decide(EventInput(self.seq + 1, ticks(at_h), {"type": "message", "source": "mes", "name": "orders", "rows": [row]}))
        self.alive(at_h + 0.01)

    def lost(self, start_h: float, end_h: float, **values: int) -> None:
        gap = {
            "type": "gap",
            "transition": "open",
            "gap": "plc/1",
            "source": "plc",
            "tags": "all",
            "start": time(start_h),
            "cause": "link-lost",
        }
        self.decide(EventInput(self.seq + 1, ticks(start_h + 0.001), gap))
        self.see(end_h, "initial", **values)

    def holds(self, batch: str) -> dict[str, dict[str, Any]]:
        start = next(e for e in self.events if e["type"] == "batch" and e["transition"] == "start" and e["batch"] == batch)
        return {hold["hold"]: hold for hold in start["hold_times"]}

    def codes(self) -> list[str]:
        return [e["code"] for e in self.events if e["type"] == "finding"]


def ticks(hours: float) -> int:
    return T0 + round(hours * 3_600 * TICKS_PER_S)


def time(hours: float) -> str:
    return rfc3339(ticks(hours))


def told(hold: dict[str, Any]) -> tuple[float | None, str, str]:
    return None if hold["seconds"] is None else round(hold["seconds"] / 3_600, 3), hold["result"], hold["status"]


def clean(stage: Stage, start_h: float, end_h: float, *, by_tag: bool) -> None:
    if by_tag:
        stage.see(start_h, activity=1)
        stage.see(end_h, activity=5)
        return
    stage.see(start_h, step=90)
    stage.see((start_h + end_h) / 2, step=91)
    stage.see(end_h, step=0)


def batch(stage: Stage, name: str, start_h: float, end_h: float) -> None:
    stage.order(start_h, name)
    stage.see(start_h + 0.1, step=10)
    stage.see(end_h - 0.1, step=0)
    stage.order(end_h, None)


@pytest.mark.parametrize("by_tag", [True, False], ids=["activity tag", "steps"])
def test_hold_times_stand_in_the_start_of_the_next_batch_and_are_judged(*, by_tag: bool) -> None:
    stage = Stage(line_of(by_tag=by_tag, dirty_hold_h=2.0, clean_hold_h=24.0))
    stage.see(0, "initial", step=0, **({"activity": 5} if by_tag else {}))
    batch(stage, "B1", 1, 10)
    clean(stage, 13, 14, by_tag=by_tag)
    clean(stage, 15, 16, by_tag=by_tag)
    batch(stage, "B2", 20, 30)
    assert told(stage.holds("B1")["dirty"]) == (None, "not-judged", "missing"), "what was before the journal began is not known"
    holds = stage.holds("B2")
    assert told(holds["dirty"]) == (3.0, "above", "present"), "to the start of the first cleaning"
    assert told(holds["clean"]) == (4.0, "within", "present"), "from the end of the last one"
    assert (holds["dirty"]["after"], holds["clean"]["before"]) == ("B1", "B2")
    assert (holds["dirty"]["start"]["time"], holds["clean"]["start"]["time"]) == (time(10), time(16))
    assert (holds["dirty"]["limit_s"], holds["clean"]["limit_s"]) == (7_200, 86_400)
    (exceeded,) = [e for e in stage.events if e["type"] == "finding" and e["code"] == "hold-time-exceeded"]
    assert (exceeded["evidence"]["batch"], exceeded["evidence"]["hold"]) == ("B2", "dirty")


def test_a_step_of_cleaning_has_a_record_without_a_batch_and_makes_the_activity() -> None:
    stage = Stage(line_of())
    stage.see(0, "initial", step=0)
    batch(stage, "B1", 1, 10)
    stage.see(11, step=91)
    assert stage.fold.contexts("plc")["reactor"]["activity"] == "cleaning"
    stage.see(12, step=0)
    assert stage.fold.contexts("plc")["reactor"]["activity"] == "idle"
    ends = [e for e in stage.events if e["type"] == "step" and e["transition"] == "end" and e["step"] in ("CIP", "RINSE")]
    assert [(e["step"], e["batch"], e["record"].split("/")[2]) for e in ends] == [("RINSE", None, "-"), ("CIP", None, "-")]
    stage.order(20, "B2")
    assert not [e for e in stage.events if e["type"] == "rebind"], "a cleaning is nobody's batch"


def test_a_gap_in_between_is_said() -> None:
    stage = Stage(line_of(dirty_hold_h=5.0, clean_hold_h=24.0))
    stage.see(0, "initial", step=0)
    batch(stage, "B1", 1, 10)
    stage.lost(10.5, 12, step=0)
    clean(stage, 13, 14, by_tag=False)
    batch(stage, "B2", 20, 30)
    holds = stage.holds("B2")
    assert (told(holds["dirty"]), holds["dirty"]["gaps"]) == ((3.0, "not-judged", "gap"), ["plc/1"])
    assert told(holds["clean"]) == (6.0, "within", "present")
    assert "hold-time-unseen" in stage.codes()


def test_a_cleaning_that_began_in_a_gap_says_its_basis() -> None:
    stage = Stage(line_of())
    stage.see(0, "initial", step=0)
    batch(stage, "B1", 1, 10)
    stage.lost(10.5, 12, step=91)
    stage.see(14, step=0)
    batch(stage, "B2", 20, 30)
    assert stage.holds("B2")["dirty"]["end"]["basis"] == "inferred-from-gap"


@pytest.mark.urs("URS-CTX-11")
@pytest.mark.parametrize(("limit_h", "result"), [(24.0, "not-judged"), (5.0, "above")])
def test_a_clean_hold_time_since_an_end_that_nobody_saw_is_not_within(limit_h: float, result: str) -> None:
    """The cleaning ended at some time between 13 and 14 h; what is too long as far as it was seen stays so."""
    stage = Stage(line_of(clean_hold_h=limit_h))
    stage.see(0, "initial", step=0)
    batch(stage, "B1", 1, 10)
    stage.see(12, step=91)
    stage.lost(13, 14, step=0)
    batch(stage, "B2", 20, 30)
    clean_hold = stage.holds("B2")["clean"]
    assert clean_hold["start"]["basis"] == "inferred-from-gap"
    assert told(clean_hold) == (6.0, result, "gap")
    assert "hold-time-unseen" in stage.codes()


def test_no_cleaning_and_one_that_is_not_over_are_findings() -> None:
    stage = Stage(line_of(clean_hold_h=24.0))
    stage.see(0, "initial", step=0)
    batch(stage, "B1", 1, 10)
    batch(stage, "B2", 12, 20)
    assert told(stage.holds("B2")["clean"]) == (None, "not-judged", "missing")
    assert {"not-cleaned", "hold-time-unknown"} <= set(stage.codes())
    stage.see(21, step=91)
    stage.order(22, "B3")
    assert "cleaning-not-over" in stage.codes()


@pytest.mark.urs("URS-CTX-01")
def test_the_activity_by_tag_in_all_six_words() -> None:
    stage = Stage(line_of(by_tag=True))
    stage.see(0, "initial", step=0, activity=5)
    for hour, (number, word) in enumerate(enumerate(WORDS), 1):
        stage.see(hour, activity=number)
        assert stage.fold.contexts("plc")["reactor"]["activity"] == word
    changes = [(e["from"], e["to"]) for e in stage.events if e["type"] == "activity"]
    assert changes == list(pairwise(["idle", *WORDS]))
