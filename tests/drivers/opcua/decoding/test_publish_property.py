"""The fast decoder reads what asyncua's own decoder reads, for any mix of types, masks and run lengths; rubbish never becomes a crash."""

import struct
from collections.abc import Iterable
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
from drivers.opcua.decoding.remembered import RememberedLayouts
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


@st.composite
def cycles(draw: st.DrawFn) -> tuple[list[bytes], dict[int, int]]:
    """What one subscription sends in turn: the same items with other values, and sometimes one of them otherwise than before.

    With the type that each handle is meant to have; at times another.
    """
    kinds = draw(st.lists(st.sampled_from([1, 3, 6, 10, 11, 12, 12]), min_size=8, max_size=10))
    handles = draw(st.permutations(range(len(kinds))))
    bodies = []
    for _ in range(draw(st.integers(1, 7))):
        odd = draw(st.integers(-30, len(kinds) - 1))
        body = struct.pack("<i", len(kinds))
        for place, kind in enumerate(kinds):
            body += record(draw, handles[place], kind, odd=place == odd)
        bodies.append(body + draw(st.sampled_from([b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x00"])))
    types = dict.fromkeys(range(100), 11) | dict(zip(handles, kinds, strict=True))
    types[draw(st.integers(0, 99))] = draw(st.sampled_from([-1, 11, 12]))
    return bodies, types


def record(draw: st.DrawFn, handle: int, kind: int, *, odd: bool) -> bytes:
    """One record with both times and, if `odd`, one thing that differs: its item, mask, type, value or times."""
    times = [draw(st.sampled_from([133_000_000_000_000_007, 133_000_000_000_000_008])) for _ in "12"]
    mask, tail = 13, b""
    match draw(st.integers(0, 5)) if odd else -1:
        case 0:
            handle = draw(st.integers(0, 99))
        case 1:
            mask, tail = 15, struct.pack("<I", draw(st.sampled_from([0, 0x480, 0x80310000])))
        case 2:
            kind = draw(st.sampled_from([1, 6, 9, 10, 11, 12]))
        case 3:
            times[draw(st.integers(0, 1))] = draw(st.sampled_from([0, -1, 2**63 - 1]))
        case 4:
            return struct.pack("<IBBi", handle, 13, 12, -1) + struct.pack("<qq", *times)
    if kind == 12:
        text = draw(st.sampled_from([b"RUN", b"HLD", b"\xff\xfe\xfd", "\u00e4a".encode()] if not odd else [b"", b"STOPPED"]))
        value = struct.pack("<i", len(text)) + text
    else:
        value = struct.pack("<" + FIXED[kind], draw(st.integers(0, 1 if kind == 1 else 9)))
    return struct.pack("<IBB", handle, mask, kind) + value + tail + struct.pack("<qq", *times)


@given(cycles())
def test_a_layout_that_is_remembered_changes_nothing(cycle: tuple[list[bytes], dict[int, int]]) -> None:
    bodies, types = cycle

    def decoder() -> Decoder:
        return Decoder({handle: handle for handle in types}, types, lambda odd, out: out.append(odd))

    remembering = decoder()
    for body in [*bodies, *bodies, *bodies]:
        first: list[Reading] = []
        second: list[Reading] = []
        decoder().data_change(body, 0, len(body), first)
        remembering.data_change(body, 0, len(body), second)
        assert second == first


@pytest.mark.parametrize(
    ("at", "other"),
    [
        pytest.param(0, b"\x07", id="another item"),
        pytest.param(4, b"\x07", id="another mask"),
        pytest.param(5, b"\x09", id="another type of the same width"),
        pytest.param(30 + 6, b"\x01", id="another length of a text"),
    ],
)
def test_what_lies_otherwise_than_before_is_decoded_as_ever(at: int, other: bytes) -> None:
    records = [struct.pack("<IBBd", 0, 13, 11, 1.5), struct.pack("<IBBi", 1, 13, 12, 3) + b"RUN"]
    records += [struct.pack("<IBBi", handle, 13, 6, handle) for handle in range(2, 12)]
    good = b"".join(record + struct.pack("<qq", 133 * 10**15, 133 * 10**15) for record in records)
    types = {0: 11, 1: 12, **dict.fromkeys(range(2, 12), 6)}
    layouts = RememberedLayouts(types, types)
    found = [layouts.readings(good + b"\xff\xff\xff\xff", 0, len(good) + 4, 12) for _ in range(3)]
    assert [one is not None for one in found] == [False, True, True]
    assert layouts.readings(good[:at] + other + good[at + 1 :] + b"\xff\xff\xff\xff", 0, len(good) + 4, 12) is None


def test_a_message_that_comes_while_another_is_decoded_in_a_thread_is_decoded_record_by_record() -> None:
    types = dict.fromkeys(range(8), 11)
    layouts = RememberedLayouts(types, types)
    body = b"".join(struct.pack("<IBBdqq", handle, 13, 11, 1.5, 133 * 10**15, 133 * 10**15) for handle in types)
    seen: list[object] = [layouts.readings(body, 0, len(body), 8) is None for _ in range(2)]
    with layouts._used:
        seen.append(layouts.readings(body, 0, len(body), 8))
    seen.append(layouts.readings(body, 0, len(body), 8) is None)
    assert seen == [True, False, None, False]


def test_layouts_are_bounded_and_those_that_come_by_chance_are_forgotten() -> None:
    remembered = RememberedLayouts({handle: handle for handle in range(5_000)}, dict.fromkeys(range(5_000), 11))

    def body(handles: Iterable[int]) -> bytes:
        return b"".join(struct.pack("<IBBdqq", handle, 13, 11, 1.5, 133 * 10**15, 133 * 10**15) for handle in handles)

    for count in range(8, 900):
        for _ in "123":
            remembered.readings(body(range(count)), 0, count * 30, count)
        assert len(remembered._known) <= 128
        assert sum(count for count, _, _ in remembered._known) <= 1 << 17
        assert len(remembered._score) <= 1024
    assert remembered.readings(body(range(599, 1198)), 0, 599 * 30, 599) is None
    assert remembered.readings(body(range(899)), 0, 899 * 30, 899) is not None
    for first in range(1, 40):
        by_chance = [0, *range(first + 1, first + 899)]
        assert remembered.readings(body(by_chance), 0, 899 * 30, 899) is None
    assert not any(count == 899 for count, _, _ in remembered._known)


def test_subscriptions_of_one_size_have_a_layout_each() -> None:
    types = dict.fromkeys(range(40), 11)
    layouts = RememberedLayouts({handle: handle for handle in types}, types)

    def body(first: int) -> bytes:
        return b"".join(struct.pack("<IBBdqq", handle, 13, 11, 1.5, 133 * 10**15, 133 * 10**15) for handle in range(first, first + 10))

    found = [[layouts.readings(body(first), 0, 300, 10) for first in (0, 10, 20, 30)] for _ in range(3)]
    assert [[one is not None for one in of_each] for of_each in found] == [[False] * 4, [True] * 4, [True] * 4]


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


@pytest.mark.bar("S12")
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
