"""Normalises the readings of a list by column: what a list is, of which no value asks to be looked at. Pure, but for what is given to it.

Each kind of tag has one function over all its values of a list, which gives the values as they are stored, or None in doubt: then the
list goes the plain way, value by value (`poll_filter`), which alone says what is wrong with a value. What is taken here, is taken there
in the same way (tests/gateway/intake/test_by_column_property.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap
from math import isfinite
from operator import itemgetter, le
from typing import Any, NamedTuple

from config import CodeTable, Tag
from drivers.columns import Columns, Tags
from drivers.contract import UNFORESEEN
from gateway.intake.normalise import LONGEST_TEXT_BYTES, RANGES, Normalise, float64, normaliser, shortest_float32s

Take = Callable[[Sequence[Any]], "tuple[Sequence[Any], Sequence[Any] | None] | None"]
"""(values as they are stored, their raw values where the tags have such); None in doubt."""
_NEVER = object()


@dataclass(frozen=True, slots=True)
class Stored:
    """What of a list is stored, by column, all of it Good. raw: None if there is none; source, server: ticks.

    bounds: earliest and latest source time of the list, None where nobody has looked.
    """

    tags: Tags
    values: Sequence[Any]
    raw: Sequence[Any] | None
    source: Sequence[int] | None
    server: Sequence[int] | None
    bounds: tuple[int, int] | None = None


class Group(NamedTuple):
    """Tags of one kind among those of a list. places: where, as what a list is sliced by, or one by one."""

    places: slice | tuple[int, ...]
    take: Take

    def of(self, values: Sequence[Any]) -> Sequence[Any]:
        """Pick the values of the group."""
        return values[self.places] if isinstance(self.places, slice) else itemgetter(*self.places)(values)

    def put(self, values: list[Any], part: Sequence[Any]) -> None:
        """Put the group's values back."""
        if isinstance(self.places, slice):
            values[self.places] = part
            return
        for place, value in zip(self.places, part, strict=True):
            values[place] = value


class Kinds:
    """The tags of one source by kind, for any tuple of them."""

    def __init__(self, tags: Sequence[Tag], signals: frozenset[int], codes: Mapping[str, CodeTable]) -> None:
        """signals: tags at whose change a list is cut."""
        self._tags, self._signals, self._codes = tags, signals, codes
        self._norms = [normaliser(tag, codes) or float64 for tag in tags]

    def groups(self, tags: Tags) -> tuple[Group, ...]:
        """Sort the tags of a list by kind."""
        places: dict[str, list[int]] = {}
        for place, index in enumerate(tags):
            places.setdefault(_kind(self._tags[index]), []).append(place)
        return tuple(Group(_as_slice(found), self._take(kind, [tags[place] for place in found])) for kind, found in places.items())

    def signals(self, tags: Tags) -> tuple[tuple[int, int], ...]:
        """Give (place, tag) of the context signals among the tags of a list."""
        return tuple((place, index) for place, index in enumerate(tags) if index in self._signals)

    def _take(self, kind: str, tags: Sequence[int]) -> Take:
        plain = _each([self._norms[index] for index in tags]) if kind == "" else _PLAIN[kind]
        spans = [None if kind == "" else self._tags[index].raw_range for index in tags]
        return plain if not any(spans) else _within(plain, [s[0] if s else -_FAR for s in spans], [s[1] if s else _FAR for s in spans])


def normalised(groups: Sequence[Group], readings: Columns) -> Stored | None:
    """Give what is stored of a list whose tags are sorted into groups; None in doubt."""
    values, raw = readings.values, None
    for group in groups:
        part = group.of(readings.values)
        try:
            taken = group.take(part)
        except UNFORESEEN:
            return None
        if taken is None:
            return None
        if taken[0] is not part:
            if values is readings.values:
                values = list(values)
            group.put(values, taken[0])  # type: ignore[arg-type] # made a list above
        if taken[1] is not None:
            raw = [None] * len(values) if raw is None else raw
            group.put(raw, taken[1])
    return Stored(readings.tags, values, raw, readings.source, readings.server, readings.bounds)


def stands(signals: Sequence[tuple[int, int]], stored: Stored, last: Mapping[int, Any]) -> bool:
    """True if no context signal of a list changes, and the list is in time: then it is not cut, and stays as it came."""
    if any(last.get(index, _NEVER) != (stored.values[place], False) for place, index in signals):
        return False
    return not signals or stored.source is None or all(starmap(le, pairwise(stored.source)))


def _kind(tag: Tag) -> str:
    """Name the kind of a tag that is taken as a column, "" for one whose values are scaled, or looked up, each by itself."""
    if tag.scaling is not None or tag.codes is not None or tag.not_available is not None:
        return ""
    kind = "string" if tag.type.startswith("string") else tag.type
    return kind if kind in _PLAIN else ""


def _as_slice(places: Sequence[int]) -> slice | tuple[int, ...]:
    step = places[1] - places[0] if len(places) > 1 else 1
    if list(places) == list(range(places[0], places[-1] + 1, step)):
        return slice(places[0], places[-1] + 1, step)
    return tuple(places)


def _each(norms: Sequence[Normalise]) -> Take:
    """Take values one by one, each as its tag is declared."""

    def take(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any] | None] | None:
        numbers, raws, statuses, codes = zip(*[norm(value, 0) for norm, value in zip(norms, values, strict=True)], strict=True)
        if any(statuses) or codes.count(None) != len(codes):
            return None
        return numbers, raws if raws.count(None) != len(raws) else None

    return take


def _within(plain: Take, firsts: Sequence[Any], lasts: Sequence[Any]) -> Take:
    """Take values that lie within their instruments' ranges, both ends inclusive."""

    def take(values: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any] | None] | None:
        taken = plain(values)
        return taken if taken is not None and all(map(le, firsts, values)) and all(map(le, values, lasts)) else None

    return take


def _integers(low: int, high: int, *, as_text: bool) -> Take:
    def take(values: Sequence[Any]) -> tuple[Sequence[Any], None] | None:
        if set(map(type, values)) != {int} or min(values) < low or max(values) > high:
            return None
        return (list(map(str, values)) if as_text else values), None

    return take


def _floats(values: Sequence[Any]) -> tuple[Sequence[Any], None] | None:
    return (values, None) if set(map(type, values)) == {float} and isfinite(sum(values)) else None


def _floats32(values: Sequence[Any]) -> tuple[Sequence[Any], None] | None:
    return None if _floats(values) is None else (shortest_float32s(values), None)


def _bools(values: Sequence[Any]) -> tuple[Sequence[Any], None] | None:
    return (values, None) if set(map(type, values)) == {bool} else None


def _texts(values: Sequence[Any]) -> tuple[Sequence[Any], None] | None:
    if set(map(type, values)) != {str} or max(map(len, values)) * 6 > LONGEST_TEXT_BYTES:
        return None
    "".join(values).encode()  # raises where there is half a surrogate pair
    return values, None


_FAR = float("inf")
_PLAIN: dict[str, Take] = {
    "float64": _floats,
    "float32": _floats32,
    "bool": _bools,
    "string": _texts,
    "bcd16": _integers(0, 9_999, as_text=False),
    "bcd32": _integers(0, 99_999_999, as_text=False),
} | {kind: _integers(low, high, as_text=kind.endswith("64")) for kind, (low, high) in RANGES.items()}
