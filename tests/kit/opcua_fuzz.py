"""Messages of an OPC UA server, damaged: what every decoder is given, and what it may do with them.

The oracle has three sentences. Only declared exceptions leave a decoder. It ends within `ROUND_S` of its thread's processor time, and
within the bytes that `tracemalloc` may see grow when it decodes them once more: to trace each allocation takes ten times as long. And no
Good value is one that the server did not say: each that comes is found, with status and times behind it, by a second reading of the same
bytes (`kit.opcua_said`), which shares no code with the decoders. Arrays and structures are not looked for.
"""

import random
import struct
import time
import tracemalloc
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from asyncua import ua as _ua
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from kit.opcua_said import said

from drivers.contract import Reading
from drivers.opcua.decoding import publish
from drivers.opcua.decoding.layout import Layout, Member, decoded
from drivers.opcua.decoding.publish import BROKEN, Decoder, ServiceFault, Undecoded
from drivers.opcua.decoding.type_dictionary import parsed
from drivers.opcua.session import variant as v
from drivers.opcua.session.bounded import BoundedBuffer
from drivers.opcua.settings import AlarmSource
from drivers.opcua.subscription import history
from drivers.opcua.subscription.alarms import read_events

ua: Any = _ua
ROUND_S = 10.0
"""Processor time of one message: what the budgets allow on a slow machine."""
MOST_GROWTH_BYTES = 400 << 20
HANDLES = range(8)
HUGE = [0x7FFFFFFF, 0x7FFFFFFE, 1_000_001, 1_000_000, 250_001, 65_536, 255, 1, 0, -1, -2, -(2**31)]
VALUES = [
    ua.Variant(1.5),
    ua.Variant(7, ua.VariantType.Int32),
    ua.Variant("text"),
    ua.Variant([1.0, 2.0]),
    ua.Variant([b"a", b"bc"], ua.VariantType.ByteString),
    ua.Variant([ua.Variant(1, ua.VariantType.Int16), ua.Variant("x")], ua.VariantType.Variant),
    ua.Variant(ua.LocalizedText("on")),
    ua.Variant(ua.NodeId("s", 2)),
    ua.Variant(ua.NodeId(uuid.UUID(int=7), 2)),
    ua.Variant(ua.NodeId(b"o", 2)),
    ua.Variant(uuid.UUID(int=9), ua.VariantType.Guid),
    ua.Variant(b"caf\xe9", ua.VariantType.ByteString),
    ua.Variant(datetime(2026, 11, 22, 7, 15, tzinfo=UTC)),
    ua.Variant(ua.QualifiedName("name", 2)),
    ua.Variant(ua.ExtensionObject(ua.NodeId(7, 3), b"\x00" * 20)),
    ua.Variant(None, ua.VariantType.Null),
    ua.Variant(True),
]
LAYOUT = Layout(
    "L", "optional", [Member("A", v.DOUBLE), Member("B", v.VARIANT, optional=True), Member("C", v.STRING, rank=1), Member("D", 25)]
)
LAYOUT.members.append(Member("E", v.EXTENSION_OBJECT, Layout("U", "union", [Member("X", v.INT32), Member("Y", v.DATA_VALUE, rank=2)]), 1))
DICTIONARY = (
    b'<opc:TypeDictionary xmlns:opc="http://opcfoundation.org/BinarySchema/"><opc:EnumeratedType Name="E" LengthInBits="32"/>'
    b'<opc:StructuredType Name="S"><opc:Field Name="n" TypeName="opc:Int32"/><opc:Field Name="b" TypeName="opc:Bit" Length="3"/>'
    b'<opc:Field Name="a" TypeName="opc:Double" LengthField="n" SwitchField="b" SwitchValue="1"/></opc:StructuredType></opc:TypeDictionary>'
)


@dataclass
class Tally:
    """Figures of a run."""

    rounds: int = 0
    readings: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    longest_s: float = 0.0
    slowest: str = ""
    largest_bytes: int = 0

    def __str__(self) -> str:
        refused = ", ".join(f"{name} {number:,}" for name, number in sorted(self.refused.items(), key=lambda pair: -pair[1])[:6])
        return (
            f"{self.rounds:,} messages, {self.readings:,} readings, each said by the bytes; longest {self.longest_s:.2f} s "
            f"({self.slowest}), largest {self.largest_bytes / 1e6:.0f} MB; refused: {refused}"
        )


