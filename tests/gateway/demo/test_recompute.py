"""Step statistics from the ground truth alone."""

import pytest

from config import Parameter, Tag
from gateway.demo.recompute import Again, statistic
from gateway.demo.truth import Item

S = 10_000_000
TAG = Tag("t", "plc", "a", "float64")
ITEMS = [Item(0, 5.0, 0), Item(10 * S, 1.0, 0), Item(20 * S, 3.0, 0), Item(40 * S, 100.0, 0)]


def of(name: str, start_s: float = 15, end_s: float = 35, tag: Tag = TAG, items: list[Item] = ITEMS) -> float | None:
    return statistic(Parameter("p", "unit", "STEP", name, "t"), tag, items, round(start_s * S), round(end_s * S))


@pytest.mark.parametrize(
    ("name", "value"),
    [("min", 1.0), ("max", 3.0), ("value_at_start", 1.0), ("value_at_end", 3.0), ("last", 3.0), ("mean", (5 * 1.0 + 15 * 3.0) / 20)],
)
def test_what_stood_at_the_start_counts_and_what_comes_at_the_end_does_not(name: str, value: float) -> None:
    assert of(name) == pytest.approx(value)
    assert of(name, end_s=40) != 100.0


def test_a_value_of_the_very_start_replaces_the_standing_one() -> None:
    assert of("value_at_start", start_s=20) == 3.0
    assert of("min", start_s=20) == 3.0


def test_what_it_can_not_know_it_does_not_compute() -> None:
    assert of("min", 0, 5, items=[]) is None
    assert of("stdev") is None
    assert of("mean", tag=Tag("t", "plc", "a", "float64", between="linear")) is None
    assert of("max", items=[*ITEMS[:3], Item(30 * S, None, 0x80000000)]) is None


def test_a_difference_beyond_the_last_digits_is_a_difference() -> None:
    assert Again("r", "p", "mean", 250.0, 250.00000001).agrees
    assert not Again("r", "p", "mean", 250.0, 250.01).agrees
