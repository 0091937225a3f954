"""A MES row that is read while a PLC is lost waits for what the PLC had queued; it never waits for longer than an outage is bridged."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from kit.plant import STEPS, TAGS, Plant, begin, line_of, replayed, stored, tag, time

from config import Step
from gateway.context import Fold
from gateway.evidence.recompute import recompute

SETTLE_S, BRIDGED_S = 5, 10  # the defaults of settle_s and outage_tolerance_s


def lose(plant: Plant, start_s: float, detected_s: float, source: str = "g-plc", tags: Any = "all", cause: str = "link-lost") -> None:
    gap = {"gap": f"{source}/{plant.seq}", "source": source, "tags": tags, "start": time(start_s), "detected": time(detected_s)}
    plant.happen(detected_s, type="gap", transition="open", cause=cause, detail="", **gap)


def resume(plant: Plant, at_s: float, tags: Any = "all") -> None:
    plant.happen(at_s, type="source", source="g-plc", state="resumed", tags=tags, observed=time(at_s))


def next_order(plant: Plant, read_s: float) -> None:
    """The MES released B1 at 19 and ordered B2 at 21; both rows are read at once."""
    row = {"unit_id": "GRN-201", "order_no": "4501", "product": "P-1", "recipe": "MBR-88"}
    told = [
        {"key": f"{t}", "change": "new", "time": time(t), "text": None, "row": {**row, "batch_no": b}} for b, t in ((None, 19), ("B2", 21))
    ]
    plant.happen(read_s, type="message", source="mes", name="orders", rows=told)


def queue(plant: Plant, entry_s: float) -> None:
    """What the PLC queued: MIX becomes WET at 14 and ends at 17.9; then a reading of after the rows."""
    told: list[dict[str, Any]] = [{"g_speed": 120.0}, {"g_step": 30}, {"g_step": 0}, {"g_speed": 0.0}]
    for number, (at_s, values) in enumerate(zip((13, 14, 17.9, 22), told, strict=True), 1):
        plant.see(at_s, entry_s=entry_s + number / 10, **values)


@pytest.fixture
def plant() -> Plant:
    """MIX runs in B1, last seen at 11."""
    made = Plant(line_of(routes=()))
    begin(made)
    made.see(10, g_step=20, g_speed=100.0)
    made.see(11, g_speed=110.0)
    return made


def ends(plant: Plant) -> list[tuple[Any, ...]]:
    told = (
        (e["step"], e["batch"], e["cause"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", level="phase")
    )
    return sorted(told, key=str)


AS_IT_WAS = [("MIX", "B1", "completed", time(10), time(14)), ("WET", "B1", "completed", time(14), time(17.9))]


def told_once(plant: Plant) -> None:
    """Nothing was said that had to be taken back, and a replay says the same."""
    assert ends(plant) == AS_IT_WAS
    assert not [e["code"] for e in plant.of("finding") if e["code"].startswith("step-")]
    assert not plant.of("rebind")
    (end,) = plant.of("batch", transition="end")
    assert (end["batch"], end["status"], end["revision"], end["end"]["time"]) == ("B1", "complete", 1, time(19))
    assert [(e["batch"], e["start"]["time"]) for e in plant.of("batch", transition="start")] == [("B1", time(4)), ("B2", time(21))]
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
    assert list(recompute(plant.line, stored(plant))) == []


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
@pytest.mark.parametrize("back_s", [22.0, 25.9, 26.15, 29.0, 31.0])
def test_a_row_waits_until_the_lost_plc_has_told_what_it_queued(plant: Plant, back_s: float) -> None:
    """The row is read at 21.2: it is due at 26.2, and waits on while the PLC is away."""
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    plant.alive(21.9, "d-plc")
    if back_s > 30:
        plant.alive(30, "d-plc")
        assert not plant.of("batch", transition="leave")
    resume(plant, back_s)
    queue(plant, back_s)
    plant.alive(back_s + SETTLE_S)
    told_once(plant)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_row_waits_after_a_restart_for_the_plc_that_is_reached_later(plant: Plant) -> None:
    """The gateway was killed with the row unsettled: nothing that it writes while starting lets the row count."""
    next_order(plant, 21.2)
    plant.happen(40, type="audit", action="unclean-start", who="system:x", what={}, reason="")
    for source in ("mes", "d-plc", "g-plc"):
        lose(plant, 11 if source == "g-plc" else 21, 40, source, cause="gateway-crashed")
    assert not plant.of("batch", transition="leave")
    resume(plant, 41)
    queue(plant, 41)
    plant.alive(45)
    assert ends(plant) == AS_IT_WAS
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)


@pytest.mark.urs("URS-CTX-03")
def test_each_subscription_of_a_plc_is_waited_for(plant: Plant) -> None:
    """The fast tags come back first and prove nothing for the step's, which are another subscription."""
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    fast = ["g.speed", "g.speed_sp"]
    resume(plant, 24, fast)
    plant.see(23, entry_s=24.1, g_speed=0.0)
    assert not plant.of("batch", transition="leave"), "the step's subscription is still away"
    resume(plant, 24.2, [name for name in plant.names["g-plc"] if name not in fast])
    queue(plant, 24.2)
    plant.alive(24.2 + SETTLE_S)
    told_once(plant)


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08")
def test_a_row_waits_no_longer_than_an_outage_is_bridged(plant: Plant) -> None:
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    plant.alive(21.2 + SETTLE_S + BRIDGED_S - 0.1, "d-plc")
    assert not plant.of("batch", transition="leave")
    plant.alive(21.2 + SETTLE_S + BRIDGED_S, "d-plc")
    assert [(e["batch"], e["end"]["time"]) for e in plant.of("batch", transition="leave")] == [("B1", time(19))]
    assert not plant.of("step", transition="end"), "what became of the step is decided when it is seen again"
    resume(plant, 60, ["g.step"])
    plant.see(17.9, entry_s=60.1, g_step=0)
    plant.alive(62)
    assert ("MIX", "B1", "completed", time(10), time(17.9)) in ends(plant), "and by what the PLC says, however late"


