"""From readings to rows: which are stored, under which kind, and where a list is cut."""

import math
from decimal import Decimal
from typing import Any

import pytest

from config import Code, CodeTable, Tag
from drivers.contract import BAD, BAD_TIMEOUT, UNCERTAIN
from gateway.intake.poll_filter import REPEAT_AFTER_S, PollFilter, deadband_of, is_within, kind_of_poll


def tag(name: str = "speed", kind: str = "float64", **more: Any) -> Tag:
    return Tag(name, "plc", name, kind, **more)


def polled(filter_: PollFilter, value: Any, now_s: float, status: int = 0) -> list[tuple[Any, str]]:
    taken = filter_.rows([(0, value, status, None, None)], "poll", now_s)
    assert taken.unchanged == 1 - len(taken.rows)
    return [(row[1], row[4]) for row in taken.rows]


@pytest.mark.urs("URS-DAQ-06", "URS-DAQ-07")
def test_a_poll_is_stored_first_when_it_changes_and_once_a_minute_as_a_sign_of_life() -> None:
    filter_ = PollFilter([tag()], frozenset(), {})

    assert polled(filter_, 1.0, 100.0) == [(1.0, "initial")]
    assert polled(filter_, 1.0, 100.0 + REPEAT_AFTER_S - 0.1) == []
    assert polled(filter_, 1.0, 100.0 + REPEAT_AFTER_S) == [(1.0, "repeat")]
    assert polled(filter_, 1.0, 101.0 + REPEAT_AFTER_S) == []
    assert polled(filter_, 2.0, 102.0 + REPEAT_AFTER_S) == [(2.0, "change")]
    assert polled(filter_, 2.0, 103.0 + REPEAT_AFTER_S, UNCERTAIN) == [(2.0, "change")]


@pytest.mark.urs("URS-DAQ-11")
def test_the_first_poll_after_a_gap_is_stored_though_nothing_changed() -> None:
    filter_ = PollFilter([tag(), tag("other")], frozenset(), {})
    polled(filter_, 1.0, 100.0)

    filter_.forget([1])
    assert polled(filter_, 1.0, 101.0) == []
    filter_.forget([0, 1])
    assert polled(filter_, 1.0, 102.0) == [(1.0, "initial")]


@pytest.mark.urs("URS-DAQ-07")
def test_a_tag_whose_polls_are_all_stored_leaves_none_out() -> None:
    filter_ = PollFilter([tag(store="all")], frozenset(), {})

    assert [polled(filter_, 1.0, at_s) for at_s in (100.0, 100.1, 100.2)] == [[(1.0, "periodic")]] * 3


@pytest.mark.urs("URS-DAQ-06")
def test_a_deadband_counts_from_the_value_that_was_stored_last_so_that_a_drift_is_seen() -> None:
    filter_ = PollFilter([tag(deadband="0.5")], frozenset(), {})

    stored = [polled(filter_, 20.0 + step / 10, 100.0 + step) for step in range(12)]

    assert [row for rows in stored for row in rows] == [(20.0, "initial"), (20.5, "change"), (21.0, "change")]


def test_a_deadband_holds_for_numbers_alone() -> None:
    assert is_within(0.5, 1.25, 1.0)
    assert not is_within(0.5, 1.5, 1.0)
    assert not is_within(None, 1.0, 1.0)
    assert not is_within(0.5, "1.0", 1.0)
    assert not is_within(0.5, None, 1.0)


def test_a_deadband_in_percent_is_one_of_the_range() -> None:
    assert deadband_of(tag(deadband="2%", eu_low=Decimal(-50), eu_high=Decimal(150))) == 4.0
    assert deadband_of(tag(deadband="0.25")) == 0.25
    assert deadband_of(tag()) is None


def test_a_value_that_comes_back_after_a_bad_one_is_a_change() -> None:
    assert kind_of_poll((None, BAD_TIMEOUT), 1.0, 0, None, 1.0) == "change"
    assert kind_of_poll((None, BAD_TIMEOUT), None, BAD_TIMEOUT, None, 1.0) == ""


