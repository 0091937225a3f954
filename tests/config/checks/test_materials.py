"""materials.csv, samples.csv, hold times and activities: one mistake each, told with its file and line."""

from collections.abc import Callable
from pathlib import Path

import pytest

import config
from config import read

WEIGH = (
    "weigh,consume,granulator,granulator.weigh_done,true,,CHARGE,,=granulator.weigh_material,=granulator.weigh_lot,,=scale.net,scale.stable"
)
GRANULES = "granules,produce,dryer,mes.produced,,unit_id=FBD-202,,row.batch_no,row.material,,row.lot_no,row.quantity,,row.unit"
DRYING = "drying,dryer,mes.samples,unit_id=FBD-202,COOL,row.batch_no,row.sample_id,row.taken_by,lims-drop.results,sample_id,1,PM-0304"

Edit = Callable[[str, str, str], None]


def problems(folder: Path) -> list[str]:
    return [str(problem) for problem in read(folder)[1]]


MISTAKES = [
    ("materials.csv", WEIGH, WEIGH.replace("consume", "consumed"), "materials.csv:2: kind: `consumed`, did you mean `consume`?"),
    ("materials.csv", WEIGH, WEIGH.replace("granulator,granulator.w", "granulater,granulator.w"), "materials.csv:2: unknown equipment"),
    ("materials.csv", WEIGH, WEIGH.replace("weigh_done", "weigh_don"), "materials.csv:2: trigger: unknown tag `granulator.weigh_don`"),
    ("materials.csv", WEIGH, WEIGH.replace("weigh_done,true", "weigh_done,"), "materials.csv:2: active: is empty"),
    (
        "materials.csv",
        WEIGH,
        WEIGH.replace("weigh_done,true", "weigh_done,30"),
        "materials.csv:2: active: `granulator.weigh_done` is a bool",
    ),
    ("materials.csv", WEIGH, WEIGH.replace("true,,", "true,a=b,"), "materials.csv:2: where: speaks of rows"),
    ("materials.csv", WEIGH, WEIGH.replace("CHARGE", "CHARG"), "materials.csv:2: step `CHARG` is no step of granulator"),
    ("materials.csv", WEIGH, WEIGH.replace("=granulator.weigh_lot", "=granulator.weigh_lott"), "materials.csv:2: lot: unknown tag"),
    ("materials.csv", WEIGH, WEIGH.replace("=granulator.weigh_lot", ""), "materials.csv:2: lot: is empty, but kind consume needs it"),
    ("materials.csv", WEIGH, WEIGH.replace("=granulator.weigh_lot", "{bach}"), "materials.csv:2: lot: `{bach}`"),
    ("materials.csv", WEIGH, WEIGH.replace("=scale.net", "=scale.stable"), "materials.csv:2: quantity: a number is meant"),
    ("materials.csv", WEIGH, WEIGH.replace("=scale.net", "12"), "materials.csv:2: quantity: `12`: =tag or row.column is meant"),
    ("materials.csv", WEIGH, WEIGH.replace("=scale.net", "row.net"), "materials.csv:2: quantity: `row.net`, but the trigger is a tag"),
    ("materials.csv", WEIGH, WEIGH.replace("=scale.net", "=dryer.air_flow"), "materials.csv:2: quantity: "),
    ("materials.csv", WEIGH, WEIGH.replace("scale.stable", "scale.net"), "materials.csv:2: at_rest: a bool is meant"),
    ("materials.csv", ",,kg,2,=gran", ",,kgg,2,=gran", "materials.csv:2: unit: "),
    ("materials.csv", ",,kg,2,=gran", ",,,2,=gran", "materials.csv:2: unit: is empty, but a quantity has one"),
    ("materials.csv", "=granulator.weigh_target,1%", ",1%", "materials.csv:2: tolerance: needs a target"),
    ("materials.csv", "=granulator.weigh_target,1%", "=granulator.weigh_target,one", "materials.csv:2: tolerance: `one`"),
    ("materials.csv", "=granulator.weigh_target,1%", "heavy,1%", "materials.csv:2: target: `heavy` is no number"),
    ("materials.csv", "1..n,PM-0302", "2,PM-0302", "materials.csv:2: occurs: `2`"),
    ("materials.csv", "1..n,PM-0302", "1..n,PM-0401", "filled already by `"),
    ("materials.csv", "1..n,PM-0302", "1..n,PM-9999", "materials.csv:2: ebr_field `PM-9999` does not stand in ebr-fields.csv"),
    ("materials.csv", "granules,produce,dryer", "weigh,consume,granulator", "materials.csv:3: `weigh` stands already in line 2"),
    (
        "materials.csv",
        GRANULES,
        GRANULES.replace("mes.produced", "mes.produce"),
        "materials.csv:3: trigger: no tag and no query `mes.produce`",
    ),
    ("materials.csv", GRANULES, GRANULES.replace("mes.produced,,", "mes.produced,true,"), "materials.csv:3: active: speaks of a tag"),
    ("materials.csv", GRANULES, GRANULES.replace("unit_id=FBD", "unit=FBD").replace("=FBD-202", "FBD-202"), "materials.csv:3: where: "),
    (
        "materials.csv",
        GRANULES,
        GRANULES.replace("unit_id=FBD", "machine=FBD"),
        "materials.csv:3: where: query `mes.produced` selects no column",
    ),
    (
        "materials.csv",
        GRANULES,
        GRANULES.replace("row.lot_no", "row.lot_number"),
        "materials.csv:3: output_lot: query `mes.produced` selects",
    ),
    ("materials.csv", GRANULES, GRANULES.replace("row.lot_no", ""), "materials.csv:3: output_lot: is empty, but kind produce needs it"),
    ("materials.csv", GRANULES, GRANULES.replace("row.unit", "°C"), "materials.csv:3: source_unit: "),
    ("materials.csv", "granules,produce", "granules,move", "materials.csv:3: to: is empty, but kind move needs it"),
    ("samples.csv", DRYING, DRYING.replace("row.sample_id", ""), "samples.csv:2: sample: is empty"),
    ("samples.csv", DRYING, DRYING.replace("lims-drop.results", "lims-drop.result"), "samples.csv:2: results: no query `lims-drop.result`"),
    (
        "samples.csv",
        DRYING,
        DRYING.replace("lims-drop.results,sample_id", "lims-drop.results,"),
        "samples.csv:2: results: results and results_key",
    ),
    ("samples.csv", DRYING, DRYING.replace("COOL", "COOLL"), "samples.csv:2: step `COOLL` is no step of dryer"),
    ("steps.csv", "0..n,,cleaning", "0..n,,cleanin", "steps.csv:10: activity: `cleanin`, did you mean `cleaning`?"),
    ("steps.csv", "0..n,,cleaning", "0..n,,", "dirty_hold_h: nothing tells when granulator is cleaned"),
    ("line.toml", "dirty_hold_h = 72", "dirty_hold_h = 0", "line.toml:"),
    ("line.toml", 'mode = "dryer.mode"', 'mode = "dryer.mode"\nactivity = "dryer.mode"', "of code table `plc_mode` is no activity"),
    ("line.toml", 'mode = "dryer.mode"', 'mode = "dryer.mode"\nactivity = "dryer.door_closed"', "a table of codes.csv says which activity"),
]


