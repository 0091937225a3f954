"""The address grammars of tags.csv, one per kind of driver. Pure: no network, no files.

`parse(driver, text)` gives an address object, `format(driver, address)` a text that parses to an equal one.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

MAX_LENGTH = 4096  # OPC UA Part 3, 8.2.4: a string identifier has at most 4,096 characters

Table = Literal["coil", "discrete", "input", "holding"]


class AddressError(ValueError):
    """The address is no sentence of its grammar; the text gives the reason and, where there is one, the way out."""


@dataclass(frozen=True, slots=True)
class OpcUaAddress:
    """A NodeId or a browse path, perhaps one element of its array value and one field of its structure.

    The namespace is one of: `namespace` (a short name of the source's `namespaces`), `namespace_uri`, `namespace_index` (0 where none is
    written). index: array position, one number per dimension. field: path into a structure; a step "[3]" is an element of an array in it.
    kind "path": identifier holds (namespace, name) for each browse name from the Objects folder on; namespace is a short name, or an index
    written in digits ("0" where none is written); the namespace members are then empty.
    """

    kind: Literal["i", "s", "g", "b", "path"]
    identifier: int | str | UUID | bytes | tuple[tuple[str, str], ...]
    namespace: str | None = None
    namespace_uri: str | None = None
    namespace_index: int | None = None
    index: tuple[int, ...] = ()
    field: tuple[str, ...] = ()

    @property
    def is_fragile(self) -> bool:
        """A bare namespace index may mean another namespace after the server's next start (Part 3, 8.2.2)."""
        if isinstance(self.identifier, tuple):
            return any(prefix.isdigit() and prefix != "0" for prefix, _ in self.identifier)
        return bool(self.namespace_index)

    @property
    def short_names(self) -> tuple[str, ...]:
        """The short names that it needs from the source's `namespaces`, each once."""
        if isinstance(self.identifier, tuple):
            return tuple(dict.fromkeys(prefix for prefix, _ in self.identifier if not prefix.isdigit()))
        return () if self.namespace is None else (self.namespace,)

    @property
    def node(self) -> "OpcUaAddress":
        """The node alone, without element and field."""
        return replace(self, index=(), field=())


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """Registers or a bit of a unit. offset: from 0, as on the wire. type, order: None where the address does not say.

    length: characters of a string, bytes of a bytes value. bit: 0 is the least significant.
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
        """How many registers (coils or inputs: bits) the value takes; 1 where the address names no type."""
        return 1 if self.type is None else registers_of(self.type, self.length)


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
    """An address of a driver whose grammar stands in its own package."""

    text: str


Address = OpcUaAddress | ModbusAddress | SerialAddress | SqlAddress | FileAddress | OtherAddress


def parse(driver: str, text: str) -> Address:
    """Read an address as the driver's grammar says. Raises AddressError."""
    if not text:
        raise AddressError("the address is empty")
    if len(text) > MAX_LENGTH:
        raise AddressError(f"longer than {MAX_LENGTH} characters")
    if any(ord(character) < 32 for character in text):
        raise AddressError("a control character stands in it")
    return _PARSERS.get(driver, OtherAddress)(text)


def format(driver: str, address: Any) -> str:  # noqa: A001 - the pair of parse
    """The text that parses to an equal address."""
    return _FORMATS[driver](address) if driver in _FORMATS else str(address.text)


# ---- OPC UA ------------------------------------------------------------------------------------------------------------------------

_NAMESPACE = re.compile(r"nsu=(?P<uri>[^;]*);|ns=(?P<index>[0-9]+);|(?P<short>[A-Za-z][A-Za-z0-9_-]*):(?=[isgb]=)")
_STEP = r"\[[0-9]{1,9}(?:,[0-9]{1,9})*\]"
_MEMBER = r"[^\W\d][\w .-]*"
_SUFFIX = re.compile(rf"#(?:(?P<end>/)|(?P<index>{_STEP})?(?P<field>(?:/{_MEMBER}(?:/?{_STEP})?)*))$")
_FIELD_STEP = re.compile(rf"{_STEP}|{_MEMBER}")
_PREFIX = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z0-9_-]*|[0-9]{1,5}):(?=.)")
_SMART_QUOTES = re.compile("[\u201c\u201d\u201e\u00ab\u00bb]")


