"""Scales the raw value of a source into the map's unit: exact, and fast enough for the hot loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache

MAX_DECIMALS = 15
_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)

Number = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Scaling:
    """value = raw * scale + offset, rounded half up to `decimals` where the raw value is an integer (None: not rounded).

    exact: slope and intercept as fractions where their decimals never end (0..27648 -> 0..120 is 5/1152); `scale` and `offset` are then
    rounded to 34 digits. Results follow `exact`.
    """

    scale: Decimal
    offset: Decimal
    decimals: int | None
    exact: tuple[Fraction, Fraction] | None = None

    @property
    def slope(self) -> Fraction:
        """The exact slope: `scale`, or its fraction."""
        return Fraction(self.scale) if self.exact is None else self.exact[0]

    @property
    def intercept(self) -> Fraction:
        """The exact intercept: `offset`, or its fraction."""
        return Fraction(self.offset) if self.exact is None else self.exact[1]

    @property
    def is_identity(self) -> bool:
        """True if every value stays as it is."""
        return self.slope == 1 and self.intercept == 0

    def apply(self, raw: Number) -> Number:
        """Scale one value: an int or float as `compiled` gives it, a Decimal for a Decimal."""
        if isinstance(raw, Decimal):
            return self._of_decimal(raw)
        return self.compiled()(raw)

    def compiled(self) -> Callable[[int | float], int | float]:
        """Make a function for the hot loop.

        Its result is the float nearest to the exact value (an int where `decimals` is 0 and raw is an int).

        Non-finite raw values come back as they are; a result beyond a float is infinite: the caller marks both Bad.
        """
        if self.intercept == 0 and (simple := _simple(self.slope, self.decimals)):
            return simple
        return _general(self.slope, self.intercept, self.decimals)

    def raw_of(self, value: Number | Fraction) -> Fraction:
        """Compute the exact raw value that means `value`. A simulated device rounds it to a number its type can hold."""
        return (Fraction(value) - self.intercept) / self.slope

    def then(self, slope: Fraction, intercept: Fraction, *, is_integer: bool) -> "Scaling":
        """Combine this scaling and another linear one that follows it into one."""
        return scaling_of(self.slope * slope, self.intercept * slope + intercept, is_integer=is_integer)

    def inverse(self) -> "Scaling":
        """Turn the scaling round: from what it gives to what it takes, exactly."""
        return scaling_of(1 / self.slope, -self.intercept / self.slope, is_integer=False)

    def text(self) -> dict[str, str | int]:
        """Write the scaling as a tagset holds it: {"scale": "0.1"}, a fraction as "5/1152"; offset 0 and absent decimals left out."""
        parts: dict[str, str | int] = {"scale": _text(self.slope)}
        if self.intercept:
            parts["offset"] = _text(self.intercept)
        if self.decimals is not None:
            parts["decimals"] = self.decimals
        return parts

    def _of_decimal(self, raw: Decimal) -> Decimal:
        if not raw.is_finite():
            return raw
        exact = Fraction(raw) * self.slope + self.intercept
        places = None if decimals_of(exact) is not None else max(MAX_DECIMALS, self.decimals or 0)
        return decimal_of(exact) if places is None else decimal_of(exact).quantize(Decimal(1).scaleb(-places), context=_WIDE)


@lru_cache(maxsize=4096)
def scaling_of(slope: Fraction, intercept: Fraction, *, is_integer: bool) -> Scaling:
    """Make the scaling with these exact numbers. For an integer raw value, with the decimals that they imply."""
    endless = decimals_of(slope) is None or decimals_of(intercept) is None
    return Scaling(
        scale=_shortened(slope),
        offset=_shortened(intercept),
        decimals=implied_decimals(slope, intercept) if is_integer else None,
        exact=(slope, intercept) if endless else None,
    )


@lru_cache(maxsize=4096)
def from_pairs(raw_low: Decimal, raw_high: Decimal, eu_low: Decimal, eu_high: Decimal, *, is_integer: bool) -> Scaling:
    """Make the scaling from two ranges: 0..27648 -> 0..120. Raises ValueError if the raw or the engineering range is empty."""
    if raw_low == raw_high or eu_low == eu_high:
        raise ValueError("the range is empty")
    slope = (Fraction(eu_high) - Fraction(eu_low)) / (Fraction(raw_high) - Fraction(raw_low))
    return scaling_of(slope, Fraction(eu_low) - slope * Fraction(raw_low), is_integer=is_integer)


def implied_decimals(slope: Fraction, intercept: Fraction) -> int:
    """Count the decimals of a scaled integer: those of scale and offset; if these never end, one more than a step needs.

    2515 x 0.1 = 251.5 has one; 5/1152 = 0.00434.. moves the third decimal, so four keep neighbouring raw values apart.
    """
    of_slope, of_intercept = decimals_of(slope), decimals_of(intercept)
    needed = 0 if of_slope == 0 else max(0, math.ceil(-math.log10(abs(slope)))) + 1
    return min(MAX_DECIMALS, max(needed if of_slope is None else of_slope, (needed if of_intercept is None else of_intercept)))


def decimal_of(value: Fraction) -> Decimal:
    """Convert a fraction: exact if its decimals end, else 60 digits."""
    return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def exactly(scaling: Scaling, raw: float) -> Decimal:
    """Scale by decimal arithmetic alone: the slow way, against which the fast one is tested."""
    value = Fraction(raw) * scaling.slope + scaling.intercept
    exact = Context(prec=400, rounding=ROUND_HALF_UP).divide(Decimal(value.numerator), Decimal(value.denominator))
    if scaling.decimals is None or not isinstance(raw, int):
        return +exact if decimals_of(value) is None else exact
    return exact.quantize(Decimal(1).scaleb(-scaling.decimals), context=Context(prec=400, rounding=ROUND_HALF_UP))


def _shortened(value: Fraction) -> Decimal:
    digits = Context(prec=34, rounding=ROUND_HALF_UP) if decimals_of(value) is None else _WIDE
    return digits.divide(Decimal(value.numerator), Decimal(value.denominator))


def _text(value: Fraction) -> str:
    return f"{decimal_of(value):f}" if decimals_of(value) is not None else f"{value.numerator}/{value.denominator}"


def decimals_of(value: Fraction) -> int | None:
    """Count the decimals of the value; None if they never end."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None


