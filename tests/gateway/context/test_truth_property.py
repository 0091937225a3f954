"""Records of random recipes against what the plant really did: nothing is called present that may be otherwise, nothing seen is a gap."""

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from kit.not_asked import LateLog, Settling, SignalsStarved
from kit.random_recipes import Log, line, played, played_into
from kit.recipe_model import last_records
from kit.recipe_truth import Truth, Verdict

from gateway.context import Fold

SEEDS = int(os.environ.get("TRUTH_SEEDS", "100"))
SOME = 8
STRICT = replace(
    line(),
    parameters=tuple(replace(row, min_covered=None) for row in line().parameters),
    tags=tuple(replace(tag, between="hold") for tag in line().tags),
)


def verdict(seed: int, reader: type[Log] = Log) -> Verdict:
    """Judge the records of one story, as one reader saw it."""
    rng = random.Random(seed)
    story = played(rng)
    log = reader(STRICT, story, rng)
    events, _, _ = played_into(Fold(STRICT), log)
    truth, total = Truth(story, log), Verdict()
    for record in last_records(events).values():
        if record["step"] != "RUN":
            total.add(truth.verdict(record))
    return total


def check(total: Verdict) -> None:
    assert total.wrong == []
    assert total.modest == []
    assert total.statuses["present"], "nothing can be wrong where nothing is said"


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize("seed", range(SOME))
def test_what_is_present_happened_and_what_was_seen_is_no_gap(seed: int) -> None:
    check(verdict(seed))


@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.parametrize("seed", range(SOME))
def test_what_nobody_asked_for_is_not_present(seed: int) -> None:
    check(verdict(seed, LateLog))


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-08", "URS-DAQ-06")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (Log, "steps that began and ended unseen"),
        (LateLog, "a gateway that froze and polls that starved"),
        (SignalsStarved, "signals that starved alone"),
        (Settling, "silences that began before a change stood"),
    ],
)
def test_what_is_present_happened_over_many_seeds(reader: type[Log], what: str, figures: Callable[[str, str], None]) -> None:
    total = Verdict()
    for seed in range(SEEDS):
        total.add(verdict(seed, reader))
    told = f"{total.statuses['present']:,} parameters present, {total.statuses['gap']:,} gap"
    wrong, modest = len(total.wrong), len(total.modest)
    figures("TRUTH", f"{SEEDS} seeds with {what}: {told}; called present and otherwise: {wrong}; called gap and seen: {modest}")
    check(total)
    assert total.statuses["gap"] > SEEDS, "edges were unseen"
