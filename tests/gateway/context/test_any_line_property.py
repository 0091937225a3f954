"""Whatever kind of line and whatever happens on it: the fold is pure, its records are whole, and in the end nothing waits."""

import os
import random

import orjson
import pytest
from kit.any_line import AnyPlant
from kit.plant import replayed, stored

from gateway.evidence.recompute import recompute

SEEDS = int(os.environ.get("FOLD_SEEDS", "60"))
SOME, HAPPENINGS = 12, 150


def played(seed: int) -> AnyPlant:
    plant = AnyPlant(random.Random(seed))
    plant.play(HAPPENINGS)
    return plant


@pytest.mark.urs("URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("seed", range(SOME))
def test_a_fold_that_is_stored_and_loaded_after_each_entry_decides_the_same(seed: int) -> None:
    check_pure(played(seed))


@pytest.mark.urs("URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
@pytest.mark.parametrize("seed", range(SOME, 2 * SOME))
def test_records_are_whole(seed: int) -> None:
    check_whole(played(seed))


@pytest.mark.faults
@pytest.mark.timeout(1_800)
@pytest.mark.urs("URS-CTX-04", "URS-CTX-08", "URS-CTX-09")
def test_lines_of_many_kinds() -> None:
    for seed in range(SEEDS):
        plant = played(seed)
        check_pure(plant)
        check_whole(plant)


def check_pure(plant: AnyPlant) -> None:
    assert orjson.dumps(replayed(plant)) == orjson.dumps(plant.events)
    assert list(recompute(plant.line, stored(plant))) == []


def check_whole(plant: AnyPlant) -> None:
    """Hold what was made against itself: revisions follow each other, batches list the last ones, every end has a start, nothing waits."""
    revisions: dict[str, int] = {}
    for event in plant.events:
        if event.get("revision") is not None and event.get("transition") in {"end", None}:
            name, before = event["record"], event["supersedes"]
            expected = 1 if before is None else int(before.rpartition("#")[2]) + 1
            assert event["revision"] == expected, name
            assert before is None or revisions[before.rpartition("#")[0]] == expected - 1, name
            revisions[name] = event["revision"]
    steps = {event["record"]: event for event in plant.of("step", transition="end")}
    for end in {event["record"]: event for event in plant.of("batch", transition="end")}.values():
        for listed in end["records"]:
            assert listed["revision"] <= steps[listed["record"]]["revision"]
            assert steps[listed["record"]]["batch"] == end["batch"]
    begun = {event["record"] for event in plant.of("step", transition="start")} | {event["record"] for event in plant.of("rebind")}
    assert steps.keys() <= begun
    assert not [run for run in plant.fold.state.runs.values() if run.end is not None and (not run.revision or run.dirty is not None)]
    assert not plant.fold.state.occurred
