"""What a record says becomes a tag's value exactly, or is Bad with the reason; and what is declared of numbers is about numbers alone."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_file import CSV, put, source

from config import Place, Tag
from config.sections import RowColumn
from drivers.contract import BAD_DECODING, BAD_NO_DATA, GOOD
from drivers.mes_file import MesFileDriver
from drivers.mes_file.settings import Pattern
from drivers.mes_file.values import Unreadable, plain, read

POINT = Pattern(name="p", glob="*", format="csv")
COMMA = Pattern(name="p", glob="*", format="csv", decimal=",")
GROUPED = Pattern(name="p", glob="*", format="csv", decimal=",", thousands=".")
SPACED = Pattern(name="p", glob="*", format="csv", decimal=",", thousands=" ")


@pytest.mark.parametrize(
    ("text", "kind", "pattern", "value"),
    [
        ("1.5", "float64", POINT, 1.5),
        (" -1.50 ", "decimal", POINT, Decimal("-1.50")),
        ("1,5", "float64", COMMA, 1.5),
        ("1.234,56", "decimal", GROUPED, Decimal("1234.56")),
        ("1.234.567", "int32", GROUPED, 1234567),
        ("1234,5", "float64", GROUPED, 1234.5),
        ("1\u202f234,5", "float64", SPACED, 1234.5),
        ("1 234", "int32", SPACED, 1234),
        ("12.0", "int16", POINT, 12),
        ("1e3", "int32", POINT, 1000),
        ("0.1", "float32", POINT, 0.1),
        ("0.30000000000000004", "float64", POINT, 0.30000000000000004),
        ("12345678901234567890.123456789", "decimal", POINT, Decimal("12345678901234567890.123456789")),
        ("Lactose, fein", "string", COMMA, "Lactose, fein"),
        ("1.5", "string", COMMA, "1.5"),
        ("L.17", "string", GROUPED, "L.17"),
        (Decimal("1.50"), "decimal", COMMA, Decimal("1.50")),
        (12, "float64", COMMA, 12.0),
        (True, "bool", POINT, True),
    ],
)
def test_a_value_is_what_was_written(text, kind, pattern, value):
    found = read(text, kind, pattern)
    assert found == value
    assert type(found) is type(value)
    assert str(found) == str(value)


@pytest.mark.parametrize(
    ("text", "kind", "pattern", "why"),
    [
        ("1.234,56", "float64", COMMA, "'.' is neither its decimal point nor between thousands"),
        ("1.5", "float64", COMMA, "declare"),
        ("1,234.5", "float64", POINT, "declare"),
        ("12.34,5", "float64", GROUPED, "no number"),
        ("1_000", "int32", POINT, "no number"),
        ("١٢", "int32", POINT, "no number"),
        ("nan", "float64", POINT, "no number"),
        ("inf", "decimal", POINT, "no number"),
        ("0x10", "int32", POINT, "no number"),
        ("<0.1", "float64", POINT, "no number"),
        ("12.5", "int16", POINT, "no integer"),
        ("12345678901234567891", "float64", POINT, "20 digits are more than float64 holds: declare the tag as decimal"),
        ("42748547152085528", "float64", POINT, "17 digits are more than float64 holds"),  # is one, and is written 4.274854715208553e+16
        ("123.456789", "float32", POINT, "9 digits are more than float32 holds"),
        ("1e999", "float64", POINT, "more digits than a number has"),
        ("1e309", "float64", POINT, "more than float64 holds"),
        ("1e99999", "decimal", POINT, "no number"),
        (True, "int16", POINT, "no number"),
    ],
)
def test_what_would_lose_a_digit_is_no_value(text, kind, pattern, why):
    with pytest.raises((Unreadable, OverflowError, ValueError), match=why):
        read(text, kind, pattern)


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (Decimal("1.5"), 1.5),
        (Decimal("0.1"), 0.1),
        (Decimal("0.12345678901234567891"), "0.12345678901234567891"),
        (Decimal("1e999"), "1E+999"),
    ],
)
def test_a_message_holds_a_number_of_json_exactly(value, held):
    assert plain(value) == held


async def read_by(tmp_path: Path, pattern: dict[str, Any], tags: list[Tag], *files: bytes) -> Journal:
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, pattern), tags), journal):
        for number, data in enumerate(files):
            put(tmp_path / "drop", f"{number}.csv", data)
            await journal.polled(4)
    return journal


def tag(column: str, kind: str) -> Tag:
    return Tag(tag=f"lims.{column}", source="lims", address=f"results.{column}", type=kind)


@pytest.mark.urs("URS-DAQ-11")
async def test_what_can_not_be_read_is_bad_and_said_once_until_it_is_well_again(tmp_path, drop):
    files = [f"sample_id,lod\nS{number},{value}\n".encode() for number, value in enumerate(["<0.1", "<0.2", "0.3", "<0.4", ""])]
    journal = await read_by(tmp_path, CSV, [tag("lod", "float64")], *files)
    assert [(value, status) for _, value, status, _, _ in journal.readings] == [
        (None, BAD_DECODING),
        (None, BAD_DECODING),
        (0.3, GOOD),
        (None, BAD_DECODING),
        (None, BAD_NO_DATA),
    ]
    assert [finding.text for finding in journal.findings] == [
        "0.csv record 1: '<0.1' in column 'lod': no number",
        "3.csv record 1: '<0.4' in column 'lod': no number",
    ]


async def test_a_tag_whose_column_is_not_there_is_said(tmp_path, drop):
    files = [b"sample_id,lod\nS1,1\n", b"sample_id,lod\nS2,1\n", b"sample_id,lod,ph\nS3,1,7\n", b"sample_id,lod\nS4,1\n"]
    journal = await read_by(tmp_path, CSV, [tag("ph", "float64")], *files)
    assert journal.codes == ["column-missing", "column-missing-over", "column-missing"]
    assert "0.csv has no column 'ph'" in journal.findings[0].text
    assert [status for _, _, status, _, _ in journal.readings] == [BAD_NO_DATA, BAD_NO_DATA, GOOD, BAD_NO_DATA]


async def test_a_column_that_an_equipment_reads_and_a_file_has_not_is_said(tmp_path, drop):
    lims = source(tmp_path, CSV)
    unit = RowColumn("unit_id", "order of coater", Place("line.toml", 69))
    driver, journal = MesFileDriver(lims.model_copy(update={"row_columns": {"results": (unit,)}}), []), Journal()
    async with running(driver, journal):
        for number, header in enumerate(["unit", "unit", "unit_id"]):
            put(drop, f"{number}.csv", f"sample_id,{header}\nS{number},COAT-01\n".encode())
            await journal.polled(4)
        probed = await driver.probe()
    assert [(one.code, one.evidence["column"]) for one in journal.findings] == [
        ("column-missing", "results.unit_id"),
        ("column-missing-over", "results.unit_id"),
    ]
    assert journal.findings[0].text == (
        "0.csv has no column 'unit_id': order of coater is read from it, and stays as it was (there is sample_id, unit)"
    )
    assert [(one.tag, one.column, one.state) for one in probed.tags[0].read_by] == [("order of coater", "unit_id", "ok")]
    (drop / "2.csv").unlink()
    assert (await driver.probe()).tags[0].state == "differs"


async def test_a_time_that_is_none_is_said_with_its_column(tmp_path, drop):
    timed = {**CSV, "time": {"column": "at", "zone": "Europe/Paris"}}
    journal = await read_by(tmp_path, timed, [], b"sample_id,at\nS1,2026-13-45 10:00:00\n")
    assert [one.text for one in journal.findings] == [
        "0.csv: refused, nothing of it was read: record 1: '2026-13-45 10:00:00' in column 'at' is no time: month must be in 1..12"
    ]


def test_check_knows_the_columns_that_a_pattern_declares(tmp_path):
    declared = {**CSV, "columns": ["sample_id", "lod"]}
    fixed = {"name": "results", "glob": "*", "format": "fixed", "fields": [{"name": "lod", "start": 1, "width": 3}]}
    for pattern in (declared, fixed):
        problems = MesFileDriver.check(source(tmp_path, pattern), [tag("lod", "float64"), tag("lodd", "float64")])
        assert [problem.message.partition(" (")[0] for problem in problems] == ["lims.lodd: pattern results declares no column 'lodd'"]
