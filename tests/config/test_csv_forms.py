"""Tables as spreadsheets save them, damaged ones, large ones and hostile ones."""

import os
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.folders import errors, warnings

import config
from config.csv import rows
from config.csv.tables import TableReport
from config.problem import Problem

Edit = Callable[[str, str, str], None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_map_reads_the_same_however_it_was_saved(folder: Path, delimiter: str, encoding: str, newline: str) -> None:
    import csv
    import io

    before = config.load(folder).tags
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=newline).writerows(
        csv.reader(io.StringIO((folder / "tags.csv").read_text("utf-8"), newline=""))
    )
    (folder / "tags.csv").write_bytes(out.getvalue().encode(encoding))
    assert config.load(folder).tags == before


@pytest.mark.urs("URS-MAP-01")
def test_a_tag_in_a_cell_is_written_so_that_a_spreadsheet_makes_no_formula_of_it(folder: Path) -> None:
    before = config.load(folder)
    for name in ("parameters.csv", "materials.csv"):
        text = (folder / name).read_text("utf-8")
        changed = re.sub(r"(?<=,)=(?=[a-z])", "tag:", text)
        assert changed != text, name
        (folder / name).write_text(changed, "utf-8")
    after = config.load(folder)
    assert (after.parameters, after.materials) == (before.parameters, before.materials)


def test_what_stands_after_tag_is_the_name_of_one(folder: Path) -> None:
    text = (folder / "parameters.csv").read_text("utf-8")
    (folder / "parameters.csv").write_text(re.sub(r"(?<=,)=[a-z][a-z_.0-9]*", "tag:no tag at all", text, count=1), "utf-8")
    assert any("`no tag at all`: after tag: or = the name of a tag is meant" in problem for problem in errors(folder))


def test_cp1252_is_recognised_and_told(folder: Path) -> None:
    before = config.load(folder).tags
    (folder / "tags.csv").write_bytes((folder / "tags.csv").read_text("utf-8").encode("cp1252"))
    line, problems = config.read(folder)
    assert line is not None
    assert line.tags == before
    assert [problem.severity for problem in problems] == ["warning"]
    assert "CP1252" in str(problems[0])


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.replace(b"Step number", b"Step\x00number", 1), "tags.csv:2: a NUL byte"),
        (lambda data: data + "x,y,z,Größe".encode() + b",\xff\xfe\x81", "two encodings"),
        (lambda data: data.decode().encode("utf-16"), "UTF-16"),
        (lambda data: data.replace(b"Step number of the sequence", b"x" * 1_000_000, 1), "1000000 characters, at most 4096"),
        (lambda data: data.replace(b"Step number of the sequence", b"x" * 100_000, 1), "100000 characters, at most 4096"),
        (lambda data: data.replace(b"Step number", b'"Step number', 1), "not readable as CSV"),
        (lambda data: data.replace(b"granulator,,Step number", b"granulator,,Step, number", 1), "24 cells, but the header has 23"),
        (lambda data: data.replace(b"granulator,,Step number of the sequence", b"granulator,", 1), "22 cells, but the header has 23"),
        (lambda data: b"", "a header is missing"),
        (lambda data: data.split(b"\n")[0].replace(b"type", b"kind"), "column `type` is missing"),
        (lambda data: b"a," * 5000 + b"\n", "columns, at most 100"),
        (lambda data: data.replace(b"description\n", b"\n", 1), "stands in a column without a name"),
    ],
)
def test_damaged_tables_are_refused(folder: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    (folder / "tags.csv").write_bytes(damage((folder / "tags.csv").read_bytes()))
    found = errors(folder)
    assert any(message in text for text in found), found[:3]


def test_lost_zeros_are_pointed_out(folder: Path, edit: Edit) -> None:
    edit("tags.csv", "WT-2031", "00421")
    edit("tags.csv", "WT-2012", "17")
    assert any("instrument: `17` may have lost its leading zeros" in text for text in warnings(folder))


def a_map_of(rows_: int) -> bytes:
    header = "tag,source,address,type,unit,source_unit,scale,criticality,equipment\n"
    body = [f'T{number}.pv,granulator-plc,"plc:s=""DB_{number}"".""Pv""",int16,Cel,°C,0.1,GMP,granulator\n' for number in range(rows_)]
    return (header + "".join(body)).encode()


@pytest.mark.faults
@pytest.mark.urs("URS-SEC-09")
def test_a_hundred_thousand_tags_are_read(folder: Path) -> None:
    (folder / "tags.csv").write_bytes(a_map_of(100_000))
    found = [problem for problem in config.read(folder)[1] if problem.file == "tags.csv"]
    assert found == []


def test_the_memory_of_a_large_map_is_some_twenty_times_its_file() -> None:
    data = a_map_of(10_000)
    report = TableReport("tags.csv")
    tracemalloc.start()
    tags = rows.tags(data, report)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(tags), report.all()) == (10_000, [])
    assert peak_bytes < 30 * len(data)