def _opcua(text: str) -> OpcUaAddress:
    """`plc:s="DB"."Speed"`, `nsu=urn:x;i=7`, `ns=2;s=..`, `i=2258`, `path=/plc:DB/plc:Speed`; then `#[3]`, `#/Pv` or `#/Items[3]/Pv`.

    An identifier that itself ends like such a suffix is closed by `#/`.
    """
    if text.startswith("path="):
        index, field, body = _suffix(text[5:])
        return OpcUaAddress("path", _browse_path(body), index=index, field=field)
    head = _NAMESPACE.match(text)
    body = text[head.end() :] if head else text
    index, field, body = _suffix(body)
    if len(body) < 3 or body[1] != "=" or body[0] not in "isgb":
        raise AddressError("an identifier i=, s=, g= or b= is missing, as in plc:s=Name or nsu=urn:example;i=7")
    named = head.groupdict() if head else {}
    if head and named["uri"] == "":
        raise AddressError("nsu= needs a namespace URI")
    number = int(named["index"]) if named.get("index") else None
    if number is not None and number > 65_535:
        raise AddressError(f"namespace index {number} is above 65535")
    return OpcUaAddress(
        kind=body[0],  # type: ignore[arg-type]  # one of isgb, looked at above
        identifier=_identifier(body[0], body[2:]),
        namespace=named.get("short"),
        namespace_uri=_unescaped(named["uri"]) if named.get("uri") else None,
        namespace_index=0 if head is None else number,
        index=index,
        field=field,
    )


def _suffix(body: str) -> tuple[tuple[int, ...], tuple[str, ...], str]:
    match = _SUFFIX.search(body)
    if match is None or match.group() == "#":
        return (), (), body
    index = tuple(map(int, match["index"][1:-1].split(","))) if match["index"] else ()
    field = tuple(step.strip() for step in _FIELD_STEP.findall(match["field"])) if match["field"] else ()
    return index, field, body[: match.start()]


def _browse_path(text: str) -> tuple[tuple[str, str], ...]:
    """Browse names from the Objects folder on, `/` before each, `&` before a character that is meant as itself (Part 4, A.2)."""
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "/":
            parts.append("")
        elif character == "&":
            parts[-1] += "&" + next(characters, "")
        else:
            parts[-1] += character
    if parts[0] or len(parts) < 2 or not all(parts[1:]):
        raise AddressError("a browse path is meant, `/` before each name from the Objects folder on, as in path=/plc:DB_GRN/plc:Speed")
    return tuple(_browse_name(part) for part in parts[1:])


def _browse_name(text: str) -> tuple[str, str]:
    """(namespace, name). A name without a namespace is in namespace 0, OPC UA's own."""
    match = _PREFIX.match(text)
    prefix, name = (match["prefix"], text[match.end() :]) if match else ("0", text)
    if prefix.isdigit() and int(prefix) > 65_535:
        raise AddressError(f"namespace index {prefix} is above 65535")
    if not match and re.match(r"nsu?=|http", text):
        raise AddressError(f"`{text}`: give the namespace a short name in the source's `namespaces` and write it before each name")
    if _SMART_QUOTES.search(name):
        raise AddressError('curly quotation marks, a word processor changed them: write " instead')
    if re.sub("&.", "", name).endswith("&"):
        raise AddressError("`&` stands before nothing")
    name = re.sub("&(.)", r"\1", name)
    return str(int(prefix)) if prefix.isdigit() else prefix, name


def _browse_path_text(path: tuple[tuple[str, str], ...]) -> str:
    told = ""
    for prefix, name in path:
        written = re.sub(r"([&/])", r"&\1", name)
        if prefix == "0":
            written = re.sub(r"(:)", r"&\1", written, count=1)
            if re.match(r"nsu?=|http", written):
                written = "&" + written
        told += "/" + ("" if prefix == "0" else f"{prefix}:") + written
    return told


