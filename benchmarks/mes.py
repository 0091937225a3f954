"""What a table of a MES costs: the first start against all its rows, and then a new row where many are compared again at each poll.

A SQLite database with one table of orders; each row becomes an event with its columns, and a reading. `passed` are seconds of this machine
as it was; CPU seconds hold on a busy one. `window` are the rows above the floor, which each poll reads again to find what changed or went.
Usage: python benchmarks/mes.py [--rows N] [first|steady]
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from throughput import cpu_s, memory_mib

from gateway.demo.processes import COMMAND
from gateway.operation.control import NotRunning, ask

WINDOWS = (200, 2_000, 20_000)
NEW, POLLS = 100, 20
WITHIN_S = 3600.0
LINE = """[line]
site = "bench"
name = "mes"
timezone = "UTC"

[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
rate_ms = 1000

[[source.query]]
name = "orders"
sql = "SELECT id, unit_id, order_no, batch_no, status, quantity FROM orders WHERE id > :since ORDER BY id"
key = "id"
watermark = {{ column = "id", kind = "sequence", overlap_s = {overlap_s} }}
"""
TAGS = "tag,source,address,type\nmes.status,mes,orders.status,string\n"
TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, unit_id TEXT, order_no TEXT, batch_no TEXT, status TEXT, quantity REAL)"


class Held(NamedTuple):
    """Where a gateway stands. rows: that it has read."""

    rows: int
    cpu_s: float
    journal_bytes: int


def made(folder: Path, rows: int, overlap_s: int) -> Path:
    """Write a line folder with its database."""
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(LINE.format(overlap_s=overlap_s))
    (folder / "tags.csv").write_text(TAGS)
    with sqlite3.connect(folder / "mes.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(TABLE)
    add(folder, 1, rows)
    return folder


def add(folder: Path, first: int, count: int) -> None:
    """Add rows, in one transaction."""
    numbers = range(first, first + count)
    rows = ((n, f"GRN-{n % 7}", f"10{n:08}", f"B{n // 40:07}", "RUN" if n % 2 else "HELD", n * 0.125) for n in numbers)
    with sqlite3.connect(folder / "mes.db", timeout=60) as database:
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)


@contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the gateway for as long as the block lasts."""
    with (folder.parent / "gateway.log").open("ab") as log:
        gateway = subprocess.Popen([*COMMAND, "run", str(folder)], stdout=log, stderr=log)
    try:
        yield gateway
    finally:
        gateway.terminate()
        gateway.wait()


def held(folder: Path, gateway: subprocess.Popen[bytes]) -> Held:
    """Look where the gateway stands; zero before it answers."""
    if gateway.poll() is not None:
        raise SystemExit((folder.parent / "gateway.log").read_text()[-2000:])
    try:
        source: dict[str, Any] = ask(folder / "data")["sources"][0]
    except NotRunning:
        return Held(0, 0.0, 0)
    size = sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file())
    return Held(source["rows"], cpu_s(gateway.pid), size)


def reached(folder: Path, gateway: subprocess.Popen[bytes], rows: int) -> Held:
    """Wait until so many rows are read."""
    until_s = time.monotonic() + WITHIN_S
    while (now := held(folder, gateway)).rows < rows:
        if time.monotonic() > until_s:
            raise SystemExit(f"{now.rows} of {rows} rows in {WITHIN_S:.0f} s")
        time.sleep(0.2)
    return now


def first(rows: int) -> None:
    """Print what the first start costs."""
    with tempfile.TemporaryDirectory(prefix="bench-") as base:
        folder = made(Path(base) / "line", rows, 600)
        begun_s = time.monotonic()
        with running(folder) as gateway:
            now = reached(folder, gateway, rows)
            took_s, peak = time.monotonic() - begun_s, memory_mib(gateway.pid, "VmHWM")
    print(f"{'first start':>16}{'passed s':>10}{'rows/s':>9}{'CPU s/M':>9}{'peak MiB':>10}{'B each':>8}")
    print(f"{rows:16,}{took_s:10.1f}{rows / took_s:9,.0f}{now.cpu_s / rows * 1e6:9.1f}{peak:10.0f}{now.journal_bytes / rows:8.0f}")


def steady() -> None:
    """Print what a new row costs by the rows that are read again beside it."""
    print(f"{'window, rows':>16}{'new rows':>10}{'CPU us/new':>12}{'CPU us/look':>13}{'B each':>8}")
    for window in WINDOWS:
        with tempfile.TemporaryDirectory(prefix="bench-") as base:
            folder = made(Path(base) / "line", window, 86_400)
            with running(folder) as gateway:
                reached(folder, gateway, window)
                idle, began_s = held(folder, gateway), time.monotonic()
                time.sleep(10)
                still = held(folder, gateway)
                each_s = (still.cpu_s - idle.cpu_s) / (time.monotonic() - began_s)
                before, begun_s = held(folder, gateway), time.monotonic()
                for poll in range(POLLS):
                    add(folder, window + poll * NEW + 1, NEW)
                    reached(folder, gateway, window + (poll + 1) * NEW)
                after, passed_s = held(folder, gateway), time.monotonic() - begun_s
        of = POLLS * NEW
        cost, size = after.cpu_s - before.cpu_s - each_s * passed_s, after.journal_bytes - before.journal_bytes
        print(f"{window:16,}{of:10,}{max(cost, 0) / of * 1e6:12.0f}{each_s * 1e6:13.0f}{size / of:8.0f}", flush=True)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("which", nargs="?", choices=["first", "steady"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    if given.which != "steady":
        first(given.rows)
    if given.which != "first":
        steady()
    return 0


if __name__ == "__main__":
    sys.exit(main())
