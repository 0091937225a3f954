"""Forms that real systems write: what is not data is passed over, what is odd is refused, and one file stops no other."""

import gzip
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_file import CSV, TAGS, put, source

from drivers.mes_file import MesFileDriver

PLAIN = {**CSV, "encoding": "utf-8"}
XML = {"name": "results", "glob": "*", "format": "b2mml", "record": "Sample", "key": "ID"}


@pytest.mark.parametrize(
    ("pattern", "name", "data", "rows"),
    [
        (PLAIN, "a.csv", b"sep=,\r\nsample_id,lod\r\nS1,1\r\n", [{"sample_id": "S1", "lod": "1"}]),
        (PLAIN, "a.csv", b"sample_id,lod,\nS1,1,\nS2,2,\n", [{"sample_id": "S1", "lod": "1"}, {"sample_id": "S2", "lod": "2"}]),
        (PLAIN, "a.csv", b"sample_id,lod\nS1,1,\n", [{"sample_id": "S1", "lod": "1"}]),
        (PLAIN, "a.csv", b"sample_id,lod\r\nS1,1\r\n\x1a", [{"sample_id": "S1", "lod": "1"}]),
        ({**PLAIN, "comment": "#"}, "a.csv", b"# LIMS\nsample_id,lod\n# x,y,z\nS1,1\n", [{"sample_id": "S1", "lod": "1"}]),
        ({**PLAIN, "quote": ""}, "a.csv", b'sample_id,lod\n"S1,5"\n', [{"sample_id": '"S1', "lod": '5"'}]),
        ({**CSV, "encoding": "utf-16-le"}, "a.csv", "\ufeffsample_id,lod\nSé,1\n".encode("utf-16-le"), [{"sample_id": "Sé", "lod": "1"}]),
        ({**CSV, "encoding": "utf-16"}, "a.csv", "sample_id,lod\nSé,1\n".encode("utf-16"), [{"sample_id": "Sé", "lod": "1"}]),
        ({**CSV, "encoding": "cp037"}, "a.csv", "sample_id,lod\x85S1,1\x85".encode("cp037"), [{"sample_id": "S1", "lod": "1"}]),
        ({**PLAIN, "glob": "*.gz"}, "a.csv.gz", gzip.compress(b"sample_id,lod\nS1,1\n", mtime=0), [{"sample_id": "S1", "lod": "1"}]),
        ({**XML, "glob": "*.xml"}, "a.xml", b"<R>" + b"<Sample><ID>1</ID></Sample>" * 60 + b"</R>", [{"ID": "1"}]),
        ({**PLAIN, "format": "jsonl"}, "a.csv", b'{"sample_id":7,"lod":0.10}\n', [{"sample_id": 7, "lod": 0.1}]),
    ],
)
async def test_a_form_that_a_system_writes_is_read(tmp_path, drop, pattern, name, data, rows):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, pattern, max_line_bytes=1000), TAGS), journal):
        put(drop, name, data)
        await journal.until(lambda: journal.messages != [] or journal.findings != [])
    assert [dict(message.row) for message in journal.messages] == rows


