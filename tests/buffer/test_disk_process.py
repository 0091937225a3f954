"""Disks that are full, fail, or turn read-only under the running journal; on small real file systems, as root."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.processes import DEADLINE_S, until

from buffer import Body, Journal, JournalError, Pressure, StorageError, read_journal
from buffer.verify import verify

GATEWAY = "lyon/granulation-2"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def body(number: int, size: int = 3000) -> Body:
    return Body(
        "ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":%d,"pad":"%s"}' % (number, os.urandom(size // 2).hex().encode())
    )


def numbers(folder: Path) -> list[int]:
    return [json.loads(entry.payload)["n"] for entry in read_journal(folder)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB of its own."""
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=False)


@pytest.mark.bar("F06")
@ROOT
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-05")
def test_a_full_disk_holds_the_sources_back_loses_nothing_and_goes_on_by_itself(small: Path, figures: Callable[[str, str], None]) -> None:
    told: list[Pressure | None] = []
    journal = Journal.open(small / "journal", GATEWAY, commit_interval_s=0.005, retain_s=0, max_bytes=64 << 20)
    journal.on_pressure(told.append)
    written, futures = 0, []
    until(lambda: journal.pressure is None)
    while journal.pressure is None:
        futures.append(journal.append([body(written)], urgent=True))
        written += 1
        futures[-1].result(DEADLINE_S)
        if written == 50:
            (small / "somebody-else").write_bytes(os.urandom(journal.usage().free_bytes - (3 << 20)))
    alarm = journal.append([body(written)], urgent=True)
    assert alarm.result(DEADLINE_S) == written + 1, "the ballast leaves room to record the alarm"
    written += 1
    begun = time.monotonic()
    (small / "somebody-else").unlink()
    until(lambda: journal.pressure is None)
    resumed_s = time.monotonic() - begun
    for _ in range(50):
        futures.append(journal.append([body(written)], urgent=True))
        written += 1
    futures[-1].result(DEADLINE_S)
    journal.close()
    assert told[0] is not None
    assert told[-1] is None
    assert numbers(small / "journal") == list(range(written))
    assert verify(small / "journal").exit_code == 0
    figures("full disk", f"ENOSPC: {written} entries, 0 lost, resumed {resumed_s:.2f} s after space was there")


@pytest.mark.bar("F06")
@ROOT
@pytest.mark.faults
def test_a_disk_filled_to_the_last_byte_keeps_what_waits_until_there_is_room(small: Path) -> None:
    journal = Journal.open(small / "journal", GATEWAY, commit_interval_s=0.005, retain_s=0, max_bytes=64 << 20)
    journal.append([body(0)], urgent=True).result(DEADLINE_S)
    with (small / "somebody-else").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                break
    waiting = [journal.append([body(1 + i, 60_000)], urgent=True) for i in range(300)]
    until(lambda: journal.pressure is not None)
    (small / "somebody-else").unlink()
    assert waiting[-1].result(DEADLINE_S) == 301
    journal.close()
    assert numbers(small / "journal") == list(range(301))


def append_until_it_fails(journal: Journal) -> None:
    while True:
        journal.append([body(100)], urgent=True).result(DEADLINE_S)


@pytest.mark.bar("F09")
@ROOT
@pytest.mark.faults
def test_a_disk_that_turns_read_only_stops_the_journal_and_it_recovers_when_writable(
    small: Path, figures: Callable[[str, str], None]
) -> None:
    faults: list[BaseException] = []
    journal = Journal.open(small / "journal", GATEWAY, commit_interval_s=0.005, retain_s=0, max_bytes=8 << 20, on_fault=faults.append)
    for number in range(100):
        journal.append([body(number)], urgent=True).result(DEADLINE_S)
    read_only = subprocess.run(["mount", "-o", "remount,ro,nodelalloc", str(small)], check=False)
    if read_only.returncode:  # busy with files open for writing: the way a dying disk does it
        subprocess.run(["mount", "-o", "remount,abort", str(small)], check=False)
    begun = time.monotonic()
    with pytest.raises(JournalError):
        append_until_it_fails(journal)
    detected_s = time.monotonic() - begun
    until(lambda: faults)
    with pytest.raises(JournalError):
        journal.append([body(101)])
    journal.close()
    subprocess.run(["umount", "-l", str(small)], check=True)
    subprocess.run(["mount", "-o", "loop", str(small.parent / "image"), str(small)], check=True)
    journal = Journal.open(small / "journal", GATEWAY, commit_interval_s=0.005, retain_s=0, max_bytes=8 << 20)
    assert numbers(small / "journal")[:100] == list(range(100))
    journal.append([body(7)], urgent=True).result(DEADLINE_S)
    journal.close()
    figures("read-only disk", f"read-only: found after {detected_s:.3f} s")


