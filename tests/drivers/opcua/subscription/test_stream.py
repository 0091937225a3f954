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
