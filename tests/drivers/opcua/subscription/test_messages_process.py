"""Messages that are lost, unreadable, refused or of nodes that come and go; limits that a server tells or hides."""

import asyncio
import time
from pathlib import Path

import pytest
from kit.opcua_bench import ONCE, Bench, lost, say
from kit.processes import eventually


@pytest.mark.bar("F20")
@pytest.mark.faults
async def test_an_overflow_is_a_gap_for_exactly_its_tag_and_time(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=3, settings={"queue_size": 10}) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.caught_up()
        bench.cable.cut()
        await bench.make(30, every_s=0.002, tags=["t1"])
        bench.cable.mend()
        await bench.make(3)
        await bench.caught_up()
        gone = bench.missing()
        assert set(gone) == {1}
        overflows = [one for one in bench.disk.losses if one.cause == "queue-overflow"]
        (loss,) = overflows
        assert loss.tags == (1,)
        assert loss.since_ticks is not None
        assert loss.until_ticks is not None
        covered = sum(loss.since_ticks < ticks < loss.until_ticks for ticks, _ in gone[1])
        say("queue overflow", lost=len(gone[1]), covered=covered, gaps=len(overflows))
        assert covered == len(gone[1])


@pytest.mark.urs("URS-DAQ-11")
async def test_how_often_the_server_looks_is_what_it_granted_not_what_was_asked_for(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=2) as bench:
        bench.plc.switches.least_sampling_ms = 250.0
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        assert bench.disk.granted == {0: 250, 1: 250}
        assert bench.source.rate_ms == 50


@pytest.mark.bar("F20")
async def test_a_queue_of_one_is_an_alarm(bench: Bench) -> None:
    bench.plc.switches.most_queue = 1
    bench.run()
    await eventually(lambda: "queue-revised" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "queue-revised"]
    assert finding.severity == "alarm"
    assert len(finding.tags) == 20


