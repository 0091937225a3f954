"""Map checks before go-live: gaps both ways, what two folders differ in, the dictionary and the inventory."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

import config
from config import examples
from config.checks import transform_vectors
from config.line import Line
from config.reports import coverage, data_dictionary, diff
from config.units.scaling import Scaling

Edit = Callable[[str, str, str], None]


@pytest.fixture(scope="module")
def demo() -> Line:
    return config.load(examples.folder("granulation-2"))


def names(line: Line) -> set[str]:
    return {gap.name for gap in coverage.report(line).gaps}


def test_the_demo_line_has_the_gaps_that_its_files_have(demo: Line) -> None:
    found = {gap.name: gap for gap in coverage.report(demo).gaps}
    assert {"field:PM-0601", "field:PM-0602", "parameter:granulator/WET_MASS/wm_binder_integral", "step:dryer/LOAD"} <= set(found)
    assert not found["field:PM-0601"].is_open
    assert found["field:PM-0602"].is_open
    assert found["field:PM-0601"].place.file == "ebr-fields.csv"
    for used in (
        "tag:granulator.step_no",
        "tag:granulator.impeller_speed_sp",
        "tag:granulator.hmi_user",
        "tag:granulator.vibration",
        "tag:lims.lod",
    ):
        assert used not in found  # a signal, a limit, an identity, criticality none, the laboratory's value
    assert "query:mes.orders" not in found  # identities come from it
    assert "query:mes.steps" not in found  # a tag comes from it


@pytest.mark.urs("URS-MAP-03")
@pytest.mark.parametrize(
    ("file", "old", "new", "gap"),
    [
        ("ebr-fields.csv", "PM-0601,", "PM-0777,Room pressure,decimal,Pa,yes,Production,\nPM-0601,", "field:PM-0777"),
        ("parameters.csv", "wm_power_end,PM-0417,", "wm_power_end,,", "parameter:granulator/WET_MASS/wm_power_end"),
        ("parameters.csv", "wm_power_end,PM-0417,", "wm_power_end,,", "field:PM-0417"),
        ("tags.csv", "0,25,,,none", "0,25,,,CPP", "tag:granulator.vibration"),
        ("tags.csv", "mes.step,mes,steps.step,", "mes.step,mes,orders.recipe,", "query:mes.steps"),
        (
            "line.toml",
            '[[source.pattern]]\nname = "results"',
            (
                '[[source.pattern]]\nname = "other"\nglob = "*.txt"\nformat = "csv"\nencoding = "utf-8"\nkey = "id"\n\n'
                '[[source.pattern]]\nname = "results"'
            ),
            "query:lims-drop.other",
        ),
        ("materials.csv", ",PM-0302,", ",,", "booking:granulator/weigh"),
        ("materials.csv", ",PM-0302,", ",,", "field:PM-0302"),
        ("samples.csv", ",PM-0304,", ",,", "sampling:dryer/drying"),
        (
            "steps.csv",
            "COOL,dryer,phase",
            "SIEVE,dryer,phase,FLUID_BED_DRY,dryer.step_no,45,,,,1,4,,Sieve\nCOOL,dryer,phase",
            "step:dryer/SIEVE",
        ),
        ("line.toml", 'operator = "granulator.hmi_user"\n', "", "operator:granulator"),
        ("line.toml", 'states = "packml"\nmode = "granulator.mode"', 'states = "plc_mode"\nmode = "granulator.mode"', "code:plc_mode/0"),
    ],
)
def test_each_kind_of_gap_is_found(folder: Path, edit: Edit, file: str, old: str, new: str, gap: str) -> None:
    before = names(config.load(folder))
    edit(file, old, new)
    assert gap not in before
    assert gap in names(config.load(folder))


@pytest.mark.urs("URS-MAP-03")
def test_production_refuses_each_open_gap_and_passes_when_all_are_accepted(folder: Path, edit: Edit, demo: Line) -> None:
    production = replace(demo, line=demo.line.model_copy(update={"environment": "production"}))
    told = [str(problem) for problem in coverage.problems(production) if problem.severity == "error"]
    assert len(told) == len(coverage.report(demo).open) > 0
    assert any(text.startswith("ebr-fields.csv:") and "field:PM-0602" in text for text in told)
    rows = "".join(f"{gap.name},accepted,known,QA,2026-11-22\n" for gap in coverage.report(demo).open)
    (folder / "dispositions.csv").write_text((folder / "dispositions.csv").read_text("utf-8") + rows, "utf-8")
    accepted = config.load(folder)
    assert coverage.problems(replace(accepted, line=production.line)) == []
    later = config.load(folder).dispositions[0]
    promised = replace(accepted, line=production.line, dispositions=(replace(later, disposition="later"), *accepted.dispositions[1:]))
    assert len(coverage.problems(promised)) == 1


def test_production_needs_the_list_of_the_ebr(demo: Line) -> None:
    line = replace(demo, line=demo.line.model_copy(update={"environment": "production"}), ebr_fields=None)
    assert any(problem.file == "ebr-fields.csv" and "is missing" in problem.message for problem in coverage.problems(line))


def test_an_acceptance_of_what_is_no_gap_is_told(folder: Path, edit: Edit) -> None:
    edit("dispositions.csv", "tag:granulator.recipe_id", "tag:granulator.recipe_idx")
    line, problems = config.read(folder)
    assert line is not None
    assert [str(problem) for problem in problems] == ["dispositions.csv:4: gap `tag:granulator.recipe_idx` does not exist (any more)"]
    assert line.warnings == tuple(problems)


@pytest.mark.urs("URS-MAP-02", "URS-MAP-06")
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "ebr-fields.csv",
            "PM-0417,Impeller power at the end point,decimal,kW",
            "PM-0417,Impeller power,decimal,W",
            "the EBR wants `W`, not `kW`",
        ),
        (
            "ebr-fields.csv",
            "PM-0417,Impeller power at the end point,decimal,kW",
            "PM-0417,Impeller power,decimal,kg",
            "does not convert to `kg`",
        ),
        ("parameters.csv", "PM-0417", "PM-0471", "`PM-0471` does not stand in ebr-fields.csv"),
        ("ebr-fields.csv", "PM-0602", "PM-0601", "field `PM-0601` stands twice"),
        ("dispositions.csv", "step:dryer/LOAD", "field:PM-0601", "gap `field:PM-0601` stands twice"),
        ("dispositions.csv", "2026-11-20", "20.11.2026", "a date is meant"),
        ("dispositions.csv", "manual-entry", "manual", "did you mean `manual-entry`?"),
    ],
)
def test_what_does_not_fit_the_ebr_is_refused(folder: Path, edit: Edit, file: str, old: str, new: str, message: str) -> None:
    edit(file, old, new)
    line, problems = config.read(folder)
    assert line is None
    assert any(message in str(problem) for problem in problems), problems


def test_the_report_is_told_to_people_and_programs(demo: Line) -> None:
    found = coverage.report(demo)
    assert (
        coverage.text(found).splitlines()[-1]
        == "gaps: 2 field, 1 operator, 1 parameter, 1 step, 36 tag; 33 accepted, 8 open; 26 fields of the EBR"
    )
    assert len(coverage.text(found).splitlines()) == 8 + 1
    assert len(coverage.text(found, with_accepted=True).splitlines()) == 41 + 1
    assert coverage.as_json(found)["open"] == len(found.open)


# ---- test vectors ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.urs("URS-MAP-09")
def test_every_transform_has_vectors_and_they_are_right(demo: Line) -> None:
    scaled = [tag for tag in demo.tags if tag.scaling is not None]
    assert scaled
    assert all(len(transform_vectors.of_tag(tag)) >= 2 for tag in scaled)
    assert list(transform_vectors.check(list(demo.tags))) == []
    temperature = next(tag for tag in scaled if tag.tag == "granulator.product_temp")
    assert [(vector.raw, str(vector.value)) for vector in transform_vectors.of_tag(temperature)] == [
        (-32768, "-3276.8"), (0, "0.0"), (1, "0.1"), (1000, "100.0"), (32767, "3276.7"),
    ]  # fmt: skip


@pytest.mark.urs("URS-MAP-09")
def test_a_transform_that_is_wrong_does_not_pass(demo: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = next(tag for tag in demo.tags if tag.tag == "granulator.bowl_pressure")
    monkeypatch.setattr(Scaling, "compiled", lambda self: lambda raw: raw * float(self.scale) + float(self.offset))  # not rounded
    other = replace(tag, scaling=Scaling(Decimal("0.003"), Decimal("0.1"), 1, (Fraction("0.003"), Fraction("0.1"))))
    assert len(list(transform_vectors.check([other]))) == 1


# ---- difference ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.urs("URS-CFG-03")
def test_what_means_the_same_is_no_difference(folder: Path, edit: Edit, demo: Line) -> None:
    edit("line.toml", "rate_ms = 100", "rate_ms   = 100   # as before")
    edit("tags.csv", "0,100,0.1,0,CPP,,TT-2011", "0,100.0,0.10,0.00,CPP,,TT-2011")
    lines = (folder / "steps.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "steps.csv").write_text("".join([lines[0], *reversed(lines[1:])]), "utf-8")
    assert diff.changes(demo, config.load(folder)) == []


@pytest.mark.urs("URS-CFG-03")
def test_a_change_names_whom_it_touches(folder: Path, edit: Edit, demo: Line) -> None:
    edit("tags.csv", "0,100,0.1,0,CPP,,TT-2011", "0,100,0.01,0,CPP,,TT-2011")
    (change,) = diff.changes(demo, config.load(folder))
    assert (change.what, change.kind, change.name, change.criticality) == ("changed", "tag", "granulator.product_temp", "CPP")
    assert ("scaling.scale", "0.1", "0.01") in change.fields
    assert change.parameters == ("granulator/DRY_MIX/dm_temp_start", "granulator/WET_MASS/wm_temp_max")
    assert change.ebr_fields == ("PM-0406", "PM-0418")


@pytest.mark.parametrize(
    ("file", "old", "new", "wanted"),
    [
        ("line.toml", "rate_ms = 200", "rate_ms = 250", ("changed", "source", "dryer-plc", "CPP")),
        ("line.toml", "max_error_s = 1.0", "max_error_s = 0.5", ("changed", "clock", "clock", "none")),
        ("line.toml", 'byte_order = "ABCD"', 'byte_order = "CDAB"', ("changed", "source", "dryer-plc", "CPP")),
        ("steps.csv", "20..29", "20..28", ("changed", "step", "granulator/DRY_MIX", "CPP")),
        ("parameters.csv", "45.0,,40.0,map", "44.0,,40.0,map", ("changed", "parameter", "granulator/WET_MASS/wm_temp_max", "CPP")),
        ("codes.csv", "1,0,Manual", "1,0,Hand", ("changed", "code", "plc_mode/0", "GMP")),
        ("lots.toml", "{part}", "{part:upper}", ("changed", "lots", "legacy", "none")),
        (
            "ebr-fields.csv",
            "PM-0602,Granules look homogeneous,text,,no",
            "PM-0602,Granules look homogeneous,text,,yes",
            ("changed", "field", "PM-0602", "none"),
        ),
    ],
)
def test_each_kind_of_change_is_found(folder: Path, edit: Edit, demo: Line, file: str, old: str, new: str, wanted: tuple[str, ...]) -> None:
    edit(file, old, new)
    found = [(change.what, change.kind, change.name, change.criticality) for change in diff.changes(demo, config.load(folder))]
    assert wanted in found
    assert {each[:2] for each in found} == {wanted[:2]}


def test_added_and_removed_are_mirrors(folder: Path, edit: Edit, demo: Line) -> None:
    edit("parameters.csv", "cool_duration,PM-0507,Cooling time,dryer,COOL,,,,duration,step,all,,s,1,,,,,,none,,yes,GMP,automatic,,\n", "")
    edit("ebr-fields.csv", "PM-0507,Cooling time,decimal,s,yes,Production,\n", "")
    new = config.load(folder)
    there = [(change.what, change.kind, change.name) for change in diff.changes(demo, new)]
    back = [(change.what, change.kind, change.name) for change in diff.changes(new, demo)]
    assert there == [("removed", "field", "PM-0507"), ("removed", "parameter", "dryer/COOL/cool_duration")]
    assert back == [("added", kind, name) for _, kind, name in there]


# ---- dictionary and inventory ----------------------------------------------------------------------------------------------------------


@pytest.mark.urs("URS-MAP-05")
def test_the_dictionary_has_every_tag_and_parameter(demo: Line) -> None:
    rows = data_dictionary.dictionary(demo)
    assert len(rows) == len(demo.tags) + len(demo.parameters)
    by_name = {row["name"]: row for row in rows}
    power = by_name["granulator.product_temp"]
    assert (power["unit"], power["unit_as_shown"], power["precision"], power["range"]) == ("Cel", "°C", "1", "0 to 100")
    assert power["transform"] == "scale 0.1 decimals 1"
    assert "1000 -> 100.0" in power["test_vectors"]
    assert "2 Automatic" in by_name["granulator.mode"]["allowed_values"]
    lots = {name: row["lot_rule"] for name, row in by_name.items() if row["lot_rule"]}
    assert lots == {"granulator.weigh_lot": "lots.toml version 1: legacy"}, "no text is a lot that no booking takes for one"
    assert by_name["dryer/COOL/cool_product_end"]["owner"] == "Production"


@pytest.mark.urs("URS-MAP-10")
def test_the_inventory_has_every_connection(demo: Line) -> None:
    rows = {row["name"]: row for row in data_dictionary.inventory(demo)}
    assert set(rows) == {"granulator-plc", "dryer-plc", "floor-scale", "mes", "lims-drop", "ebr", "page"}
    assert rows["granulator-plc"]["security"] == "none"
    assert rows["mes"]["endpoint"] == "sqlite+aiosqlite:///mes.db"
    assert rows["ebr"]["direction"] == "out"
    assert rows["dryer-plc"]["criticality"] == "CPP"
    assert all(row["map_sha256"] == demo.sha256 for row in rows.values())
    owners = {source.name: source.owner or "" for source in demo.sources} | {uplink.name: uplink.owner or "" for uplink in demo.uplinks}
    assert {name: row["data_owner"] for name, row in rows.items()} == {"page": "", **owners}, "an owner that nobody named is not invented"


@pytest.mark.bar("S01")
def test_what_goes_to_a_spreadsheet_holds_no_formula(demo: Line) -> None:
    rows = [{"name": "=1+1"}, {"name": "@x"}, {"name": "-1"}, {"name": "good"}]
    read = list(csv.DictReader(io.StringIO(data_dictionary.as_csv(rows, ["name"]))))
    assert [row["name"] for row in read] == ["'=1+1", "'@x", "'-1", "good"]
    whole = list(csv.DictReader(io.StringIO(data_dictionary.as_csv(data_dictionary.dictionary(demo), data_dictionary.COLUMNS))))
    assert len(whole) == len(demo.tags) + len(demo.parameters)
