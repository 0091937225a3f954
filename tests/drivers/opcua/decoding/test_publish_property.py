"""The fast decoder reads what asyncua's own decoder reads, for any mix of types, masks and run lengths; rubbish never becomes a crash."""

import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import example, given
from hypothesis import strategies as st
from kit import asyncua_decoder

from drivers.contract import Reading
from drivers.opcua.decoding.publish import BROKEN, Decoder, ServiceFault, Undecoded, published
from drivers.opcua.session.variant import FIXED, Array, TooLarge, nodeid

TYPES = ua.VariantType
RUNS = st.sampled_from([1, 1, 2, 7, 8, 9, 70])
INTEGERS = {
    TYPES.SByte: (-128, 127),
    TYPES.Byte: (0, 255),
    TYPES.Int16: (-(2**15), 2**15 - 1),
    TYPES.UInt16: (0, 2**16 - 1),
    TYPES.Int32: (-(2**31), 2**31 - 1),
    TYPES.UInt32: (0, 2**32 - 1),
    TYPES.Int64: (-(2**63), 2**63 - 1),
    TYPES.UInt64: (0, 2**64 - 1),
}
KINDS = [
    *INTEGERS,
    *(TYPES.Boolean, TYPES.Float, TYPES.Double, TYPES.String, TYPES.ByteString, TYPES.DateTime),
    *(TYPES.StatusCode, TYPES.LocalizedText, TYPES.QualifiedName),
]
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of the strategy


def scalars(kind: Any) -> st.SearchStrategy[Any]:
    if kind in INTEGERS:
        return st.integers(*INTEGERS[kind])
    return {
        TYPES.Boolean: st.booleans(),
        TYPES.Float: st.floats(width=32, allow_nan=False),
        TYPES.Double: st.floats(allow_nan=False),
        TYPES.String: st.text(st.characters(codec="utf-8"), max_size=20),
        TYPES.ByteString: st.binary(max_size=20),
        TYPES.DateTime: TIMES,
        TYPES.StatusCode: st.integers(0, 2**32 - 1).map(ua.StatusCode),
        TYPES.LocalizedText: st.text(st.characters(codec="utf-8"), max_size=9).map(ua.LocalizedText),
        TYPES.QualifiedName: st.text(st.characters(codec="utf-8"), max_size=9).map(ua.QualifiedName),
    }[kind]


@st.composite
def values(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(KINDS))
    if draw(st.integers(0, 9)) == 0:
        return ua.Variant(draw(st.lists(scalars(kind), max_size=4)), kind, is_array=True)
    return ua.Variant(draw(scalars(kind)), kind)


@st.composite
def data_values(draw: st.DrawFn) -> Any:
    value = draw(values())
    status = draw(st.sampled_from([None, 0, 0x480, 0x40920000, 0x80310000, 0x80310480]))
    told = ua.DataValue(value, StatusCode=None if status is None else ua.StatusCode(status))
    told.SourceTimestamp = draw(st.none() | TIMES)
    told.ServerTimestamp = draw(st.none() | TIMES)
    return told


@st.composite
def notifications(draw: st.DrawFn) -> Any:
    """Records in runs, as servers send them: the same value shape some times over, then another."""
    items = []
    for _ in range(draw(st.integers(0, 5))):
        told = draw(data_values())
        items += [
            ua.MonitoredItemNotification(draw(st.integers(0, 99)), told) for _ in range(draw(st.sampled_from([1, 1, 2, 7, 8, 9, 70])))
        ]
    return ua.DataChangeNotification(items)


def slow(body: bytes) -> list[Undecoded]:
    found: list[Undecoded] = []
    asyncua_decoder.data_change(body, 0, len(body), lambda odd, _: found.append(odd), [])
    return found


def fast(body: bytes) -> list[Undecoded]:
    """Every record in one order: those of expected type as readings, the others by the odd way."""
    found: list[Any] = []

    def odd(one: Undecoded, out: list[Reading]) -> None:
        out.append(one)

    tags = {handle: handle for handle in range(100)}
    Decoder(tags, {handle: -1 if handle % 2 else 11 for handle in tags}, odd).data_change(body, 0, len(body), found)
    return [one if isinstance(one, Undecoded) else Undecoded(one[0], 11, *one[1:]) for one in found]


def plain(odd: Undecoded) -> tuple[Any, ...]:
    value = odd.value
    if isinstance(value, Array):
        value = tuple(value.values)
    if odd.status & 0x80000000:
        value = None  # a Bad value is never used
    return odd.handle, None if value is None else odd.type, value, odd.status, odd.source_ticks, odd.server_ticks


@given(notifications())
def test_equal_to_the_slow_decoder(notification: Any) -> None:
    body = struct_to_binary(notification)
    assert [plain(one) for one in fast(body)] == [plain(one) for one in slow(body)]


