"""Batches that rows tell, against what really happened: planned ahead, late, corrected, deleted, read again, come and gone unseen."""

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from kit.order_looks import OrderLog
from kit.order_truth import OrderTruth, counted
from kit.random_recipes import line, played, played_into
from kit.recipe_truth import Verdict

from config import FromRow, Line
from gateway.context import Fold

SEEDS = int(os.environ.get("TRUTH_SEEDS", "100"))
SOME = 12
TOLERANCE_S, RATE_S, OFFSET_S = 10.0, 1.0, 2.0


def line_of(*, has_order_by: bool) -> Line:
    """The line of the recipes, whose equipments learn from a table of orders whom they work for."""
    plain = line()
    how = {"where": "status=RUN", "order_by": "began" if has_order_by else None}
    names = {"batch": FromRow(row="mes.orders", key="unit", column="batch", **how)}
    names |= {"order": FromRow(row="mes.orders", key="unit", column="order_no")}
    table = {"query": [{"name": "orders", "key": "id"}]}
    return replace(
        plain,
        sources=tuple(s.model_copy(update={"options": table}) if s.name == "mes" else s for s in plain.sources),
        equipment=tuple(unit.model_copy(update=names) for unit in plain.equipment),
        parameters=tuple(replace(row, min_covered=None) for row in plain.parameters),
        tags=tuple(replace(tag, between="hold") for tag in plain.tags),
    )


def verdict(seed: int) -> Verdict:
    """Judge the records of one story."""
    rng = random.Random(seed)
    story = played(rng)
    has_order_by = rng.random() < 0.5
    the_line = line_of(has_order_by=has_order_by)
    log = OrderLog(the_line, story, rng)
    events, _, _ = played_into(Fold(the_line), log)
    return OrderTruth(story, log, TOLERANCE_S + 2 * RATE_S, OFFSET_S).verdict(events)


def check(total: Verdict) -> None:
    assert total.wrong == []
    assert total.modest == []


@pytest.mark.urs("URS-CTX-03", "URS-CTX-08", "URS-DAQ-04")
@pytest.mark.parametrize("block", range(4))
def test_what_rows_tell_is_claimed_as_it_was_known(block: int) -> None:
    for seed in range(block, SOME, 4):
        check(verdict(seed))


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-03", "URS-CTX-08", "URS-DAQ-04")
@pytest.mark.timeout(3_600)
def test_what_rows_tell_is_claimed_as_it_was_known_over_many_seeds(figures: Callable[[str, str], None]) -> None:
    total = Verdict()
    for seed in range(SEEDS):
        total.add(verdict(seed))
    wrong, modest = len(total.wrong), len(total.modest)
    figures(
        "ORDERS", f"{SEEDS} seeds: {counted(total.statuses)}; claimed and otherwise: {wrong}; seen in time and called otherwise: {modest}"
    )
    check(total)
    told, hidden = total.statuses["step with a batch"], total.statuses["step of an order that no look showed"]
    assert hidden < told / 4, "most orders must be judged"
    assert min(total.statuses[f"batch {basis}"] for basis in ("observed", "told-by-row")) > SEEDS / 4, "orders were seen, and were not"
