"""What a server may answer to PublishRequests, and refuse of subscriptions and filters, beside values (Part 4, 5.12, 5.13)."""

from dataclasses import replace
from pathlib import Path

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.opcua import OpcUaDriver

BAD_TIMEOUT, GOOD_SUBSCRIPTION_TRANSFERRED = 0x800A0000, 0x002D0000


@pytest.mark.parametrize("status", [BAD_TIMEOUT, GOOD_SUBSCRIPTION_TRANSFERRED])
async def test_a_subscription_that_the_server_ends_is_made_anew(bench: Bench, status: int) -> None:
    """It tells so in its last message, also where another session has taken it and the status is Good."""
    bench.run()
    await eventually(lambda: bench.disk.connections)
    await bench.make(2)
    await bench.caught_up()
    await bench.plc.subscriptions.end(status)
    await eventually(lambda: bench.disk.connections > 1)
    await bench.make(3)
    await bench.caught_up()
    assert any("has ended" in failure for failure in bench.failures), bench.failures


async def test_fewer_requests_than_are_sent_are_enough(bench: Bench) -> None:
    bench.plc.switches.most_publish_requests = 2
    bench.run()
    await bench.caught_up()
    await bench.make(5)
    await bench.caught_up()
    assert not bench.missing()
    assert bench.failures == []


async def test_a_request_that_timed_out_at_the_server_is_sent_again(bench: Bench) -> None:
    bench.run()
    await bench.caught_up()
    bench.plc.switches.publish_faults = [BAD_TIMEOUT] * 10
    await bench.make(5)
    await bench.caught_up()
    assert bench.plc.switches.publish_faults == []
    assert bench.failures == []


@pytest.mark.urs("URS-DAQ-06")
async def test_a_message_that_comes_twice_is_taken_once(bench: Bench) -> None:
    bench.run()
    await bench.caught_up()
    (subscription,) = bench.plc.subscriptions.subscriptions.values()
    bench.plc.switches.twice_messages = set(range(subscription.sequence, subscription.sequence + 100))
    await bench.make(5, every_s=0.07)
    await bench.caught_up()
    assert bench.driver.counts["messages-seen-before"] >= 1
    assert (bench.doubled(), bench.missing(), bench.failures) == (0, {}, [])


async def test_a_server_that_takes_no_filter_is_read_without(tmp_path: Path) -> None:
    async with Bench(tmp_path, count=3) as bench:
        bench.plc.switches.filters = False
        bench.tags[1] = replace(bench.tags[1], deadband="0.5")
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert bench.disk.losses == []
