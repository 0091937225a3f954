"""Decode the bytes of a PublishResponse to readings: a run of records of one layout is one `iter_unpack`.

A data change is a sequence of MonitoredItemNotifications (Part 4, 7.25.2). Where records share their encoding mask and built-in type, and
that type has a fixed size, they are equally long, so strided slices of the two bytes prove how many follow each other: exact, no guessing.
Everything else goes record by record. Bytes that do not add up raise Undecodable, and are a gap: no other decoder is asked, because what it
bounds is not what is bounded here.
"""

import functools
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from asyncua.ua.uaerrors import UaError

from drivers.contract import UNFORESEEN, DriverError, Reading, crashed
from drivers.opcua.decoding.remembered import RememberedLayouts
from drivers.opcua.session import variant as v
from drivers.opcua.session.variant import Undecodable

SERVICE_FAULT, READ_RESPONSE, PUBLISH_RESPONSE, REPUBLISH_RESPONSE = 397, 634, 829, 835
DATA_CHANGE, STATUS_CHANGE, EVENTS = 811, 820, 916
_HEADER = struct.Struct("<qII")  # timestamp, request handle, service result
_HANDLE = struct.Struct("<I")
_LOW, _HIGH, _SHIFT = v.FILETIME_OF_1970, v.LATEST_FILETIME, v.FILETIME_OF_1970
_FIRST_LOOK = 8
MOST_PARTS = 1000
"""Notifications in one message: one of data, one of events, one of a status are usual (Part 4, 7.26)."""

BROKEN = (Undecodable, struct.error, IndexError, KeyError, ValueError, OverflowError, RecursionError, UaError)
"""Errors of decoding where the bytes do not add up, or name an item that is not ours."""


Decode = TypeVar("Decode", bound=Callable[..., Any])


