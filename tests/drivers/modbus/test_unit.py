"""The polling of a unit by exact time: its grid, what is late, what waits, and how often a silent unit is asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector

from config import Source, Tag
from drivers.contract import LinkLost, Reading
from drivers.modbus import ModbusDriver
from drivers.modbus.frames import ModbusException, NoAnswer, Reply, Request

pytestmark = pytest.mark.virtual_time
TIMEOUT_S = 0.25


class Device:
    """A link to units that answer after a while, with a new value each time; a dead one is silent for the whole time-out."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, int]] = []  # (when, unit)
        self.delays_s: list[float] = []  # of the next answers
        self.dead: set[int] = set()
        self.refused = False

    async def read(self, request: Request, _then: object = None) -> Reply:
        now_s = asyncio.get_running_loop().time()
        self.asked.append((now_s, request.unit))
        await asyncio.sleep(TIMEOUT_S if request.unit in self.dead else self.delays_s.pop(0) if self.delays_s else 0.004)
        if request.unit in self.dead:
            raise NoAnswer(f"unit {request.unit} is silent")
        if self.refused:
            raise ModbusException(2)
        data = len(self.asked).to_bytes(2, "big") * (request.data_bytes // 2)
        return Reply(data, round(now_s * 1e9), round(asyncio.get_running_loop().time() * 1e9))

    def times(self, unit: int = 1) -> list[float]:
        """When a unit was asked, in ms after the first time."""
        all_s = [at for at, whom in self.asked if whom == unit]
        return [round((at - all_s[0]) * 1000, 3) for at in all_s]


class Seen(Collector):
    """What was handed over; there is room while `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    def __call__(self, readings: Sequence[Reading], **_: Any) -> Awaitable[None]:
        self.lists.append(list(readings))
        return self.done()

    async def room(self) -> None:
        await self.gate.wait()


@asynccontextmanager
async def polled(device: Device, *units: int, rate_ms: int = 50, **options: Any) -> AsyncIterator[Seen]:
    """One holding register of each unit, polled."""
    tags = [Tag(tag=f"t{unit}", source="plc", address=f"{unit}/holding/0:uint16", type="uint16") for unit in units]
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:1", rate_ms=rate_ms, options=options, folder=Path())
    seen = Seen()
    polls = [asyncio.create_task(unit.run()) for unit in ModbusDriver(source, tags)._units(device, seen)]
    try:
        yield seen
        assert not any(poll.done() for poll in polls)
    finally:
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)


@pytest.mark.urs("URS-DAQ-06")
async def test_polls_keep_to_the_grid_and_lateness_is_told() -> None:
    device = Device()
    device.delays_s = [0.004, 0.004, 0.12, 0.049, 0.004]
    async with polled(device, 1) as seen:
        await seen.until(lambda: seen.findings)
        (finding,) = seen.findings
    assert device.times()[:7] == [0, 50, 100, 250, 300, 350, 400], "the answer of 120 ms cost two polls, that of 49 ms none"
    assert all(at % 50 == 0 for at in device.times()), "and the grid has not moved after a minute"
    assert finding.code == "late-cycle"
    assert finding.text == "unit 1 at 50 ms: 1199 polls, 0 late, 2 missed, at worst 0 ms behind"


async def test_a_full_gateway_holds_the_polls_back() -> None:
    device = Device()
    async with polled(device, 1, 2) as seen:
        await asyncio.sleep(1.0)
        seen.gate.clear()
        before = len(device.asked)
        await asyncio.sleep(3600.0)
        assert len(device.asked) - before <= 2, "each unit has one answer in its hands"
        seen.gate.set()
        lists = len(seen.lists)
        await asyncio.sleep(1.0)
        assert len(seen.lists) - lists >= 38
    assert all(at % 50 == 0 for unit in (1, 2) for at in device.times(unit)[-10:])


@pytest.mark.urs("URS-DAQ-11")
async def test_a_silent_unit_is_asked_less_and_less_and_costs_its_neighbour_nothing() -> None:
    device = Device()
    async with polled(device, 1, 2, retry_s=1.0, retry_max_s=4.0) as seen:
        await asyncio.sleep(1.02)
        device.dead.add(2)
        await asyncio.sleep(60.0)
        assert [finding.text.split(";")[0] for finding in seen.findings] == ["unit 2 does not answer"]
        assert {loss.tags for loss in seen.losses} == {(1,)}
        device.dead.clear()
        await asyncio.sleep(10.0)
        assert [finding.text for finding in seen.findings if finding.code == "unit-health"][1:] == ["unit 2 answers again"]
    silent = [at for at in device.times(2) if at >= 1_050]
    waits = [round(b - a - 1000 * TIMEOUT_S) for a, b in pairwise(silent)]
    assert waits[:7] == [0, 0, 1000, 2000, 4000, 4000, 4000], "twice at first, for a frame may be lost; again on the grid; then seldom"
    assert device.times(1) == [50 * number for number in range(len(device.times(1)))], "each poll of unit 1 at its time"


async def test_a_block_that_is_refused_whole_is_asked_again_now_and_then() -> None:
    device = Device()
    device.refused = True
    async with polled(device, 1, unreadable_retry_s=60.0) as seen:
        await asyncio.sleep(137.0)
        assert device.times() == [0, 5_050, 15_100, 35_150, 75_200, 135_250], "soon at first: it may only be starting"
        device.refused = False
        await asyncio.sleep(60.0)
        assert device.times()[6:8] == [195_300, 195_350], "at last each minute"
        await asyncio.sleep(2.0)
        assert len(seen.lists) >= len(device.asked) - 7, "six were refused, one is under way"
        assert [(finding.severity, finding.text, finding.tags) for finding in seen.findings[-1:]] == [
            ("info", "unit 1 holding 0..0 is readable now", (0,))
        ]


@pytest.mark.urs("URS-OBS-03")
async def test_what_a_connection_found_refused_or_silent_is_told_to_be_over_on_the_next_one() -> None:
    device = Device()
    device.refused = True
    tags = [Tag(tag="t1", source="plc", address="1/holding/0:uint16", type="uint16")]
    driver = ModbusDriver(Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:1", rate_ms=50, options={}, folder=Path()), tags)
    told: list[list[tuple[str, str, tuple[int, ...]]]] = []

    async def connection(lasts_s: float) -> None:
        seen = Seen()
        (unit,) = driver._units(device, seen)
        with contextlib.suppress(LinkLost, TimeoutError):
            async with asyncio.timeout(lasts_s):
                await unit.run()
        told.append([(finding.code, finding.severity, finding.tags) for finding in seen.findings])

    await connection(1.0)
    device.refused, device.dead = False, {1}
    await connection(1.0)
    device.dead.clear()
    await connection(1.0)
    await connection(1.0)
    assert told == [
        [("address-refused", "warning", (0,))],
        [("unit-health", "warning", (0,))],
        [("address-refused", "info", (0,)), ("unit-health", "info", (0,))],
        [],
    ]


class Registers(Device):
    """Registers of one unit, some of which are not given as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.silent: set[int] = set()
        self.illegal: set[int] = set()
        self.longest = 125
        self.busy_each = 0  # each so manieth answer is exception 6
        self.lost_each = 0  # each so manieth answer is lost
        self.reads: list[tuple[int, int]] = []

    async def read(self, request: Request, _then: object = None) -> Reply:
        now_s = asyncio.get_running_loop().time()
        start, count = int.from_bytes(request.pdu[1:3], "big"), int.from_bytes(request.pdu[3:5], "big")
        self.reads.append((start, count))
        touched = set(range(start, start + count))
        if touched & self.silent or count > self.longest:
            await asyncio.sleep(TIMEOUT_S)
            raise NoAnswer("no answer in 0.25 s")
        if self.lost_each and len(self.reads) % self.lost_each == 0:
            await asyncio.sleep(TIMEOUT_S)
            raise NoAnswer("no answer in 0.25 s")
        await asyncio.sleep(0.004)
        if self.busy_each and len(self.reads) % self.busy_each == 0:
            raise ModbusException(6)
        if touched & self.illegal:
            raise ModbusException(2)
        data = b"".join(at.to_bytes(2, "big") for at in range(start, start + count))
        return Reply(data, round(now_s * 1e9), round(asyncio.get_running_loop().time() * 1e9))


@asynccontextmanager
async def mapped(device: Device, *offsets: int, **options: Any) -> AsyncIterator[Seen]:
    """Holding registers of unit 1, polled once a second."""
    tags = [Tag(tag=f"t{at}", source="plc", address=f"1/holding/{at}:uint16", type="uint16", store="all") for at in offsets]
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:1", rate_ms=1000, options=options, folder=Path())
    seen = Seen()
    (unit,) = ModbusDriver(source, tags)._units(device, seen)
    poll = asyncio.create_task(unit.run())
    try:
        yield seen
        assert not poll.done()
    finally:
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)


