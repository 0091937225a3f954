"""Exports of other programs become rows that are right, or are named as left out: no member gets another's address, none goes silently."""

import io
import zipfile
from pathlib import Path

import pytest

from drivers import tag_lists

BLOCK = """TYPE "UDT_Motor"
VERSION : 0.1
   STRUCT
      Run : Bool;
      Amps { ExternalAccessible := 'True'} : Real;   // current
   END_STRUCT;
END_TYPE
DATA_BLOCK "DB_GRN"
{ S7_Optimized_Access := 'TRUE' }
VERSION : 0.1
NON_RETAIN
   STRUCT
      Secret { ExternalAccessible := 'False'; ExternalVisible := 'False'} : Int;
      Hidden { ExternalAccessible := 'False'} : Struct
         ID : Int;
      END_STRUCT;
      Valves : Array[1..2] of Struct   // two valves
         Open : Bool;
         Limits : Array[0..1] of Struct
            Low : Real;
         END_STRUCT;
      END_STRUCT;
      After : Int;
      Motors : Array[1..2] of "UDT_Motor";
      Other : "UDT_Other";
      Mtx : Array[0..1, 0..2] of Real;
      Big : Array[0..999] of Int;
      Sized : Array[0.."MAX"] of Int;
   END_STRUCT;
BEGIN
   After := 5;
END_DATA_BLOCK
DATA_BLOCK "M1"
VERSION : 0.1
"UDT_Motor"
BEGIN
END_DATA_BLOCK
DATA_BLOCK "M2"
"FB_Unknown"
BEGIN
END_DATA_BLOCK
"""


def read(tmp_path: Path, kind: str, name: str, data: bytes | str, address: str = "s={name}") -> tag_lists.Imported:
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return tag_lists.read(kind, tmp_path / name, "plc", address)


def test_members_of_structures_types_and_arrays_have_their_own_addresses(tmp_path):
    told = read(tmp_path, "tia", "x.db", BLOCK)
    assert [row["address"].removeprefix("s=").replace('"', "") for row in told.rows] == [
        "DB_GRN.Valves[1].Open",
        "DB_GRN.Valves[1].Limits[0].Low",
        "DB_GRN.Valves[1].Limits[1].Low",
        "DB_GRN.Valves[2].Open",
        "DB_GRN.Valves[2].Limits[0].Low",
        "DB_GRN.Valves[2].Limits[1].Low",
        "DB_GRN.After",
        "DB_GRN.Motors[1].Run",
        "DB_GRN.Motors[1].Amps",
        "DB_GRN.Motors[2].Run",
        "DB_GRN.Motors[2].Amps",
        *(f"DB_GRN.Mtx[{i},{j}]" for i in range(2) for j in range(3)),
        "M1.Run",
        "M1.Amps",
    ]
    assert {name.replace('"', ""): why.partition(":")[0].partition(" (")[0] for name, why in told.left_out.items()} == {
        "DB_GRN.Secret": "not accessible from outside",
        "DB_GRN.Hidden": "not accessible from outside",
        "DB_GRN.Other": 'data type "UDT_Other"',
        "DB_GRN.Big": "an array of 1000 elements",
        "DB_GRN.Sized": 'data type Array[0.."MAX"] of Int',
        "M2": 'made of type "FB_Unknown", which the file does not hold',
    }
    assert told.rows[-1]["description"] == "current"


def test_a_type_that_holds_itself_ends(tmp_path):
    text = 'TYPE "T"\nSTRUCT\nA : "T";\nB : Int;\nEND_STRUCT;\nEND_TYPE\nDATA_BLOCK "D"\n"T"\nBEGIN\nEND_DATA_BLOCK\n'
    assert len(read(tmp_path, "tia", "x.db", text).rows) < 100


SDF = (
    '"Speed","%MD100","Real","True","True","True","Impeller","","Default tag table"\n"Run","%I0.0","Bool","True","True","True","","","t"\n'
)
TIA_CSV = """Name;Path;Data Type;Logical Address;Comment;Hmi Visible;Hmi Accessible
Speed;t;Real;%MD100;Impeller;True;True
X;t;Int;%MW1;;True;False
"""
TIA_XML = '<?xml version="1.0"?><Tagtable name="t"><Tag type="Real" remark="Impeller" addr="%MD100">Speed</Tag></Tagtable>'


