"""A finding that would come with every reading is made at most once in a while, and never kept quiet for longer than that."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.context.throttle import say_once

EVERY = 100
steps = st.lists(st.integers(-3 * EVERY, 3 * EVERY).filter(bool), min_size=1)


def times(told: list[int]) -> list[int]:
    """Entry times that mostly go on; where a clock was set back they do not."""
    return [sum(told[: n + 1]) for n in range(len(told))]


@given(steps.map(lambda told: times([abs(step) for step in told])))
def test_no_more_findings_than_intervals(told: list[int]) -> None:
    said: dict[str, int] = {}
    made = [now for now in told if say_once(said, "g.step", now, EVERY)]
    assert len(made) <= 1 + (told[-1] - told[0]) // EVERY
    assert all(later - now >= EVERY for now, later in pairwise(made))
    assert all(any(now - EVERY < before <= now for before in made) for now in told), "never quiet for longer than an interval"


@given(steps.map(times))
def test_a_clock_that_is_set_back_silences_nothing(told: list[int]) -> None:
    said: dict[str, int] = {}
    for now in told:
        last = said.get("g.step")
        due = say_once(said, "g.step", now, EVERY)
        assert due or (last is not None and last < now)


@given(steps.map(times))
def test_what_is_made_only_once_is_never_made_again_and_keys_do_not_silence_each_other(told: list[int]) -> None:
    said: dict[str, int] = {}
    assert sum(say_once(said, "text", now, None) for now in told) == 1
    assert say_once(said, "other", told[-1], None)
