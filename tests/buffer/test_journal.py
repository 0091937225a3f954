import json
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from kit.journals import GATEWAY, READINGS, digest_at, entries, numbered, open_journal
from kit.processes import DEADLINE_S

from buffer import (
    EntryTooLarge,
    Journal,
    JournalClosed,
    JournalInUse,
    JournalMismatch,
    ReceiptRefused,
    Rejected,
    read_journal,
    segment,
)
from buffer.chain import NO_DIGEST, digest


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = open_journal(tmp_path)
    yield opened
    opened.close()


def test_an_entry_is_its_head_and_the_body_as_given(journal: Journal) -> None:
    assert journal.next_seq == 1
    assert journal.append([numbered(1), numbered(2)]).result() == 2
    assert journal.next_seq == 3

    first, second = journal.read((0, 0), max_bytes=1 << 20)
    epoch = journal.opened.epoch
    head = f'{{"schema":"{READINGS}","gateway":"{GATEWAY}","epoch":{epoch},"seq":1,"previous":"{NO_DIGEST}",'
    assert first.payload == head.encode() + numbered(1).body
    assert first.digest == digest(first.payload).hex()
    assert json.loads(second.payload)["previous"] == first.digest
    assert (second.epoch, second.seq) == journal.last == (epoch, 2)


def test_a_new_journal_asks_for_its_epoch_event_until_it_is_written(tmp_path: Path) -> None:
    first = open_journal(tmp_path)
    event = first.opened.epoch_event
    first.close()
    again = open_journal(tmp_path)
    assert again.opened.epoch == first.opened.epoch
    assert again.opened.epoch_event == event
    assert event is not None
    assert (event["type"], event["follows"], event["reason"]) == ("epoch", None, "created")
    again.append([numbered(1)]).result()
    again.close()
    third = open_journal(tmp_path)
    assert third.opened.epoch_event is None
    assert third.opened.last_ticks == 17953317025123456
    third.close()


@pytest.mark.urs("URS-BUF-04")
def test_sequence_chain_and_facts_go_on_after_a_restart(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(10):
        journal.append([numbered(number)], watermark=("mes", {"id": number, f"k{number}": 1}), state=b"fold%d" % number)
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.opened.was_clean
    assert journal.opened.next_seq == journal.next_seq == 11
    assert journal.watermark("mes") == {"id": 9, **{f"k{number}": 1 for number in range(10)}}
    assert journal.watermark("other") == {}
    assert journal.state() == ((journal.opened.epoch, 10), b"fold9")
    journal.append([numbered(10)]).result()
    chain_of([entry.payload for entry in entries(journal)])
    journal.close()


def test_a_change_of_a_watermark_costs_what_changed_and_a_key_can_be_removed(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(0)], watermark=("mes", {"window": ["row"] * 5000, "floor": 1, "gone": 2})).result()
    before = dict(journal._view.facts)
    journal.append([numbered(1)], watermark=("mes", {"floor": 2, "gone": None})).result()
    assert [name for name, fact in journal._view.facts.items() if before.get(name) != fact] == ["watermark/mes/floor"]
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"window": ["row"] * 5000, "floor": 2}
    journal.close()


def test_what_was_removed_from_a_watermark_does_not_come_back_from_an_older_segment(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(0)], watermark=("mes", {"old": 1, "floor": 1}), state=b"fold")
    journal.append([], watermark=("mes", {"old": None}))
    for first in range(0, 4200, 100):
        journal.append([numbered(first + n) for n in range(100)])
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"floor": 1}
    journal.close()


def test_a_watermark_as_0_1_stored_it_is_read_and_goes_on(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(0)]).result()
    journal.close()
    [path] = tmp_path.rglob("*-*.db")
    with closing(sqlite3.connect(path)) as db:
        (seq, epoch) = db.execute("SELECT seq, (SELECT value FROM about WHERE name = 'epoch') FROM entries").fetchone()
        db.execute(
            "INSERT INTO facts VALUES (?, ?, ?, ?)", segment._fact_row("watermark/mes", segment.Fact(epoch, seq, b'{"a": 1, "b": 2}'))
        )
        db.commit()
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"a": 1, "b": 2}
    futures = [journal.append([numbered(n)], watermark=("mes", {"a": n})) for n in (5, 6)] + [
        journal.append([numbered(7)], watermark=("mes", {"b": None, "c": 3}))
    ]
    assert [future.result() for future in futures] == [2, 3, 4]
    assert journal.watermark("mes") == {"a": 6, "c": 3}
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"a": 6, "c": 3}
    journal.close()


