"""A new subscription publishes quickly until it has sent its first values, then as its tags' rate wants (Part 4, 5.13.1.2, 5.13.3)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit.opcua_bench import Bench
from kit.processes import eventually

from drivers.opcua import OpcUaDriver
from drivers.opcua.subscription import upkeep
from drivers.opcua.subscription.publishing import FIRST_PUBLISH_MS

LONG_MS = 10_000
"""A publishing interval that no test waits for: what came within it came by the quick one."""


def slow(path: Path) -> Bench:
    """A bench whose tags are to be published seldom."""
    return Bench(path, count=3, settings={"publish_ms": LONG_MS, "keep_alive_s": 20.0, "request_timeout_s": 10.0})


def interval_ms(bench: Bench) -> float | None:
    """The publishing interval of the one subscription that the server has now; None while it has none."""
    found: list[Any] = list(bench.plc.subscriptions.subscriptions.values())
    assert len(found) <= 1
    return found[0].data.RevisedPublishingInterval if found else None


@pytest.mark.urs("URS-DAQ-06")
async def test_first_values_do_not_wait_for_the_publishing_interval_and_nothing_is_lost_or_doubled_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 3_600.0)
    async with slow(tmp_path) as bench:
        await bench.make()
        bench.run()
        await bench.caught_up()
        assert interval_ms(bench) == FIRST_PUBLISH_MS
        assert [told["kind"] for readings, told in bench.disk.committed if readings] == ["initial"]
        await bench.make(3)
        await bench.caught_up()
        assert (bench.missing(), bench.doubled(), bench.unordered(), bench.wrong_values()) == ({}, 0, 0, 0)
        assert (bench.disk.losses, bench.failures) == ([], [])


@pytest.mark.urs("URS-DAQ-06")
async def test_afterwards_it_publishes_as_its_rate_wants_and_what_changed_meanwhile_comes_whole(tmp_path: Path) -> None:
    """What the server makes of its parameters is told of these, not of those of the first half second."""
    async with slow(tmp_path) as bench:
        bench.plc.switches.most_lifetime_s = 3.0  # of the quick interval less than outage_tolerance_s; at least three of the long one
        await bench.make()
        bench.run()
        await eventually(lambda: interval_ms(bench) == LONG_MS)
        assert len(bench.disk.readings) == 3, "by the quick interval: the long one has not ended yet"
        (subscription,) = bench.plc.subscriptions.subscriptions.values()
        await bench.make(4)
        subscription.waiting = True  # the end of a publishing cycle
        subscription.publish_now()
        await bench.caught_up()
        assert (bench.missing(), bench.doubled(), bench.unordered(), bench.wrong_values()) == ({}, 0, 0, 0)
        assert "lifetime-revised" not in bench.disk.codes()
        assert (bench.disk.losses, bench.failures) == ([], [])


async def test_one_that_was_taken_over_in_its_hurry_after_a_kill_publishes_as_its_rate_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 3_600.0)
    async with slow(tmp_path) as bench:
        await bench.make()
        bench.run()
        await bench.caught_up()
        await bench.kill()
        assert interval_ms(bench) == FIRST_PUBLISH_MS
        monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 0.0)
        await bench.make(3)
        bench.run()
        await bench.caught_up()
        await eventually(lambda: interval_ms(bench) == LONG_MS)
        assert (bench.missing(), bench.doubled()) == ({}, 0)


async def test_a_server_that_refuses_another_interval_is_read_as_it_publishes_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 0.0)
    async with slow(tmp_path) as bench:
        bench.plc.switches.modifies = False
        await bench.make()
        bench.run()
        await eventually(lambda: "publishing-revised" in bench.disk.codes())
        (finding,) = [one for one in bench.disk.findings if one.code == "publishing-revised"]
        assert (finding.severity, "every 50 ms instead of 10000 ms" in finding.text) == ("info", True)
        await bench.make(3)
        await bench.caught_up()
        assert (interval_ms(bench), bench.missing(), bench.doubled(), bench.failures) == (FIRST_PUBLISH_MS, {}, 0, [])


async def revised(bench: Bench) -> tuple[str, tuple[int, ...]]:
    """What is told of an interval that is not that of the map, and of which tags."""
    await eventually(lambda: any("server publishes every" in one.text for one in bench.disk.findings))
    (finding,) = [one for one in bench.disk.findings if "server publishes every" in one.text]
    return finding.text, tuple(finding.tags or ())


@pytest.mark.urs("URS-DAQ-06")
async def test_rates_that_share_a_subscription_are_told_its_interval_all_of_them(tmp_path: Path) -> None:
    """The server publishes too seldom for the quick rate, and often enough for the one that joined it."""
    async with Bench(tmp_path, count=3, rate_ms=200, settings={"publish_ms": None, "keep_alive_s": 2.0}) as bench:
        bench.tags[2] = replace(bench.tags[2], rate_ms=1000)
        bench.driver = OpcUaDriver(bench.source, bench.tags)
        bench.plc.switches.most_subscriptions, bench.plc.switches.least_publish_ms = 1, 600.0
        await bench.make()
        bench.run()
        assert await revised(bench) == ("the server publishes every 600 ms instead of 100 ms", (0, 1, 2))
        await bench.caught_up()
        assert (interval_ms(bench), bench.missing(), bench.doubled(), bench.failures) == (600.0, {}, 0, [])


@pytest.mark.urs("URS-DAQ-06")
async def test_one_that_has_to_send_smaller_messages_in_its_hurry_is_told_its_interval_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 3_600.0)
    async with Bench(tmp_path, count=40, settings={"publish_ms": 100, "keep_alive_s": 2.0}) as bench:
        bench.plc.switches.publish_bytes, bench.plc.switches.least_publish_ms = 700, 600.0
        await bench.make()
        bench.run()
        await eventually(lambda: bench.driver.counts.get("smaller-messages"))
        assert "publishing-revised" not in bench.disk.codes(), "its hurry is not over"
        bench.cable.reset()
        monkeypatch.setattr(upkeep, "USUAL_PACE_AFTER_S", 0.0)
        assert await revised(bench) == ("the server publishes every 600 ms instead of 100 ms", tuple(range(40)))
