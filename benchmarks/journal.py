"""Durable readings per second of the journal, beside a plain SQLite table with one row per value in the same run.

`python benchmarks/journal.py [SECONDS]`. Both use WAL and synchronous=FULL, on the same disk. The journal's figure includes heading,
SHA-256 chain, Merkle leaf, zstd and the group commit; encoding of JSON is measured elsewhere (it happens before).
"""

import os
import random
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from buffer import Body, Journal

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
SIZES = (1, 10, 100, 1000)
OPEN_LISTS = 64


def bodies(size):
    """Realistic bodies: a random walk in columns of tag, value, source_ticks."""
    made = []
    for number in range(64):
        generator = random.Random(number)
        rows = ",".join(f"[{tag},{200 + generator.gauss(0, 5):.2f},{generator.randrange(400_000)}]" for tag in range(size))
        head = '"time":"2026-11-22T07:15:02.512345Z","clock":{"status":"synchronised","bound_s":0.0081,"boot":"b","monotonic_s":81234.5},'
        made.append(Body("ebr-gateway/readings/1", f'{head}"source":"plc","tagset":"8d5e957f29789348","readings":[{rows}]}}'.encode()))
    return made


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def written_bytes():
    """What this process has caused to be written to the block device."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["write_bytes"])


def run(name, size, step, finish):
    """Run step() until the time is over, then finish(); print a row."""
    before, io, begun, count = cpu_s(), written_bytes(), time.perf_counter(), 0
    waits = []
    while time.perf_counter() - begun < SECONDS:
        count += step(waits)
    finish()
    seconds, values = time.perf_counter() - begun, count * size
    wear = (written_bytes() - io) / values * 1e6 / 1e6
    p = statistics.quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
    print(
        f"{name:<24}{size:>6}{values / seconds:>14,.0f}{(cpu_s() - before) / values * 1e6:>12.2f}{wear:>14,.1f}"
        f"{p[49] * 1e3:>10.1f}{p[98] * 1e3:>10.1f}",
        flush=True,
    )


def journal(folder, size):
    """Up to OPEN_LISTS appends open, as the sources of a line have them; each is durable when its future is done."""
    opened = Journal.open(folder, "bench/journal", commit_interval_s=0.05, retain_s=0, max_bytes=1 << 50)
    made, waiting = bodies(size), deque()

    def step(waits):
        begun = time.perf_counter()
        future = opened.append([made[len(waiting) % 64]])
        future.add_done_callback(lambda _: waits.append(time.perf_counter() - begun))
        waiting.append(future)
        if len(waiting) >= OPEN_LISTS:
            waiting.popleft().result()
        return 1

    run("journal", size, step, lambda: [future.result() for future in waiting])
    opened.close()


def table(folder, size):
    """One row per value, one transaction per list: what one writes first."""
    folder.mkdir()
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE reading(id INTEGER PRIMARY KEY, tag TEXT, value REAL, status INTEGER, source_time TEXT, received TEXT)")
    rows = [(f"granulator.tag_{tag}", 251.5, 0, "2026-11-22T07:15:02.418000Z", "2026-11-22T07:15:02.447000Z") for tag in range(size)]

    def step(waits):
        begun = time.perf_counter()
        db.execute("BEGIN")
        db.executemany("INSERT INTO reading(tag, value, status, source_time, received) VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("COMMIT")
        waits.append(time.perf_counter() - begun)
        return 1

    run("row per value", size, step, lambda: None)
    db.close()


def main():
    print(f"{SECONDS:g} s each, {threading.active_count()} thread at start, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    print(f"{'':<24}{'size':>6}{'readings/s':>14}{'CPU s/M':>12}{'MB on disk/M':>14}{'p50 ms':>10}{'p99 ms':>10}")
    root = Path(tempfile.mkdtemp(prefix="bench-journal-"))
    try:
        for size in SIZES:
            journal(root / f"journal-{size}", size)
            table(root / f"table-{size}", size)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
