"""The cost of the fold: 1,000 tags of two sources at 10 Hz, 5 % of them of interest to running steps.

python benchmarks/fold.py [seconds of plant time, default 120]
"""

import resource
import sys
import time
from pathlib import Path

from config import Equipment, Line, Parameter, Source, Step, Tag
from config.sections import BufferSection, ClockSection, LineSection
from gateway.context import Fold
from gateway.entries.fold_input import ReadingsInput
from gateway.entries.ticks import TICKS_PER_S

T0 = 1_795_330_000 * TICKS_PER_S
TAGS, RATE_HZ, LIST = 500, 10, 100
STATISTICS = ("mean", "min", "max", "stdev", "integral", "value_at_end", "time_above")


def line() -> Line:
    names = ("a", "b")
    tags = tuple(Tag(f"{s}.t{i}", s, "x", "float64", equipment=(f"unit-{s}",)) for s in names for i in range(TAGS))
    steps = tuple(Step(f"STEP_{n}", f"unit-{s}", "phase", f"{s}.t0", str(n), occurs="0..n") for s in names for n in range(2))
    parameters = tuple(
        Parameter(f"p{i}", f"unit-{s}", step.step, STATISTICS[i % len(STATISTICS)], f"{s}.t{i}", high="0.5", include="running")
        for s in names
        for step in steps
        if step.equipment == f"unit-{s}"
        for i in range(1, TAGS // 20)
    )
    return Line(
        folder=Path(),
        line=LineSection(site="bench", name="fold", timezone="UTC"),
        clock=ClockSection(),
        buffer=BufferSection(),
        web=None,
        sources=tuple(Source(name=s, driver="opcua", endpoint="x") for s in names),
        equipment=tuple(Equipment(name=f"unit-{s}", state=f"{s}.t499") for s in names),
        routes=(),
        uplinks=(),
        tags=tags,
        steps=steps,
        parameters=parameters,
        codes={},
        lots=None,
        files={},
        sha256="0" * 64,
    )


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    fold, seq, spent, slowest, readings = Fold(line()), 0, 0.0, 0.0, 0
    for tick in range(seconds * RATE_HZ):
        at = T0 + tick * TICKS_PER_S // RATE_HZ
        for source in ("a", "b"):
            for first in range(0, TAGS, LIST):
                seen = [(i, float((tick * 7 + i) % 13) / 13, 0, at + i, "change") for i in range(first, first + LIST)]
                if first == 0:
                    seen[0] = (0, tick // 300 % 3, 0, at, "change")
                if first + LIST == TAGS:
                    seen[-1] = (TAGS - 1, "Running", 0, at, "change")
                seq += 1
                begun = time.perf_counter()
                seq += len(fold.decide(ReadingsInput(seq, at + TICKS_PER_S // 100, source, seen)))
                fold.contexts(source)
                took = time.perf_counter() - begun
                spent, slowest, readings = spent + took, max(slowest, took), readings + LIST
    begun = time.perf_counter()
    dumped = fold.dump()
    dump_s = time.perf_counter() - begun
    begun = time.perf_counter()
    Fold.load(fold.plan.line, dumped)
    load_s = time.perf_counter() - begun
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"readings                     {readings:>12,}   ({seconds} s of plant time at {2 * TAGS * RATE_HZ:,}/s, 5 % of interest)")
    print(f"CPU per million readings     {spent / readings * 1e6:>12.2f} s")
    print(f"share of a core at 20,000/s  {spent / readings * 20_000:>12.1%}")
    print(f"slowest list of {LIST}          {slowest * 1e3:>12.2f} ms")
    print(f"state: {len(dumped) / 1e6:.2f} MB, dump {dump_s * 1e3:.1f} ms, load {load_s * 1e3:.1f} ms; peak memory {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
