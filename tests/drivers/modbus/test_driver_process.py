"""The Modbus driver against the simulated PLC, over real sockets and pseudo-terminals."""

import asyncio
import socket
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction

import pytest
from kit.modbus_driver import TRANSPORTS, Collected, Log, plc_for, running, source_at, tags_of
from kit.processes import DEADLINE_S

from config import Tag
from config.units.scaling import Scaling
from drivers.contract import BadReply, LinkLost
from drivers.modbus import ModbusDriver
from simulators.modbus_plc import Fault


@pytest.mark.urs("URS-DAQ-06")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_type_arrives_as_the_device_has_it(tmp_path, transport):
    tags = tags_of(
        ("1/holding/0:uint16", "uint16"),
        ("1/holding/10:float32:CDAB", "float32"),
        ("1/holding/12:int64:DCBA", "int64"),
        ("1/holding/20:string10", "string"),
        ("1/holding/30.3", "bool"),
        ("1/holding/31:bcd32:BADC", "bcd32"),
        ("1/input/0:float64", "float64"),
        ("1/input/300:int16", "int16"),
        ("1/coil/7", "bool"),
        ("1/discrete/1999", "bool"),
        ("4/400001:uint32:BADC", "uint32"),
    )
    want = [4711, 251.5, -(2**60), "B2026-0417", True, 12345678, 1 / 3, -5, True, True, 0xDEADBEEF]
    async with plc_for(tmp_path, tags, transport) as (plc, source):
        await plc.set({f"t{at}": value for at, value in enumerate(want)}, 0)
        async with running(source, tags) as emit:
            await emit.until(lambda: len(emit.values) == len(tags))

            assert [emit.last(at) for at in range(len(tags))] == [(value, 0) for value in want]
            assert len(emit.connections) == 1
            assert not emit.losses
    assert set(plc.memory.requests) <= {1, 2, 3, 4}


async def test_scaled_values_come_as_the_raw_numbers_that_mean_them(tmp_path):
    siemens = Scaling(Decimal(5) / 1152, Decimal(0), 3, (Fraction(5, 1152), Fraction(0)))
    tags = [
        Tag(tag="t0", source="plc", address="1/holding/0:int16", type="int16", scaling=Scaling(Decimal("0.1"), Decimal(0), 1)),
        Tag(
            tag="t1",
            source="plc",
            address="1/holding/1:uint16",
            type="uint16",
            scaling=siemens,
        ),
    ]
    truth = Log()
    async with plc_for(tmp_path, tags, truth=truth) as (plc, source):
        await plc.set({"t0": 251.54, "t1": 120}, 0)
        async with running(source, tags) as emit:
            await emit.until(lambda: len(emit.values) == 2)

            assert (emit.last(0), emit.last(1)) == ((2515, 0), (27648, 0))
    assert truth.served_values == {"t0": [251.5], "t1": [120.0]}


@pytest.mark.urs("URS-DAQ-07", "URS-DAQ-06")
async def test_every_value_served_is_handed_on_and_no_other(tmp_path):
    tags = tags_of(*[(f"1/holding/{2 * at}:float32", "float32") for at in range(100)])
    truth = Log()
    async with plc_for(tmp_path, tags, truth=truth) as (plc, source), running(source, tags) as emit:
        for turn in range(40):
            await plc.set({f"t{at}": turn + at / 4 for at in range(0, 100, 1 + turn % 7)}, 0)
            reads = emit.seen[99] + 1
            await emit.until(lambda reads=reads: emit.seen[99] > reads)
    for at in range(100):
        distinct = [value for i, (value, _) in enumerate(emit.values[at]) if i == 0 or value != emit.values[at][i - 1][0]]
        assert distinct == truth.served_values[f"t{at}"]


