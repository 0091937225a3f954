"""A file is read when the sign is there that it is whole, and not before: each sign is looked for, and what waits is told."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from kit.collector import Journal, running
from kit.mes_file import CSV, TAGS, put, source

from drivers.mes_file import MesFileDriver
from drivers.mes_file.whole import parse

HEAD = b"sample_id,lod\r\n"


def keys(journal: Journal) -> list[str]:
    return [message.key for message in journal.messages]


async def waits(drop: Path, one: Any, name: str, cut: bytes, whole: bytes, journal: Journal) -> None:
    """The first bytes are not read, and told as what is not whole; then the rest comes."""
    put(drop, name, cut)
    await journal.until(lambda: "file-incomplete" in journal.codes)
    assert journal.messages == []
    assert journal.readings == []
    (drop / name).write_bytes(whole)
    await journal.until(lambda: journal.messages != [])


@pytest.mark.bar("F42")
@pytest.mark.urs("URS-DAQ-04")
@pytest.mark.parametrize(
    ("pattern", "cut", "rest"),
    [
        (CSV, HEAD + b"S1,123", b".99\r\n"),
        (CSV, HEAD + b"S1", b",1\r\n"),
        (CSV, HEAD + b'S1,"1\n', b'"\r\n'),
        (CSV, b"", HEAD + b"S1,1\r\n"),
        (CSV, HEAD + b"S1,1\0\0\0\0", b""),
        ({**CSV, "encoding": "utf-8"}, HEAD + b"S\xc3", b"\xa9,1\r\n"),
        ({**CSV, "format": "jsonl", "glob": "*.csv"}, b'{"sample_id":"S1","lod":12', b"3}\n"),
        ({**CSV, "format": "b2mml", "record": "S"}, b"<R><S><sample_id>1</sample_id><lod>12", b"3</lod></S></R>"),
        ({**CSV, "format": "b2mml", "record": "S"}, b"<R><S><sample_id>1</sample_id></S>", b"</R>"),
        (
            {**CSV, "format": "fixed", "fields": [{"name": "sample_id", "start": 1, "width": 2}, {"name": "lod", "start": 3, "width": 6}]},
            b"S1123",
            b".99\r\n",
        ),
    ],
)
async def test_a_file_that_ends_within_a_record_waits(tmp_path, drop, pattern, cut, rest):
    journal = Journal()
    one = source(tmp_path, pattern, incomplete_s=0)
    async with running(MesFileDriver(one, TAGS), journal):
        whole = cut + rest if rest else HEAD + b"S1,1\r\n"
        await waits(drop, one, "a.csv", cut, whole, journal)
    assert journal.findings[0].severity == "alarm"
    assert "may not be whole" in journal.findings[0].text
    assert len(journal.messages) == 1


async def test_what_is_declared_whole_and_ends_within_a_record_is_refused(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, {**CSV, "whole": "rename"}), TAGS), journal):
        put(drop, "a.csv", HEAD + b'S1,"1')
        put(drop, "b.csv", HEAD + b"S2,123")
        await journal.until(lambda: "file-refused" in journal.codes and journal.messages)
    assert keys(journal) == ["S2"]


async def test_a_file_written_under_its_own_name_breaks_the_promise_to_rename(tmp_path, drop):
    journal = Journal()
    one = source(tmp_path, {**CSV, "whole": "rename"})
    async with running(MesFileDriver(one, TAGS), journal):
        put(drop, "a.csv", HEAD + b"S1,12")
        await journal.until(lambda: keys(journal) == ["S1"])
        with (drop / "a.csv").open("ab") as file:
            file.write(b"3\r\n")
        await journal.until(lambda: "file-not-renamed" in journal.codes)
        await journal.until(lambda: len(journal.messages) == 2)
    assert journal.findings[0].severity == "alarm"
    assert [(m.change, m.row["lod"]) for m in journal.messages] == [("new", "12"), ("changed", "123")]


@pytest.mark.parametrize("trigger", ["a.ok", "a.csv.ok"])
async def test_a_trigger_says_that_a_file_is_whole_and_is_no_file_itself(tmp_path, drop, trigger):
    journal = Journal()
    one = source(tmp_path, {**CSV, "glob": "*", "whole": "trigger:*.ok"}, incomplete_s=0)
    async with running(MesFileDriver(one, TAGS), journal):
        put(drop, "a.csv", HEAD + b"S1,12")
        await journal.until(lambda: journal.codes == ["file-incomplete"])
        os.utime(drop / "a.csv", ns=(2_000_000_000, 2_000_000_000))
        put(drop, trigger, b"")
        os.utime(drop / trigger, ns=(1_000_000_000, 1_000_000_000))
        await journal.until(lambda: any("older" in finding.text for finding in journal.findings))
        assert journal.messages == []
        os.utime(drop / trigger)
        await journal.until(lambda: journal.messages != [])
        await journal.polled(3)
    assert keys(journal) == ["S1"]
    assert set(journal.codes) == {"file-incomplete"}


@pytest.mark.parametrize(("ending", "algorithm"), [(".sha256", "sha256"), (".md5", "md5")])
async def test_a_checksum_beside_the_file_is_compared(tmp_path, drop, ending, algorithm):
    journal = Journal()
    one = source(tmp_path, {**CSV, "whole": "checksum"}, incomplete_s=0)
    whole = HEAD + b"S1,123.99"
    async with running(MesFileDriver(one, TAGS), journal):
        put(drop, "a.csv", whole[:-3])
        await journal.until(lambda: len(journal.findings) == 1)
        put(drop, f"a.csv{ending}", f"{hashlib.new(algorithm, whole).hexdigest()} *a.csv\n".encode())
        await journal.until(lambda: len(journal.findings) == 2)
        assert journal.messages == []
        put(drop, "a.csv", whole)
        await journal.until(lambda: journal.messages != [])
    assert f"its {algorithm} is" in journal.findings[1].text
    assert [m.row["lod"] for m in journal.messages] == ["123.99"]


async def test_a_trailer_ends_a_file_and_counts_its_records(tmp_path, drop):
    pattern = {**CSV, "whole": r"trailer:T,(?P<records>\d+)"}
    journal = Journal()
    one = source(tmp_path, pattern, incomplete_s=0)
    async with running(MesFileDriver(one, TAGS), journal):
        await waits(drop, one, "a.csv", HEAD + b"S1,1\r\n", HEAD + b"S1,1\r\nS2,2\r\nT,2", journal)
        put(drop, "b.csv", HEAD + b"S3,3\r\nT,2\r\n")
        await journal.until(lambda: "file-refused" in journal.codes)
        (drop / "a.csv").write_bytes(HEAD + b"S1,1\r\nS2,2\r\nS4,4\r\nT,3\r\n")
        await journal.until(lambda: len(journal.messages) == 3)
    assert keys(journal) == ["S1", "S2", "S4"]
    assert [f.text for f in journal.findings if "1 records, but its trailer says 2" in f.text]


async def test_a_trailer_that_could_go_on_needs_its_line_end(tmp_path, drop):
    journal = Journal()
    one = source(tmp_path, {**CSV, "whole": r"trailer:END \d+"}, incomplete_s=0)
    async with running(MesFileDriver(one, TAGS), journal):
        await waits(drop, one, "a.csv", HEAD + b"S1,1\r\nEND 2", HEAD + b"S1,1\r\nEND 25\r\n", journal)
    assert keys(journal) == ["S1"]


async def test_quiet_is_counted_from_the_last_change(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, {**CSV, "whole": "quiet:300"}), TAGS), journal):
        put(drop, "a.csv", HEAD + b"S1,12")
        await journal.polled(5)
    assert journal.messages == []
    again = Journal(journal.watermark)
    async with running(MesFileDriver(source(tmp_path, {**CSV, "whole": "quiet:0.1"}), TAGS), again):
        await again.until(lambda: again.messages != [])
    assert keys(again) == ["S1"]


async def test_what_waits_is_told_once_and_stands_in_the_state(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, incomplete_s=0), TAGS), journal):
        put(drop, "a.csv", HEAD + b"S1,12")
        await journal.until(lambda: "a.csv" in journal.unread)
        await journal.polled(5)
        assert journal.codes == ["file-incomplete"]
        put(drop, "a.csv", HEAD + b"S1,12\r\n")
        await journal.until(lambda: journal.unread == "")
    assert keys(journal) == ["S1"]


async def test_a_file_that_is_taken_away_before_it_was_whole_is_a_loss(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, incomplete_s=0), TAGS), journal):
        put(drop, "a.csv", HEAD + b"S1,12")
        await journal.until(lambda: journal.codes == ["file-incomplete"])
        (drop / "a.csv").unlink()
        await journal.until(lambda: journal.losses != [])
    assert journal.codes == ["file-incomplete", "file-vanished"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ready", "no sign that a file is whole"),
        ("trigger:ok", "no sign"),
        ("trigger:../*.ok", "no sign"),
        ("trigger:.*.ok", "no sign"),
        ("quiet:-1", "no sign"),
        ("quiet:0", "no sign"),
        ("quiet:soon", "no sign"),
        ("rename:x", "no sign"),
        ("trailer:(", "no regular expression"),
    ],
)
def test_a_sign_that_is_none_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse(text, line_format=True)


def test_a_document_has_no_trailer():
    with pytest.raises(ValueError, match="have their own end"):
        parse("trailer:END", line_format=False)
