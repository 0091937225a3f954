"""The records that need more than copying: other types, arrays by element, text, times, BCD."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config import Tag
from drivers.contract import BAD, BAD_DECODING, GOOD, Finding, Reading, Value
from drivers.opcua import variant as v
from drivers.opcua.decode import Odd
from drivers.opcua.plan import TYPES, Item, Plan, Tap

BAD_INDEX_RANGE_NO_DATA = 0x80370000
BAD_NO_DATA = 0x809B0000
_ABSENT = object()


class Converter:
    """Turns an Odd into one reading per tag of its item. Findings go to `found`, once per tag."""

    def __init__(self, plan: Plan, tags: Sequence[Tag], found: Callable[[Finding], None]) -> None:
        self._items: Mapping[int, Item] = {item.handle: item for group in plan.groups for item in group.items}
        self._tags, self._found = tags, found
        self._told: set[int] = set()

    def __call__(self, odd: Odd, out: list[Reading]) -> None:
        """Append the readings that this record means."""
        for tap in self._items[odd.handle].taps:
            if odd.status & BAD:
                out.append((tap.tag, None, odd.status, odd.source_ticks, odd.server_ticks))
                continue
            value, status = self._value(odd, tap)
            out.append((tap.tag, value, status or odd.status, odd.source_ticks, odd.server_ticks))

    def _value(self, odd: Odd, tap: Tap) -> tuple[Value, int]:
        """The value and GOOD, or None and a Bad status."""
        number, value = self._taken(odd.type, odd.value, tap)
        if value is _ABSENT:
            return None, BAD_INDEX_RANGE_NO_DATA
        tag = self._tags[tap.tag]
        if number not in TYPES.get(tag.type, ()) and number:
            self._differs(tap.tag, number, tag)
        if value is None:
            return ("", GOOD) if number == v.STRING and tag.type == "string" else (None, BAD_NO_DATA)
        if tag.type in {"bcd16", "bcd32"} and isinstance(value, int):
            return _bcd(value)
        if isinstance(value, (v.Array, v.Raw)):
            return None, BAD_DECODING
        return value, GOOD

    def _taken(self, number: int, value: Any, tap: Tap) -> tuple[int, Any]:
        if tap.index:
            if number == v.BYTESTRING and isinstance(value, bytes) and len(tap.index) == 1:
                number, value = v.BYTE, v.Array(value)
            value = _element(value, tap.index)
        return number, _ABSENT if tap.field else value

    def _differs(self, index: int, number: int, tag: Tag) -> None:
        if index in self._told:
            return
        self._told.add(index)
        name = v.NAMES[number] if number < len(v.NAMES) else str(number)
        text = f"{tag.tag}: the server sends {name}, the map says {tag.type}"
        self._found(Finding("source-type-differs", text, (index,), evidence={"source_type": name, "map_type": tag.type}))


def _element(value: Any, index: tuple[int, ...]) -> Any:
    """One element of an Array, row by row (Part 6, 5.2.2.16)."""
    if not isinstance(value, v.Array):
        return _ABSENT
    dimensions = value.dimensions or (len(value.values),)
    if len(dimensions) != len(index):
        return _ABSENT
    flat = 0
    for position, size in zip(index, dimensions, strict=True):
        if position >= size:
            return _ABSENT
        flat = flat * size + position
    return value.values[flat] if flat < len(value.values) else _ABSENT


def _bcd(value: int) -> tuple[Value, int]:
    digits = f"{value:X}"
    return (int(digits), GOOD) if digits.isdecimal() else (None, BAD_DECODING)
