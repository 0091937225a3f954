"""A start takes the same time whatever the journal's size; and a reader that never ends costs a log as long as one segment, not more."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from buffer import Body, Journal

GATEWAY = "lyon/granulation-2"
LARGE_GB = float(os.environ.get("LARGE_GB", "2"))

FILL = """
import os, sys
from pathlib import Path
from buffer import Body, Journal
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.05, retain_s=1e9, max_bytes=1 << 40)
journal.uplink("ebr", True)
size, waiting = int(float(sys.argv[2]) * 1e9), []
for number in range(size // (3000 * 256)):
    texts = [b'"time":"2026-11-22T07:15:02.5Z","pad":"%s"}' % os.urandom(3000).hex().encode() for _ in range(256)]
    waiting.append(journal.append([Body("ebr-gateway/readings/1", text) for text in texts], state=os.urandom(100_000)))
    if len(waiting) > 4:
        waiting.pop(0).result()
waiting[-1].result()
journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')] * 3000, urgent=True).result()
os._exit(137)
"""


def forget(folder: Path) -> int:
    """Have the kernel forget what it holds of these files in memory; their bytes."""
    size = 0
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
            size += path.stat().st_size
    return size


@pytest.mark.timeout(1800)
@pytest.mark.urs("URS-BUF-07")
def test_a_large_journal_opens_within_30_s_after_a_kill_and_after_damage(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    folder = tmp_path / "journal"
    subprocess.run([sys.executable, "-c", FILL, str(folder), str(LARGE_GB)], check=False)
    segments = list((folder / "segments").glob("*.db"))
    size = forget(folder)
    begun_s = time.monotonic()
    journal = Journal.open(folder, GATEWAY, retain_s=1e9, max_bytes=1 << 40)
    opened_s = time.monotonic() - begun_s
    last = journal.last[1]
    assert journal.state() is not None
    begun_s = time.monotonic()
    assert journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z"}')], urgent=True).result(30) == last + 1
    first_s = time.monotonic() - begun_s
    journal.close()
    victim = sorted(segments, key=lambda path: int(path.stem.split("-")[1]))[len(segments) // 2]
    victim.unlink()
    forget(folder)
    begun_s = time.monotonic()
    journal = Journal.open(folder, GATEWAY, retain_s=1e9, max_bytes=1 << 40)
    salvaged_s = time.monotonic() - begun_s
    assert journal.opened.epoch_event is not None
    journal.close()
    figures(
        "start",
        f"{size / 1e9:.1f} GB, {len(segments)} segments, {last:,} entries, cold: open after SIGKILL {opened_s:.2f} s, first commit "
        f"{first_s:.2f} s, open with a segment gone {salvaged_s:.2f} s (limit 30 s)",
    )
    assert max(opened_s, salvaged_s) < 30.0


@pytest.mark.bar("F12")
@pytest.mark.timeout(600)
def test_a_reader_that_never_ends_costs_one_long_log_is_told_and_holds_nothing_up(
    tmp_path: Path, figures: Callable[[str, str], None]
) -> None:
    journal = Journal.open(tmp_path / "journal", GATEWAY, commit_interval_s=0.01, retain_s=0, max_bytes=1 << 40)
    body = [Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","pad":"%s"}' % os.urandom(12_000).hex().encode())]
    journal.append(body, urgent=True).result()
    (active,) = (tmp_path / "journal" / "segments").glob("*.db")
    reader = sqlite3.connect(f"file:{active}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM entries").fetchone()
    longest, told, worst_s = 0, None, 0.0
    for number in range(3 * 4096 // 16):  # three segments under the load of a busy line
        begun_s = time.monotonic()
        journal.append(body * 16, urgent=True).result(60)
        worst_s = max(worst_s, time.monotonic() - begun_s)
        if number % 8 == 0:
            longest = max(longest, journal.usage().wal_bytes)
            told = told or journal.blocked_by
    kept = journal.usage().wal_bytes
    reader.close()
    deadline_s = time.monotonic() + 30
    while journal.usage().wal_bytes > 40_000_000 or journal.blocked_by:
        journal.append([], watermark=("x", {"n": 1}), urgent=True).result(30)
        assert time.monotonic() < deadline_s
    left = journal.usage().wal_bytes
    journal.close()
    files = [path for path in (tmp_path / "journal" / "segments").glob("*.db") if path.stat().st_mode & 0o200]
    figures(
        "endless reader",
        f"a reader open over three segments of 24 KB entries: log at most {longest / 1e6:.0f} MB, {kept / 1e6:.0f} MB until it ended, then "
        f"{left / 1e6:.0f} MB; slowest commit {worst_s:.2f} s; told: {told}",
    )
    assert told is not None
    assert longest < 4096 * 12_000 * 2.5 + 64_000_000
    assert len(files) == 1, "the segment that the reader kept open has been closed"
