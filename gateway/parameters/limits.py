"""Numbers as a person reads them, and whether they lie within their limits. All decimal: a record never shows 251.50000000000003."""

from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal

from config import Scaling
from gateway.entries.fold_input import Json

Result = Literal["within", "below", "above", "not-judged"]

MOST_DIGITS = 400
"""A float has its point within 324 digits; what is written with more is no number of a process."""
LONGEST_TEXT = 1_000
"""Characters of a text in a record; all of it stands in the entry that the evidence names."""

_WIDE = Context(prec=60, rounding=ROUND_HALF_UP)


def exact(value: Json) -> Decimal | None:
    """The decimal that a value shows: the shortest digits of a float, a string's own digits; None where it is no number."""
    if value is None:
        return None
    try:
        decimal = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None
    return decimal if decimal.is_finite() and abs(decimal.adjusted()) <= MOST_DIGITS else None


def rounded(value: Decimal, decimals: int | None) -> str:
    """Round half up to `decimals` (None: as it is) and write without exponent."""
    if decimals is not None and value.adjusted() + decimals < _WIDE.prec - 1:
        value = value.quantize(Decimal(1).scaleb(-decimals), context=_WIDE)
        return format(value or abs(value), "f")
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def shown(value: Json, decimals: int | None, *, is_text: bool = False) -> str | None:
    """The text of a value in a record: numbers rounded, bool as true/false, texts (`0012` of a string tag) as they are."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    decimal = None if is_text else exact(value)
    return str(value)[:LONGEST_TEXT] if decimal is None else rounded(decimal, decimals)


def converted(value: Json, conversion: Scaling | None, *, difference: bool = False) -> Json:
    """A value in the parameter's unit. difference: of two values (range, stdev, delta): an offset does not apply."""
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
    """Judge the rounded value as shown against its limits, inclusive. Without a number, or without any limit, it is not judged."""
    decimal = exact(value)
    if decimal is None or (low is None and high is None):
        return "not-judged"
    bottom, top = exact(low), exact(high)
    if bottom is not None and decimal < bottom:
        return "below"
    if top is not None and decimal > top:
        return "above"
    return "not-judged" if bottom is None and top is None else "within"