def test_a_link_that_comes_and_goes_does_not_make_a_row_wait_for_ever(plant: Plant) -> None:
    next_order(plant, 21.2)
    for number in range(8):
        lose(plant, 11, 22 + 4 * number)
        resume(plant, 24 + 4 * number)
        resumed_s = 24 + 4 * number
        assert bool(plant.of("batch", transition="leave")) == (resumed_s >= 21.2 + SETTLE_S + BRIDGED_S), resumed_s


def test_a_row_of_before_the_outage_does_not_wait_for_its_end(plant: Plant) -> None:
    plant.see(17.9, g_step=0)
    plant.see(22, g_speed=0.0)
    lose(plant, 22, 24)
    next_order(plant, 24.5)
    assert plant.of("batch", transition="leave")[0]["end"]["time"] == time(19)


@pytest.mark.parametrize(("tags", "cause"), [(["g.speed"], "link-lost"), (["g.step"], "silence")])
def test_a_tag_that_says_nothing_of_the_steps_or_is_only_silent_is_not_waited_for(plant: Plant, tags: list[str], cause: str) -> None:
    lose(plant, 11, 15, tags=tags, cause=cause)
    next_order(plant, 21.2)
    plant.see(21.5, g_user="other")
    assert plant.of("batch", transition="leave")


