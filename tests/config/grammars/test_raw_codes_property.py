"""Codes by which a device says that it has no value: bits and numbers of every type, and what is none of them."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.grammars.raw_codes import RawCodes, RawCodesError, parse

INTEGERS = {"int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q"}


@pytest.mark.urs("URS-DAQ-05")
@given(st.sampled_from(sorted(INTEGERS)), st.binary(min_size=8, max_size=8))
def test_hexadecimal_digits_are_the_bits_of_the_type(type_name: str, data: bytes) -> None:
    layout = struct.Struct(">" + INTEGERS[type_name])
    bits = data[: layout.size]
    (meant,) = layout.unpack(bits)
    codes = parse(f"0x{bits.hex()};{meant}", type_name)
    assert codes.spans == ((meant, meant), (meant, meant))
    assert meant in codes
    assert meant ^ 1 not in codes
    with pytest.raises(RawCodesError, match="bits, write 0x and"):
        parse(f"0x{bits.hex()}00", type_name)


@given(st.sampled_from(sorted(INTEGERS)), st.integers(-(1 << 64), 1 << 65))
def test_a_number_is_one_of_the_type_or_refused(type_name: str, number: int) -> None:
    layout = struct.Struct(">" + INTEGERS[type_name])
    try:
        layout.pack(number)
    except struct.error:
        with pytest.raises(RawCodesError, match="is no value of"):
            parse(str(number), type_name)
    else:
        assert number in parse(f"{number}..{number}", type_name)


@given(st.sampled_from(["float32", "float64"]), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_is_known_by_its_bits_and_by_its_digits(type_name: str, number: float) -> None:
    bits = struct.pack(">f" if type_name == "float32" else ">d", number).hex()
    assert number in parse(f"0x{bits}", type_name)
    assert number in parse(repr(number), type_name)


def test_what_people_write() -> None:
    codes = parse("0x8000; 0x7fff;32765..32766", "int16")
    assert codes == RawCodes("0x8000; 0x7fff;32765..32766", ((-32768, -32768), (32767, 32767), (32765, 32766)))
    assert [raw in codes for raw in (-32768, 32764, 32765, 32766, 32767, 0)] == [True, False, True, True, True, False]
    assert struct.unpack(">f", struct.pack(">f", -999.9))[0] in parse("-999.9", "float32"), "as a float32 holds it"
    assert Decimal("-9999.0") in parse("-9999", "decimal")
    assert 9999 in parse("9999", "bcd16")


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize(
    ("text", "type_name", "message"),
    [
        ("0x8000", "int32", "int32 has 32 bits, write 0x and 8 hexadecimal digits"),
        ("0xfff", "uint16", "write 0x and 4"),
        ("0xzzzz", "uint16", "write 0x and 4"),
        ("0x9999", "bcd16", "the bits of bcd16 are no number"),
        ("32768", "int16", "`32768` is no value of int16"),
        ("-1", "uint16", "is no value of uint16"),
        ("1.5", "int16", "is no value of int16"),
        ("10000", "bcd16", "is no value of bcd16"),
        ("1e39", "float32", "is no value of float32"),
        ("0x7fc00000", "float32", "are Bad without being named"),
        ("5..3", "int16", "holds nothing"),
        ("nan", "float64", "is no number"),
        ("", "int16", "is no number"),
        ("1;;2", "int16", "is no number"),
        ("1_000", "int16", "is no number"),
        (";".join(["1"] * 101), "int16", "at most 100"),
    ],
)
def test_what_is_no_code_is_refused_with_its_reason(text: str, type_name: str, message: str) -> None:
    with pytest.raises(RawCodesError, match=message.replace("..", r"\.\.")):
        parse(text, type_name)
