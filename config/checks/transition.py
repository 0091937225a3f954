"""Checks [transition]: phases follow each other without overlap and hole, in their order, and the legacy system ends with the sunset."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from config.checks.parsed_folder import ParsedFolder
from config.sections import Phase, Transition

ORDER = ("pilot", "parallel", "primary", "retired")


def check(parts: ParsedFolder) -> None:
    """Add the problems of [transition] to the document."""
    if parts.sections.transition is not None:
        for at, key, problem in _problems(parts.sections.transition):
            parts.document.error(("transition", "phases", at, key), problem)


def _problems(told: Transition) -> Iterator[tuple[int, str, str]]:
    """Yield (number of the phase, key, what is wrong)."""
    for at, phase in enumerate(told.phases):
        if phase.until is None and at < len(told.phases) - 1:
            yield at, "until", f"phase `{phase.name}` needs `until`: another one follows it"
        if phase.until is not None and phase.until < phase.begin:
            yield at, "until", f"`until` {phase.until} is before `from` {phase.begin}"
        if (phase.legacy == "off") != (phase.name == "retired"):
            yield at, "legacy", f"phase `{phase.name}` with legacy `{phase.legacy}`: `off` is of `retired`, and of that alone"
        yield from ((at, key, problem) for key, problem in _of_sunset(told, phase))
    if (last := told.phases[-1]).legacy != "off" and last.until is not None and last.until < told.sunset:
        yield len(told.phases) - 1, "until", f"phase `{last.name}` ends with {last.until}, and the sunset is {told.sunset}: there is a hole"
    for at, (before, after) in enumerate(pairwise(told.phases), 1):
        yield from ((at, key, problem) for key, problem in _following(before, after))


def _of_sunset(told: Transition, phase: Phase) -> Iterator[tuple[str, str]]:
    if phase.legacy != "off" and (phase.until or phase.begin) > told.sunset:
        day = phase.until or phase.begin
        yield "until" if phase.until else "from", f"phase `{phase.name}` uses the legacy system on {day}, after the sunset {told.sunset}"
    if phase.legacy == "off" and phase.begin <= told.sunset:
        yield "from", f"phase `{phase.name}` begins on {phase.begin}, and the sunset is {told.sunset}: it begins the day after, or later"


def _following(before: Phase, after: Phase) -> Iterator[tuple[str, str]]:
    if ORDER.index(after.name) < ORDER.index(before.name):
        yield "name", f"phase `{after.name}` follows `{before.name}`: the order is {', '.join(ORDER)}"
    if before.until is None:
        return
    next_day = before.until + timedelta(days=1)
    if after.begin < next_day:
        yield "from", f"phase `{after.name}` begins on {after.begin}, and `{before.name}` lasts through {before.until}: they overlap"
    elif after.begin > next_day:
        yield "from", f"phase `{after.name}` begins on {after.begin}, and `{before.name}` ends with {before.until}: there is a hole"
