"""A tag that means something else from here on: what it said before stands for no signal, id or trigger, and what it says is found."""

from dataclasses import replace
from typing import Any

import pytest
from kit.plant import STEPS, Plant, equipment, line_of, time

from config import Alarm, FromRow, Line, Source, Tag
from config.grammars.terms import Term
from config.materials import Booking
from config.sections import FromTag
from gateway.context.plan import Plan
from gateway.context.takeover import _is_redefined

ORDER = FromRow(row="mes.orders", key="unit_id", column="order_no")
CHARGE = Booking("charge", "granulator", "g.run", active="1", kind="consume", occurs="0..n", quantity=Term("tag", "g.speed"))
DOOR = Alarm("DOOR", "g.run", "1", equipment="granulator", text="Door open")


def line_with(*redefined: str, key: str | None = None, **more: Any) -> Line:
    """The granulator, told by tags; those named are read at another address."""
    unit = equipment("granulator", "GRN-201", batch=FromTag(tag="g.batch"), order=ORDER, product=None, recipe=None, batch_ends="empty")
    steps = tuple(replace(step, occurs="0..n", key=key) for step in STEPS if step.equipment == "granulator")
    line = line_of(equipment=(unit,), routes=(), steps=steps, parameters=(), **more)
    tags = tuple(replace(tag, address=f"other/{tag.tag}") if tag.tag in redefined else tag for tag in line.tags)
    return replace(line, tags=tags, sha256=("1" if redefined else "0") * 64)


def taken_over(plant: Plant, at_s: float, *redefined: str, **more: Any) -> None:
    """The gateway goes on under a configuration that redefines tags."""
    plant.line = line_with(*redefined, **more)
    plant.fold = plant.fold.under(plant.line)
    plant.happen(at_s, type="config", version=2, sha256=plant.line.sha256, follows=None, changes=1, diff=[], approved_by=None)


def mixing(**more: Any) -> Plant:
    plant = Plant(line_with(**more))
    plant.happen(0, type="config", version=1, sha256=plant.line.sha256, follows=None, changes=None, diff=[], approved_by=None)
    plant.see(1, "initial", g_step=0, g_run=0, g_batch="", g_speed=5.0)
    plant.see(5, g_batch="B1")
    plant.alive(8, "g-plc")
    plant.see(10, g_step=20)
    plant.alive(15, "g-plc")
    return plant


def starts(plant: Plant) -> list[tuple[str, int, str, str]]:
    return [(e["step"], e["run"], e["start"]["time"], e["start"]["basis"]) for e in plant.of("step", transition="start")]


@pytest.mark.urs("URS-CTX-04", "URS-CFG-01")
@pytest.mark.parametrize(("value", "found"), [(20, 2), (0, 0)])
def test_a_step_whose_signal_is_another_one_ends_and_what_the_new_signal_says_is_found(value: int, found: int) -> None:
    plant = mixing()
    taken_over(plant, 20, "g.step")
    assert plant.ended("MIX")["end"]["basis"] == "inferred-from-gap"
    assert len(plant.of("finding", code="step-undeclared")) == 2
    plant.alive(25, "g-plc")
    assert len(starts(plant)) == 2, "nobody has read the new signal yet"
    plant.see(30, "initial", g_step=value)
    plant.alive(35, "g-plc")
    assert starts(plant)[2:] == [(step, 2, time(30), "found-at-start") for step in ("GRANULATE", "MIX")[:found]]


@pytest.mark.urs("URS-CTX-04", "URS-CFG-01")
def test_a_step_whose_key_is_another_one_is_found_with_what_the_new_key_says() -> None:
    plant = mixing(key="g.run")
    taken_over(plant, 20, "g.run", key="g.run")
    plant.alive(25, "g-plc")
    assert len(starts(plant)) == 2, "nobody has read the new key yet"
    plant.see(30, "initial", g_run=7)
    plant.alive(35, "g-plc")
    assert [start[3] for start in starts(plant)[2:]] == ["found-at-start", "found-at-start"]
    plant.see(40, g_step=0)
    plant.alive(45, "g-plc")
    assert len(plant.of("step", transition="end")) == 4, "one run of each before, one after"


@pytest.mark.urs("URS-CTX-04", "URS-CFG-01")
def test_a_change_that_waits_is_of_the_signal_that_it_was() -> None:
    plant = mixing()
    plant.see(19.9, g_step=30)
    taken_over(plant, 20, "g.step")
    plant.alive(40, "g-plc")
    assert all(step != "WET" for step, *_ in starts(plant)), "nobody saw it stand"


