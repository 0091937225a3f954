"""Of the operational qualification's judges: each state of the clock must be told and marked, and alarm in time; each can fail."""

from typing import Any

import pytest
from kit.judged import T0, S, verdicts

from gateway.entries.ticks import rfc3339
from gateway.validation.oq import time_daemon
from gateway.validation.oq.case import Told
from gateway.validation.oq.time_daemon import Reached, Span

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-TIME-05")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [(Reached("holdover", True), "passed"), (Reached("holdover", False), "failed"), (Reached("synchronised", True), "failed")],
)
def test_each_state_must_come_and_be_told(found: Reached, verdict: str) -> None:
    told = Told()
    time_daemon.judge_state(told, "silence", found, "holdover")
    assert verdicts(told) == [verdict]


CLOCK = {"status": "synchronised", "bound_s": 0.01, "reference": {"detail": "127.0.0.2 stratum 1 falseticker"}}


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [
        (CLOCK, "passed"),
        (None, "failed"),
        ({**CLOCK, "bound_s": 5.1}, "failed"),
        ({**CLOCK, "bound_s": None}, "failed"),
        ({**CLOCK, "status": "unknown"}, "failed"),
    ],
)
def test_a_false_server_must_be_named_and_not_followed(clock: dict[str, Any] | None, verdict: str) -> None:
    told = Told()
    time_daemon.judge_false(told, clock)
    assert verdicts(told) == [verdict]


def entry(at_s: float, event: dict[str, Any] | None = None, status: str = "synchronised") -> dict[str, Any]:
    what: dict[str, Any] = {"readings": []} if event is None else {"event": event}
    return {"time": rfc3339(T0 + round(at_s * S)), "clock": {"status": status}, **what}


def clock(kind: str, was: str | None = None) -> dict[str, Any]:
    return {"type": "clock", "kind": kind, "was": was}


def test_a_state_of_before_another_is_not_told_by_what_came_then() -> None:
    told = [clock("synchronised"), clock("holdover"), clock("step")]
    assert time_daemon.newest(told) == "holdover"
    assert time_daemon.newest([]) is None


def test_entries_belong_to_the_state_that_was_told_last() -> None:
    record = [entry(0), entry(1, clock("holdover")), entry(2, status="holdover"), entry(3, clock("unknown")), entry(4, status="unknown")]
    assert time_daemon.spans(record) == [Span("holdover", ["holdover"]), Span("unknown", ["unknown"])]


@pytest.mark.parametrize(
    ("holdover", "unknown", "verdict"),
    [
        (["holdover"], ["unknown"], ["passed", "passed"]),
        (["holdover", "synchronised"], ["unknown"], ["failed", "passed"]),
        (["unsynchronised"], ["holdover"], ["passed", "failed"]),
        ([], ["unknown"], ["not checked", "passed"]),
    ],
)
def test_a_time_must_not_say_that_it_is_surer_than_the_clock(holdover: list[str], unknown: list[str], verdict: list[str]) -> None:
    told = Told()
    time_daemon.judge_marks(told, [Span("holdover", holdover), Span("unknown", unknown)])
    assert verdicts(told) == verdict


ALARM, OVER = {"type": "finding", "code": "clock-unverified"}, clock("recovered")


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ([entry(0, clock("unknown", "holdover")), entry(16, ALARM), entry(60, OVER)], "passed"),
        ([entry(0, clock("unknown", "holdover")), entry(31, ALARM), entry(60, OVER)], "failed"),
        ([entry(0, clock("unknown", "holdover")), entry(16, ALARM)], "failed"),
        ([entry(0, clock("unknown", "holdover")), entry(60, OVER)], "failed"),
        ([entry(0, OVER), entry(1, clock("unknown", "holdover")), entry(16, ALARM)], "failed"),
        ([entry(0, clock("unknown")), entry(16, ALARM), entry(60, OVER)], "not checked"),
    ],
)
def test_a_clock_that_nobody_vouches_for_must_alarm_in_time(record: list[dict[str, Any]], verdict: str) -> None:
    told = Told()
    time_daemon.judge_alarm(told, record)
    assert verdicts(told) == [verdict]


def test_a_machine_without_chrony_does_not_play_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(time_daemon, "MORE_PLACES", ())
    assert time_daemon.programs() is None