async def test_unchanged_blocks_are_alive_and_only_listed_now_and_then(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/input/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (plc, source), running(source, tags) as emit:
        await emit.until(lambda: emit.seen[1] > 10)
        await plc.set({"t0": 5}, 0)
        await emit.until(lambda: emit.last(0) == (5, 0))
        await emit.until(lambda: emit.seen[1] > 20)

        assert len(emit.values[1]) == 1
        assert emit.values[0] == [(0, 0), (5, 0)]


async def test_tags_with_store_all_are_listed_at_every_poll(tmp_path):
    tags = [Tag(tag="t0", source="plc", address="1/holding/0:uint16", type="uint16", store="all")]
    async with plc_for(tmp_path, tags) as (_, source), running(source, tags) as emit:
        await emit.until(lambda: len(emit.values.get(0, ())) > 10)
        assert emit.seen[0] == len(emit.values[0])


async def test_a_value_is_never_divided_over_two_requests(tmp_path):
    tags = tags_of(*[(f"1/holding/{2 * at}:uint32", "uint32") for at in range(100)])
    async with plc_for(tmp_path, tags, max_registers=7) as (plc, source), running(source, tags) as emit:
        await emit.until(lambda: len(emit.values) == 100)
        assert not emit.losses
        assert plc.memory.requests[3] >= 34  # three to a read


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("code", [4, 6])
async def test_an_exception_is_a_loss_of_just_its_tags_with_the_native_code(tmp_path, code):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/input/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (plc, source), running(source, tags) as emit:
        await emit.until(lambda: len(emit.values) == 2)
        plc.faults.append(Fault("exception", times=3, function=4, code=code))
        await emit.until(lambda: emit.losses)
        before = len(emit.values[1])
        await emit.until(lambda: len(emit.values[1]) > before)

        assert [(loss.tags, loss.cause) for loss in emit.losses] == [((1,), "device-exception")]
        assert f"modbus-exc-{code:02d}" in emit.losses[0].detail
        assert not plc.accepted > 1


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-11")
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["wrong-unit", "wrong-function", "short", "long", "bad-count", "drop", "truncated"])
async def test_a_wrong_answer_never_becomes_a_value_and_the_next_right_one_does(tmp_path, transport, kind):
    tags = tags_of(("1/holding/0:uint32", "uint32"), ("1/input/0:uint32", "uint32"))
    async with plc_for(tmp_path, tags, transport, timeout_ms=80) as (plc, source), running(source, tags) as emit:
        await plc.set({"t0": 7, "t1": 8}, 0)
        await emit.until(lambda: (emit.last(0), emit.last(1)) == ((7, 0), (8, 0)))
        plc.faults.append(Fault(kind, function=3, times=2))  # once, and it is asked again within the poll
        await emit.until(lambda: emit.losses)
        await plc.set({"t0": 9}, 0)
        await emit.until(lambda: emit.last(0) == (9, 0))

        assert 0 in emit.losses[0].tags
        assert emit.losses[0].cause in ("timeout", "bad-reply")
        assert {value for value, _ in emit.values[0]} <= {0, 7, 9}
        assert {value for value, _ in emit.values[1]} <= {0, 8}


async def ended_or_polled(task: asyncio.Task[None], emit: Collected, times: int) -> None:
    """Wait until the driver has ended, or has polled so often."""
    task.add_done_callback(lambda _: emit.changed.set())
    await emit.until(lambda: task.done() or emit.seen[0] > times)


@pytest.mark.bar("F28", "S13")
@pytest.mark.parametrize("kind", ["wrong-transaction", "wrong-protocol", "twice", "garbage-after", "garbage-before", "close"])
async def test_tcp_frames_that_do_not_belong_are_no_values(tmp_path, kind):
    tags = tags_of(("1/holding/0:uint32", "uint32"))
    async with plc_for(tmp_path, tags, timeout_ms=80) as (plc, source):
        for _ in range(3):
            emit = Collected()
            plc.faults[:] = [Fault(kind, after=3)]
            task = asyncio.create_task(ModbusDriver(source, tags).run(emit))
            await ended_or_polled(task, emit, 6)
            ended = task.done()
            task.cancel()
            with suppress(asyncio.CancelledError, LinkLost, BadReply):
                await task
            assert {value for value, _ in emit.values[0]} == {0}
            assert ended == (kind in ("wrong-protocol", "garbage-before", "close")), kind  # less than a header behind: only this connection


