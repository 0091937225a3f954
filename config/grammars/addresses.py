"""The address grammars of tags.csv, one per kind of driver. Pure: no network, no files.

`parse(driver, text)` gives an address object, `format(driver, address)` a text that parses to an equal one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from config.grammars.address_error import AddressError
from config.grammars.modbus_address import ModbusAddress, modbus_text, parse_modbus
from config.grammars.opcua_address import OpcUaAddress, opcua_text, parse_opcua

__all__ = [
    "Address",
    "AddressError",
    "FileAddress",
    "ModbusAddress",
    "OpcUaAddress",
    "OtherAddress",
    "SerialAddress",
    "SqlAddress",
    "format",
    "parse",
]

MAX_LENGTH = 4096  # OPC UA Part 3, 8.2.4: a string identifier has at most 4,096 characters


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A field of a serial instrument's answer: weight, stable, ..."""

    field: str


@dataclass(frozen=True, slots=True)
class SqlAddress:
    """A column of a query."""

    query: str
    column: str


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A column, field or element of the records of a file pattern; `query` is the pattern's name."""

    query: str
    column: str


@dataclass(frozen=True, slots=True)
class OtherAddress:
    """An address of a driver whose own package has the grammar."""

    text: str


Address = OpcUaAddress | ModbusAddress | SerialAddress | SqlAddress | FileAddress | OtherAddress


def parse(driver: str, text: str) -> Address:
    """Parse an address by the grammar of its driver. Raises AddressError."""
    if not text:
        raise AddressError("the address is empty")
    if len(text) > MAX_LENGTH:
        raise AddressError(f"longer than {MAX_LENGTH} characters")
    if any(ord(character) < 32 for character in text):
        raise AddressError("a control character stands in it")
    return _PARSERS.get(driver, OtherAddress)(text)


def format(driver: str, address: Any) -> str:  # noqa: A001 - the pair of parse
    """Write an address as text that parses to an equal one."""
    return _FORMATS[driver](address) if driver in _FORMATS else str(address.text)


_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_DOTTED = re.compile(r"(?P<head>[A-Za-z0-9_-]{1,100})\.(?P<column>[^\x00-\x1f]{1,200})")


def _serial(text: str) -> SerialAddress:
    if not _FIELD.fullmatch(text):
        raise AddressError("a field of the instrument's answer is meant, as in weight or stable")
    return SerialAddress(text)


def _dotted(text: str, example: str) -> tuple[str, str]:
    match = _DOTTED.fullmatch(text)
    if match is None or match["column"] != match["column"].strip():
        raise AddressError(f"write {example}")
    return match["head"], match["column"]


def _sql(text: str) -> SqlAddress:
    return SqlAddress(*_dotted(text, "query.column, as in orders.batch_no"))


def _file(text: str) -> FileAddress:
    return FileAddress(*_dotted(text, "pattern.column, as in results.lod"))


_PARSERS: dict[str, Callable[[str], Address]] = {
    "opcua": parse_opcua,
    "modbus": parse_modbus,
    "serial": _serial,
    "mes_sql": _sql,
    "mes_file": _file,
}
_FORMATS: dict[str, Callable[[Any], str]] = {
    "opcua": opcua_text,
    "modbus": modbus_text,
    "serial": lambda address: str(address.field),
    "mes_sql": lambda address: f"{address.query}.{address.column}",
    "mes_file": lambda address: f"{address.query}.{address.column}",
}
