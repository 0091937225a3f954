"""Values stand in an entry exactly, or not at all."""

import json
import math
import random
import struct
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Code, CodeTable, Tag
from gateway.intake.normalise import float64, normaliser, shortest_float32, shortest_float32s


def tag(kind: str, **more: object) -> Tag:
    return Tag(tag="t", source="s", address="a", type=kind, **more)  # type: ignore[arg-type]


def normal(kind: str, value: object, status: int = 0, **more: object) -> tuple[object, object, int, str | None]:
    made = normaliser(tag(kind, **more), {"codes": CodeTable("codes", "1", {1: Code(1, "one")})})
    return (made or float64)(value, status)  # type: ignore[arg-type]


@pytest.mark.urs("URS-UPL-06")
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_restored_from_its_json(value: float) -> None:
    text = orjson.dumps(normal("float32", value)[0])

    assert struct.pack("<f", json.loads(text)) == struct.pack("<f", value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_is_written_with_the_fewest_digits(value: float) -> None:
    assert len(repr(shortest_float32(value))) <= len(repr(value))


_FLOAT32S = st.floats(width=32, allow_nan=False, allow_infinity=False)
_DECIMALS = st.builds(
    lambda digits, places: struct.unpack("<f", struct.pack("<f", digits / 10**places))[0], st.integers(-(10**9), 10**9), st.integers(0, 13)
)


@pytest.mark.urs("URS-UPL-06")
@given(
    st.lists(
        _FLOAT32S
        | _DECIMALS
        | st.floats(-3e38, 3e38)
        | st.sampled_from([0.0, -0.0, 0.1, 1e6, 8388609.0, 16777215.0, 2.0**-10, 2.0**-16, 2.0**-17])
    )
)
def test_a_column_of_float32_is_written_as_each_of_them(values: list[float]) -> None:
    assert list(map(repr, shortest_float32s(values))) == list(map(repr, map(shortest_float32, values)))


@pytest.mark.urs("URS-UPL-06")
def test_a_column_of_float32_of_any_size_is_written_as_each_of_them() -> None:
    of_all = random.Random(1)
    ends = [0, 1, 2, 0x400000, 0x7FFFFE, 0x7FFFFF]
    for exponent in range(255):
        digits = [*ends, *(of_all.getrandbits(23) for _ in range(200))]
        packed = struct.pack(f"<{2 * len(digits)}I", *(sign | exponent << 23 | each for each in digits for sign in (0, 1 << 31)))
        values = struct.unpack(f"<{2 * len(digits)}f", packed)

        assert list(map(repr, shortest_float32s(values))) == list(map(repr, map(shortest_float32, values)))


@pytest.mark.urs("URS-UPL-06")
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float64_is_restored_from_its_json(value: float) -> None:
    assert json.loads(orjson.dumps(normal("float64", value)[0])) == value


@pytest.mark.urs("URS-UPL-06")
@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_64_bit_integer_keeps_its_digits(value: int) -> None:
    assert normal("int64", value) == (str(value), None, 0, None)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_digits(value: Decimal) -> None:
    assert Decimal(str(normal("decimal", value)[0])) == value


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_what_is_no_number_becomes_null_and_bad(kind: str, value: float) -> None:
    number, _, status, finding = normal(kind, value)

    assert number is None
    assert status >= 0x80000000
    assert finding == "not-a-number"


@pytest.mark.parametrize(
    ("kind", "value", "finding"),
    [
        ("int8", 128, "value-outside-type"),
        ("uint16", -1, "value-outside-type"),
        ("int16", True, "type-differs"),
        ("int16", 1.0, "type-differs"),
        ("bool", 1, "type-differs"),
        ("string", b"x", "type-differs"),
        ("float64", "1", "type-differs"),
        ("datetime", datetime(2026, 1, 1), "type-differs"),  # noqa: DTZ001 - the naive one must be refused
        ("bytes", "x", "type-differs"),
        ("string", "x" * 40_000, "text-too-long"),
        ("bcd16", 10_000, "value-outside-type"),
    ],
)
def test_what_the_type_can_not_hold_becomes_null_bad_and_a_finding(kind: str, value: object, finding: str) -> None:
    number, _, status, code = normal(kind, value)

    assert (number, code) == (None, finding)
    assert status >= 0x80000000


def test_an_uncertain_status_is_kept() -> None:
    assert normal("float64", 1.5, 0x40900000) == (1.5, None, 0x40900000, None)


@pytest.mark.urs("URS-MAP-08")
def test_an_unlisted_code_is_kept_raw_as_uncertain() -> None:
    assert normal("int16", 2, codes="codes") == (2, None, 0x40000000, "code-unlisted")
    assert normal("int16", 1, codes="codes") == (1, None, 0, None)


def test_text_bytes_and_times_have_their_json_form() -> None:
    assert normal("string", "Größe\x00")[0] == "Größe\x00"
    assert normal("bytes", b"\x00\xff")[0] == "AP8="
    assert normal("datetime", datetime(2026, 11, 22, 7, 15, 2, 400_000, tzinfo=UTC))[0] == "2026-11-22T07:15:02.400000Z"