@pytest.mark.urs("URS-SEC-09")
@pytest.mark.parametrize(
    ("pattern", "data", "why"),
    [
        (XML, b'<?xml version="1.0" encoding="shift_jis"?><R><Sample><ID>1</ID></Sample></R>', "multi-byte encodings are not supported"),
        (XML, b'<?xml version="1.0" encoding="foo"?><R><Sample><ID>1</ID></Sample></R>', "XML declaration"),
        (XML, b"\xff\xfe\x00\x00<R/>", "line 1"),
        ({**PLAIN, "glob": "*", "format": "jsonl", "key": "id"}, b'{"id":1,"id":2}\n', "'id' stands twice"),
        ({**PLAIN, "glob": "*", "format": "jsonl", "key": "id"}, b'{"id":NaN}\n', "no JSON"),
        ({**PLAIN, "glob": "*", "format": "jsonl", "key": "id"}, b'{"id":"\\ud800"}\n', "no JSON"),
        ({**PLAIN, "glob": "*", "format": "jsonl", "key": "id"}, b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}\n", "no JSON"),
        ({**PLAIN, "glob": "*"}, b"sep=;\nsample_id,lod\n", "sep=;"),
        ({**PLAIN, "glob": "*", "time": {"column": "at", "zone": "Etc/GMT+12"}}, b"sample_id,at\nS1,9999-12-31 23:59:59\n", "record 1"),
        ({**PLAIN, "glob": "*"}, gzip.compress(b"x", mtime=0), "is not utf-8"),
    ],
)
async def test_whatever_a_file_raises_is_about_that_file_alone(tmp_path, drop, pattern, data, why):
    journal = Journal()
    good = b"<R><Sample><ID>2</ID></Sample></R>" if pattern["format"] == "b2mml" else b"sample_id,lod\nS2,1\n"
    good = b'{"id":2}\n' if pattern["format"] == "jsonl" else good
    good = b"sample_id,at\nS2,2026-01-01 00:00:00\n" if "time" in pattern else good
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
        put(drop, "a", data)
        await journal.until(lambda: "file-refused" in journal.codes and journal.unread.startswith("a (refused: "))
        put(drop, "b", good)
        await journal.until(lambda: journal.messages != [])
    assert why in journal.findings[0].text
    assert len(journal.messages) == 1


@pytest.mark.urs("URS-OBS-03")
@pytest.mark.parametrize(
    ("pattern", "data", "why"),
    [
        (PLAIN, b"sample_id,lod\nS1\nS2,1\nS3,1,1\n", "line 2: 1 fields instead of 2; line 4: 3 fields instead of 2; cut off"),
        (PLAIN, b"sample_id,lod\n" + b"S1\n" * 8, "line 6: 1 fields instead of 2; and 3 more"),
        (PLAIN, b"sample_id,lod\n,1\nS2,1\n,3\nS4\n", "record 1: no value in the key column 'sample_id'; record 3: no value"),
        (PLAIN, b"sample_id,lod\n,1\nS4\n", "'sample_id'; line 3: 1 fields"),
        (PLAIN, b'sample_id,lod\nS1\nS2,"1" x\n', "line 2: 1 fields instead of 2; line 3: "),
        ({**PLAIN, "format": "jsonl"}, b'{"sample_id":1}\n{\n[]\n', "line 2: no JSON: "),
        ({**PLAIN, "format": "jsonl"}, b'{"sample_id":1}\n{\n[]\n', "; line 3: no JSON object"),
        ({**PLAIN, "format": "json"}, b'[{"sample_id":1},2,3]', "record 2: no JSON object; record 3: no JSON object"),
    ],
)
async def test_every_record_that_can_not_be_read_is_told_at_once(tmp_path, drop, pattern, data, why):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, {**pattern, "glob": "*"}), TAGS), journal):
        put(drop, "a", data)
        await journal.until(lambda: "file-refused" in journal.codes)
    assert why in journal.findings[0].text
    assert journal.messages == []


@pytest.mark.urs("URS-OBS-03")
async def test_every_record_with_an_unreadable_value_is_told_with_its_tag(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, PLAIN), TAGS), journal):
        put(drop, "a.csv", b"sample_id,lod\nS1,x\nS2,1\nS3,y\n")
        await journal.until(lambda: "value-unreadable" in journal.codes)
    text = next(finding.text for finding in journal.findings if finding.code == "value-unreadable")
    assert "record 1: 'x' in column 'lod'" in text
    assert "; record 3: 'y' in column 'lod'" in text


@pytest.mark.bar("S04")
async def test_a_gzip_file_that_unpacks_to_too_much_or_is_cut_is_not_read(tmp_path, drop):
    journal = Journal()
    pattern: dict[str, Any] = {**PLAIN, "glob": "*.gz"}
    packed = gzip.compress(b"sample_id,lod\n" + b"S,1\n" * 100_000)
    async with running(MesFileDriver(source(tmp_path, pattern, max_file_bytes=100_000, incomplete_s=0), TAGS), journal):
        put(drop, "big.csv.gz", packed)
        put(drop, "cut.csv.gz", gzip.compress(b"sample_id,lod\nS1,1\n")[:-4])
        put(drop, "odd.csv.gz", b"sample_id,lod\nS1,1\n")
        await journal.until(lambda: len(journal.findings) == 3)
    assert sorted(journal.codes) == ["file-incomplete", "file-refused", "file-refused"]
    assert journal.messages == []


