"""`browse` of a Modbus source: what is named is read, nothing else is, nothing twice, and what a device refuses is found by dividing."""

from contextlib import asynccontextmanager

import pytest
from kit.modbus_driver import TRANSPORTS, plc_for, tags_of

from drivers.contract import Browses, LinkLost
from drivers.modbus import ModbusDriver
from drivers.modbus.scan import Span, spans_of
from simulators.modbus_plc.faults import Fault

TAGS = tags_of(
    ("1/holding/10:float32:CDAB", "float32"), ("1/holding/12:uint16", "uint16"), ("1/coil/5", "bool"), ("2/input/0:int16", "int16")
)


@asynccontextmanager
async def device(tmp_path, transport="tcp", **options):
    """A PLC that holds TAGS, a driver that reaches it, and the requests that came: (unit, function, first, how many)."""
    async with plc_for(tmp_path, TAGS, transport, **{"timeout_ms": 200, **options}) as (plc, source):
        asked, right = [], plc.answer

        def answer(unit, pdu):
            asked.append((unit, pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")))
            return right(unit, pdu)

        plc.answer = answer  # type: ignore[method-assign]  # the device as it is, heard
        await plc.set({"t0": 81.25, "t1": 40_000, "t2": True, "t3": -5}, 0)
        yield plc, ModbusDriver(source, TAGS), asked


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_ranges_that_are_named_are_read_once_and_nothing_else_is(tmp_path, transport):
    async with device(tmp_path, transport) as (_, driver, asked):
        assert isinstance(driver, Browses)
        found = await driver.browse("1/holding/8..13, 1/coil/4..6, 2/300001")
    assert asked == [(1, 3, 8, 6), (1, 1, 4, 3), (2, 4, 0, 1)]
    assert found.left_out == {}
    assert {row["address"]: (row["type"], row["description"]) for row in found.rows} == {
        "1/holding/8:uint16": ("uint16", "reads 0"),
        "1/holding/9:uint16": ("uint16", "reads 0"),
        "1/holding/10:uint16": ("uint16", "reads 32768, int16 -32768, with the next float32:CDAB 81.25"),
        "1/holding/11:uint16": ("uint16", "reads 17058, with the next float32:ABCD 81.3052"),
        "1/holding/12:uint16": ("uint16", "reads 40000, int16 -25536"),
        "1/holding/13:uint16": ("uint16", "reads 0"),
        "1/coil/4": ("bool", "reads 0"),
        "1/coil/5": ("bool", "reads 1"),
        "1/coil/6": ("bool", "reads 0"),
        "2/input/0:uint16": ("uint16", "reads 65531, int16 -5"),
    }
    assert {row["tag"] for row in found.rows} >= {"plc.1.holding.8", "plc.1.coil.5"}


async def test_without_a_range_nothing_is_asked(tmp_path):
    async with device(tmp_path) as (_, driver, asked):
        with pytest.raises(ValueError, match=r"name the ranges that may be read, as in --under 1/holding/0\.\.99"):
            await driver.browse()
    assert asked == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1/holding/9..3", "its end lies before its beginning"),
        ("1/holding/0..70000", "offset 70000 is above 65535"),
        ("1/400001..300002", "in another table"),
        ("1/holding/0:float32..9", "neither type nor bit"),
        ("1/holdings/0", "table `holdings`"),
        ("holding/0..9", "write unit/table/offset"),
        ("1/holding/0..9,", "the address is empty"),
        ("1/holding/..5", "write unit/table/offset"),
    ],
)
def test_what_is_no_range_is_said_to_be_none(text, why):
    with pytest.raises(ValueError, match=why):
        spans_of(text)


def test_modicon_numbers_are_ranges_too():
    assert spans_of("1/400001..400100") == [Span(1, "holding", 0, 99)]


async def test_what_does_not_exist_is_found_by_dividing_and_told_with_its_reason(tmp_path):
    async with device(tmp_path) as (plc, driver, asked):
        plc.memory.exact = True
        found = await driver.browse("1/holding/0..19")
    assert [row["address"] for row in found.rows] == ["1/holding/10:uint16", "1/holding/11:uint16", "1/holding/12:uint16"]
    assert found.left_out == {
        "1/holding/0..9": "modbus-exc-02 (illegal address)",
        "1/holding/13..19": "modbus-exc-02 (illegal address)",
    }
    assert len(asked) == len(set(asked)), "nothing is asked twice"
    assert all(first >= 0 and first + count <= 20 for _, _, first, count in asked)


async def test_how_much_a_device_gives_at_once_is_learnt_and_never_exceeded_again(tmp_path):
    async with device(tmp_path) as (plc, driver, asked):
        plc.faults = [Fault("exception", times=1_000, code=3)]
        right = plc.answer

        def at_most_20(unit, pdu):
            longer = int.from_bytes(pdu[3:5], "big") > 20
            fault, answer, served = right(unit, pdu)
            plc.memory.requests[pdu[0]] += 0
            return (fault, answer, served) if longer else (None, plc.memory.answer(unit, pdu)[0], served)

        plc.answer = at_most_20
        found = await driver.browse("1/holding/0..299")
    assert len(found.rows) == 300
    assert found.left_out == {}
    learnt = [count for _, _, first, count in asked if first >= 125]
    assert max(learnt) <= 20, "what was refused once is not asked for again"


async def test_a_table_that_a_unit_has_not_is_asked_for_once(tmp_path):
    async with device(tmp_path) as (plc, driver, asked):
        plc.faults = [Fault("exception", times=1_000, function=4, code=1)]
        found = await driver.browse("1/input/0..499,1/holding/12")
    assert asked == [(1, 4, 0, 125), (1, 3, 12, 1)]
    assert found.left_out == {"1/input/0..499": "not asked further: modbus-exc-01 (illegal function)"}
    assert len(found.rows) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_unit_that_falls_silent_is_not_asked_again_and_what_was_read_before_is_shown(tmp_path, transport):
    async with device(tmp_path, transport) as (plc, driver, asked):
        plc.deaf = {(1, "holding", 130)}
        found = await driver.browse("1/holding/0..299,1/coil/0..9,2/input/0")
    assert asked == [(1, 3, 0, 125), (1, 3, 125, 125), (2, 4, 0, 1)]
    assert len(found.rows) == 126
    assert set(found.left_out) == {"1/holding/125..299", "1/coil/0..9"}
    assert all("not asked" in why for why in found.left_out.values())


async def test_a_device_that_gives_nothing_of_it_is_told_as_one_error(tmp_path):
    async with device(tmp_path) as (plc, driver, _):
        plc.dead = {1}
        with pytest.raises(LinkLost, match=r"none of it is given: 1/holding/0\.\.9: no answer|within"):
            await driver.browse("1/holding/0..9")


async def test_what_the_map_has_and_what_does_not_match_has_no_row(tmp_path):
    async with device(tmp_path) as (_, driver, _):
        found = await driver.browse("1/holding/8..13", match="1/holding/1*", known={tag.address for tag in TAGS})
    assert [row["address"] for row in found.rows] == ["1/holding/13:uint16"]
