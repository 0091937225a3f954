"""What stays in memory for receivers: what all of them have confirmed goes, what one of them lacks stays, up to the bound."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.journals import READINGS, digest_at, open_journal

from buffer import Body, Journal
from buffer.committed import CONFIRMED_BYTES, TAIL_BYTES

EACH_BYTES = 60_000
FEW = CONFIRMED_BYTES // EACH_BYTES


def large(number: int) -> Body:
    return Body(READINGS, b'"time":"2026-11-21T07:11:42.5123456Z","n":%d,"text":"%s"}' % (number, b"x" * EACH_BYTES))


def append(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append([large(number)])
    journal.append([large(count)], urgent=True).result()


def in_memory(journal: Journal) -> int:
    epoch, last = journal.last
    return sum(journal.is_recent(epoch, seq) for seq in range(1, last + 1))


@pytest.mark.urs("URS-BUF-04")
def test_what_every_receiver_has_goes_from_memory_and_is_read_from_the_disk(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for name in ("ebr", "lake"):
        journal.uplink(name, required=True)
    append(journal, 60)
    epoch = journal.opened.epoch
    assert in_memory(journal) == 61
    journal.acknowledge("ebr", epoch, 50, digest_at(journal, 50))
    append(journal, 0)
    assert in_memory(journal) == 62, "the other receiver lacks them"
    journal.acknowledge("lake", epoch, 55, digest_at(journal, 55))
    append(journal, 0)
    assert FEW - 1 <= in_memory(journal) <= FEW + 1
    assert journal.recent((epoch, 40), max_bytes=1) is None
    (entry,) = journal.read((epoch, 40), max_bytes=1)
    assert entry.seq == 41
    journal.acknowledge("lake", epoch, 30, digest_at(journal, 30))  # a receipt that comes again, for what is not in memory
    assert journal.cursor("lake") == (epoch, 55)
    journal.close()


@pytest.mark.urs("URS-BUF-04")
def test_what_one_receiver_lacks_stays_up_to_the_bound(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.uplink("ebr", required=True)
    append(journal, 2 * TAIL_BYTES // EACH_BYTES)
    held = in_memory(journal)
    assert TAIL_BYTES // EACH_BYTES - 2 <= held <= TAIL_BYTES // EACH_BYTES
    last = journal.last[1]
    journal.acknowledge("ebr", journal.opened.epoch, last - 100, digest_at(journal, last - 100))
    append(journal, 0)
    assert in_memory(journal) == 101, "what it has goes, what it lacks stays"
    journal.close()


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 100)), min_size=1, max_size=8))
def test_whatever_was_confirmed_the_same_entries_are_read(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]) -> None:
    journal = open_journal(tmp_path_factory.mktemp("tail"))
    journal.uplink("ebr", required=True)
    epoch = journal.opened.epoch
    for count, percent in steps:
        append(journal, count)
        last = journal.last[1]
        through = max(last * percent // 100, journal.cursor("ebr")[1], 1)
        journal.acknowledge("ebr", epoch, through, digest_at(journal, through))
        found = [entry.seq for after in range(last) for entry in journal.read((epoch, after), max_bytes=1, max_entries=1)]
        assert found == list(range(1, last + 1))
        unconfirmed = [journal.is_recent(epoch, seq) for seq in range(through + 1, last + 1)]
        assert all(unconfirmed), "what a receiver lacks is in memory"
    journal.close()