@pytest.mark.bar("F21")
@pytest.mark.faults
async def test_a_message_that_never_came_is_fetched_again(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    bench.plc.switches.drop_messages = {subscription.sequence + 1, subscription.sequence + 2}
    await bench.make(8, every_s=0.07)
    await bench.caught_up()
    assert bench.driver.counts["sequence-gaps"] == 1
    assert not bench.missing()
    assert (bench.doubled(), bench.unordered()) == (0, 0)
    assert bench.failures == []
    say("sequence gap", messages_missing=2, republished=bench.driver.counts["republished"], lost=lost(bench))


@pytest.mark.bar("F21")
async def test_a_message_that_is_no_longer_there_is_a_gap_and_every_value_is_asked_for(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    bench.plc.switches.republish = False
    bench.plc.switches.drop_messages = {subscription.sequence}
    await bench.make(1, every_s=0.2)
    await bench.make(3, every_s=0.07, tags=["t0"])
    await eventually(lambda: any(loss.cause == "message-lost" for loss in bench.disk.losses))
    await bench.caught_up()
    (loss,) = [one for one in bench.disk.losses if one.cause == "message-lost"]
    assert set(loss.tags or ()) == set(range(20))
    assert bench.failures == []


@pytest.mark.bar("F21")
@pytest.mark.parametrize("resend", [True, False])
async def test_a_message_that_can_not_be_read_is_a_gap_and_does_not_end_the_session(bench: Bench, resend: bool) -> None:
    bench.plc.switches.resend_data = resend
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    bench.plc.switches.garble_messages = {subscription.sequence}
    await bench.make(1, every_s=0.2)
    await eventually(lambda: "message-unreadable" in bench.disk.codes())
    await bench.caught_up()
    await bench.make(2)
    await bench.caught_up()
    assert any(loss.cause == "message-unreadable" for loss in bench.disk.losses)
    assert bench.failures == []


@pytest.mark.urs("URS-SEC-09")
async def test_a_value_of_five_bytes_that_claims_to_be_two_thousand_million_stops_no_other(bench: Bench) -> None:
    """An array of 2,147,483,647 Null takes no byte per element. It spoils its message; then it is read, and Bad, by itself."""
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    bench.plc.set_variant("t3", b"\x80\xff\xff\xff\x7f", time.time_ns() // 100)
    await eventually(lambda: "message-unreadable" in bench.disk.codes())
    await eventually(lambda: any(reading[0] == 3 and reading[2] >= 0x80000000 for reading in bench.disk.readings))
    known = len(bench.disk.readings)
    await eventually(lambda: bench.disk.readings[known - 20 : known])
    await bench.make(2, tags=[f"t{i}" for i in range(20) if i != 3])
    await eventually(lambda: len({reading[0] for reading in bench.disk.readings[known:] if reading[2] == 0}) == 19)
    assert bench.disk.codes().count("message-unreadable") == 1
    assert bench.failures == []


@pytest.mark.bar("F22")
@pytest.mark.parametrize("round_", ONCE)
async def test_a_missing_node_stops_no_other_and_is_taken_up_when_it_comes(bench: Bench, round_: int) -> None:
    bench.plc.remove("t3")
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2, tags=[f"t{i}" for i in range(20) if i != 3])
    await eventually(lambda: len({reading[0] for reading in bench.disk.readings}) == 19)
    assert [(loss.cause, loss.tags) for loss in bench.disk.losses] == [("not-subscribed", (3,))]
    begun = asyncio.get_running_loop().time()
    bench.plc.restore("t3")
    await bench.make(2)
    await eventually(lambda: any(reading[0] == 3 for reading in bench.disk.readings))
    kinds = {told["kind"] for readings, told in bench.disk.committed if any(reading[0] == 3 for reading in readings)}
    assert "initial" in kinds
    say("node back", taken_up_after_s=round(asyncio.get_running_loop().time() - begun, 2), retry_every_s=0.3)


@pytest.mark.bar("F22")
async def test_a_node_that_vanishes_while_it_is_read_is_in_a_gap_that_its_own_last_word_does_not_end(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    bench.plc.remove("t3")
    await bench.make(2, tags=[f"t{i}" for i in range(20) if i != 3])
    await eventually(
        lambda: any(loss.cause == "not-subscribed" and loss.tags == (3,) for loss in bench.disk.order if not isinstance(loss, str))
    )
    told = [one for one in bench.disk.committed if any(reading[0] == 3 and reading[2] >= 0x8000_0000 for reading in one[0])]
    gone = next(at for at, one in enumerate(bench.disk.order) if not isinstance(one, str) and one.cause == "not-subscribed")
    lists = bench.disk.order[:gone].count("list") + bench.disk.order[:gone].count("resumed")
    assert bench.disk.committed.index(told[0]) < lists, "the list with the last word of the node comes before the gap"
    await eventually(lambda: any(finding.code == "node-unusable" and finding.tags == (3,) for finding in bench.disk.findings))
    bench.plc.restore("t3")
    await bench.make(2)
    await eventually(
        lambda: (
            bench.disk.readings[-1][2] < 0x8000_0000 and any(f.severity == "info" for f in bench.disk.findings if f.code == "node-unusable")
        )
    )
    await bench.caught_up()


@pytest.mark.urs("URS-DAQ-11")
async def test_another_type_is_told_until_the_server_sends_that_of_the_map_again_and_then_anew(bench: Bench) -> None:
    def told() -> list[str]:
        return [finding.severity for finding in bench.disk.findings if finding.code == "source-type-differs" and finding.tags == (3,)]

    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    for round_ in (1, 2):
        bench.plc.set_variant("t3", b"\x06\x07\x00\x00\x00", time.time_ns() // 100)  # an Int32
        await eventually(lambda number=round_: told() == ["warning", "info"] * (number - 1) + ["warning"])
        await bench.make(2)
        await eventually(lambda number=round_: told() == ["warning", "info"] * number)


@pytest.mark.bar("F22")
async def test_a_node_that_is_missing_at_a_reconnect_is_a_gap_of_its_own_until_it_is_back(bench: Bench) -> None:
    others = [f"t{i}" for i in range(20) if i != 3]
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    bench.cable.cut()
    bench.plc.drop_subscriptions()
    bench.plc.remove("t3")
    bench.cable.mend()
    await eventually(lambda: any(loss.cause == "not-subscribed" for loss in bench.disk.losses))
    known = len(bench.disk.readings)
    await bench.make(2, tags=others)
    await eventually(lambda: len({reading[0] for reading in bench.disk.readings[known:]}) == 19)
    assert [loss.tags for loss in bench.disk.losses if loss.cause == "not-subscribed"] == [(3,)]
    bench.plc.restore("t3")
    await bench.make(2)
    await bench.caught_up()


@pytest.mark.bar("F22")
@pytest.mark.faults
async def test_a_node_that_vanishes_in_mid_stream_is_taken_up_again(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    bench.plc.remove("t3")
    await eventually(lambda: any(reading[0] == 3 and reading[2] == 0x80340000 for reading in bench.disk.readings))
    bench.plc.restore("t3")
    await bench.make(1, tags=["t3"])
    await bench.caught_up()


@pytest.mark.bar("F23")
async def test_small_limits_of_a_server_are_kept(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=300) as bench:
        bench.plc.switches.limits = {"items": 37, "read": 11}
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert len({reading[0] for reading in bench.disk.readings}) == 300


@pytest.mark.bar("F23")
@pytest.mark.faults
async def test_a_limit_that_the_server_hides_is_found_by_halving(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=300) as bench:
        await bench.make()
        bench.plc.switches.limits = {"items": 37, "read": 11}  # enforced, but told as 10,000
        bench.run()
        await bench.caught_up()
        assert len({reading[0] for reading in bench.disk.readings}) == 300


async def test_a_lost_subscription_is_made_anew(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    bench.plc.drop_subscriptions()
    await eventually(lambda: bench.disk.connections > 1)
    await bench.make(3)
    await bench.caught_up()
    assert bench.failures


async def test_numbers_that_begin_anew_are_a_gap_and_not_silence(bench: Bench) -> None:
    """Of a server that took over from another one: its messages were taken for earlier ones, and dropped until they were as high."""
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5, every_s=0.07)
    await bench.caught_up()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    subscription.sequence = 1
    await bench.make(3, every_s=0.07)
    await bench.caught_up()
    assert [loss.cause for loss in bench.disk.losses] == ["message-lost"]
    assert bench.driver.counts["renumbered"] == 1
    assert bench.doubled() == 0
    assert bench.failures == []


async def test_a_server_that_seldom_says_that_it_is_there_is_told_of(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=1) as bench:
        bench.plc.switches.least_keep_alive = 100
        await bench.make()
        bench.run()
        await bench.caught_up()
        (finding,) = [one for one in bench.disk.findings if one.code == "publishing-revised"]
        assert (finding.severity, "every 5 s instead of 0.4 s" in finding.text) == ("warning", True)