@pytest.mark.urs("URS-CTX-02", "URS-CFG-01")
@pytest.mark.parametrize(("value", "left"), [("B1", []), ("B2", ["B1"]), ("", ["B1"])])
def test_an_id_that_is_read_elsewhere_leaves_the_batch_until_it_is_read(value: str, left: list[str]) -> None:
    plant = mixing()
    taken_over(plant, 20, "g.batch")
    row = {"key": "1", "change": "new", "time": time(22), "text": None, "row": {"unit_id": "GRN-201", "order_no": "O1"}}
    plant.happen(23, type="message", source="mes", name="orders", rows=[row])
    plant.alive(30, "g-plc")
    assert plant.of("batch", transition="leave") == [], "that nobody has read an id is no empty one"
    assert plant.fold.context("granulator")["batch"] is None
    plant.see(40, "initial", g_batch=value)
    plant.alive(45, "g-plc")
    assert [e["batch"] for e in plant.of("batch", transition="leave")] == left
    assert plant.fold.context("granulator")["batch"] == (value or None)
    assert plant.fold.context("granulator")["order"] == "O1"


@pytest.mark.urs("URS-CTX-07", "URS-CFG-01")
def test_a_trigger_that_is_read_elsewhere_books_nothing_by_what_it_says_first() -> None:
    plant = mixing(materials=(CHARGE,))
    taken_over(plant, 20, "g.run", materials=(CHARGE,))
    plant.see(30, "initial", g_run=1, g_speed=7.0)
    plant.alive(40, "g-plc")
    assert plant.of("material") == [], "nobody saw it happen"
    assert len(plant.of("finding", code="booking-found-at-start")) == 1
    plant.see(50, g_run=0)
    plant.see(60, g_run=1)
    plant.alive(70, "g-plc")
    assert [e["at"]["time"] for e in plant.of("material")] == [time(60)]


@pytest.mark.urs("URS-CTX-07", "URS-CFG-01")
def test_what_waits_to_be_booked_is_booked_with_what_its_tags_said() -> None:
    plant = mixing(materials=(CHARGE,))
    plant.see(19.9, g_run=1)
    taken_over(plant, 20, "g.speed", materials=(CHARGE,))
    assert [e["quantity"] for e in plant.of("material")] == ["5.0"]


@pytest.mark.urs("URS-CTX-07", "URS-CFG-01")
def test_a_revision_that_is_due_is_made_before_its_booking_is_not_declared_any_more() -> None:
    plant = mixing(materials=(CHARGE,))
    plant.see(16, g_run=1)
    plant.alive(18, "g-plc")
    assert [e["quantity"] for e in plant.of("material")] == ["5.0"]
    plant.see(15.5, g_speed=8.0, entry_s=19)
    taken_over(plant, 20, "g.user")
    assert [(e["revision"], e["quantity"], e["reason"]) for e in plant.of("material")][1:] == [(2, "8.0", "late-data")]


@pytest.mark.urs("URS-CTX-07", "URS-CFG-01")
@pytest.mark.parametrize(("lost_s", "expected"), [(None, ("5.0", "present", "/min")), (14.0, (None, "gap", "/min"))])
def test_what_was_booked_stands_where_its_tags_mean_something_else_since(lost_s: float | None, expected: tuple[Any, ...]) -> None:
    """The lot comes late; read again, the quantity would be what the other tag says, in its unit, or nothing; and a gap stays one."""
    charge = replace(CHARGE, lot=Term("tag", "g.user"), unit="/min")
    plant = mixing(materials=(charge,))
    plant.see(12, g_user="L-1")
    if lost_s is not None:
        gap = {"gap": "g/1", "source": "g-plc", "tags": ["g.speed"], "start": time(lost_s), "detected": time(lost_s + 1)}
        plant.happen(lost_s + 1, type="gap", transition="open", cause="refused", detail="", **gap)
    plant.see(16, g_run=1)
    plant.alive(18, "g-plc")
    taken_over(plant, 20, "g.speed", materials=(charge,))
    plant.see(21, "initial", entry_s=21, g_speed=1.0)
    plant.see(15.5, entry_s=25, g_user="L-2")
    plant.alive(40, "g-plc")
    before, after = plant.of("material")
    assert [path["path"] for path in after["changed"]] == ["lot", "evidence"]
    assert (after["quantity"], after["status"], after["unit"]) == expected == (before["quantity"], before["status"], before["unit"])
    assert (after["lot"]["raw"], after["reason"]) == ("L-2", "late-data")


@pytest.mark.urs("URS-CFG-01")
@pytest.mark.parametrize("value", [0, 1])
def test_an_alarm_whose_tag_is_read_elsewhere_is_found_or_was_over_nobody_knows_when(value: int) -> None:
    plant = mixing(alarms=(DOOR,))
    if not value:
        plant.see(16, g_run=1)
    taken_over(plant, 20, "g.run", alarms=(DOOR,))
    plant.see(30, "initial", g_run=value)
    last = plant.of("alarm")[-1]
    basis = "found-at-start" if value else "inferred-from-gap"
    assert (last["state"], last["at"]["basis"], last["at"]["window_s"]) == ("raised" if value else "cleared", basis, None)


