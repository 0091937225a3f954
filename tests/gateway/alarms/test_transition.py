"""Phases of a transition as a record states them: each that its days lie in, and days of none as such."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.sections import Transition
from gateway.alarms.transition import day_of, stated
from gateway.entries.ticks import from_rfc3339

TOLD = Transition.model_validate(
    {
        "sunset": "2027-03-31",
        "phases": [
            {"name": "parallel", "from": "2026-12-01", "until": "2027-01-31", "legacy": "leading"},
            {"name": "primary", "from": "2027-02-01", "until": "2027-03-31", "legacy": "following"},
        ],
    }
)
SUNSET = "2027-03-31"


def names(first: str, last: str) -> list[tuple[Any, ...]]:
    found = stated(TOLD, date.fromisoformat(first), date.fromisoformat(last))
    assert {one["sunset"] for one in found} == {SUNSET}
    return [(one["name"], one["from"], one["until"], one["legacy"], one["record_of_reference"]) for one in found]


PARALLEL = ("parallel", "2026-12-01", "2027-01-31", "leading", "legacy")
PRIMARY = ("primary", "2027-02-01", "2027-03-31", "following", "gateway")
BEFORE = (None, None, "2026-11-30", None, None)
AFTER = (None, "2027-04-01", None, None, None)


@pytest.mark.urs("URS-OBS-06")
@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2026-12-01", "2026-12-01", [PARALLEL]),
        ("2027-01-31", "2027-01-31", [PARALLEL]),
        ("2027-01-31", "2027-02-01", [PARALLEL, PRIMARY]),
        ("2026-11-30", "2026-11-30", [BEFORE]),
        ("2026-11-30", "2026-12-01", [BEFORE, PARALLEL]),
        ("2027-03-31", "2027-04-02", [PRIMARY, AFTER]),
        ("2027-04-01", "2027-04-02", [AFTER]),
        ("2026-01-01", "2028-01-01", [BEFORE, PARALLEL, PRIMARY, AFTER]),
    ],
)
def test_each_phase_that_days_lie_in_is_stated_and_days_of_none_are_not_passed_over(first: str, last: str, expected: list[Any]) -> None:
    assert names(first, last) == expected


def test_the_last_phase_may_be_without_an_end() -> None:
    told = TOLD.model_copy(update={"phases": (TOLD.phases[0].model_copy(update={"until": None}),)})
    assert [one["name"] for one in stated(told, date(2030, 1, 1), date(2030, 1, 1))] == ["parallel"]


def test_a_day_is_one_of_the_lines_wall_clock() -> None:
    assert day_of(from_rfc3339("2026-11-30T23:30:00Z"), ZoneInfo("Europe/Paris")) == date(2026, 12, 1)
    assert day_of(from_rfc3339("2026-12-01T04:30:00Z"), ZoneInfo("America/New_York")) == date(2026, 11, 30)
