"""Encodes engineering values into registers, and decodes them again: the simulator's own arithmetic, in decimals."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from config import Tag
from config.grammars.addresses import ModbusAddress, parse

_INTEGERS = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
    "bcd16": (0, 9_999),
    "bcd32": (0, 99_999_999),
}
_FLOAT32 = struct.Struct(">f")
_LARGEST = _FLOAT32.unpack(b"\x7f\x7f\xff\xff")[0]
_BYTES = {"float32": 4, "int32": 4, "uint32": 4, "bcd32": 4, "int64": 8, "uint64": 8, "float64": 8}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The place and form of a tag. size: registers, or 1 for a bit."""

    tag: Tag
    unit: int
    table: str
    offset: int
    size: int
    type: str
    words_reversed: bool
    bytes_exchanged: bool
    bit: int | None
    length: int


def place_of(tag: Tag, byte_order: str) -> Place:
    """Read the tag's address; `byte_order` is the source's."""
    address = parse("modbus", tag.address)
    assert isinstance(address, ModbusAddress)
    is_bit = address.table in ("coil", "discrete") or address.bit is not None
    kind = "bool" if is_bit else address.type or tag.type
    length = address.length or _BYTES.get(kind, 2)
    order = address.order or byte_order
    letters = [order[at : at + 2] for at in range(0, len(order), 2)]  # as on the wire, A the most significant
    long = kind in _BYTES
    return Place(
        tag=tag,
        unit=address.unit,
        table=address.table,
        offset=address.offset,
        size=1 if is_bit else (length + 1) // 2,
        type=kind,
        words_reversed=long and min(letters[0]) > min(letters[-1]),
        bytes_exchanged=letters[0][0] > letters[0][1],
        bit=address.bit,
        length=length,
    )


def raw_of(place: Place, value: Any) -> Any:
    """Find the raw value of the type that is nearest to an engineering value."""
    if place.type == "bool":
        return bool(value)
    if place.type in ("string", "bytes"):
        return value
    number: Fraction | float = float(value) if place.tag.scaling is None and place.type not in _INTEGERS else _unscaled(place.tag, value)
    if place.type in _INTEGERS:
        low, high = _INTEGERS[place.type]
        return min(max(floor(number + Fraction(1, 2)), low), high)
    return float(number) if place.type == "float64" else _FLOAT32.unpack(_FLOAT32.pack(float(number)))[0]


def _unscaled(tag: Tag, value: Any) -> Fraction:
    """Compute the exact raw number of this value."""
    number = Fraction(value) if isinstance(value, int) else Fraction(str(value))
    return number if tag.scaling is None else (number - tag.scaling.intercept) / tag.scaling.slope


def meaning_of(place: Place, raw: Any) -> Any:
    """Compute the engineering value of a raw value, in the form in which entries hold it."""
    scaling = place.tag.scaling
    if place.type == "float32":
        raw = _shortest(raw)
    if scaling is None or place.type not in (*_INTEGERS, "float32", "float64"):
        return str(raw) if place.type in ("int64", "uint64") else raw
    exact = Fraction(raw) * scaling.slope + scaling.intercept
    if place.type in _INTEGERS and scaling.decimals is not None:
        tens = 10**scaling.decimals
        exact = Fraction(_half_up(exact * tens), tens)
    return float(exact)


def _half_up(number: Fraction) -> int:
    """Round to the nearest whole number, halves away from zero."""
    return floor(number + Fraction(1, 2)) if number >= 0 else -floor(-number + Fraction(1, 2))


def _shortest(value: float) -> float:
    """Find the shortest decimal that names this 32-bit float; up to six digits any decimal is named by its own float."""
    packed = _FLOAT32.pack(value)
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _LARGEST and _FLOAT32.pack(short) == packed:
            return short
    return value


def registers_of(place: Place, raw: Any, encoding: str) -> bytes:
    """Encode the registers as they are on the wire."""
    data = _big_endian(place, raw, encoding)
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    if place.words_reversed:
        words.reverse()
    if place.bytes_exchanged:
        words = [word[::-1] for word in words]
    return b"".join(words)


def _big_endian(place: Place, raw: Any, encoding: str) -> bytes:
    kind = place.type
    if kind == "string":
        return str(raw).encode(encoding, "replace")[: place.length].ljust(2 * place.size, b"\0")
    if kind == "bytes":
        return bytes(raw)[: place.length].ljust(2 * place.size, b"\0")
    if kind in ("float32", "float64"):
        return struct.pack(">f" if kind == "float32" else ">d", raw)
    if kind in ("bcd16", "bcd32"):
        return bytes.fromhex(f"{raw:0{4 * place.size}d}")
    if kind in ("int8", "uint8"):
        return int(raw & 0xFF).to_bytes(2, "big")
    return int(raw).to_bytes(2 * place.size, "big", signed=kind.startswith("int"))
