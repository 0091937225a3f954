"""Computes the range of a tag in the map's unit, and fits values to its type."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from config import Tag

TYPICAL = {
    "Cel": (15, 80),
    "%": (0, 100),
    "%{RH}": (20, 70),
    "bar": (0, 10),
    "mbar": (0, 1500),
    "Pa": (0, 2000),
    "/min": (0, 1500),
    "kg": (0, 500),
    "g": (0, 5000),
    "A": (0, 60),
    "kW": (0, 50),
    "Hz": (0, 60),
}
BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
DIGITS = {"bcd16": 4, "bcd32": 8}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds in the map's unit.

    decimals: those worth showing. counts: a whole number for which the map gives neither a range nor a unit.
    """

    low: float
    high: float
    decimals: int
    counts: bool = False

    def rounded(self, value: float) -> float:
        """Keep the value within the range, with its decimals."""
        return round(min(max(value, self.low), self.high), self.decimals)


def raw_bounds(tag: Tag) -> tuple[int, int] | None:
    """Find the smallest and largest whole number of the tag's type; None if its type is no whole number."""
    if tag.type in DIGITS:
        return 0, 10 ** DIGITS[tag.type] - 1
    bits = BITS.get(tag.type)
    if bits is None:
        return None
    return (0, 2**bits - 1) if tag.type.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def range_of(tag: Tag) -> Range:
    """Find the range of a tag: the instrument's if given, else one by its unit; never more than its type holds."""
    bounds = raw_bounds(tag)
    low, high = (
        (float(tag.eu_low), float(tag.eu_high))
        if tag.eu_low is not None and tag.eu_high is not None
        else TYPICAL.get(tag.unit or "", (0, 100))
    )
    if bounds is not None:
        ends = sorted(_engineering(tag, bound) for bound in bounds)
        low, high = max(low, ends[0]), min(high, ends[1])
    low, high = (low, high) if low < high else (0.0, 1.0)
    decimals = max(0, 3 - math.floor(math.log10(high - low)))
    counts = bounds is not None and tag.scaling is None and tag.eu_low is None and tag.eu_high is None
    return Range(low, high, decimals, counts)


def _engineering(tag: Tag, raw: int) -> float:
    return float(raw) if tag.scaling is None else float(raw * tag.scaling.scale + tag.scaling.offset)


def fitted(tag: Tag) -> Callable[[Any], Any]:
    """Make the function that fits a value to the tag's type: whole numbers wrap where they would not fit."""
    bounds = raw_bounds(tag)
    if bounds is not None and tag.scaling is None:
        low, high = bounds
        return lambda value: low + (math.floor(float(value) + 0.5) - low) % (high - low + 1)
    kind = "scaled" if bounds is not None else tag.type
    kinds: dict[str, Callable[[Any], Any]] = {"bool": bool, "string": str, "decimal": _decimal, "datetime": _as_it_is, "bytes": _as_it_is}
    return kinds.get(kind, float)


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.001"), ROUND_HALF_UP)


def _as_it_is(value: Any) -> Any:
    return value
