"""How often detectors find a fault of a kind and a size, and how often they tell of none: seeded faults in signals with their own truth.

Each fault is played in runs of five minutes of a tag that is read once a second, as a process would move it: it wanders within a band, with
noise. The detectors are those of the gateway, with the limits that are given here; nothing of the signal knows of them. Run:
`python -m gateway.validation.oq.detection_rates` writes the table of docs/detectors.md, the same each time: the seeds are fixed.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from config import Source, Tag
from config.detectors import Limits, UnitJump
from gateway.intake.detectors import Detectors, Taking
from gateway.intake.readings import Instants

S, BEGIN = 10_000_000, 17_953_300_000_000_000
RUN_S, AT_S, RUNS, CLEAN_RUNS = 300, 150, 40, 200
BAD = 0x808B0000
LIMITS = Limits(
    flat_after_s=30.0,
    stamp_after_s=20.0,
    zero_after_s=5.0,
    max_rate_per_s=5.0,
    unit_jumps=(
        *(UnitJump(name, Fraction(name)) for name in ("1.8", "10", "100", "1000")),
        UnitJump("[degF]", Fraction(9, 5), Fraction(32)),
    ),
    unit_jump_min=2.0,
    late_after_s=2.0,
    max_late_share=0.1,
    max_duplicate_share=0.1,
    min_good_share=0.9,
    share_over_s=60.0,
)
COUNTER = Limits(counter_after_s=30.0)


class Reading(NamedTuple):
    """One reading as it arrives. stamp, at: seconds of the run; status: as its device says."""

    at: float
    stamp: float
    value: float | None
    status: int = 0


Fault = Callable[[Reading, Reading, float, random.Random], Sequence[Reading]]
"""(reading, the last one before the fault, size, random) -> what arrives in its place."""


class Kind(NamedTuple):
    """A kind of fault. code: of the finding that it must have. sizes, limit: in words of `unit`; None: the size has no limit."""

    name: str
    code: str
    sizes: tuple[float, ...]
    unit: str
    limit: float | None
    fault: Fault
    limits: Limits = LIMITS


def _while(fault: Fault) -> Fault:
    """Have a fault last for its size, in seconds."""
    return lambda one, last, size, rng: fault(one, last, size, rng) if one.at < AT_S + size else (one,)


def _some(fault: Fault) -> Fault:
    """Have a fault befall a share of the readings."""
    return lambda one, last, size, rng: fault(one, last, size, rng) if rng.random() < size else (one,)


KINDS = (
    Kind("flat line", "flat-line", (15, 27, 33, 60), "s", 30.0, _while(lambda one, last, _s, _r: (one._replace(value=last.value),))),
    Kind(
        "stuck counter",
        "counter-stuck",
        (15, 27, 33, 60),
        "s",
        30.0,
        _while(lambda one, last, _s, _r: (one._replace(value=last.value),)),
        COUNTER,
    ),
    Kind("zero fill", "zero-fill", (3, 4.5, 6, 15), "s", 5.0, _while(lambda one, _l, _s, _r: (one._replace(value=0.0),))),
    Kind("frozen stamp", "stamp-frozen", (10, 18, 23, 40), "s", 20.0, _while(lambda one, last, _s, _r: (one._replace(stamp=last.stamp),))),
    Kind(
        "rate of change",
        "rate-exceeded",
        (2, 4, 6, 10, 50),
        "Cel/s",
        5.0,
        lambda one, _l, size, _r: (_moved(one, size * min(one.at - AT_S + 1, 1)),),
    ),
    *(
        Kind(f"jump by the factor {factor:g}", "unit-jump", (factor,), "", None, lambda one, _l, size, _r: (_times(one, size),))
        for factor in (1.8, 10.0, 100.0, 1000.0)
    ),
    Kind("jump to [degF]", "unit-jump", (1.8,), "", None, lambda one, _l, size, _r: (_moved(_times(one, size), 32.0),)),
    Kind(
        "late readings",
        "late-share",
        (0.05, 0.09, 0.12, 0.2, 0.5),
        "of all",
        0.1,
        _some(lambda one, _l, _s, _r: (one._replace(stamp=one.stamp - 3.0),)),
    ),
    Kind("doubled readings", "duplicate-share", (0.05, 0.09, 0.12, 0.2, 0.5), "of all", 0.1, _some(lambda one, _l, _s, _r: (one, one))),
    Kind(
        "Bad readings",
        "quality-share",
        (0.05, 0.09, 0.12, 0.2, 0.5),
        "of all",
        0.1,
        _some(lambda one, _l, _s, _r: (one._replace(value=None, status=BAD),)),
    ),
)


class Rate(NamedTuple):
    """What became of the runs of one kind and size."""

    kind: Kind
    size: float
    runs: int
    found: int
    besides: Counter[str]
    """Code -> runs in which it was told too, from the fault on: true as a rule, as the step to a zero is fast."""
    false: int
    """Findings before the fault."""


def rates(runs: int = RUNS, seed: int = 1) -> Iterator[Rate]:
    """Play each kind of fault in each size."""
    for kind in KINDS:
        for size in kind.sizes:
            told = [played(kind, size, random.Random(f"{seed}/{kind.name}/{size}/{number}")) for number in range(runs)]  # noqa: S311 - a seed
            found = sum(any(code == kind.code and at >= AT_S for code, at in each) for each in told)
            besides = Counter(code for each in told for code in {code for code, at in each if at >= AT_S} - {kind.code})
            yield Rate(kind, size, runs, found, besides, sum(at < AT_S for each in told for _, at in each))


def false_alarms(runs: int = CLEAN_RUNS, seed: int = 2) -> tuple[int, int]:
    """Play clean runs of both signals; return how many readings came, and how many findings."""
    told = [played(None, 0.0, random.Random(f"{seed}/{number}"), limits) for number in range(runs) for limits in (LIMITS, COUNTER)]  # noqa: S311
    return 2 * runs * RUN_S, sum(map(len, told))


def played(kind: Kind | None, size: float, rng: random.Random, limits: Limits = LIMITS) -> list[tuple[str, float]]:
    """Play one run; return what was found, and at which second. kind: None for no fault."""
    limits = limits if kind is None else kind.limits
    its = Detectors(Source(name="plc", driver="opcua", endpoint="opc.tcp://x", rate_ms=1000, time_authority="device"), [_tag(limits)])
    told: list[tuple[str, float]] = []
    through, last = BEGIN, Reading(0.0, 0.0, 0.0)
    for one in _signal(rng, counts=limits is COUNTER):
        arrived = (one,) if kind is None or one.at < AT_S else kind.fault(one, last, size, rng)
        last = one if one.at < AT_S else last
        for each in arrived:
            now, seen = BEGIN + round(each.at * S), through
            taking = Taking("change", Instants(None, now), trusts=True, offset=0, through=lambda _, seen=seen: seen)  # type: ignore[misc]
            row = (0, each.value, None, each.status, BEGIN + round(each.stamp * S))
            told += [(found.code, each.at) for found in its.by_row([row], taking) if found.severity != "info"]
            through = now
        looked = its.look(through, lambda _, until=through: until)  # type: ignore[misc]
        told += [(found.code, one.at) for found in looked if found.severity != "info"]
    return told


def _tag(limits: Limits) -> Tag:
    return Tag(tag="t", source="plc", address="a", type="float64", unit="Cel", eu_low=Decimal(0), eu_high=Decimal(200), limits=limits)


def _signal(rng: random.Random, *, counts: bool) -> Iterator[Reading]:
    """Give a reading a second: a temperature that wanders between 20 and 60 Cel by up to 1 Cel/s with noise of 0.1, or a counter."""
    value, count = rng.uniform(25.0, 55.0), 0.0
    for second in range(1, RUN_S + 1):
        value = min(max(value + rng.uniform(-1.0, 1.0), 20.0), 60.0)
        count += rng.choice((0.0, 1.0, 1.0, 2.0))
        at = second + rng.uniform(0.0, 0.2)
        yield Reading(at, second, count if counts else round(value + rng.gauss(0.0, 0.1), 3))


def _times(one: Reading, factor: float) -> Reading:
    return one._replace(value=None if one.value is None else one.value * factor)


def _moved(one: Reading, by: float) -> Reading:
    return one._replace(value=None if one.value is None else one.value + by)


def table(runs: int = RUNS, clean_runs: int = CLEAN_RUNS) -> str:
    """Write the table."""
    lines = [
        "| fault | size | of the limit | found | not found | told besides (runs) | false alarms before it |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(rate) for rate in rates(runs)]
    readings, told = false_alarms(clean_runs)
    return "\n".join([*lines, f"| none: clean data | {readings:,} readings | | | | | {told} |"]) + "\n"


def _row(rate: Rate) -> str:
    kind = rate.kind
    size = f"{rate.size:g} {kind.unit}".strip() if kind.limit is not None else ""
    of_limit = f"{rate.size / kind.limit:.2g}" if kind.limit is not None else ""
    besides = ", ".join(f"`{code}` {count}" for code, count in sorted(rate.besides.items()))
    return f"| {kind.name} | {size} | {of_limit} | {rate.found} | {rate.runs - rate.found} | {besides} | {rate.false} |"


if __name__ == "__main__":
    sys.stdout.write(table())
