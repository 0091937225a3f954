"""A server that sends its last values once more when a session is taken up again."""

import pytest

from drivers.contract import Reading
from drivers.opcua.subscription.session_state import unrepeated

LAST: list[Reading | None] = [(0, 1.5, 0, 100, 101), (1, "a", 0, 100, 101), None]


@pytest.mark.urs("URS-DAQ-01")
def test_the_last_value_once_more_is_left_out_and_nothing_else() -> None:
    repeats = {0, 1, 2}
    new: list[Reading] = [(0, 1.5, 0, 100, 999), (1, "b", 0, 100, 999), (2, True, 0, 100, 999), (0, 1.5, 0, 100, 1000)]
    assert unrepeated(new, LAST, repeats) == new[1:]
    assert repeats == set()


@pytest.mark.parametrize("changed", [(0, 1.6, 0, 100, 1), (0, 1.5, 0x480, 100, 1), (0, 1.5, 0, 101, 1), (0, None, 0x80000000, None, 1)])
def test_another_value_status_or_source_time_is_news(changed: Reading) -> None:
    assert unrepeated([changed], LAST, {0}) == [changed]


def test_a_tag_whose_value_came_already_is_not_looked_at_again() -> None:
    assert unrepeated([(0, 1.5, 0, 100, 1)], LAST, {1}) == [(0, 1.5, 0, 100, 1)]


@pytest.mark.urs("URS-DAQ-01")
def test_a_value_that_was_resent_stands_once_whichever_of_the_two_comes_first() -> None:
    """async-opcua after ResendData: the change that waited in the queue, then the present value, which is the same."""
    last, change = [(0, 344.0, 0, 90, 91)], (0, 345.0, 0, 100, 101)
    resent: dict[int, Reading | None] = {0: None}
    assert unrepeated([change, (0, 345.0, 0, 100, 150)], last, set(), resent, {0}) == [change]
    assert resent == {}
    resent = {0: None}
    first = unrepeated([change], last, set(), resent, {0})
    assert first == [change]
    assert unrepeated([change], [change], set(), resent, set()) == []


def test_the_present_value_after_a_loss_is_an_observation_even_if_it_did_not_change() -> None:
    resent: dict[int, Reading | None] = {0: None}
    assert unrepeated([(0, 1.5, 0, 100, 101)], LAST, set(), resent, {0}) == [(0, 1.5, 0, 100, 101)]
    assert resent == {}


def test_many_changes_with_one_source_time_all_stand_also_where_a_value_was_read_meanwhile() -> None:
    read: Reading = (0, 5.0, 0, 100, 205)
    resent: dict[int, Reading | None] = {0: read}
    queued: list[Reading] = [
        (0, 3.0, 0, 100, 203),
        (0, 4.0, 0, 100, 204),
        (0, 5.0, 0, 100, 205),
        (0, 6.0, 0, 100, 206),
        (0, 5.0, 0, 100, 207),
    ]
    assert unrepeated(queued, LAST, set(), resent) == [queued[0], queued[1], queued[3], queued[4]]
    back_again: list[Reading] = [(0, 6.0, 0, 100, 206), (0, 5.0, 0, 100, 207)]
    assert unrepeated(back_again, LAST, set(), {0: read}) == back_again