def _identifier(kind: str, text: str) -> int | str | UUID | bytes:
    if kind == "s":
        return _checked_string(text)
    try:
        if kind == "i":
            return _uint32(text)
        return UUID(text) if kind == "g" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        meant = {"i": "a number from 0 to 4294967295", "g": "a GUID", "b": "Base64"}[kind]
        raise AddressError(f"`{kind}={text}`: {meant} is meant") from None


def _uint32(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > 0xFFFF_FFFF:
        raise ValueError
    return int(text)


def _checked_string(text: str) -> str:
    """A PLC's quoted name is what a spreadsheet damages first."""
    if _SMART_QUOTES.search(text):
        raise AddressError('curly quotation marks, a word processor changed them: write " instead')
    if text.startswith('"'):
        if '""' in text:
            raise AddressError('doubled quotation marks, a spreadsheet added them: write each " once (twice only inside a quoted CSV cell)')
        if text.count('"') % 2:
            raise AddressError('a quotation mark is missing: each name stands in two, as in "DB_GRN"."Speed"')
    return text


def _escaped(uri: str) -> str:
    return uri.replace("%", "%25").replace(";", "%3B")  # Part 6, 5.3.1.11


def _unescaped(uri: str) -> str:
    return uri.replace("%3B", ";").replace("%3b", ";").replace("%25", "%")


def _opcua_text(address: OpcUaAddress) -> str:
    suffix = f"[{','.join(map(str, address.index))}]" if address.index else ""
    suffix += "".join(step if step.startswith("[") else f"/{step}" for step in address.field)
    if isinstance(address.identifier, tuple):
        body = _browse_path_text(address.identifier)
        return f"path={body}#{suffix}" if suffix else f"path={body}{_closed(body)}"
    if address.namespace is not None:
        head = f"{address.namespace}:"
    elif address.namespace_uri is not None:
        head = f"nsu={_escaped(address.namespace_uri)};"
    else:
        head = f"ns={address.namespace_index};" if address.namespace_index else ""
    identifier = address.identifier
    body = base64.b64encode(identifier).decode() if isinstance(identifier, bytes) else str(identifier)
    if suffix:
        return f"{head}{address.kind}={body}#{suffix}"
    return f"{head}{address.kind}={body}{_closed(f'{address.kind}={body}')}"


def _closed(body: str) -> str:
    """`#/` after an identifier that would else be read as ending in an element or a field."""
    return "#/" if _suffix(body)[2] != body else ""


# ---- Modbus ------------------------------------------------------------------------------------------------------------------------

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
    """Registers of a type: float32 2, string with 16 characters 8."""
    if type_name in ("string", "bytes"):
        return ((length or 0) + 1) // 2
    return _REGISTERS.get(type_name, 1)


def _modbus(text: str) -> ModbusAddress:
    """`1/holding/99:float32:CDAB` (from 0) or `1/400100:float32:CDAB` (Modicon, from 1); `.5` is a bit."""
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
    """5 or 6 digits, from 1. Fewer digits have lost zeros, mostly in a spreadsheet: 1/1 may be a coil or nothing."""
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


def _modbus_text(address: ModbusAddress) -> str:
    text = f"{address.unit}/{address.table}/{address.offset}"
    if address.type is not None:
        text += f":{address.type}{address.length or ''}"
    if address.order is not None:
        text += f":{address.order}"
    return text if address.bit is None else f"{text}.{address.bit}"


# ---- the others --------------------------------------------------------------------------------------------------------------------

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
    "opcua": _opcua,
    "modbus": _modbus,
    "serial": _serial,
    "mes_sql": _sql,
    "mes_file": _file,
}
_FORMATS: dict[str, Callable[[Any], str]] = {
    "opcua": _opcua_text,
    "modbus": _modbus_text,
    "serial": lambda address: str(address.field),
    "mes_sql": lambda address: f"{address.query}.{address.column}",
    "mes_file": lambda address: f"{address.query}.{address.column}",
}
