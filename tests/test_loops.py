"""The clocks that tests run by: a pause of the machine is no time, and virtual time is exact."""

import asyncio
import time

import pytest
from kit.loops import LONGEST_STEP_S, PatientLoop, VirtualTimeLoop


async def test_a_pause_of_the_process_is_one_step() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PatientLoop)
    begun_s = loop.time()
    time.sleep(0.2)  # noqa: ASYNC251 - stands for a process that is not run
    assert loop.time() - begun_s <= 3 * LONGEST_STEP_S


async def test_an_answer_that_is_there_after_a_pause_comes_in_time() -> None:
    reader, writer = asyncio.Event(), asyncio.get_running_loop()

    async def device() -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - stands for a process that is not run
        writer.call_soon_threadsafe(reader.set)

    answering = asyncio.create_task(device())
    async with asyncio.timeout(0.1):
        await reader.wait()
    await answering


async def test_what_is_waited_for_takes_its_time() -> None:
    begun_s, begun_ns = asyncio.get_running_loop().time(), time.monotonic_ns()
    await asyncio.sleep(0.05)
    assert asyncio.get_running_loop().time() - begun_s >= 0.05
    assert time.monotonic_ns() - begun_ns >= 50_000_000


@pytest.mark.virtual_time
async def test_virtual_time_is_exact_and_takes_none() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    seen: list[float] = []

    async def beat(every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            seen.append(loop.time() - begun_s)

    begun_s = loop.time()
    tasks = [asyncio.create_task(beat(every_s)) for every_s in (3600.0, 5400.0)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10_800.5):
            await asyncio.Event().wait()
    for task in tasks:
        task.cancel()
    assert seen == [3600.0, 5400.0, 7200.0, 10800.0, 10800.0]
