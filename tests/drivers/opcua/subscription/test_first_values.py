"""When a first value is late: not before its item is old enough; and that it came is said, too."""

import pytest

from drivers.opcua.subscription.first_values import FirstValues


@pytest.mark.urs("URS-DAQ-11")
def test_a_first_value_is_late_once_and_that_it_came_is_said_once() -> None:
    first = FirstValues()

    assert (first.came({1, 2}), first.missed({1, 2}, 10.0, 10.0)) == ((), (1, 2))
    assert (first.came({1, 2}), first.missed({1, 2}, 20.0, 10.0)) == ((), ())
    assert (first.came({2}), first.missed({2}, 30.0, 10.0)) == ((1,), ())
    assert (first.came({1}), first.missed({1}, 40.0, 10.0)) == ((2,), (1,))


@pytest.mark.urs("URS-DAQ-11")
def test_an_item_that_was_made_a_moment_ago_owes_its_value_for_as_long_as_any_other() -> None:
    first = FirstValues()
    first.made([7], 39.9)

    assert first.missed({7}, 40.0, 10.0) == ()
    assert first.missed({7}, 50.0, 10.0) == (7,)
