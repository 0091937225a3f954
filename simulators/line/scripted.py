"""Faults of a simulated line from a seed: the same line and the same seed give the same faults at the same seconds. Pure."""

from collections.abc import Iterator
from random import Random
from typing import Any

from config import Line, Source
from simulators.line.orders import Script

EVERY_S = 7.0
"""Between two faults, on an average."""
MODBUS = ("exception", "drop", "close", "short", "long", "bad-count", "truncated", "wrong-unit", "wrong-function", "garbage-after")
SCALE = ("busy", "damaged", "partial", "noise", "syntax-error", "overload")
BAD_SENSOR, UNCERTAIN = 0x808C0000, 0x40000000


def scripted(line: Line, seed: int, until_s: float) -> Script:
    """Make the faults of a line's devices until this second. A source without faults of its own stops and starts."""
    random, at_s = Random(f"faults {seed} {line.gateway}"), 0.0
    script: list[tuple[float, dict[str, Any]]] = []
    if not line.sources:
        return script
    while (at_s := at_s + random.uniform(0.5, 2 * EVERY_S)) < until_s:
        script += _one(line, random.choice(line.sources), random, round(at_s, 1))
    return sorted(script, key=lambda item: item[0])


def _one(line: Line, source: Source, random: Random, at_s: float) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the orders of one fault, with the one that ends it."""
    of = {"source": source.name}
    if source.driver == "modbus" and random.random() < 0.7:
        yield at_s, {"do": "fault", **of, "kind": random.choice(MODBUS), "times": random.randint(1, 3)}
    elif source.driver == "serial" and random.random() < 0.7:
        yield at_s, {"do": "fault", **of, "kind": random.choice(SCALE), "times": random.randint(1, 3)}
    elif source.driver == "opcua" and random.random() < 0.7 and line.tags_of(source.name):
        tag = random.choice(line.tags_of(source.name)).tag
        yield at_s, {"do": "status", **of, "tag": tag, "status": random.choice((BAD_SENSOR, UNCERTAIN))}
    elif source.driver in ("opcua", "modbus", "serial"):
        yield at_s, {"do": "stop", **of}
        yield round(at_s + random.uniform(1.0, 4.0), 1), {"do": "start", **of}
    else:
        yield at_s, {"do": "again", **of}
