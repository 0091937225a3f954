"""Of the operational qualification's judges: a device's clock that is off must be told, and place nothing; each can fail."""

from pathlib import Path
from typing import Any

import pytest
from kit.judged import T0, S, verdicts

from config import Line
from gateway.demo.received import Got, Received
from gateway.demo.truth import Item, Truth
from gateway.validation.oq import device_clocks
from gateway.validation.oq.case import Told
from gateway.validation.oq.device_clocks import Edge, Off
from simulators.opcua_plc.own_clock import OwnClock

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-TIME-12")
AHEAD, DRIFTS = Off("ahead", {"offset_s": 5.0}, 5.0), Off("fast", {"drift_ppm": 50_000.0}, None)


def found(offset_s: float, severity: str = "alarm") -> dict[str, Any]:
    return {"code": "source-clock-off", "severity": severity, "source": "plc", "evidence": {"offset_s": offset_s, "limit_s": 2.0}}


@pytest.mark.parametrize(
    ("way", "findings", "verdict"),
    [
        (AHEAD, [found(5.02)], "passed"),
        (AHEAD, [found(2.6)], "failed"),
        (AHEAD, [found(-5.0)], "failed"),
        (AHEAD, [found(5.0, "info")], "failed"),
        (AHEAD, [], "failed"),
        (DRIFTS, [found(2.7)], "passed"),
        (DRIFTS, [found(1.9)], "failed"),
    ],
)
def test_a_clock_that_is_off_must_be_told_with_how_far(way: Off, findings: list[dict[str, Any]], verdict: str) -> None:
    told = Told()
    device_clocks.judge_told(told, way, {"plc": findings})
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(("severity", "verdict"), [("info", "passed"), ("alarm", "failed")])
def test_that_it_is_right_again_must_be_told_of_each(severity: str, verdict: str) -> None:
    told = Told()
    device_clocks.judge_right(told, {"plc": [found(0.0, severity)], "other": [found(0.0, "info")]})
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("stamp_s", "value", "verdict"),
    [(-3600.0, 4.5, "passed"), (0.0, 4.5, "failed"), (-3600.0, 4.75, "failed"), (None, None, "failed")],
)
def test_each_value_must_come_with_the_stamp_of_its_device(line: Line, stamp_s: float | None, value: Any, verdict: str) -> None:
    """A stamp of an hour ago lies before all that was read; it counts all the same."""
    tag = next(tag for tag in line.tags_of("granulator-plc") if tag.type == "float32" and tag.deadband is None)
    made = Truth(made={tag.tag: [Item(T0 - 7200 * S, 1.5, 0), Item(T0 - 3600 * S, 4.5, 0)]})
    first = Got(1.5, 0, "change", T0 - 7200 * S, None, T0, 1, 1)
    second = [] if stamp_s is None else [Got(value, 0, "change", T0 + round(stamp_s * S), None, T0, 1, 2)]
    told = Told()
    got = Received(readings={"granulator-plc": {tag.tag: [first, *second]}})
    device_clocks.judge_stamps(told, "granulator-plc", device_clocks.compared_by_stamp(line, "granulator-plc", made, got))
    assert verdicts(told) == [verdict]


@pytest.mark.parametrize(
    ("edges", "verdict"),
    [
        ([Edge("start of A", T0 + 20 * S, T0 + 22 * S)], "passed"),
        ([Edge("start of A", T0 + 27 * S, T0 + 22 * S)], "failed"),
        ([Edge("start of A", T0 - 3580 * S, T0 + 22 * S)], "failed"),
        ([Edge("start of A", T0 - 3580 * S, T0 + 99 * S)], "not checked"),
        ([], "not checked"),
    ],
)
def test_a_step_must_not_be_placed_by_a_clock_that_is_known_to_be_off(edges: list[Edge], verdict: str) -> None:
    told = Told()
    device_clocks.judge_edges(told, edges, [(T0, T0 + 60 * S)])
    assert verdicts(told) == [verdict]


def test_an_edge_is_told_once_and_a_revision_says_nothing_new() -> None:
    head = '{"time":"2026-11-30T10:00:00Z","event":{"type":"step","transition":"%s","record":"A#%d",'
    event = head + '"start":{"time":"2026-11-30T09:00:00Z"},"end":%s}}'
    end = '{"time":"2026-11-30T09:30:00Z"}'
    payloads = [(event % what).encode() for what in (("start", 1, "null"), ("end", 1, end), ("end", 2, end))]
    assert [edge.name for edge in device_clocks.edges(payloads)] == ["start of A", "end of A"]


def test_the_ways_leave_every_limit() -> None:
    for limit_s in (0.5, 2.0, 60.0):
        ahead, behind, drifts = device_clocks.ways(limit_s)
        assert ahead.order["offset_s"] > limit_s
        assert -behind.order["offset_s"] > limit_s
        assert drifts.order["drift_ppm"] * 1e-6 * 60.0 > limit_s, "within the minute after which it is asked"


def test_a_devices_clock_leaps_and_drifts() -> None:
    now = [0]
    clock = OwnClock(lambda: now[0])
    clock.put(5.0, 100_000.0)
    now[0] = 10 * S
    assert clock.ticks() == 16 * S
    clock.put(0.0)
    assert clock.ticks() == now[0]


def test_a_simulated_plc_stamps_by_its_own_clock(line: Line, tmp_path: Path) -> None:
    import asyncio

    from simulators.device import Truth as Log
    from simulators.opcua_plc import OpcUaPlc

    source = next(source for source in line.sources if source.name == "granulator-plc")
    tag = next(tag for tag in line.tags_of(source.name) if tag.type == "float32")
    log = Log(tmp_path / "log.jsonl")
    plc = OpcUaPlc(source, [tag], log)
    plc.clock.put(-3600.0)
    asyncio.run(plc.set({tag.tag: 4.5}, T0))
    log.close()
    assert f'"t":{T0 - 3600 * S}' in (tmp_path / "log.jsonl").read_text()
