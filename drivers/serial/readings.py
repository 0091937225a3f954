"""From the fields of an answer to readings of the tags. Pure."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from config import Tag
from config.grammars.addresses import SerialAddress, parse
from drivers.contract import BAD_CONFIGURATION, BAD_DECODING, GOOD, Reading, Value
from drivers.serial.answer import NOT_SUPPORTED, Answer

NUMBERS = ("decimal", "float64", "float32")
DIMENSIONLESS = "1"
SERIAL_NUMBER = "serial_number"
_NUMBER = re.compile(r"([+-]?) *([0-9]{1,15}(?:\.[0-9]{1,12})?)")


class Fields:
    """The fields that the tags of one source take, and the unit that each must be in."""

    def __init__(self, tags: Sequence[Tag], units: Mapping[str, str], decimal: str = ".") -> None:
        """units: field -> the field that names its unit, as the dialect says it. decimal: the decimal sign of numbers."""
        self._tags, self._decimal = tags, decimal
        self.names = [field_of(tag) for tag in tags]
        self._units = _units_of_tags(tags, self.names, units)

    def readings(self, answer: Answer, serial_number: str | None) -> list[Reading]:
        """Give one reading per tag. A number in another unit than the map's, or a text that is no number, is null and Bad."""
        others = {index for index, _ in self.in_other_unit(answer)}
        return [self._reading(index, answer, serial_number, is_other=index in others) for index in range(len(self._tags))]

    def in_other_unit(self, answer: Answer) -> list[tuple[int, str]]:
        """List the numbers that are in another unit than the map's: (tag, unit as the instrument names it)."""
        said = ((index, answer.fields[name][0]) for index, name in self._units.items())
        return [(index, str(unit)) for index, unit in said if unit is not None and unit != unit_of(self._tags[index])]

    def has_unit(self, index: int, answer: Answer) -> bool:
        """Return whether a number came with a unit, so that it can be compared."""
        return answer.fields[self._units[index]][0] is not None

    def _reading(self, index: int, answer: Answer, serial_number: str | None, *, is_other: bool) -> Reading:
        tag, field = self._tags[index], self.names[index]
        if field == SERIAL_NUMBER:
            return index, serial_number, GOOD if serial_number is not None else NOT_SUPPORTED, None, None
        value, status = answer.fields[field]
        if is_other:
            return index, None, BAD_CONFIGURATION, None, None
        if value is None:
            return index, None, status, None, None
        typed = _typed(tag.type, value, self._decimal)
        return index, typed, BAD_DECODING if typed is None else status, None, None


def _units_of_tags(tags: Sequence[Tag], names: Sequence[str], units: Mapping[str, str]) -> dict[int, str]:
    """Map each number to the field that names its unit.

    A unit belongs to the number beside it, and to all numbers that the map gives the same unit as that one: gross, tare and net of one
    line share it, a running number or a pH does not. Where no tag takes the number beside it, it belongs to all that have a unit.
    """
    numbers = [index for index, tag in enumerate(tags) if names[index] == "weight" or tag.type in NUMBERS]
    owners = {index: units[names[index]] for index in numbers if names[index] in units}
    for unit in set(units.values()):
        alike = {unit_of(tags[index]) for index, its in owners.items() if its == unit}
        for index in numbers:
            if index not in owners and (unit_of(tags[index]) in alike if alike else unit_of(tags[index]) != DIMENSIONLESS):
                owners[index] = unit
    return {index: unit for index, unit in owners.items() if unit_of(tags[index]) is not None}


def field_of(tag: Tag) -> str:
    """The field that a tag's address names. Raises AddressError."""
    address = parse("serial", tag.address)
    assert isinstance(address, SerialAddress)
    return address.field


def unit_of(tag: Tag) -> str | None:
    """The tag's unit as the instrument writes it."""
    return tag.source_unit or tag.unit


def _typed(kind: str, value: Value, decimal: str) -> Value:
    """Convert a field into the tag's type; None for a text that is no number with this decimal sign."""
    if kind not in NUMBERS or isinstance(value, bool):
        return str(value) if isinstance(value, Decimal) else value
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value if decimal == "." else value.replace(".", " ").replace(decimal, "."))
        if match is None:
            return None
        value = Decimal(match[1] + match[2])
    assert isinstance(value, Decimal)
    return value if kind == "decimal" else float(value)
