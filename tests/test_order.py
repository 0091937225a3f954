"""The slowest tests begin first on every worker, and the table that names them names tests that there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import order
from kit.repository import ROOT


def cut(count: int, workers: int) -> list[int]:
    """Where worksteal's blocks begin: of what is left, each worker gets its even share, rounded down."""
    begins, at = [], 0
    for worker in range(workers):
        begins.append(at)
        at += (count - at) // (workers - worker)
    return begins


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    table: dict[str, float] = {}
    monkeypatch.setattr(order, "slowest", lambda: table)
    return table


def test_each_block_begins_with_the_slowest_that_are_left(table: dict[str, float]) -> None:
    table |= {"a": 9.0, "b": 5.0, "c": 3.0, "d": 1.0}
    names = [*"0123a4567b8c9d"]
    ordered = order.slowest_first(names, str, 3)
    assert [ordered[at] for at in cut(len(names), 3)] == ["a", "b", "c"]
    assert "".join(name for name in ordered if name.isdigit()) == "0123456789"


@given(st.integers(0, 40), st.integers(1, 7), st.sets(st.integers(0, 39)))
def test_every_test_is_run_once(count: int, workers: int, slow: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "slowest", lambda: {str(number): 1.0 + number for number in slow})
        ordered = order.slowest_first(range(count), str, workers)
    assert sorted(ordered) == list(range(count))
    begins = [at for at in cut(count, workers) if at < count]
    there = len([number for number in slow if number < count])
    assert len({ordered[at] for at in begins} & slow) >= min(there, len(set(begins)))


def test_the_table_names_tests_that_there_are() -> None:
    for name in order.slowest():
        file, _, test = name.partition("::")
        function = test.partition("[")[0].rpartition("::")[2]
        assert f"def {function}(" in (ROOT / file).read_text("utf-8") or f"{test.partition('::')[0]} =" in (ROOT / file).read_text(
            "utf-8"
        ), name
