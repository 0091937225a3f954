"""Scaled values equal decimal arithmetic, digit by digit; the hot loop's function equals the exact one."""

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.units.scaling import Scaling, from_pairs, implied_decimals, scaling_of

WIDE = Context(prec=200, rounding=ROUND_HALF_UP)
scales = st.decimals(min_value=-1000, max_value=1000, allow_nan=False, places=6).filter(bool) | st.sampled_from(
    [Decimal("0.1"), Decimal("0.001")]
)
offsets = st.decimals(min_value=-1000, max_value=1000, allow_nan=False, places=3)
raws = st.integers(-(2**63), 2**64 - 1) | st.integers(-40_000, 70_000)


def by_decimal(raw: int, slope: Fraction, intercept: Fraction, decimals: int) -> Decimal:
    exact = raw * slope + intercept
    return WIDE.divide(Decimal(exact.numerator), Decimal(exact.denominator)).quantize(Decimal(1).scaleb(-decimals), context=WIDE)


@pytest.mark.urs("URS-DAQ-09")
@given(raws, scales, offsets)
@example(2515, Decimal("0.1"), Decimal(0))
@example(-5, Decimal("0.1"), Decimal("0.05"))
def test_a_scaled_integer_is_the_float_nearest_to_the_decimal_result(raw: int, scale: Decimal, offset: Decimal) -> None:
    scaling = scaling_of(Fraction(scale), Fraction(offset), is_integer=True)
    exact = WIDE.add(WIDE.multiply(raw, scale), offset)
    value = scaling.compiled()(raw)
    assert value == (float(exact) if scaling.decimals else int(exact))
    assert scaling.apply(raw) == value


def test_2515_tenths_are_251_point_5_and_print_so() -> None:
    scaling = scaling_of(Fraction("0.1"), Fraction(0), is_integer=True)
    assert repr(scaling.compiled()(2515)) == "251.5"
    assert scaling.decimals == 1
    assert scaling.text() == {"scale": "0.1", "decimals": 1}


@given(raws, st.integers(-100_000, 100_000), st.integers(1, 100_000), st.integers(-1000, 1000), st.integers(1, 5000))
@example(36, 0, 27648, 0, 120)
def test_raw_and_engineering_pairs_round_half_up_at_exact_ties(raw: int, raw_low: int, raw_span: int, eu_low: int, eu_span: int) -> None:
    scaling = from_pairs(Decimal(raw_low), Decimal(raw_low + raw_span), Decimal(eu_low), Decimal(eu_low + eu_span), is_integer=True)
    slope = Fraction(eu_span, raw_span)
    assert scaling.decimals is not None
    exact = by_decimal(raw, slope, eu_low - slope * raw_low, scaling.decimals)
    assert scaling.compiled()(raw) == (float(exact) if scaling.decimals else int(exact))


@given(st.integers(-30_000, 30_000), st.integers(1, 100_000), st.integers(1, 5000))
def test_neighbouring_raw_values_stay_apart_after_rounding(raw: int, raw_span: int, eu_span: int) -> None:
    value_of = from_pairs(Decimal(0), Decimal(raw_span), Decimal(0), Decimal(eu_span), is_integer=True).compiled()
    assert value_of(raw) < value_of(raw + 1)


@given(st.floats(allow_nan=False, allow_infinity=False), scales, offsets)
@example(1e308, Decimal(1000), Decimal(0))
def test_a_scaled_float_is_the_float_nearest_to_the_exact_result(raw: float, scale: Decimal, offset: Decimal) -> None:
    scaling = scaling_of(Fraction(scale), Fraction(offset), is_integer=False)
    exact = Fraction(raw) * Fraction(scale) + Fraction(offset)
    try:
        wanted = exact.numerator / exact.denominator
    except OverflowError:
        wanted = math.inf if exact > 0 else -math.inf
    assert scaling.compiled()(raw) == wanted


@given(scales, offsets)
def test_what_is_not_finite_stays_so(scale: Decimal, offset: Decimal) -> None:
    value_of = scaling_of(Fraction(scale), Fraction(offset), is_integer=False).compiled()
    assert math.isnan(value_of(math.nan))
    assert math.isinf(value_of(math.inf))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=4), scales, offsets)
def test_a_decimal_stays_an_exact_decimal(raw: Decimal, scale: Decimal, offset: Decimal) -> None:
    assert scaling_of(Fraction(scale), Fraction(offset), is_integer=False).apply(raw) == WIDE.add(WIDE.multiply(raw, scale), offset)


@given(
    st.integers(-(2**31), 2**31),
    scales,
    offsets,
    st.fractions(min_value=-10, max_value=10).filter(bool),
    st.fractions(min_value=-500, max_value=500),
)
def test_two_scalings_fold_into_one(raw: int, scale: Decimal, offset: Decimal, slope: Fraction, intercept: Fraction) -> None:
    folded = scaling_of(Fraction(scale), Fraction(offset), is_integer=True).then(slope, intercept, is_integer=True)
    exact = (raw * Fraction(scale) + Fraction(offset)) * slope + intercept
    assert raw * folded.slope + folded.intercept == exact


@given(raws, scales, offsets)
def test_the_raw_value_comes_back(raw: int, scale: Decimal, offset: Decimal) -> None:
    scaling = scaling_of(Fraction(scale), Fraction(offset), is_integer=True)
    assert scaling.raw_of(raw * scaling.slope + scaling.intercept) == raw


def test_the_sketch_without_exact_fractions_means_the_same() -> None:
    assert Scaling(Decimal("0.5"), Decimal(1), 1).compiled()(3) == 2.5
    assert Scaling(Decimal(2), Decimal(0), 0).compiled()(3) == 6


@pytest.mark.parametrize(
    ("slope", "intercept", "decimals"),
    [("0.1", "0", 1), ("1", "0", 0), ("10", "0.25", 2), ("5/1152", "0", 4), ("1e-9", "0", 9), ("1/3000000000000000000", "0", 15)],
)
def test_decimals_are_those_that_scale_and_offset_imply(slope: str, intercept: str, decimals: int) -> None:
    assert implied_decimals(Fraction(slope), Fraction(intercept)) == decimals
