"""Whether a reading costs the same whatever is large: tags, length of a list, size of the journal, number of sources. CPU us per reading.

Changes of doubles, by column, go through the intake into a real journal; of all threads of this process, without drivers and uplinks. A
figure that grows along a row is a cost that should not be there; a short list costs more, because what a list costs is divided by less.
"""

import asyncio
import dataclasses
import tempfile
import time
from pathlib import Path

import config
from buffer import Journal
from config import Line, Tag, examples
from drivers.columns import Columns
from gateway.clock import system_clock
from gateway.context import Fold
from gateway.intake import Intake

READINGS = 200_000


def line_of(folder: Path, tags: int, sources: int) -> Line:
    examples.copy("granulation-2", folder)
    line = config.load(folder)
    first = line.sources[0]
    more = tuple(first.model_copy(update={"name": f"bench-{n}"}) for n in range(sources))
    each = tags // sources
    of = tuple(
        Tag(tag=f"b{s}.t{n}", source=f"bench-{s}", address=f"plc:i={n}", type="float64") for s in range(sources) for n in range(each)
    )
    return dataclasses.replace(line, sources=line.sources + more, tags=of + line.tags)


async def cost_us(folder: Path, tags: int, length: int, sources: int, entries_before: int = 0) -> float:
    """CPU microseconds per reading."""
    line = line_of(folder, tags, sources)
    journal = Journal.open(line.data, line.gateway, retain_s=0, max_bytes=10**11)
    intake = Intake(line, journal, system_clock(line.clock), Fold(line), on_fault=print)
    intake.begin()
    ports = [intake.ports[f"bench-{s}"] for s in range(sources)]
    each, now = tags // sources, time.time_ns() // 100
    layouts = [tuple(range(at, min(at + length, each))) for at in range(0, each, length)]
    lists = [Columns(t, [n * 0.37 for n in t], stamps := [now + 7 * n for n in t], stamps) for t in layouts]

    async def some(readings: int) -> None:
        done, number, last = 0, 0, None
        while done < readings:
            port, part = ports[number % sources], lists[number // sources % len(lists)]
            await port.room()
            last = port(part, received_ns=time.monotonic_ns(), alive=part.tags)
            done, number = done + len(part), number + 1
        if last is not None:
            await last

    await some(entries_before * length + 2 * tags)
    begun = time.process_time()
    await some(READINGS)
    spent = time.process_time() - begun
    await asyncio.to_thread(journal.close)
    return spent / READINGS * 1e6


def row(name: str, cases: list[tuple[str, dict[str, int]]]) -> None:
    print(f"{name:22}", end="")
    for label, case in cases:
        with tempfile.TemporaryDirectory() as folder:
            figure = asyncio.run(cost_us(Path(folder) / "line", **{"tags": 1_000, "length": 1_000, "sources": 1, **case}))
        print(f"{label:>12}{figure:6.2f}", end="", flush=True)
    print()


def main() -> None:
    row("tags", [(f"{n:,}", {"tags": n, "length": min(n, 1_000)}) for n in (100, 1_000, 10_000, 100_000)])
    row("sources, 10,000 tags", [(f"{n:,}", {"tags": 10_000, "sources": n, "length": 100}) for n in (1, 10, 100)])
    row("readings in a list", [(f"{n:,}", {"length": n}) for n in (10, 100, 1_000)])
    row("entries in the journal", [(f"{n:,}", {"length": 100, "entries_before": n}) for n in (0, 5_000, 20_000)])


if __name__ == "__main__":
    main()
