"""What was noted is over: however far a clock was set back, and whoever saw it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entries.set_back import SetBack, step_of


@pytest.mark.urs("URS-TIME-07")
@given(st.integers(0, 10**18), st.integers(-(10**16), 10**16), st.integers(-(10**16), -1) | st.none(), st.integers(0, 10**9))
def test_a_note_that_was_placed_is_over_and_stays_where_it_was_placed(now: int, after: int, step: int | None, ahead: int) -> None:
    back = SetBack(now, step)
    placed = back.placed(now + after, ahead)
    assert placed <= now + ahead
    assert back.placed(placed, ahead) == placed
    assert (placed == now + after) == (after <= ahead or (step is not None and step == 0))
    assert back.moved(now + after, ahead) <= max(placed, now)


@pytest.mark.urs("URS-TIME-07", "URS-DAQ-11")
@given(st.integers(0, 10**18), st.lists(st.tuples(st.integers(0, 10**9), st.integers(-(10**16), -1)), max_size=20))
def test_what_was_observed_keeps_its_distance_from_the_last_observation(observed: int, happenings: list[tuple[int, int]]) -> None:
    """The truth by the present clock: time passes, the clock is set back, and the last observation is ever as long ago as it is."""
    mark = now = observed
    ago = 0
    for passes, step in happenings:
        now, ago = now + passes + step, ago + passes
        mark = SetBack(now, step).moved(mark)
        assert mark == now - ago


def test_only_an_event_of_the_clock_that_tells_a_step_tells_one() -> None:
    assert step_of({"type": "clock", "kind": "step", "step_s": -3_600.5}) == -36_005_000_000
    assert step_of({"type": "clock", "kind": "leap", "step_s": -1.0}) == -10_000_000
    for event in (
        {"type": "clock", "kind": "leap", "announced": True},
        {"type": "clock", "kind": "unknown"},
        {"type": "gap", "step_s": 1.0},
    ):
        assert step_of(event) is None
