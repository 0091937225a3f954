"""Of the operational qualification's judges: what a device never had must not be Good, and exchanged words must be told."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest
from kit.judged import T0, S, verdicts

from config import Line, Tag
from drivers.modbus.plausible import likelier_orders
from gateway.demo.received import Got, Received
from gateway.demo.truth import Item
from gateway.validation.oq import registers
from gateway.validation.oq.case import Told
from gateway.validation.oq.registers import Torn

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-DAQ-11")
MADE = [Item(T0, 0xF000, 0), Item(T0 + S, 0x1_0000, 0), Item(T0 + 30 * S, 0x1_F000, 0)]


def tag(line: Line, name: str) -> Tag:
    return next(one for one in line.tags if one.tag == name)


def reading(value: Any, ticks: int, status: int = 0) -> Got:
    return Got(value, status, "change", None, ticks, ticks, 1, 1)


def test_a_reading_is_held_against_what_the_counter_had_when_it_was_asked(line: Line) -> None:
    total = tag(line, "dryer.air_total")
    good = [reading(0xF000, T0 + S), reading(0x1_0000, T0 + 2 * S)]
    marked = [reading(0x1_F000, T0 + 2 * S, 0x4000_0000)]
    assert registers.found(total, 2, [*good, *marked], MADE) == Torn(2, 2, 1, [])
    early = [reading(0x1_F000, T0 + 2 * S)]
    assert registers.found(total, 2, early, MADE).wrong == [str(0x1_F000)], "a value that it had only later"
    assert registers.found(total, 2, [reading(0x1_0000, T0 + 20 * S)], MADE).wrong == [], "what stood then"


@pytest.mark.parametrize(
    ("came", "verdict"),
    [
        (Torn(3, 40, 1, []), "passed"),
        (Torn(3, 40, 1, ["126976"]), "failed"),
        (Torn(0, 40, 0, []), "not checked"),
        (Torn(3, 0, 4, []), "not checked"),
        (Torn(0, 40, 0, ["126976"]), "failed"),
    ],
)
def test_nothing_that_the_device_never_had_may_be_good(line: Line, came: Torn, verdict: str) -> None:
    told = Told()
    registers.judge_torn(told, tag(line, "dryer.air_total"), "upper", came)
    assert verdicts(told) == [verdict]


def said(*pairs: tuple[str, str]) -> Mapping[str, Mapping[str, Any]]:
    return {name: {"code": "byte-order", "tags": [name], "evidence": {"raw": "", order: 1.0}} for name, order in pairs}


def test_each_float_must_be_told_with_the_order_that_fits(line: Line) -> None:
    source = next(one for one in line.sources if one.name == "dryer-plc")
    floats = [tag(line, "dryer.air_flow"), tag(line, "dryer.filter_dp")]
    for found, verdict in (
        (said(("dryer.air_flow", "CDAB"), ("dryer.filter_dp", "ABCD")), "passed"),
        (said(("dryer.air_flow", "CDAB")), "failed"),
        (said(("dryer.air_flow", "CDAB"), ("dryer.filter_dp", "BADC")), "failed"),
        ({}, "failed"),
    ):
        told = Told()
        registers.judge_swapped(told, source, floats, found)
        assert verdicts(told) == [verdict], told.steps


def test_the_right_device_must_be_believed_again(line: Line) -> None:
    source, flow = next(one for one in line.sources if one.name == "dryer-plc"), tag(line, "dryer.air_flow")
    got = Received(readings={"dryer-plc": {"dryer.air_flow": [reading(3000.0, T0), reading(3000.0, T0, 0x4000_0000)]}})
    assert registers.is_back(got, flow, 0, 3000.0)
    assert not registers.is_back(got, flow, 1, 3000.0), "marked"
    assert not registers.is_back(got, flow, 0, 3001.0)
    for missing, found, verdict in (
        ([], {}, "passed"),
        (["dryer.air_flow"], {}, "failed"),
        ([], said(("dryer.air_flow", "CDAB")), "failed"),
    ):
        told = Told()
        registers.judge_back(told, source, missing, found)
        assert verdicts(told) == [verdict]


def test_a_middle_value_is_none_in_exchanged_words(line: Line) -> None:
    """What is held must be told apart: else a right product would fail, or a wrong one pass."""
    for name, order in (("dryer.air_flow", "ABCD"), ("dryer.filter_dp", "CDAB"), ("dryer.bed_dp", "ABCD")):
        one = tag(line, name)
        words = struct.pack(">f", registers.middle(one))
        exchanged = struct.unpack(">f", words[2:] + words[:2])[0]
        assert likelier_orders(one, "float32", order, {order: exchanged, registers.EXCHANGED[order]: registers.middle(one)})
