"""Rows as JSON and as typed values."""

from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import Tag
from drivers.contract import BAD_DECODING
from drivers.exact_json import exact_json
from drivers.mes_sql.window import Window, from_json, row_hash, to_json
from drivers.rows import Mapped, typed


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


@pytest.mark.parametrize("value", [7, "a", 1.5, None, NAIVE, Decimal("1.50"), b"\x00\x01"])
def test_a_watermark_value_comes_back_as_it_was(value):
    assert from_json(orjson.loads(orjson.dumps(to_json(value)))) == value


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.booleans(), st.integers(0, 4)), max_size=60), st.integers(2, 30))
def test_the_window_answers_as_an_unbounded_memory_would(steps, rows):
    """Against a plain dict of all rows of the table above the floor; what left the window is below the floor."""
    window = Window(None, overlap_s=3, rows=rows, start=0)
    table: dict[str, tuple[int, str]] = {}
    for number, version, delete, wait in steps:
        key, digest = str(number), row_hash({"v": version})
        window.age(wait)
        if number <= window.floor:
            continue
        if delete:
            expected = [key] if key in table else []
            seen = {k for k, (v, _) in table.items() if v > window.floor} - {key}
            gone = window.deleted(seen, window.floor, None)
            assert sorted(gone) == expected
            for one in gone:
                window.forget(one)
                table.pop(one)
            continue
        known = table.get(key)
        change = window.change(key, number, digest)
        assert (change is None) == (known is not None and known[1] == digest)
        assert (change == "changed") == (known is not None and known[1] != digest)
        if change is not None:
            window.take(key, number, digest)
            table[key] = (number, digest)
        window.bound()
        window = Window(orjson.loads(orjson.dumps(window.stored())), overlap_s=3, rows=rows, start=0)
        assert len(window) <= rows
        table = {k: item for k, item in table.items() if item[0] > window.floor}
