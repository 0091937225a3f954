"""A journal that a newer release wrote: an older one refuses it in one sentence that says what to do, and touches no byte of it."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kit.commands import called
from kit.drop_line import drop_line
from kit.journals import numbered, opened

from buffer import JournalNewer, newer_than_this
from buffer.catalogue import FORMAT as JOURNAL
from buffer.restore.backup import RestoreRefused, backup, restore
from buffer.segment import FORMAT as SEGMENT

pytestmark = pytest.mark.urs("URS-OPS-04")


def written(folder: Path) -> Path:
    journal = opened(folder)
    journal.append([numbered(1), numbered(2)]).result()
    journal.close()
    return folder


def raised(path: Path, form: str) -> None:
    """What a newer release would have noted."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE about SET value = ? WHERE name = 'format'", (form,))
        db.commit()


def sums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock" and path.suffix != ".db-shm")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size}


@pytest.mark.parametrize(
    ("where", "form"),
    [
        ("journal.db", "ebr-gateway/journal/2"),
        ("journal.db", "ebr-gateway/journal/11"),
        ("journal.db", "another-product/journal/1"),
        ("journal.db", "ebr-gateway/journal/two"),
        ("segment", "ebr-gateway/segment/2"),
    ],
)
def test_it_is_refused_and_not_touched(tmp_path: Path, where: str, form: str) -> None:
    data = written(tmp_path / "data")
    raised(data / "journal.db" if where == "journal.db" else next((data / "segments").glob("*.db")), form)
    before = sums(data)
    with pytest.raises(JournalNewer) as refused:
        opened(data)
    assert sums(data) == before
    for word in (str(data), form, JOURNAL if where == "journal.db" else SEGMENT, "install.sh switch", "ebr-gateway restore"):
        assert word in str(refused.value)
    assert "\n" not in str(refused.value)
    raised(
        data / "journal.db" if where == "journal.db" else next((data / "segments").glob("*.db")),
        JOURNAL if where == "journal.db" else SEGMENT,
    )
    journal = opened(data)
    assert (journal.last[1], journal.opened.was_clean) == (2, True), "the release that wrote it goes on as if nothing had been"
    journal.close()


def test_one_that_this_release_or_an_older_one_wrote_is_opened(tmp_path: Path) -> None:
    assert newer_than_this(tmp_path / "none") is None
    data = written(tmp_path / "data")
    for form in (JOURNAL, "ebr-gateway/journal/0"):
        raised(data / "journal.db", form)
        assert newer_than_this(data) is None
    (data / "journal.db").write_bytes(b"damage is not what this is about")
    assert newer_than_this(data) is None


def test_a_killed_newer_releases_log_is_not_taken_in_either(tmp_path: Path) -> None:
    data = written(tmp_path / "data")
    with closing(sqlite3.connect(data / "journal.db")) as db:  # it stands in the log alone, as after a kill
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("UPDATE about SET value = 'ebr-gateway/journal/2' WHERE name = 'format'")
        db.commit()
        log = (data / "journal.db-wal").read_bytes()
        assert log
        assert "journal/2" in str(newer_than_this(data))
        with pytest.raises(JournalNewer):
            opened(data)
        assert (data / "journal.db-wal").read_bytes() == log


def test_a_backup_of_it_is_not_restored(tmp_path: Path) -> None:
    data = written(tmp_path / "data")
    backup(data, tmp_path / "backup")
    raised(tmp_path / "backup" / "journal.db", "ebr-gateway/journal/2")
    with pytest.raises(RestoreRefused, match="newer release"):
        restore(tmp_path / "backup", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_start_says_it_in_one_line_and_systemd_does_not_try_again(tmp_path: Path) -> None:
    line = drop_line(tmp_path / "line")
    written(line / "data")
    raised(line / "data" / "journal.db", "ebr-gateway/journal/2")
    told = called("run", line)
    assert told.returncode == 2, "RestartPreventExitStatus of the unit"
    assert "was written by a newer release" in told.stderr.splitlines()[-1]
