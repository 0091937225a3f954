"""A journal that is full or locked: it holds the sources back, says why, and goes on by itself."""

import sqlite3
from pathlib import Path

import pytest
from kit.journals import confirm, filled, numbered, open_journal
from kit.processes import DEADLINE_S, until

from buffer import (
    Pressure,
)


@pytest.mark.urs("URS-BUF-03")
def test_use_of_space_and_days_to_full_are_told(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=10_000_000)
    journal.append([numbered(number, "x" * 200) for number in range(1000)]).result()
    usage = journal.usage()
    assert 0 < usage.used_bytes < usage.max_bytes == 10_000_000
    assert usage.fraction == usage.used_bytes / 10_000_000
    assert usage.days_to_full is not None
    assert usage.days_to_full > 0
    journal.close()


@pytest.mark.bar("F07")
@pytest.mark.urs("URS-BUF-05")
def test_a_full_journal_holds_the_sources_back_until_something_may_go(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.close()
    told: list[Pressure | None] = []
    journal = open_journal(tmp_path, max_bytes=journal.usage().used_bytes - 500_000)
    journal.on_pressure(told.append)
    journal.append([numbered(0)], urgent=True).result()
    until(lambda: journal.pressure is not None)
    assert journal.pressure is not None
    assert journal.pressure.cause == "journal-full"
    assert "the journal is full" in journal.pressure.text
    confirm(journal, 9000)
    assert journal.prune(None) is not None
    journal.append([numbered(0)], urgent=True).result()
    journal.prune(None)
    until(lambda: journal.pressure is None)
    assert told[-1] is None
    journal.close()


@pytest.mark.bar("F13")
@pytest.mark.urs("URS-BUF-02")
def test_a_foreign_lock_of_the_segment_holds_the_sources_back_and_its_name_is_not_full(tmp_path: Path) -> None:
    told: list[Pressure | None] = []
    journal = open_journal(tmp_path)
    journal.on_pressure(told.append)
    journal.append([numbered(0)], urgent=True).result()
    (segment,) = (tmp_path / "journal" / "segments").glob("*.db")
    foreign = sqlite3.connect(segment, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    waiting = journal.append([numbered(1)], urgent=True)
    until(lambda: journal.pressure is not None)
    foreign.execute("ROLLBACK")
    foreign.close()
    waiting.result(DEADLINE_S)
    until(lambda: journal.pressure is None)
    journal.close()
    assert [one and one.cause for one in told] == ["journal-locked", None]


def test_a_foreign_lock_of_journal_db_is_told_and_delays_no_entry(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.uplink("ebr", True)
    journal.append([numbered(0)], urgent=True).result()
    foreign = sqlite3.connect(tmp_path / "journal" / "journal.db", isolation_level=None, timeout=30)
    foreign.execute("BEGIN IMMEDIATE")
    confirm(journal, 1)
    until(lambda: journal.blocked_by is not None)
    for number in range(1, 200):
        assert journal.append([numbered(number)], urgent=True).result(DEADLINE_S) == number + 1
        assert journal.pressure is None
    assert "journal.db" in str(journal.blocked_by)
    foreign.execute("ROLLBACK")
    foreign.close()
    until(lambda: journal.blocked_by is None)
    journal.close()
