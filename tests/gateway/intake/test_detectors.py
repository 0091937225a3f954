"""What detectors find on a source, what a gap, a restart and a clock that is set leave of it, and what their findings say."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from kit.asking_stage import TEMP, Stage, staged

from config import Source, Tag
from config.detectors import Limits, UnitJump
from drivers import Loss
from drivers.columns import MOST_REMEMBERED
from gateway.alarms.findings import take
from gateway.alarms.held import Found
from gateway.alarms.stream import told
from gateway.intake.detectors import Detectors, Taking
from gateway.intake.readings import Instants

S, NOW = 10_000_000, 17_953_300_000_000_000
TAGS = (
    "tag,source,address,type,unit,scale,eu_low,eu_high,equipment,criticality,flat_after_s,max_rate_per_s,zero_after_s,counter_after_s\n"
    "plc.step,plc,1/holding/0:uint16,uint16,,,,,dryer,,,,,\n"
    "plc.temp,plc,1/holding/1:int16,int16,Cel,0.1,0,100,dryer,CPP,3,20,2,\n"
    "plc.count,plc,1/holding/2:uint16,uint16,,,,,dryer,,,,,3\n"
)
COUNT = 2


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "line", tags=TAGS) as made:
        made.plc.connected()
        yield made


def codes(stage: Stage) -> list[str]:
    return [event["code"] for event in stage.events("finding")]


async def goes_on(stage: Stage, first: float, last: float, values: dict[int, int] | None = None) -> None:
    """Polls five times a second, and looks each second; the first poll has the values, the others find them unchanged."""
    at = round(first * 5)
    for tick in range(at, round(last * 5)):
        await stage.poll(tick / 5, values if tick == at and values else {}, [0, TEMP, COUNT])
        if tick % 5 == 4:
            stage.look(tick / 5 + 0.1)
    await stage.intake.heartbeat()  # whatever was told before it is on disk


@pytest.mark.urs("URS-OBS-01")
async def test_a_value_that_stands_is_found_once_and_its_end_is_told_and_nothing_of_it_is_changed(stage: Stage) -> None:
    await goes_on(stage, 0.0, 2.8, {TEMP: 650, COUNT: 1})
    assert codes(stage) == []
    await goes_on(stage, 2.8, 9.0)
    assert codes(stage) == ["flat-line", "counter-stuck"]
    await stage.poll(9.2, {TEMP: 651, COUNT: 2}, [0])
    assert codes(stage) == ["flat-line", "counter-stuck", "flat-line-over", "counter-stuck-over"]
    assert [value for value, _, _ in stage.stored(TEMP)] == [65.0, 65.1]

    flat, stuck, *_ = stage.events("finding")
    assert (flat["severity"], flat["tags"], stuck["severity"]) == ("alarm", ["plc.temp"], "warning")
    assert flat["text"].startswith("plc.temp: has been 65.0 Cel without any change since 2026-11-22T06:46:40.002")
    assert "longer than 3 s; it was observed until 2026-11-22T06:46:4" in flat["text"]
    evidence = flat["evidence"]
    assert (evidence["value"], evidence["flat_after_s"], evidence["measured_in"], evidence["equipment"]) == (65.0, 3.0, "Cel", "dryer")


@pytest.mark.urs("URS-OBS-01")
async def test_what_was_not_polled_proves_nothing_and_a_gap_begins_the_time_anew(stage: Stage) -> None:
    await goes_on(stage, 0.0, 2.0, {TEMP: 650, COUNT: 1})
    for second in (3.0, 4.0, 5.0):  # nobody asks
        stage.look(second)
    await stage.intake.heartbeat()
    assert codes(stage) == []
    await stage.poll(6.0, {TEMP: 650, COUNT: 1}, [0])  # too late: a gap
    assert "not-asked" in stage.opened()
    await goes_on(stage, 6.2, 8.6)
    assert codes(stage) == [], "what stood before the gap is no part of it"
    await goes_on(stage, 8.6, 10.2)
    assert codes(stage) == ["flat-line", "counter-stuck"]
    assert "since 2026-11-22T06:46:46" in stage.events("finding")[0]["text"]


@pytest.mark.urs("URS-OBS-01")
async def test_a_step_across_a_gap_is_no_rate_and_a_fast_one_is(stage: Stage) -> None:
    await stage.poll(0.0, {TEMP: 100, COUNT: 1})
    await stage.poll(0.2, {TEMP: 103, COUNT: 1})  # 0.3 in 0.2 s
    await stage.plc.lost(Loss("link-lost"))
    await stage.poll(0.4, {TEMP: 600, COUNT: 1})
    assert codes(stage) == []
    await stage.poll(0.6, {TEMP: 700, COUNT: 2})  # 10 in 0.2 s
    await stage.poll(0.8, {TEMP: 800, COUNT: 3})
    (found,) = stage.events("finding")
    assert (found["code"], found["evidence"]["before"], found["evidence"]["value"]) == ("rate-exceeded", 60.0, 70.0)
    assert 49.0 < found["evidence"]["per_s"] < 50.0, "what is certain, from question to answer, is a little less than what was"


@pytest.mark.urs("URS-OBS-01")
async def test_after_a_restart_a_time_counts_from_the_first_reading_since(stage: Stage) -> None:
    await goes_on(stage, 0.0, 2.8, {TEMP: 650, COUNT: 1})
    await stage.restart()
    stage.plc.connected()
    await goes_on(stage, 3.0, 5.6, {TEMP: 650, COUNT: 1})
    assert codes(stage) == []
    await goes_on(stage, 5.6, 7.2)
    assert codes(stage) == ["flat-line", "counter-stuck"]


@pytest.mark.urs("URS-OBS-01")
async def test_zeros_are_told_as_sent_and_bad_readings_are_no_values(stage: Stage) -> None:
    await stage.poll(0.0, {TEMP: 1, COUNT: 1})
    await goes_on(stage, 0.2, 3.2, {TEMP: 0})
    assert codes(stage) == ["zero-fill"]
    requested = stage.at(3.4)
    await stage.plc([(TEMP, None, 0x808B0000, None, None)], received_ns=requested + 1, requested_ns=requested, kind="poll")
    await goes_on(stage, 3.6, 5.0, {COUNT: 5})
    assert [code for code in codes(stage) if not code.startswith("counter")] == ["zero-fill"], (
        "a Bad reading is no zero, and no end of them"
    )
    await stage.poll(5.0, {TEMP: 2})
    assert [code for code in codes(stage) if not code.startswith("counter")] == ["zero-fill", "zero-fill-over"]


@pytest.mark.urs("URS-OBS-01")
async def test_a_clock_that_is_set_makes_no_time_pass(stage: Stage) -> None:
    await goes_on(stage, 0.0, 2.0, {TEMP: 650, COUNT: 1})
    stage.machine.set_ns = 3_600_000_000_000
    stage.clock.look()
    await goes_on(stage, 2.0, 4.0, {TEMP: 650, COUNT: 1})
    assert codes(stage) == []


@pytest.mark.urs("URS-OBS-01", "URS-OBS-03")
async def test_findings_of_a_tag_stand_and_end_as_alarms_do_whatever_batch_was_there(stage: Stage) -> None:
    await goes_on(stage, 0.0, 5.0, {TEMP: 650, COUNT: 1})
    await stage.poll(5.2, {TEMP: 651, COUNT: 2}, [0])
    found = Found()
    for number, event in enumerate(stage.events("finding")):
        said = told({**event, "evidence": {**event["evidence"], "batch": f"B{number}"}})
        assert said is not None
        take(found, said, NOW + number)
    assert [(held.code, held.cleared is not None) for held in found.all()] == [("flat-line", True)], "the warning is over, the alarm waits"


# ---- one detector each


def detectors(limits: Limits, **more: Any) -> Detectors:
    source = Source(name="plc", driver="opcua", endpoint="opc.tcp://x", rate_ms=100, time_authority="device")
    tag = Tag(tag="t", source="plc", address="a", type="float64", unit="Cel", limits=limits)
    return Detectors(source, [replace(tag, **more)])


def told_by(of: Detectors, readings: Sequence[tuple[float, float]], through_s: float = 0.0, kind: Any = "change") -> list[str]:
    """The codes found in changes of (second by the device, value), each of which arrives 0.1 s later."""
    found: list[str] = []
    for second, value in readings:
        stamp = NOW + round(second * S)
        taking = Taking(kind, Instants(None, stamp + S // 10), trusts=True, offset=0, through=lambda _: NOW + round(through_s * S))
        found += [one.code for one in of.by_row([(0, value, None, 0, stamp)], taking)]
    return found


@pytest.mark.urs("URS-OBS-01")
@pytest.mark.parametrize(
    ("name", "scale", "offset", "before", "after"),
    [
        ("1.8", "1.8", "0", 20.0, 36.0),
        ("10", "10", "0", 5.0, 50.0),
        ("100", "100", "0", 0.5, 50.0),
        ("1000", "1000", "0", 1.2, 1200.0),
        ("[degF]", "9/5", "32", 25.0, 77.0),
    ],
)
def test_a_jump_to_another_unit_is_found_and_its_way_back_ends_it(name: str, scale: str, offset: str, before: float, after: float) -> None:
    its = detectors(Limits(unit_jumps=(UnitJump(name, Fraction(scale), Fraction(offset)),), unit_jump_min=1.0))
    assert told_by(its, [(0, before), (1, before * 1.001), (2, after), (3, after * 1.001), (4, before)]) == ["unit-jump", "unit-jump-over"]
    assert told_by(its, [(5, before * 1.3), (6, before * 1.5), (7, before)]) == [], "what a process does is none"


@pytest.mark.urs("URS-OBS-01")
def test_noise_around_zero_has_every_factor_and_is_no_jump() -> None:
    its = detectors(Limits(unit_jumps=(UnitJump("10", Fraction(10)),), unit_jump_min=1.0))
    assert told_by(its, [(0, 0.01), (1, 0.1), (2, 0.01), (3, -0.1)]) == []


@pytest.mark.urs("URS-OBS-01")
def test_a_value_that_was_seen_to_stand_until_just_now_went_fast_however_old_its_last_change_is() -> None:
    limits = Limits(max_rate_per_s=5.0)
    assert told_by(detectors(limits), [(0, 10.0), (60, 100.0)], through_s=0.0) == [], "nobody saw when it went"
    assert told_by(detectors(limits), [(0, 10.0), (60, 100.0)], through_s=59.5) == ["rate-exceeded"]
    assert told_by(detectors(limits, deadband="100"), [(0, 10.0), (60, 100.0)], through_s=59.5) == [], "so much its source leaves out"


@pytest.mark.urs("URS-OBS-01")
def test_no_reading_is_no_proof_that_a_value_stood_the_observation_of_its_tag_is() -> None:
    its = detectors(Limits(flat_after_s=5.0))
    assert told_by(its, [(0, 1.0)]) == []
    assert its.look(NOW + 99 * S, lambda _: None) == []
    assert its.look(NOW + 99 * S, lambda _: NOW + 4 * S) == []
    assert [one.code for one in its.look(NOW + 99 * S, lambda _: NOW + 6 * S)] == ["flat-line"]
    assert its.look(NOW + 99 * S, lambda _: NOW + 9 * S) == [], "once"


@pytest.mark.urs("URS-OBS-01")
def test_what_was_found_stands_over_a_gap_until_a_value_says_that_it_is_over() -> None:
    its = detectors(Limits(flat_after_s=5.0))
    told_by(its, [(0, 1.0)])
    its.look(NOW + 99 * S, lambda _: NOW + 6 * S)
    its.forget([0])
    assert told_by(its, [(20, 1.0)]) == []
    assert its.look(NOW + 99 * S, lambda _: NOW + 40 * S) == [], "it was told, and nothing says that it was over"
    its.forget([0])
    assert told_by(its, [(50, 1.5)]) == ["flat-line-over"]


@pytest.mark.urs("URS-OBS-01")
async def test_a_rate_that_was_told_ends_on_a_machine_that_asks_late_every_few_seconds(stage: Stage) -> None:
    """No stretch between two gaps is as long as the quiet that ends it; what was seen counts together, what was not does not."""
    await goes_on(stage, 0.0, 0.6, {TEMP: 100, COUNT: 1})
    await stage.poll(0.6, {TEMP: 300})
    told_at: list[float] = []
    for turn in range(20):  # each asks for 4 s and for 2 s not at all
        await goes_on(stage, 1.0 + 6 * turn, 5.0 + 6 * turn, {TEMP: 301 + turn % 2, COUNT: turn})
        if "rate-exceeded-over" in codes(stage) and not told_at:
            told_at.append(5.0 + 6 * turn)
    assert stage.opened().count("not-asked") >= 19
    assert [code for code in codes(stage) if code.startswith("rate")] == ["rate-exceeded", "rate-exceeded-over"]
    assert told_at[0] > 60 / 4 * 6, "the time in which nobody asked is not quiet"


@pytest.mark.urs("URS-OBS-01")
@pytest.mark.parametrize(("stamp_s", "found"), [(-1, []), (-30, []), (40, ["stamp-frozen-over"])])
def test_a_stamp_that_stood_stands_over_a_gap_until_a_later_one_comes(stamp_s: int, found: list[str]) -> None:
    its = detectors(Limits(stamp_after_s=2.0))

    def taken(second: int, stamp_s: int) -> list[str]:
        taking = Taking("change", Instants(None, NOW + second * S), trusts=True, offset=0, through=lambda _: None)
        return [one.code for one in its.by_row([(0, float(second), None, 0, NOW + stamp_s * S)], taking)]

    assert [code for second in range(4) for code in taken(second, -1)] == ["stamp-frozen"]
    its.forget([0])
    assert taken(40, stamp_s) == found
    assert taken(50, 50) == ([] if found else ["stamp-frozen-over"])


@pytest.mark.urs("URS-OBS-01")
def test_new_values_under_one_stamp_are_found_and_polls_of_one_value_are_not() -> None:
    def taken(kind: Any, values: Sequence[float]) -> list[str]:
        its, found = detectors(Limits(stamp_after_s=2.0)), list[str]()
        for second, value in enumerate(values):
            io = Instants(None if kind == "change" else NOW + second * S, NOW + second * S)
            taking = Taking(kind, io, trusts=True, offset=0, through=lambda _: None)
            found += [one.code for one in its.by_row([(0, value, None, 0, NOW - S)], taking)]
        return found

    assert taken("change", [1.0, 2.0, 3.0, 4.0]) == ["stamp-frozen"]
    assert taken("poll", [1.0, 1.0, 1.0, 1.0]) == []
    assert taken("poll", [1.0, 2.0, 3.0, 4.0]) == ["stamp-frozen"]
    assert taken("backfill", [1.0, 2.0, 3.0, 4.0]) == []


@pytest.mark.urs("URS-OBS-01")
def test_values_that_change_under_one_stamp_are_no_flat_line() -> None:
    its = detectors(Limits(flat_after_s=3.0))
    for second in range(10):
        taking = Taking("change", Instants(None, NOW + second * S), trusts=True, offset=0, through=lambda _: None)
        its.by_row([(0, float(second), None, 0, NOW)], taking)
        assert its.look(NOW + 99 * S, lambda _, at=NOW + second * S: at) == []  # type: ignore[misc]


@pytest.mark.urs("URS-OBS-01")
@pytest.mark.parametrize(("beyond", "found"), [(3, []), (8, ["late-share"])])
def test_the_share_of_late_readings_is_told_at_the_end_of_its_time(beyond: int, found: list[str]) -> None:
    its = detectors(Limits(late_after_s=1.0, max_late_share=0.2, share_over_s=20.0))
    for second in range(20):
        lag = 2 * S if second < beyond else 0
        taking = Taking("change", Instants(None, NOW + second * S), trusts=True, offset=0, through=lambda _: None)
        its.by_row([(0, float(second), None, 0, NOW + second * S - lag)], taking)
    assert [one.code for one in its.look(NOW, lambda _: NOW + 19 * S)] == []
    assert [one.code for one in its.look(NOW, lambda _: NOW + 20 * S)] == found


@pytest.mark.urs("URS-OBS-01")
def test_quality_is_a_share_of_time_and_told_as_soon_as_it_can_not_be_reached_any_more() -> None:
    its = detectors(Limits(min_good_share=0.9, share_over_s=100.0))

    def one(second: int, status: int) -> None:
        taking = Taking("change", Instants(None, NOW + second * S), trusts=True, offset=0, through=lambda _: None)
        its.by_row([(0, None if status else 1.0, None, status, None)], taking)

    def look(second: int) -> list[str]:
        return [each.code for each in its.look(NOW, lambda _: NOW + second * S)]

    one(0, 0)
    one(50, 0x80000000)
    assert look(59) == []
    assert look(61) == ["quality-share"]
    one(70, 0)
    assert look(101) == []
    assert look(202) == ["quality-share-over"]


def test_a_source_without_limits_has_nothing_to_look_at() -> None:
    assert not detectors(Limits()).watched
    assert not detectors(Limits(unit_jump_min=1.0)).watched


class Counting(Detectors):
    """Counts how often a layout is found anew."""

    found = 0

    def _layout(self, tags: tuple[int, ...]) -> Any:
        self.found += 1
        return super()._layout(tags)


@pytest.mark.urs("URS-OBS-01")
def test_the_layout_of_lists_that_come_reading_by_reading_is_found_once_for_all_that_are_alike() -> None:
    tags = [Tag(tag=f"t{number}", source="plc", address="a", type="float64", limits=Limits(flat_after_s=3.0)) for number in range(700)]
    its = Counting(Source(name="plc", driver="opcua", endpoint="opc.tcp://x", rate_ms=1000), tags)
    for second in range(5):
        taking = Taking("change", Instants(None, NOW + second * S), trusts=True, offset=0, through=lambda _: None)
        its.by_row([(number, float(second), None, 0, NOW) for number in (1, 2)], taking)
    assert its.found == 2, "one of those with a stamp, one of none without"
    for number in range(700):
        taking = Taking("change", Instants(None, NOW + 9 * S), trusts=True, offset=0, through=lambda _: None)
        its.by_row([(number, 1.0, None, 0, NOW)], taking)
    assert len(its._by_rows) <= MOST_REMEMBERED, "what is remembered is bounded, whatever lists come"
