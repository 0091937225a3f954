"""Addresses that a device refuses, values that are not of their type, and devices that answer out of their place."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from kit.modbus_driver import Collected, plc_for, running, source_at, tags_of
from kit.processes import DEADLINE_S

from drivers.contract import BAD_DECODING, BadReply, LinkLost
from drivers.modbus import ModbusDriver
from simulators.modbus_plc import Fault


@pytest.mark.parametrize("transport", ["tcp", "rtu"])
async def test_addresses_that_do_not_exist_are_found_split_and_remembered(tmp_path, transport):
    tags = tags_of(*[(f"1/holding/{at}:uint16", "uint16") for at in range(40)])
    async with plc_for(tmp_path, tags, transport) as (plc, source):
        plc.memory.refused |= {(1, "holding", 7), (1, "holding", 30)}
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.seen[0] > 5)
            asked = plc.memory.requests[3]
            await emit.until(lambda: emit.seen[0] > 15)

            assert set(emit.values) == set(range(40)) - {7, 30}
            assert {tag for loss in emit.losses for tag in loss.tags} == {7, 30}
            assert all("modbus-exc-02" in loss.detail for loss in emit.losses)
            assert (finding := next(f for f in emit.findings if f.code == "address-refused")).tags == (7, 30)
            assert finding.text.endswith("read as 0..6, 8..29, 31..39")
            assert plc.memory.requests[3] - asked < 12 * 4  # remembered: no search at every poll


async def test_a_hole_that_does_not_exist_costs_no_tag(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/holding/10:uint16", "uint16"))
    async with plc_for(tmp_path, tags, hole_registers=16) as (plc, source):
        plc.memory.exact = True
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.seen[0] > 5 and emit.seen[1] > 5)
            assert not emit.losses
            assert [finding.code for finding in emit.findings] == ["address-refused"]


async def test_a_refused_address_is_read_as_soon_as_it_exists(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/holding/1:uint16", "uint16"))
    async with plc_for(tmp_path, tags, unreadable_retry_s=0.1) as (plc, source):
        plc.memory.refused.add((1, "holding", 1))
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.losses)
            plc.memory.refused.clear()
            await emit.until(lambda: 1 in emit.values)
            assert emit.findings[-1].text.endswith("is readable now")


async def test_what_is_not_of_its_type_is_bad_with_a_finding(tmp_path):
    tags = tags_of(("1/holding/0:bcd16", "bcd16"), ("1/holding/1:uint16", "uint16"))
    raw = tags_of(("1/holding/0:uint16", "uint16"), ("1/holding/1:uint16", "uint16"))
    async with plc_for(tmp_path, raw) as (plc, source):
        await plc.set({"t0": 0x12AB, "t1": 4}, 0)
        async with running(source, tags) as emit:
            await emit.until(lambda: len(emit.values) == 2 and emit.findings)
            assert (emit.last(0), emit.last(1)) == ((None, BAD_DECODING), (4, 0))
            assert emit.findings[0].text == "t0: not bcd16 as declared: 12 ab"


@pytest.mark.bar("F29")
@pytest.mark.urs("URS-DAQ-06")
@pytest.mark.parametrize("order", ["upper", "lower"])
async def test_a_counter_torn_at_its_carry_is_read_again(tmp_path, order):
    tags = tags_of(("1/holding/0:uint32", "uint32"))
    async with plc_for(tmp_path, tags, rate_ms=10) as (plc, source):
        await plc.set({"t0": 0xFFE0}, 0)
        plc.memory.tearing["t0"] = (7, order)
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.values.get(0) and emit.values[0][-1][0] > 0x10400)
        had = {0xFFE0, *plc.memory.had["t0"]}
        assert all(value in had for value, status in emit.values[0] if status == 0)
        good = [value for value, status in emit.values[0] if status == 0]
        assert good == sorted(good)
        assert len(good) > 10


@pytest.mark.urs("URS-DAQ-02")
async def test_nothing_but_reads_was_ever_sent(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/coil/0", "bool"), ("1/discrete/0", "bool"), ("1/input/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags, timeout_ms=40) as (plc, source):
        plc.memory.refused.add((1, "input", 0))
        plc.faults += [Fault("drop", after=5), Fault("short", after=7), Fault("exception", after=9, code=6)]
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.seen[0] > 20)
        assert set(plc.memory.requests) == {1, 2, 3, 4}


@pytest.mark.bar("S13")
async def test_a_device_that_sends_without_end_is_given_up(tmp_path):
    """Bounded buffers: a peer that floods is disconnected, not stored."""

    async def flood(reader, writer):
        with suppress(ConnectionError):
            await reader.read(12)
            while True:
                writer.write(b"\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x00" * 500)
                await writer.drain()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    tags = tags_of(("1/holding/0:uint16", "uint16"))
    for transport in ("tcp", "rtu-tcp"):
        source = source_at(tmp_path, transport, server.sockets[0].getsockname()[1], timeout_ms=2000)
        with pytest.raises((BadReply, LinkLost)):
            async with asyncio.timeout(DEADLINE_S):
                await ModbusDriver(source, tags).run(Collected())
    server.close()


@pytest.mark.urs("URS-MAP-07")
async def test_exchanged_words_are_told_once_while_it_runs(tmp_path):
    held = tags_of(("1/holding/0:float32:CDAB", "float32"), ("1/holding/2:float32:CDAB", "float32"))
    told = [replace(tag, address=tag.address.replace("CDAB", "ABCD"), eu_low=Decimal(0), eu_high=Decimal(500)) for tag in held]
    told[1] = replace(told[1], address=held[1].address)
    async with plc_for(tmp_path, held) as (plc, source), running(source, told) as emit:
        await emit.until(lambda: emit.seen[0] > 2)
        assert not emit.findings, "zero is zero in every order"
        for value in (103.1, 104.2, 105.3):
            await plc.set({"t0": value, "t1": value}, 0)
            seen = emit.seen[0]
            await emit.until(lambda seen=seen: emit.seen[0] > seen + 2)
        assert [(finding.code, finding.tags) for finding in emit.findings] == [("byte-order", (0,))]
        assert "order CDAB would fit" in emit.findings[0].text
