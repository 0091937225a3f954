"""`browse` of a drop folder: the columns of the files that stand in it, as rows of the map. Nothing is handed over or noted."""

import pytest
from kit.mes_file import CSV, put, source

from drivers.contract import Browses, LinkLost
from drivers.mes_file import MesFileDriver


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "drop").mkdir()
    put(tmp_path / "drop", "a.csv", b"sample_id,lod,lot,note\nS1,1.50,007,\nS2,2.50,008,\n")
    put(tmp_path / "drop", "bad.csv", b"sample_id,lod\nS4\n")
    put(tmp_path / "drop", "REPORT.PDF", b"x")
    return tmp_path


async def test_each_column_of_the_newest_file_has_a_row_with_a_type_that_keeps_its_value(folder):
    driver = MesFileDriver(source(folder, CSV), [])
    assert isinstance(driver, Browses)
    found = await driver.browse()
    assert [(row["tag"], row["address"], row["type"], row["description"]) for row in found.rows] == [
        ("lims.results.sample_id", "results.sample_id", "string", "newest: S2"),
        ("lims.results.lod", "results.lod", "decimal", "newest: 2.50"),
        ("lims.results.lot", "results.lot", "string", "newest: 008"),
        ("lims.results.note", "results.note", "string", "empty in the newest record"),
    ]
    assert found.left_out["REPORT.PDF"] == "no pattern takes it"
    assert found.left_out["bad.csv"].startswith("would be refused: line 2: 1 fields instead of 2")


async def test_a_comma_as_decimal_sign_is_a_number_where_the_pattern_says_so(folder):
    put(folder / "drop", "b.txt", b"id;lod\nS1;1,50\n")
    german = {**CSV, "name": "german", "glob": "*.txt", "delimiter": ";", "decimal": ",", "key": "id"}
    found = await MesFileDriver(source(folder, CSV, german), []).browse(under="german", known={"german.id"})
    assert [(row["address"], row["type"]) for row in found.rows] == [("german.lod", "decimal")]


async def test_a_pattern_without_files_and_a_name_that_is_no_pattern_are_told(folder):
    other = {**CSV, "name": "other", "glob": "*.dat"}
    found = await MesFileDriver(source(folder, CSV, other), []).browse(under="other")
    assert (found.rows, found.left_out["pattern other *.dat"]) == ([], "no file that it takes stands in the folder")
    with pytest.raises(ValueError, match="no pattern is called so; there are results"):
        await MesFileDriver(source(folder, CSV), []).browse(under="outcomes")


async def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(LinkLost):
        await MesFileDriver(source(tmp_path, CSV), []).browse()