def _simple(slope: Fraction, decimals: int | None) -> Callable[[int | float], int | float] | None:
    """Make raw / 10 or raw * 4 in plain floats: one operation on exact operands is correctly rounded (IEEE 754, 5.4.1)."""
    top, bottom = slope.numerator, slope.denominator
    if max(abs(top), bottom) >= 2**53 or (top != 1 and bottom != 1) or (decimals is not None and 10**decimals % bottom):
        return None
    if bottom == 1:
        return lambda raw: raw * top
    return lambda raw: raw / bottom


def _general(slope: Fraction, intercept: Fraction, decimals: int | None) -> Callable[[int | float], int | float]:
    """Make a function in integer arithmetic throughout; Python divides two integers into the nearest float."""
    bottom = math.lcm(slope.denominator, intercept.denominator)
    times, plus = int(slope * bottom), int(intercept * bottom)
    ten = 1 if decimals is None else 10**decimals

    def value_of(raw: float) -> int | float:
        if isinstance(raw, int):
            exact = raw * times + plus
            if decimals is None:
                return exact / bottom
            steps = (2 * abs(exact) * ten + bottom) // (2 * bottom)
            steps = steps if exact >= 0 else -steps
            return steps if ten == 1 else steps / ten
        if not math.isfinite(raw):
            return raw
        top, below = raw.as_integer_ratio()
        exact = top * times + below * plus
        try:
            return exact / (below * bottom)
        except OverflowError:
            return math.inf if exact > 0 else -math.inf

    return value_of