class ServiceFault(Exception):
    """The server refused the request. status: its StatusCode."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status


class NotificationMessage(NamedTuple):
    """A NotificationMessage (Part 4, 7.26): its number and time, and the places of its parts in the body."""

    sequence: int
    publish_ticks: int | None
    parts: tuple[tuple[int, int, int], ...]  # (encoding id, start, end); empty: a keep-alive


class PublishResponse(NamedTuple):
    """A PublishResponse. available: messages that the server still holds; results: of the acknowledgements that the request carried."""

    subscription: int
    available: tuple[int, ...]
    more: bool
    message: NotificationMessage
    results: tuple[int, ...]


class Undecoded(NamedTuple):
    """A record that needs more than copying: another type than expected, an array, a structure."""

    handle: int
    type: int
    value: object
    status: int
    source_ticks: int | None
    server_ticks: int | None


def readable(decode: Decode) -> Decode:
    """Have a decoder raise Undecodable where it runs into what no rule foresees: then it is one message that can not be read."""

    @functools.wraps(decode)
    def guarded(*arguments: Any) -> Any:
        try:
            return decode(*arguments)
        except (*BROKEN, ServiceFault, DriverError):
            raise
        except UNFORESEEN as error:
            raise Undecodable(crashed(error)) from error

    return cast("Decode", guarded)


def response(body: bytes, expected_type: int) -> int:
    """Check the type id and the ResponseHeader; return the position after it. Raises ServiceFault or Undecodable."""
    end = len(body)
    kind, at = v.type_id(body, 0, end)
    _, _, result = _HEADER.unpack_from(body, at)
    at += _HEADER.size
    if result & 0x80000000:
        raise ServiceFault(result)
    if kind != expected_type:
        raise Undecodable(f"answer of type {kind}, expected {expected_type}")
    texts, at = v.elements(v.STRING, body, v.diagnostic_info(body, at, end), end, v.Budget())
    _, at = v.extension_object(body, at, end)
    del texts
    return at


@readable
def published(body: bytes) -> PublishResponse:
    """Decode the envelope of a PublishResponse (Part 4, 5.13.5). Raises ServiceFault, Undecodable, struct.error."""
    at, end = response(body, PUBLISH_RESPONSE), len(body)
    (subscription,) = struct.unpack_from("<I", body, at)
    available, at = v.elements(v.UINT32, body, at + 4, end, v.Budget())
    more = bool(body[at])
    message, at = notification_message(body, at + 1, end)
    results, at = v.elements(v.UINT32, body, at, end, v.Budget())
    if v.diagnostics(body, at, end) != end:
        raise Undecodable("bytes left over")
    return PublishResponse(subscription, tuple(available or ()), more, message, tuple(results or ()))


@readable
def read_values(body: bytes) -> list[tuple[int, object, int, int | None, int | None]]:
    """Decode the DataValues of a ReadResponse (Part 4, 5.10.2), structures unopened. Raises ServiceFault, or one of BROKEN."""
    at, end = response(body, READ_RESPONSE), len(body)
    (count,) = struct.unpack_from("<i", body, at)
    values, at, budget = [], at + 4, v.Budget()
    budget.spend(max(count, 0))
    for _ in range(count):
        value, at = v.data_value(body, at, end, budget)
        values.append(value)
    return values


@readable
def republished(body: bytes) -> NotificationMessage:
    """Decode a RepublishResponse (Part 4, 5.13.6). Raises ServiceFault, or one of BROKEN."""
    message, at = notification_message(body, response(body, REPUBLISH_RESPONSE), len(body))
    if at != len(body):
        raise Undecodable("bytes left over")
    return message


def status_change(body: bytes, at: int, end: int) -> int:
    """Decode a StatusChangeNotification (Part 4, 7.25.4), without its diagnostics: the StatusCode; 0 if there is none."""
    return int.from_bytes(body[at : min(at + 4, end)], "little")


def notification_message(body: bytes, at: int, end: int) -> tuple[NotificationMessage, int]:
    """Decode a NotificationMessage, its parts only located: (message, position after it)."""
    sequence, filetime, count = struct.unpack_from("<Iqi", body, at)
    at += 16
    parts = []
    v.Budget(MOST_PARTS).spend(max(count, 0))
    for _ in range(max(count, 0)):
        kind, at = v.type_id(body, at, end)
        encoding, length = struct.unpack_from("<Bi", body, at)
        at += 5
        if encoding != 1 or not 0 <= length <= end - at:
            raise Undecodable(f"notification with encoding {encoding} and length {length}")
        parts.append((kind, at, at + length))
        at += length
    return NotificationMessage(sequence, v.ticks_of(filetime), tuple(parts)), at


def _tail(letters: str, mask: int) -> tuple[struct.Struct, int, int, int]:
    """Return the struct of these letters and of the members that the mask promises, with their places in it; -1 for one that is absent."""
    places = []
    for bit, letter in ((v.HAS_STATUS, "I"), (v.HAS_SOURCE, "q"), (v.HAS_SERVER, "q")):
        places.append(len(letters) if mask & bit else -1)
        letters += letter if mask & bit else ""
    status, source, server = places
    return struct.Struct("<" + letters), status, source, server


class _Layout:
    """The fixed record (client handle, mask, type, value, then what the mask says), built once."""

    def __init__(self, mask: int, number: int) -> None:
        self.struct, self.status, self.source, self.server = _tail("IBB" + v.FIXED[number], mask)
        self.size = self.struct.size


_MASKS = (1, 3, 5, 7, 9, 11, 13, 15)  # with a value, without picoseconds
_PLAIN = {bytes((mask, number)): _Layout(mask, number) for number in v.FIXED for mask in _MASKS}
_TEXT = {bytes((mask, v.STRING)): _tail("", mask) for mask in _MASKS}
_TEXT_AT = struct.Struct("<IBBi")  # handle, mask, type, length in bytes


class Decoder:
    """Turns data changes into readings for one plan: by client handle, the tag and the built-in type that a plain record has."""

    def __init__(self, tags: Mapping[int, int], types: Mapping[int, int], convert: Callable[[Undecoded, list[Reading]], None]) -> None:
        """Take tag and built-in type by handle; type -1 sends every record of a handle to `convert`, which appends its readings."""
        self._tags, self._types, self._convert = dict(tags), dict(types), convert
        self._layouts = RememberedLayouts(self._tags, self._types)

    def data_change(self, body: bytes, at: int, end: int, out: list[Reading], budget: v.Budget | None = None) -> None:
        """Append the readings of a DataChangeNotification to `out`, in order. Raises one of BROKEN."""
        budget = budget or v.Budget()
        (left,) = struct.unpack_from("<i", body, at)
        budget.spend(max(left, 0))
        if (remembered := self.remembered(body, at, end)) is not None:
            out += remembered
            return
        if v.diagnostics(body, self._records(body, at + 4, end, left, out, budget), end) != end:
            raise Undecodable("bytes left over")

    def remembered(self, body: bytes, at: int, end: int) -> Sequence[Reading] | None:
        """Return the readings of a DataChangeNotification with the layout of one before it, `Columns` if no tag is in it twice; else None.

        Raises one of BROKEN.
        """
        (left,) = struct.unpack_from("<i", body, at)
        if (found := self._layouts.readings(body, at + 4, end, left)) is None:
            return None
        if v.diagnostics(body, found[1], end) != end:
            raise Undecodable("bytes left over")
        return found[0]

    def _records(self, body: bytes, at: int, end: int, left: int, out: list[Reading], budget: v.Budget) -> int:
        """Append the readings of so many records, run by run; return the position after them."""
        # A short look first, and longer ones while records stay alike; where layouts alternate, records are unpacked one by one.
        look = _FIRST_LOOK
        while left > 0:
            kind = body[at + 4 : at + 6]
            layout = _PLAIN.get(kind)
            if layout is None:
                at, look = (self._text if kind in _TEXT else self._single)(body, at, end, out, budget), _FIRST_LOOK
                left -= 1
                continue
            after = at + layout.size
            if body[after + 4 : after + 6] != kind or left == 1:
                if after > end:
                    raise Undecodable("a record ends beyond its notification")
                self._plain(layout, kind[1], (layout.struct.unpack_from(body, at),), out)
                at, look = after, _FIRST_LOOK
                left -= 1
                continue
            run = _run(body, at, end, layout.size, min(left, look))
            if not run:
                raise Undecodable("a record ends beyond its notification")
            look = look * 8 if run == look else _FIRST_LOOK
            self._plain(layout, kind[1], layout.struct.iter_unpack(memoryview(body)[at : at + run * layout.size]), out)
            at += run * layout.size
            left -= run
        return at

    def _plain(self, layout: _Layout, number: int, records: Iterable[tuple[Any, ...]], out: list[Reading]) -> None:
        """Append records of equal layout. The usual layout (status absent, both times) has a loop of its own."""
        tags, types = self._tags, self._types
        status_at, source_at, server_at = layout.status, layout.source, layout.server
        append = out.append
        if status_at < 0 and source_at == 4 and server_at == 5:
            for handle, _, _, value, source, server in records:
                source = source - _SHIFT if _LOW <= source <= _HIGH else None  # noqa: PLW2901
                server = server - _SHIFT if _LOW <= server <= _HIGH else None  # noqa: PLW2901
                if types[handle] == number:
                    append((tags[handle], value, 0, source, server))
                else:
                    self._convert(Undecoded(handle, number, value, 0, source, server), out)
            return
        for record in records:
            handle, value = record[0], record[3]
            status = record[status_at] if status_at > 0 else 0
            source = v.ticks_of(record[source_at]) if source_at > 0 else None
            server = v.ticks_of(record[server_at]) if server_at > 0 else None
            if types[handle] == number:
                append((tags[handle], None if status & 0x80000000 else value, status, source, server))
            else:
                self._convert(Undecoded(handle, number, value, status, source, server), out)

    def _text(self, body: bytes, at: int, end: int, out: list[Reading], _: v.Budget) -> int:
        """Append a record with a String where it stands; return the position after it. A null one of a plain text is the empty text."""
        handle: int
        length: int
        handle, _, _, length = _TEXT_AT.unpack_from(body, at)
        tail, status_at, source_at, server_at = _TEXT[body[at + 4 : at + 6]]
        at += _TEXT_AT.size
        after = at + max(length, 0)
        if after + tail.size > end:
            raise Undecodable(f"{length} bytes announced, {end - at} there")
        members = tail.unpack_from(body, after)
        status = members[status_at] if status_at >= 0 else 0
        source = v.ticks_of(members[source_at]) if source_at >= 0 else None
        server = v.ticks_of(members[server_at]) if server_at >= 0 else None
        value = body[at:after].decode("utf-8", "backslashreplace") if length >= 0 else None
        if self._types[handle] == v.STRING:
            out.append((self._tags[handle], None if status & 0x80000000 else value or "", status, source, server))
        else:
            self._convert(Undecoded(handle, v.STRING, value, status, source, server), out)
        return after + tail.size

    def _single(self, body: bytes, at: int, end: int, out: list[Reading], budget: v.Budget) -> int:
        """Append one record of any kind; return the position after it."""
        (handle,) = _HANDLE.unpack_from(body, at)
        if handle not in self._tags:
            raise Undecodable(f"unknown item {handle}")
        value, at = v.data_value(body, at + 4, end, budget)
        self._convert(Undecoded(handle, *value), out)
        return at


def _run(body: bytes, at: int, end: int, size: int, most: int) -> int:
    """Count the records from `at` on that have the same mask and type as the first, and therefore this size."""
    count = min(most, (end - at) // size)
    stop = at + count * size
    masks, types = body[at + 4 : stop : size], body[at + 5 : stop : size]
    return count - max(len(masks.lstrip(masks[:1])), len(types.lstrip(types[:1])))
