"""The table of states, and what a clock says about everything that happens to it."""

import asyncio
import json
import socket
import struct
from typing import Any, Self

import jsonschema
import pytest
from kit.clock_hands import NOW, Hands, S, started
from kit.processes import DEADLINE_S
from kit.repository import SCHEMAS

from config.sections import ClockSection
from gateway.clock import Clock, Limits, SourceClock, system_clock
from gateway.clock.clock_set_timer import ClockSetWatch
from gateway.clock.daemon_reading import Evidence
from gateway.clock.judge import judge
from gateway.clock.kernel import kernel_clock
from gateway.clock.leap import NO_LEAP, Announced, leap_extra_s, leap_instant_ns
from gateway.clock.report import plot, report, text


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.mark.urs("URS-TIME-05")
@pytest.mark.parametrize(
    ("evidence", "age_s", "more", "status"),
    [
        (None, 0, {}, "unknown"),
        ({}, 0, {}, "synchronised"),
        ({}, 59, {}, "synchronised"),
        ({}, 61, {}, "unknown"),
        ({"updated_ns": -127 * S}, 0, {}, "synchronised"),
        ({"updated_ns": -129 * S}, 0, {}, "holdover"),
        ({"updated_ns": -129 * S, "interval_s": 64.0}, 0, {}, "synchronised"),
        ({"updated_ns": -513 * S, "interval_s": 64.0}, 0, {}, "holdover"),
        ({"updated_ns": -25 * 3600 * S}, 0, {}, "unsynchronised"),
        ({"updated_ns": -129 * S, "bound_s": 1.01}, 0, {}, "unsynchronised"),
        ({"bound_s": 0.9999}, 10, {}, "unsynchronised"),
        ({"bound_s": 0.5}, 0, {"extra_s": 0.6}, "unsynchronised"),
        ({"synchronised": False}, 0, {}, "unsynchronised"),
        ({"local": True}, 0, {}, "unsynchronised"),
        ({}, 0, {"stepped": True}, "unsynchronised"),
        ({"updated_ns": 3600 * S}, 0, {}, "unsynchronised"),
        ({}, 0, {"realtime_ns": 0}, "unsynchronised"),
        ({}, 0, {"realtime_ns": 946_684_800 * S}, "unsynchronised"),
        ({}, 0, {"contradiction": "three servers disagree"}, "unknown"),
        ({"updated_ns": None}, 30, {}, "synchronised"),
    ],
)
def test_the_table_of_states(evidence, age_s, more, status):
    start_ns = 10**6 * S
    told = None
    if evidence is not None:
        given = {"reader": "chrony", "at_ns": start_ns, "synchronised": True, "bound_s": 0.001, "interval_s": 16.0, **evidence}
        offset = given.pop("updated_ns", 0)
        told = Evidence(**given, updated_ns=None if offset is None else start_ns + offset)
    verdict = judge(told, start_ns + age_s * S, **{"realtime_ns": NOW, "limits": Limits(), **more})
    assert verdict.status == status
    assert verdict.reason


@pytest.mark.urs("URS-TIME-03", "URS-TIME-04")
def test_the_bound_grows_at_the_declared_drift(hands):
    clock, _ = started(hands, drift_ppm=50.0)
    assert clock.stamp().bound_s == pytest.approx(0.001)
    for _ in range(10):
        hands.run(1)
        clock.look()
    assert clock.stamp().bound_s == pytest.approx(0.001 + 50e-6 * 10)


