"""Writes numbers for the record, and judges them against limits. Decimal throughout: a record never shows 251.50000000000003."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from config import Scaling
from config.units.scaling import decimal_of, decimals_of
from gateway.entries.fold_input import Json

Result = Literal["within", "below", "above", "not-judged"]

MOST_DIGITS = 400
"""Largest power of ten, either way, that counts as a number: a float ends at 10^308, its subnormals at 10^-324."""
LONGEST_TEXT = 1_000
"""Characters of a text in a record; the whole text is in the entry that the record's evidence names."""

_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)
_INWARDS = {True: Context(prec=20, rounding=ROUND_FLOOR), False: Context(prec=20, rounding=ROUND_CEILING)}
"""By whether the limit is an upper one. A float or a 64-bit integer has no more digits, so that cutting decides nothing."""


def exact(value: Json) -> Decimal | None:
    """Return the decimal that a value shows: the shortest digits of a float, a string's own digits, 0 or 1 for a bool; else None."""
    if value is None:
        return None
    try:
        decimal = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None
    return decimal if decimal.is_finite() and abs(decimal.adjusted()) <= MOST_DIGITS else None


def rounded(value: Decimal, decimals: int | None) -> str:
    """Return the value as text without exponent, rounded half up to `decimals`; None keeps its digits but drops trailing zeros."""
    if decimals is not None and value.adjusted() + decimals < _WIDE.prec - 1:
        value = value.quantize(Decimal(1).scaleb(-decimals), context=_WIDE)
        return format(value or abs(value), "f")
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def shown(value: Json, decimals: int | None, *, is_text: bool = False) -> str | None:
    """Return a value as a record shows it: numbers rounded to `decimals`, bools as true or false, other texts unchanged.

    `is_text`: the tag is of type string, so that `0012` keeps its zeros. None stays None.
    """
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    decimal = None if is_text else exact(value)
    return str(value)[:LONGEST_TEXT] if decimal is None else rounded(decimal, decimals)


def converted(value: Json, conversion: Scaling | None, *, difference: bool = False) -> Json:
    """Return the value converted into the parameter's unit, exactly; unchanged without a conversion or if it is no number.

    `difference`: the value is a difference of two (range, stdev, delta), so that only the slope applies, not the offset.
    """
    decimal = exact(value)
    if conversion is None or decimal is None or isinstance(value, bool):
        return value
    result = Fraction(decimal) * conversion.slope  # of the digits that a float shows: 54.3 /min are 0.905 /s, which rounds up
    if not difference:
        result += conversion.intercept
    if isinstance(value, float):
        return float(result)
    return rounded(_WIDE.divide(Decimal(result.numerator), Decimal(result.denominator)), None)


def limit_in_unit(value: Json, scaling: Scaling, *, is_upper: bool) -> str | None:
    """Return a limit that a tag holds as text in the unit in which it is compared; None if it is no number.

    It is exact. Where its decimals never end (120 [degF] is 48.888.. Cel), it is cut towards the side that is allowed: what is shown is
    judged, and nothing beyond the limit may pass.
    """
    decimal = exact(value)
    if decimal is None or isinstance(value, bool):
        return None
    number = Fraction(decimal) * scaling.slope + scaling.intercept
    if decimals_of(number) is not None:
        return rounded(decimal_of(number), None)
    return rounded(_INWARDS[is_upper].divide(Decimal(number.numerator), Decimal(number.denominator)), None)


def judge(value: str | None, low: str | None, high: str | None, *, is_whole: bool = True) -> Result:
    """Judge a value, rounded as shown, against its limits, which are inclusive; "not-judged" without a number or without any limit.

    `is_whole` False: another limit applies but could not be read, so that "within" is not proved.
    """
    decimal = exact(value)
    if decimal is None or (low is None and high is None):
        return "not-judged"
    bottom, top = exact(low), exact(high)
    if bottom is not None and decimal < bottom:
        return "below"
    if top is not None and decimal > top:
        return "above"
    return "within" if is_whole and (bottom is not None or top is not None) else "not-judged"
