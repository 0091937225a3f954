"""The rule of a silence, over any instants: what was asked in time is never one, what was not always is, and nothing of it is missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.silence import PERIODS, Silence, observed_at, silence

instants = st.integers(0, 10**18)
periods = st.integers(1_000_000, 86_400 * 10**9)


@pytest.mark.urs("URS-DAQ-11")
@given(instants, instants, periods)
def test_a_silence_is_all_of_the_time_from_the_observation_to_a_question_later_than_two_periods(a: int, more: int, period: int) -> None:
    found = silence(a, a + more, period)
    assert found == (Silence(a, a + more) if more > PERIODS * period else None)


@given(instants, periods)
def test_nothing_is_silent_before_it_was_ever_observed(asked: int, period: int) -> None:
    assert silence(None, asked, period) is None


@pytest.mark.urs("URS-DAQ-11")
@given(periods, st.lists(st.floats(0, 0.9), min_size=2, max_size=50), instants)
def test_a_busy_machine_that_asks_late_by_less_than_a_period_is_never_silent(period: int, late: list[float], begun: int) -> None:
    """Each point of the grid is asked for late by up to nine tenths of a period, and answered within another tenth."""
    asked = [begun + n * period + round(share * period) for n, share in enumerate(late)]
    observed = [observed_at(at, at + period // 10, period) for at in asked]
    assert not any(silence(before, at, period) for before, at in zip(observed, asked[1:], strict=False))


@pytest.mark.urs("URS-DAQ-11")
@given(instants, instants, periods, st.data())
def test_a_process_that_stands_still_for_three_periods_is_noticed_wherever_it_stands(
    a: int, late: int, period: int, data: st.DataObject
) -> None:
    """Between two polls, or while an answer waits to be read."""
    stood = 3 * period + late
    requested = a + period
    in_poll = data.draw(st.booleans())
    received = requested + (stood if in_poll else 0)
    asked = received + (period if in_poll else stood)
    proved = observed_at(requested, received, period)
    found = silence(proved, asked, period)
    assert found is not None
    assert found.until_ns - found.since_ns >= stood


@given(instants, instants, periods)
def test_an_answer_proves_an_instant_of_its_window(requested: int, lasted: int, period: int) -> None:
    assert requested <= observed_at(requested, requested + lasted, period) <= requested + min(lasted, PERIODS * period)
