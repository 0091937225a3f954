"""Rows as JSON and as typed values."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from config import Tag
from drivers.contract import BAD_DECODING
from drivers.exact_json import exact_json
from drivers.mes_sql.window import from_json, to_json
from drivers.rows import Mapped, typed


@pytest.mark.urs("URS-UPL-06")
@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("1.10"), "1.10"),
        (2**53 + 1, "9007199254740993"),
        (2**53, "9007199254740992"),
        (-(2**53), "-9007199254740992"),
        (2**53 - 1, 9007199254740991),
        (7, 7),
        (float("nan"), "nan"),
        (b"\x00\xff", "AP8="),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
        (None, None),
        (True, True),
    ],
)
def test_no_digit_is_lost_on_the_way_to_json(value, plain):
    assert exact_json(value) == plain
    assert type(exact_json(value)) is type(plain)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("12.5", "float64", 12.5),
        (" 7 ", "int16", 7),
        (7.0, "int16", 7),
        ("1.10", "decimal", Decimal("1.10")),
        ("Yes", "bool", True),
        (0, "bool", False),
        (12, "string", "12"),
        ("", "float32", None),
        ("", "string", ""),
        (None, "int8", None),
        ("2026-01-02T03:00:00+01:00", "datetime", datetime(2026, 1, 2, 2, tzinfo=UTC)),
    ],
)
def test_text_becomes_the_declared_type(value, kind, expected):
    assert typed(value, kind) == expected


@pytest.mark.urs("URS-DAQ-05")
@pytest.mark.parametrize(
    ("value", "kind"),
    [("12,5", "float64"), ("1.5", "int8"), (1.5, "int8"), ("maybe", "bool"), ("x", "decimal"), ("2026-01-02", "datetime")],
)
def test_what_is_not_of_the_type_is_bad_and_never_guessed(value, kind):
    with pytest.raises(ValueError, match=r".+"):
        typed(value, kind)
    mapped = Mapped([Tag(tag="t", source="s", address="q.c", type=kind)], lambda address: (address[:1], address[2:]))
    assert mapped.readings("q", {"c": value}, 5) == [(0, None, BAD_DECODING, 5, None)]
    assert mapped.readings("q", {}, None) == [(0, None, BAD_DECODING, None, None)]


NAIVE = datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001 - as a database gives it


@pytest.mark.parametrize(
    "value",
    [
        7,
        "a",
        1.5,
        None,
        NAIVE,
        NAIVE.replace(tzinfo=UTC),
        NAIVE.date(),
        NAIVE.time(),
        UUID(int=7),
        timedelta(0.1),
        Decimal("1.50"),
        b"\x00\x01",
    ],
)
def test_a_watermark_value_comes_back_as_it_was(value):
    assert from_json(orjson.loads(orjson.dumps(to_json(value)))) == value