WRITER = """
import sys
from pathlib import Path
from buffer import Body, Journal, JournalError
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.001, retain_s=0, max_bytes=1 << 40)
try:
    for number in range(2000):
        journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":%d}' % number)], urgent=True).result()
        print(number, flush=True)
except JournalError as error:
    print("stopped:", error, file=sys.stderr)
    journal.close()
    sys.exit(3)
"""


@pytest.mark.bar("F05")
@STRACE
@pytest.mark.faults
@pytest.mark.parametrize(
    ("calls", "error", "when"),
    [("fdatasync,fsync", "EIO", "60"), ("fdatasync,fsync", "EIO", "33"), ("pwrite64", "EIO", "400"), ("pwrite64", "EIO", "97")],
)
def test_an_io_error_stops_the_process_and_nothing_promised_is_lost(
    tmp_path: Path, calls: str, error: str, when: str, figures: Callable[[str, str], None]
) -> None:
    inject = [
        "strace",
        "-f",
        "-qq",
        "-o",
        str(tmp_path / "trace"),
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:error={error}:when={when}",
    ]
    done = subprocess.run([*inject, sys.executable, "-c", WRITER, str(tmp_path / "journal")], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "stopped:" in done.stderr
    promised = [int(line) for line in done.stdout.split()]
    injected = [line for line in (tmp_path / "trace").read_text().splitlines() if "INJECTED" in line]
    assert injected
    journal = Journal.open(tmp_path / "journal", GATEWAY, commit_interval_s=0.001, retain_s=0, max_bytes=1 << 40)
    held = numbers(tmp_path / "journal")
    journal.append([Body("ebr-gateway/readings/1", b'"time":"2026-11-22T07:15:02.5Z","n":0}')], urgent=True).result()
    journal.close()
    assert held[: len(promised)] == promised
    assert held == list(range(len(held)))
    figures("I/O error", f"{calls} {error} at call {when}: stopped, {len(promised)} promised, {len(held)} held, false acks 0")


@pytest.mark.bar("F13")
@pytest.mark.faults
def test_a_foreign_lock_of_some_seconds_delays_and_loses_nothing(tmp_path: Path) -> None:
    import sqlite3

    journal = Journal.open(tmp_path / "journal", GATEWAY, commit_interval_s=0.005, retain_s=0, max_bytes=1 << 40)
    journal.append([body(0)], urgent=True).result()
    (segment,) = (tmp_path / "journal" / "segments").glob("*.db")
    foreign = sqlite3.connect(segment, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    waiting = [journal.append([body(1 + number)], urgent=True) for number in range(50)]
    tick = threading.Event()
    tick.wait(7.0)
    assert not waiting[0].done()
    foreign.execute("ROLLBACK")
    foreign.close()
    assert waiting[-1].result(DEADLINE_S) == 51
    journal.close()
    assert numbers(tmp_path / "journal") == list(range(51))


KILLED = """
import sys, random
from pathlib import Path
from buffer import Body, Journal
generator = random.Random(int(sys.argv[2]))
journal = Journal.open(Path(sys.argv[1]), "lyon/granulation-2", commit_interval_s=0.002, retain_s=0, max_bytes=1 << 40)
start = journal.next_seq
print("open", journal.opened.epoch, start, flush=True)
waiting = []
number = start
while True:
    count = generator.choice([1, 3, 40, 700])
    text = b'"time":"2026-11-22T07:15:02.5Z","n":%d,"of":%d}'
    bodies = [Body("ebr-gateway/readings/1", text % (number + i, count)) for i in range(count)]
    waiting.append(journal.append(bodies, watermark=("mes", {"n": number + count - 1}), urgent=generator.random() < 0.2))
    number += count
    if len(waiting) > 8:
        print(waiting.pop(0).result(), flush=True)
"""


def one_life(folder: Path, seed: int, promises: int, more_s: float) -> tuple[list[str], list[str]]:
    """What the writer said when it had opened, and what it promised until it was killed: `more_s` after its promise number `promises`."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(seed)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        opened = child.stdout.readline().split()
        first = [child.stdout.readline().strip() for _ in range(promises)]
        timer = threading.Timer(more_s, child.send_signal, [signal.SIGKILL])
        timer.start()
        said = child.stdout.read().split("\n")
        child.wait()
        timer.join()
    return opened, first + said[:-1]  # the last line was cut, or is empty


def kill_rounds(folder: Path, rounds: int) -> dict[str, float]:
    """Kill a writer `rounds` times at a place named by its own progress: neither a slow nor a fast disk makes a round empty."""
    import random

    generator = random.Random(20261122)
    promised, recovery = 0, []
    for number in range(rounds):
        promises = (1, 40, 0, 2, 7)[number % 5]
        opened, said = one_life(folder, number, promises, generator.uniform(0.0, 0.05))
        assert int(opened[2]) > promised, f"round {number}: {promised} were promised, it goes on at {opened[2]}"
        assert len(said) >= promises
        promised = max([promised, *(int(line) for line in said)])
        if number % 10 == 5 and (number < 60 or number % 100 == 95):  # seldom as it grows: it is read from its first entry each time
            dead = verify(folder)
            assert dead.exit_code != 1, f"round {number}: an honest journal is accused: {dead.problems}"
    begun = time.monotonic()
    journal = Journal.open(folder, GATEWAY, retain_s=0, max_bytes=1 << 40)
    recovery.append(time.monotonic() - begun)
    entries = [json.loads(entry.payload) for entry in read_journal(folder)]
    assert [entry["seq"] for entry in entries] == [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
    assert len(entries) >= promised
    assert journal.watermark("mes") == {"n": len(entries)}
    assert journal.opened.findings == []
    journal.close()
    assert verify(folder).exit_code == 0
    return {
        "rounds": rounds,
        "promised": promised,
        "held": len(entries),
        "lost": 0,
        "doubled": 0,
        "last recovery s": round(recovery[-1], 3),
    }


@pytest.mark.bar("F01")
@pytest.mark.urs("URS-BUF-02")
def test_what_was_promised_survives_sigkill(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path / "journal", 6)["lost"] == 0


@pytest.mark.bar("F01")
@pytest.mark.faults
@pytest.mark.urs("URS-BUF-02")
def test_what_was_promised_survives_500_sigkills(tmp_path: Path, figures: Callable[[str, str], None]) -> None:
    figures("kill", f"SIGKILL: {kill_rounds(tmp_path / 'journal', int(os.environ.get('KILLS', '500')))}")


@pytest.mark.bar("F05")
def test_a_failed_write_is_never_promised(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", GATEWAY, commit_interval_s=0.001, retain_s=0, max_bytes=1 << 40)
    journal.append([body(0)], urgent=True).result()
    faults: list[BaseException] = []
    journal._writer._on_fault = faults.append
    journal._writer.do(journal._store._db.close).result()  # the next commit fails in the middle of the run
    waiting = journal.append([body(1)], urgent=True)
    with pytest.raises(StorageError):
        waiting.result(DEADLINE_S)
    with pytest.raises(StorageError):
        journal.append([body(2)])
    journal.close()
    assert len(faults) == 1
    assert numbers(tmp_path / "journal") == [0]