async def test_a_file_that_no_pattern_takes_is_told_once_with_what_is_near(tmp_path, drop, monkeypatch):
    monkeypatch.setattr("drivers.mes_file.driver.UNMATCHED_S", 0.0)
    journal = Journal()
    put(drop, "REPORT.CSV", b"sample_id,lod\nS1,1\n")
    (drop / ".tmp.csv").write_bytes(b"x")
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: journal.codes == ["file-unmatched"])
        await journal.polled(3)
        assert "upper and lower case count" in journal.findings[0].text
        await journal.until(lambda: journal.unread == "REPORT.CSV (no pattern takes it)")
        for number in range(150):
            put(drop, f"{number}.pdf", b"x")
        await journal.until(lambda: any("more than 100" in finding.text for finding in journal.findings))
        await journal.polled(3)
    assert len(journal.findings) <= 101
    assert journal.messages == []


B2MML = b"""<MaterialActuals xmlns="http://www.mesa.org/xml/B2MML" at="x"><Order><ID>4711</ID><Batch nr="B7"><Name>G</Name>
 <Used><ID>L1</ID><Parameter><ID>TEMP</ID><Value>40.1</Value></Parameter><Parameter><ID>SPEED</ID><Value>251.5</Value></Parameter></Used>
 <Used><ID>L2</ID><Parameter><ID>SPEED</ID><Value>9</Value></Parameter><Parameter><ID>SPEED</ID><Value>8</Value></Parameter>
 <Parameter><Value>?</Value></Parameter></Used><Late>7</Late></Batch></Order></MaterialActuals>"""


@pytest.mark.urs("URS-DAQ-04")
async def test_a_record_of_xml_knows_what_stands_around_it_and_its_parts_by_their_names(tmp_path, drop):
    pattern = {
        **XML,
        "record": "Used",
        "parents": ["../../ID", "../@nr", "../Name", "../Late", "../../../@at", "../../../../Far", "../Missing"],
        "named_by": {"Parameter": "ID"},
    }
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
        put(drop, "a.xml", B2MML)
        await journal.until(lambda: len(journal.messages) == 2)
    around = {"../../ID": "4711", "../@nr": "B7", "../Name": "G", "../Late": "7", "../../../@at": "x"}
    first, second = (dict(message.row) for message in journal.messages)
    temp = {"Parameter[TEMP].ID": "TEMP", "Parameter[TEMP].Value": "40.1"}
    speed = {"Parameter[SPEED].ID": "SPEED", "Parameter[SPEED].Value": "251.5"}
    assert first == {"ID": "L1", **temp, **speed, **around}
    again = {"Parameter[SPEED][2].ID": "SPEED", "Parameter[SPEED][2].Value": "8", "Parameter[3].Value": "?"}
    assert second == {"ID": "L2", "Parameter[SPEED].ID": "SPEED", "Parameter[SPEED].Value": "9", **again, **around}


@pytest.mark.parametrize(
    ("record", "data", "rows"),
    [
        (None, b'[{"id":1,"v":0.10},\n {"id":2,"v":[1]}]', [{"id": 1, "v": 0.1}, {"id": 2, "v": [1]}]),
        ("data.rows", b'{"data":{"rows":[{"id":1}]}}', [{"id": 1}]),
        (None, b'{"id":1}', [{"id": 1}]),
    ],
)
async def test_a_json_document_is_read_when_it_ends(tmp_path, drop, record, data, rows):
    pattern = {"name": "results", "glob": "*", "format": "json", "key": "id", **({"record": record} if record else {})}
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, pattern, incomplete_s=0), TAGS), journal):
        put(drop, "a.json", data[:-1])
        await journal.until(lambda: "file-incomplete" in journal.codes)
        assert journal.messages == []
        put(drop, "a.json", data)
        await journal.until(lambda: len(journal.messages) == len(rows))
        put(drop, "b.json", b'[{"id":3},"x"]')
        put(drop, "c.json", b'[{"id":4} {"id":5}]')
        await journal.until(lambda: journal.codes.count("file-refused") == 2)
    assert [dict(message.row) for message in journal.messages] == rows
