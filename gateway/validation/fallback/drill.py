"""Judges a drill: the switch and the return as the record has them, against what was planned; and both sides' entries afterwards. Pure.

What nobody knows is never good: it makes the drill not complete, as what is wrong makes it a finding.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.entries.fallback import COMMANDED, span
from gateway.entries.ticks import TICKS_PER_S
from gateway.evidence.fallbacks import Fallback, Place
from gateway.validation.fallback.drill_plan import Plan

PASSED, FINDING, UNKNOWN = "passed", "finding", "not-complete"
_MINUTE = 60 * TICKS_PER_S


class Check(NamedTuple):
    """One thing that was asked of the drill: what is expected, what was found, and the verdict."""

    what: str
    expected: str
    found: str
    verdict: str


class Compared(NamedTuple):
    """What the comparison with the receiver said. facts: of its document; None: it was not compared, for the reason in `why`.

    through: the entry through which the receiver's receipts reach.
    """

    result: str
    facts: Mapping[str, Any] | None
    through: Place | None
    why: str = ""


def checks(plan: Plan, fallback: Fallback, compared: Compared) -> list[Check]:
    """List every check of the drill."""
    return [*_switch(plan, fallback), *_steps(plan, fallback), *_entries(fallback, compared)]


def result(listed: Sequence[Check]) -> str:
    """Give the verdict of all: what is wrong before what nobody knows."""
    verdicts = {one.verdict for one in listed}
    return FINDING if FINDING in verdicts else UNKNOWN if UNKNOWN in verdicts else PASSED


def seconds(begin: int | None, end: int | None) -> float | None:
    """Give the seconds between two instants; None where one is not known."""
    return None if begin is None or end is None else round((end - begin) / TICKS_PER_S, 3)


def _switch(plan: Plan, fallback: Fallback) -> Iterator[Check]:
    over = fallback.end is not None
    yield Check("the return", "records are led here again", "they are" if over else "the fallback lasts", PASSED if over else FINDING)
    for what, edge in (("the instant of the switch", fallback.began), ("the instant of the return", fallback.ended)):
        basis = "none" if edge is None else edge.basis
        yield Check(what, "that of the command, by a verified clock", basis, PASSED if basis == COMMANDED else UNKNOWN)
    yield _within("time to fallback", plan.called, fallback.begin, plan.most_to_fallback_s)
    yield _within("time to return", plan.return_called, fallback.end, plan.most_to_return_s)


def _within(what: str, called: int | None, done: int | None, limit: int | None) -> Check:
    took = seconds(called, done)
    expected = "a limit was not planned" if limit is None else f"0 to {limit} s"
    if took is None or limit is None:
        lacks = "when it was called for was not written down" if called is None else "it has not ended" if took is None else f"{took:g} s"
        return Check(what, expected, lacks, UNKNOWN)
    return Check(what, expected, f"{took:g} s", PASSED if 0 <= took <= limit else FINDING)


def _steps(plan: Plan, fallback: Fallback) -> Iterator[Check]:
    expected = "done between the call and the return, with its time"
    if not plan.steps:
        yield Check("the steps", "each with who did it and when", "none was planned", UNKNOWN)
    for step in plan.steps:
        if step.actual is None:
            yield Check(f"step: {step.what}", expected, "no time", UNKNOWN)
        else:
            yield Check(f"step: {step.what}", expected, *_when(step.actual, step.who, plan.called, fallback))


def _when(actual: int, who: str, called: int | None, fallback: Fallback) -> tuple[str, str]:
    """Say whether a step was done in the drill. A time that was written to the minute stands for that minute."""
    begin, end = span(fallback.begin, fallback.end)
    last = actual + (_MINUTE if actual % _MINUTE == 0 else 1)
    if end is not None and actual > end:
        return f"done by {who} after the return", FINDING
    if last <= (begin if called is None else called):
        return f"done by {who} before {'the switch' if called is None else 'the call'}", UNKNOWN if called is None else FINDING
    return f"done by {who}", PASSED


def _entries(fallback: Fallback, compared: Compared) -> Iterator[Check]:
    facts, ended = compared.facts, fallback.ended_at
    reaches = None if compared.through is None or ended is None else compared.through >= ended
    told = "not known" if compared.through is None else f"through entry {compared.through[0]}/{compared.through[1]}"
    wanted = "through the entry of the return" if ended is None else f"through entry {ended[0]}/{ended[1]}, the return"
    yield Check("receipts of the receiver", wanted, told, PASSED if reaches else UNKNOWN)
    if facts is None:
        yield Check("entries at the receiver", "each once, none missing", f"not compared: {compared.why}", UNKNOWN)
        return
    counts = {name: sum(_of(one) for stream in facts["streams"] for one in stream[name]) for name in ("missing", "extra", "different")}
    open_ = sum(_of(one) for stream in facts["streams"] for one in stream["not_compared"])
    found = ", ".join(f"{count} {name}" for name, count in counts.items()) + (f", {open_} not compared" if open_ else "")
    verdict = compared.result if compared.result in {PASSED, FINDING} else UNKNOWN
    yield Check("entries at the receiver", "each once: 0 missing, 0 extra, 0 different", found, verdict)


def _of(part: Mapping[str, Any]) -> int:
    return int(part["last"]) - int(part["first"]) + 1


def between(fallback: Fallback) -> str:
    """Say how many entries were written from the switch to the return; both in one epoch, else nobody counts across them."""
    begun, ended = fallback.begun_at, fallback.ended_at
    if begun is None or ended is None:
        return "not known"
    if begun[0] != ended[0]:
        return f"from entry {begun[0]}/{begun[1]} to {ended[0]}/{ended[1]}, over more than one epoch"
    return f"{ended[1] - begun[1] + 1:,}"