def read_values(seen: Seen) -> set[Any]:
    """The tags of which there was a value."""
    return {tag for readings in seen.lists for tag, value, *_ in readings if value is not None}


@pytest.mark.urs("URS-DAQ-11")
async def test_a_device_that_is_busy_while_a_refused_block_is_divided_crashes_nothing() -> None:
    device = Registers()
    device.illegal, device.busy_each = {5}, 3
    async with mapped(device, *range(12)) as seen:
        await asyncio.sleep(20.0)
    assert read_values(seen) == set(range(12)) - {5}
    assert {loss.tags for loss in seen.losses if loss.cause == "refused"} == {(5,)}


@pytest.mark.urs("URS-DAQ-11")
async def test_an_address_to_which_the_device_is_silent_starves_no_other() -> None:
    device = Registers()
    device.silent = {100}
    async with mapped(device, 0, 100, 200) as seen:
        await asyncio.sleep(30.0)
        assert read_values(seen) == {0, 2}
        assert {loss.tags for loss in seen.losses} == {(1,)}
        assert any("holding 100..100 is refused as a whole: no answer" in finding.text for finding in seen.findings)
        assert device.reads.count((100, 1)) < 8, "and it is not asked at each poll"


async def test_a_silent_hole_in_a_block_is_found_and_left_out() -> None:
    device = Registers()
    device.silent = {7}
    async with mapped(device, *range(7), *range(8, 20), hole_registers=1) as seen:
        await asyncio.sleep(20.0)
    assert len(read_values(seen)) == 19
    assert any("read as 0..6, 8..19" in finding.text for finding in seen.findings)


