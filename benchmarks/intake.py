"""What the way from `emit` to the disk costs: lists of 1,000 float64 readings through the intake into a real journal; prints a table."""

import asyncio
import dataclasses
import resource
import tempfile
import time
from pathlib import Path

import config
from buffer import Journal
from config import Line, Tag, examples
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.intake import Intake

TAGS, LISTS, RUNS = 1_000, 200, 3


def line_with_tags(folder: Path) -> Line:
    examples.copy("granulation-2", folder)
    line = config.load(folder)
    source = line.sources[0].name
    plain = tuple(Tag(tag=f"bench.t{n}", source=source, address=f"plc:i={n}", type="float64") for n in range(TAGS))
    return dataclasses.replace(line, tags=plain + line.tags)


async def one_run(folder: Path) -> tuple[float, float]:
    """Readings per second of wall time, CPU microseconds per reading (all threads)."""
    line = line_with_tags(folder)
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=10**10)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=print)
    intake.begin()
    port = intake.ports[line.sources[0].name]
    now = time.time_ns() // 100
    lists = [[(tag, tag * 0.37 + n, 0, now + n * 1_000 + tag, now + n) for tag in range(TAGS)] for n in range(20)]
    wall, cpu = time.perf_counter(), time.process_time()
    for n in range(LISTS):
        await port.room()
        last = port(lists[n % 20], received_ns=time.monotonic_ns(), observed_ticks=now + n)
    await last
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await asyncio.to_thread(journal.close)
    return LISTS * TAGS / wall, cpu / LISTS / TAGS * 1e6


def main() -> None:
    print(f"{'readings/s':>12} {'CPU us/reading':>15} {'peak MB':>8}")
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            rate, cpu_us = asyncio.run(one_run(Path(folder) / "line"))
        print(f"{rate:12,.0f} {cpu_us:15.2f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f}")


if __name__ == "__main__":
    main()
