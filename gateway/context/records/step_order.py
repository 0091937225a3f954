"""Each start of a step, held against what steps.csv declares: how often it occurs, and after which others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config import Step
from gateway.context.event_bodies import finding
from gateway.context.plan import StepPlan, Unit
from gateway.context.state import Identity


def deviations(unit: Unit, who: Identity, row: StepPlan, counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield a finding for each deviation from the declaration. The step begins all the same: it is for others to judge.

    counts: "equipment/step" -> how often it has begun in this batch.
    """
    if who.batch is None:
        return
    rows = unit.steps_of(who)
    begun = {other.row.step for other in rows if counts.get(f"{unit.name}/{other.row.step}")}
    step, run = row.row, counts.get(f"{unit.name}/{row.row.step}", 0) + 1
    evidence = {"equipment": unit.name, "batch": who.batch, "step": step.step, "run": run}
    if step.step not in begun:
        siblings = [other.row for other in rows if other.row.parent == step.parent and other.row.step != step.step]
        yield from _out_of_order(step, siblings, begun, evidence)
    elif step.occurs in {"1", "0..1"}:
        yield finding("step-repeated", "warning", f"{step.step} runs again, declared {step.occurs}", evidence)


def _out_of_order(step: Step, siblings: Sequence[Step], begun: set[str], evidence: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Compare with its siblings. One that comes too late skips nothing: what it should have preceded has run."""
    order = step.order
    if order is None:
        return
    after = [other.step for other in siblings if other.order is not None and other.order > order and other.step in begun]
    missing = [other for other in siblings if other.order is not None and other.order < order and other.step not in begun]
    skipped = [other.step for other in missing if other.occurs in {"1", "1..n"}]
    if after:
        yield finding("step-out-of-order", "warning", f"{step.step} begins after {', '.join(after)}", {**evidence, "after": after})
    elif skipped:
        message = f"{step.step} begins, {', '.join(skipped)} did not run"
        yield finding("step-skipped", "warning", message, {**evidence, "skipped": skipped})
