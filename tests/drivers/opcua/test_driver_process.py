"""The OPC UA driver against a simulated PLC over a cable that can be cut: what it hands over equals what the PLC did, or a gap says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench, Disk, secured
from kit.processes import eventually

from config import Tag
from drivers.contract import DriverError
from drivers.opcua import OpcUaDriver
from drivers.opcua.session import certs
from simulators.opcua_plc import OpcUaPlc

ROUNDS = [2, pytest.param(15, marks=pytest.mark.faults)]
ONCE = [1, pytest.param(2, marks=pytest.mark.faults)]  # once in every run, once more where the figures are printed


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path) as made:
        await made.make()
        yield made


TABLE: list[Callable[[str, str], None]] = []


@pytest.fixture(autouse=True)
def _table(figures: Callable[[str, str], None]) -> None:
    TABLE[:] = [figures]


def say(name: str, **told: Any) -> None:
    """One row of the table of figures."""
    case, _, what = name.partition(" ")
    TABLE[0](case, f"{what}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in told.items()))


def lost(bench: Bench) -> int:
    """Values that the PLC had and the disk has not."""
    return sum(map(len, bench.missing().values()))


@pytest.mark.urs("URS-DAQ-01")
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
    say("F15 link cut", cuts=rounds, lost=lost(bench), doubled=bench.doubled())


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
    say("F16 lost responses, then cut", times=rounds, lost=lost(bench), doubled=bench.doubled(), republished=republished)


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
    say("F17 half-open link", keep_alive_s=0.4, found_after_s=round(found_s, 2))


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
    say("F26 stalled store", stalled_lists=lists, early_acknowledgements=len(early), held_back=len(held))
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


@pytest.mark.parametrize("round_", ONCE)
async def test_a_refused_transfer_ends_in_a_gap_and_first_values(bench: Bench, round_: int) -> None:
    bench.plc.switches.transfer = False
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    await bench.caught_up()
    await bench.kill()
    before = len(bench.disk.committed)
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
    say("F18 transfer refused after a restart", lost=len(gone), outside_the_gap=sum(ticks >= first_new for ticks in gone))
    assert max(gone) < first_new, "what is missing lies in the gap, between the last before and the first after"


@pytest.mark.parametrize("round_", ONCE)
async def test_a_restarted_server_with_moved_namespaces_gives_no_wrong_tag(bench: Bench, round_: int) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(5)
    await bench.caught_up()
    await bench.plc.stop()
    bench.plc.extra_namespaces = ["urn:example:inserted"]
    await bench.plc.start()
    await bench.make(5)
    await bench.caught_up()
    assert bench.wrong_values() == 0
    assert bench.doubled() == 0
    say("F19 server restart, index moved", wrong_tags=bench.wrong_values(), values=len(bench.disk.readings))


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
        say("F20 queue overflow", lost=len(gone[1]), covered=covered, gaps=len(overflows))
        assert covered == len(gone[1])


async def test_a_queue_of_one_is_an_alarm(bench: Bench) -> None:
    bench.plc.switches.most_queue = 1
    bench.run()
    await eventually(lambda: "queue-revised" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "queue-revised"]
    assert finding.severity == "alarm"
    assert len(finding.tags) == 20


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
    say("F21 sequence gap", messages_missing=2, republished=bench.driver.counts["republished"], lost=lost(bench))


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
    say("F22 node back", taken_up_after_s=round(asyncio.get_running_loop().time() - begun, 2), retry_every_s=0.3)


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


async def test_small_limits_of_a_server_are_kept(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=300) as bench:
        bench.plc.switches.limits = {"items": 37, "read": 11}
        await bench.plc.stop()
        await bench.plc.start()
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert len({reading[0] for reading in bench.disk.readings}) == 300


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
        say("F24 channel renewal", renewals=bench.driver.counts["channel-renewals"], refused=1, lost=lost(bench))


async def test_types_arrays_and_texts(tmp_path: Path) -> None:
    kinds = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bcd16"]
    async with Bench(tmp_path, count=len(kinds), types=kinds) as bench:
        extra = [Tag(tag=f"t{len(kinds) + i}", source="plc", address=f"plc:s=Array#[{i}]", type="int16") for i in range(3)]
        bench.tags += extra
        await bench.plc.stop()
        bench.plc = OpcUaPlc(bench.source.model_copy(update={"endpoint": bench.plc.url}), bench.tags, bench.log)
        await bench.plc.start()
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.make(3, every_s=0.1)
        await bench.caught_up()
        last = {tag: value for tag, value, _, _, _ in bench.disk.readings}
        assert last[0] in (True, False)
        assert {last[i] for i in (*range(1, 11), 12, 13, 14, 15)} == {bench.number}
        assert last[11] == f"v{bench.number}"
        assert bench.disk.codes() == ["server-identity"]


@pytest.mark.urs("URS-DAQ-10")
async def test_another_type_than_the_map_says_is_a_finding(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    from simulators.opcua_plc import encode

    bench.plc.set_variant("t4", encode.variant(6, 42), time.time_ns() // 100)
    await eventually(lambda: "source-type-differs" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "source-type-differs"]
    assert finding.tags == (4,)
    assert finding.evidence["source_type"] == "Int32"


@pytest.mark.urs("URS-DAQ-05")
async def test_bad_and_uncertain_keep_their_whole_status(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    for status in (0x40930000, 0x808C0000, 0x80060000, 0x00960000):
        bench.plc.set_status("t2", status, time.time_ns() // 100)
        await eventually(lambda status=status: any(r[0] == 2 and r[2] == status for r in bench.disk.readings))
    got = {r[2]: r[1] for r in bench.disk.readings if r[0] == 2}
    assert got[0x808C0000] is None
    assert got[0x80060000] is None
    assert got[0x40930000] is not None


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
        say("F15 resets", resets=25, lost=sum(map(len, bench.missing().values())), doubled=bench.doubled(), made=bench.number * 200)
        assert not bench.missing()
        assert (bench.doubled(), bench.unordered()) == (0, 0)


@pytest.mark.faults
async def test_f23_five_thousand_tags_within_small_limits(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=5000, rate_ms=500) as bench:
        bench.plc.switches.limits = {"items": 100, "read": 100}
        await bench.make()
        bench.run()
        await bench.caught_up(60)
        say("F23 limits", tags=5000, confirmed=len({r[0] for r in bench.disk.readings}), per_call=100)


SECURED = [
    ("Basic256Sha256", "SignAndEncrypt"),
    pytest.param("Basic256Sha256", "Sign", marks=pytest.mark.faults),
    pytest.param("Aes128_Sha256_RsaOaep", "SignAndEncrypt", marks=pytest.mark.faults),
    pytest.param("Aes256_Sha256_RsaPss", "Sign", marks=pytest.mark.faults),
    ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
]


@pytest.mark.urs("URS-SEC-03")
@pytest.mark.parametrize(("policy", "mode"), SECURED)
async def test_each_policy_carries_values_once_the_server_is_trusted(tmp_path: Path, policy: str, mode: str) -> None:
    async with secured(tmp_path, policy, mode) as bench:
        await bench.make()
        bench.run()
        await eventually(lambda: bench.failures)
        assert "is not trusted" in bench.failures[0]
        (refused,) = [one for one in certs.show(tmp_path / "certs") if one.kind == "rejected"]
        assert refused.sha256[:16] in bench.failures[0], "the message names what to type"
        certs.trust(tmp_path / "certs", refused.sha256[:16])
        await eventually(lambda: bench.disk.connections)
        await bench.make(3)
        bench.cable.reset()
        await bench.make(3)
        await bench.kill()
        await bench.make(3)
        bench.run()
        await bench.make(3)
        await bench.caught_up()
        assert not bench.missing()
        assert bench.doubled() == 0


async def test_a_server_without_the_configured_policy_is_refused(tmp_path: Path) -> None:
    certs.make(tmp_path / "certs")
    async with Bench(tmp_path, settings={"security": {"policy": "Aes256_Sha256_RsaPss"}}) as bench:
        bench.run()
        await eventually(lambda: bench.failures)
        assert "does not offer Aes256_Sha256_RsaPss/SignAndEncrypt, only None/None" in bench.failures[0]
        assert bench.disk.connections == 0


@pytest.mark.parametrize(("password", "works"), [("right", True), ("wrong", False)])
async def test_user_name_and_password(tmp_path: Path, password: str, works: bool) -> None:
    (tmp_path / "credentials").mkdir()
    secret = tmp_path / "credentials" / "plc"
    secret.write_text(password)
    secret.chmod(0o600)
    users: dict[str, Any] = {"settings": {"user": "ebr", "password": {"credential": "plc"}}, "users": {"ebr": "right"}}
    async with secured(tmp_path, **users) as bench:
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections or bench.failures)
        assert bool(bench.disk.connections) is works
        assert works or "BadUserAccessDenied" in bench.failures[0]


@pytest.mark.faults
async def test_a_swapped_certificate_is_refused_at_reconnect(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        certs.trust(tmp_path / "certs", str(tmp_path / "server" / "own" / "cert.der"))
        await bench.make()
        bench.run()
        await eventually(lambda: bench.disk.connections)
        await bench.plc.stop()
        other = certs.make(tmp_path / "other", "urn:example:simulated-plc")
        bench.plc._certificate = (Path(other.file), tmp_path / "other" / "own" / "key.pem")
        await bench.plc.start()
        await eventually(lambda: any("is not trusted" in one for one in bench.failures))
        assert bench.disk.connections == 1


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


@pytest.mark.parametrize("page", [0, 7])
async def test_browse_gives_rows_that_the_map_accepts_in_the_same_order(tmp_path: Path, page: int) -> None:
    kinds = ["float64", "bool", "int16", "string"]
    async with Bench(tmp_path, count=40, types=kinds) as bench:
        bench.plc.switches.browse_page = page
        bench.plc.switches.limits = {"browse": 5, "read": 13}
        seen: list[str] = []
        first = await bench.driver.browse(progress=seen.append)
        again = await bench.driver.browse()
        assert first.rows == again.rows
        assert sorted(row["address"] for row in first.rows) == sorted(tag.address for tag in bench.tags)
        assert {row["address"]: row["type"] for row in first.rows} == {tag.address: tag.type for tag in bench.tags}
        assert seen[-1] == "40 of 40 variables described"
        assert len((await bench.driver.browse(known={tag.address for tag in bench.tags[:30]})).rows) == 10
        assert len((await bench.driver.browse(under="DB", match="*t1?")).rows) == 10
        with pytest.raises(DriverError, match="no 'Nowhere'"):
            await bench.driver.browse(under="Nowhere")


async def test_probe_tells_what_differs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=5) as bench:
        await bench.make()
        bench.plc.remove("t3")
        wrong = [*bench.tags[:4], Tag(tag="t4", source="plc", address=bench.tags[4].address, type="int16")]
        driver = OpcUaDriver(bench.source, wrong)
        moving = asyncio.create_task(bench.make(60, every_s=0.05, tags=["t0"]))
        report = await driver.probe(1.5)
        await moving
        told = {tag.tag: tag for tag in report.tags}
        assert told["t0"].changes_per_s > 2
        assert told["t0"].source_time == "moving"
        assert told["t3"].state == "BadNodeIdUnknown"
        assert told["t4"].problems == ["type: the server's is Double, the map says int16"]
        assert report.problems == 2
        assert any(line.startswith("!! t4") for line in report.lines())
        assert not bench.plc.subscriptions.subscriptions


@pytest.mark.urs("URS-DAQ-10")
async def test_changed_semantics_are_an_alarm(bench: Bench) -> None:
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.caught_up()
    bench.plc.set_status("t5", 0x4000, time.time_ns() // 1000 * 10)
    await eventually(lambda: "semantics-changed" in bench.disk.codes())
    (finding,) = [one for one in bench.disk.findings if one.code == "semantics-changed"]
    assert (finding.tags, finding.severity) == ((5,), "alarm")
    assert any(reading[0] == 5 and reading[2] == 0x4000 for reading in bench.disk.readings)