def test_a_step_of_another_plc_that_goes_on_does_not_pass_a_row_that_waits() -> None:
    """Equipment with two PLCs: the row waits for the lost one; a step of the other one that ended after the row was cut by it."""
    steps = (*STEPS[:3], Step("SPRAY", "granulator", "phase", "d.spray", "true", occurs="0..n"))
    plant = Plant(line_of(routes=(), tags=(*TAGS, tag("d.spray", "d-plc", "bool")), steps=steps, equipment=line_of().equipment[:1]))
    begin(plant)
    plant.see(1, "initial", d_spray=False)
    plant.see(10, d_spray=True)
    plant.see(11, g_speed=1.0)
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    plant.see(23, d_spray=False)
    plant.see(24, d_spray=True)
    plant.see(25, d_spray=False)
    plant.alive(26, "d-plc")
    resume(plant, 27)
    plant.alive(40)
    told = [(e["batch"], e["cause"], e["start"]["time"], e["end"]["time"]) for e in plant.of("step", transition="end", step="SPRAY")]
    assert told[0] == ("B1", "batch-changed", time(10), time(19))
    assert [each[0] for each in told[1:]] == ["B2", "B2"]


def test_a_state_of_before_this_rule_is_taken_over(plant: Plant) -> None:
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    before = orjson.loads(plant.fold.dump())
    del before["back"]
    plant.fold = Fold.load(plant.line, orjson.dumps(before))
    resume(plant, 29)
    queue(plant, 29)
    plant.alive(33)
    assert ends(plant) == AS_IT_WAS


def test_settle_s_and_the_bridge_are_those_of_the_line() -> None:
    line = line_of(routes=())
    sources = tuple(source.model_copy(update={"outage_tolerance_s": 60.0}) for source in line.sources)
    units = tuple(unit.model_copy(update={"settle_s": 1.0}) for unit in line.equipment)
    plant = Plant(replace(line, sources=sources, equipment=units))
    begin(plant)
    plant.see(10, g_step=20, g_speed=100.0)
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    plant.alive(82.1, "d-plc")
    assert not plant.of("batch", transition="leave")
    plant.alive(82.3, "d-plc")
    assert plant.of("batch", transition="leave")


@pytest.mark.urs("URS-CTX-03", "URS-CTX-04")
@pytest.mark.parametrize("snapshot", ["one entry", "tag by tag"])
def test_a_row_does_not_count_between_the_end_of_a_gap_and_what_the_snapshot_says(plant: Plant, snapshot: str) -> None:
    """MIX ended at 14, the MES released its batch at 19; the link came back later than the row's own patience, within the bridged time."""
    lose(plant, 11, 13)
    row = {"unit_id": "GRN-201", "order_no": "4500", "product": "P-1", "recipe": "MBR-88", "batch_no": None}
    told = [{"key": "19", "change": "new", "time": time(19), "text": None, "row": row}]
    plant.happen(20, type="message", source="mes", name="orders", rows=told)
    plant.alive(27, "d-plc")
    if snapshot == "one entry":
        plant.see(14, "initial", entry_s=28, g_user="mmartin", g_step=0)
    else:
        plant.see(14, "initial", entry_s=28, g_user="mmartin")
        plant.see(14, "initial", entry_s=28.1, g_step=0)
    plant.alive(40)
    assert ends(plant) == [("MIX", "B1", "unknown", time(10), time(14))]
    (left,) = plant.of("batch", transition="leave")
    assert left["end"]["time"] == time(19)


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-11")
def test_a_step_that_is_cut_by_a_row_while_its_signal_was_lost_was_not_seen_to_be_cut_there(plant: Plant) -> None:
    """MIX is seen at 11 and again at 30; that it ran when the order changed, nobody saw: it may have ended and begun again."""
    lose(plant, 11, 15)
    next_order(plant, 21.2)
    plant.see(30, g_step=20, g_speed=100.0)
    plant.alive(40)
    plant.see(45, g_step=0)
    plant.alive(60)
    first, *_ = plant.of("step", transition="end", step="MIX")
    assert (first["batch"], first["end"]["time"], first["end"]["basis"]) == ("B1", time(19), "inferred-from-gap")
    assert first["end"]["window_s"] == 8.0
    begun = [e["start"] for e in plant.of("step", transition="start", step="MIX") if e["batch"] == "B2"]
    assert all(start["basis"] != "observed" for start in begun)
