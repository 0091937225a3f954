"""The verification from time to time: each thing that is kept is proved, found bad, or not checked; nothing is taken for granted."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from kit.audited_journal import STORY, audited_line
from kit.commands import called
from kit.persons import people
from kit.processes import running

from gateway.validation.bundle import document_of

EVENTS = [event for event in STORY if event["type"] != "config"]


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A line that ran, with a backup and a witness."""
    folder = audited_line(tmp_path / "line", EVENTS, readings=False)
    toml = folder / "line.toml"
    (tmp_path / "copies").mkdir()
    (tmp_path / "witness").mkdir()
    more = f'[[witness]]\nname = "w"\nendpoint = "file://{tmp_path / "witness"}"\n[backup]\nfolder = "{tmp_path / "copies"}"\n'
    toml.write_text(toml.read_text() + more)
    people(folder / "data")
    with running(folder):
        pass
    for cut in (tmp_path / "copies").iterdir():  # one that the gateway had begun
        cut.rename(tmp_path / cut.name)
    return folder


def verdicts(line: Path, to: Path) -> dict[str, str]:
    told = called("verification", "run", line, "--to", to)
    assert told.returncode in (0, 1), told.stderr
    found = {one["id"]: one["verdict"] for one in document_of(to)["facts"]["checks"]}
    assert (told.returncode == 0) == (set(found.values()) == {"passed"})
    return found


@pytest.mark.urs("URS-AUD-06")
def test_what_is_there_is_proved_what_is_not_there_is_not_checked_and_a_change_is_found(line: Path, tmp_path: Path) -> None:
    first = verdicts(line, tmp_path / "first")
    assert first == {"journal": "passed", "backup": "not checked", "witness-w": "passed"}
    assert called("backup", line, "--to", tmp_path / "copies" / "lyon-test-1-20261122T071502Z").returncode in (0, 2)
    assert verdicts(line, tmp_path / "second")["backup"] == "passed"
    segment = max((line / "data" / "segments").glob("*.db"), key=lambda path: path.stat().st_size)
    segment.chmod(0o600)
    with closing(sqlite3.connect(segment, isolation_level=None)) as db:
        db.execute("DROP TRIGGER entries_are_not_changed")
        db.execute("UPDATE entries SET payload = CAST(replace(CAST(payload AS TEXT), 'lyon', 'nice') AS BLOB) WHERE seq = 3")
    third = verdicts(line, tmp_path / "third")
    assert (third["journal"], third["witness-w"], third["backup"]) == ("failed", "failed", "passed")


@pytest.mark.urs("URS-AUD-06")
def test_without_keys_nothing_is_proved(line: Path, tmp_path: Path) -> None:
    (line / "data" / "checkpoint-key.pub").unlink()
    assert set(verdicts(line, tmp_path / "v").values()) == {"not checked"}
