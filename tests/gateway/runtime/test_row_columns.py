"""Columns that an equipment reads from rows are columns of the SELECT, as far as its text tells."""

import shutil
from pathlib import Path

import pytest
from kit.repository import ROOT

from gateway.runtime import assembly

EXAMPLE = ROOT / "config" / "examples" / "granulation-2"


def checked(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """The errors of an example in which texts of line.toml were changed."""
    line = shutil.copytree(EXAMPLE, folder / "line") / "line.toml"
    text = line.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    line.write_text(text, "utf-8")
    _, problems = assembly.check(folder / "line")
    return [str(problem) for problem in problems if problem.severity == "error"]


BATCH = 'batch = { row = "mes.orders", key = "unit_id", column = "batch_no"'
STEPS = 'mes_steps = { row = "mes.steps", key = "unit_id", step = "step", state = "state"'


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (BATCH, BATCH.replace("batch_no", "batch_nr"), "batch: column: query mes.orders gives no column `batch_nr`, did you mean"),
        (BATCH, f'{BATCH}, where = "statsu=RUN"', "batch: where: query mes.orders gives no column `statsu`"),
        (BATCH, f'{BATCH}, order_by = "started"', "batch: order_by: query mes.orders gives no column `started`"),
        (STEPS, STEPS.replace('"state"', '"stat"'), "mes_steps: state: query mes.steps gives no column `stat`, did you mean `state`?"),
    ],
)
def test_a_column_that_the_select_does_not_give_is_an_error_at_its_line(tmp_path, old, new, said):
    (problem,) = checked(tmp_path, (old, new))
    number = next(at for at, line in enumerate((tmp_path / "line" / "line.toml").read_text("utf-8").splitlines(), 1) if new in line)
    assert f"line.toml:{number}: " in problem
    assert said in problem


def test_case_does_not_count_and_what_the_database_alone_knows_is_not_judged(tmp_path):
    assert checked(tmp_path, (BATCH, BATCH.replace("batch_no", "BATCH_NO"))) == []
