"""Every register that a stored reading was read from is given back to the byte: by its number and the tag table, or because it was kept."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config import Source, Tag
from config.units.scaling import scaling_of
from drivers.contract import BAD, BAD_DECODING, GOOD
from drivers.modbus import ModbusDriver
from drivers.modbus.decode import REGISTERS, compiled
from drivers.modbus.plan import block_of
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.values import value_of
from drivers.modbus.wire import Wire, untold_of
from drivers.registers import as_read, place_of, tells_all
from gateway.entries.tagset import tagset_of
from gateway.intake.normalise import float64, normaliser
from simulators.modbus_plc.encode import place_of as simulated_place
from simulators.modbus_plc.encode import registers_of as simulated_registers

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
PLAIN = sorted(kind for kind in REGISTERS if kind not in ("bool", "int8", "uint8"))
EXACT = sorted(kind for kind in PLAIN if not kind.startswith("bcd"))


@st.composite
def maps(draw):
    """A map of every kind of tag side by side, under any order of the source, with holes, and the bytes that the device answers."""
    tags, at = [], draw(st.integers(0, 30))
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from([*PLAIN, "bool", "string", "bytes"]))
        at += draw(st.integers(0, 12))
        length = draw(st.integers(1, 9))
        own = draw(st.sampled_from(["", ":BA" if kind in ("string", "bytes") or REGISTERS.get(kind) == 1 else ":CDAB"]))
        address = (
            f"3/holding/{at}.{length}" if kind == "bool" else f"3/holding/{at}:{kind}{length if kind in ('string', 'bytes') else ''}{own}"
        )
        at += (length + 1) // 2 if kind in ("string", "bytes") else REGISTERS[kind]
        scaled = draw(st.booleans()) and kind in PLAIN
        scaling = scaling_of(Fraction(1, 10), Fraction(1), is_integer=not kind.startswith("float")) if scaled else None
        tags.append(Tag(tag=f"t{number}", source="plc", address=address, type=kind, scaling=scaling))
    order = draw(st.sampled_from(ORDERS))
    words = draw(
        st.lists(
            st.one_of(st.sampled_from([0, 0x7FC0, 0x8000, 0xFFFF, 0x4142, 0x9999, 1]), st.integers(0, 0xFFFF)), min_size=160, max_size=160
        )
    )
    return tags, order, b"".join(word.to_bytes(2, "big") for word in words)


def read_back(tags: list[Tag], order: str, answer: bytes) -> list[tuple[bytes, bytes | None, bool | None, bool]]:
    """(bytes on the wire, bytes given back, whether they were kept, whether it is Bad) of each tag, as a list goes through the gateway."""
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:502", options={"byte_order": order}, folder=Path())
    settings = ModbusSettings(byte_order=order)
    block = block_of([value_of(index, tag, settings) for index, tag in enumerate(tags)])
    data = answer[: 2 * block.count]
    stored, bad = {}, set()
    for value, decoded in zip(block.values, compiled(block)(data), strict=True):
        normal = normaliser(tags[value.tag], {}) or float64
        number, raw, status, _ = normal(decoded, GOOD) if decoded is not None else (None, None, BAD_DECODING, None)
        stored[value.tag] = orjson.loads(orjson.dumps(number if raw is None else raw))
        bad |= {value.tag} if status >= BAD else set()
    wire = Wire([(block, data)], untold_of(block))
    asked = {tag: number for tag, number in stored.items() if tag in wire.untold or number is None}
    kept = {tag: {"address": run.address, "hex": run.data.hex()} for run in wire.kept(asked) for tag in run.tags}
    _, table = tagset_of(source, tags)
    found = []
    for value in block.values:
        at = 2 * (value.offset - block.start)
        told = as_read(table[value.tag], stored[value.tag], kept.get(value.tag))
        found.append((data[at : at + 2 * value.size], *(told or (None, None)), value.tag in bad))
    return found


@pytest.mark.urs("URS-DAQ-03")
@given(maps())
def test_the_registers_of_every_reading_are_given_back_whatever_its_type_and_order(content) -> None:
    tags, order, answer = content
    for wire, back, _, _ in read_back(tags, order, answer):
        assert back == wire


@pytest.mark.urs("URS-DAQ-03")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", PLAIN)
@given(data=st.data())
def test_nothing_is_kept_of_what_a_number_gives_back(kind: str, order: str, data: st.DataObject) -> None:
    answer = data.draw(st.binary(min_size=2 * REGISTERS[kind], max_size=2 * REGISTERS[kind]))
    ((wire, back, was_kept, is_bad),) = read_back([Tag(tag="t", source="plc", address=f"1/input/7:{kind}", type=kind)], order, answer)
    assert back == wire
    assert was_kept is is_bad, "kept where there is no number, and nowhere else"


@pytest.mark.urs("URS-DAQ-03")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kind", "raw"),
    [("float32", math.nan), ("float32", math.inf), ("float64", -math.inf)],
)
def test_what_is_no_number_keeps_its_payload(kind: str, raw: float, order: str) -> None:
    tag = Tag(tag="t", source="plc", address=f"1/input/7:{kind}", type=kind)
    answer = simulated_registers(simulated_place(tag, order), raw, "ascii")
    answer = answer[:-1] + bytes([answer[-1] | 1]) if math.isnan(raw) else answer  # a payload of its own
    ((wire, back, was_kept, is_bad),) = read_back([tag], order, answer)
    assert (back, was_kept, is_bad) == (wire, True, True)


@pytest.mark.urs("URS-DAQ-03")
@given(st.integers(0, 15), st.integers(0, 0xFFFF), st.sampled_from(ORDERS))
@example(3, 0x0008, "ABCD")
def test_of_a_bit_the_whole_register_is_kept_unless_all_its_others_are_zero(bit: int, word: int, order: str) -> None:
    tag = Tag(tag="t", source="plc", address=f"1/holding/20.{bit}", type="bool")
    ((wire, back, was_kept, _),) = read_back([tag], order, word.to_bytes(2, "big"))
    assert back == wire
    seen = word if order in ("ABCD", "CDAB") else int.from_bytes(word.to_bytes(2, "big"), "little")
    assert was_kept is (seen not in (0, 1 << bit))


@pytest.mark.urs("URS-DAQ-03")
@pytest.mark.parametrize(
    ("answer", "is_kept"),
    [(b"B4711\0\0\0", False), (b"B4711\0xx", True), (b"B4711   ", False), (b"\xff" * 8, True), (b"\xb5g\0\0\0\0\0\0", True)],
)
def test_of_a_text_what_stands_behind_its_end_is_kept(answer: bytes, is_kept: bool) -> None:
    tag = Tag(tag="t", source="plc", address="1/holding/20:string8", type="string")
    ((wire, back, was_kept, _),) = read_back([tag], "ABCD", answer)
    assert (back, was_kept) == (wire, is_kept)


def test_a_table_of_an_earlier_release_claims_nothing_of_registers() -> None:
    row = {"tag": "t", "type": "uint16", "address": "1/holding/20"}
    assert place_of(row) is None
    assert as_read(row, 5, None) is None
    placed = place_of({**row, "byte_order": "BADC"})
    assert placed is not None
    assert tells_all(placed[1])
    assert as_read({**row, "byte_order": "BADC"}, 5, None) == (b"\x05\x00", False)


def test_coils_and_addresses_of_other_drivers_have_no_byte_order(tmp_path: Path) -> None:
    source = Source(name="plc", driver="modbus", endpoint="tcp://127.0.0.1:502", options={"byte_order": "CDAB"}, folder=tmp_path)
    coil = Tag(tag="a", source="plc", address="1/coil/3", type="bool")
    register = replace(coil, address="1/holding/3:int32", type="int32")
    assert ModbusDriver.byte_orders(source, [coil, register]) == [None, "CDAB"]
    assert tagset_of(source, [coil])[1][0].get("byte_order") is None