@pytest.mark.urs("URS-MAP-02")
@pytest.mark.parametrize(("file", "old", "new", "told"), MISTAKES, ids=[told[:60] for *_, told in MISTAKES])
def test_one_mistake_is_told_with_its_line(folder: Path, edit: Edit, file: str, old: str, new: str, told: str) -> None:
    edit(file, old, new)
    found = problems(folder)
    assert any(told in text for text in found), found
    assert read(folder)[0] is None, "nothing of such a folder is used"


def test_the_example_has_no_problem_and_its_terms_are_read(folder: Path) -> None:
    line, found = read(folder)
    assert (found, line is not None) == ([], True)
    assert line is not None
    weigh, granules = line.materials
    assert (weigh.kind, weigh.lot, weigh.occurs, weigh.decimals) == (
        "consume",
        config.grammars.terms.Term("tag", "granulator.weigh_lot"),
        "1..n",
        2,
    )
    assert (granules.where, granules.source_unit) == ((("unit_id", "FBD-202"),), config.grammars.terms.Term("row", "unit"))
    assert line.samples[0].results == "lims-drop.results"
    assert {"materials.csv", "samples.csv"} <= line.files.keys(), "they are part of the configuration that is hashed and kept"


@pytest.mark.urs("URS-CTX-06")
def test_two_lots_that_would_become_one_are_refused(folder: Path, edit: Edit) -> None:
    edit("lots.toml", "L20{year}-{number:04}-{part}", "L20{year}-{number:04}")
    assert any(text.startswith("lots.toml:") for text in problems(folder))
