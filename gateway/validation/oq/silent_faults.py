"""Which seeded faults show the detectors of a tag at work, by the tag's own limits. Pure.

A device is ordered to hold values; each fault is a tag that goes from `before` to `during`, which must be found, and to `after`, which ends
it. What no order can bring about is named with its reason (`CanNotBe`), and is then not checked.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from config import CodeTable, Source, Tag
from config.detectors import Limits, UnitJump
from gateway.intake.detectors.words import COUNTER, FLAT, JUMP, RATE, STAMP, ZERO
from gateway.intake.poll_filter import deadband_of

LONGEST_S = 300.0
"""A limit that takes longer to be reached is not waited for."""
ORDER_S = 1.5
"""Two orders are followed by values that lie at most so far apart, beside the periods of asking."""
WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bcd16", "bcd32")
QUALITY = "quality-share"
CODES = frozenset({FLAT, COUNTER, ZERO, STAMP, RATE, JUMP, QUALITY, "late-share", "duplicate-share"})
"""Of all that detectors find."""
Way = Literal["hold", "seesaw", "jump", "stop-clock", "bad"]


class Seeded(NamedTuple):
    """A fault of a tag.

    way: hold `during`; alternate between `before` and `during`, until it is told or (`jump`) until its end too, for a jump back ends
    one that stood and is none; the same under a clock that stands; Bad values.
    wait_s: after so long it must have been told. ends_s: after so long its end must have been told; None: nobody waits for it.
    """

    tag: Tag
    code: str
    action: str
    way: Way
    before: Any
    during: Any
    after: Any
    wait_s: float
    ends_s: float | None = 0.0


class CanNotBe(NamedTuple):
    """A limit that no order shows at work, and why."""

    tag: Tag
    code: str
    why: str


Fault = Seeded | CanNotBe


def faults_of(tag: Tag, source: Source, codes: CodeTable | None) -> Iterator[Fault]:
    """List the faults that show each limit of a tag at work, or why none does."""
    limits, values = tag.limits or Limits(), values_of(tag, codes)
    for code in (FLAT, COUNTER):
        if limit_s := standing_limit_s(tag, code):
            yield _standing(tag, code, limit_s, values)
    if limits.zero_after_s:
        yield _zero(tag, limits.zero_after_s)
    if limits.stamp_after_s:
        yield _stamp(tag, source, limits.stamp_after_s, values)
    if limits.max_rate_per_s:
        yield _rate(tag, source, limits.max_rate_per_s)
    for jump in limits.unit_jumps:
        yield _jump(tag, jump, limits.unit_jump_min or 0.0)
    if limits.min_good_share:
        yield _quality(tag, source, limits.min_good_share, limits.share_over_s, values)
    for code, limit in (("late-share", limits.max_late_share), ("duplicate-share", limits.max_duplicate_share)):
        if limit:
            yield CanNotBe(tag, code, "no simulated device sends late or twice; docs/detectors.md has how often it is found")


def standing_limit_s(tag: Tag, code: str) -> float | None:
    """Return for how long a tag may stand at one value before the finding of this code; None: for ever."""
    limits = tag.limits or Limits()
    return {FLAT: limits.flat_after_s, COUNTER: limits.counter_after_s}[code]


Values = tuple[Any, Any, Any]


def values_of(tag: Tag, codes: CodeTable | None) -> Values | None:
    """Give three values of a tag, of which each number is larger than the one before; None where nothing is known of its values."""
    if codes is not None:
        first, second, third, *_ = *sorted(codes.codes), None, None, None
        return None if third is None else (first, second, third)
    if tag.type == "bool":
        return False, True, False
    if tag.type == "string":
        return "OQ-A", "OQ-B", "OQ-C"
    return (within(tag, 0.3), within(tag, 0.5), within(tag, 0.7)) if is_number(tag) else None


def is_number(tag: Tag) -> bool:
    """Return whether a device can be ordered to hold numbers of this tag."""
    return tag.codes is None and (tag.type.startswith("float") or tag.type in WHOLE)


def span_of(tag: Tag) -> tuple[float, float]:
    """Return the range in which a tag's numbers are moved."""
    low, high = (0.0 if end is None else float(end) for end in (tag.eu_low, tag.eu_high))
    return low, (high if high > low else low + 100.0)


def within(tag: Tag, share: float) -> float:
    """Return a number within a tag's range, as its type holds it."""
    low, high = span_of(tag)
    value = low + share * (high - low)
    return int(value) if tag.type in WHOLE and tag.scaling is None else float(f"{value:.6g}")


def _standing(tag: Tag, code: str, limit_s: float, values: Values | None) -> Fault:
    if values is None or limit_s > LONGEST_S:
        return CanNotBe(tag, code, _unplayable(limit_s))
    return Seeded(tag, code, f"have it stand at {values[1]} for longer than {limit_s:g} s", "hold", *values, limit_s)


