"""Computes the range in which each tag of a parameter and each set point moves in each step, from parameters.csv."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from config import Line, Parameter, Tag
from config.units.units import UnitError, conversion
from simulators.line.plan import Situation
from simulators.line.ranges import Range, range_of

OF_VALUES = {"value_at_start", "value_at_end", "first", "last", "min", "max", "mean", "time_above", "time_below", "time_outside", "trend"}
TOTALS = {"total", "delta"}
SET_POINT = re.compile(r"(_sp|[._]setpoint|\.sp|_set)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Band:
    """The limits and the target of a tag in a step."""

    low: float
    target: float
    high: float

    def around(self, offset: float) -> float:
        """Value at an offset: 0 is the target, 1 the upper limit, -1 the lower one."""
        return self.target + offset * (self.high - self.target if offset > 0 else self.target - self.low)


class Bands:
    """The bands of a line's tags by (tag, equipment, step)."""

    def __init__(self, line: Line) -> None:
        self._tags = {tag.tag: tag for tag in line.tags}
        self._equipment = {equipment.name for equipment in line.equipment}
        self._parameters = [row for row in line.parameters if row.tag in self._tags]
        self._targets = self._set_points()
        self._bands: dict[tuple[str, str, str | None], Band] = {}
        for parameter in self._parameters:
            band = self._band(parameter) if parameter.statistic in OF_VALUES else None
            if band is not None and parameter.tag:
                key = (parameter.tag, parameter.equipment, parameter.step)
                self._bands[key] = _narrower(self._bands[key], band) if key in self._bands else band
        self._totals = {row.tag for row in self._parameters if row.statistic in TOTALS}

    def home(self, tag: Tag) -> str | None:
        """Name the equipment whose steps move the tag; None if there is none."""
        named = [row.equipment for row in self._parameters if row.tag == tag.tag] + [
            name for name in tag.equipment if name in self._equipment
        ]
        return named[0] if named else None

    def follows(self, tag: Tag, home: str | None) -> bool:
        """True if the steps of the equipment move this tag."""
        return home is not None and (tag.tag in {key[0] for key in self._bands} or self._set_point_of(tag) is not None)

    def is_total(self, tag: Tag) -> bool:
        """True if the tag only rises, by the statistic of a parameter or by its name."""
        return tag.tag in self._totals or bool(re.search(r"total", tag.tag, re.IGNORECASE) and range_of(tag).counts)

    def is_set_point(self, tag: Tag) -> bool:
        """True if a limit names the tag, or its name suggests it."""
        return tag.tag in {name for name, _, _ in self._targets} or bool(SET_POINT.search(tag.tag))

    def gain(self, tag: Tag) -> Callable[[str], float]:
        """Make the function step -> gain of a totaliser in one run: the target if there is one, else a part of its range."""
        span = range_of(tag)
        usual = 1000.0 if span.counts else (span.high - span.low) / 50
        rows = {row.step: row for row in self._parameters if row.tag == tag.tag and row.statistic in TOTALS}
        limits = {step: self._middle(row) for step, row in rows.items()}
        return lambda step: (limits.get(step) or usual) if step in rows or not rows else 0.0

    def set_point(self, tag: Tag, home: str | None, situation: Situation) -> float:
        """Compute a set point: constant during a step; between steps it keeps the value of the batch's last step."""
        span = range_of(tag)
        step = (
            situation.run.step
            if situation.run
            else (situation.stay.runs[0 if situation.phase == "ready" else -1].step if situation.stay else None)
        )
        target = self._targets.get((tag.tag, home, step))
        if target is not None:
            return span.rounded(target)
        share = 0.4 + 0.2 * (sum(map(ord, tag.tag + (step or ""))) % 11) / 10
        return span.rounded(round(span.low + share * (span.high - span.low), 0 if span.high - span.low > 20 else 2))

    def of(self, tag: Tag, home: str | None, situation: Situation) -> Band | None:
        """Find the band in the present step; None if parameters.csv has none and the tag is no set point."""
        if home is None:
            return None
        for step in [*(reversed(situation.run.path) if situation.run else ()), None]:
            band = self._bands.get((tag.tag, home, step))
            if band is not None and (step is not None or situation.run):
                return band
        follows = self._set_point_of(tag)
        if follows is None or situation.run is None:
            return None
        span, target = range_of(tag), _converted(self.set_point(follows, home, situation), follows, tag)
        return Band(target - 0.02 * (span.high - span.low), target, target + 0.02 * (span.high - span.low))

    def rest(self, tag: Tag) -> Band:
        """Make the band outside of such steps: low if a set point drives the tag, else around the usual value."""
        span = range_of(tag)
        width = span.high - span.low
        targets = [band.target for key, band in self._bands.items() if key[0] == tag.tag]
        level = min(targets) if targets else span.low + 0.4 * width
        level = span.low + 0.02 * width if self._set_point_of(tag) is not None else level
        return Band(level - 0.03 * width, level, level + 0.03 * width)

    def limit(self, row: Parameter, text: str | None) -> float | None:
        """Convert a limit of parameters.csv, a number or another tag's, into the tag's unit; None if there is none."""
        return self._number(row, text)

    def _set_point_of(self, tag: Tag) -> Tag | None:
        return next((self._tags[tag.tag + end] for end in ("_sp", "_setpoint", ".sp", "Sp") if tag.tag + end in self._tags), None)

    def _set_points(self) -> dict[tuple[str, str | None, str | None], float]:
        """Compute the values of the tags that limits and targets name, in their own units: the target must lie between the limits."""
        result: dict[tuple[str, str | None, str | None], float] = {}
        for row in self._parameters:
            span = range_of(self._tags[row.tag or ""])
            middle = self._middle(row)
            middle = span.low + 0.5 * (span.high - span.low) if middle is None else middle
            for text, shift in ((row.target, 0.0), (row.low, -0.1), (row.high, 0.1), (row.alert_low, -0.07), (row.alert_high, 0.07)):
                if text and text[1:] in self._tags:
                    value = _converted(middle + shift * (span.high - span.low), self._tags[row.tag or ""], self._tags[text[1:]])
                    result.setdefault((text[1:], row.equipment, row.step), value)
        return result

    def _number(self, row: Parameter, text: str | None) -> float | None:
        """Convert a limit into the tag's unit."""
        if not text:
            return None
        if text.startswith("="):
            value = self._targets.get((text[1:], row.equipment, row.step)) if hasattr(self, "_targets") else None
            return None if value is None else _converted(value, self._tags[text[1:]], self._tags[row.tag or ""])
        tag = self._tags[row.tag or ""]
        if not row.unit or not tag.unit or row.unit == tag.unit or row.statistic.startswith("time_"):
            return float(text)
        try:
            scale, offset = conversion(row.unit, tag.unit)
        except UnitError:  # an integral or a count: its limits say nothing of the tag's own values
            return None
        return float(text) * float(scale) + float(offset)

    def _middle(self, row: Parameter) -> float | None:
        target, low, high = (self._number(row, text) for text in (row.target, row.low, row.high))
        return target if target is not None else (low + high) / 2 if low is not None and high is not None else None

    def _band(self, row: Parameter) -> Band | None:
        """Take the inner limits of a row around its target; a missing side is put a quarter of the range away."""
        span = range_of(self._tags[row.tag or ""])
        low = _first(self._number(row, row.alert_low), self._number(row, row.low))
        high = _first(self._number(row, row.alert_high), self._number(row, row.high))
        target = self._number(row, row.target)
        if low is None and high is None and target is None:
            return None
        return _completed(low, target, high, span)


def _converted(value: float, source: Tag, target: Tag) -> float:
    """Convert a value of one tag into the unit of another; what has no unit, or another dimension, stays."""
    try:
        scale, offset = conversion(source.unit or "", target.unit or "") if source.unit != target.unit else (1, 0)
    except UnitError:
        return value
    return value * float(scale) + float(offset)


def _completed(low: float | None, target: float | None, high: float | None, span: Range) -> Band:
    quarter = (span.high - span.low) / 4
    if low is None and high is None and target is not None:
        return Band(target - quarter / 5, target, target + quarter / 5)
    if low is None:
        low = (2 * target - high if target is not None else max(span.low, high - 2 * quarter)) if high is not None else span.low
    if high is None:
        high = 2 * target - low if target is not None and target > low else min(span.high, low + 2 * quarter)
    low, high = min(low, high), max(low, high)
    return Band(low, target if target is not None and low <= target <= high else (low + high) / 2, high)


def _narrower(one: Band, other: Band) -> Band:
    """Combine two bands into one that meets both, if there is one."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    if low >= high:
        return one
    target = next((band.target for band in (one, other) if low < band.target < high), (low + high) / 2)
    return Band(low, target, high)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None and math.isfinite(value)), None)
