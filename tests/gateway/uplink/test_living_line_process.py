"""A line that lives: new entries come all the time, and nothing of what is lost on the way may hide behind them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.mosquitto_site import SITE, Site
from kit.processes import eventually
from kit.uplink_bench import BOTH, GATEWAY, Bench, Hands

from gateway.uplink import Forwarder
from gateway.uplink.patience import ALARM_AFTER_S

WAYS = pytest.mark.parametrize(("kind", "version"), [("mqtt", "5"), ("mqtt", "3.1.1"), ("https", "5")])


def uplink(bench: Bench, kind: str, version: str, **options: Any) -> Any:
    old = {"endpoint": f"mqtt://127.0.0.1:{bench.broker.port_v4}"} if version == "3.1.1" else {}
    return bench.uplink(kind, version=version, **{**old, **options})


def living(append: Callable[[int], None], state: Callable[[], Any]) -> Callable[[], Any]:
    """The state, and with every look at it one more entry: hundreds in each resend time."""

    def look() -> Any:
        append(1)
        return state()

    return look


def through(bench: Bench) -> int:
    return bench.ebr.store.streams().get((GATEWAY, bench.journal.last[0]), (0, ""))[0]


@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
@WAYS
async def test_one_entry_that_the_receiver_lost_is_sent_again_while_new_ones_flow(bench: Bench, kind: str, version: str) -> None:
    bench.script.lose_once = {40, 90}
    await bench.start(kind)
    forward = bench.forward(uplink(bench, kind, version))
    bench.run(forward)
    await eventually(living(bench.append, lambda: through(bench) > 100))
    assert forward.status.resends >= 1, "one is enough where both were lost within a window"
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()
    assert bench.script.lose_once == set()


@pytest.mark.bar("F36")
@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
@WAYS
async def test_a_receiver_that_does_not_get_on_is_an_alarm_though_it_takes_and_answers_everything(
    bench: Bench, kind: str, version: str
) -> None:
    bench.script.keep_through = 1
    await bench.start(kind)
    forward = bench.forward(uplink(bench, kind, version))
    bench.run(forward)
    await eventually(living(bench.append, lambda: "uplink-no-receipts" in bench.codes()))
    (text,) = {finding["text"] for finding in bench.findings if finding["code"] == "uplink-no-receipts"}
    assert "none beyond entry 1" in text
    assert forward.status.state == "stalled"
    assert bench.journal.cursor(kind)[1] == 1
    bench.script.keep_through = None
    await eventually(living(bench.append, lambda: forward.status.state == "forwarding"))
    assert "uplink-no-receipts-over" in bench.codes()


@pytest.mark.bar("F33")
@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
@WAYS
async def test_within_a_minute_somebody_is_told_however_long_a_resend_time_is(bench: Bench, kind: str, version: str) -> None:
    bench.script.keep_through = 1
    clock = Hands()
    await bench.start(kind)
    forward = bench.forward(uplink(bench, kind, version, resend_after_s=3_600.0), clock)
    bench.run(forward)
    # The journal's cursor moves a moment before the window does, and it is the window's progress that the clock is started by.
    await eventually(living(bench.append, lambda: forward._window.confirmed[1] == 1))
    forward.check_standstill()
    clock.now_s += ALARM_AFTER_S - 1
    sent = forward.status.sent_entries
    await eventually(living(bench.append, lambda: forward.status.sent_entries > sent + 20))
    forward.check_standstill()
    assert bench.codes() == set()
    clock.now_s += 2
    forward.check_standstill()
    forward.check_standstill()
    assert [finding["code"] for finding in bench.findings] == ["uplink-no-receipts"], "told once"
    assert forward.status.state == "stalled"


@pytest.mark.urs("URS-UPL-03")
@pytest.mark.parametrize(("state", "told"), [("refused", set()), ("unreachable", {"uplink-unreachable"})])
async def test_what_was_sent_a_moment_ago_is_no_silence_of_the_receiver_however_long_nothing_could_be_sent(
    bench: Bench, state: Any, told: set[str]
) -> None:
    clock = Hands()
    forward = bench.forward(bench.uplink("https"), clock)
    bench.append(5)
    forward.check_standstill()
    forward.status.state = state
    for _ in range(3):
        clock.now_s += ALARM_AFTER_S + 1
        forward.check_standstill()
    forward._still.connected()
    forward.status.state = "forwarding"
    forward.check_standstill()
    assert bench.codes() == told
    clock.now_s += ALARM_AFTER_S + 1
    forward.check_standstill()
    assert bench.codes() == {*told, "uplink-no-receipts"}


async def test_an_outage_is_in_the_record_once_with_its_end(bench: Bench) -> None:
    clock = Hands()
    bench.append(5)
    forward = bench.forward(bench.uplink("https"), clock)
    run = bench.run(forward)
    await eventually(lambda: forward.status.state == "unreachable")
    forward.check_standstill()
    for _ in range(3):
        clock.now_s += ALARM_AFTER_S + 1
        bench.append(1)
        forward.check_standstill()
    (alarm,) = bench.findings
    assert (alarm["code"], alarm["severity"]) == ("uplink-unreachable", "alarm")
    assert "nothing listens there" in alarm["text"]
    await bench.stop(run)
    await bench.start("https")
    bench.run(forward)
    # The journal's cursor moves a moment before the end is said.
    await eventually(lambda: bench.delivered("https") and "uplink-unreachable-over" in bench.codes())
    assert bench.codes() == {"uplink-unreachable", "uplink-unreachable-over"}


@pytest.mark.urs("URS-UPL-02")
@BOTH
async def test_an_ebr_that_loses_one_of_a_hundred_gets_everything_once(bench: Bench, kind: str) -> None:
    bench.script.lose_entries, bench.script.seed = 0.01, 3
    await bench.start(kind)
    forward = bench.forward(bench.uplink(kind))
    bench.run(forward)
    await eventually(living(bench.append, lambda: bench.journal.last[1] >= 400))
    await eventually(lambda: bench.delivered(kind))
    assert bench.stored_alike()


@pytest.mark.bar("F34")
@SITE
@pytest.mark.urs("URS-UPL-02", "URS-UPL-03")
async def test_a_broker_that_drops_at_its_queue_limit_costs_one_resend(tmp_path: Path) -> None:
    async with Site.open(tmp_path) as site:
        await site.broker("allow_anonymous true", "max_queued_messages 10")
        ebr = await site.receive(session_s=600)
        forward = site.forward()
        site.run(forward)
        site.append(20)
        await eventually(site.delivered)
        await site.stop(ebr)  # its session stays: the broker keeps ten messages for it, and throws away the others
        sent = forward.status.sent_entries
        await eventually(living(site.append, lambda: forward.status.sent_entries > sent + 100))
        assert site.dropped() > 0
        await site.receive(session_s=600)
        await eventually(living(site.append, lambda: forward.status.state == "forwarding" and site.through() > sent + 100))
        await eventually(site.delivered)
        assert site.stored_alike()


@pytest.mark.bar("F33")
@SITE
@pytest.mark.urs("URS-UPL-03", "URS-BUF-06")
@pytest.mark.parametrize("swallowed", ["entries", "receipts"])
@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_an_access_list_that_swallows_is_an_alarm_and_loses_nothing(tmp_path: Path, swallowed: str, version: str) -> None:
    """MQTT 3.1.1 acknowledges what it throws away; MQTT 5 says so for what is published, and says nothing of what may not be read."""
    async with Site.open(tmp_path) as site:
        rules = {"entries": "topic read ebr/#\ntopic write ebr/+/+/online\n", "receipts": "topic write ebr/#\ntopic read ebr/+/+/entries\n"}
        (site.folder / "acl").write_text(rules[swallowed])
        await site.broker("allow_anonymous true", f"acl_file {site.folder / 'acl'}")
        await site.receive()
        forward: Forwarder = site.forward(version=version)
        site.run(forward)
        refused = swallowed == "entries" and version == "5"
        code = "uplink-credentials" if refused else "uplink-no-receipts"
        await eventually(living(site.append, lambda: code in {finding["code"] for finding in site.findings}))
        assert site.journal.cursor("ebr") == (0, 0)
        # Whoever is refused tries again, and says so again.
        await eventually(lambda: forward.status.state == ("refused" if refused else "stalled"))
        site.kill()
        await eventually(lambda: forward.status.state == "unreachable")
        await site.broker("allow_anonymous true")
        await eventually(site.delivered)
        assert site.stored_alike()
