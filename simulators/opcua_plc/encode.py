"""The simulated PLC's own binary encoding, written from Part 6 alone, so that a bug of the gateway's decoder is not made twice."""

import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from math import floor
from typing import Any

from config import Tag

TYPE_NUMBERS = {
    "bool": 1,
    "int8": 2,
    "uint8": 3,
    "int16": 4,
    "uint16": 5,
    "int32": 6,
    "uint32": 7,
    "int64": 8,
    "uint64": 9,
    "float32": 10,
    "float64": 11,
    "string": 12,
    "datetime": 13,
    "guid": 14,
    "bytes": 15,
    "localized": 21,
    "bcd16": 5,
    "bcd32": 7,
}
_LETTERS = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d", 19: "I"}
_SCALARS: dict[int, Callable[[Any], bytes]] = {number: struct.Struct("<" + letter).pack for number, letter in _LETTERS.items()}
_RANGES = {
    f"{sign}int{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) if not sign else (0, (1 << bits) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
_RANGES |= {"bcd16": (0, 9_999), "bcd32": (0, 99_999_999)}
FIRST = {"bool": False, "string": "", "bytes": b"", "datetime": datetime(1970, 1, 1, tzinfo=UTC)}
"""What a variable holds before the process has set it, where that is not 0."""
UNIX_IN_1601 = 116_444_736_000_000_000


def raw_of(tag: Tag, value: Any) -> Any:
    """Find the raw value of the tag's type that is nearest to an engineering value."""
    if value is None or tag.type in {"string", "bytes", "datetime"}:
        return value
    if tag.type == "bool":
        return bool(value)
    number = Fraction(str(value))
    if tag.scaling is not None:
        number = (number - tag.scaling.intercept) / tag.scaling.slope
    if tag.type in _RANGES:
        low, high = _RANGES[tag.type]
        return min(max(floor(number + Fraction(1, 2)), low), high)
    return float(number) if tag.type == "float64" else struct.unpack("<f", struct.pack("<f", float(number)))[0]


def meaning_of(tag: Tag, raw: Any) -> Any:
    """Compute the engineering value of a raw value, in the form in which entries hold it."""
    if raw is None:
        return None
    if tag.type == "float32":
        raw = shortest(raw)
    if tag.scaling is None or tag.type in {"bool", "string", "bytes", "datetime"}:
        return str(raw) if tag.type in {"int64", "uint64"} else raw
    exact = Fraction(raw) * tag.scaling.slope + tag.scaling.intercept
    if tag.type in _RANGES and tag.scaling.decimals is not None:
        tens = 10**tag.scaling.decimals
        scaled = exact * tens
        exact = Fraction(floor(scaled + Fraction(1, 2)) if scaled >= 0 else -floor(-scaled + Fraction(1, 2)), tens)
    return float(exact)


def shortest(value: float) -> float:
    """Find the shortest decimal that names this 32-bit float."""
    packed = struct.pack("<f", value)
    return next((short for digits in range(1, 10) if struct.pack("<f", short := float(f"{value:.{digits}g}")) == packed), value)


def scalar(number: int, value: Any) -> bytes:
    """Encode one value without its type byte (Part 6, 5.2.2)."""
    if number in _SCALARS:
        return _SCALARS[number](value)
    if number == 12:
        return octets(None if value is None else value.encode("utf-8", "surrogateescape"))
    if number == 13:
        return struct.pack("<q", filetime(value))
    if number == 14:
        return uuid.UUID(value).bytes_le
    if number == 15:
        return octets(value)
    if number == 21:
        return b"\x02" + octets(value.encode())
    raise ValueError(number)


def octets(value: bytes | None) -> bytes:
    """Encode a length and the bytes; -1 for null."""
    return b"\xff\xff\xff\xff" if value is None else struct.pack("<i", len(value)) + value


def filetime(value: datetime) -> int:
    """Convert an instant into 100-ns units since 1601."""
    since = value - datetime(1601, 1, 1, tzinfo=value.tzinfo)
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


def variant(number: int, value: Any) -> bytes:
    """Encode a Variant: a scalar, or an array for a list. None is the null Variant."""
    if value is None and number != 12:
        return b"\x00"
    if isinstance(value, (list, tuple)):
        return bytes([number | 0x80]) + struct.pack("<i", len(value)) + b"".join(scalar(number, element) for element in value)
    if number == 22:
        return bytes(value)  # a ready-made ExtensionObject with its type byte
    return bytes([number]) + scalar(number, value)


def bcd(value: int) -> int:
    """Encode 45 as 0x45."""
    return int(str(value), 16)


def data_value(variant_bytes: bytes, status: int, source: int | None, server: int | None) -> bytes:
    """Encode a DataValue; Good is left out, and so is the value of a Bad one. Times are ticks since 1970."""
    mask, tail = 0, b""
    if not status & 0x80000000:
        mask, tail = 1, variant_bytes
    if status:
        mask |= 2
        tail += struct.pack("<I", status)
    if source is not None:
        mask |= 4
        tail += struct.pack("<q", source + UNIX_IN_1601)
    if server is not None:
        mask |= 8
        tail += struct.pack("<q", server + UNIX_IN_1601)
    return bytes([mask]) + tail
