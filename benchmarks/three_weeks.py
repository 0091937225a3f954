"""A batch of three weeks in a real journal, the gateway gone in its last hour, and how long its next start takes.

python benchmarks/three_weeks.py make FOLDER [days, default 21]     write the journal and end as a killed process does
python benchmarks/three_weeks.py start FOLDER                       open it, rebuild the fold, print what it took

The line is the bundled bioreactor: 200 tags. All analog tags change each minute, in the last hour each second. The fold's state was last
stored one hour before the end (the gateway stores it each minute), so that the whole dense hour is folded again.
"""

import os
import random
import resource
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from buffer import Journal
from config import Line, examples, load
from gateway.context import Fold
from gateway.context.replay import replay
from gateway.entries.bodies import event_body, readings_body, table
from gateway.entries.fold_input import EventInput, ReadingsInput
from gateway.entries.ticks import TICKS_PER_S, rfc3339

T0 = 1_795_330_000 * TICKS_PER_S
HOUR_S, DAY_S = 3_600, 86_400
SOURCE, TAGSET = "dcs", "0" * 16
LIMITS = {"retain_s": 400 * DAY_S, "max_bytes": 40_000_000_000}


def signals(at_s: int) -> dict[str, Any]:
    """What tells the batch and its steps, at seconds since the batch was ordered."""
    phases = ((0, 8, "fill", 10), (8, 12, "sterilise", 15), (12, 14, "inoculate", 20), (14, 134, "grow", 21), (134, 10_000, "produce", 30))
    _, _, phase, number = next(p for p in phases if p[0] * HOUR_S <= at_s < p[1] * HOUR_S)
    bits = {f"br301.ph_{name}": name == phase for _, _, name, _ in phases}
    feeding = phase == "produce" and at_s % (6 * HOUR_S) < HOUR_S // 2
    told = {"br301.batch_id": "B2026-0417", "br301.op_no": number, "br301.state": 1, "br301.activity": "production"}
    return {**told, **bits, "br301.ph_feed": feeding, "br301.feed_no": at_s // (6 * HOUR_S)}


class Writer:
    """A gateway's way in, without its sources: fold, encode, append."""

    def __init__(self, line: Line, folder: Path) -> None:
        self.line, self.fold = line, Fold(line)
        self.journal = Journal.open(folder / "data", line.gateway, **LIMITS)
        self.head = {"clock": {"status": "synchronised", "bound_s": 0.001, "boot": "0", "monotonic_s": 0.0}}
        self.tail = {"config": {"version": 1, "sha256": line.sha256}, "environment": "development"}
        self.names = [tag.tag for tag in line.tags_of(SOURCE)]
        self.analog = [n for n, tag in enumerate(line.tags_of(SOURCE)) if tag.type.startswith("float")]
        self.readings = 0
        self.appended: Future[Any]

    def event(self, ticks: int, event: dict[str, Any]) -> None:
        seq = self.journal.next_seq
        head = {"time": rfc3339(ticks), **self.head, **self.tail}
        self._append([event_body(head, event)], self.fold.decide(EventInput(seq, ticks, event)), head)

    def see(self, ticks: int, rows: list[tuple[int, Any]], *, state: bool = False) -> None:
        seq, at = self.journal.next_seq, ticks - TICKS_PER_S // 100
        made = self.fold.decide(ReadingsInput(seq, ticks, SOURCE, [(n, v, 0, at, "change") for n, v in rows]))
        source = {"source": SOURCE, "source_clock": {"authority": "device", "offset_s": 0.0, "bound_s": 0.001}}
        head = {"time": rfc3339(ticks), **self.head, **source, **self.tail}
        columns = table(tuple(zip(*[(n, v, None, 0, "change", at, at) for n, v in rows], strict=True)), None, ticks)
        self.readings += len(rows)
        self._append([readings_body(head, self.fold.contexts(SOURCE), TAGSET, columns)], made, head, state=state)

    def _append(self, bodies: list[Any], made: list[dict[str, Any]], head: dict[str, Any], *, state: bool = False) -> None:
        plain = {k: v for k, v in head.items() if not k.startswith("source")}
        bodies += [event_body(plain, event) for event in made]
        self.appended = self.journal.append(bodies, state=self.fold.dump() if state else None)
        if state or made:
            self.appended.result()


def make(folder: Path, days: float) -> None:
    """Write the journal; never returns."""
    examples.copy("bioreactor-3", folder / "line")
    line = load(folder / "line")
    writer, draw, before = Writer(line, folder), random.Random(1), dict[str, Any]()
    rows = [{"tag": tag.tag, "time_authority": tag.time_authority} for tag in line.tags_of(SOURCE)]
    writer.event(T0, {"type": "tagset", "tagset": TAGSET, "source": SOURCE, "first": 0, "of": len(rows), "tags": rows})
    order = {"unit_id": "BR-301", "order_no": "4500", "batch_no": "B2026-0417", "product": "P-1", "recipe": "MBR-301", "version": "1"}
    told = {"key": "1", "change": "new", "time": rfc3339(T0), "text": None, "row": order}
    writer.event(T0 + TICKS_PER_S, {"type": "message", "source": "mes", "name": "orders", "rows": [told]})
    end_s = round(days * DAY_S)
    dense_s = end_s - HOUR_S
    for at_s in [*range(10, dense_s, 60), *range(dense_s, end_s)]:
        now = signals(at_s)
        changed = [(writer.names.index(n), v) for n, v in now.items() if n in writer.names and before.get(n) != v]
        before = now
        analog = [(n, round(draw.uniform(0.0, 100.0), 3)) for n in writer.analog]
        writer.see(T0 + at_s * TICKS_PER_S, changed + analog, state=at_s == dense_s or (at_s - 10) % DAY_S == 0)
        if (at_s - 10) % (7 * DAY_S) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"day {at_s // DAY_S:2}: state {len(writer.fold.dump()) / 1e6:.2f} MB, peak memory {peak:.0f} MiB", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"day {days:g}: state {len(writer.fold.dump()) / 1e6:.2f} MB, peak memory {peak:.0f} MiB")
    writer.event(T0 + end_s * TICKS_PER_S, {"type": "heartbeat", "observed": {}})
    writer.appended.result()  # all that is counted is there when the process ends
    print(f"{writer.readings:,} readings, {writer.journal.last[1]:,} entries")
    runs = len(writer.fold.state.runs)
    print(f"{runs} runs alive; killed", flush=True)
    os._exit(9)


def start(folder: Path) -> None:
    """What a start after the kill takes."""
    line = load(folder / "line")
    begun = time.perf_counter()
    journal = Journal.open(folder / "data", line.gateway, **LIMITS)
    opened_s = time.perf_counter() - begun
    fold = replay(line, journal)
    took_s = time.perf_counter() - begun
    stored = journal.state()
    assert stored is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps = fold.context("bioreactor")["steps"]
    again = journal.last[1] - stored[0][1]
    folded = f"journal {opened_s:.2f} s, then {again:,} entries folded again"
    print(f"start {took_s:.2f} s ({folded}), peak {peak:.0f} MiB")
    print(f"batch {fold.context('bioreactor')['batch']}, steps {steps}")
    journal.close()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 21.0)
    start(Path(sys.argv[2]))
