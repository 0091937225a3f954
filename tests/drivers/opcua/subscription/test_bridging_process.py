"""Time that the server's queue had to bridge: where the queue can tell a loss there is no gap, where it can not there is one."""

from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.contract import Loss
from drivers.opcua.subscription.bridging import Supply

MS = 1_000_000


def causes(bench: Bench) -> list[str]:
    return [one.cause for one in bench.disk.order if isinstance(one, Loss)]


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("queue", [1, 1000])
async def test_a_resumption_fills_the_gap_only_of_tags_whose_queue_would_tell_a_loss(tmp_path: Path, queue: int) -> None:
    async with Bench(tmp_path, count=2) as bench:
        bench.plc.switches.most_queue = queue
        await bench.begun(3, every_s=0.2)
        known = bench.disk.connections
        bench.cable.cut()
        await bench.make(10)
        bench.cable.mend()
        await eventually(lambda: bench.disk.connections > known)
        await bench.make(1)
        await bench.caught_up()
        resumed = [told for _, told in bench.disk.committed if told.get("resumed")]
        assert resumed, "the subscription lived on"
        proved = {tag for told in resumed for tag in told["alive"]}
        assert proved == (set() if queue == 1 else {0, 1})
        if queue == 1:
            assert any(bench.missing().values()), "the queue of one kept the newest value"
            after = bench.disk.committed.index(next(one for one in bench.disk.committed if one[1].get("resumed")))
            again = {reading[0] for readings, _ in bench.disk.committed[after:] for reading in readings}
            assert again == {0, 1}, "a value ends their gap"
        else:
            assert not any(bench.missing().values())


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize("queue", [1, 1000])
async def test_a_server_that_had_no_request_to_answer_is_a_gap_only_where_its_queue_tells_no_loss(tmp_path: Path, queue: int) -> None:
    """The disk stalls, so that no request is sent; the link stays."""
    async with Bench(tmp_path, count=2, settings={"keep_alive_s": 30.0, "queue_size": 100}) as bench:
        bench.plc.switches.most_queue = queue
        await bench.begun(3, every_s=0.2)
        bench.disk.stalled = True
        await bench.make(45, every_s=0.1)
        await bench.make(10)
        bench.disk.stalled = False
        bench.disk.commit()
        await bench.make(3, every_s=0.2)
        await bench.caught_up()
        assert bench.failures == []
        assert causes(bench) == (["not-asked"] if queue == 1 else [])
        assert any(bench.missing().values()) is (queue == 1)


def test_a_server_has_run_out_after_the_answers_that_were_there_when_none_of_our_requests_was_left() -> None:
    supply = Supply(50)
    supply.look(0, 0, 1_000 * MS)
    supply.sent(8, 1_000 * MS)
    assert not supply.ran_out_before_this()
    supply.look(7, 0, 1_050 * MS)
    supply.sent(8, 1_050 * MS)
    assert not supply.ran_out_before_this()
    supply.look(0, 7, 9_000 * MS)
    supply.sent(1, 9_000 * MS)
    assert [supply.ran_out_before_this() for _ in range(9)] == [False] * 7 + [True, False]


def test_a_server_that_waits_with_our_requests_for_a_change_has_not_run_out() -> None:
    supply = Supply(50)
    supply.sent(8, 1_000 * MS)
    supply.look(7, 1, 60_000 * MS)
    assert not any(supply.ran_out_before_this() for _ in range(3))