def workbook(*rows: list[str]) -> bytes:
    """A workbook as spreadsheet programs write it: texts are shared, empty cells are left out."""
    texts = sorted({cell for row in rows for cell in row if cell})
    cells = [
        "".join(f'<c r="{chr(65 + column)}{number}" t="s"><v>{texts.index(cell)}</v></c>' for column, cell in enumerate(row) if cell)
        for number, row in enumerate(rows, 1)
    ]
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{''.join(f'<si><r><t>{text}</t></r></si>' for text in texts)}</sst>")
        archive.writestr("xl/worksheets/sheet10.xml", f"<worksheet {space}><sheetData/></worksheet>")
        body = "".join(f"<row>{row}</row>" for row in cells)
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "rows", "left_out"),
    [
        ("PLCTags.sdf", SDF, [("Speed", "float32", "Impeller"), ("Run", "bool", "")], []),
        ("tags.csv", TIA_CSV, [("Speed", "float32", "Impeller")], ['"X"']),
        ("tags.xml", TIA_XML, [("Speed", "float32", "Impeller")], []),
        (
            "tags.xlsx",
            workbook(["Name", "Path", "Data Type", "", "Comment"], ["Speed", "", "Real", "", "Impeller"], ["M", "t", "UDT"]),
            [("Speed", "float32", "Impeller")],
            ['"M"'],
        ),
    ],
)
def test_tables_of_plc_tags_are_read_in_each_form(tmp_path, name, data, rows, left_out):
    told = read(tmp_path, "tia", name, data)
    assert [(row["tag"], row["type"], row["description"]) for row in told.rows] == rows
    assert list(told.left_out) == left_out


def test_a_kepware_export_with_semicolons_comments_and_write_only_tags(tmp_path):
    head = "Tag Name;Data Type;Client Access;Scaling;Scaled Low;Scaled High;Scaled Data Type;Eng Units;Description\n"
    told = read(tmp_path, "kepware", "k.csv", head + '"L";"Word";"RO";Linear;0,5;100;"Float";"%";"Level"\n"S";"Boolean";"WO";;;;;;\n')
    assert [(row["tag"], row["type"], row["eu_low"]) for row in told.rows] == [("L", "float32", "0.5")]
    assert told.left_out == {"S": "can only be written"}
    commented = read(tmp_path, "kepware", "k.csv", "; made by hand\nTag Name,Data Type\n;x,y\nA,Float\n")
    assert [row["tag"] for row in commented.rows] == ["A"]


def test_a_studio_5000_tag_that_is_not_accessible_is_left_out(tmp_path):
    head = "TYPE,SCOPE,NAME,DESCRIPTION,DATATYPE,SPECIFIER,ATTRIBUTES\n"
    text = head + 'TAG,,H,"","REAL","","(ExternalAccess := None)"\nTAG,,M,"","REAL[2,2]","",""\n'
    told = read(tmp_path, "studio5000", "s.csv", text)
    assert [row["address"] for row in told.rows] == ["s=M[0,0]", "s=M[0,1]", "s=M[1,0]", "s=M[1,1]"]
    assert list(told.left_out) == ["H"]


@pytest.mark.parametrize(
    ("kind", "name", "data"),
    [
        ("tia", "x.xlsx", b"PK\x03\x04 no archive"),
        ("tia", "x.xml", "<Tagtable><Tag>"),
        ("tia", "x.xml", '<!DOCTYPE a [<!ENTITY b "c">]><Tagtable/>'),
        ("ignition", "x.json", "[]"),
        ("ignition", "x.json", '{"tags":["x"]}'),
        ("ignition", "x.json", '{"tags":' * 5000 + "1" + "}" * 5000),
    ],
)
def test_a_file_of_another_shape_is_one_readable_error(tmp_path, kind, name, data):
    with pytest.raises(ValueError, match=r"not a|workbook|DOCTYPE"):
        read(tmp_path, kind, name, data)
