"""How many samples were due in a gap, and how many came: counted where a source is asked at a rate, and nowhere else."""

import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.asking_stage import ENERGY, STEP, TEMP, Stage, seconds, staged

from drivers import Loss
from gateway.entries.samples_due import due
from gateway.entries.ticks import TICKS_PER_MS

NAMES = ("plc.step", "plc.temp", "plc.energy")
PERIOD_S = {"plc.step": 0.2, "plc.temp": 0.2, "plc.energy": 2.0}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path / "line") as made:
        yield made


def closes(stage: Stage, source: str = "plc") -> list[Mapping[str, Any]]:
    return [event for event in stage.events("gap") if event["transition"] == "close" and event["source"] == source]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_gap_says_how_many_samples_of_its_tags_were_due_each_by_its_own_period(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650, ENERGY: 7})
    await stage.plc.failed("cable pulled")
    await stage.poll(10.0, {STEP: 2, TEMP: 651, ENERGY: 8})

    (opened,) = [event for event in stage.events("gap") if event["transition"] == "open"]
    assert (opened["tags"], opened["every_ms"]) == ("all", [200, 200, 2000])
    (closed,) = closes(stage)
    assert (closed["expected"], closed["received"]) == (49 + 49 + 4, 0)


@pytest.mark.urs("URS-DAQ-11")
async def test_tags_that_come_back_one_by_one_are_counted_each_to_its_own_end(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650, ENERGY: 7})
    await stage.plc.lost(Loss("link-lost", detail="unit 1 does not answer"))
    await stage.poll(1.0, {STEP: 2})
    await stage.poll(2.0, {TEMP: 651})
    await stage.poll(6.0, {ENERGY: 8})

    told = [(event["tags"], event["expected"], event["received"]) for event in closes(stage) if event["cause"] == "link-lost"]
    assert told == [(["plc.step"], 4, 0), (["plc.temp"], 9, 0), (["plc.energy"], 2, 0)]


@pytest.mark.urs("URS-DAQ-11")
async def test_a_poll_that_comes_late_and_a_stop_of_the_gateway_are_counted_too(stage: Stage) -> None:
    await stage.poll(0.0, {STEP: 1, TEMP: 650})
    await stage.poll(4.2, {STEP: 2}, [TEMP])
    (late,) = closes(stage)
    assert (late["cause"], late["expected"]) == ("not-asked", 20 + 20)

    await stage.intake.heartbeat()
    stage.at(60.0)
    await stage.plc.stopped("gateway-stopped", "the gateway was not running")
    await stage.poll(60.2, {STEP: 2, TEMP: 650, ENERGY: 7})
    stop = [event for event in closes(stage) if event["cause"] == "gateway-stopped"]
    assert {name for event in stop for name in (NAMES if event["tags"] == "all" else event["tags"])} == {*NAMES}
    for event in stop:
        names = NAMES if event["tags"] == "all" else event["tags"]
        periods = sum((seconds(event["end"]) - seconds(event["start"])) / PERIOD_S[name] - 1 for name in names)
        assert abs(event["expected"] - periods) <= 0.5 * len(names) + 0.05
    assert all(event["received"] == 0 for event in stop)


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("seed", range(5))
async def test_samples_and_what_gaps_expected_add_up_to_the_slots_of_the_whole_time(stage: Stage, seed: int) -> None:
    """A slot that is asked for up to two periods late has no gap, so each outage here is longer."""
    chance, polls, away_until = random.Random(seed), 0, 0
    await stage.poll(0.0, {STEP: 0, TEMP: 0})
    for slot in range(1, 300):
        if slot >= away_until and chance.random() < 0.05:
            away_until = slot + chance.randrange(3, 30)
            if chance.random() < 0.5:
                await stage.plc.lost(Loss("link-lost", detail="cut"))
        if slot >= away_until or slot == 299:
            await stage.poll(slot * 0.2 + chance.uniform(0, 0.04), {STEP: slot, TEMP: slot})
            polls += 1
    expected = sum(event["expected"] for event in closes(stage))
    assert 2 * polls + expected == 2 * 299, "of both tags"
    assert len(closes(stage)) > 3


@pytest.mark.urs("URS-DAQ-11")
async def test_where_nobody_knows_how_many_are_due_nothing_is_counted(stage: Stage) -> None:
    drop = stage.intake.ports["drop"]
    await stage.poll(0.0, {0: 1, 1: 7}, source="drop")
    await drop.failed("the share is away")
    await stage.poll(60.0, {0: 1, 1: 7}, source="drop")
    told = [event for event in stage.events("gap") if event["source"] == "drop"]
    assert {event["transition"] for event in told} == {"open", "close"}
    assert not any({"every_ms", "expected", "received"} & event.keys() for event in told)


@pytest.mark.urs("URS-DAQ-11")
async def test_what_a_sources_history_gave_is_counted_by_who_took_it(stage: Stage) -> None:
    at = 17_953_300_000_000_000
    await stage.plc.filled([STEP], at, at + 10_000_000, "17 values from the server's history", 17)
    await stage.plc.filled([STEP], at, at + 10_000_000, "all of it")
    first, second = (event for event in stage.events("gap") if event["transition"] == "fill")
    assert (first["received"], "received" in second) == (17, False)


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(
    ("ms", "every_ms", "count"), [(0, 200, 0), (200, 200, 0), (299, 200, 0), (301, 200, 1), (1_000, 200, 4), (50, 200, 0), (5, 0, 4)]
)
def test_samples_due_lie_between_the_two_observations(ms: int, every_ms: int, count: int) -> None:
    assert due(0, ms * TICKS_PER_MS, every_ms) == count
