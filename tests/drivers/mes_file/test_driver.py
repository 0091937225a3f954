"""The file driver against a real folder: whole files only, each content once, nothing lost silently."""

import os
import random
import socket
import tracemalloc
from typing import Any

import orjson
import pytest
from kit.collector import Journal, running
from kit.mes_file import CSV, NOON, TAGS, files_in, put, source

from drivers.contract import BAD_DECODING, LinkLost
from drivers.mes_file import MesFileDriver
from simulators.device import Truth
from simulators.mes import MesDevice


async def test_dropped_records_come_once_as_the_ground_truth_has_them(tmp_path):
    one = source(tmp_path, {**CSV, "delimiter": ";", "decimal": ",", "time": {"column": "at", "zone": "Europe/Paris"}})
    log = Truth(tmp_path / "truth.jsonl")
    device = MesDevice(one, TAGS, log)
    await device.start()
    journal = Journal()
    async with running(MesFileDriver(one, TAGS), journal):
        await device.drop("results", [{"sample_id": "S1", "lod": 2.5}, {"sample_id": "S2", "lod": 3.0}], NOON)
        await device.drop("results", [{"sample_id": "Sé", "lod": 1.25}], NOON + 10_000_000)
        await journal.until(lambda: len(journal.messages) == 3)
        await journal.polled(3)
    log.close()
    truth = [orjson.loads(line) for line in (tmp_path / "truth.jsonl").read_bytes().splitlines()]
    assert [(m.name, m.key, dict(m.row), m.ticks) for m in journal.messages] == [(r["name"], r["key"], r["row"], r["t"]) for r in truth]
    assert [r[:4] for r in journal.readings] == [(0, 2.5, 0, NOON), (0, 3.0, 0, NOON), (0, 1.25, 0, NOON + 10_000_000)]
    assert journal.findings == []
    assert {m.change for m in journal.messages} == {"new"}


@pytest.mark.parametrize(
    "more", [{"whole": "trigger:*.ok"}, {"whole": "checksum"}, {"format": "json", "record": "data.rows", "encoding": "utf-8"}]
)
async def test_a_simulated_system_gives_the_sign_that_a_pattern_wants(tmp_path, more):
    one = source(tmp_path, {**CSV, **more})
    log = Truth(tmp_path / "truth.jsonl")
    device = MesDevice(one, TAGS, log)
    await device.start()
    journal = Journal()
    async with running(MesFileDriver(one, TAGS), journal):
        await device.drop("results", [{"sample_id": "S1", "lod": 2.5}], NOON)
        await journal.until(lambda: journal.readings != [])
    log.close()
    assert [reading[1] for reading in journal.readings] == [2.5]


@pytest.mark.urs("URS-DAQ-04")
async def test_records_whose_key_columns_join_alike_keep_two_keys(tmp_path):
    one = source(tmp_path, {**CSV, "key": ["order_no", "lot_no"]})
    log = Truth(tmp_path / "truth.jsonl")
    device = MesDevice(one, [], log)
    await device.start()
    journal = Journal()
    async with running(MesFileDriver(one, []), journal):
        await device.drop("results", [{"order_no": "4500/26", "lot_no": "417-A"}, {"order_no": "4500", "lot_no": "26/417-A"}], NOON)
        await device.drop("results", [{"order_no": "100%2F", "lot_no": "Sé 1"}, {"order_no": "100/", "lot_no": "Sé 1"}], NOON)
        await journal.until(lambda: len(journal.messages) == 4)
    log.close()
    keys = [message.key for message in journal.messages]
    assert keys == ["4500%2F26/417-A", "4500/26%2F417-A", "100%252F/Sé 1", "100%2F/Sé 1"]
    assert keys == [orjson.loads(line)["key"] for line in (tmp_path / "truth.jsonl").read_bytes().splitlines()]


