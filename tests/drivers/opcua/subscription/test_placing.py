"""Which values of a history lie in a gap, where many have one source time: by position, never twice, never too few without a word."""

import math

import pytest

from drivers.contract import Reading
from drivers.opcua.subscription.placing import placed


def history(*times_and_values: tuple[int, float]) -> list[Reading]:
    return [(0, value, 0, ticks, None) for ticks, value in times_and_values]


def stored(ticks: int, *values: float, status: int = 0) -> list[Reading]:
    return [(0, value, status, ticks, 999) for value in values]


def taken(records: list[Reading], before: list[Reading] | None, after: Reading | None) -> tuple[list[float], bool]:
    which = placed(records, before, 50, 60, after)
    return [reading[1] for reading in records[which.first : which.end]], which.why_open is None  # type: ignore[misc]


COARSE = history((50, 1), (50, 2), (50, 3), (55, 4), (55, 5), (55, 6), (60, 7), (60, 8), (60, 9))


@pytest.mark.urs("URS-DAQ-11")
def test_all_values_of_one_time_are_taken_from_the_last_stored_one_to_the_first_after() -> None:
    assert taken(COARSE, stored(50, 1, 2), *stored(60, 8)) == ([3, 4, 5, 6, 7], True)
    assert taken(COARSE, stored(50, 1, 2, 3), *stored(60, 7)) == ([4, 5, 6], True)


def test_values_that_were_never_sampled_do_not_hide_the_place() -> None:
    assert taken(COARSE, stored(50, 2), *stored(60, 9)) == ([3, 4, 5, 6, 7, 8], True)


def test_the_bits_of_the_subscription_and_nan_do_not_hide_it_either() -> None:
    records = history((50, 1), (50, math.nan), (55, 4), (60, 7))
    assert taken(records, stored(50, 1, math.nan), *stored(60, 7, status=0x480)) == ([4], True)


@pytest.mark.parametrize(("before", "after"), [(stored(50, 99), stored(60, 7)), (stored(50, 3), stored(60, 99))])
def test_a_history_that_does_not_hold_what_we_received_proves_nothing(before: list[Reading], after: list[Reading]) -> None:
    values, filled = taken(COARSE, before, after[0])
    assert values == [4, 5, 6]
    assert not filled


def test_an_empty_history_is_no_history_of_the_gap() -> None:
    assert taken([], stored(50, 1), *stored(60, 7)) == ([], False)


def test_where_equal_values_have_equal_times_nothing_is_stored_twice_and_the_gap_stays() -> None:
    records = history((50, 1), (50, 2), (50, 1), (55, 4), (60, 7), (60, 8), (60, 7))
    assert taken(records, stored(50, 1), *stored(60, 7)) == ([4], False)
    assert taken(records, stored(50, 1, 2, 1), *stored(60, 8)) == ([4, 7], True)


def test_after_a_restart_what_was_committed_last_is_not_known_and_its_time_is_not_asked_for() -> None:
    assert taken(COARSE, None, *stored(60, 8)) == ([4, 5, 6, 7], True)
