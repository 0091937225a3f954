"""Moves tags at given rates, for a test of load: each change is one that a client must see, and how many there were stands in the log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from config import Line, Tag
from simulators.line.bands import Bands
from simulators.line.ranges import BITS, DIGITS, range_of
from simulators.line.signals import roles
from simulators.line.weighing import Weighings

NUMBERS = {*BITS, *DIGITS, "float32", "float64"}
LEAST_S = 0.01
"""A plant is not moved more often, whatever is asked: what was reached is counted."""


class Load(NamedTuple):
    """A load. speed: how fast the plant's time goes. rates: changes per second of that time, by tag; others move as they would."""

    speed: float = 1.0
    rates: Mapping[str, float] = {}


@dataclass
class Driven:
    """One tag that is moved at a rate. every_s: of the plant's time. step: the least difference that no deadband and no rounding hides."""

    every_s: float
    step: float
    low: float
    high: float
    fit: Callable[[Any], Any]
    _turn: int = 0

    def is_due(self, at_s: float) -> bool:
        """Return whether the tag is to be moved at this instant; once for each of its turns."""
        turn = int(at_s / self.every_s + 1e-6)
        due, self._turn = turn != self._turn, turn
        return due

    def moved(self, natural: Any, last: Any) -> Any:
        """Return the next value: the natural one, or where that is too near the last one, one step towards it."""
        if last is None:
            return natural
        if isinstance(natural, bool):
            return not last
        if abs(natural - last) >= self.step:
            return natural
        up = natural >= last if self.low <= last - self.step and last + self.step <= self.high else last + self.step <= self.high
        return self.fit(last + self.step if up else last - self.step)


def movable(line: Line, seed: int = 1) -> dict[str, Tag]:
    """Return the tags that can be moved at a rate: numbers and switches that tell nothing of batches, steps, alarms or set points."""
    drivers = {source.name: source.driver for source in line.sources}
    kept, bands = roles(line).keys() | Weighings(line, seed).signals().keys() | {row.tag for row in line.alarms}, Bands(line)
    return {
        tag.tag: tag
        for tag in line.tags
        if drivers[tag.source] in ("opcua", "modbus")
        and tag.tag not in kept
        and tag.codes is None
        and (tag.type == "bool" or (tag.type in NUMBERS and not bands.is_total(tag) and not bands.is_set_point(tag) and _has_room(tag)))
    }


def driven(line: Line, load: Load, fits: Mapping[str, Callable[[Any], Any]], seed: int = 1) -> dict[str, Driven]:
    """Make what moves each tag of the load.

    A polled tag that changes with nearly every poll is moved twice as often, so that each poll has another value whenever it comes.
    """
    sources = {source.name: source for source in line.sources}
    result = {}
    for name, tag in movable(line, seed).items():
        rate = load.rates.get(name, 0.0)
        if rate <= 0:
            continue
        source = sources[tag.source]
        polls_s = (source.rate_ms if tag.rate_ms is None else tag.rate_ms) / 1000 * load.speed
        often = 2 if source.driver != "opcua" and tag.type != "bool" and rate * polls_s > 0.5 else 1
        span = range_of(tag)
        result[name] = Driven(max(1 / (rate * often), LEAST_S), step_of(tag), span.low, span.high, fits[name])
    return result


def step_of(tag: Tag) -> float:
    """Return the least difference of two values that are stored as two: beyond deadband, and digit, of the tag."""
    if tag.type == "bool":
        return 0.0
    span = range_of(tag)
    whole = 0.0 if tag.type.startswith("float") else abs(_raw(tag, 1) - _raw(tag, 0))
    return float(max(1.5 * _deadband(tag), whole if tag.scaling is None else 1.5 * whole, 10.0**-span.decimals))


def _has_room(tag: Tag) -> bool:
    span = range_of(tag)
    return 2 * step_of(tag) <= span.high - span.low


def _raw(tag: Tag, raw: int) -> float:
    return float(raw) if tag.scaling is None else float(raw * tag.scaling.scale + tag.scaling.offset)


def _deadband(tag: Tag) -> float:
    if tag.deadband is None:
        return 0.0
    band = float(tag.deadband.rstrip("%"))
    return band / 100 * float((tag.eu_high or 0) - (tag.eu_low or 0)) if tag.deadband.endswith("%") else band
