"""The instrument's range as raw values: what lies outside it is told before a value is scaled, so exactly, and by two comparisons."""

import math
import struct
from decimal import Decimal
from fractions import Fraction

from config.units.scaling import Scaling

Bound = int | float | Fraction

_FINEST = 10**30
"""Parts of a raw unit. An end that was converted from another unit is rounded at its 60th digit: 100 psi must not become 99.99.. again."""
_FLOAT32 = struct.Struct("<f")


def raw_range(type_name: str, low: Decimal | None, high: Decimal | None, scaling: Scaling | None) -> tuple[Bound, Bound] | None:
    """Give the raw values, both inclusive, that mean the range `low` to `high`; None without a range.

    Of an integer the smallest and the largest, of a float those that it holds nearest to the ends, of a decimal the exact ones. An open
    side is infinite.
    """
    if low is None and high is None:
        return None
    first, last = _raw(low, scaling, -math.inf), _raw(high, scaling, math.inf)
    if scaling is not None and scaling.slope < 0:
        first, last = last, first
    return _held(type_name, first, is_first=True), _held(type_name, last, is_first=False)


def _raw(end: Decimal | None, scaling: Scaling | None, if_open: float) -> Fraction | float:
    if end is None:
        return if_open if scaling is None or scaling.slope > 0 else -if_open
    exact = Fraction(end) if scaling is None else scaling.raw_of(Fraction(end))
    return Fraction(round(exact * _FINEST), _FINEST)


def _held(type_name: str, end: Fraction | float, *, is_first: bool) -> Bound:
    if isinstance(end, float) or type_name == "decimal":
        return end
    if not type_name.startswith("float"):
        return math.ceil(end) if is_first else math.floor(end)
    try:
        number = float(end)
        return float(_FLOAT32.unpack(_FLOAT32.pack(number))[0]) if type_name == "float32" else number
    except OverflowError:
        return math.inf if end > 0 else -math.inf