@given(st.lists(st.sampled_from(sorted(FIXED)), min_size=1, max_size=300), st.integers(0, 7))
@example([11] * 300, 6)
@example([10, 11] * 150, 7)
def test_every_run_length_and_the_hundred_nanoseconds(types: list[int], parts: int) -> None:
    base, records, expected = 133_000_000_000_000_007, b"", []
    for number, kind in enumerate(types):
        raw = number % 2 if kind == 1 else number % 100
        mask = 1 | parts << 1
        tail = (struct.pack("<I", 0x40920000) if mask & 2 else b"") + b"".join(
            struct.pack("<q", base + number) for bit in (4, 8) if mask & bit
        )
        records += struct.pack("<IBB" + FIXED[kind], number % 100, mask, kind, raw) + tail
        ticks = base + number - 116_444_736_000_000_000
        times = [ticks if mask & bit else None for bit in (4, 8)]
        expected.append((number % 100, kind, raw, 0x40920000 if mask & 2 else 0, *times))
    body = struct.pack("<i", len(types)) + records + b"\xff\xff\xff\xff"
    assert [plain(one) for one in fast(body)] == expected


@given(notifications(), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 40))
def test_damaged_bytes_raise_only_what_the_driver_expects(notification: Any, damage: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(struct_to_binary(notification))
    for at, value in damage:
        body[at % len(body)] = value
    whole = bytes(body[: len(body) - cut] if cut < len(body) else body)
    for decode in (fast, published):
        try:
            decode(whole)
        except (*BROKEN, ServiceFault):
            pass


def test_a_bad_value_without_value() -> None:
    bad = ua.DataValue(None, StatusCode=ua.StatusCode(0x80310000))
    (first,) = fast(struct_to_binary(ua.DataChangeNotification([ua.MonitoredItemNotification(2, bad)])))
    assert (first.status, first.value) == (0x80310000, None)


def test_picoseconds_stand_after_their_own_time() -> None:
    """Part 6, 5.2.2.17: each time is followed by its picoseconds. asyncua has both times first, so it is no measure here."""
    base = 133_000_000_000_000_007
    record = struct.pack("<IBBdqHqH", 4, 0x3D, 11, 1.5, base, 77, base + 5, 99)
    (only,) = fast(struct.pack("<i", 1) + record + b"\xff\xff\xff\xff")
    ticks = base - 116_444_736_000_000_000
    assert (only.value, only.source_ticks, only.server_ticks) == (1.5, ticks, ticks + 5)


def test_an_unknown_item_is_refused() -> None:
    item = ua.MonitoredItemNotification(100, ua.DataValue(ua.Variant(1.5, TYPES.Double)))
    with pytest.raises(BROKEN):
        fast(struct_to_binary(ua.DataChangeNotification([item])))


def test_diagnostics_that_nobody_asked_for_hide_no_value() -> None:
    told = b"\x7f" + struct.pack("<iiii", 0, 1, 2, 3) + struct.pack("<i", 3) + b"why" + struct.pack("<I", 0x80310000)
    told += b"\x21" + struct.pack("<iI", 7, 0x80310000)
    item = struct_to_binary(ua.MonitoredItemNotification(4, ua.DataValue(ua.Variant(1.5, TYPES.Double))))
    (only,) = fast(struct.pack("<i", 1) + item + struct.pack("<i", 3) + told + b"\x00" + told)
    assert only.value == 1.5


def test_a_value_that_holds_a_datavalue_is_passed_over_to_its_last_byte() -> None:
    nested = ua.Variant([ua.DataValue(ua.Variant(1, TYPES.Int32)), ua.DataValue(ua.Variant("x", TYPES.String))], TYPES.DataValue)
    items = [ua.MonitoredItemNotification(2, ua.DataValue(nested)), ua.MonitoredItemNotification(4, ua.DataValue(ua.Variant(1.5)))]
    first, second = fast(struct_to_binary(ua.DataChangeNotification(items)))
    assert (first.type, second.value) == (23, 1.5)


@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    "variant",
    [
        b"\x80\xff\xff\xff\x7f",
        b"\x98" + struct.pack("<i", 400_000) + b"\x80\xff\xff\xff\x7f" * 400_000,
        b"\x96" + struct.pack("<i", 300_000) + b"\x00\x00\x00" * 300_000,
        b"\x98" + struct.pack("<i", 5) + (b"\x96" + struct.pack("<i", 60_000) + b"\x00\x00\x00" * 60_000) * 5,
    ],
)
def test_more_elements_than_a_message_may_hold_are_refused_before_they_are_made(variant: bytes) -> None:
    """An array of two thousand million Null takes five bytes; here no other decoder is asked for it."""
    with pytest.raises(TooLarge):
        fast(struct.pack("<iIB", 1, 2, 1) + variant + b"\xff\xff\xff\xff")


@pytest.mark.parametrize("length", [-2, -100, 2**31 - 1])
def test_a_node_id_with_an_impossible_length_never_leads_backwards(length: int) -> None:
    """asyncua's decoder takes a negative length for a step back, and may read the same bytes for ever."""
    body = b"\x03\x02\x00" + struct.pack("<i", length) + b"abc"
    try:
        node, at = nodeid(body, 0, len(body))
    except BROKEN:
        return
    assert (node.Identifier, at) == ("", 7)
