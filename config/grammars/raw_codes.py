"""Raw values by which a device says that it has no value: `0x8000`, `0x7ffd..0x7fff`, `-9999`, several with `;`.

    codes = span *( ";" span )
    span  = number [ ".." number ]

A number is a decimal one, as the type of the tag holds it, before any scaling. Hexadecimal digits are the bits as they come over the
wire, as many as the type has: 0x8000 of an int16 is -32768, and of an int32 it is an error, because half of its bits are not said.
"""

import math
import struct
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

MAX_CODES = 100

Raw = int | float | Decimal

_WIDTHS = {f"{sign}int{bits}": bits for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"float32": 32, "float64": 64}
_FLOATS = {"float32": struct.Struct(">f"), "float64": struct.Struct(">d")}
_BCD = {"bcd16": 9_999, "bcd32": 99_999_999}


class RawCodesError(ValueError):
    """Not in the grammar, or no value of the type; the text says why."""


@dataclass(frozen=True, slots=True)
class RawCodes:
    """Inclusive spans of raw values. text: as written."""

    text: str
    spans: tuple[tuple[Raw, Raw], ...]

    def __contains__(self, raw: Raw) -> bool:
        return any(first <= raw <= last for first, last in self.spans)

    def __str__(self) -> str:
        return self.text


def parse(text: str, type_name: str) -> RawCodes:
    """Parse the codes of a tag of this type. Raises RawCodesError."""
    parts = [part.strip() for part in text.split(";")]
    if len(parts) > MAX_CODES:
        raise RawCodesError(f"{len(parts)} codes, at most {MAX_CODES} are possible")
    return RawCodes(text, tuple(_span(part, type_name) for part in parts))


def _span(part: str, type_name: str) -> tuple[Raw, Raw]:
    low, dots, high = part.partition("..")
    first = _number(low.strip(), type_name)
    last = _number(high.strip(), type_name) if dots else first
    if first > last:
        raise RawCodesError(f"`{part[:60]}` holds nothing: {first} is above {last}")
    return first, last


def _number(text: str, type_name: str) -> Raw:
    number = _of_bits(text, type_name) if text[:2].lower() == "0x" else _of_digits(text, type_name)
    if not _holds(type_name, number):
        raise RawCodesError(f"`{text[:40]}` is no value of {type_name}")
    return number


def _of_bits(text: str, type_name: str) -> Raw:
    digits = text[2:]
    bits = _WIDTHS.get(type_name)
    if bits is None:
        raise RawCodesError(f"`{text[:40]}`: the bits of {type_name} are no number, write a decimal one")
    try:
        pattern = bytes.fromhex(digits) if len(digits) == bits // 4 else None
    except ValueError:
        pattern = None
    if pattern is None:
        raise RawCodesError(f"`{text[:40]}`: {type_name} has {bits} bits, write 0x and {bits // 4} hexadecimal digits, or a decimal number")
    if type_name not in _FLOATS:
        return int.from_bytes(pattern, "big", signed=not type_name.startswith("u"))
    number = float(_FLOATS[type_name].unpack(pattern)[0])
    if number - number != 0.0:
        raise RawCodesError(f"`{text[:40]}` is infinite or no number, and those are Bad without being named here")
    return number


def _of_digits(text: str, type_name: str) -> Raw:
    try:
        number = Decimal(text) if len(text) <= 60 and text.isascii() and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 400:
        raise RawCodesError(f"`{text[:40]}` is no number: write 0x8000, 32765..32767 or -9999, several with ;")
    if type_name in _FLOATS:
        return _held(text, type_name, number)
    if type_name == "decimal":
        return number
    if number != number.to_integral_value():
        raise RawCodesError(f"`{text[:40]}` is no value of {type_name}")
    return int(number)


def _held(text: str, type_name: str, number: Decimal) -> float:
    """Round to the nearest number that a float of this type holds."""
    try:
        held = float(_FLOATS[type_name].unpack(_FLOATS[type_name].pack(float(number)))[0])
    except OverflowError:
        held = math.inf
    if held - held != 0.0:
        raise RawCodesError(f"`{text[:40]}` is no value of {type_name}")
    return held


def _holds(type_name: str, number: Raw) -> bool:
    """Return True if a raw value of this type can be the number."""
    if type_name in _BCD:
        return 0 <= number <= _BCD[type_name]
    if type_name not in _WIDTHS or type_name in _FLOATS:
        return True
    bits, is_signed = _WIDTHS[type_name], not type_name.startswith("u")
    return -(1 << bits - 1) <= number < 1 << bits - 1 if is_signed else 0 <= number < 1 << bits
