"""A code of no value is never a value, and what an instrument can not have measured is never Good; every type, exact, as `probe` says."""

import struct
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Scaling, Tag
from config.grammars.raw_codes import parse
from config.units import units
from config.units.scaling import decimal_of, scaling_of
from gateway.intake.normalise import float64, normaliser
from gateway.intake.poll_filter import PollFilter
from gateway.intake.range_watch import QUIET_S, RangeWatch

BITS = {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (8, 16, 32, 64)}
SLOPES = st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(5, 1152), Fraction(-1, 4), Fraction(1000)])
NO_DATA, EXCEEDED = 0x809B0000, 0x40940000


def span_of(type_name: str) -> tuple[int, int]:
    bits = BITS[type_name]
    return (0, (1 << bits) - 1) if type_name.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)


@st.composite
def integers(draw: st.DrawFn) -> tuple[Tag, int]:
    type_name = draw(st.sampled_from(sorted(BITS)))
    raws = st.integers(*span_of(type_name))
    codes = draw(st.lists(st.tuples(raws, raws).map(sorted), max_size=3))
    written = ";".join(f"{first}..{last}" for first, last in codes)
    scaling = scaling_of(draw(SLOPES), draw(st.sampled_from([Fraction(0), Fraction(-273), Fraction(1, 3)])), is_integer=True)
    ends = [
        None if raw is None else decimal_of(raw * scaling.slope + scaling.intercept) for raw in draw(st.tuples(*[st.none() | raws] * 2))
    ]
    low, high = sorted(ends) if None not in ends else ends
    none = parse(written, type_name) if codes else None
    used = None if scaling.is_identity else scaling
    tag = Tag("t", "s", "a", type_name, eu_low=low, eu_high=high, scaling=used, not_available=none)
    near = [raw + by for code in codes for raw in code for by in (-1, 0, 1)]
    near += [round((Fraction(end) - scaling.intercept) / scaling.slope) + by for end in (low, high) if end is not None for by in (-1, 0, 1)]
    first, last = span_of(type_name)
    return tag, draw(st.sampled_from([raw for raw in near if first <= raw <= last] or [0]))


@pytest.mark.urs("URS-DAQ-05", "URS-DAQ-10")
@given(integers())
def test_an_integer_is_judged_by_its_raw_value_exactly(case: tuple[Tag, int]) -> None:
    tag, raw = case
    scaling = tag.scaling or scaling_of(Fraction(1), Fraction(0), is_integer=True)
    meant = raw * scaling.slope + scaling.intercept
    slack = Fraction(1, 10**25)  # an end whose digits never end is written with sixty of them
    is_none = tag.not_available is not None and any(first <= raw <= last for first, last in tag.not_available.spans)
    is_outside = (tag.eu_low is not None and meant < Fraction(tag.eu_low) - slack) or (
        tag.eu_high is not None and meant > Fraction(tag.eu_high) + slack
    )
    number, stored, status, finding = (normaliser(tag, {}) or float64)(raw, 0)
    if is_none:
        assert (number, status, finding) == (None, NO_DATA, None)
        assert str(stored) == str(raw), "the code stays readable"
    elif is_outside:
        assert (status, finding) == (EXCEEDED, "outside-range")
        assert number is not None
    else:
        assert (status, finding) == (0, None)
    assert tag.doubt(raw) == ("not-available" if is_none else "outside-range" if is_outside else None), "probe and run agree"


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(["0.1", "120", "-17.8", "3.4e38"]))
def test_a_float32_at_the_end_of_the_range_belongs_to_it(value: float, end: str) -> None:
    held = struct.unpack("<f", struct.pack("<f", float(end)))[0]
    tag = Tag("t", "s", "a", "float32", eu_high=Decimal(end))
    norm = normaliser(tag, {}) or float64
    assert norm(held, 0)[2:] == (0, None), "0.1 is not above 0.1 because a float32 holds a little more"
    assert (norm(value, 0)[2] == EXCEEDED) == (value > held) == (tag.doubt(value) == "outside-range")


def converted(source: str, unit: str, **more: Any) -> Tag:
    slope, intercept = units.conversion(source, unit)
    low, high = (decimal_of(Fraction(more.pop(name)) * slope + intercept) for name in ("low", "high"))
    kind = more.pop("type")
    return Tag("t", "s", "a", kind, eu_low=low, eu_high=high, scaling=scaling_of(slope, intercept, is_integer=kind == "int16"), **more)


