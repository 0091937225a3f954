"""What JSON holds without change: the same for whoever reads it, however he holds numbers."""

import json
from decimal import Decimal

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.exact_json import exact_json

NUMBERS = st.integers() | st.sampled_from([sign * (2**53 + off) for sign in (1, -1) for off in (-1, 0, 1)]) | st.floats()
PLAIN = st.none() | st.booleans() | st.text() | NUMBERS
COLUMNS = PLAIN | st.decimals() | st.binary() | st.datetimes() | st.dates() | st.times() | st.timedeltas() | st.uuids()
VALUES = st.recursive(
    COLUMNS, lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=4), each, max_size=4), max_leaves=12
)


@given(VALUES)
def test_what_was_stored_reads_as_what_was_handed_over_and_is_exact_itself(value):
    exact = exact_json(value)
    stored = orjson.loads(orjson.dumps(exact))
    assert stored == exact
    assert exact_json(stored) == stored


@given(NUMBERS)
@example(2**53)
@example(2**53 + 1)
def test_a_number_is_a_number_only_if_a_reader_with_floats_has_it_too(number):
    exact = exact_json(number)
    with_floats = json.loads(json.dumps(exact), parse_int=float)
    if isinstance(exact, str):
        assert exact == str(number)
        assert isinstance(number, int) or number - number != 0
    else:
        assert with_floats == number == exact
        assert isinstance(number, float) or float(number + 1) != with_floats != float(number - 1), "and it is nobody else's"


@pytest.mark.urs("URS-UPL-06")
@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False))
def test_no_digit_is_lost(number):
    assert Decimal(str(exact_json(number))) == number