@pytest.mark.urs("URS-DAQ-11")
async def test_no_register_is_read_that_the_map_does_not_name() -> None:
    """Whatever the device does: reading a register may have an effect, and nobody has said that it has none."""
    device, named = Registers(), {*range(7), *range(8, 20), 40, 41}
    device.silent, device.illegal, device.busy_each = {3}, {12}, 5
    async with mapped(device, *sorted(named)) as seen:
        await asyncio.sleep(60.0)
    assert len(read_values(seen)) == len(named) - 2
    assert {at for start, count in device.reads for at in range(start, start + count)} == named


async def test_a_device_that_is_silent_to_long_reads_is_read_in_shorter_ones() -> None:
    device = Registers()
    device.longest = 20
    async with mapped(device, *range(30)) as seen:
        await asyncio.sleep(30.0)
        assert read_values(seen) == set(range(30))
        asked = len(device.reads)
        await asyncio.sleep(10.0)
        assert len(device.reads) - asked <= 2 * 10 + 2, "the limit is learnt"


async def test_a_device_that_refuses_everything_while_it_starts_is_read_soon_after() -> None:
    device = Registers()
    device.illegal = set(range(100))
    async with mapped(device, *range(20)) as seen:
        await asyncio.sleep(8.0)
        device.illegal = set()
        await asyncio.sleep(10.0)
    assert read_values(seen) == set(range(20))


async def test_one_busy_answer_is_asked_again_and_is_no_gap() -> None:
    device = Registers()
    device.busy_each = 3
    async with mapped(device, 0, 1) as seen:
        await asyncio.sleep(20.0)
    assert not seen.losses
    assert len(seen.lists) >= 19


@pytest.mark.urs("URS-DAQ-11")
async def test_one_lost_frame_is_asked_again_and_is_no_gap() -> None:
    device = Registers()
    device.lost_each = 3
    async with mapped(device, 0, 1) as seen:
        await asyncio.sleep(20.0)
    assert not seen.losses
    assert len(seen.lists) >= 19


async def test_what_a_silent_unit_said_last_is_told() -> None:
    device = Device()
    device.dead.add(1)
    async with polled(device, 1, 2) as seen:
        await asyncio.sleep(5.0)
    assert any("unit 1 does not answer" in its.text and its.text.endswith("the last: unit 1 is silent") for its in seen.findings)
