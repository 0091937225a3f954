"""Gaps filled from the history of a server, wholly or not at all."""

from pathlib import Path

import pytest
from kit.opcua_bench import Bench, say
from kit.processes import eventually


@pytest.mark.parametrize(("trick", "fills"), [("", True), ("repeat", False), pytest.param("expire", False, marks=pytest.mark.faults)])
async def test_history_fills_a_gap_wholly_or_not_at_all(tmp_path: Path, trick: str, fills: bool) -> None:
    async with Bench(tmp_path, count=3) as bench:
        bench.plc.switches.history = True
        bench.plc.switches.history_trick = trick
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(3)
        await bench.caught_up()
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
        say("F25 history", trick=trick or "none", filled=bool(bench.disk.fillings), missing=len(missing), silently_cut=silent)


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
