"""A journal is read from outside, also at the instant at which the gateway makes its next segment."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kit.journals import numbered, opened

from buffer import StorageError, read_journal, segment, sqlite


def journal_of(folder: Path) -> tuple[Path, int]:
    """Make a stopped journal of three entries; return where its next segment would stand, and its epoch."""
    journal = opened(folder, retain_s=1e9)
    journal.append([numbered(number) for number in range(3)], urgent=True).result()
    journal.close()
    return folder / "segments" / segment.name_of(journal.opened.epoch, segment.ENTRIES + 1), journal.opened.epoch


@pytest.mark.parametrize("step", ["named", "opened", "begun"])
def test_a_segment_that_is_just_being_made_holds_nothing(tmp_path: Path, step: str) -> None:
    """Named: no byte is in it. Opened: its log stands beside it. Begun: its tables are written and not committed."""
    path, _ = journal_of(tmp_path)
    sqlite.create(path)
    if step == "named":
        assert [entry.seq for entry in read_journal(tmp_path)] == [1, 2, 3]
        return
    with closing(sqlite.writer(path)) as db:
        if step == "begun":
            db.executescript(f"BEGIN; {segment.SCHEMA}")
        assert [entry.seq for entry in read_journal(tmp_path)] == [1, 2, 3]


def test_a_segment_without_tables_before_the_newest_is_damage(tmp_path: Path) -> None:
    path, epoch = journal_of(tmp_path)
    sqlite.create(path)
    about = {"gateway": "lyon/granulation-2", "epoch": epoch}
    segment.create(path.with_name(segment.name_of(epoch, 2 * segment.ENTRIES + 1)), about).close()
    with pytest.raises(StorageError, match="no such table"):
        list(read_journal(tmp_path))


def test_a_newest_segment_that_lost_its_entries_is_damage(tmp_path: Path) -> None:
    path, epoch = journal_of(tmp_path)
    segment.create(path, {"gateway": "lyon/granulation-2", "epoch": epoch}).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE entries")
        db.commit()
    with pytest.raises(StorageError, match="no such table"):
        list(read_journal(tmp_path))
