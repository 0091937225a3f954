"""At many times the nominal rate, once what is bounded is full: memory, files, threads and tasks of the gateway do not grow.

What grows at first has a bound: the newest entries that the journal keeps in memory (16 MB of payload, `buffer.committed.TAIL_BYTES`), and
the page caches of its databases. The plant is fast, so that the bound is reached within minutes, and the slope is that of what comes
after: EBR_SOAK_S says for how long (300 s if it is not set). It is that of a straight line through a look at each second.

Two bounds are reached late where a busy machine polls too late now and then: of closed gaps the newest 1,024 are remembered, and of the
latest readings of a source 20,000, which take more as rows, after a gap, than in columns. What has a bound stops rising, so the looks go
on, up to MOST_SPANS times as long, until memory has stood for a whole span. What has none never does.
"""

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from kit.line_rig import Rig, ended
from kit.processes import until

SOAK_S = float(os.environ.get("EBR_SOAK_S", "300"))
MIB = 1 << 20
TAIL_BYTES = 2 * MIB
"""Of the newest entries in memory: so much, not 16 MB, for the test to be over in minutes on a busy machine."""
FULL_BYTES = 4 * TAIL_BYTES
"""Payload that has gone through the gateway when its memory of the newest entries has been filled, and filled again."""
MOST_SPANS = 4
MOST_MIB_PER_MIN = 0.25
MOST_BYTES_PER_VALUE = 2.0
"""A list that grows by each value takes 8 bytes of it and more; the allocator takes half a MiB at a time, whenever that is."""
COUNTED = """
import asyncio, sys
from pathlib import Path
from buffer import committed
from gateway.runtime import gateway
committed.TAIL_BYTES = int(sys.argv[2])
run = gateway.run
async def count():
    while True:
        Path(sys.argv[1]).write_text(str(len(asyncio.all_tasks())))
        await asyncio.sleep(1)
async def counted(*words):
    counting = asyncio.create_task(count())
    try:
        return await run(*words)
    finally:
        counting.cancel()
gateway.run = counted
from gateway.cli import main
main(sys.argv[3:])
"""
"""The gateway, which also writes down each second how many tasks it has, and keeps fewer of the newest entries in memory."""


class Seen(NamedTuple):
    """One look. memory: private, in MiB."""

    at_s: float
    memory: float
    files: int
    threads: int
    tasks: int


def seen(process: psutil.Process, tasks: Path) -> Seen:
    memory = process.memory_full_info().uss / MIB
    return Seen(time.monotonic(), memory, process.num_fds(), process.num_threads(), int(tasks.read_text() or 0))


def slope_mib_per_min(looks: list[Seen]) -> float:
    """The least-squares slope of memory."""
    points = [(look.at_s / 60, look.memory) for look in looks]
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    return float(sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points))


class Received:
    """How many bytes of payload the EBR has, counted as they come."""

    def __init__(self, store: Path) -> None:
        self._store, self._last, self.size_bytes = store, 0, 0

    def look(self) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self._store / 'ebr.db'}?mode=ro", uri=True, timeout=30.0)) as db:
            size, last = db.execute("SELECT total(length(payload)), max(seq) FROM entries WHERE seq > ?", (self._last,)).fetchone()
        self.size_bytes, self._last = self.size_bytes + int(size), last or self._last
        return self.size_bytes


def looked(process: psutil.Process, tasks: Path) -> list[Seen]:
    """Look each second, for a span."""
    looks, began_s = list[Seen](), time.monotonic()
    while time.monotonic() - began_s < SOAK_S:
        looks.append(seen(process, tasks))
        time.sleep(1.0)
    return looks


def filled(rig: Rig) -> None:
    """Wait until what is bounded is full, with a receiver that was away once on the way there."""
    received = Received(rig.path / "store")
    until(lambda: received.look() > FULL_BYTES / 4, deadline_s=1200, every_s=1.0)
    ended(rig.ebr)
    rig.start_ebr()
    until(lambda: received.look() > FULL_BYTES, deadline_s=1200, every_s=1.0)


@pytest.mark.bar("F14")
@pytest.mark.urs("URS-SEC-09")
@pytest.mark.timeout(3000 + int((MOST_SPANS + 1) * SOAK_S))
def test_a_high_rate_costs_no_memory_files_threads_or_tasks_once_what_is_bounded_is_full(
    tmp_path: Path, figure: Callable[[str, object], None]
) -> None:
    rig, tasks = Rig(tmp_path, tmp_path / "data", tags=200, every_s=0.05), tmp_path / "tasks"
    try:
        rig.start_plant()
        rig.start_ebr()
        rig.start_gateway(command=[sys.executable, "-c", COUNTED, str(tasks), str(TAIL_BYTES)])
        assert rig.gateway is not None
        gateway = psutil.Process(rig.gateway.pid)
        at_first, began_s = seen(gateway, tasks), time.monotonic()
        filled(rig)
        filled_s = time.monotonic()
        spans = [looked(gateway, tasks)]
        while slope_mib_per_min(spans[-1]) >= MOST_MIB_PER_MIN and len(spans) < MOST_SPANS:
            spans.append(looked(gateway, tasks))
        until(rig.caught_up)
        assert ended(rig.gateway) == 0, rig.said()
        verdict = rig.judged()
    finally:
        rig.stop()
    looks = spans[-1]
    first, last = looks[0], looks[-1]
    per_min = slope_mib_per_min(looks)
    per_value = per_min * MIB / 60 / (verdict.made / (time.monotonic() - began_s))
    figure(
        "s until full, spans, s of the last, values",
        f"{filled_s - began_s:.0f}, {len(spans)}, {last.at_s - first.at_s:.0f}, {verdict.made}",
    )
    figure("MiB at first, when full, at last", f"{at_first.memory:.0f}, {first.memory:.1f}, {last.memory:.1f}")
    figure("MiB per minute, bytes per value", f"{per_min:+.3f}, {per_value:+.3f}")
    figure(
        "first and last: files, threads, tasks", f"{first.files} {last.files}, {first.threads} {last.threads}, {first.tasks} {last.tasks}"
    )
    figure("record", verdict)
    assert verdict.good(), str(verdict)
    assert per_min < MOST_MIB_PER_MIN, f"memory still rises by {per_min:.2f} MiB a minute"
    assert per_value < MOST_BYTES_PER_VALUE
    assert last.files <= first.files + 3
    assert last.threads <= first.threads + 2
    assert last.tasks <= first.tasks + 3
