"""A resumption that is not without loss: what the first message tells as lost is never hidden by the gap that it closes."""

from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.contract import Loss


@pytest.mark.bar("F20")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("killed", [True, False])
async def test_an_overflow_in_the_first_message_after_a_resumption_is_a_gap_of_its_own(tmp_path: Path, killed: bool) -> None:
    async with Bench(tmp_path, count=2, settings={"queue_size": 10}) as bench:
        await bench.begun()
        last = bench.disk.readings[-1][3]
        assert last is not None
        known = bench.disk.connections
        if killed:
            await bench.kill()
            known = 0
        else:
            bench.cable.cut()
        await bench.make(30, every_s=0.002)
        bench.cable.mend()
        if killed:
            bench.run()
        await eventually(lambda: bench.disk.connections > known)
        await bench.make(2)
        await bench.caught_up()
        (loss,) = [one for one in bench.disk.order if isinstance(one, Loss) and one.cause == "queue-overflow"]
        assert bench.disk.order.index("resumed") < bench.disk.order.index(loss), (
            "else it is declared within the gap that the resumption fills"
        )
        assert loss.since_ticks is not None
        assert loss.until_ticks is not None
        lost = {ticks for values in bench.missing().values() for ticks, _ in values}
        assert lost
        # Under load a publish fell between the cut and the overflow: then the queue gave more than the last value known before.
        kept = {reading[3] for reading in bench.disk.readings if reading[3] is not None and reading[3] < min(lost)}
        assert last <= max(kept)
        assert loss.since_ticks <= max(kept), "it begins at an observation, not after it"
        assert all(loss.since_ticks < ticks < loss.until_ticks for ticks in lost), "every lost value lies in the gap"


@pytest.mark.urs("URS-DAQ-11")
async def test_a_message_that_can_not_be_fetched_again_ends_the_resumption(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=2) as bench:
        bench.plc.switches.kept_messages = 2
        await bench.begun()
        bench.disk.stalled = True
        await bench.make(8, every_s=0.1)
        await bench.kill()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(3)
        await bench.caught_up()
        assert bench.missing()
        causes = [one.cause for one in bench.disk.order if isinstance(one, Loss)]
        assert "message-lost" in causes
        assert "resumed" not in bench.disk.order, "the gap of the crash ends as lost, not as filled"
        assert isinstance(bench.disk.order[0], Loss), "told before a later message is taken"


@pytest.mark.urs("URS-DAQ-11")
async def test_a_hole_is_told_before_what_came_after_it(tmp_path: Path) -> None:
    """Of three messages that did not arrive the first two are gone and the third can be fetched: the gap lies before it."""
    async with Bench(tmp_path, count=2) as bench:
        await bench.begun()
        (subscription,) = bench.plc.subscriptions.subscriptions.values()
        first = subscription.sequence
        bench.plc.switches.drop_messages = {first, first + 1, first + 2}
        while subscription.sequence < first + 3:
            await bench.make(1)
            for number in (first, first + 1):
                subscription.sent.pop(number, None)
        before = len(bench.disk.order)
        await bench.make(3)
        await bench.caught_up()
        assert bench.missing()
        after = bench.disk.order[before:]
        assert isinstance(after[0], Loss)
        assert after[0].cause == "message-lost"
        assert bench.driver.counts["republished"] >= 1


@pytest.mark.bar("F20")
@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("tells", [True, False], ids=["the server tells that more follows", "it never does"])
async def test_what_the_first_messages_of_a_backlog_leave_behind_is_not_called_observed(tmp_path: Path, killed: bool, tells: bool) -> None:
    """A publish time proves nothing of values that wait in the server's queues for the next message: they may never come."""
    async with Bench(tmp_path, count=2, settings={"queue_size": 5_000}) as bench:
        bench.plc.switches.tells_more = tells
        await bench.begun()
        known = bench.disk.connections
        if killed:
            await bench.kill()
            known = 0
        else:
            bench.cable.cut()
        await bench.make(1_500, every_s=0.0)
        made = {tag: [ticks for ticks, _ in values] for tag, values in bench.made().items()}
        bench.cable.mend()
        before = len(bench.disk.committed)
        if killed:
            bench.run()
        await eventually(lambda: bench.disk.connections > known)
        await bench.caught_up()
        lists = bench.disk.committed[before:]
        first = next(place for place, (_, told) in enumerate(lists) if told["resumed"])
        assert len(lists[first][0]) < 1_500 * 2, "else there was no backlog of several messages"
        had: dict[int, set[int | None]] = {tag: {reading[3] for reading in bench.disk.readings if reading[0] == tag} for tag in made}
        for place, (_, told) in enumerate(lists):
            given = {(reading[0], reading[3]) for readings, _ in bench.disk.committed[: before + place + 1] for reading in readings}
            through = told["observed_ticks"] if told["owed_ticks"] is None else told["owed_ticks"]
            assert [
                tag for tag in told["alive"] if any((tag, at) not in given and at in had[tag] for at in made[tag] if at <= through)
            ] == []
        assert lists[first][1]["watermark"]["observed"] < min(at for at in made[0][-1_400:])
        await eventually(lambda: bench.disk.watermark["observed"] is None)  # the server has nothing more, and says so
        assert bench.missing() == {}