async def test_a_key_of_one_column_is_its_text_as_it_stands(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        put(drop, "a.csv", b"sample_id,lod\r\n26/417-A,1.5\r\n100%25,2.5\r\n")
        await journal.until(lambda: len(journal.messages) == 2)
    assert [message.key for message in journal.messages] == ["26/417-A", "100%25"]


@pytest.mark.bar("F42")
async def test_a_file_that_grows_is_read_when_it_is_whole(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        with (drop / "a.csv").open("wb") as file:
            file.write(b"sample_id,lod\r\n")
            for number in range(12):
                file.write(f"S{number},1.5\r\n".encode())
                file.flush()
                polls = journal.polls
                await journal.until(lambda polls=polls: journal.polls > polls)
                if journal.messages:
                    break
            await journal.until(lambda: journal.messages != [])
        await journal.polled(3)
    whole = len((drop / "a.csv").read_bytes().splitlines()) - 1
    assert len(journal.messages) == whole


@pytest.mark.bar("F42")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"sample_id,lod\r\nS1,1\r\nS2\r\n", "1 fields instead of 2"),
        (b"sample_id,lod\r\nS1,\x81\r\n", "is not cp1252"),
        (b"\xef\xbb\xbfsample_id,lod\r\nS1,1\r\n", "byte order mark"),
        (b"sample_id,lod\r\nS1,1\0\r\n", "NUL"),
        (b"sample_id,sample_id\r\nS1,1\r\n", "twice in the header"),
        (b"sample;lod\r\nS1;1\r\n", "no column 'sample_id'"),
        (b"sample_id,lod\r\n,1\r\n", "no value in the key"),
        (b'sample_id,lod\r\n"S1"x,1\r\n', "expected after"),
        (b"\r\n", "empty"),
        (b"sample_id,lod\r\n" + b"S1," + b"9" * 2000 + b"\r\n", "longer than 1000 bytes"),
        (b'sample_id,lod\r\nS1,"' + b"9\n" * 600 + b'"\r\n', "a field of 1200 characters, more than max_line_bytes = 1000"),
        (",".join(f"c{n}" for n in range(60)).encode() + b"\r\n", "more than 50"),
        (b"sample_id,lod\r\n" + b"S,1\r\n" * 2000, "more than 4096"),
    ],
)
async def test_a_file_that_is_not_right_is_refused_whole_and_left_there(tmp_path, drop, data, why):
    journal = Journal()
    one = source(tmp_path, max_line_bytes=1000, max_columns=50, max_file_bytes=4096)
    put(drop, "bad.csv", data)
    async with running(MesFileDriver(one, TAGS), journal):
        await journal.until(lambda: journal.findings != [])
        put(drop, "good.csv", b"sample_id,lod\r\nS9,1.5\r\n")
        await journal.until(lambda: journal.messages != [])
        await journal.polled(3)
    assert journal.codes == ["file-refused"]
    assert journal.findings[0].severity == "alarm"
    assert journal.findings[0].evidence["name"] == "bad.csv", "the next one is another alarm"
    assert why in journal.findings[0].text
    assert [m.key for m in journal.messages] == ["S9"]
    assert (drop / "bad.csv").read_bytes() == data


@pytest.mark.bar("F42")
async def test_the_same_bytes_again_are_counted_not_read_and_other_bytes_are(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        put(drop, "a.csv", b"sample_id,lod\r\nS1,1\r\n")
        await journal.until(lambda: len(journal.messages) == 1)
        put(drop, "copy.csv", b"sample_id,lod\r\nS1,1\r\n")
        await journal.until(lambda: journal.findings != [])
        (drop / "a.csv").touch()
        await journal.polled(3)
        put(drop, "a.csv", b"sample_id,lod\r\nS1,2\r\n")
        await journal.until(lambda: len(journal.findings) == 2)
        (drop / "copy.csv").unlink()
        await journal.polled(3)
    restarted = Journal(journal.watermark)
    async with running(MesFileDriver(source(tmp_path), TAGS), restarted):
        await restarted.polled(3)
    assert journal.codes == ["file-again", "file-rewritten"]
    assert [(m.key, m.row["lod"], m.change) for m in journal.messages] == [("S1", "1", "new"), ("S1", "2", "changed")]
    assert restarted.messages == []
    assert restarted.resumed == []
    declared = Journal(journal.watermark)
    async with running(MesFileDriver(source(tmp_path, files_stay=True), TAGS), declared):
        await declared.polled(3)
    assert (len(declared.resumed), declared.messages) == (1, [])


@pytest.mark.urs("URS-DAQ-11")
@pytest.mark.parametrize(("files_stay", "bridged"), [(True, (0,)), (False, ())])
async def test_a_late_look_finds_what_an_early_one_would_have_only_where_files_stay(tmp_path, drop, files_stay, bridged):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, files_stay=files_stay), TAGS), journal):
        await journal.polled()
    assert journal.bridged == bridged


