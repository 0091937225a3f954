"""Rows that are added to a table: in its own columns, with its own delimiter, line ends and encoding; what was there stays."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.commands import called
from kit.drop_line import drop_line, dropped

from config.csv.appending import appended

ROW = {"tag": "a.b", "source": "plc", "address": "x", "type": "int16", "eu_low": "0", "description": 'a "b"; c'}


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        (b"tag,source,address,type\n", b"a.b,plc,x,int16\n", ["description", "eu_low"]),
        (b"tag;source;address;type;unit;description\r\nq;plc;y;bool;;\r\n", b'a.b;plc;x;int16;;"a ""b""; c"\r\n', ["eu_low"]),
        (b"\xef\xbb\xbfdescription\ttype\taddress\tsource\ttag\teu_low\nno end", b'\na "b"; c\tint16\tx\tplc\ta.b\t0\n', []),
        (b"tag,source,address,type\nA.B,plc,y,bool\n", b"a.b-2,plc,x,int16\n", ["description", "eu_low"]),
        ("tag,source,description,address,type\nq,plc,Kühlung,y,bool\n".encode("cp1252"), b'a.b,plc,"a ""b""; c",x,int16\n', ["eu_low"]),
    ],
)
def test_rows_follow_the_table(before, after, missing):
    expected = after.replace(b'a "b"; c', b'"a ""b""; c"') if b"\t" in after else after
    assert appended(before, [ROW]) == (before + expected, missing)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (b"", "column `tag` is missing"),
        (b"name,source\n", "column `tag` is missing"),
        (b"\xff\xfet\x00", "UTF-16"),
        (b'tag,source\n"open,x\n', "not readable as CSV"),
    ],
)
def test_a_table_that_can_not_be_read_gets_nothing(before, why):
    with pytest.raises(ValueError, match=why):
        appended(before, [ROW])


def test_a_sign_that_the_tables_encoding_has_not_is_refused():
    with pytest.raises(ValueError, match="saved as CP1252, which can not hold"):
        appended("tag,description\nq,Kühlung\n".encode("cp1252"), [{**ROW, "description": "Ω"}])


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(sorted(ROW)), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
        ),
        max_size=5,
    )
)
def test_whatever_the_rows_hold_the_table_gives_it_back(rows):
    named = [{**row, "tag": f"t{at}"} for at, row in enumerate(rows)]
    table, _ = appended(b"tag;source;address;type;eu_low;description\nold;;;;;\n", named)
    read = list(csv.DictReader(io.StringIO(table.decode(), newline=""), delimiter=";"))
    assert [{name: value for name, value in row.items() if value} for row in read[1:]] == [
        {name: value for name, value in row.items() if value} for row in named
    ]


@pytest.mark.urs("URS-MAP-01")
def test_what_browse_and_import_find_is_added_to_the_lines_own_map_and_the_line_is_good(tmp_path):
    line = drop_line(tmp_path / "line")
    (line / "tags.csv").write_bytes(b"tag;source;address;type;criticality\r\nlab.lod;lims;results.lod;decimal;none\r\n")
    dropped(line, "one.csv", S1="1.25")
    done = called("browse", line, "--source", "lims", "--append")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"added to {line / 'tags.csv'}" in done.stderr
    assert "tags.csv has no column description: what the rows hold in it is not written" in done.stderr
    assert (line / "tags.csv").read_bytes().endswith(b"\r\nlims.results.sample_id;lims;results.sample_id;string;\r\n")
    assert called("check", line).returncode == 0
    again = called("browse", line, "--source", "lims", "--append")
    assert again.stderr == "0 rows, 0 left out\n"
    export = tmp_path / "export.csv"
    export.write_text("Tag Name,Address,Data Type\nA,R1,Word\n")
    assert (
        called("import", line, export, "--from", "kepware", "--source", "lims", "--address", "results.{name}", "--append").returncode == 0
    )
    assert (line / "tags.csv").read_bytes().count(b"\r\n") == 4


def test_a_map_that_is_not_there_and_a_source_without_anything_to_browse_are_told_in_one_line(tmp_path):
    line = drop_line(
        tmp_path / "line", '[[source]]\nname = "scale"\ndriver = "serial"\nprotocol = "mt-sics"\nendpoint = "serial://ports/scale"\n'
    )
    assert called("browse", line, "--source", "scale").stderr == (
        "scale: a serial source has nothing to browse; `ebr-gateway probe` shows what it says\n"
    )
    dropped(line, "one.csv", S1="1.25")
    wrong = called("browse", line, "--source", "lims", "--under", "nowhere")
    assert (wrong.returncode, wrong.stderr) == (2, "lims: --under nowhere: no pattern is called so; there are results\n")