@pytest.mark.parametrize("kind", ["int16", "float64", "decimal"])
def test_the_ends_of_a_converted_range_are_what_was_written(kind: str) -> None:
    """100 psi are 6.8947.. bar, without an end: both 0 and 100 psi belong to 0..100 psi, and 0 °F to 0..212 °F."""
    for tag, last in (
        (converted("psi(g)", "bar{gauge}", type=kind, low=0, high=100), 100),
        (converted("°F", "Cel", type=kind, low=0, high=212), 212),
    ):
        norm = normaliser(tag, {}) or float64
        as_read: Any = {"int16": int, "float64": float, "decimal": Decimal}[kind]
        assert [norm(as_read(raw), 0)[2] for raw in (0, last)] == [0, 0]
        assert [norm(as_read(raw), 0)[2] for raw in (-1, last + 1)] == [EXCEEDED, EXCEEDED]


@pytest.mark.urs("URS-MAP-09")
def test_a_decimal_is_scaled_by_its_digits() -> None:
    tag = Tag("t", "s", "a", "decimal", scaling=Scaling(Decimal(1000), Decimal(0), None))
    assert (normaliser(tag, {}) or float64)(Decimal("12.50"), 0) == ("12500", "12.50", 0, None)


def test_what_the_source_doubts_already_keeps_its_own_reason() -> None:
    norm = normaliser(Tag("t", "s", "a", "float64", eu_high=Decimal(1)), {}) or float64
    assert norm(2.0, 0x40900000)[2:] == (0x40900000, "outside-range")
    assert norm(2.0, 0x00000480)[2:] == (EXCEEDED | 0x480, "outside-range"), "the bits of the reading stay"


@pytest.mark.urs("URS-DAQ-05")
def test_a_sentinel_is_stored_as_no_value_also_where_it_is_far_outside_the_range() -> None:
    """0x8000 of a device that writes tenths: not -3276.8, and not Good."""
    tag = Tag("t", "s", "a", "int16", eu_low=Decimal(0), eu_high=Decimal(120), scaling=Scaling(Decimal("0.1"), Decimal(0), 1))
    bare = (normaliser(tag, {}) or float64)(-32768, 0)
    assert bare == (-3276.8, -32768, EXCEEDED, "outside-range")
    named = Tag("t", "s", "a", "int16", eu_low=tag.eu_low, eu_high=tag.eu_high, scaling=tag.scaling, not_available=parse("0x8000", "int16"))
    assert (normaliser(named, {}) or float64)(-32768, 0) == (None, -32768, NO_DATA, None)


@pytest.mark.urs("URS-DAQ-10")
def test_leaving_the_range_is_told_once_until_the_tag_is_back() -> None:
    tags = [Tag("speed", "plc", "a", "float64", unit="/min", eu_low=Decimal(0), eu_high=Decimal(120)), Tag("other", "plc", "b", "float64")]
    filter_, watch = PollFilter(tags, frozenset(), {}), RangeWatch(tags)

    def told(now_s: float, *values: float | None) -> list[str]:
        readings = [(0, value, 0 if value is not None else 0x80310000, None, None) for value in values]
        taken = filter_.rows([*readings, (1, 1e9, 0, None, None)], "change", now_s)
        return [finding.text for finding in watch.findings(taken.outside, taken.inside, now_s)]

    left = "speed: {} /min lies outside the instrument's range 0..120 /min; stored as Uncertain until it is back"
    assert told(0, 5.0) == []
    assert told(1, 130.5, 140.0) == [left.format(130.5)], "the first of them"
    assert told(2, 150.0) == told(3, None) == [], "Bad is not back"
    assert told(4, 120.0) == ["speed: in its instrument's range again"]
    assert told(5, 121.0, 119.0, 122.0) == [left.format(121.0)]
    assert told(6, 119.0) == told(7, 121.0) == told(8, 119.0) == [], "it flutters"
    assert told(4 + QUIET_S) == ["speed: in its instrument's range again"], "said without another reading"
    assert told(5 + QUIET_S, -0.1) == [left.format(-0.1)]
