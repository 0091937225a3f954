"""Runs of steps, batches and events are told apart for good: what is stored and counted of one kind is never taken for another."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.plant import line_of
from pydantic import TypeAdapter

from config.csv.cells import NAME
from gateway.context.plan import LEVELS, Plan
from gateway.context.state import Identity, Instant, Kind, Run, stored_step

names = st.from_regex(NAME, fullmatch=True)
runs = st.one_of(
    st.tuples(st.just("step"), names, st.sampled_from(LEVELS)),
    st.just(("batch", "", "batch")),
    st.tuples(st.just("event"), st.builds("{}:{}".format, st.sampled_from(["alarm", "material", "sample"]), names), st.just("event")),
)


def run_of(kind: Kind, name: str, level: str) -> Run:
    return Run(1, "granulator", stored_step(kind, name), level, None, 1, None, Identity("B1"), Instant(1, 0), 1)


@pytest.mark.urs("URS-CTX-04")
@given(runs)
def test_a_run_that_was_stored_is_of_the_kind_and_name_it_was_begun_with(told: tuple[Kind, str, str]) -> None:
    again = TypeAdapter(Run).validate_python(orjson.loads(orjson.dumps(run_of(*told))))
    assert (again.kind, again.name) == told[:2]


@pytest.mark.urs("URS-CTX-04")
@given(runs, runs)
def test_two_runs_are_counted_together_only_if_they_are_of_one_kind_and_name(
    one: tuple[Kind, str, str], other: tuple[Kind, str, str]
) -> None:
    assert (stored_step(*one[:2]) == stored_step(*other[:2])) == (one[:2] == other[:2])


@pytest.mark.urs("URS-CTX-08")
def test_everything_that_the_map_asks_for_is_gathered_by_some_run() -> None:
    plan = Plan(line_of())
    gathered = [parameter for run in plan.gathering for parameter in plan.gathered(*run).parameters]
    assert {p.parameter for p in gathered} == {p.parameter for p in plan.line.parameters}