def chain_of(payloads: list[bytes]) -> None:
    heads = [json.loads(payload) for payload in payloads]
    assert [head["seq"] for head in heads] == list(range(1, len(heads) + 1))
    for (earlier, _), (_, later) in pairwise(zip(payloads, heads, strict=True)):
        assert later["previous"] == digest(earlier).hex()


def test_segments_of_4096_are_closed_and_an_append_may_lie_across_their_end(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(1400):
        journal.append([numbered(number * 7 + i) for i in range(7)], watermark=("mes", {"n": number}))
    journal.close()
    epoch = journal.opened.epoch
    files = sorted((tmp_path / "journal" / "segments").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    assert [path.name for path in files] == [f"{epoch}-1.db", f"{epoch}-4097.db", f"{epoch}-8193.db"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o440, 0o440, 0o600]
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"n": 1399}
    payloads = [entry.payload for entry in entries(journal)]
    chain_of(payloads)
    assert [json.loads(payload)["n"] for payload in payloads] == list(range(9800))
    assert [entry.payload for entry in read_journal(tmp_path / "journal")] == payloads
    journal.close()


def test_an_append_that_fills_a_segment_exactly_opens_the_next_later(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(number) for number in range(4096)]).result()
    journal.append([], watermark=("mes", {"late": 1}), urgent=True).result()
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.watermark("mes") == {"late": 1}
    assert journal.append([numbered(4096)], urgent=True).result() == 4097
    journal.close()


@pytest.mark.bar("S15")
def test_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(1)]).result()
    folder = tmp_path / "journal"
    modes = {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert all(mode in {0o600, 0o440} for mode in modes.values()), modes
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((folder / "segments").stat().st_mode) == 0o700
    journal.close()


@pytest.mark.urs("URS-BUF-08", "URS-AUD-03")
@pytest.mark.parametrize("statement", ["UPDATE entries SET payload = x'00'", "DELETE FROM entries"])
def test_sql_can_neither_change_nor_remove_an_entry(tmp_path: Path, statement: str) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(1)]).result()
    journal.close()
    (segment,) = (tmp_path / "journal" / "segments").glob("*.db")
    db = sqlite3.connect(segment)
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        db.execute(statement)
    db.close()


def test_a_body_that_makes_an_entry_too_large_is_refused_and_nothing_is_appended(journal: Journal) -> None:
    with pytest.raises(EntryTooLarge, match="65536"):
        journal.append([numbered(1), numbered(2, "x" * 65_536)])
    journal.append([numbered(3, "x" * 65_000)]).result()
    (entry,) = journal.read((0, 0), max_bytes=1)
    assert json.loads(entry.payload)["n"] == 3
    assert len(entry.payload) <= 65_536


