"""The OPC UA driver against a simulated PLC over a cable that can be cut: what it hands over equals what the PLC did, or a gap says so."""

import asyncio
import time
from pathlib import Path

import pytest
from kit.opcua_bench import ONCE, ROUNDS, Bench, Disk, lost, say
from kit.processes import eventually

from drivers.opcua import OpcUaDriver


@pytest.mark.urs("URS-DAQ-01", "URS-DAQ-07")
async def test_every_value_arrives_once_in_order_with_both_times(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(20)
    await bench.caught_up()
    assert not bench.missing()
    assert (bench.doubled(), bench.unordered(), bench.wrong_values()) == (0, 0, 0)
    kinds = [told["kind"] for _, told in bench.disk.committed]
    assert kinds[0] == "initial"
    assert set(kinds[1:]) == {"change"}
    assert all(server >= source for _, _, _, source, server in bench.disk.readings)
    assert bench.disk.losses == []


@pytest.mark.bar("F15")
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_cut_link_is_resumed_in_the_same_session_without_loss(bench: Bench, rounds: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    for _ in range(rounds):
        await bench.make(5)
        bench.cable.cut()
        await bench.make(10)
        bench.cable.mend()
        await eventually(lambda known=bench.disk.connections: bench.disk.connections > known)
    await bench.make(3)
    await bench.caught_up()
    assert not bench.missing()
    assert (bench.doubled(), bench.unordered()) == (0, 0)
    resumed = [told["alive"] for _, told in bench.disk.committed if told["resumed"]]
    assert len(resumed) == rounds
    assert all(len(alive) == 20 for alive in resumed)
    say("link cut", cuts=rounds, lost=lost(bench), doubled=bench.doubled())


@pytest.mark.bar("F16")
@pytest.mark.parametrize("rounds", ROUNDS)
async def test_answers_lost_on_the_way_are_republished(bench: Bench, rounds: int) -> None:
    bench.run()
    for number in range(rounds):
        await eventually(lambda known=number: bench.disk.connections > known)
        await bench.make(3)
        bench.cable.lose_responses()
        await bench.make(10)
        bench.cable.reset()
        bench.cable.mend()
    await bench.make(5)
    await bench.caught_up()
    assert not bench.missing()
    assert (bench.doubled(), bench.unordered()) == (0, 0)
    assert bench.driver.counts["republished"] > 0
    republished = bench.driver.counts["republished"]
    say("lost responses, then cut", times=rounds, lost=lost(bench), doubled=bench.doubled(), republished=republished)


@pytest.mark.bar("F17")
@pytest.mark.faults
async def test_a_silent_link_is_found_within_one_and_a_half_keep_alives(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(3)
    begun = asyncio.get_running_loop().time()
    bench.cable.blackhole()
    await eventually(lambda: bench.failures)
    assert "1.5 keep-alives" in bench.failures[0]
    found_s = bench.detected_s[0] - begun
    bench.cable.mend()
    await bench.make(5)
    await bench.caught_up()
    assert not bench.missing()
    say("half-open link", keep_alive_s=0.4, found_after_s=round(found_s, 2))


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_killed_gateway_goes_on_where_its_journal_ended(bench: Bench, rounds: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    for _ in range(rounds):
        await bench.make(5)
        bench.disk.stalled = True
        await bench.make(3)
        await bench.kill()
        await bench.make(5)
        bench.run()
        await eventually(lambda: bench.disk.connections)
    await bench.make(3)
    await bench.caught_up()
    assert not bench.missing()
    assert (bench.doubled(), bench.unordered()) == (0, 0)


@pytest.mark.bar("F26")
@pytest.mark.parametrize("lists", [10, pytest.param(100, marks=pytest.mark.faults)])
async def test_nothing_is_acknowledged_before_it_is_on_disk(bench: Bench, lists: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(3)
    await bench.caught_up()
    bench.disk.stalled = True
    await bench.make(lists, every_s=0.06)
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    committed = bench.disk.watermark["slots"]["0"][1] - 1
    held = set(subscription.sent)
    early = set(range(committed + 1, subscription.sequence)) - held
    say("stalled store", stalled_lists=lists, early_acknowledgements=len(early), held_back=len(held))
    assert not early
    assert len(held) >= 5
    bench.disk.stalled = False
    bench.disk.commit()
    await bench.make(5, every_s=0.06)
    await bench.caught_up()
    await eventually(lambda: len(subscription.sent) <= 2)
    assert not bench.missing()
    assert bench.failures == []


async def test_a_stop_and_start_in_order_loses_nothing(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(3)
    await bench.caught_up()
    await bench.stop()
    await bench.make(5)
    bench.disk = Disk(bench.disk)
    bench.driver = OpcUaDriver(bench.source, bench.tags)
    bench.run()
    await bench.make(3)
    await bench.caught_up()
    assert not bench.missing()
    assert bench.doubled() == 0


@pytest.mark.bar("F18")
async def test_a_server_that_refuses_to_transfer_keeps_the_queue_while_the_session_lives(bench: Bench) -> None:
    bench.plc.switches.transfer = False
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    bench.cable.cut()
    await bench.make(10)
    bench.cable.mend()
    await eventually(lambda: bench.disk.connections > 1)
    await bench.make(3)
    await bench.caught_up()
    assert not bench.missing()
    assert bench.doubled() == 0
    assert len([told for _, told in bench.disk.committed if told["resumed"]]) == 1


@pytest.mark.bar("F18")
@pytest.mark.parametrize("round_", ONCE)
async def test_a_refused_transfer_ends_in_a_gap_and_first_values(bench: Bench, round_: int) -> None:
    bench.plc.switches.transfer = False
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    await bench.caught_up()
    await bench.kill()
    before, last_before = len(bench.disk.committed), max(reading[3] or 0 for reading in bench.disk.readings)
    await bench.make(5)
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    await bench.caught_up()
    after = bench.disk.committed[before:]
    assert after[0][1]["kind"] == "initial"
    assert not any(told["resumed"] for _, told in after)
    assert bench.doubled() == 0
    gone = {ticks for values in bench.missing().values() for ticks, _ in values}
    first_new = min(source for readings, _ in after for _, _, _, source, _ in readings)
    assert gone
    say("transfer refused after a restart", lost=len(gone), outside_the_gap=sum(ticks >= first_new for ticks in gone))
    assert last_before < min(gone)
    assert max(gone) < first_new, "what is missing lies in the gap, between the last before and the first after"


@pytest.mark.bar("F19")
@pytest.mark.parametrize("round_", ONCE)
async def test_a_restarted_server_with_moved_namespaces_gives_no_wrong_tag(bench: Bench, round_: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    await bench.caught_up()
    before = len(bench.disk.committed)
    await bench.plc.stop()
    bench.plc.extra_namespaces = ["urn:example:inserted"]
    await bench.plc.start()
    await bench.make(5)
    await bench.caught_up()
    assert [loss.cause for loss in bench.disk.losses[:1]] == ["link-lost"]
    after = [told for _, told in bench.disk.committed[before:]]
    assert after[0]["kind"] == "initial"
    assert not any(told["resumed"] for told in after), "the gap stands: nothing of the subscription before is gone on with"
    assert bench.wrong_values() == 0
    assert bench.doubled() == 0
    say("server restart, index moved", wrong_tags=bench.wrong_values(), values=len(bench.disk.readings))


@pytest.mark.bar("F24")
@pytest.mark.faults
async def test_a_channel_is_renewed_and_a_refused_renewal_loses_nothing(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=5, settings={"channel_lifetime_s": 1.0}) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(20, every_s=0.1)
        bench.plc.switches.renewals_refused = 1
        await bench.make(20, every_s=0.1)
        await bench.caught_up()
        assert bench.plc.switches.renewals_refused == 0
        assert not bench.missing()
        assert bench.doubled() == 0
        renewals = bench.driver.counts["channel-renewals"]
        assert renewals > 2, "else nothing was refused in the middle of anything"
        say("channel renewal", renewals=renewals, refused=1, lost=lost(bench))


async def test_a_foreign_subscription_is_never_taken_for_ours(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    await bench.kill()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    for item in subscription.items.values():
        item.handle -= 1  # as if another client's subscription had got the number
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(3)
    await bench.caught_up()
    assert bench.wrong_values() == 0


async def test_a_server_that_never_answers_is_given_up_in_time(bench: Bench) -> None:
    bench.cable.silent()
    bench.run()
    await eventually(lambda: bench.failures)
    bench.cable.mend()
    await bench.caught_up()


@pytest.mark.parametrize("seed", [1])
async def test_dribbled_and_corrupted_bytes_never_become_values(bench: Bench, seed: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    bench.cable.down.dribble = True
    await bench.make(5)
    bench.cable.down.dribble = False
    for at in (3, 60, 200):
        bench.cable.down.truncate_after = at
        await bench.make(5, every_s=0.05)
        await eventually(lambda known=bench.disk.connections: bench.disk.connections >= known)
    await bench.make(3)
    await bench.caught_up()
    assert bench.wrong_values() == 0
    assert not bench.missing()
    assert bench.doubled() == 0


@pytest.mark.bar("F15")
@pytest.mark.faults
async def test_f15_resets_at_random_for_a_while(tmp_path: Path) -> None:
    import random

    chance = random.Random(15)
    async with Bench(tmp_path, count=200) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        for _ in range(25):
            await bench.make(chance.randint(5, 40))
            bench.cable.reset()
        await bench.make(5)
        await bench.caught_up()
        say("resets", resets=25, lost=sum(map(len, bench.missing().values())), doubled=bench.doubled(), made=bench.number * 200)
        assert not bench.missing()
        assert (bench.doubled(), bench.unordered()) == (0, 0)


@pytest.mark.bar("F23")
@pytest.mark.faults
async def test_f23_five_thousand_tags_within_small_limits(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=5000, rate_ms=500) as bench:
        bench.plc.switches.limits = {"items": 100, "read": 100}
        await bench.make()
        bench.run()
        await bench.caught_up(60)
        say("limits", tags=5000, confirmed=len({r[0] for r in bench.disk.readings}), per_call=100)


@pytest.mark.urs("URS-DAQ-10")
async def test_changed_semantics_are_an_alarm(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    bench.plc.set_status("t5", 0x4000, time.time_ns() // 1000 * 10)
    await eventually(lambda: "semantics-changed" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "semantics-changed"]
    assert (finding.tags, finding.severity) == ((5,), "alarm")
    assert "does not declare anything (the map names neither unit nor range); its readings are Uncertain" in finding.text
    await bench.make(5)
    await bench.caught_up()
    statuses = [reading[2] for reading in bench.disk.readings if reading[0] == 5]
    assert set(statuses) == {0, 0x420F4000}
    assert set(statuses[statuses.index(0x420F4000) :]) == {0x420F4000}, "what nobody can prove stays in doubt"