async def test_a_file_taken_away_too_early_is_a_loss_that_is_said(tmp_path, drop):
    one = source(tmp_path).model_copy(update={"rate_ms": 300})
    journal = Journal()
    async with running(MesFileDriver(one, TAGS), journal):
        await journal.until(lambda: journal.polls == 1)
        put(drop, "a.csv", b"sample_id,lod\r\nS1,1\r\n")
        await journal.until(lambda: journal.polls == 2)
        (drop / "a.csv").unlink()
        await journal.until(lambda: journal.findings != [])
    assert journal.codes == ["file-vanished"]
    assert [loss.cause for loss in journal.losses] == ["file-vanished"]


@pytest.mark.bar("F42")
@pytest.mark.parametrize("seed", range(4))
async def test_a_crash_within_a_long_file_goes_on_where_it_stopped(tmp_path, drop, seed, figures):
    dice = random.Random(seed)
    rows = [f"S{number},{number}" for number in range(1500)]
    put(drop, "long.csv", ("sample_id,lod\r\n" + "\r\n".join(rows) + "\r\n").encode())
    journal = Journal()
    for _ in range(6):
        journal.fail_after = dice.randrange(3)
        async with running(MesFileDriver(source(tmp_path), TAGS), journal) as task:
            await journal.until(lambda: task.done() or journal.polls > 4)
    journal.fail_after = None
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 1500)
        await journal.polled(3)
    figures("files", f"seed {seed}: 1500 records of a file through 6 crashes, {len(journal.messages)} read")
    assert [m.key for m in journal.messages] == [f"S{number}" for number in range(1500)]


async def test_a_half_read_file_that_is_gone_after_a_crash_is_a_loss(tmp_path, drop):
    put(drop, "long.csv", ("sample_id,lod\r\n" + "".join(f"S{number},1\r\n" for number in range(500))).encode())
    journal = Journal()
    journal.fail_after = 1
    async with running(MesFileDriver(source(tmp_path), TAGS), journal) as task:
        await journal.until(task.done)
    (drop / "long.csv").unlink()
    journal.fail_after = None
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: journal.losses != [])
        await journal.polled(3)
    assert journal.codes == ["file-vanished"]
    assert "after 200 of its records" in journal.findings[0].text


@pytest.mark.bar("S02")
async def test_nothing_leads_out_of_the_folder(tmp_path, drop, figures):
    """Links, a second name, a pipe, a socket, a device, a folder, names with control characters."""
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"sample_id,lod\r\nSECRET,1\r\n")
    (drop / "link.csv").symlink_to(secret)
    (drop / "up.csv").symlink_to("../secret.csv")
    os.link(secret, drop / "hard.csv")
    os.mkfifo(drop / "pipe.csv")
    (drop / "folder.csv").mkdir()
    (drop / "folder.csv" / "x.csv").write_bytes(secret.read_bytes())
    (drop / "new\nline\x1b[31m.csv").write_bytes(secret.read_bytes())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(drop / "socket.csv"))
    os.mknod(drop / "zero.csv", 0o20666, os.makedev(1, 5))
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.polled(3)
        put(drop, "good.csv", b"sample_id,lod\r\nS9,1.5\r\n")
        await journal.until(lambda: journal.messages != [])
        await journal.polled(3)
    listener.close()
    assert [m.key for m in journal.messages] == ["S9"]
    figures("folder traps", f"{len(journal.codes)} of 8 traps refused, escapes {len(journal.messages) - 1}")
    assert journal.codes == ["not-a-file"] * 8
    assert all(finding.text.isprintable() for finding in journal.findings)


@pytest.mark.bar("S03")
async def test_a_huge_file_costs_no_memory(tmp_path, drop, figures):
    """2 GB of zeros, sparse."""
    with (drop / "huge.csv").open("wb") as file:
        file.truncate(2 * 2**30)
    journal = Journal()
    tracemalloc.start()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: journal.findings != [])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert journal.codes == ["file-refused"]
    figures("huge file", f"2 GB file refused, peak {peak_bytes / 2**20:.1f} MiB")
    assert peak_bytes < 8 * 2**20


async def test_the_folder_going_away_is_a_lost_link(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal) as task:
        await journal.polled(3)
        drop.rename(tmp_path / "away")
        await journal.until(task.done)
        assert isinstance(task.exception(), LinkLost)
    async with running(MesFileDriver(source(tmp_path), TAGS), journal) as task:
        await journal.until(task.done)
        assert isinstance(task.exception(), LinkLost)