@pytest.mark.bar("F39", "S18")
@pytest.mark.urs("URS-TIME-07", "URS-TIME-08")
@pytest.mark.parametrize("size_s", [-3600, -1, 1, 3600, 0.101, -0.101])
def test_a_step_is_an_event_and_is_trusted_only_after_an_update(hands, size_s):
    clock, events = started(hands)
    before = clock.stamp()
    hands.real += int(size_s * S)
    unseen = clock.stamp()
    assert (unseen.status, unseen.bound_s) == ("unsynchronised", None), "even before anybody has looked"
    assert unseen.ticks == before.ticks, "still by the old anchor"
    clock.look()
    assert [event["kind"] for event in events] == ["synchronised", "step", "unsynchronised"]
    step = events[1]
    assert step["step_s"] == pytest.approx(size_s, abs=1e-3)
    assert step["last_seq"] == 4711
    assert step["before"]["monotonic_s"] == 1000.0
    clock.take(hands.tell(update=NOW / S - 5))
    clock.look()
    assert clock.stamp().status == "unsynchronised", "the daemon's word of before says nothing"
    hands.run(16)
    clock.take(hands.tell(offset_s=0.002))
    clock.look()
    assert clock.stamp().status == "synchronised"
    recovered = events[-1]
    assert recovered["kind"] == "recovered"
    assert recovered["correction_s"]["end"] == 0.002
    assert recovered["since"]["monotonic_s"] == 1000.0


def _published_clock_members() -> set[str]:
    return set(json.loads((SCHEMAS / "event-clock.json").read_text())["properties"])


@pytest.mark.urs("URS-VAL-01", "URS-TIME-07")
def test_everything_that_a_clock_event_says_is_in_its_published_schema(hands):
    clock, events = started(hands)
    hands.real += 3 * S
    clock.look()
    hands.sleep += 61 * S
    hands.real += 61 * S
    clock.look()
    for _ in range(3):
        hands.run(20)
        clock.take(hands.tell())
        clock.look()

    events = [event for event in events if event["type"] == "clock"]
    assert {event["kind"] for event in events} >= {"step", "suspend", "unsynchronised", "recovered"}
    assert {name for event in events for name in event} <= _published_clock_members()
    judge = jsonschema.Draft202012Validator(json.loads((SCHEMAS / "event-clock.json").read_text()))
    for event in events:
        judge.validate(event)


def test_a_step_below_the_threshold_widens_the_bound_until_an_update(hands):
    clock, events = started(hands)
    hands.real += int(0.09 * S)
    assert clock.stamp().bound_s == pytest.approx(0.091)
    clock.look()
    assert clock.stamp().bound_s == pytest.approx(0.091)
    clock.take(hands.tell(update=NOW / S))
    clock.look()
    assert clock.stamp().bound_s == pytest.approx(0.091), "an answer of the daemon without a new update proves nothing"
    hands.run(16)
    clock.take(hands.tell())
    clock.look()
    assert clock.stamp().bound_s == pytest.approx(0.001)
    assert [event["kind"] for event in events] == ["synchronised"]


def test_a_slew_widens_the_bound(hands):
    """A daemon that slews by 1/12 s per second because of a measurement that we have not heard of yet."""
    clock, _ = started(hands)
    hands.real, hands.mono, hands.raw = hands.real + int(1.0833 * S), hands.mono + int(1.0833 * S), hands.raw + S
    assert clock.stamp().bound_s == pytest.approx(0.001 + 0.0833, abs=1e-3)


@pytest.mark.bar("F39")
def test_a_suspend_is_an_event(hands):
    clock, events = started(hands)
    hands.real, hands.sleep = hands.real + 3600 * S, hands.sleep + 3600 * S
    assert clock.stamp().status == "unsynchronised"
    clock.look()
    assert [event["kind"] for event in events] == ["synchronised", "suspend", "unsynchronised"]
    assert events[1]["duration_s"] == 3600.0


def test_a_process_that_was_stopped_does_not_trust_its_old_verdict(hands):
    """SIGSTOP for 60 s. The first stamp afterwards, before anybody has looked."""
    clock, _ = started(hands)
    hands.run(60)
    assert clock.stamp().status == "unsynchronised"
    clock.take(hands.tell())
    clock.look()
    assert clock.stamp().status == "synchronised"


