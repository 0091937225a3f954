"""Modbus addresses: unit, table and offset, or a Modicon number; type, order and bit (Modbus Application Protocol V1.1b3)."""

import re
from dataclasses import dataclass
from typing import Literal

from config.grammars.address_error import AddressError

Table = Literal["coil", "discrete", "input", "holding"]


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """Registers or a bit of a unit.

    offset: from 0, as on the wire. type, order: None if the address names none. length: characters of a string, bytes of a bytes value.
    bit: 0 is the least significant.
    """

    unit: int
    table: Table
    offset: int
    type: str | None = None
    order: str | None = None
    bit: int | None = None
    length: int | None = None

    @property
    def registers(self) -> int:
        """Number of registers (of coils or inputs: bits) that the value takes; 1 if the address names no type."""
        return 1 if self.type is None else registers_of(self.type, self.length)


_TABLES: dict[str, Table] = {"coil": "coil", "discrete": "discrete", "input": "input", "holding": "holding"}


_MODICON: dict[str, Table] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}


_MODBUS = re.compile(
    r"(?P<unit>[0-9]{1,3})/(?:(?P<table>[a-z]+)/(?P<offset>[0-9]{1,5})|(?P<modicon>[0-9]{1,7}))"
    r"(?::(?P<type>[a-z]+[0-9]*)(?::(?P<order>[A-H]+))?)?(?:\.(?P<bit>[0-9]{1,2}))?"
)


_REGISTERS = {"int16": 1, "uint16": 1, "bcd16": 1, "int32": 2, "uint32": 2, "float32": 2, "bcd32": 2, "int64": 4, "uint64": 4, "float64": 4}


_ORDERS = {
    1: frozenset({"AB", "BA"}),
    2: frozenset({"ABCD", "CDAB", "BADC", "DCBA"}),
    4: frozenset({"ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"}),
}


_MAX_REGISTERS = 125  # of one request: Modbus Application Protocol V1.1b3, 6.3


def registers_of(type_name: str, length: int | None = None) -> int:
    """Count the registers of a type: float32 has 2, a string with 16 characters 8."""
    if type_name in ("string", "bytes"):
        return ((length or 0) + 1) // 2
    return _REGISTERS.get(type_name, 1)


def parse_modbus(text: str) -> ModbusAddress:
    """Parse `1/holding/99:float32:CDAB` (from 0) or `1/400100:float32:CDAB` (Modicon, from 1); `.5` is a bit. Raises AddressError."""
    match = _MODBUS.fullmatch(text)
    if match is None:
        raise AddressError("write unit/table/offset as in 1/holding/99:float32:CDAB, or unit/number as in 1/400100:float32")
    unit = int(match["unit"])
    if unit > 255:
        raise AddressError(f"unit {unit} is above 255")
    table, offset = _modicon(match["modicon"]) if match["modicon"] else _table(match["table"], match["offset"])
    kind, length = _modbus_type(match["type"])
    address = ModbusAddress(unit, table, offset, kind, match["order"], int(match["bit"]) if match["bit"] else None, length)
    _check_modbus(address)
    return address


def _table(name: str, offset: str) -> tuple[Table, int]:
    if name not in _TABLES:
        raise AddressError(f"table `{name}`: coil, discrete, input or holding is meant")
    if int(offset) > 65_535:
        raise AddressError(f"offset {offset} is above 65535")
    return _TABLES[name], int(offset)


def _modicon(number: str) -> tuple[Table, int]:
    """Parse a Modicon number of 5 or 6 digits, from 1, into (table, offset from 0).

    Fewer digits have lost zeros, mostly in a spreadsheet: 1/1 may be a coil or nothing.
    """
    if len(number) not in (5, 6):
        raise AddressError(f"`{number}` has {len(number)} digits, a Modicon number has 5 or 6 (lost zeros?); or write 1/holding/99, from 0")
    if number[0] not in _MODICON:
        raise AddressError(f"`{number}` begins with {number[0]}: 0 coil, 1 discrete, 3 input, 4 holding are meant")
    position = int(number[1:])
    if not 1 <= position <= 65_536:
        raise AddressError(f"`{number}`: Modicon numbers count from 1 to 65536")
    return _MODICON[number[0]], position - 1


def _modbus_type(text: str | None) -> tuple[str | None, int | None]:
    if text is None:
        return None, None
    sized = re.fullmatch(r"(string|bytes)([0-9]{0,3})", text)
    if sized is not None:
        if not sized[2] or int(sized[2]) == 0:
            raise AddressError(f"`{sized[1]}` needs a length in {'characters' if sized[1] == 'string' else 'bytes'}, as in {sized[1]}16")
        return sized[1], int(sized[2])
    if text not in _REGISTERS and text != "bool":
        raise AddressError(f"type `{text}` does not exist in Modbus: {', '.join(['bool', *_REGISTERS])}, string16 or bytes16 are meant")
    return text, None


def _check_modbus(address: ModbusAddress) -> None:
    if address.table in ("coil", "discrete"):
        if address.type not in (None, "bool") or address.bit is not None:
            raise AddressError(f"a {address.table} is one bit: neither a type but bool, nor a bit number, can stand there")
        return
    if address.bit is not None and (address.bit > 15 or address.type not in (None, "uint16", "bool")):
        raise AddressError(f"bit {address.bit}: bits 0 to 15 of one uint16 register can be named")
    if address.type == "bool" and address.bit is None:
        raise AddressError("a register is no bool: name its bit, as in 1/holding/20.5")
    if address.registers > _MAX_REGISTERS:
        raise AddressError(f"{address.registers} registers, one request carries at most {_MAX_REGISTERS}")
    if address.offset + address.registers > 65_536:
        raise AddressError("it reaches beyond register 65535")
    if address.order is not None:
        _check_order(address)


def _check_order(address: ModbusAddress) -> None:
    sized = address.type in ("string", "bytes")
    allowed = _ORDERS[1] if sized or address.type is None else _ORDERS[address.registers]
    if address.order not in allowed:
        raise AddressError(f"byte order `{address.order}`: {', '.join(sorted(allowed, key=lambda o: (len(o), o)))} fit {address.type}")


def modbus_text(address: ModbusAddress) -> str:
    """Write an address so that `parse_modbus` reads an equal one."""
    text = f"{address.unit}/{address.table}/{address.offset}"
    if address.type is not None:
        text += f":{address.type}{address.length or ''}"
    if address.order is not None:
        text += f":{address.order}"
    return text if address.bit is None else f"{text}.{address.bit}"
