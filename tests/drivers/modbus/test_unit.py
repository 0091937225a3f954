"""The polling of a unit by exact time: its grid, what is late, what waits, and how often a silent unit is asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Collector

from config import Source, Tag
from drivers.contract import Reading
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

    async def read(self, request: Request) -> Reply:
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
    assert waits[:6] == [0, 1000, 2000, 4000, 4000, 4000], "twice on the grid, then with longer waits"
    assert device.times(1) == [50 * number for number in range(len(device.times(1)))], "each poll of unit 1 at its time"


async def test_a_block_that_is_refused_whole_is_asked_again_now_and_then() -> None:
    device = Device()
    device.refused = True
    async with polled(device, 1, unreadable_retry_s=60.0) as seen:
        await asyncio.sleep(119.0)
        assert device.times() == [0, 60_050], "at the grid point after the minute that began with the refusal"
        device.refused = False
        await asyncio.sleep(2.0)
        assert device.times()[2:4] == [120_100, 120_150]
        assert len(seen.lists) == len(device.asked) - 3, "two were refused, one is under way"
