"""Times that people type: what names one instant is taken, and what names two, or none, is never guessed."""

from zoneinfo import ZoneInfo

import pytest

from gateway.cli.tables import instant
from gateway.entries.ticks import from_rfc3339

pytestmark = pytest.mark.urs("URS-TIME-11")
PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("2026-12-01T08:15", "2026-12-01T07:15:00Z"),
        ("2026-12-01T07:15:00Z", "2026-12-01T07:15:00Z"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00Z"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z"),
        ("2026-12-01", "2026-11-30T23:00:00Z"),
    ],
)
def test_a_time_that_names_one_instant_is_that(text: str, is_: str) -> None:
    assert instant(text, PARIS) == from_rfc3339(is_)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "2026-10-25T02:30",
            "happened twice in Europe/Paris: write it with its offset, 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
        ),
        ("2026-03-29T02:30", "2026-03-29T02:30 never was in Europe/Paris"),
        ("2026-12-01", "2026-12-01 is a day: write the time with it, as 2026-12-01T08:15"),
        ("yesterday", "yesterday is no time"),
    ],
)
def test_a_time_that_names_none_or_two_is_refused_with_what_to_write(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("+", r"\+")):
        instant(text, PARIS, with_time=True)
