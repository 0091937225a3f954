"""The test of a backup finds a backup that is damaged, of another line, or not the line's history; and leaves nothing behind."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kit.audited_journal import STORY, audited_line
from kit.commands import called
from kit.persons import people
from kit.processes import running

from buffer import Journal, read_journal
from gateway.validation.bundle import document_of
from gateway.validation.restore_test import timed

EVENTS = [event for event in STORY if event["type"] != "config"]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = audited_line(tmp_path_factory.mktemp("tested") / "line", EVENTS, readings=False)
    people(folder / "data")
    with running(folder):
        yield folder


@pytest.fixture(scope="module")
def backup(line: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("backup") / "copy"
    assert called("backup", line, "--to", to).returncode in (0, 2)
    return to


def verdicts(line: Path, source: Path, to: Path, *more: str) -> dict[str, str]:
    told = called("restore-test", line, "--from", source, "--to", to, *more)
    assert told.returncode in (0, 1), told.stderr
    document = document_of(to)
    found = {one["id"]: one["verdict"] for one in document["facts"]["checks"]}
    assert (told.returncode == 0) == (set(found.values()) == {"passed"})
    assert {path.name for path in to.iterdir()} == {"document.json", "document.html", "document.pdf", "evidence", "SHA256SUMS"}
    return found


@pytest.mark.urs("URS-OPS-02", "URS-OPS-01")
def test_a_backup_is_restored_proved_and_the_same_as_the_running_line_holds(line: Path, backup: Path, tmp_path: Path) -> None:
    before = [entry.digest for entry in read_journal(line / "data")]
    found = verdicts(line, backup, tmp_path / "t")
    assert (found["restore"], found["live"], found["time"]) == ("passed", "passed", "passed")
    after = [entry.digest for entry in read_journal(line / "data")]
    assert after[: len(before)] == before


@pytest.mark.urs("URS-OPS-02")
def test_a_damaged_backup_is_not_restored_and_nothing_else_counts_as_looked_at(line: Path, backup: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(backup, tmp_path / "copy"))
    segment = max((copy / "segments").glob("*.db"), key=lambda path: path.stat().st_size)
    segment.chmod(0o600)
    with closing(sqlite3.connect(segment, isolation_level=None)) as db:
        db.execute("DROP TRIGGER entries_are_not_changed")
        db.execute("UPDATE entries SET payload = CAST(replace(CAST(payload AS TEXT), 'lyon', 'nice') AS BLOB) WHERE seq = 3")
    found = verdicts(line, copy, tmp_path / "t")
    assert found["restore"] == "failed"
    assert {found[name] for name in ("proof", "live", "batch", "time")} == {"not checked"}


@pytest.mark.urs("URS-OPS-02")
def test_a_backup_of_another_history_is_found_against_the_line(line: Path, tmp_path: Path) -> None:
    other = audited_line(tmp_path / "other", EVENTS[1:], readings=False)  # begun in the same second or not: a history of its own
    Journal.open(other / "data", "lyon/test-1", retain_s=1e9, max_bytes=1 << 30).close()
    copy = tmp_path / "copy"
    assert called("backup", other, "--to", copy).returncode in (0, 2)
    assert verdicts(line, copy, tmp_path / "t")["live"] == "failed"


@pytest.mark.urs("URS-OPS-02")
def test_a_restore_that_takes_longer_than_declared_fails(line: Path, backup: Path, tmp_path: Path) -> None:
    assert verdicts(line, backup, tmp_path / "t", "--within-h", "0.001")["restore"] == "passed"
    assert timed(3.7, 3.6, there=True)[1] is False
