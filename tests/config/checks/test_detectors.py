"""What tags.csv says of the limits of detectors, and what of it is refused, with its line."""

from fractions import Fraction
from pathlib import Path

import pytest

import config
from config.detectors import Limits, UnitJump

LINE = """
[line]
site = "lyon"
name = "test-1"
timezone = "Europe/Paris"
[[source]]
name = "opc"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:4840"
security = { policy = "None" }
namespaces = { plc = "urn:example:plc" }
rate_ms = 500
[[source]]
name = "plc"
driver = "modbus"
endpoint = "tcp://127.0.0.1:502"
rate_ms = 1000
[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
[[source.pattern]]
name = "hours"
glob = "*.csv"
format = "csv"
columns = ["temp"]
"""
OPC, PLC, FILE = "opc,plc:s=t,float64,Cel,0,200", "plc,1/input/0:float32,float32,Cel,0,200", "lims,hours.temp,float64,Cel,0,200"


def folder_of(path: Path, row: str, **cells: str) -> Path:
    (path / "drop").mkdir(parents=True)
    (path / "line.toml").write_text(LINE)
    head = ",".join(["tag,source,address,type,unit,eu_low,eu_high", *cells])
    (path / "tags.csv").write_text(f"{head}\nmix.temp,{row},{','.join(cells.values())}\n")
    return path


@pytest.mark.urs("URS-OBS-01", "URS-MAP-04")
def test_each_limit_of_a_tag_is_read_in_its_unit(tmp_path: Path) -> None:
    cells = {"flat_after_s": "30", "max_rate_per_s": "2.5", "unit_jumps": "1.8;10; [degF]", "min_good_share": "0.95"}
    line = config.load(folder_of(tmp_path / "line", OPC, **cells))
    fahrenheit = UnitJump("[degF]", Fraction(9, 5), Fraction(32))
    jumps = (UnitJump("1.8", Fraction(9, 5)), UnitJump("10", Fraction(10)), fahrenheit)
    assert line.tags[0].limits == Limits(
        flat_after_s=30.0, max_rate_per_s=2.5, unit_jumps=jumps, unit_jump_min=2.0, min_good_share=0.95, share_over_s=600.0
    )


@pytest.mark.urs("URS-OBS-01")
def test_a_tag_without_limits_has_none(tmp_path: Path) -> None:
    assert config.load(folder_of(tmp_path / "line", OPC, flat_after_s="")).tags[0].limits is None


@pytest.mark.urs("URS-OBS-01", "URS-MAP-04")
@pytest.mark.parametrize(
    ("row", "cells", "words"),
    [
        (PLC, {"stamp_after_s": "30"}, "stamp_after_s: values of source `plc` (modbus) have no time of their own"),
        (PLC, {"max_duplicate_share": "0.1"}, "max_duplicate_share: values of source `plc` (modbus) have no time"),
        (PLC, {"flat_after_s": "1.5"}, "flat_after_s 1.5: it is read each 1 s, and stands for so long whatever it does; write at least 2"),
        (FILE, {"flat_after_s": "60"}, "flat_after_s: rows and files come when they come"),
        (OPC, {"late_after_s": "2"}, "late_after_s: belongs together with max_late_share"),
        (OPC, {"unit_jump_min": "2"}, "unit_jump_min: says from which step on a jump is one"),
        (OPC, {"share_over_s": "60"}, "share_over_s: is the time over which"),
        (OPC, {"unit_jumps": "1.2"}, "unit_jumps: 1.2: a factor from 1.5 to 1000000000 is meant"),
        (OPC, {"unit_jumps": "kg"}, "unit_jumps: `kg` is neither a factor nor a unit that Cel converts to"),
        ("opc,plc:s=t,float64,Cel,,", {"unit_jumps": "10"}, "unit_jump_min: is needed where the tag has no eu_low and eu_high"),
        ("opc,plc:s=t,string,,,", {"max_rate_per_s": "1"}, "max_rate_per_s: needs a number, but type is string"),
        (OPC, {"flat_after_s": "1e99"}, "flat_after_s: 1E+99 lies outside 0.001 to 31536000"),
        (OPC, {"min_good_share": "1.2"}, "min_good_share: 1.2 lies outside 0.0001 to 1"),
    ],
)
def test_a_limit_that_can_not_be_meant_is_refused_with_its_line(tmp_path: Path, row: str, cells: dict[str, str], words: str) -> None:
    line, problems = config.read(folder_of(tmp_path / "line", row, **cells))
    assert line is None
    (told,) = [str(problem) for problem in problems if problem.severity == "error" and words in str(problem)]
    assert "tags.csv:2" in told


@pytest.mark.urs("URS-OBS-01", "URS-MAP-04")
@pytest.mark.parametrize("type_", ["string", "bool"])
def test_what_is_no_number_is_told_once_and_not_asked_for_its_range(tmp_path: Path, type_: str) -> None:
    _, problems = config.read(folder_of(tmp_path / "line", f"opc,plc:s=t,{type_},,,", unit_jumps="10"))
    assert [str(one) for one in problems if one.severity == "error"] == [f"tags.csv:2: unit_jumps: needs a number, but type is {type_}"]
