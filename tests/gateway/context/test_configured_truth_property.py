"""Records of batches whose configuration changed in their middle, with limits in other units, against what the plant really did."""

import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kit.configured_line import INCOMPARABLE, Row, drawn, edited, refused
from kit.configured_story import ConfiguredLog, edited_story, journal, measured, played_into
from kit.configured_truth import ConfiguredTruth
from kit.recipe_model import last_records
from kit.recipe_truth import Verdict

from gateway.evidence.recompute import recompute

SEEDS = int(os.environ.get("TRUTH_SEEDS", "100"))
SOME = 12


def verdict(seed: int, path: Path) -> Verdict:
    """Judge the records of one story whose configuration changed up to three times."""
    rng = random.Random(f"configured {seed}")
    told = edited_story(rng, rng.randint(0, 3))
    setups = [drawn(rng)]
    for _ in told.restarts:
        setups.append(edited(rng, setups[-1]))
    lines = [setup.write(path / f"{seed}-{number}") for number, setup in enumerate(setups)]
    measured(rng, told, setups)
    log = ConfiguredLog(lines[0], told, rng)
    made = played_into(lines, log, rng)
    truth, total = ConfiguredTruth(told, log, setups, made), Verdict()
    for record in last_records(made.events).values():
        if record["step"] != "RUN":
            total.add(truth.verdict(record))
    total.wrong += truth.versions(made)
    differing = list(recompute(lines[0], journal(lines, made), line_of={line.sha256: line for line in lines}.__getitem__))
    total.wrong += [("recomputed otherwise", d.stored and d.stored[:300], d.made and d.made[:300]) for d in differing[:3]]
    return total


@pytest.mark.urs("URS-CTX-08", "URS-CFG-01")
@pytest.mark.parametrize("seed", range(SOME))
def test_a_configuration_that_changes_in_mid_batch_makes_no_record_say_more_than_was_seen(seed: int, tmp_path: Path) -> None:
    total = verdict(seed, tmp_path)
    assert total.wrong == []
    assert total.modest == []


@pytest.mark.urs("URS-MAP-06")
@pytest.mark.parametrize(("code", "limit"), INCOMPARABLE)
def test_what_can_not_be_compared_is_refused(code: str, limit: str, tmp_path: Path) -> None:
    """Absolute and gauge pressure, and what has another dimension: nothing is converted in silence."""
    setup = drawn(random.Random(code + limit))
    units = {**dict(setup.units), "g.press": code, "g.lim_press": limit}
    setup = replace(setup, rows=(), units=tuple(sorted(units.items())))
    row = Row("p", "granulator", "A", "max", "g.press", "all", "", 1, "", "=g.lim_press")
    (problem,) = refused(tmp_path / "line", setup, row)
    assert "g.lim_press" in problem
    setup = replace(setup, units=tuple(sorted({**units, "g.lim_press": code}.items())))
    assert list(refused(tmp_path / "line", setup, row)) == []


@pytest.mark.faults
@pytest.mark.urs("URS-CTX-08", "URS-CFG-01")
@pytest.mark.timeout(3_600)
def test_no_record_says_more_over_many_seeds(figures: Callable[[str, str], None], tmp_path: Path) -> None:
    total = Verdict()
    for seed in range(SEEDS):
        total.add(verdict(seed, tmp_path))
    said = total.statuses
    told = f"{said['present']:,} parameters present, {said['gap']:,} gap; {said['within']:,} within, {said['below'] + said['above']:,} not"
    wrong, modest = len(total.wrong), len(total.modest)
    what = "limits in other units and configurations that changed in mid batch"
    figures("TRUTH", f"{SEEDS} seeds with {what}: {told}; called so and otherwise: {wrong}; not called so and seen: {modest}")
    assert (total.wrong, total.modest) == ([], [])
    assert said["gap"] > SEEDS / 2, "edges were unseen"
