"""Run test vectors of every transform in each check: the hot loop's function against decimal arithmetic (URS-MAP-09)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from config.line import Tag
from config.problem import Problem
from config.units.scaling import Scaling, exactly

_RANGES = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "bcd16": (0, 9999),
    "bcd32": (0, 99_999_999),
}


@dataclass(frozen=True, slots=True)
class Vector:
    """A raw value and the value that it must become."""

    raw: int | float
    value: Decimal


def of_tag(tag: Tag) -> tuple[Vector, ...]:
    """Make the vectors of a tag; none without a transform.

    Both ends of the raw type, zero, one, and the raw values of both ends of the instrument's range.
    """
    if tag.scaling is None:
        return ()
    raws: list[int | float] = [0, 1]
    if tag.type in _RANGES:
        raws += _RANGES[tag.type]
        raws += [round(tag.scaling.raw_of(value)) for value in (tag.eu_low, tag.eu_high) if value is not None]
    else:
        raws = [0.0, 1.0, *(float(tag.scaling.raw_of(value)) for value in (tag.eu_low, tag.eu_high) if value is not None)]
    return tuple(Vector(raw, exactly(tag.scaling, raw)) for raw in sorted(set(raws)))


def check(tags: list[Tag]) -> Iterator[Problem]:
    """Yield the problems of tags whose transform differs from decimal arithmetic."""
    for tag in tags:
        if tag.scaling is not None and (wrong := _wrong(tag.scaling, tag.type, tag.eu_low, tag.eu_high)) is not None:
            yield tag.place.problem(f"transform: raw {wrong.raw} must become {wrong.value}, but does not")


@lru_cache(maxsize=4096)
def _wrong(scaling: Scaling, type_name: str, low: Decimal | None, high: Decimal | None) -> Vector | None:
    value_of = scaling.compiled()
    tag = Tag(tag="-", source="-", address="-", type=type_name, scaling=scaling, eu_low=low, eu_high=high)
    return next((vector for vector in of_tag(tag) if float(value_of(vector.raw)) != float(vector.value)), None)
