"""Checks the limits of a tag's detectors against its source: that it gives what they judge by, often enough."""

from collections.abc import Iterator

from config.detectors import STANDING
from config.line import Tag
from config.problem import Problem
from config.sections import Source

TIMELESS = frozenset({"modbus", "serial"})
"""Drivers whose values have no time of their own."""
LEAST_PERIODS = 2


def problems(tag: Tag, source: Source) -> Iterator[Problem]:
    """List the limits of a tag that its source could never reach, or would reach in each period."""
    if tag.limits is None:
        return
    if not tag.limits.named:
        yield tag.place.problem(f"`{tag.tag}` sets no detector: what is set says only how one judges", "warning")
    if source.driver in TIMELESS:
        for name in tag.limits.needs_stamps:
            yield tag.place.problem(f"{name}: values of source `{source.name}` ({source.driver}) have no time of their own to judge by")
    for name in sorted(STANDING.intersection(tag.limits.named)):
        if source.driver.startswith("mes_"):
            yield tag.place.problem(f"{name}: rows and files come when they come; nothing follows from how long a value stands there")
    yield from _too_short(tag, source)


def _too_short(tag: Tag, source: Source) -> Iterator[Problem]:
    """Refuse what a value that is read once in a period always is: flat until it is read again."""
    rate_ms = source.rate_ms if tag.rate_ms is None else tag.rate_ms
    for name in ("flat_after_s", "counter_after_s", "stamp_after_s"):
        limit_s = getattr(tag.limits, name)
        if limit_s is not None and limit_s * 1000 < LEAST_PERIODS * rate_ms:
            told = f"it is read each {rate_ms / 1000:g} s, and stands for so long whatever it does"
            yield tag.place.problem(f"{name} {limit_s:g}: {told}; write at least {LEAST_PERIODS * rate_ms / 1000:g}")
