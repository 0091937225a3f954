"""Decode values of OPC UA's binary encoding (Part 6, 5.2.2) to plain Python values, with 100-ns times kept."""

import struct
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from drivers.opcua.asyncua_types import ua

FILETIME_OF_1970 = 116_444_736_000_000_000
"""100-ns units from 1601 (OPC UA DateTime, Part 6, 5.2.2.5) to 1970."""
LATEST_FILETIME = 2_650_467_743_999_999_999
"""9999-12-31T23:59:59.9999999Z; anything later means "no end" in OPC UA."""
MOST_ELEMENTS = 1_000_000
"""Most elements of an array: a forged length must not fill the memory."""

MOST_IN_MESSAGE = 250_000
"""Most elements and records of one message that are decoded one by one: seconds, and some ten megabytes."""

BOOLEAN, SBYTE, BYTE, INT16, UINT16, INT32, UINT32, INT64, UINT64, FLOAT, DOUBLE = range(1, 12)
STRING, DATETIME, GUID, BYTESTRING, XML, NODEID, EXPANDED_NODEID, STATUSCODE = range(12, 20)
QUALIFIED_NAME, LOCALIZED_TEXT, EXTENSION_OBJECT, DATA_VALUE, VARIANT, DIAGNOSTIC_INFO = range(20, 26)

NAMES = [
    "Null",
    "Boolean",
    "SByte",
    "Byte",
    "Int16",
    "UInt16",
    "Int32",
    "UInt32",
    "Int64",
    "UInt64",
    "Float",
    "Double",
    "String",
    "DateTime",
    "Guid",
    "ByteString",
    "XmlElement",
    "NodeId",
    "ExpandedNodeId",
    "StatusCode",
    "QualifiedName",
    "LocalizedText",
    "ExtensionObject",
    "DataValue",
    "Variant",
    "DiagnosticInfo",
]
"""Name of each built-in type by its number (Part 6, 5.1.2)."""

FIXED = {
    BOOLEAN: "?",
    SBYTE: "b",
    BYTE: "B",
    INT16: "h",
    UINT16: "H",
    INT32: "i",
    UINT32: "I",
    INT64: "q",
    UINT64: "Q",
    FLOAT: "f",
    DOUBLE: "d",
    STATUSCODE: "I",
}
"""struct letters of the scalars that need no conversion."""

_ONE = {number: struct.Struct("<" + letter) for number, letter in FIXED.items()}
_INT32 = struct.Struct("<i")
_INT64 = struct.Struct("<q")
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)


class Undecodable(Exception):
    """The bytes are not as Part 6 says, or of a kind that is not decoded here."""


class TooLarge(Undecodable):
    """More elements than a message may hold here: no other decoder shall try."""


class Budget:
    """How many elements may be decoded one by one of one message (or structure). An element may take no byte, or many objects."""

    __slots__ = ("left",)

    def __init__(self, elements: int = MOST_IN_MESSAGE) -> None:
        self.left = elements

    def spend(self, elements: int) -> None:
        """Take so many. Raises TooLarge."""
        self.left -= elements
        if self.left < 0:
            raise TooLarge(f"more than {MOST_IN_MESSAGE} elements in one message")


class Raw(NamedTuple):
    """An ExtensionObject as it was sent: the id of its encoding, and its body."""

    encoding: Any  # ua.NodeId
    body: bytes | None


class Array(NamedTuple):
    """An array of one built-in type. dimensions is empty for a one-dimensional array."""

    values: tuple[Any, ...] | bytes
    dimensions: tuple[int, ...] = ()


NO_VALUE = Raw(None, None)
"""In place of a DataValue or DiagnosticInfo within a value, which are no process value."""
HAS_VALUE, HAS_STATUS, HAS_SOURCE, HAS_SERVER, HAS_SOURCE_PICO, HAS_SERVER_PICO = 1, 2, 4, 8, 16, 32


def ticks_of(filetime: int) -> int | None:
    """Convert an OPC UA DateTime to ticks; None for OPC UA's "no time" (0, and everything before 1970 or after 9999)."""
    return filetime - FILETIME_OF_1970 if FILETIME_OF_1970 <= filetime <= LATEST_FILETIME else None


