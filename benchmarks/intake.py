"""What the way from `emit` to the disk costs: lists of 1,000 readings through the intake into a real journal; prints a table.

Kinds of tags: float64, plain and with the instrument's range; 16-bit integers in tenths, plain, with a range, with codes of no value too.
"""

import asyncio
import dataclasses
import resource
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import config
from buffer import Journal
from config import Line, Tag, examples
from config.grammars.raw_codes import parse
from config.units.scaling import scaling_of
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.intake import Intake

TAGS, LISTS, RUNS = 1_000, 200, 3
TENTHS = scaling_of(Fraction(1, 10), Fraction(0), is_integer=True)
RANGE = {"eu_low": Decimal(-10), "eu_high": Decimal(3_000)}
KINDS: dict[str, dict[str, Any]] = {
    "float64": {"type": "float64"},
    "float64, range": {"type": "float64", **RANGE},
    "int16, tenths": {"type": "int16", "scaling": TENTHS},
    "int16, tenths, range": {"type": "int16", "scaling": TENTHS, **RANGE},
    "int16, tenths, range, codes": {"type": "int16", "scaling": TENTHS, **RANGE, "not_available": parse("0x8000;32765..32767", "int16")},
}


def line_with_tags(folder: Path, kind: str) -> Line:
    examples.copy("granulation-2", folder)
    line = config.load(folder)
    source = line.sources[0].name
    tags = tuple(Tag(tag=f"bench.t{n}", source=source, address=f"plc:i={n}", **KINDS[kind]) for n in range(TAGS))
    return dataclasses.replace(line, tags=tags + line.tags)


async def one_run(folder: Path, kind: str) -> tuple[float, float]:
    """Readings per second of wall time, CPU microseconds per reading (all threads)."""
    line = line_with_tags(folder, kind)
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=10**10)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=print)
    intake.begin()
    port = intake.ports[line.sources[0].name]
    now = time.time_ns() // 100
    step: Callable[[float], float] = int if kind.startswith("int") else float
    lists = [[(tag, step(tag * 0.37 + n), 0, now + n * 1_000 + tag, now + n) for tag in range(TAGS)] for n in range(20)]
    wall, cpu = time.perf_counter(), time.process_time()
    for n in range(LISTS):
        await port.room()
        last = port(lists[n % 20], received_ns=time.monotonic_ns(), observed_ticks=now + n)
    await last
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await asyncio.to_thread(journal.close)
    return LISTS * TAGS / wall, cpu / LISTS / TAGS * 1e6


def main() -> None:
    print(f"{'tags':30} {'readings/s':>12} {'CPU us/reading':>15} {'peak MB':>8}")
    for kind in KINDS:
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                rate, cpu_us = asyncio.run(one_run(Path(folder) / "line", kind))
            print(f"{kind:30} {rate:12,.0f} {cpu_us:15.2f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f}")


if __name__ == "__main__":
    main()
