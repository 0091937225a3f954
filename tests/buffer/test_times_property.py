"""Ticks and their RFC 3339 form are the same instant, to the last 100 ns."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buffer.times import EARLIEST, LATEST, TICKS_PER_S, from_rfc3339, of_entry, rfc3339
from drivers.local_time import ticks_of

RFC_3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T([0-9]{2}):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|([+-])([0-9]{2}):([0-9]{2}))")
"""date-time of RFC 3339, 5.6, with capital letters."""
VALID = "2026-11-22T07:15:02.400000Z", "2026-11-22T07:15:02Z", "2026-02-28T23:59:59.1234567+01:00", "1969-12-31T23:59:59.9-23:59"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def by_the_standard(text: str) -> int | None:
    """An independent reader: the grammar, and a datetime for what the grammar leaves open. None: it is no time."""
    match = RFC_3339.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[6] or 0) > 23 or int(match[7] or 0) > 59:
        return None
    try:
        local = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    if match[1][17:] in ("60", "61"):  # strptime takes leap seconds; nobody writes them into an entry
        return None
    ahead = timedelta(hours=int(match[6] or 0), minutes=int(match[7] or 0)) * (-1 if match[5] == "-" else 1)
    seconds = (local - EPOCH) // timedelta(seconds=1) - ahead // timedelta(seconds=1)
    return seconds * TICKS_PER_S + int((match[3] or "0").ljust(7, "0")[:7])


def read(text: str) -> int | None:
    try:
        return from_rfc3339(text)
    except ValueError:
        return None


@st.composite
def nearly_times(draw: st.DrawFn) -> str:
    """A time with a few characters changed, put in or taken out."""
    text = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text("0123456789-:.,TZW+ \u0663", max_size=2)) + text[at + draw(st.integers(0, 2)) :]
    return text


@given(nearly_times())
@example("2026-11-22T24:00:00Z")
@example("2026-11-22T07:15:60Z")
@example("2026-02-29T00:00:00Z")
@example("2026-11-22T07:15:02.\u0663Z")
def test_it_is_read_if_and_only_if_it_is_rfc_3339(text: str) -> None:
    assert read(text) == by_the_standard(text)
    assert read(text) == by_the_standard(text), "also a second time, from what was kept"


@pytest.mark.urs("URS-TIME-01")
@given(st.integers(EARLIEST, LATEST))
def test_reading_undoes_writing(ticks: int) -> None:
    text = rfc3339(ticks)

    assert text.endswith("Z")
    assert from_rfc3339(text) == ticks


@given(st.datetimes(min_value=datetime(1601, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_a_datetime_is_written_as_python_writes_it(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)

    assert rfc3339(ticks_of(aware)) == aware.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-22T02:45:02.123456789-04:30", "2026-11-22T07:15:02.1234567Z"),
        ("2026-11-22T08:15:02.4+01:00", "2026-11-22T07:15:02.400000Z"),
        ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.9999999Z"),
        ("2026-11-22T07:15:02Z", "2026-11-22T07:15:02.000000Z"),
    ],
)
def test_any_offset_and_any_decimals_are_read(text: str, same: str) -> None:
    assert rfc3339(from_rfc3339(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T07:15:02",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "",
        "2026-W47-7T07:15:02Z",  # forms of ISO 8601 that are none of RFC 3339
        "20261122T071502Z",
        "2026-11-22T071502Z",
        "2026-11-22T07:15:02,5Z",
        "2026-11-22T07:15Z",
        "2026-11-22 07:15:02Z",
        "2026-11-22T07:15:02+0100",
        "2026-11-22T07:15:02.Z",
        "2026-11-22T07:15:02.1234567890Z",
        "2026-11-22T07:15:02+01:60",
        "2026-11-22t07:15:02z",
        " 2026-11-22T07:15:02Z",
        "2026-11-22T07:15:02Z ",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_rfc3339(text)


def test_an_instant_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="no date"):
        rfc3339(10**20)


@pytest.mark.parametrize(
    ("payload", "ticks"),
    [
        (b'{"schema":"s","time":"1970-01-01T00:00:01.000000Z","event":{"time":"1970-01-01T00:00:02Z"}}', TICKS_PER_S),
        (b'{"schema":"s","time":"2026-W47-7T07:15:02.000Z"}', None),
        (b'{"schema":"s"}', None),
    ],
)
def test_the_time_of_an_entry_is_the_first_in_it(payload: bytes, ticks: int | None) -> None:
    assert of_entry(payload) == ticks