async def test_fixed_width_jsonl_and_b2mml(tmp_path, drop):
    patterns: list[dict[str, Any]] = [
        {
            "name": "fixed",
            "glob": "*.txt",
            "format": "fixed",
            "key": "id",
            "fields": [{"name": "id", "start": 1, "width": 4}, {"name": "v", "start": 5, "width": 6}],
        },
        {"name": "lines", "glob": "*.jsonl", "format": "jsonl", "key": "id"},
        {"name": "results", "glob": "*.xml", "format": "b2mml", "record": "Sample", "key": "ID"},
    ]
    put(drop, "a.txt", b"A1    1.50\r\nA2   22.00\r\n\r\n")
    put(drop, "a.jsonl", b'{"id":"J1","deep":{"x":[1,2]}}\n{"id":"J2"}\n')
    xml = b"""<?xml version="1.0"?><Samples xmlns="http://www.mesa.org/xml/B2MML"><Sample><ID>X1</ID><lod unit="%">2.5</lod>
      <Test><Name>a</Name></Test><Test><Name>b</Name></Test><Empty/></Sample></Samples>"""
    put(drop, "a.xml", xml)
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, *patterns), TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 5)
    rows = {m.key: dict(m.row) for m in journal.messages}
    assert rows["A2"] == {"id": "A2", "v": "22.00"}
    assert rows["J1"] == {"id": "J1", "deep": {"x": [1, 2]}}
    assert rows["X1"] == {"ID": "X1", "lod.@unit": "%", "lod": "2.5", "Test.Name": "a", "Test[2].Name": "b", "Empty": ""}
    assert [reading[1] for reading in journal.readings] == [2.5]


@pytest.mark.bar("S05")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><S><Sample><ID>&a;</ID></Sample></S>', "DOCTYPE"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><S><Sample><ID>&b;</ID></Sample></S>', "DOCTYPE"),
        (b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><S/>', "DOCTYPE"),
        (b"<S><Sample><ID>1</ID></Sample></T>", "mismatched tag"),
        (b"<S>" + b"<d>" * 100 + b"</d>" * 100 + b"</S>", "deeper than"),
        (b"<S><Sample><ID></ID></Sample></S>", "no value in the key"),
    ],
)
async def test_hostile_xml_is_refused(tmp_path, drop, data, why):
    """External entities, expansion, an external DTD; a file cut off; nesting without end."""
    put(drop, "bad.xml", data)
    journal = Journal()
    pattern = {"name": "results", "glob": "*.xml", "format": "b2mml", "record": "Sample", "key": "ID"}
    async with running(MesFileDriver(source(tmp_path, pattern), TAGS), journal):
        await journal.until(lambda: journal.findings != [])
    assert journal.codes == ["file-refused"]
    assert why in journal.findings[0].text
    assert journal.messages == []


async def test_a_value_that_is_no_number_is_bad(tmp_path, drop):
    put(drop, "a.csv", b"sample_id,lod\r\nS1,<0.1\r\n")
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path), TAGS), journal):
        await journal.until(lambda: journal.messages != [])
    assert journal.readings == [(0, None, BAD_DECODING, None, None)]
    assert journal.messages[0].row["lod"] == "<0.1"


async def test_the_ledger_stays_bounded_and_a_full_folder_is_said(tmp_path, drop):
    journal = Journal()
    async with running(MesFileDriver(source(tmp_path, ledger_files=100), TAGS), journal):
        for number in range(250):
            put(drop, f"{number}.csv", f"sample_id,lod\r\nS{number},1\r\n".encode())
            if number >= 50:
                (drop / f"{number - 50}.csv").unlink() if f"S{number - 50}" in {m.key for m in journal.messages} else None
            if number % 10 == 9:
                await journal.until(lambda number=number: len(journal.messages) == number + 1)
        assert files_in(journal.watermark) <= 100
        for number in range(300, 400):
            put(drop, f"{number}.csv", f"sample_id,lod\r\nS{number},1\r\n".encode())
        await journal.until(lambda: "folder-full" in journal.codes)
    assert len({m.key for m in journal.messages}) == len(journal.messages)
    assert files_in(journal.watermark) <= 100
