"""Random tables, updates, deletions, steps of the MES's clock and restarts: each version of a row is told once, none is lost."""

import pytest
from kit.random_tables import History


@pytest.mark.bar("F41")
@pytest.mark.urs("URS-DAQ-04")
@pytest.mark.parametrize("seed", range(6))
async def test_each_version_of_a_row_of_a_real_table_is_told_once(tmp_path, seed, figures):
    history = History(tmp_path, seed)
    told = await history.play(rounds=4)
    figures(
        "rows",
        f"seed {seed}, {history.kind}: {told.writes} writes, {told.steps} clock steps, {told.starts} starts; {told.versions} versions and"
        f" {told.deletions} deletions told",
    )
    assert told.problems == []
