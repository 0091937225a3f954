"""The demo accuses nobody of a step that nobody can have seen."""

import pytest

from gateway.demo.received import ALL, Gap
from gateway.demo.result import hides_an_edge, lies_within, observed_ticks
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

RUN = (100, 200)


def gap(start: int, end: int | None, outcome: str = "lost") -> Gap:
    return Gap("plc", ALL, start, "restart", end, outcome)


@pytest.mark.parametrize(
    ("gaps", "observed"),
    [
        ([], 100),
        ([gap(0, 50), gap(300, 400)], 100),
        ([gap(90, 210)], 0),
        ([gap(90, None)], 0),
        ([gap(110, 400)], 10),
        ([gap(50, 130)], 70),
        ([gap(130, 150)], 50),
        ([gap(150, 300), gap(0, 120)], 30),
        ([gap(110, 150), gap(120, 130)], 50),
        ([gap(90, 210, "filled")], 100),
        ([Gap("plc", frozenset({"other"}), 90, "refused", 210, "lost")], 100),
    ],
)
def test_how_long_a_step_was_observed_at_a_stretch(gaps: list[Gap], observed: int) -> None:
    assert observed_ticks("step", RUN, gaps) == observed


def test_a_tag_that_is_observed_again_before_the_others_is_judged_by_its_own_end() -> None:
    assert observed_ticks("step", RUN, [Gap("plc", ALL, 90, "restart", 210, "lost", {"step": 120})]) == 80


@pytest.mark.parametrize(
    ("begin_s", "end_s", "tags", "outcome", "hides"),
    [
        (-3, -0.5, ALL, "lost", True),  # until within the window of the start
        (-3, -2, ALL, "lost", False),
        (3, 4, ALL, "lost", False),  # within the step: that is for its values to say
        (9.5, 12, frozenset({"step"}), "lost", True),
        (9.5, 12, frozenset({"other"}), "lost", False),
        (9.5, 12, ALL, "filled", False),
        (11, 12, ALL, "lost", False),
    ],
)
def test_an_edge_that_a_gap_hid_excuses_values_that_are_not_whole(
    begin_s: float, end_s: float, tags: str | frozenset[str], outcome: str, hides: bool
) -> None:
    start = from_rfc3339("2026-11-22T06:00:00Z")
    lost = Gap("plc", tags, start + round(begin_s * TICKS_PER_S), "not-asked", start + round(end_s * TICKS_PER_S), outcome)
    step = {"start": {"time": "2026-11-22T06:00:00Z", "window_s": 1.0}, "end": {"time": "2026-11-22T06:00:10Z", "window_s": None}}
    assert hides_an_edge(step, "step", [lost]) is hides


@pytest.mark.parametrize(("begin_s", "end_s", "lies"), [(4.0, 5.0, True), (-3.0, -1.0, False), (10.5, 12.0, False), (9.5, None, True)])
def test_a_gap_of_a_steps_signal_within_it_leaves_its_duration_unproved(begin_s: float, end_s: float | None, lies: bool) -> None:
    start = from_rfc3339("2026-11-22T06:00:00Z")
    ends = None if end_s is None else start + round(end_s * TICKS_PER_S)
    lost = Gap("plc", frozenset({"step"}), start + round(begin_s * TICKS_PER_S), "not-asked", ends, "lost")
    step = {"start": {"time": "2026-11-22T06:00:00Z"}, "end": {"time": "2026-11-22T06:00:10Z"}}
    assert lies_within(step, "step", [lost]) is lies