@pytest.mark.urs("URS-CTX-04", "URS-CFG-01")
def test_a_source_whose_bytes_come_in_another_order_gives_other_tags_but_for_those_with_an_order_of_their_own() -> None:
    """The order of its own stands in a tag's address, so that it changed with it already."""
    plc = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:5020", options={"byte_order": "ABCD"})
    tags = tuple(Tag(name, "plc", f"1/holding/{at}:float32{own}", "float32") for name, at, own in (("plain", 0, ""), ("own", 2, ":CDAB")))
    line = replace(line_of(equipment=(), routes=(), steps=(), parameters=()), sources=(plc,), tags=tags)
    other = replace(line, sources=(plc.model_copy(update={"options": {"byte_order": "CDAB"}}),))
    before, after = Plan(line), Plan(other)
    assert [_is_redefined(name, before, after) for name in ("plain", "own")] == [True, False]
    assert not any(_is_redefined(name, before, Plan(line)) for name in ("plain", "own"))


def without(line: Line, *tags: str, source: str | None = None) -> Line:
    """The line as another configuration has it: without these tags, or without a whole source."""
    kept = tuple(tag for tag in line.tags if tag.tag not in tags and tag.source != source)
    return replace(line, tags=kept, sources=tuple(each for each in line.sources if each.name != source), sha256="2" * 64)


def continued(plant: Plant, at_s: float, line: Line) -> None:
    plant.line = line
    plant.fold = plant.fold.under(line)
    plant.happen(at_s, type="config", version=2, sha256=line.sha256, follows=None, changes=1, diff=[], approved_by=None)


def gap_of(plant: Plant, at_s: float, tags: Any, **more: Any) -> None:
    said = {"source": "x-plc", "start": time(at_s - 1), "detected": time(at_s), "cause": "query-failed", "detail": "", **more}
    plant.happen(at_s, type="gap", transition="open", gap=f"x-plc/{at_s}", tags=tags, **said)


def apart() -> Plant:
    """The granulator, and a source beside it that no equipment reads."""
    line = line_with()
    extra = tuple(Tag(tag=name, source="x-plc", address=name, type="float64") for name in ("x.a", "x.b", "x.c"))
    source = Source(name="x-plc", driver="modbus", endpoint="tcp://x:502")
    beside = replace(line, tags=(*line.tags, *extra), sources=(*line.sources, source))
    plant = Plant(beside)
    plant.happen(0, type="config", version=1, sha256=beside.sha256, follows=None, changes=None, diff=[], approved_by=None)
    return plant


@pytest.mark.urs("URS-CFG-04", "URS-DAQ-04")
def test_a_gap_of_tags_that_nobody_reads_any_more_ends_there_and_not_never() -> None:
    plant = apart()
    gap_of(plant, 5, ["x.a", "x.b"])
    continued(plant, 20, without(plant.line, "x.b"))
    (closed,) = plant.of("gap", transition="close")
    assert (closed["tags"], closed["outcome"], closed["end"]) == (["x.b"], "lost", time(20))
    assert "does not read this any more" in closed["detail"]
    assert [gap.tags for gap in plant.fold.open_gaps("x-plc")] == [["x.a"]]


@pytest.mark.urs("URS-CFG-04", "URS-DAQ-04")
def test_a_gap_of_a_whole_source_goes_on_for_the_tags_that_it_has_now() -> None:
    plant = apart()
    gap_of(plant, 5, "all")
    continued(plant, 20, without(plant.line, "x.a", "x.b"))
    (closed,) = plant.of("gap", transition="close")
    assert closed["tags"] == ["x.a", "x.b"]
    assert [gap.tags for gap in plant.fold.open_gaps("x-plc")] == ["all"]


@pytest.mark.urs("URS-CFG-04", "URS-DAQ-04")
def test_a_gap_of_a_source_that_is_gone_ends_with_it() -> None:
    plant = apart()
    gap_of(plant, 5, "all")
    continued(plant, 20, without(plant.line, source="x-plc"))
    (closed,) = plant.of("gap", transition="close")
    assert (closed["tags"], closed["outcome"], closed["end"]) == ("all", "lost", time(20))
    assert plant.fold.state.gaps == []


@pytest.mark.urs("URS-CFG-04", "URS-DAQ-04")
def test_a_gap_of_tags_that_are_read_as_before_is_not_touched_by_another_configuration() -> None:
    plant = apart()
    gap_of(plant, 5, ["x.a"])
    continued(plant, 20, without(plant.line, "x.b"))
    assert plant.of("gap", transition="close") == []
