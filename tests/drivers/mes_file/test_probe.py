"""What `probe` shows of a drop folder: files, records, and which tag takes what; nothing is handed over and nothing is noted."""

from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line, dropped
from kit.mes_file import CSV, put, source

from config import Tag
from drivers.contract import LinkLost, Probes
from drivers.mes_file import MesFileDriver


def tags(*columns: str) -> list[Tag]:
    return [Tag(tag=f"lims.{column}", source="lims", address=f"results.{column}", type="decimal") for column in columns]


@pytest.mark.urs("URS-MAP-07")
async def test_a_folder_is_shown_with_its_records_and_what_each_tag_takes(tmp_path):
    (tmp_path / "drop").mkdir()
    put(tmp_path / "drop", "a.csv", b"sample_id,lod,ph\nS1,1.50,x\n")
    put(tmp_path / "drop", "b.csv", b"sample_id,lod,ph\nS2,2.50,x\nS3,3.50,<7\n")
    put(tmp_path / "drop", "cut.csv", b"sample_id,lod")
    put(tmp_path / "drop", "bad.csv", b"sample_id,lod\nS4\n")
    put(tmp_path / "drop", "REPORT.PDF", b"x")
    driver = MesFileDriver(source(tmp_path, CSV), tags("lod", "ph", "lodd"))
    assert isinstance(driver, Probes)
    report = await driver.probe()
    (pattern,) = report.tags
    assert pattern.state == "differs"
    assert sorted(pattern.files) == ["a.csv  1 records, 27 bytes", "b.csv  2 records, 38 bytes"]
    assert pattern.columns == ["sample_id", "lod", "ph"]
    assert [(tag.tag, tag.value) for tag in pattern.tags if tag.state == "ok"] == [("lims.lod", "3.50")]
    assert {tag.tag: tag.state for tag in pattern.tags if tag.state != "ok"} == {
        "lims.ph": "'<7' in column 'ph': no number",
        "lims.lodd": "the files have no such column, is 'lod' meant?",
    }
    assert sorted(problem.partition(":")[0] for problem in pattern.problems) == ["bad.csv", "cut.csv"]
    assert report.findings == ["REPORT.PDF: no pattern takes it"]


async def test_an_empty_folder_shows_nothing_wrong_and_none_is_not_reached(tmp_path):
    driver = MesFileDriver(source(tmp_path, CSV), tags("lod"))
    with pytest.raises(LinkLost):
        await driver.probe()
    (tmp_path / "drop").mkdir()
    report = await driver.probe()
    assert [(pattern.state, [tag.state for tag in pattern.tags]) for pattern in report.tags] == [("ok", ["no file shows it yet"])]


def test_the_command_tells_a_column_that_is_not_there(tmp_path: Path):
    line = drop_line(tmp_path / "line")
    dropped(line, "a.csv", S1="1.25")
    good = called("probe", line)
    assert (good.returncode, "lab.lod  lod  1.25" in good.stdout) == (0, True)
    (line / "tags.csv").write_text("tag,source,address,type\nlab.lod,lims,results.lodd,decimal\n")
    wrong = called("probe", line)
    assert (wrong.returncode, "!!    lab.lod  lodd  the files have no such column, is 'lod' meant?" in wrong.stdout) == (1, True)