def ticks_from(when: datetime) -> int | None:
    """Convert a DateTime that was read as a value to ticks."""
    since = when - _EPOCH
    return ticks_of((since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10)


def datetime_of(filetime: int) -> datetime:
    """Convert a DateTime to a value: microseconds, because `datetime` has no more; out of range is the nearest end (Part 6, 5.2.2.5)."""
    if filetime <= 0:
        return _EPOCH
    return _LATEST if filetime > LATEST_FILETIME else _EPOCH + timedelta(microseconds=filetime // 10)


def variant(body: bytes, at: int, end: int, budget: Budget) -> tuple[int, Any, int]:
    """Decode a Variant: (built-in type, value, position after it). Raises Undecodable, struct.error."""
    mask = body[at]
    number = mask & 0x3F
    if not mask & 0x80:
        if mask & 0x40:
            raise Undecodable("dimensions without an array")
        value, at = scalar(number, body, at + 1, end, budget)
        return number, value, at
    values, at = elements(number, body, at + 1, end, budget)
    dimensions: tuple[int, ...] = ()
    if mask & 0x40:
        sizes, at = elements(INT32, body, at, end, budget)
        dimensions = tuple(sizes or ())
    return number, None if values is None else Array(values, dimensions), at


def elements(number: int, body: bytes, at: int, end: int, budget: Budget) -> tuple[Any, int]:
    """Decode an array without its type byte: (values, None for a null one; position after it). Raises Undecodable, struct.error."""
    (count,) = _INT32.unpack_from(body, at)
    at += 4
    if count < 0:
        return None, at
    if count > MOST_ELEMENTS or count > end - at:
        raise TooLarge(f"an array of {count} elements in {end - at} bytes")
    if number in FIXED:
        layout = struct.Struct(f"<{count}{FIXED[number]}")
        return layout.unpack_from(body, at), at + layout.size
    budget.spend(count)
    values = []
    for _ in range(count):
        value, at = scalar(number, body, at, end, budget)
        values.append(value)
    return tuple(values), at


def scalar(number: int, body: bytes, at: int, end: int, budget: Budget) -> tuple[Any, int]:
    """Decode one value: (value, position after it). Raises Undecodable, struct.error."""
    if number in _ONE:
        layout = _ONE[number]
        return layout.unpack_from(body, at)[0], at + layout.size
    if number == 0:
        return None, at
    if number in (STRING, XML):
        return text(body, at, end)
    if number == BYTESTRING:
        return octets(body, at, end)
    if number == DATETIME:
        return datetime_of(_INT64.unpack_from(body, at)[0]), at + 8
    if number == LOCALIZED_TEXT:
        return _localized(body, at, end)
    if number == QUALIFIED_NAME:
        return text(body, at + 2, end)
    if number == GUID:
        return str(uuid.UUID(bytes_le=bytes(body[at : at + 16]))), at + 16
    if number == EXTENSION_OBJECT:
        return extension_object(body, at, end)
    if number == VARIANT:
        budget.spend(1)
        _, value, at = variant(body, at, end, budget)
        return value, at
    if number in (NODEID, EXPANDED_NODEID):
        node, at = nodeid(body, at, end)
        return node.to_string(), at
    if number == DATA_VALUE:
        return NO_VALUE, data_value(body, at, end, budget)[1]
    if number == DIAGNOSTIC_INFO:
        return NO_VALUE, diagnostic_info(body, at, end)
    raise Undecodable(f"built-in type {number}")


def data_value(body: bytes, at: int, end: int, budget: Budget) -> tuple[tuple[int, object, int, int | None, int | None], int]:
    """Decode a DataValue (Part 6, 5.2.2.17): ((built-in type, value, status, source ticks, server ticks), position after it)."""
    mask = body[at]
    at += 1
    if mask & 0xC0:
        raise Undecodable(f"a DataValue with mask {mask}")
    number, value, status, source, server = 0, None, 0, None, None
    if mask & HAS_VALUE:
        number, value, at = variant(body, at, end, budget)
    if mask & HAS_STATUS:
        (status,) = struct.unpack_from("<I", body, at)
        at += 4
    if mask & HAS_SOURCE:
        source = ticks_of(*struct.unpack_from("<q", body, at))
        at += 8
    at += 2 if mask & HAS_SOURCE_PICO else 0
    if mask & HAS_SERVER:
        server = ticks_of(*struct.unpack_from("<q", body, at))
        at += 8
    at += 2 if mask & HAS_SERVER_PICO else 0
    if at > end:
        raise Undecodable("a record ends beyond its notification")
    return (number, value, status, source, server), at


def diagnostic_info(body: bytes, at: int, end: int) -> int:
    """Pass over a DiagnosticInfo (Part 6, 5.2.2.12), with those in it; return the position after it."""
    while True:
        mask = body[at]
        at += 1 + 4 * (mask & 0x0F).bit_count()
        if mask & 0x10:
            _, at = octets(body, at, end)
        at += 4 if mask & 0x20 else 0
        if at > end or mask & 0x80:
            raise Undecodable(f"a DiagnosticInfo with mask {mask}")
        if not mask & 0x40:
            return at


def diagnostics(body: bytes, at: int, end: int) -> int:
    """Pass over an array of DiagnosticInfo; return the position after it. Not one is asked for: some servers send them all the same."""
    (count,) = _INT32.unpack_from(body, at)
    at += 4
    if count > end - at:
        raise TooLarge(f"{count} diagnostics in {end - at} bytes")
    Budget().spend(max(count, 0))
    for _ in range(max(count, 0)):
        at = diagnostic_info(body, at, end)
    return at


def octets(body: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    """Decode a ByteString: (bytes, None for the null of length -1; position after it) (Part 6, 5.2.2.7)."""
    (length,) = _INT32.unpack_from(body, at)
    at += 4
    if length < 0:
        return None, at
    if length > end - at:
        raise Undecodable(f"{length} bytes announced, {end - at} there")
    return bytes(body[at : at + length]), at + length


def text(body: bytes, at: int, end: int) -> tuple[str | None, int]:
    """Decode a String: (text, position after it). Bytes that are not UTF-8 stay readable as escapes: nothing is dropped."""
    raw, at = octets(body, at, end)
    return None if raw is None else raw.decode("utf-8", "backslashreplace"), at


def _localized(body: bytes, at: int, end: int) -> tuple[str | None, int]:
    mask = body[at]
    at += 1
    content: str | None = None
    if mask & 1:
        _, at = text(body, at, end)
    if mask & 2:
        content, at = text(body, at, end)
    return content, at


def nodeid(body: bytes, at: int, end: int) -> tuple[Any, int]:
    """Decode a NodeId or ExpandedNodeId (Part 6, 5.2.2.9 and 5.2.2.10): (id, position after it).

    asyncua's decoder goes backwards at a negative length, and may never come to an end.
    """
    encoding = body[at]
    space, identifier, at = _identifier(encoding & 0x3F, body, at + 1, end)
    uri: str | None = None
    server: int | None = None
    if encoding & 0x80:
        uri, at = text(body, at, end)
    if encoding & 0x40:
        (server,) = struct.unpack_from("<I", body, at)
        at += 4
    if at > end:
        raise Undecodable("a NodeId ends beyond its message")
    kind = ua.NodeIdType(encoding & 0x3F)
    if uri is not None or server is not None:
        return ua.ExpandedNodeId(identifier, space, kind, uri, server or 0), at
    return ua.NodeId(identifier, space, kind), at


def type_id(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Decode the NodeId of a type: (its number in the specification's own namespace, -1 in any other; position after it)."""
    if body[at : at + 2] == b"\x01\x00" and at + 4 <= end:  # as every server writes it
        return body[at + 2] | body[at + 3] << 8, at + 4
    node, at = nodeid(body, at, end)
    if node.NamespaceIndex == 0 and not isinstance(node.Identifier, int):
        raise Undecodable("a type without a number")
    return (node.Identifier if node.NamespaceIndex == 0 else -1), at


def _identifier(kind: int, body: bytes, at: int, end: int) -> tuple[int, Any, int]:
    """Decode what follows the first byte of a NodeId: (namespace index, identifier, position after it)."""
    if kind == 0:
        return 0, body[at], at + 1
    if kind == 1:
        space, number = struct.unpack_from("<BH", body, at)
        return space, number, at + 3
    if kind == 2:
        space, number = struct.unpack_from("<HI", body, at)
        return space, number, at + 6
    if kind not in (3, 4, 5):
        raise Undecodable(f"a NodeId of kind {kind}")
    (space,) = struct.unpack_from("<H", body, at)
    if kind == 4:
        return space, uuid.UUID(bytes_le=bytes(body[at + 2 : at + 18])), at + 18
    content, at = octets(body, at + 2, end)
    if kind == 5:
        return space, content or b"", at
    return space, (content or b"").decode("utf-8", "backslashreplace"), at


def extension_object(body: bytes, at: int, end: int) -> tuple[Raw, int]:
    """Decode an ExtensionObject, its body untouched: (object, position after it) (Part 6, 5.2.2.15)."""
    encoding, at = nodeid(body, at, end)
    kind = body[at]
    at += 1
    if kind == 0:
        return Raw(encoding, None), at
    if kind not in (1, 2):
        raise Undecodable(f"ExtensionObject encoding {kind}")
    content, at = octets(body, at, end)
    return Raw(encoding, content), at
