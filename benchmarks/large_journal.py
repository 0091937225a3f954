"""Whether a journal of 50 GB costs more than a small one: opening, an append, a read in its middle, status, and the gateway's start.

What could grow is what is asked of each of its segments, so it has as many as a journal of that size: each of 4,096 entries, written by the
journal itself. They are small, and the closed files are made longer without being written (sparse), each to what 4,096 lists of 1,000
readings take, with the sum of that. CPU of this process, all threads, or of the command's.
Usage: python benchmarks/large_journal.py [GB ...]; without, 0, 5 and 50.
"""

import gc
import hashlib
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

import start
from start import command_cpu_s, first_reading, line_of, process

from buffer import Body, Journal

SEGMENT_BYTES, SEGMENT_ENTRIES = 57_000_000, 4_096
APPENDS = 2_000
NAME = "bench/start"
TEXT = '"time":"2026-11-22T07:15:02.512345Z","clock":{"status":"unsynchronised","bound_s":null},"source":"plc"'
EVENT = Body("ebr-gateway/event/1", f'{TEXT},"event":{{"type":"note","text":"filled"}}}}'.encode())


def opened(data: Path) -> Journal:
    """Open the journal so that nothing is pruned by itself."""
    return Journal.open(data, NAME, commit_interval_s=0.05, retain_s=0, max_bytes=1 << 50)


def filled(data: Path, gigabytes: float) -> int:
    """Write as many segments as that size has; return how many."""
    segments, journal = round(gigabytes * 1e9 / SEGMENT_BYTES), opened(data)
    for number in range(segments):
        journal.append([EVENT] * SEGMENT_ENTRIES).result()
        if number % 100 == 99:
            print(f"{number + 1:,} of {segments:,} segments", file=sys.stderr)
    journal.append([EVENT] * (SEGMENT_ENTRIES // 4)).result()  # so that no segment ends while appends are measured
    journal.close()
    with sqlite3.connect(data / "journal.db") as db:
        for epoch, first in db.execute("SELECT epoch, first FROM segments WHERE state = 'closed'").fetchall():
            path = data / "segments" / f"{epoch}-{first}.db"
            os.truncate(path, SEGMENT_BYTES)
            with path.open("rb") as file:
                made = SEGMENT_BYTES, hashlib.file_digest(file, "sha256").digest(), epoch, first
            db.execute("UPDATE segments SET bytes = ?, sha256 = ? WHERE epoch = ? AND first = ?", made)
    return segments


def cpu_ms(work) -> float:
    """Milliseconds of CPU that a piece of work takes, all threads."""
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1e3


def of_journal(data: Path) -> list[float]:
    """Opening and closing; an append in us; a read of 100 entries in the middle."""
    kept: list[Journal] = []
    gc.collect()
    gc.freeze()  # what filling it left in this process is no cost of an append
    opening = cpu_ms(lambda: kept.append(opened(data)))
    journal = kept[0]

    def appended() -> None:
        for _ in range(APPENDS):
            last = journal.append([EVENT])
        last.result()

    appending = cpu_ms(appended) / APPENDS * 1e3
    epoch, last = journal.last
    reading = statistics.median(cpu_ms(lambda: journal.read((epoch, last // 2), max_bytes=10**6, max_entries=100)) for _ in range(9))
    using = statistics.median(cpu_ms(journal.usage) for _ in range(9))
    closing = cpu_ms(journal.close)
    return [opening, closing, appending, reading, using]


def main() -> None:
    """Print the table."""
    start.WITHIN_S = 1_800.0  # the first start reads all entries, because no state of them is stored
    print(f"{'GB':>4}{'segments':>10}{'open ms':>9}{'close ms':>9}{'append us':>10}{'read ms':>9}{'usage ms':>9}", end="")
    print(f"{'start CPU s':>13}{'killed CPU s':>13}{'status CPU s':>13}")
    for size in [float(word) for word in sys.argv[1:]] or [0.0, 5.0, 50.0]:
        with tempfile.TemporaryDirectory(prefix="bench-large-") as made:
            base = Path(made)
            line = line_of(base / "line", "modbus")
            segments = filled(line / "data", size)
            print(f"{size:4g}{segments:10,}", end="", flush=True)
            opening, closing, appending, reading, using = of_journal(line / "data")
            print(f"{opening:9.1f}{closing:9.1f}{appending:10.1f}{reading:9.2f}{using:9.2f}", end="", flush=True)
            with process("simulate", str(line), log=base / "plant.log"):
                while "serving" not in (base / "plant.log").read_text():
                    time.sleep(0.05)
                first_reading(line, signal.SIGTERM)  # reads all that is new, once
                started, killed = first_reading(line, signal.SIGKILL), first_reading(line, signal.SIGTERM)
                print(f"{started.cpu_s:13.2f}{killed.cpu_s:13.2f}", end="", flush=True)
                with process("run", str(line), log=base / "gateway.log"):
                    while not (line / "data" / "control.sock").exists():
                        time.sleep(0.05)
                    print(f"{statistics.median(command_cpu_s(['status', str(line)]) for _ in range(5)):13.3f}", flush=True)


if __name__ == "__main__":
    main()
