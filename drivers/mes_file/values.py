"""Turns what a record says into the values of tags: exactly, or not at all with the reason. Pure.

What a pattern declares of numbers (`decimal`, `thousands`) is about tags that are numbers; a text stays as it is.
"""

import re
import struct
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from typing import Any

from drivers.contract import BAD_DECODING, BAD_NO_DATA, GOOD, UNFORESEEN, Reading, Value, crashed
from drivers.exact_json import exact_json
from drivers.mes_file.formats import Record
from drivers.mes_file.settings import Pattern
from drivers.rows import typed

NUMBERS = ("int", "uint", "bcd", "float", "decimal")
MOST_DIGITS = 400
"""Of an exponent's value too: the largest float64 has 309 digits."""
_FLOAT32 = struct.Struct("<f")
_LARGEST_FLOAT32 = 3.4028234663852886e38
_SPACES = " \u00a0\u202f"
"""A space between groups of digits is often one that breaks no line: U+00A0, U+202F."""


class Unreadable(ValueError):
    """The value can not be what the tag's type says; the text says why."""


Column = tuple[int, str, str]
"""(index of the tag, column, declared type)"""


def readings(columns: Iterable[Column], record: Record, ticks: int | None, pattern: Pattern) -> tuple[list[Reading], dict[int, str]]:
    """Return one reading per mapped tag, and why a value could not be read. A column that is not there, or empty, has no value."""
    made: list[Reading] = []
    why: dict[int, str] = {}
    for index, column, kind in columns:
        value = record.get(column)
        if value is None or (value == "" and kind != "string"):
            made.append((index, None, BAD_NO_DATA, ticks, None))
            continue
        try:
            made.append((index, read(value, kind, pattern), GOOD, ticks, None))
        except (ValueError, OverflowError, ArithmeticError) as error:
            made.append((index, None, BAD_DECODING, ticks, None))
            why[index] = f"{str(exact_json(plain(value)))[:80]!r} in column {column!r}: {error}"
        except UNFORESEEN as error:  # one value's, whatever it is
            made.append((index, None, BAD_DECODING, ticks, None))
            why[index] = f"column {column!r}: {crashed(error)}"
    return made, why


def read(value: Any, kind: str, pattern: Pattern) -> Value:
    """Read one value as the tag's type. Raises ValueError, Unreadable, ArithmeticError."""
    if not kind.startswith(NUMBERS):
        return typed(plain(value), kind)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Unreadable("no number")
    number = value if isinstance(value, int) else number_of(str(value), "." if isinstance(value, Decimal) else pattern.decimal, pattern)
    if kind == "decimal":
        return Decimal(number)
    return _float(Decimal(number), kind) if kind.startswith("float") else _integer(Decimal(number))


def number_of(text: str, point: str, pattern: Pattern) -> Decimal:
    """Read a number as it is written, digit by digit. Raises Unreadable."""
    plain_text = text.strip().strip(_SPACES)
    found = _grammar(point, pattern.thousands).fullmatch(plain_text)
    if found is None:
        raise Unreadable(_reason(plain_text, point, pattern.thousands))
    digits = re.sub(r"[^0-9]", "", found["whole"]) + (f".{found['part']}" if found["part"] else "")
    power = int(found["power"] or 0)
    if abs(power) > MOST_DIGITS or len(digits) > MOST_DIGITS:
        raise Unreadable("more digits than a number has here")
    return Decimal(f"{found['sign']}{digits}E{power}") if power else Decimal(f"{found['sign']}{digits}")


@cache
def _grammar(point: str, thousands: str | None) -> re.Pattern[str]:
    whole = "[0-9]+"
    if thousands is not None:
        whole = rf"[0-9]+|[0-9]{{1,3}}(?:[{re.escape(_SPACES if thousands == ' ' else thousands)}][0-9]{{3}})+"
    return re.compile(rf"(?P<sign>[+-]?)(?P<whole>{whole})(?:{re.escape(point)}(?P<part>[0-9]*))?(?:[eE](?P<power>[+-]?[0-9]{{1,4}}))?")


def _reason(text: str, point: str, thousands: str | None) -> str:
    for other, key in ((".", 'decimal = "."'), (",", 'decimal = ","')):
        if other in text and other not in (point, thousands):
            return (
                f"no number: {other!r} is neither its decimal point nor between thousands here; declare {key} or thousands of the pattern"
            )
    return "no number"


def _integer(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise Unreadable("no integer")
    return int(number)


def _float(number: Decimal, kind: str) -> float:
    """Return the float that the digits denote. Raises Unreadable where it would be written with others: in JSON, by its shortest digits."""
    value = float(number)
    if Decimal(_shortest_float32(value) if kind == "float32" else repr(value)) != number:
        raise Unreadable(f"{len(number.normalize().as_tuple().digits)} digits are more than {kind} holds: declare the tag as decimal")
    return value


def _shortest_float32(value: float) -> str:
    """Write the fewest digits that restore this number as 32 bits; nine always do. Raises OverflowError."""
    packed = _FLOAT32.pack(value)
    (stored,) = _FLOAT32.unpack(packed)
    for digits in range(1, 9):
        text = f"{stored:.{digits}g}"
        if abs(float(text)) <= _LARGEST_FLOAT32 and _FLOAT32.pack(float(text)) == packed:
            return text
    return f"{stored:.9g}"


def plain(value: Any) -> Any:
    """Make of a value what a message holds: a Decimal as a number where JSON has it exactly, else as its text."""
    if isinstance(value, Decimal):
        number = float(value) if abs(value.adjusted()) < MOST_DIGITS else 0.0
        return number if Decimal(repr(number)) == value else str(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def row_of(record: Record) -> dict[str, Any]:
    """Make of a record the row of a message: what JSON holds exactly."""
    return {name: exact_json(plain(value)) for name, value in record.items()}
