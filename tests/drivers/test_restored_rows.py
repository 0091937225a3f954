"""Rows that the journal has since before it was restored: neither driver hands them over again, and anything else it does."""

import os
import time

import pytest
from kit import mes_file, mes_sql
from kit.collector import Journal, running

from drivers.mes_file import MesFileDriver
from drivers.mes_sql import MesSqlDriver
from drivers.restored_rows import MARK, RestoredRows, row_mark


def marked(name, rows):
    """The watermark as a restore writes it."""
    return {MARK: {name: {"until_ns": time.time_ns(), "rows": [row_mark(key, row) for key, row in rows]}}}


def told(journal):
    return [(message.key, message.change) for message in journal.messages]


@pytest.mark.urs("URS-DAQ-04")
async def test_records_of_a_file_that_the_journal_has_are_not_read_again(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    mes_file.put(drop, "a.csv", b"sample_id,lod\r\nS1,1.5\r\nS2,2.5\r\n")
    mes_file.put(drop, "b.csv", b"sample_id,lod\r\nS3,1.5\r\nS4,2.5\r\nS5,3.5\r\n")
    known = [
        ("S1", {"sample_id": "S1", "lod": "1.5"}),
        ("S2", {"sample_id": "S2", "lod": "2.5"}),
        ("S3", {"sample_id": "S3", "lod": "1.5"}),
    ]
    journal = Journal(marked("results", known))
    async with running(MesFileDriver(mes_file.source(tmp_path), mes_file.TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 2)
        await journal.until(lambda: journal.watermark[MARK] == {})
        mes_file.put(drop, "c.csv", b"sample_id,lod\r\nS1,1.5\r\n")
        await journal.until(lambda: len(journal.messages) == 3)
    assert told(journal) == [("S4", "new"), ("S5", "new"), ("S1", "new")], "what is delivered after that is new, whatever it says"
    assert [(reading[0], reading[1]) for reading in journal.readings] == [(0, 2.5), (0, 3.5), (0, 1.5)]
    assert sorted(finding.evidence["records"] for finding in journal.findings) == [1, 2]
    assert {finding.code for finding in journal.findings} == {"file-recalled"}


async def test_a_file_written_after_the_loss_is_new_even_if_it_says_the_same(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    mes_file.put(drop, "a.csv", b"sample_id,lod\r\nS1,1.5\r\n")
    later = time.time() + 60
    os.utime(drop / "a.csv", (later, later))
    journal = Journal(marked("results", [("S1", {"sample_id": "S1", "lod": "1.5"})]))
    async with running(MesFileDriver(mes_file.source(tmp_path), mes_file.TAGS), journal):
        await journal.until(lambda: len(journal.messages) == 1)
    assert journal.findings == []


async def test_rows_that_0_1_wrote_into_the_journal_are_known_under_their_former_keys(tmp_path):
    drop = tmp_path / "drop"
    drop.mkdir()
    mes_file.put(drop, "a.csv", b"order_no,lot_no,kg\r\n4500/26,417-A,24.6\r\n4500,26/417-A,9.9\r\n4500,26/418-A,7\r\n")
    known = [("4500/26/417-A", {"order_no": "4500/26", "lot_no": "417-A", "kg": "24.6"})]
    known += [("4500/26/417-A", {"order_no": "4500", "lot_no": "26/417-A", "kg": "9.9"})]
    journal = Journal(marked("results", known))
    source = mes_file.source(tmp_path, {**mes_file.CSV, "key": ["order_no", "lot_no"]})
    async with running(MesFileDriver(source, []), journal):
        await journal.until(lambda: journal.messages != [])
        await journal.until(lambda: journal.watermark[MARK] == {})
    assert told(journal) == [("4500/26%2F418-A", "new")]

    query = {"name": "lots", "sql": "SELECT order_no, lot_no FROM v_lots", "key": ["order_no", "lot_no"], "watermark": {"kind": "snapshot"}}
    source = mes_sql.source(tmp_path, (query,))
    journal = Journal(marked("lots", [("4500/26/417-A", {"order_no": "4500", "lot_no": "26/417-A"})]))
    async with mes_sql.served(source) as mes:
        await mes.insert("lots", {"order_no": "4500/26", "lot_no": "417-A"}, mes_sql.NOON)
        await mes.insert("lots", {"order_no": "4500", "lot_no": "26/417-A"}, mes_sql.NOON)
        async with running(MesSqlDriver(source, []), journal):
            await journal.until(lambda: journal.messages != [])
            await journal.polled()
    assert told(journal) == [("4500%2F26/417-A", "new")]


@pytest.mark.urs("URS-DAQ-04")
async def test_rows_of_a_table_that_the_journal_has_are_not_read_again(tmp_path):
    async with mes_sql.served(mes_sql.source(tmp_path), mes_sql.TAGS) as mes:
        first = Journal()
        for number in (1, 2, 3, 4):
            await mes.insert("orders", {"id": number, "batch_no": f"B{number}"}, mes_sql.NOON)
        async with running(MesSqlDriver(mes_sql.source(tmp_path), mes_sql.TAGS), first):
            await first.until(lambda: len(first.messages) == 4)
            backup = {name: dict(value) for name, value in first.watermark.items()}
            await mes.change("orders", "1", {"batch_no": "B1x"}, mes_sql.NOON)
            await mes.insert("orders", {"id": 5, "batch_no": "B5"}, mes_sql.NOON)
            await mes.delete("orders", "2", mes_sql.NOON)
            await mes.change("orders", "3", {"batch_no": "B3x"}, mes_sql.NOON)
            await first.until(lambda: len(first.messages) == 8)
        since = [(message.key, None if message.change == "deleted" else dict(message.row)) for message in first.messages[4:]]
        await mes.change("orders", "3", {"batch_no": "B3y"}, mes_sql.NOON)
        await mes.insert("orders", {"id": 6, "batch_no": "B6"}, mes_sql.NOON)
        again = Journal(backup | marked("orders", since))
        async with running(MesSqlDriver(mes_sql.source(tmp_path), mes_sql.TAGS), again):
            await again.until(lambda: len(again.messages) == 2)
            await again.polled()
            assert again.watermark[MARK] == {}
            await mes.change("orders", "1", {"batch_no": "B1"}, mes_sql.NOON)
            await mes.change("orders", "1", {"batch_no": "B1x"}, mes_sql.NOON)
            await again.polled()
    assert sorted(told(again))[-2:] == [("3", "changed"), ("6", "new")]


@pytest.mark.urs("URS-DAQ-04")
async def test_a_row_that_is_again_as_the_backup_had_it_is_told_where_the_journal_says_otherwise(tmp_path):
    async with mes_sql.served(mes_sql.source(tmp_path), mes_sql.TAGS) as mes:
        first = Journal()
        await mes.insert("orders", {"id": 1, "batch_no": "B1"}, mes_sql.NOON)
        async with running(MesSqlDriver(mes_sql.source(tmp_path), mes_sql.TAGS), first):
            await first.until(lambda: len(first.messages) == 1)
            backup = {name: dict(value) for name, value in first.watermark.items()}
            await mes.change("orders", "1", {"batch_no": "B1x"}, mes_sql.NOON)
            await first.until(lambda: len(first.messages) == 2)
        since = [(message.key, dict(message.row)) for message in first.messages[1:]]
        await mes.change("orders", "1", {"batch_no": "B1"}, mes_sql.NOON)
        again = Journal(backup | marked("orders", since))
        async with running(MesSqlDriver(mes_sql.source(tmp_path), mes_sql.TAGS), again):
            await again.polled()
    assert told(again) == [("1", "changed")]
    assert again.messages[0].row["batch_no"] == "B1"


def test_each_row_counts_once_and_only_in_its_order():
    one, two = ("a", {"x": 1}), ("b", {"x": 2})
    recalled = RestoredRows(marked("q", [one, two, one]))
    assert recalled.leading("q", [one, one, one]) == 2
    assert recalled.leading("q", [("c", {}), one]) == 0
    recalled.use("q", [one])
    assert recalled.leading("q", [one, one]) == 1
    assert recalled.leading("other", [one]) == 0
    assert RestoredRows(recalled.stored()).last("q") == dict([row_mark(*two), row_mark(*one)])
    recalled.forget("q")
    assert recalled.stored() == {MARK: {}}