@pytest.mark.urs("URS-TIME-06")
def test_an_unverified_time_is_an_alarm_within_thirty_seconds_once(hands):
    clock, events = started(hands)
    clock.take(hands.tell(synchronised=False))
    alarmed_after_s: list[float] = []
    for second in range(1, 61):
        hands.run(1)
        clock.look()
        if not alarmed_after_s and events[-1]["type"] == "finding":
            alarmed_after_s.append(second)
    alarms = [event for event in events if event["type"] == "finding"]
    assert [alarm["code"] for alarm in alarms] == ["clock-unverified"]
    assert alarms[0]["severity"] == "alarm"
    assert alarmed_after_s[0] < 30


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-05", "URS-TIME-06")
def test_a_day_without_servers(hands):
    """The servers are gone for more than 24 h: holdover, then unsynchronised, and stamps go on all the time."""
    clock, events = started(hands, max_error_s=10.0)
    updated_ns, update = hands.mono, hands.real / S
    stamps = 0
    for _ in range(25 * 3600 // 5):
        hands.run(5)
        age_s = (hands.mono - updated_ns) / S
        clock.take(hands.tell(updated_ns=updated_ns, update=update, bound_s=0.001 + 50e-6 * age_s))
        clock.look()
        stamps += clock.stamp().ticks == hands.real // 100
    assert stamps == 25 * 3600 // 5
    assert [event["kind"] for event in events if event["type"] == "clock"] == ["synchronised", "holdover", "unsynchronised"]
    assert "24.0 h" in next(event["reason"] for event in events if event.get("kind") == "unsynchronised")


@pytest.mark.bar("F39")
@pytest.mark.urs("URS-TIME-10")
def test_an_announced_leap_second_widens_the_bound_and_its_step_is_no_step(hands):
    midnight = leap_instant_ns(NOW)
    hands.real = midnight - 30 * S
    clock, events = started(hands, max_error_s=5.0)
    clock.take(hands.tell(leap="insert"))
    clock.look()
    assert events[-1]["kind"] == "leap"
    assert clock.stamp().bound_s == pytest.approx(1.001, abs=1e-4)
    hands.run(31)
    hands.real -= S
    clock.take(hands.tell())
    clock.look()
    assert events[-1]["kind"] == "leap"
    assert events[-1]["step_s"] == pytest.approx(-1.0)
    assert clock.stamp().status == "synchronised"


def test_leap_instants():
    assert leap_instant_ns(1_798_761_599 * S) == 1_798_761_600 * S  # 2026-12-31T23:59:59Z -> 2027-01-01
    assert leap_extra_s(NO_LEAP, 0) == 0.0
    assert leap_extra_s(Announced("insert", 100_000 * S), 13_601 * S) == 1.0
    assert leap_extra_s(Announced("insert", 100_000 * S), 13_599 * S) == 0.0


def test_a_new_reference_is_an_event(hands):
    clock, events = started(hands)
    hands.run(8)
    clock.take(hands.tell(reference="b"))
    assert events[-1]["kind"] == "reference-change"
    assert events[-1]["was"]["name"] == "a"
    assert events[-1]["reference"]["name"] == "b"


async def test_the_systems_clock_has_a_state_from_the_first_stamp_on_and_says_it_once():
    clock = system_clock(ClockSection())
    assert clock.stamp().status == ("unsynchronised" if kernel_clock().unsynchronised else "synchronised")
    events: list[dict[str, Any]] = []
    told = asyncio.Event()

    def tell(event: dict[str, Any]) -> None:
        events.append(event)
        told.set()

    task = asyncio.create_task(clock.watch(tell))
    async with asyncio.timeout(DEADLINE_S):
        await told.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events[0]["kind"] == clock.stamp().status


@pytest.mark.urs("URS-TIME-13")
def test_the_report_shows_what_is_on_record(hands):
    clock, events = started(hands)
    entries: list[Any] = []

    def enter(event: dict[str, Any] | None) -> None:
        stamp = clock.stamp()
        whole = {"epoch": 1, "seq": len(entries) + 1, "time": f"2026-11-22T00:00:{len(entries) % 60:02d}.000000Z"}
        head = {"status": stamp.status, "bound_s": stamp.bound_s, "boot": stamp.boot, "monotonic_s": stamp.monotonic_s}
        entries.append({**whole, "clock": head, **({"event": event} if event else {})})

    for event in events:
        enter(event)
    clock._on_event = enter
    hands.real += 5 * S
    clock.look()
    for _ in range(3):
        hands.run(16)
        clock.take(hands.tell())
        clock.look()
        enter(None)
    made = report(entries)
    now = {"clock": clock.describe(), "sources": [{"name": "plc", "clock": SourceClock(2.0, 2.0).describe("device")}]}
    told = text(made, now)
    for width in (80, 120):
        assert max(map(len, text(made, now, width=width).splitlines())) <= width
    assert made.statuses == {"synchronised": 5, "unsynchronised": 4}, "the alarm is an entry, too"
    assert [event["kind"] for event in made.events] == ["synchronised", "step", "unsynchronised", "synchronised", "recovered"]
    for word in (
        "+5.000 s, last entry before it 4711",
        "Where stamps are taken",
        "Clock.stamp",
        "stratum 0",
        "state  |",
        "tzdata",
        "recovered",
    ):
        assert word in told
    assert max(map(len, plot(made.points))) < 100


def test_the_plot_hides_nothing_bad():
    points = [(f"t{number}", "synchronised", 0.0001) for number in range(10_000)]
    points[5_000] = ("t5000", "unsynchronised", None)
    rows = plot(points)
    assert "U" in rows[-2]
    assert all(row.count("#") == 1 for row in rows[:-2])
    assert report([]).as_json()["entries"] == 0
    assert "no entries" in text(report([]))


class Cancelled(ClockSetWatch):
    """The kernel's timer as it is when the clock was set: readable, and reading it fails. Here a connection that the other end reset."""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            self.theirs, _ = server.accept()
        ours.setblocking(False)
        self._fd = ours.detach()
        asyncio.get_running_loop().add_reader(self._fd, self._heard)
        return self

    armed = False

    def arm(self) -> bool:
        self.armed = True
        return True

    def cancel(self) -> None:
        """What the kernel does when somebody sets the clock."""
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.theirs.close()


@pytest.mark.urs("URS-TIME-07")
async def test_a_cancelled_timer_is_a_step_event_before_the_check_would_look(hands, monkeypatch):
    monkeypatch.setattr("gateway.clock.clock.CHECK_EVERY_S", 3600.0)
    events: list[dict[str, Any]] = []
    told = asyncio.Event()
    alarms: list[Cancelled] = []

    def alarm(wake: asyncio.Event) -> Cancelled:
        alarms.append(Cancelled(wake))
        return alarms[0]

    def tell(event: dict[str, Any]) -> None:
        events.append(event)
        if event["kind"] == "step":
            told.set()

    clock = Clock(Limits(), times=hands, alarm=alarm, last_seq=lambda: 4711)
    clock.take(hands.tell())
    watch = asyncio.create_task(clock.watch(tell))
    async with asyncio.timeout(DEADLINE_S):
        while not (alarms and alarms[0].armed):  # noqa: ASYNC110 - arming has no event of its own
            await asyncio.sleep(0)
    hands.real += 3600 * S
    alarms[0].cancel()
    async with asyncio.timeout(DEADLINE_S):
        await told.wait()
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    assert events[-2]["step_s"] == pytest.approx(3600, abs=1e-3)
    assert events[-2]["last_seq"] == 4711


async def test_a_late_look_is_a_stopped_process_once_it_is_watched(hands):
    clock, events = started(hands)
    hands.run(60)
    clock.look()
    assert [event["kind"] for event in events] == ["synchronised"], "nobody had promised to look"
    clock._watched = True
    hands.run(61)
    clock.look()
    (suspend,) = [event for event in events if event["kind"] == "suspend"]
    assert (suspend["of"], suspend["duration_s"]) == ("process", 61.0)


def test_a_suspended_machine_and_a_stopped_process_at_once(hands):
    clock, events = started(hands)
    clock._watched = True
    hands.real, hands.sleep = hands.real + 3600 * S, hands.sleep + 3600 * S
    hands.run(30)
    clock.look()
    assert [(event["of"], event["duration_s"]) for event in events if event["kind"] == "suspend"] == [
        ("process", 30.0),
        ("machine", 3600.0),
    ]
    assert clock.stamp().status == "unsynchronised"
