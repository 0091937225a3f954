"""How many samples were due in a gap, and how many came: counted where a rate says it, and said not to be known elsewhere."""

import math
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit.asking_stage import ENERGY, LINE, STEP, TEMP, Stage, seconds, staged

from config import Source, Tag
from config.grammars.opcua_address import OpcUaAddress
from drivers import Loss
from drivers.opcua.plan import MonitoredItem, TagBinding
from drivers.opcua.subscription.subscribe import granted
from gateway.context import Fold
from gateway.context.gaps.gaps import Gaps
from gateway.context.state import State
from gateway.entries.samples_due import due
from gateway.entries.ticks import TICKS_PER_MS
from gateway.intake.due import Due

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
    assert {event["due"] for event in told} == {"not-known"}


DECLARED = LINE.replace('glob = "*.csv"\n', 'glob = "*.csv"\ndue_every_s = 2\n')
OF_ROWS = """tag,source,address,type,aggregate
plc.step,plc,1/holding/0:uint16,uint16,
drop.lod,drop,results.lod,float64,mean:10
drop.ph,drop,results.ph,float64,
"""


@pytest.mark.urs("URS-DAQ-11")
async def test_what_the_plant_declares_of_rows_is_counted_and_an_aggregate_by_its_window(tmp_path: Path) -> None:
    async with staged(tmp_path / "line", line=DECLARED, tags=OF_ROWS) as stage:
        await stage.poll(0.0, {0: 1, 1: 7}, source="drop")
        await stage.intake.ports["drop"].failed("the share is away")
        await stage.poll(60.0, {0: 1, 1: 7}, source="drop")
        opened, closed = (event for event in stage.events("gap") if event["source"] == "drop")
        assert (opened["due"], opened["every_ms"]) == ("declared", [10_000, 2_000])
        assert (closed["due"], closed["expected"], closed["received"]) == ("declared", 5 + 29, 0)


def subscribed(count: int, kept: Mapping[str, Any] | None = None) -> Due:
    """Of an OPC UA source with so many tags."""
    source = Source(name="opc", driver="opcua", endpoint="opc.tcp://127.0.0.1:4840")
    return Due(source, [Tag(f"t{at}", "opc", "ns=1;s=x", "float64") for at in range(count)], "digest", kept)


@pytest.mark.urs("URS-DAQ-11")
def test_what_a_server_granted_is_counted_and_what_it_did_not_is_named() -> None:
    due = subscribed(3)
    assert due.of([0, 1, 2]) == {"due": "not-known"}
    assert due.counted({"t0": 0}, 0, 10**9) == {"due": "not-known"}, "never 0"

    kept = due.granted({0: 500, 1: 500, 2: None})
    assert due.granted({0: 500}) is None, "it is no news"
    assert due.of([0, 1]) == {"due": "sampled", "every_ms": 500}
    assert due.of([0, 2]) == {"due": "sampled", "every_ms": [500, None]}
    a_minute = 60_000 * TICKS_PER_MS
    told = due.counted({"t0": 0, "t1": 1, "t2": 2}, 0, a_minute)
    assert told == {"due": "sampled", "expected": 119 + 119, "received": 0, "uncounted": ["t2"]}

    assert subscribed(3, kept).of([0, 2]) == {"due": "sampled", "every_ms": [500, None]}, "a start knows it"
    other = {**(kept or {}), "tagset": "another"}
    assert subscribed(3, other).of([0, 2]) == {"due": "not-known"}, "of another table nothing is known"


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("revised", "every_ms"), [(250.0, 250), (0.4, 1), (0.0, None), (-1.0, None), (math.inf, None), (math.nan, None)])
def test_a_server_that_reports_changes_as_they_come_has_no_rate(revised: float, every_ms: int | None) -> None:
    item = MonitoredItem(1, OpcUaAddress("i", 1), 1000, 2, 1, 0.0, (TagBinding(7),))
    assert granted([(item, SimpleNamespace(RevisedSamplingInterval=revised))]) == {7: every_ms}


@pytest.mark.urs("URS-DAQ-11")
async def test_an_opening_of_a_release_that_did_not_say_who_knows_is_closed_as_it_was(stage: Stage) -> None:
    """A journal of before is decided again to the byte."""
    gap: dict[str, Any] = {
        "type": "gap",
        "transition": "open",
        "gap": "plc/9",
        "source": "plc",
        "tags": "all",
        "start": "2026-11-22T06:46:40Z",
    }
    gap |= {"cause": "link-lost", "every_ms": 200}
    gaps = Gaps(State(), Fold(stage.line).plan)
    closed = gaps.open(gap | {"end": "2026-11-22T06:46:50Z"})
    assert {"expected": 3 * 49, "received": 0}.items() <= closed.events[0].items()
    assert "due" not in closed.events[0]
    old = {name: value for name, value in gap.items() if name != "every_ms"} | {"end": "2026-11-22T06:46:50Z"}
    assert not {"due", "expected"} & gaps.open(old).events[0].keys()


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
