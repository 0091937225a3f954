"""Local times of every zone at its odd hours: resolved, marked or refused, never shifted (URS-TIME-11)."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.local_time import Zone, candidates, read, ticks_of
from drivers.row_settings import RowTime

ZONES = [
    "Europe/Paris",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
    "UTC",
    "Asia/Tehran",
    "Africa/Casablanca",
]
PARIS = ZoneInfo("Europe/Paris")


def utc(text: str) -> int:
    return ticks_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.bar("F40")
@pytest.mark.urs("URS-TIME-11")
@pytest.mark.parametrize(
    ("text", "ticks", "fold"),
    [
        ("2026-10-25 01:59:59", utc("2026-10-24 23:59:59"), ""),
        ("2026-10-25 02:00:00", None, "ambiguous"),
        ("2026-10-25 02:59:59.999999", None, "ambiguous"),
        ("2026-10-25 03:00:00", utc("2026-10-25 02:00:00"), ""),
        ("2026-03-29 01:59:59", utc("2026-03-29 00:59:59"), ""),
        ("2026-03-29 02:00:00", None, "nonexistent"),
        ("2026-03-29 02:59:59", None, "nonexistent"),
        ("2026-03-29 03:00:00", utc("2026-03-29 01:00:00"), ""),
        ("2026-07-01T12:00:00+05:30", utc("2026-07-01 06:30:00"), ""),
        ("2026-07-01T12:00:00Z", utc("2026-07-01 12:00:00"), ""),
    ],
)
def test_the_edges_of_paris(text, ticks, fold):
    (moment,) = Zone("Europe/Paris").moments([text])
    assert (moment.ticks, moment.text, moment.fold) == (ticks, text, fold)


def days(info: ZoneInfo, *, every: int) -> list[datetime]:
    """Noons of 2026: two days around each change of the zone's offset, and so many of the others."""
    noons = [datetime(2026, 1, 1, 12) + timedelta(days=number) for number in range(365)]  # noqa: DTZ001
    offsets = [noon.replace(tzinfo=info).utcoffset() for noon in noons]
    changed = {number for number in range(1, 365) if offsets[number] != offsets[number - 1]}
    near = {number + more for number in changed for more in range(-2, 3)}
    return [noon for number, noon in enumerate(noons) if number % every == 0 or number in near]


@pytest.mark.bar("F40")
@pytest.mark.urs("URS-TIME-11")
@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.faults)])
@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_hour_of_a_day_means_what_the_zone_says(zone, every, figures):
    """The set of instants whose local time this is: made from UTC by the other direction, so that no rule can be wrong twice."""
    info = ZoneInfo(zone)
    wrong, looked_at = 0, days(info, every=every)
    for noon in looked_at:
        names: dict[datetime, list[int]] = {}
        for quarter in range(-140, 140):
            instant = noon.replace(tzinfo=UTC) + timedelta(minutes=15 * quarter)
            names.setdefault(instant.astimezone(info).replace(tzinfo=None, fold=0), []).append(ticks_of(instant))
        for quarter in range(-48, 48):
            local = noon + timedelta(minutes=15 * quarter)
            wrong += candidates(local, info) != names.get(local, [])
    figures("local time", f"{zone}: every quarter hour of {len(looked_at)} days of 2026, wrong {wrong}")
    assert wrong == 0


@pytest.mark.bar("F40")
@pytest.mark.urs("URS-TIME-11")
@given(
    zone=st.sampled_from(sorted(available_timezones())),
    second=st.integers(min_value=0, max_value=365 * 86_400),
)
def test_a_time_that_is_told_is_the_time_that_was(zone, second):
    """Every instant, written down locally and read again: itself, or marked with itself among the candidates."""
    instant = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    local = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    (moment,) = Zone(zone).moments([local.isoformat(sep=" ")])
    if moment.ticks is None:
        assert moment.fold == "ambiguous"
        assert ticks_of(instant) in moment.candidates
    else:
        assert moment.ticks == ticks_of(instant)


@pytest.mark.urs("URS-TIME-11")
@given(
    offsets=st.lists(st.integers(min_value=0, max_value=1200), min_size=1, max_size=60),
    start=st.integers(min_value=-3000, max_value=9000),
    jitter=st.lists(st.integers(min_value=0, max_value=50), min_size=60, max_size=60),
    cut=st.integers(min_value=1, max_value=60),
)
def test_order_resolves_only_what_it_proves(offsets, start, jitter, cut):
    """Rows written through the autumn night, up to 50 s out of order, read in two polls: what is resolved is right."""
    turn = datetime(2026, 10, 25, 1, tzinfo=UTC)
    instants, at = [], turn + timedelta(seconds=start - 3600)
    for step, late in zip(offsets, jitter, strict=False):
        at += timedelta(seconds=step)
        instants.append(at - timedelta(seconds=late))
    texts = [instant.astimezone(PARIS).replace(tzinfo=None, fold=0).isoformat(sep=" ") for instant in instants]
    zone = Zone("Europe/Paris", rule="order", disorder_s=60)
    moments = [*zone.moments(texts[:cut]), *zone.moments(texts[cut:])]
    for moment, instant in zip(moments, instants, strict=True):
        assert moment.ticks in (None, ticks_of(instant)), "never the wrong one of two"


def test_order_does_resolve_a_night_of_regular_rows():
    turn = datetime(2026, 10, 25, 1, tzinfo=UTC)
    instants = [turn + timedelta(minutes=m) for m in range(-90, 90, 5)]
    texts = [instant.astimezone(PARIS).replace(tzinfo=None, fold=0).isoformat(sep=" ") for instant in instants]
    moments = Zone("Europe/Paris", rule="order").moments(texts)
    resolved = [moment for moment in moments if moment.fold in ("earlier", "later")]
    assert len(resolved) >= 20
    assert [m.ticks for m in moments if m.ticks is not None] == [
        ticks_of(i) for i, m in zip(instants, moments, strict=True) if m.ticks is not None
    ]


def test_a_declared_rule_is_applied_and_told():
    rules: list[tuple[Literal["earlier", "later"], int]] = [("earlier", 0), ("later", 1)]
    for rule, hour in rules:
        (moment,) = Zone("Europe/Paris", rule=rule).moments(["2026-10-25 02:30:00"])
        assert (moment.ticks, moment.fold) == (utc(f"2026-10-25 0{hour}:30:00"), rule)


def test_other_forms_and_none():
    assert Zone("UTC", "%d.%m.%Y %H:%M").moments(["22.11.2026 09:00", None, ""])[0].ticks == utc("2026-11-22 09:00:00")
    assert Zone("UTC", "%d.%m.%Y %H:%M").moments([None, ""]) == [None, None]
    with pytest.raises(ValueError, match="Invalid isoformat"):
        Zone("UTC").moments(["yesterday"])


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M:%S", "%y%j", "%d-%b-%y %H:%M", "%B %d, %Y", "%c", "%x %X", "%G-%V-%u"])
def test_a_format_that_names_a_day_is_taken_and_reads_it(form):
    moment = datetime(2026, 11, 30, 8, 15)  # noqa: DTZ001 - a local time
    assert RowTime(column="t", zone="UTC", format=form).format == form
    assert read(moment.strftime(form), form).date() == moment.date()
