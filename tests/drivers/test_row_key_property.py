"""The key of a row: never one for two rows, whatever stands in its columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.row_key import forms, key_parts, row_key

TEXTS = st.text(st.sampled_from("/%2F5 aé:"), max_size=6)


def key_of(parts):
    columns = [f"c{n}" for n in range(len(parts))]
    return row_key(dict(zip(columns, parts, strict=True)), columns)


@pytest.mark.urs("URS-DAQ-04")
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(st.tuples(*[TEXTS] * n), st.tuples(*[TEXTS] * n))))
def test_two_rows_have_one_key_only_if_their_columns_are_the_same(two):
    one, other = two
    assert (key_of(one) == key_of(other)) == (one == other)


@given(st.tuples(TEXTS, TEXTS) | st.tuples(TEXTS, TEXTS, TEXTS))
def test_a_key_can_be_taken_apart_and_is_found_under_its_former_form(parts):
    key = key_of(parts)
    assert key_parts(key) == ([*parts] if "%" in key else [key])
    assert forms(key) == ((key,) if "%" not in key else (key, "/".join(parts)))


@given(TEXTS)
def test_one_column_is_its_text(part):
    assert key_of([part]) == part


def test_what_no_text_is_stands_as_json_has_it():
    assert row_key({"id": 2**60, "on": True, "kg": 1.5, "n": 7}, ["id", "on", "kg", "n"]) == "1152921504606846976/True/1.5/7"
