"""The demo accuses nobody of a step that nobody can have seen."""

import pytest

from gateway.demo.received import ALL, Gap
from gateway.demo.result import observed_ticks

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
