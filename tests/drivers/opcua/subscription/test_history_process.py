"""Gaps filled from the history of a server, wholly or not at all."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench, say
from kit.processes import eventually

TRICKS = [
    ("", True),
    ("repeat", False),
    ("interpolated", False),
    pytest.param("pause", True, marks=pytest.mark.faults),
    pytest.param("bounds", True, marks=pytest.mark.faults),
    pytest.param("expire", False, marks=pytest.mark.faults),
]


@pytest.mark.bar("F18", "F25")
@pytest.mark.parametrize(("trick", "fills"), TRICKS)
async def test_history_fills_a_gap_wholly_or_not_at_all(tmp_path: Path, trick: str, fills: bool) -> None:
    async with Bench(tmp_path, count=3) as bench:
        bench.plc.switches.history = True
        bench.plc.switches.history_trick = trick
        await bench.plc.stop()
        await bench.plc.start()
        await bench.begun()
        bench.cable.cut()
        bench.plc.drop_subscriptions()
        await bench.make(150, every_s=0.002)
        bench.cable.mend()
        await bench.make(2, every_s=0.1)
        await bench.caught_up()
        await eventually(lambda: len(bench.disk.fillings) + bench.disk.codes().count("history-incomplete") >= 3)
        assert bool(bench.disk.fillings) is fills
        missing = {ticks for values in bench.missing().values() for ticks, _ in values}
        assert bool(missing) is not fills
        assert bench.doubled() == 0
        assert bench.wrong_values() == 0
        silent = len(missing) if bench.disk.fillings else 0
        say("history", trick=trick or "none", filled=bool(bench.disk.fillings), missing=len(missing), silently_cut=silent)


@pytest.mark.faults
async def test_history_fills_what_a_queue_lost(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=2, settings={"queue_size": 10}) as bench:
        bench.plc.switches.history = True
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.caught_up()
        bench.cable.cut()
        await bench.make(30, every_s=0.002)
        bench.cable.mend()
        await bench.make(2, every_s=0.1)
        await eventually(lambda: len(bench.disk.fillings) == 2)
        assert not bench.missing()
        assert bench.doubled() == 0


@pytest.mark.urs("URS-DAQ-11")
async def test_many_changes_with_one_source_time_are_filled_in_to_the_last_one(tmp_path: Path) -> None:
    """A PLC whose stamps have half seconds: five changes bear one source time, also where the gap begins and ends."""
    async with Bench(tmp_path, count=2) as bench:
        bench.plc.switches.history = True
        await bench.plc.stop()
        await bench.plc.start()

        async def coarse(number: int) -> None:
            stamp = 17_953_300_000_000_000 + number // 5 * 5_000_000
            await bench.plc.set({"t0": number, "t1": -number}, stamp)
            await asyncio.sleep(0.01)

        def values(tag: int) -> list[Any]:
            return [reading[1] for reading in bench.disk.readings if reading[0] == tag]

        await coarse(0)
        bench.run()
        await eventually(lambda: bench.disk.connections)
        for number in range(1, 13):
            await coarse(number)
        await eventually(lambda: values(1)[-1:] == [-12])
        bench.cable.cut()
        bench.plc.drop_subscriptions()
        for number in range(13, 43):
            await coarse(number)
        bench.cable.mend()
        await eventually(lambda: -42 in values(1) and len(bench.disk.fillings) == 2)
        for number in range(43, 50):
            await coarse(number)
        await eventually(lambda: values(0)[-1:] == [49] and values(1)[-1:] == [-49])
        for tag, sign in ((0, 1), (1, -1)):
            assert sorted(abs(value) for value in values(tag)) == list(range(50)), "each once"
            assert values(tag)[-1] == sign * 49


async def test_a_history_that_does_not_hold_what_came_fills_no_gap(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=1) as bench:
        bench.plc.switches.history = True
        await bench.plc.stop()
        await bench.plc.start()
        await bench.begun()
        bench.cable.cut()
        bench.plc.drop_subscriptions()
        bench.plc.history.forget()
        await bench.make(5)
        bench.cable.mend()
        await eventually(lambda: "history-incomplete" in bench.disk.codes())
        assert bench.disk.fillings == []
        (finding,) = [one for one in bench.disk.findings if one.code == "history-incomplete"]
        assert "does not hold the last value before the gap" in finding.text
        assert not bench.missing(), "what it has is stored all the same"
        assert bench.doubled() == 0


async def test_a_history_whose_values_hide_others_fills_no_gap(tmp_path: Path) -> None:
    """ExtraData (Part 11, 6.5.3.2): the value was put in place of another one of its time, or there are more."""
    async with Bench(tmp_path, count=1) as bench:
        bench.plc.switches.history, bench.plc.switches.history_trick = True, "hiding"
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await bench.caught_up()
        bench.cable.cut()
        bench.plc.drop_subscriptions()
        await bench.make(20, every_s=0.002)
        bench.cable.mend()
        await bench.make(2, every_s=0.1)
        await eventually(lambda: "history-incomplete" in bench.disk.codes())
        (finding,) = [one for one in bench.disk.findings if one.code == "history-incomplete"]
        assert "hide others" in finding.text
        assert not bench.missing()
        assert bench.disk.fillings == []
