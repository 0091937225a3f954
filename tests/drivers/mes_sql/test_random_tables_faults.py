"""The random tables of `test_random_tables_property`, for a minute (EBR_FUZZ_S seconds)."""

import os
import time
from dataclasses import fields

import pytest
from kit.how_long import FUZZ_S
from kit.random_tables import History, Told

FIRST_SEED = int(os.environ.get("MES_SQL_FUZZ_SEED", "1000"))


@pytest.mark.bar("F41")
@pytest.mark.faults
@pytest.mark.urs("URS-DAQ-04")
async def test_no_version_of_a_row_is_lost_or_told_twice_for_minutes(tmp_path, figures):
    end_s, seed, total = time.monotonic() + FUZZ_S, FIRST_SEED, Told()
    problems: dict[int, list[str]] = {}
    while time.monotonic() < end_s:
        history = History(tmp_path, seed)
        told = await history.play(rounds=8)
        if told.problems:
            problems[seed] = told.problems
        for one in fields(Told)[:-1]:
            setattr(total, one.name, getattr(total, one.name) + getattr(told, one.name))
        history.path.unlink()
        seed += 1
    figures(
        "rows",
        f"{seed - FIRST_SEED} tables in {FUZZ_S:g} s: {total.writes} writes, {total.steps} clock steps, {total.starts} starts,"
        f" {total.syncs} syncs, {total.versions} versions, {total.deletions} deletions told; lost, doubled or invented: {len(problems)}",
    )
    assert problems == {}
