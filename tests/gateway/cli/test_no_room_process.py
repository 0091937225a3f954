"""Commands that write, where there is no room: one readable line, exit 3, and nothing half under a name that a person would trust."""

import json
import resource
import subprocess
from pathlib import Path

import pytest
from kit.processes import COMMAND, command

from buffer import Body, Journal, keys

LINE = '[line]\nsite = "lyon"\nname = "test-1"\ntimezone = "Europe/Paris"\n'
BATCH = {"type": "heartbeat", "observed": {}, "batch": "B1"}
ROOM_BYTES = 20_000


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A stopped line with an entry that names batch B1."""
    folder = tmp_path / "line"
    folder.mkdir()
    (folder / "line.toml").write_text(LINE)
    journal = Journal.open(folder / "data", "lyon/test-1", retain_s=1e9, max_bytes=1 << 40)
    signer = keys.create(folder / "data" / "checkpoint-key", "lyon/test-1")
    body = f'"time":"2026-11-22T00:00:00.000000Z","event":{json.dumps(BATCH, separators=(",", ":"))}}}'.encode()
    journal.append([Body("ebr-gateway/event/1", body)], urgent=True).result()
    assert journal.checkpoint(signer) is not None
    journal.close()
    return folder


def squeezed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command whose files can not grow beyond ROOM_BYTES."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))

    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit)


@pytest.mark.urs("URS-AUD-08")
def test_an_archive_that_finds_no_room_leaves_nothing_and_is_made_by_the_next_try(line: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "b1.zip"
    target.parent.mkdir()
    done = squeezed("archive", line, "--batch", "B1", "--to", target)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert list(target.parent.iterdir()) == []
    done = command("archive", line, "--batch", "B1", "--to", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(path.name, path.stat().st_mode & 0o777) for path in target.parent.iterdir()] == [("b1.zip", 0o440)]


def test_a_backup_that_finds_no_room_says_so_in_one_line(line: Path, tmp_path: Path) -> None:
    done = squeezed("backup", line, "--to", tmp_path / "copy")
    assert (done.returncode, "Traceback" in done.stderr, len(done.stderr.splitlines())) == (3, False, 1), done.stderr