@pytest.mark.bar("F30")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_dead_unit_is_a_loss_of_its_tags_alone_and_comes_back(tmp_path, transport):
    tags = tags_of(*[(f"{unit}/holding/0:uint16", "uint16") for unit in (1, 2, 3)])
    async with (
        plc_for(tmp_path, tags, transport, timeout_ms=250, retry_s=0.2, retry_max_s=0.4) as (plc, source),
        running(source, tags) as emit,
    ):
        await emit.until(lambda: len(emit.values) == 3)
        plc.dead.add(2)
        await emit.until(lambda: any(finding.code == "unit-health" for finding in emit.findings))
        assert {loss.tags for loss in emit.losses} == {(1,)}
        before = emit.seen[0], emit.seen[2]
        await emit.until(lambda: emit.seen[0] > before[0] + 20 and emit.seen[2] > before[1] + 20)
        await plc.set({"t1": 77}, 0)
        plc.dead.clear()
        await emit.until(lambda: emit.last(1) == (77, 0))

        assert [finding.text.split(";")[0] for finding in emit.findings] == ["unit 2 does not answer", "unit 2 answers again"]
        assert {loss.tags for loss in emit.losses} == {(1,)}
        assert len(emit.losses) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_when_no_unit_answers_the_link_is_lost(tmp_path, transport):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("2/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags, transport, timeout_ms=50, retry_s=5) as (plc, source):
        plc.dead |= {1, 2}
        emit = Collected()
        with pytest.raises(LinkLost, match=r"no unit answers: unit 1: .*unit 2"):
            async with asyncio.timeout(DEADLINE_S):
                await ModbusDriver(source, tags).run(emit)
        assert not emit.lists
        assert not emit.connections


async def test_a_gateways_word_that_a_unit_is_absent_degrades_it(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("2/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (plc, source), running(source, tags) as emit:
        plc.faults.append(Fault("exception", times=10**6, unit=2, code=11))
        await emit.until(lambda: emit.findings)
        assert emit.findings[0].text.startswith("unit 2 does not answer")
        assert "modbus-exc-11" in emit.losses[0].detail
        assert plc.accepted == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_device_that_goes_away_is_link_lost_and_is_read_again_when_it_is_back(tmp_path, transport):
    tags = tags_of(("1/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags, transport, timeout_ms=200) as (plc, source):
        driver, emit = ModbusDriver(source, tags), Collected()
        task = asyncio.create_task(driver.run(emit))
        await emit.until(lambda: emit.values)
        await plc.stop()
        with pytest.raises(LinkLost):
            async with asyncio.timeout(DEADLINE_S):
                await task
        with pytest.raises(LinkLost):
            await driver.run(emit)
        await plc.set({"t0": 3}, 0)
        await plc.start()
        task = asyncio.create_task(driver.run(emit))
        await emit.until(lambda: emit.last(0) == (3, 0))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(emit.connections) == 2


async def test_cancelling_closes_the_connection(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags) as (plc, source):
        async with running(source, tags) as emit:
            await emit.until(lambda: emit.values)
            assert len(plc.connections) == 1
        async with asyncio.timeout(DEADLINE_S):
            while plc.connections:  # noqa: ASYNC110 - the other side's view has no event
                await asyncio.sleep(0.001)


async def test_requests_of_one_poll_share_their_instants_only_if_close_together(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"), ("1/input/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags, rate_ms=100, window_ms=40) as (plc, source), running(source, tags) as emit:
        await emit.until(lambda: len(emit.lists) > 3)
        assert all({reading[0] for reading in readings} | set(alive) == {0, 1} for readings, alive, _, _ in emit.lists)
        plc.faults.append(Fault("delay", times=100, function=4, seconds=0.06))
        await emit.until(lambda: any(received - requested > 50e6 for _, _, requested, received in emit.lists))
        slow = next(item for item in emit.lists if item[3] - item[2] > 50e6)
        assert {reading[0] for reading in slow[0]} | set(slow[1]) == {1}


async def test_nobody_listening_is_link_lost(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        tags = tags_of(("1/holding/0:uint16", "uint16"))
        with pytest.raises(LinkLost, match=str(port)):
            await ModbusDriver(source_at(tmp_path, port=port), tags).run(Collected())


@pytest.mark.urs("URS-DAQ-11")
async def test_a_connection_that_the_device_closes_while_idle_is_opened_again_without_a_gap(tmp_path):
    tags = tags_of(("1/holding/0:uint16", "uint16"))
    async with plc_for(tmp_path, tags, rate_ms=300) as (plc, source), running(source, tags) as emit:
        for turn in range(1, 4):
            seen = emit.seen[0]
            await emit.until(lambda seen=seen: emit.seen[0] > seen)
            for connection in list(plc.connections):
                connection.abort()
            seen = emit.seen[0]
            await emit.until(lambda seen=seen: emit.seen[0] > seen)
            assert plc.accepted == turn + 1
        assert not emit.losses
