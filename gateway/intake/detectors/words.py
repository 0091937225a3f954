"""What detectors have found, in words: with the value, the limit and since when."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from config import Tag
from config.detectors import Limits
from gateway.entries.ticks import rfc3339
from gateway.intake.detectors.shares import Share
from gateway.intake.detectors.standing import Stood
from gateway.intake.detectors.steps import Step

FLAT, COUNTER, ZERO, STAMP = "flat-line", "counter-stuck", "zero-fill", "stamp-frozen"
RATE, JUMP = "rate-exceeded", "unit-jump"
SHARES = {
    "late": ("late-share", "max_late_share", "of its readings came later than {late_after_s:g} s after their time"),
    "duplicate": ("duplicate-share", "max_duplicate_share", "of its readings came a second time, with the same time and value"),
    "good": ("quality-share", "min_good_share", "of the time it was Good"),
}


class Said(NamedTuple):
    """A finding but for its tag. code: of what began, also where it is over."""

    code: str
    text: str
    evidence: Mapping[str, Any]
    is_over: bool


def flat(tag: Tag, one: Stood) -> Said:
    """Say that a value stands, or moves again."""
    if one.is_over:
        return _over(FLAT, f"moves again: {_with_unit(one.value, tag)}", one)
    text = f"has been {_with_unit(one.value, tag)} without any change since {rfc3339(one.since)}"
    return _stands(FLAT, text, tag, "flat_after_s", one)


def counter(tag: Tag, one: Stood) -> Said:
    """Say that a counter does not rise, or rises again."""
    if one.is_over:
        return _over(COUNTER, f"counts again: {_with_unit(one.value, tag)}", one)
    text = f"has not risen since {rfc3339(one.since)}, and is {_with_unit(one.value, tag)}: what counts there may stand still"
    return _stands(COUNTER, text, tag, "counter_after_s", one)


def zero(tag: Tag, one: Stood) -> Said:
    """Say that a number is all zeros, or not any more."""
    if one.is_over:
        return _over(ZERO, f"is not zero any more: {_with_unit(one.value, tag)}", one)
    return _stands(ZERO, f"its source has sent nothing but zeros for it since {rfc3339(one.since)}", tag, "zero_after_s", one)


def stamp(tag: Tag, one: Stood) -> Said:
    """Say that a stamp does not go on, or goes on again."""
    if one.is_over:
        return _over(STAMP, f"the time that its source gives it goes on again: {rfc3339(one.since)}", one)
    text = f"new values come, and the time that its source gives them stays {rfc3339(one.since)}"
    return _stands(STAMP, text, tag, "stamp_after_s", one)


def step(tag: Tag, one: Step) -> Said:
    """Say that a value went too fast, or as its unit would, or that this is over."""
    value = _with_unit(one.value, tag)
    if one.jump is not None:
        return _jump(tag, one, value)
    if one.is_over:
        return Said(RATE, f"changes no faster than allowed again: {value}", {"value": one.value, "at": rfc3339(one.at)}, is_over=True)
    limit, unit = _limits(tag).max_rate_per_s or 0.0, _unit(tag)
    how = f"in {one.over_s:.3g} s at most, by {one.per_s:.4g}{unit} a second at least"
    text = f"went from {one.before:g} to {value} {how}; allowed are {limit:g}"
    evidence = {"value": one.value, "before": one.before, "at": rfc3339(one.at), "per_s": one.per_s, "max_rate_per_s": limit}
    return Said(RATE, text, {**evidence, "measured_in": tag.unit}, is_over=False)


def _jump(tag: Tag, one: Step, value: str) -> Said:
    name = one.jump.name if one.jump is not None else ""
    if name[0].isdigit():
        how = f"by the factor 1/{name}" if one.is_back else f"by the factor {name}"
    else:
        how = f"as from {name} to {tag.unit}" if one.is_back else f"as from {tag.unit} to {name}"
    evidence = {"value": one.value, "before": one.before, "at": rfc3339(one.at), "jump": name, "measured_in": tag.unit}
    if one.is_over:
        return Said(JUMP, f"jumped back {how}, from {one.before:g} to {value}", evidence, is_over=True)
    text = f"jumped {how}, from {one.before:g} to {value}, as if its device spoke another unit now"
    return Said(JUMP, text, evidence, is_over=False)


def share(tag: Tag, one: Share) -> Said:
    """Say that a share is beyond its limit, or within it again."""
    code, column, of = SHARES[one.of]
    limit = getattr(_limits(tag), column)
    what = of.format(late_after_s=_limits(tag).late_after_s or 0.0)
    span = f"between {rfc3339(one.since)} and {rfc3339(one.until)}"
    bound = f"{'at least' if one.of == 'good' else 'at most'} {limit:.4g} of 1"
    text = f"{'within its limit again: ' if one.is_over else ''}{one.share:.4g} {what} {span}; allowed is {bound}"
    evidence = {"share": round(one.share, 6), column: limit, "since": rfc3339(one.since), "until": rfc3339(one.until)}
    return Said(code, text, evidence, one.is_over)


def _stands(code: str, text: str, tag: Tag, column: str, one: Stood) -> Said:
    limit = getattr(_limits(tag), column)
    evidence = {"value": one.value, "since": rfc3339(one.since), "observed": rfc3339(one.until), column: limit, "measured_in": tag.unit}
    return Said(code, f"{text}, longer than {limit:g} s; it was observed until {rfc3339(one.until)}", evidence, is_over=False)


def _over(code: str, text: str, one: Stood) -> Said:
    return Said(code, text, {"value": one.value, "at": rfc3339(one.until)}, is_over=True)


def _limits(tag: Tag) -> Limits:
    return tag.limits or Limits()


def _unit(tag: Tag) -> str:
    return "" if tag.unit in (None, "1") else f" {tag.unit}"


def _with_unit(value: Any, tag: Tag) -> str:
    return f"{str(value)[:100]}{_unit(tag)}"