@pytest.mark.bar("S01")
def test_a_map_in_which_every_row_is_wrong_tells_a_bounded_number_of_problems(folder: Path) -> None:
    (folder / "tags.csv").write_text("tag,source,address,type\n" + "a b,nowhere,,x\n" * 5_000, "utf-8")
    found = errors(folder)
    assert len(found) < 2000
    assert any("more problems in this file" in text for text in found)


def test_what_stands_for_more_warnings_than_are_listed_is_a_warning_and_hides_no_error(folder: Path) -> None:
    columns = (folder / "tags.csv").read_text("utf-8").split("\n", 1)[0].split(",")

    def add(*rows: dict[str, str]) -> None:
        with (folder / "tags.csv").open("a", encoding="utf-8") as file:
            file.writelines(",".join(row.get(column, "") for column in columns) + "\n" for row in rows)

    twice = {"source": "granulator-plc", "address": "plc:s=twice", "type": "float64"}
    add(*({"tag": f"more.t{number}", **twice} for number in range(1_500)))
    line, found = config.read(folder)
    assert line is not None
    assert Problem("tags.csv", None, "and 499 more warnings in this file", "warning") in found

    add({"tag": "more.last", **twice, "source": "nowhere"})
    line, found = config.read(folder)
    assert line is None
    assert any("unknown source `nowhere`" in problem.message for problem in found)


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
def test_what_is_no_regular_file_or_too_large_is_refused_without_waiting(folder: Path) -> None:
    (folder / "codes.csv").unlink()
    os.mkfifo(folder / "codes.csv")
    (folder / "steps.csv").unlink()
    (folder / "steps.csv").mkdir()
    with (folder / "lots.toml").open("ab") as file:
        file.truncate(2 * 1024 * 1024)
    found = errors(folder)
    assert any("codes.csv: can not be read: it is no regular file" in text for text in found)
    assert any(text.startswith("steps.csv: can not be read") for text in found)
    assert any("lots.toml: can not be read: it is larger than 1 MiB" in text for text in found)


@pytest.mark.bar("S01")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("[line]\n[line]\n", "line.toml:2: not TOML"),
        ('[line]\nsite = "a"\nsite = "b"\n', "line.toml:3: not TOML"),
        ('tags = ["../../etc/passwd"]\n', "a CSV file of this folder is meant"),
        ('tags = ["/etc/x.csv"]\n', "a CSV file of this folder is meant"),
        ("source = 3\n", "write [[source]]"),
        ("line = 3\n", "write [line]"),
        ('[[source]]\nname = "x"\n' * 600, "at most 500"),
        ('[line]\nsite = "' + "x" * 50_000 + '"\n', "at most 20000"),
        ('[line]\nsite = "a\\u0000b"\n', "NUL"),
    ],
)
def test_hostile_toml_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "line.toml").write_text(text, "utf-8")
    found = errors(folder)
    assert any(message in problem for problem in found), found[:5]


def test_toml_that_is_not_utf8_is_told_with_its_line(folder: Path) -> None:
    (folder / "line.toml").write_bytes(b"# one\n# caf\xe9\n")
    assert errors(folder) == ["line.toml:2: not UTF-8: TOML is always UTF-8"]


def test_several_tag_files_make_one_map(folder: Path) -> None:
    lines = (folder / "tags.csv").read_text("utf-8").splitlines(keepends=True)
    before = config.load(folder).tags
    (folder / "a.csv").write_text("".join(lines[:40]), "utf-8")
    (folder / "b.csv").write_text(lines[0] + "".join(lines[40:]), "utf-8")
    (folder / "tags.csv").unlink()
    (folder / "line.toml").write_text('tags = ["a.csv", "b.csv"]\n' + (folder / "line.toml").read_text("utf-8"), "utf-8")
    assert config.load(folder).tags == before


def test_an_unknown_column_is_told_once_and_not_again_with_each_row(folder: Path) -> None:
    tags = folder / "tags.csv"
    tags.write_bytes(tags.read_bytes().replace(b",description\n", b",unit_name\n", 1))
    assert [text for text in errors(folder) if text.startswith("tags.csv")] == [
        "tags.csv:1: unknown column `unit_name`, did you mean `unit`?"
    ]