def _data_value(chance: random.Random) -> Any:
    told = ua.DataValue(chance.choice(VALUES))
    told.StatusCode = ua.StatusCode(chance.choice([0, 0, 0x480, 0x40920000, 0x80310000]))
    when = ua.win_epoch_to_datetime(133_000_000_000_000_000 + chance.randrange(10**9) * 10)
    told.SourceTimestamp, told.ServerTimestamp = chance.choice([None, when]), chance.choice([None, when])
    return told


def _head(type_id: int) -> bytes:
    return b"\x01\x00" + struct.pack("<HqII", type_id, 0, 1, 0) + b"\x00\xff\xff\xff\xff\x00\x00\x00"


def data_change(chance: random.Random) -> bytes:
    items = [ua.MonitoredItemNotification(chance.choice(HANDLES), _data_value(chance)) for _ in range(chance.randrange(1, 12))]
    return bytes(struct_to_binary(ua.DataChangeNotification(items)))


def events(chance: random.Random) -> bytes:
    lists = [ua.EventFieldList(1, [chance.choice(VALUES) for _ in range(chance.randrange(20))]) for _ in range(chance.randrange(1, 4))]
    return bytes(struct_to_binary(ua.EventNotificationList(lists)))


def message(chance: random.Random) -> bytes:
    body = data_change(chance)
    part = b"\x01\x00\x2b\x03\x01" + struct.pack("<i", len(body)) + body
    note = struct.pack("<IqI", 5, 133_000_000_000_000_000, 1) + part
    return _head(829) + struct.pack("<IiI", 9, 1, 4) + b"\x00" + note + struct.pack("<iIi", 1, 0, -1)


def read_answer(chance: random.Random) -> bytes:
    values = b"".join(struct_to_binary(_data_value(chance)) for _ in range(3))
    return _head(634) + struct.pack("<i", 3) + values + b"\xff\xff\xff\xff"


def history_answer(chance: random.Random) -> bytes:
    values = b"".join(struct_to_binary(_data_value(chance)) for _ in range(3))
    body = struct.pack("<i", 3) + values
    data = b"\x01\x00" + struct.pack("<HBi", 658, 1, len(body)) + body
    return _head(667) + struct.pack("<iI", 1, 0) + struct.pack("<i", 2) + b"cp" + data + b"\xff\xff\xff\xff"


def structure(chance: random.Random) -> bytes:
    union = struct.pack("<iIi", 2, 1, 5) + struct.pack("<Iiii", 2, 2, 1, 1) + b"\x00"
    return struct.pack("<Id", chance.randrange(2), 1.5) + (b"\x0b" + struct.pack("<d", 2.5)) + struct.pack("<i", 0) + b"\x00" + union


def browse_answer(chance: random.Random) -> bytes:
    reference = ua.ReferenceDescription(NodeId=ua.ExpandedNodeId("a", 2), BrowseName=ua.QualifiedName("a", 2))
    results = [ua.BrowseResult(ContinuationPoint=b"cp", References=[reference] * chance.randrange(4))]
    return bytes(struct_to_binary(ua.BrowseResponse(Results=results)))


def read_answer_of_asyncua(chance: random.Random) -> bytes:
    return bytes(struct_to_binary(ua.ReadResponse(Results=[_data_value(chance) for _ in range(3)])))


