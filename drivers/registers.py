"""Gives the registers back that a number was read from: the other way round than a driver decodes them. Pure.

Whoever has a reading as it is stored and what its tag table says of it (type, address, byte order) has the bytes that came over the wire,
where the number tells all of them. Where it does not, the driver keeps them beside the reading (`drivers.contract.AsRead`), by this very
function: kept is what it would not give back.

Of what a type leaves open the least is assumed: the other bits of a register are 0, a text is filled up with NUL, and so on.
"""

import struct
from array import array
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.grammars.addresses import AddressError, ModbusAddress, parse

_FORMAT = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q", "float32": "f", "float64": "d"}
_EIGHT_BITS = {"uint8": "B", "int8": "b"}
_REGISTERS = {"H": 1, "h": 1, "I": 2, "i": 2, "f": 2, "Q": 4, "q": 4, "d": 4}
_SAME_ORDER = {"AB": "ABCD", "BA": "BADC", "ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}


class Registers(NamedTuple):
    """The registers of one value. kind: its type; size: how many; order: ABCD, CDAB, BADC or DCBA; bit: of one register."""

    kind: str
    size: int
    order: str
    bit: int | None = None
    length: int | None = None


def four_bytes(order: str) -> str:
    """Name the same order as it is written for a value of two registers."""
    return _SAME_ORDER.get(order, order)


def given_back(registers: Registers, number: Any) -> bytes | None:
    """Return the bytes that a number as stored (raw where the map scales) gives back; None for null, and for what this type never is."""
    try:
        return _bytes_of(registers, number)
    except (ValueError, TypeError, OverflowError, struct.error):
        return None


def _bytes_of(of: Registers, number: Any) -> bytes | None:
    if number is None:
        return None
    is_exchanged, is_little = of.order in ("BADC", "CDAB"), of.order in ("DCBA", "CDAB")
    if of.kind in ("string", "bytes") or of.size == 1:  # knows only the order of bytes within a register: its words are never reversed
        is_exchanged, is_little = is_exchanged != is_little, False
    data = _plain(of, number)
    if data is None or len(data) != 2 * of.size:
        return None
    data = data[::-1] if is_little else data
    if not is_exchanged:
        return data
    words = array("H", data)
    words.byteswap()
    return words.tobytes()


def _plain(of: Registers, number: Any) -> bytes | None:
    """The bytes in the order of the specification."""
    if of.kind == "bool":
        return struct.pack(">H", 1 << (of.bit or 0) if number else 0)
    if of.kind == "string":
        text = str(number).encode("ascii")
        return None if b"\0" in text else text.ljust(2 * of.size, b"\0")
    if of.kind == "bytes":
        return b64decode(number, validate=True).ljust(2 * of.size, b"\0")
    if of.kind in ("bcd16", "bcd32"):
        return bytes.fromhex(f"{int(number):0{4 * of.size}d}")
    if of.kind in _EIGHT_BITS:
        return b"\0" + struct.pack(f">{_EIGHT_BITS[of.kind]}", int(number))
    code = _FORMAT[of.kind]
    return struct.pack(f">{code}", float(number) if code in "fd" else int(number))


def place_of(row: Mapping[str, Any]) -> tuple[ModbusAddress, Registers] | None:
    """Return where a tag stands in registers, by its row of a tag table (address, type, byte_order); None if it does not."""
    try:
        address = parse("modbus", row["address"])
    except (AddressError, KeyError):
        return None
    if not isinstance(address, ModbusAddress) or address.table in ("coil", "discrete") or not row.get("byte_order"):
        return None
    kind = "bool" if address.bit is not None else address.type or row["type"]
    size = (address.length + 1) // 2 if address.length else _REGISTERS.get(_FORMAT.get(kind, ""), 2 if kind == "bcd32" else 1)
    return address, Registers(kind, size, row["byte_order"], address.bit, address.length)


def tells_all(registers: Registers) -> bool:
    """Return whether each good value of this type gives its registers back, whatever stood in them."""
    if registers.kind == "bytes":
        return not (registers.length or 0) % 2
    return registers.kind in _FORMAT or registers.kind in ("bcd16", "bcd32")


def as_read(row: Mapping[str, Any], number: Any, kept: Any) -> tuple[bytes, bool] | None:
    """Return the bytes that a reading was read from, and whether they were kept as they came; None where nothing tells them.

    row: of the tag table. number: raw, else the value. kept: the `registers` of the entry that name this tag (address, hex), if any.
    """
    placed = place_of(row)
    if placed is None:
        return None
    address, registers = placed
    if kept is None:
        told = given_back(registers, number)
        return None if told is None else (told, False)
    run = parse("modbus", kept["address"])
    assert isinstance(run, ModbusAddress)
    first = 2 * (address.offset - run.offset)
    return bytes.fromhex(kept["hex"])[first : first + 2 * registers.size], True
