"""Of the operational qualification's judges: a leap second must be told as one, and no time near it be surer than it is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit.judged import verdicts

from gateway.entries.ticks import TICKS_PER_S
from gateway.validation.oq import leap
from gateway.validation.oq.case import Told
from gateway.validation.oq.leap import Near

pytestmark = pytest.mark.urs("URS-VAL-04", "URS-TIME-10")
INSTANT = datetime(2027, 1, 1, tzinfo=UTC)
AT = int(INSTANT.timestamp()) * TICKS_PER_S
ANNOUNCED = {"kind": "leap", "announced": True, "leap": "insert", "instant": "2027-01-01T00:00:00Z", "by": "chrony", "leap_mode": "unknown"}
LEAP: dict[str, Any] = {"kind": "leap", "step_s": -1.0}


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (ANNOUNCED, "passed"),
        (None, "failed"),
        (ANNOUNCED | {"leap": "delete"}, "failed"),
        (ANNOUNCED | {"instant": "2027-02-01T00:00:00Z"}, "failed"),
    ],
)
def test_the_announcement_must_be_told_with_its_instant(event: dict[str, Any] | None, verdict: str) -> None:
    told = Told()
    leap.judge_announced(told, event, INSTANT)
    assert verdicts(told) == [verdict]
    assert leap.announced([LEAP, ANNOUNCED]) == ANNOUNCED


@pytest.mark.parametrize(
    ("events", "verdict"),
    [([LEAP], "passed"), ([], "failed"), ([{"kind": "step", "step_s": -1.0}], "failed"), ([LEAP, LEAP | {"kind": "step"}], "failed")],
)
def test_the_repeated_second_must_be_a_leap_and_no_step(events: list[dict[str, Any]], verdict: str) -> None:
    told = Told()
    found = next((one for one in events if one["kind"] == "leap"), None)
    leap.judge_leap(told, found, events)
    assert verdicts(told) == [verdict]


def entry(number: int, off_s: float, status: str = "unsynchronised", bound_s: float | None = 1.1, readings: bool = True) -> Near:
    return Near((1, number), AT + round(off_s * TICKS_PER_S), status, bound_s, readings)


RIGHT = [entry(1, -5.0), entry(2, -0.4), entry(3, 0.2), entry(4, -0.3), entry(5, 1.5)]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (RIGHT, ["passed"] * 4),
        ([*RIGHT[:3], *RIGHT[4:]], ["failed", "passed", "passed", "passed"]),
        ([*RIGHT, entry(6, -3.0)], ["passed", "failed", "passed", "passed"]),
        ([*RIGHT[:2], entry(3, 0.2, "synchronised", 0.01), *RIGHT[3:]], ["passed", "passed", "failed", "passed"]),
        ([*RIGHT[:2], entry(3, 0.2, "synchronised", 1.2), *RIGHT[3:]], ["passed"] * 4),
        ([one._replace(readings=False) for one in RIGHT], ["passed", "passed", "passed", "failed"]),
        ([], ["not checked", "not checked", "not checked", "failed"]),
    ],
)
def test_the_order_stays_and_no_time_about_it_is_surer_than_a_second(found: list[Near], verdict: list[str]) -> None:
    told = Told()
    leap.judge_entries(told, found, INSTANT, repeated=True)
    assert verdicts(told) == verdict


def test_the_end_of_a_month_is_the_next_one() -> None:
    assert leap.end_of_month(datetime(2026, 12, 1, 4, tzinfo=UTC)) == INSTANT
    assert leap.end_of_month(INSTANT - timedelta(seconds=30)) == INSTANT
    assert leap.end_of_month(INSTANT) == datetime(2027, 2, 1, tzinfo=UTC)


def test_how_the_clock_came_near_to_the_instant_is_no_leap() -> None:
    assert leap.stepped([{"kind": "step", "step_s": 7_000.0}, LEAP, ANNOUNCED]) == [LEAP]
