"""Leap seconds: announced by the daemon or by the table, handled as the configuration says, and servers that do not belong together."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import config
from config import examples
from config.grammars.time_server import host_of, smears
from gateway.clock import Clock, Limits
from gateway.clock.daemon_reading import Evidence
from gateway.clock.leap import DAY_NS, Announced, leap_extra_s, leap_table, mixed
from gateway.clock.sntp import CrossCheck
from simulators.ntp import NtpResponder

S = 10**9
MIDNIGHT = 1_798_761_600 * S  # 2027-01-01T00:00:00Z
LIST = f"#$ 3990000000\n#@ {MIDNIGHT // S + 2_208_988_800 + 10_000_000}\n3692217600 37\n{MIDNIGHT // S + 2_208_988_800} 38 # invented\n"


class Hands:
    """Clocks that a test sets."""

    def __init__(self, real: int) -> None:
        self.real, self.mono = real, 1000 * S

    def realtime_ns(self) -> int:
        return self.real

    def monotonic_ns(self) -> int:
        return self.mono

    boottime_ns = raw_ns = monotonic_ns

    def run(self, seconds: float) -> None:
        self.real, self.mono = self.real + int(seconds * S), self.mono + int(seconds * S)

    def tell(self, **more: Any) -> Evidence:
        given = {"at_ns": self.mono, "bound_s": 0.001, "updated_ns": self.mono, "update": self.real / S, "interval_s": 16.0, "rate": 0.0}
        return Evidence(**{"reader": "chrony", "synchronised": True, "reference": "a", **given, **more})


def clock_at(hands: Hands, **more: Any) -> tuple[Clock, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    clock = Clock(Limits(max_error_s=5.0, leap_mode=more.pop("mode", "unknown")), times=hands, **more)
    clock._on_event = events.append
    return clock, events


def bound_s(clock: Clock, hands: Hands, **more: Any) -> float:
    clock.take(hands.tell(**more))
    clock.look()
    found = clock.stamp().bound_s
    assert found is not None
    return round(found, 2)


@pytest.mark.urs("URS-TIME-10")
@pytest.mark.parametrize(
    ("mode", "day_before", "after", "updated"), [("unknown", 1.0, 1.0, 1.0), ("smear", 1.0, 1.0, 1.0), ("step", 0.0, 1.0, 0.0)]
)
def test_how_long_the_bound_is_widened_depends_on_the_mode(mode, day_before, after, updated):
    leap = Announced("insert", MIDNIGHT)
    update_s = MIDNIGHT / S - 50
    assert leap_extra_s(leap, MIDNIGHT - DAY_NS - S, mode, update_s) == 0.0
    assert leap_extra_s(leap, MIDNIGHT - 3600 * S, mode, update_s) == day_before
    assert leap_extra_s(leap, MIDNIGHT + 30 * S, mode, update_s) == after
    assert leap_extra_s(leap, MIDNIGHT + 60 * S, mode, MIDNIGHT / S + 40) == updated
    assert leap_extra_s(leap, MIDNIGHT + DAY_NS + S, mode, update_s) == 0.0


@pytest.mark.urs("URS-TIME-10")
def test_the_daemons_announcement_is_an_event_with_mode_and_instant():
    hands = Hands(MIDNIGHT - 3600 * S)
    clock, events = clock_at(hands, mode="slew")
    assert bound_s(clock, hands, leap="insert") == 0.0
    (told,) = [event for event in events if event["kind"] == "leap"]
    assert (told["leap"], told["by"], told["leap_mode"], told["instant"]) == ("insert", "chrony", "slew", "2027-01-01T00:00:00.000000Z")
    hands.run(3600)
    assert bound_s(clock, hands, update=MIDNIGHT / S - 20) == 1.0, "the daemon is slewing; it has not told us yet"
    hands.run(30)
    assert bound_s(clock, hands) == 0.0, "updated after the instant"


@pytest.mark.urs("URS-TIME-10")
@pytest.mark.parametrize(("mode", "kinds"), [("step", ["leap", "leap"]), ("slew", ["leap", "step"]), ("smear", ["leap", "step"])])
def test_a_second_set_back_at_the_instant_is_a_leap_only_where_steps_are_expected(mode, kinds):
    hands = Hands(MIDNIGHT - 5 * S)
    clock, events = clock_at(hands, mode=mode)
    bound_s(clock, hands, leap="insert")
    hands.run(6)
    hands.real -= S
    clock.look()
    assert [event["kind"] for event in events if event["kind"] in ("leap", "step")] == kinds


@pytest.mark.urs("URS-TIME-10")
def test_the_systems_table_announces_where_the_daemon_does_not(tmp_path):
    (tmp_path / "list").write_text(LIST)
    table = leap_table(tmp_path / "list")
    assert table is not None
    assert table.expires_ns == MIDNIGHT + 10_000_000 * S
    hands = Hands(MIDNIGHT - DAY_NS - 60 * S)
    clock, events = clock_at(hands, mode="smear", leaps=table)
    assert bound_s(clock, hands) == 0.0
    hands.run(120)
    assert bound_s(clock, hands) == 1.0
    assert events[-1]["by"] == f"table {tmp_path}/list"
    assert leap_table(tmp_path / "absent") is None
    (tmp_path / "list").write_text("nothing")
    assert leap_table(tmp_path / "list") is None


def test_this_systems_own_table_can_be_read():
    table = leap_table()
    if table is None:
        pytest.skip("this system has no leap-seconds.list")
    assert table.near(1_483_228_800 * S).kind == "insert", "the one at the end of 2016"


@pytest.mark.urs("URS-TIME-10")
async def test_servers_that_announce_and_servers_that_do_not_are_an_alarm():
    """Simulated servers, asked over the network: two announce the leap second, one smears it and says nothing."""
    servers = [NtpResponder(), NtpResponder(), NtpResponder()]
    for server in servers:
        await server.start()
        server.faults.leap = 1
    names = [f"127.0.0.1:{server.port}" for server in servers]
    check = CrossCheck(names)
    hands = Hands(MIDNIGHT - 3600 * S)
    clock, events = clock_at(hands, cross=check)
    try:
        for leaps in ((1, 1, 1), (1, 1, 0), (1, 1, 0), (0, 0, 0)):
            for server, leap in zip(servers, leaps, strict=True):
                server.faults.leap = leap
            await check.ask_all()
            assert check.silent == {}
            hands.mono = max(one.at_ns for one in check._answers.values())  # the answers' instants are of the real clock
            clock.look()
    finally:
        for server in servers:
            await server.stop()
    found = [event for event in events if event["type"] == "finding" and event["code"] == "clock-leap-mixed"]
    assert [one["severity"] for one in found] == ["alarm", "info"]
    assert found[0]["text"].endswith(f"{names[2]} do not: smeared and unsmeared servers are mixed")


@pytest.mark.urs("URS-TIME-10")
def test_indicators_that_belong_together_or_do_not():
    before = MIDNIGHT - 3600 * S
    assert mixed({"a": "insert", "b": "insert"}, before, "step") == ""
    assert mixed({"a": "insert", "b": "none"}, MIDNIGHT - 20 * DAY_NS, "step") == "", "too early to say"
    assert mixed({"a": "none", "b": "none"}, before, "step") == ""
    assert "says that the servers smear it" in mixed({"a": "insert"}, before, "smear")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    examples.copy("granulation-2", tmp_path / "line")
    return tmp_path / "line"


def told(folder: Path, clock: str, environment: str = "development") -> list[str]:
    """Problems of [clock] with this content, as a person reads them."""
    file = folder / "line.toml"
    text = file.read_text("utf-8").replace('environment = "development"', f'environment = "{environment}"')
    assert f'environment = "{environment}"' in text
    if "[clock]\n" in text:
        text = text.replace("[clock]\n", f"[clock]\n{clock}\n", 1)
    else:
        text = text.replace("[buffer]\n", f"[clock]\n{clock}\n\n[buffer]\n", 1)
    file.write_text(text, "utf-8")
    _, problems = config.read(folder)
    line = 1 + text.splitlines().index(clock.splitlines()[-1])
    return [f"{one.severity}: {one.message}" for one in problems if one.file == "line.toml" and one.line == line]


PLAIN = '"ntp1.example", "ntp2.example", "ntp3.example"'


@pytest.mark.urs("URS-TIME-10")
@pytest.mark.parametrize(
    ("clock", "environment", "found"),
    [
        (f"servers = [{PLAIN}]", "production", []),
        (
            f'servers = [{PLAIN}, "time.google.com"]',
            "development",
            ["warning: `time.google.com` smears a leap second and `ntp1.example` does not"],
        ),
        (f'servers = [{PLAIN}, "time.google.com:123"]', "production", ["error: `time.google.com:123` smears a leap second and `ntp1"]),
        (
            f'smeared_servers = ["ntp2.example"]\nservers = [{PLAIN}]',
            "production",
            ["error: `ntp2.example` smears a leap second and `ntp1"],
        ),
        (f"smeared_servers = [{PLAIN}]\nservers = [{PLAIN}]", "production", []),
        (f'servers = [{PLAIN}]\nleap_mode = "smear"', "production", ["error: leap_mode smear, but `ntp1.example` is not known to smear"]),
        (
            f'smeared_servers = [{PLAIN}]\nservers = [{PLAIN}]\nleap_mode = "step"',
            "production",
            ["error: leap_mode step, but `ntp1.example` smears"],
        ),
        (
            f'servers = [{PLAIN}]\nsmeared_servers = ["ntp4.example"]',
            "development",
            ["error: `ntp4.example` is none of servers, did you mean"],
        ),
        (
            'servers = ["a b", "ntp:123:4", "[::1", "x:0"]',
            "development",
            ["error: `a b` is no", "error: `ntp:123:4`", "error: `[::1`", "error: `x:0`"],
        ),
        ('servers = ["a", "b", "a"]', "development", ["error: `a` stands twice"]),
        ('servers = ["a"]', "development", ["warning: 1 of at least 3 servers"]),
        ('leap_mode = "skip"', "development", ["error: "]),
    ],
)
def test_the_clock_section_is_checked(folder, clock, environment, found):
    problems = told(folder, clock, environment)
    assert len(problems) == len(found), problems
    for problem, beginning in zip(sorted(problems), sorted(found), strict=True):
        assert problem.startswith(beginning)


def test_hosts():
    assert [host_of(text) for text in ("a", "a:1", "[::1]:9", "::1", "fe80::1", "10.0.0.1:123")] == [
        "a",
        "a",
        "::1",
        "::1",
        "fe80::1",
        "10.0.0.1",
    ]
    assert [smears(text) for text in ("time2.google.com", "169.254.169.123:123", "time.google.com.example")] == [True, True, False]


async def test_no_cross_check_no_alarm():
    hands = Hands(MIDNIGHT)
    clock, events = clock_at(hands)
    clock.look()
    await asyncio.sleep(0)
    assert all(event["type"] == "clock" for event in events)