def test_a_second_gateway_is_refused_with_one_line(tmp_path: Path, journal: Journal) -> None:
    with pytest.raises(JournalInUse) as error:
        open_journal(tmp_path)
    assert str(os.getpid()) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_journal_of_another_line_is_refused(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    with pytest.raises(JournalMismatch, match=GATEWAY):
        Journal.open(tmp_path / "journal", "lyon/other", retain_s=0, max_bytes=1 << 30)
    open_journal(tmp_path).close()


def test_after_close_nothing_is_taken_and_close_may_be_called_twice(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    waiting = journal.append([numbered(1)])
    journal.close()
    journal.close()
    assert waiting.result() == 1
    with pytest.raises(JournalClosed):
        journal.append([numbered(2)])


def test_cancelling_the_waiter_does_not_cancel_the_write(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, commit_interval_s=0.2)
    waiting = journal.append([numbered(1)])
    assert not waiting.cancel()
    assert waiting.result() == 1
    journal.close()


def test_an_urgent_append_does_not_wait_for_the_interval(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, commit_interval_s=3600)
    before = journal.append([numbered(1)])
    assert journal.append([numbered(2)], urgent=True).result(DEADLINE_S) == 2
    assert before.result(timeout=0) == 1
    lists = [journal.append([numbered(number)]) for number in range(32)]
    assert lists[-1].result(DEADLINE_S) == 34
    journal.close()


def test_commits_are_told_in_order(journal: Journal) -> None:
    told: list[tuple[int, int]] = []
    journal.on_commit(told.append)
    for number in range(100):
        journal.append([numbered(number)], urgent=True).result()
    assert told == sorted(told)
    assert told[-1] == journal.last


def test_readers_in_other_threads_see_a_gapless_prefix_while_it_grows_and_turns(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, commit_interval_s=0.001)
    done = threading.Event()

    def read_through(page: int) -> int:
        after, count = (0, 0), 0
        while True:
            finished = done.is_set()
            entries = journal.read(after, max_bytes=page, max_entries=500)
            for entry in entries:
                count += 1
                assert entry.seq == count
                after = entry.epoch, entry.seq
            if finished and not entries:
                return count

    with ThreadPoolExecutor() as pool:
        readers: list[Future[int]] = [pool.submit(read_through, page) for page in (1, 10_000, 1 << 20)]
        last = [journal.append([numbered(i, "x" * 3000) for i in range(30)]) for _ in range(300)][-1]
        last.result()
        done.set()
        assert [reader.result() for reader in readers] == [9000] * 3
    journal.close()


# ------------------------------------------------------------------ receipts


@pytest.fixture
def sent(journal: Journal) -> Journal:
    journal.uplink("ebr", True)
    journal.append([numbered(number) for number in range(10)]).result()
    return journal


@pytest.mark.urs("URS-UPL-03")
def test_a_receipt_with_the_right_digest_moves_the_cursor(sent: Journal) -> None:
    epoch = sent.opened.epoch
    assert sent.cursor("ebr") == (0, 0)
    assert sent.receipts.depth("ebr")[:1] == (10,)
    assert sent.acknowledge("ebr", epoch, 7, digest_at(sent, 7)) == 7
    assert sent.cursor("ebr") == (epoch, 7)
    depth = sent.receipts.depth("ebr")
    assert depth.entries == 3
    assert depth.bytes == sum(len(entry.payload) for entry in sent.read((epoch, 7), max_bytes=1 << 20))
    assert depth.oldest_ticks == 17953317025123456
    assert sent.acknowledge("ebr", epoch, 3, digest_at(sent, 3)) == 7


@pytest.mark.bar("S08")
@pytest.mark.parametrize(
    ("epoch_offset", "through", "digest_of", "code"),
    [(0, 7, 6, "digest-mismatch"), (1, 7, 7, "unknown-epoch"), (0, 11, 10, "beyond-last"), (0, 3, 4, "digest-mismatch")],
)
def test_a_receipt_that_proves_nothing_is_refused(sent: Journal, epoch_offset: int, through: int, digest_of: int, code: str) -> None:
    sent.acknowledge("ebr", sent.opened.epoch, 5, digest_at(sent, 5))
    with pytest.raises(ReceiptRefused) as error:
        sent.acknowledge("ebr", sent.opened.epoch + epoch_offset, through, digest_at(sent, digest_of))
    assert error.value.code == code
    assert sent.cursor("ebr") == (sent.opened.epoch, 5)


@pytest.mark.urs("URS-UPL-03")
def test_a_receipt_for_nothing_moves_nothing_not_even_into_the_next_epoch(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([numbered(number) for number in range(10)]).result()
    journal.close()
    with sqlite3.connect(tmp_path / "journal" / "journal.db") as db:
        db.execute("INSERT OR REPLACE INTO about VALUES ('restored', 1)")
    db.close()
    journal = open_journal(tmp_path)
    journal.uplink("ebr", True)
    with pytest.raises(ReceiptRefused, match="unprovable"):
        journal.acknowledge("ebr", journal.opened.epoch, 0, "0" * 64)
    assert journal.cursor("ebr") == (0, 0)
    assert journal.receipts.depth("ebr").entries == 10
    journal.close()


def test_an_unknown_uplink_is_refused(sent: Journal) -> None:
    with pytest.raises(ReceiptRefused, match="unknown-uplink"):
        sent.cursor("nobody")


def test_cursors_and_quarantine_are_kept(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for name in ("ebr", "historian"):
        journal.uplink(name, name == "ebr")
    journal.append([numbered(number) for number in range(10)]).result()
    epoch = journal.opened.epoch
    journal.acknowledge("ebr", epoch, 7, digest_at(journal, 7))
    new, gone = journal.receipts.quarantine("ebr", epoch, [Rejected(3, "unknown-parameter"), Rejected(4, "busy", "later", "wait")])
    assert ([one.seq for one in new], gone) == ([3, 4], [])
    new, gone = journal.receipts.quarantine("ebr", epoch, [Rejected(3, "unknown-parameter")])
    assert (new, [one.seq for one in gone]) == ([], [4])
    journal.close()
    journal = open_journal(tmp_path)
    assert journal.cursor("ebr") == (epoch, 7)
    assert journal.cursor("historian") == (0, 0)
    assert [(one.seq, one.code, one.state) for one in journal.receipts.quarantined("ebr")] == [(3, "unknown-parameter", "held")]
    assert journal.receipts.quarantined("historian") == []
    journal.close()


# ------------------------------------------------------------------ retention
