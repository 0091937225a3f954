"""Writes numbers for the record, and judges them against limits. Decimal throughout: a record never shows 251.50000000000003."""

from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from config import Scaling
from gateway.entries.fold_input import Json

Result = Literal["within", "below", "above", "not-judged"]

MOST_DIGITS = 400
"""Largest power of ten, either way, that counts as a number: a float ends at 10^308, its subnormals at 10^-324."""
LONGEST_TEXT = 1_000
"""Characters of a text in a record; the whole text is in the entry that the record's evidence names."""

_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


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
    result = Fraction(value if isinstance(value, float) else decimal) * conversion.slope
    if not difference:
        result += conversion.intercept
    if isinstance(value, float):
        return float(result)
    return rounded(_WIDE.divide(Decimal(result.numerator), Decimal(result.denominator)), None)


def judge(value: str | None, low: str | None, high: str | None) -> Result:
    """Judge a value, rounded as shown, against its limits, which are inclusive; "not-judged" without a number or without any limit."""
    decimal = exact(value)
    if decimal is None or (low is None and high is None):
        return "not-judged"
    bottom, top = exact(low), exact(high)
    if bottom is not None and decimal < bottom:
        return "below"
    if top is not None and decimal > top:
        return "above"
    return "not-judged" if bottom is None and top is None else "within"
