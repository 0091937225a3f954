"""Each start of a step, held against what steps.csv declares: how often it occurs, and after which others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from config import Step
from gateway.context.event_bodies import finding
from gateway.context.plan import StepPlan, Unit
from gateway.context.records.run_numbers import has_begun
from gateway.context.state import Identity

Unseen = Callable[[StepPlan], list[dict[str, Any]]]
"""Tell the intervals of the batch so far in which nobody saw whether a step ran."""


def deviations(unit: Unit, who: Identity, row: StepPlan, counts: Mapping[str, int], unseen: Unseen) -> Iterator[dict[str, Any]]:
    """Yield a finding for each deviation from the declaration. The step begins all the same: it is for others to judge.

    counts: "equipment/step" -> how often it has begun in this batch.
    """
    if who.batch is None:
        return
    rows = unit.steps_of(who)
    begun = {other.row.step for other in rows if has_begun(counts, unit.name, other.row.step)}
    step, run = row.row, counts.get(f"{unit.name}/{row.row.step}", 0) + 1
    evidence = {"equipment": unit.name, "batch": who.batch, "step": step.step, "run": run}
    if step.step not in begun:
        siblings = [other for other in rows if other.row.parent == step.parent and other.row.step != step.step]
        yield from _out_of_order(step, siblings, begun, evidence, unseen)
    elif step.occurs in {"1", "0..1"}:
        yield finding("step-repeated", "warning", f"{step.step} runs again, declared {step.occurs}", evidence)


def _out_of_order(
    step: Step, siblings: Sequence[StepPlan], begun: set[str], evidence: Mapping[str, Any], unseen: Unseen
) -> Iterator[dict[str, Any]]:
    """Compare with its siblings. One that comes too late skips nothing: what it should have preceded has run."""
    order = step.order
    if order is None:
        return
    ordered = [(other, other.row.order) for other in siblings if other.row.order is not None]
    after = [other.row.step for other, place in ordered if place > order and other.row.step in begun]
    missing = [other for other, place in ordered if place < order and other.row.step not in begun and other.row.occurs in {"1", "1..n"}]
    if after:
        yield finding("step-out-of-order", "warning", f"{step.step} begins after {', '.join(after)}", {**evidence, "after": after})
        return
    hidden = {other.row.step: intervals for other in missing if (intervals := unseen(other))}
    skipped = [other.row.step for other in missing if other.row.step not in hidden]
    if skipped:
        message = f"{step.step} begins, {', '.join(skipped)} did not run"
        yield finding("step-skipped", "warning", message, {**evidence, "skipped": skipped})
    for name, intervals in hidden.items():
        message = f"{step.step} begins, {name} was not seen to run; nobody saw its signal throughout"
        yield finding("step-not-observed", "warning", message, {**evidence, "not_observed": name, "unseen": intervals})
