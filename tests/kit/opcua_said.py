"""Whether an OPC UA server said a value: it is looked for in the bytes, encoded as Part 6 says. Shares no code with the decoders."""

import base64
import re
import struct
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

FILETIME_OF_1970 = 116_444_736_000_000_000
"""100-ns units from 1601 (DateTime, Part 6, 5.2.2.5) to 1970."""
_NODE = re.compile(r"(?:ns=(\d+);)?([isgb])=(.*?)(?:;srv=(\d+))?(?:;nsu=(.*))?", re.DOTALL)
_NAN = (rb".{6}[\xf0-\xff][\x7f\xff]", rb"..[\x80-\xff][\x7f\xff]")
_NO_TIME, _PICOSECONDS, _NO_STATUS = rb"(?:.{8})?", rb"(?:..)?", rb"(?:\0{4})?"


def said(body: bytes, reading: tuple[Any, int, int | None, int | None]) -> bool:
    """Whether a value stands in these bytes with its status and its times behind it, as in a DataValue (Part 6, 5.2.2.17)."""
    value, status, source, server = reading
    behind = re.escape(struct.pack("<I", status)) if status else _NO_STATUS
    behind += (_NO_TIME if source is None else _time(source)) + _PICOSECONDS
    behind += _time(server) if server is not None else b""
    return any(re.search(told + behind, body, re.DOTALL) for told in _encodings(body, value))


def _time(ticks: int) -> bytes:
    return re.escape(struct.pack("<q", ticks + FILETIME_OF_1970))


def _encodings(body: bytes, value: Any) -> Iterator[bytes]:
    """Give expressions for the bytes that mean a value."""
    if isinstance(value, bool):
        yield rb"[^\0]" if value else rb"\0"  # any byte but 0 is True (Part 6, 5.2.2.1)
    elif isinstance(value, int):
        yield from _packed("bBhHiIqQ", value)
    elif isinstance(value, float):
        yield from _packed("fd", value) if value == value else _NAN  # noqa: PLR0124 - NaN
    elif isinstance(value, datetime):
        yield from _moments(body, value)
    elif isinstance(value, str):
        yield from _strings(body, value)
        yield from _guids(value)
        yield from _nodes(body, value)
    elif isinstance(value, bytes):
        yield re.escape(struct.pack("<i", len(value)) + value)
    else:
        raise AssertionError(f"no such value is told: {value!r}")


def _packed(letters: str, value: float) -> Iterator[bytes]:
    for letter in letters:
        try:
            told = struct.pack(f"<{letter}", value)
        except (struct.error, OverflowError):
            continue
        if struct.unpack(f"<{letter}", told) == (value,):
            yield re.escape(told)


def _strings(body: bytes, text: str) -> Iterator[bytes]:
    """A String: its length, its bytes. One that is no UTF-8 byte stands in the text as an escape (`\\xe9`)."""
    told = text.encode()
    yield re.escape(struct.pack("<i", len(told)) + told)
    if "\\x" in text:
        either = re.sub(rb"\\\\x([89a-f][0-9a-f])", rb"(?:\\\\x\1|\\x\1)", re.escape(told))
        for found in re.finditer(rb"(?=(.{4})(" + either + rb"))", body, re.DOTALL):
            if struct.unpack("<i", found[1]) == (len(found[2]),):
                yield re.escape(found[1] + found[2])


def _guids(text: str) -> Iterator[bytes]:
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        yield re.escape(uuid.UUID(text).bytes_le)


def _nodes(body: bytes, text: str) -> Iterator[bytes]:
    """A NodeId in the notation of Part 6, 5.3.1.10, with what makes it an ExpandedNodeId behind it."""
    found = _NODE.fullmatch(text)
    if found is None:
        return
    space, kind, identifier, server, uri = found.groups()
    uris = list(_strings(body, uri)) if uri else [rb"(?:\0{4}|.{3}[\x80-\xff])?"]  # any negative length is null
    servers = re.escape(struct.pack("<I", int(server))) if server else rb"(?:\0{4})?"
    for told in _identifiers(body, int(space or 0), kind, identifier):
        yield from (told + one + servers for one in uris)


def _identifiers(body: bytes, space: int, kind: str, identifier: str) -> Iterator[bytes]:
    """Part 6, 5.2.2.9: one, three or six bytes of a number; or a namespace and a text, a GUID or octets, of which a null one is empty."""
    if kind == "i":
        number = int(identifier)
        packed = (("<B", (number,) if not space else ()), ("<BH", (space, number)), ("<HI", (space, number)))
        yield from (told for layout, numbers in packed if numbers for told in _fitting(layout, numbers))
        return
    front = re.escape(struct.pack("<H", space))
    if kind == "g":
        yield from (front + told for told in _guids(identifier))
    elif kind == "s":
        yield from (front + told for told in _strings(body, identifier))
    else:
        raw = base64.b64decode(identifier)
        yield front + re.escape(struct.pack("<i", len(raw)) + raw)
    if not identifier:
        yield front + rb".{3}[\x80-\xff]"


def _fitting(layout: str, numbers: tuple[int, ...]) -> Iterator[bytes]:
    try:
        yield re.escape(struct.pack(layout, *numbers))
    except struct.error:
        return


def _moments(body: bytes, when: datetime) -> Iterator[bytes]:
    """A DateTime as a value has microseconds; what lies before 1601 or after 9999 is told as the nearest end."""
    micros = (when - datetime(1601, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    yield from (re.escape(struct.pack("<q", micros * 10 + digit)) for digit in range(10))
    if micros == 0:
        yield rb".{7}[\x80-\xff]"
    if when == datetime.max.replace(tzinfo=UTC):
        late = {body[at : at + 8] for at in range(len(body) - 7) if struct.unpack_from("<q", body, at)[0] >= micros * 10}
        yield from map(re.escape, late)
