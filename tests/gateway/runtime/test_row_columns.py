"""Columns that an equipment reads from rows are columns of the SELECT, as far as its text tells."""

import shutil
from pathlib import Path

import pytest
from kit.repository import ROOT

from gateway.runtime import assembly

EXAMPLE = ROOT / "config" / "examples" / "granulation-2"


def checked(folder: Path, *changes: tuple[str, str], example: Path = EXAMPLE) -> list[str]:
    """The errors of an example in which texts of line.toml were changed."""
    line = shutil.copytree(example, folder / "line") / "line.toml"
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


COATER = ROOT / "config" / "examples" / "tablet-coater-1"
ORDERS = '[[source.pattern]]\nname = "orders"'


@pytest.mark.urs("URS-MAP-02")
def test_a_column_that_a_pattern_of_files_does_not_declare_is_an_error_at_its_line(tmp_path):
    listed = f'{ORDERS}\ncolumns = ["order_no", "released_at", "unit", "product", "recipe"]'
    (key,) = checked(tmp_path, (ORDERS, listed), example=COATER)
    assert key.startswith("line.toml:74: ") or ": order of coater: " in key
    assert "pattern mes.orders declares no column 'unit_id', did you mean `unit`? (there is order_no, released_at," in key


def test_the_keys_of_sources_are_judged_beside_other_errors_and_by_their_names(tmp_path):
    told = checked(
        tmp_path,
        ('kind = "https"', 'kind = "http"'),
        ('protocol = "mt-sics"\n', ""),
        ('byte_order = "CDAB"', 'byteorder = "CDAB"'),
        (f"{ORDERS} ", f'{ORDERS}\ndecimal = ";" '),
        example=COATER,
    )
    assert [problem.partition(": ")[2] for problem in told] == [
        "unknown key byteorder for driver modbus",
        "key protocol is missing: mt-sics, sbi, line",
        "pattern orders: decimal: input should be '.' or ','",
        "`kind`: 'mqtt' or 'https' is meant, not 'http'",
    ]
    assert [int(problem.split(":")[1]) for problem in told] == sorted(int(problem.split(":")[1]) for problem in told)