@pytest.mark.urs("URS-DAQ-01")
def test_what_is_no_poll_is_stored_as_it_comes_and_forgets_nothing() -> None:
    filter_ = PollFilter([tag()], frozenset(), {})
    polled(filter_, 1.0, 100.0)

    taken = filter_.rows([(0, 1.0, 0, 7, 8)] * 2, "change", 101.0)

    assert taken.rows == [(0, 1.0, None, 0, "change", 7, 8)] * 2
    assert taken.unchanged == 0
    assert polled(filter_, 1.0, 102.0) == []


@pytest.mark.urs("URS-CTX-04")
def test_a_list_turns_where_a_signal_changes_its_value_or_is_usable_again() -> None:
    filter_ = PollFilter([tag("step", "int16"), tag()], frozenset({0}), {})
    readings = [(0, 10, 0), (1, 1.0, 0), (0, 10, 0), (0, 20, 0), (0, None, BAD_TIMEOUT), (0, None, BAD_TIMEOUT), (0, 20, 0)]

    taken = filter_.rows([(index, value, status, None, None) for index, value, status in readings], "change", 0.0)

    assert taken.turns == [0, 3, 4, 6]
    assert filter_.rows([(0, 20, 0, None, None)], "change", 0.0).turns == []


@pytest.mark.urs("URS-CTX-04")
def test_rows_that_are_left_out_do_not_move_the_place_where_a_list_turns() -> None:
    filter_ = PollFilter([tag("step", "int16"), tag()], frozenset({0}), {})
    filter_.rows([(1, 1.0, 0, None, None), (0, 10, 0, None, None)], "poll", 0.0)

    taken = filter_.rows([(1, 1.0, 0, None, None), (0, 20, 0, None, None)], "poll", 1.0)

    assert (taken.turns, [row[0] for row in taken.rows], taken.unchanged) == ([0], [0], 1)


@pytest.mark.urs("URS-DAQ-05", "URS-MAP-08")
def test_a_misfit_is_stored_without_its_number_and_named() -> None:
    codes = {"state": CodeTable("state", "1", {4: Code(4, "Idle", "Idle")})}
    filter_ = PollFilter([tag(), tag("state", "int16", codes="state")], frozenset(), codes)

    taken = filter_.rows([(0, math.nan, 0, None, None), (0, "x", 0, None, None), (1, 5, 0, None, None)], "change", 0.0)

    assert [(code, index) for code, index, _ in taken.misfits] == [("not-a-number", 0), ("type-differs", 0), ("code-unlisted", 1)]
    assert [row[1] for row in taken.rows] == [None, None, 5]
    assert [row[3] >> 30 for row in taken.rows] == [2, 2, 1]


@pytest.mark.urs("URS-DAQ-05")
def test_a_bad_reading_has_no_value_whatever_the_driver_gave() -> None:
    filter_ = PollFilter([tag()], frozenset(), {})

    taken = filter_.rows([(0, 1.0, BAD_TIMEOUT, None, None)], "change", 0.0)

    assert (taken.rows, taken.misfits) == ([(0, None, None, BAD_TIMEOUT, "change", None, None)], [])


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("kind", "value"), [("float32", 1e300), ("float64", 10**400)])
def test_a_value_that_no_rule_foresaw_is_bad_and_those_beside_it_are_stored(kind: str, value: Any) -> None:
    filter_ = PollFilter([tag(kind=kind), tag("other")], frozenset(), {})

    stored = filter_.rows([(0, value, 0, None, None), (1, 2.5, 0, None, None)], "change", 0.0)

    assert [row[1] for row in stored.rows] == [None, 2.5]
    assert [row[3] >= BAD for row in stored.rows] == [True, False]
    assert [misfit[:2] for misfit in stored.misfits] == [("value-unusable", 0)]