def _zero(tag: Tag, limit_s: float) -> Fault:
    zero = Fraction(0) if tag.scaling is None else tag.scaling.intercept
    value = float(zero)
    if not is_number(tag) or limit_s > LONGEST_S or (tag.type.startswith("float") and Fraction(str(value)) != zero):
        return CanNotBe(tag, ZERO, _unplayable(limit_s))
    zero_held = int(zero) if tag.type in WHOLE and tag.scaling is None else value
    near = [one for share in (0.3, 0.5, 0.7) if abs((one := within(tag, share)) - value) > 0.1 * (span_of(tag)[1] - span_of(tag)[0])]
    return Seeded(tag, ZERO, f"have its device send zeros for longer than {limit_s:g} s", "hold", near[0], zero_held, near[-1], limit_s)


def _stamp(tag: Tag, source: Source, limit_s: float, values: Values | None) -> Fault:
    if values is None or limit_s > LONGEST_S or source.driver != "opcua":
        return CanNotBe(tag, STAMP, _unplayable(limit_s))
    action = f"have it change under a clock that stands for longer than {limit_s:g} s"
    return Seeded(tag, STAMP, action, "stop-clock", *values, limit_s)


def _rate(tag: Tag, source: Source, per_s: float) -> Fault:
    if not is_number(tag):
        return CanNotBe(tag, RATE, _unplayable(0.0))
    period_s = (source.rate_ms if tag.rate_ms is None else tag.rate_ms) / 1000
    low, high = within(tag, 0.05), within(tag, 0.95)
    if high - low <= per_s * (ORDER_S + 2 * period_s):
        return CanNotBe(tag, RATE, f"asked each {period_s:g} s, no step within its range is faster than {per_s:g} a second for certain")
    return Seeded(tag, RATE, f"have it alternate between {low:g} and {high:g}", "seesaw", low, high, low, 30.0, 120.0)


def _jump(tag: Tag, jump: UnitJump, least: float) -> Fault:
    """Go from a value to where the other unit would put it, within the range if there is such a value."""
    if not is_number(tag):
        return CanNotBe(tag, JUMP, _unplayable(0.0))
    low, high = span_of(tag)
    scale, offset = float(jump.scale), float(jump.offset)
    for share in (0.9, 0.7, 0.5):
        there = low + share * (high - low)
        value = _held(tag, (there - offset) / scale)
        moved = _held(tag, value * scale + offset)
        if low <= value <= high and abs(moved - value) >= 1.2 * least and abs(moved - value * scale - offset) < 0.02 * abs(moved - value):
            return Seeded(tag, JUMP, f"have it go from {value:g} to {moved:g}, as by {jump.name}", "jump", value, moved, value, 30.0)
    return CanNotBe(tag, JUMP, f"no value of its range is within the range by {jump.name} too, and a step above unit_jump_min")


def _held(tag: Tag, value: float) -> float:
    """Give the nearest number that the tag's device can hold."""
    if tag.type not in WHOLE:
        return float(f"{value:.6g}")
    if tag.scaling is None:
        return round(value)
    raw = round((Fraction(value) - tag.scaling.intercept) / tag.scaling.slope)
    return float(f"{float(raw * tag.scaling.slope + tag.scaling.intercept):.9g}")


def _quality(tag: Tag, source: Source, least: float, over_s: float, values: Values | None) -> Fault:
    bad_s = (1 - least) * over_s
    if values is None or source.driver != "opcua" or bad_s > LONGEST_S:
        return CanNotBe(tag, QUALITY, _unplayable(bad_s))
    ends_s = 2 * over_s if over_s <= LONGEST_S else None
    return Seeded(tag, QUALITY, f"have it Bad for longer than {bad_s:g} s of {over_s:g}", "bad", *values, bad_s, ends_s)


def _unplayable(limit_s: float) -> str:
    too_long = f"{limit_s:g} s are longer than is waited here ({LONGEST_S:.0f} s)"
    return too_long if limit_s > LONGEST_S else "no simulated device of its kind can be ordered to send that"


def clean_step(tag: Tag) -> float | None:
    """Return by how much a number may go on each second without anything to be found; None where no such step is known."""
    limits, (low, high) = tag.limits or Limits(), span_of(tag)
    if not is_number(tag) or (limits.flat_after_s or LONGEST_S) < 2 * ORDER_S or (limits.counter_after_s or LONGEST_S) < 2 * ORDER_S:
        return None
    least = max(1.0 if tag.scaling is None else abs(float(tag.scaling.slope)), 0.0) if tag.type in WHOLE else (high - low) * 1e-4
    least = max(least, 1.2 * (deadband_of(tag) or 0.0))
    most = min([0.3 * limits.max_rate_per_s] if limits.max_rate_per_s else [(high - low) / 100])
    if limits.unit_jumps:
        most = min(most, 0.5 * (limits.unit_jump_min or 0.0))
    return None if least > most else least if tag.type in WHOLE else max(least, most / 4)
