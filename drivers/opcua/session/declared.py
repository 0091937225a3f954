"""Compares unit and range that a server declares for a node (Part 8, 5.6) with what the map says of its tag."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from config import Tag
from config.units import units


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it. differing: sentences. unit_differs: the map has another one. unproved: what the map says and the server does not."""

    differing: tuple[str, ...]
    unit_differs: bool
    unproved: tuple[str, ...]

    @property
    def is_proved(self) -> bool:
        """True if the server declares everything that the map says, and the same."""
        return not self.differing and not self.unproved


def compared(tag: Tag, stated: Mapping[str, str]) -> Compared:
    """Compare a tag with source_unit, eu_low and eu_high as its server states them; what is absent there is not stated."""
    mapped, server_unit = tag.source_unit or tag.unit, stated.get("source_unit", "")
    differing = []
    is_other = bool(server_unit) and (mapped is None or not same_unit(server_unit, mapped))
    if is_other:
        differing.append(f"unit: the server says {server_unit}, the map {f'says {mapped}' if mapped else 'names none'}")
    if "eu_low" in stated and not _is_range(tag, float(stated["eu_low"]), float(stated["eu_high"])):
        low, high = ("" if end is None else end for end in (tag.eu_low, tag.eu_high))
        unit = f" {tag.unit}" if tag.scaling is not None and tag.unit is not None else ""
        server_range = f"{float(stated['eu_low']):g}..{float(stated['eu_high']):g}"
        differing.append(f"range: the server says {server_range}, the map {low}..{high}{unit}")
    return Compared(tuple(differing), is_other and mapped is not None, tuple(_unproved(tag, stated)))


def _unproved(tag: Tag, stated: Mapping[str, str]) -> Iterator[str]:
    has_range = tag.eu_low is not None or tag.eu_high is not None
    if tag.unit is not None and "source_unit" not in stated:
        yield "unit"
    if has_range and "eu_low" not in stated:
        yield "range"
    if tag.codes is not None:
        yield "enumeration"
    if "refused" in stated:
        yield "what could not be read"
    if tag.unit is None and not has_range and tag.codes is None:
        yield "anything (the map names neither unit nor range)"


def _is_range(tag: Tag, low: float, high: float) -> bool:
    """Return True if the map's range is the server's, in the source's unit, or raw where the map scales. An open side says nothing."""
    if tag.eu_low is None and tag.eu_high is None:
        return True
    slack = abs(high - low) * 1e-6
    ends = tuple(None if end is None else Fraction(end) for end in (tag.eu_low, tag.eu_high))
    return any(
        all(end is None or abs(float(end) - server) <= slack for end, server in zip(candidate, (low, high), strict=True))
        for candidate in _candidates(tag, ends)
    )


def _candidates(tag: Tag, ends: tuple[Fraction | None, ...]) -> Iterator[tuple[Fraction | None, ...]]:
    """Yield the map's range in the units in which a server may state it."""
    slope, intercept = Fraction(1), Fraction(0)
    if tag.source_unit is not None and tag.unit is not None:
        slope, intercept = units.conversion(tag.source_unit, tag.unit)
    yield tuple(None if end is None else (end - intercept) / slope for end in ends)
    if tag.scaling is not None:
        raw = tuple(None if end is None else tag.scaling.raw_of(end) for end in ends)
        yield raw if tag.scaling.slope > 0 else raw[::-1]


def same_unit(first: str, second: str) -> bool:
    """Return True if two ways to write a unit mean the same; unknown ones are the same only to the letter."""
    try:
        return units.between(units.canonical(first), units.canonical(second)) == (Fraction(1), Fraction(0))
    except units.UnitError:
        return units.normal(first) == units.normal(second)