def mutated(whole: bytes, chance: random.Random) -> bytes:
    """Damage a message as attackers, cables and half-written servers do: bits, lengths, cuts, repeats, types, and huge counts."""
    body = bytearray(whole)
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(max(len(body), 1))
        kind = chance.randrange(8)
        if kind == 0 and body:
            body[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and body:
            body[at] = chance.randrange(256)
        elif kind == 2 and len(body) > 4:
            at = min(at, len(body) - 4)
            body[at : at + 4] = struct.pack("<i", chance.choice(HUGE))
        elif kind == 3:
            del body[at:]
        elif kind == 4:
            body[at:at] = body[at : at + chance.randrange(40)]
        elif kind == 5:
            body[at:at] = bytes([chance.choice([0x80, 0xC0, 0]) | chance.randrange(64)]) + struct.pack("<i", chance.choice(HUGE))
        elif kind == 6:
            body[at:at] = chance.randbytes(chance.randrange(1, 20))
        else:
            count = chance.choice([1_000, 100_000, 300_000])
            body[at:at] = struct.pack("<i", count) + bytes([chance.choice([0, 1, 0x18, 0x80])]) * (
                count if chance.randrange(30) == 0 else 10
            )
    return bytes(body)


def _readings_of(body: bytes) -> list[tuple[Any, int, int | None, int | None]]:
    found: list[Any] = []

    def odd(one: Undecoded, out: list[Reading]) -> None:
        out.append((one.handle, None if isinstance(one.value, tuple) else one.value, one.status, one.source_ticks, one.server_ticks))  # type: ignore[arg-type]

    decoder = Decoder({handle: handle for handle in HANDLES}, {handle: 11 if handle % 2 else -1 for handle in HANDLES}, odd)
    decoder.data_change(body, 0, len(body), found)
    return [reading[1:] for reading in found]


def _published(body: bytes) -> list[Any]:
    published = publish.published(body)
    return [r for kind, at, end in published.message.parts if kind == publish.DATA_CHANGE for r in _readings_of(body[at:end])]


def _read(body: bytes) -> list[Any]:
    return [(None if isinstance(value, tuple) else value, *rest) for _, value, *rest in publish.read_values(body)]


def _history(body: bytes) -> list[Any]:
    _, _, records = history._page(body, 1)
    return [(None if isinstance(r.value, tuple) else r.value, r.status, r.source_ticks, r.server_ticks) for r in records or ()]


def _events(body: bytes) -> list[Any]:
    read_events(body, 0, len(body), AlarmSource(equipment="line"), ["", "urn:a", "urn:b"])
    return []


def _structure(body: bytes) -> list[Any]:
    decoded(LAYOUT, body)
    return []


def _dictionary(body: bytes) -> list[Any]:
    for layout in parsed(body).values():
        decoded(layout, b"\x01\x00\x00\x00\x01" + b"\x00" * 8)
    return []


def _asyncua(answer: Any) -> Callable[[bytes], list[Any]]:
    def decode(body: bytes) -> list[Any]:
        struct_from_binary(answer, BoundedBuffer(body))
        return []

    return decode


DECODERS: list[tuple[Callable[[random.Random], bytes], Callable[[bytes], list[Any]], tuple[type[Exception], ...]]] = [
    (data_change, _readings_of, BROKEN),
    (message, _published, (*BROKEN, ServiceFault)),
    (read_answer, _read, (*BROKEN, ServiceFault)),
    (history_answer, _history, (*BROKEN, ServiceFault, history.Incomplete)),
    (events, _events, BROKEN),
    (structure, _structure, BROKEN),
    (lambda _: DICTIONARY, _dictionary, BROKEN),
    (browse_answer, _asyncua(ua.BrowseResponse), (Exception,)),
    (read_answer_of_asyncua, _asyncua(ua.ReadResponse), (Exception,)),
]
"""What is sent, who decodes it, what may leave the decoder. asyncua's own errors are turned into one at its single door (`Link.ask`)."""


def run(seed: int, seconds: float) -> Tally:
    """Fuzz for so many seconds of processor time. Raises AssertionError with the bytes that broke the oracle."""
    chance, tally = random.Random(seed), Tally()
    end = time.process_time() + seconds
    while time.process_time() < end:
        make, decode, declared = chance.choice(DECODERS)
        body = mutated(make(chance), chance)
        begun, readings = time.thread_time(), list[Any]()
        try:
            readings = decode(body)
        except declared as error:
            tally.refused[type(error).__name__] = tally.refused.get(type(error).__name__, 0) + 1
        except Exception as error:
            raise AssertionError(f"{decode}: {error!r} is not declared; seed {seed}, bytes {body[:2000].hex()}") from error
        if (took_s := time.thread_time() - begun) > tally.longest_s:
            tally.longest_s, tally.slowest = took_s, f"{len(body):,} bytes by {getattr(decode, '__name__', decode)}"
        if tally.rounds % 50 == 0 or len(body) > 50_000:
            tally.largest_bytes = max(tally.largest_bytes, _growth(decode, body))
        _check(body, readings, tally, seed)
    return tally


def _growth(decode: Callable[[bytes], list[Any]], body: bytes) -> int:
    """Decode once more; return the most bytes that were held meanwhile."""
    tracemalloc.start()
    try:
        with suppress(Exception):  # it was judged before
            decode(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _check(body: bytes, readings: list[Any], tally: Tally, seed: int) -> None:
    tally.rounds += 1
    for value, status, source, server in readings[:200]:
        if value is not None and not status & 0x80000000:
            assert said(body, (value, status, source, server)), f"nobody said {value!r}; seed {seed}, bytes {body[:2000].hex()}"
    tally.readings += len(readings)
    assert tally.longest_s < ROUND_S, f"{tally.longest_s:.1f} s; seed {seed}, bytes {body[:2000].hex()}"
    assert tally.largest_bytes < MOST_GROWTH_BYTES, f"{tally.largest_bytes:,} bytes; seed {seed}, bytes {body[:2000].hex()}"
