"""Ticks and their RFC 3339 form are the same instant, to the last 100 ns."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.ticks import from_datetime, from_rfc3339, rfc3339

FIRST, LAST = from_datetime(datetime(1, 1, 1, tzinfo=UTC)), from_datetime(datetime(9999, 12, 31, tzinfo=UTC))


@pytest.mark.urs("URS-TIME-01")
@given(st.integers(FIRST, LAST))
def test_reading_undoes_writing(ticks: int) -> None:
    text = rfc3339(ticks)

    assert text.endswith("Z")
    assert from_rfc3339(text) == ticks


@given(st.datetimes(min_value=datetime(1601, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_a_datetime_is_written_as_python_writes_it(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)

    assert rfc3339(from_datetime(aware)) == aware.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-22T08:15:02.4+01:00", "2026-11-22T07:15:02.400000Z"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.9999999Z"),
        ("2026-11-22T07:15:02Z", "2026-11-22T07:15:02.000000Z"),
    ],
)
def test_any_offset_and_any_decimals_are_read(text: str, same: str) -> None:
    assert rfc3339(from_rfc3339(text)) == same


@pytest.mark.parametrize("text", ["2026-11-22T07:15:02", "yesterday", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_rfc3339(text)


def test_an_instant_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="no date"):
        rfc3339(10**20)
