"""Two tellers of one batch's steps, the PLC's signals and the MES rows, held against each other. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.context.state import Told
from gateway.entries.ticks import TICKS_PER_S, rfc3339

MOST_DIFFERENCES = 50
"""Said of one batch in one equipment; the last finding counts the rest."""


class Ran(NamedTuple):
    """One run of a step as its record says."""

    step: str
    run: int
    start: int
    end: int


class Tellers(NamedTuple):
    """Who told the steps, in words, in the plural: those whose word the records are, and the others."""

    record: str
    other: str


class Difference(NamedTuple):
    """kind: missing (the other did not tell it), extra (only the other told it), times, order."""

    kind: str
    text: str
    evidence: dict[str, Any]


def differences(ran: Sequence[Ran], told: Sequence[Told], within: int, by: Tellers) -> list[Difference]:
    """Where the two part. ran: of the records; told: by the other; within: ticks that two starts or ends may be apart."""
    pairs = _pairs(ran, told, within)
    found = [d for one, other in pairs for d in _apart(one, other, within, by)]
    missing = [one for one in ran if all(one is not mine for mine, _ in pairs)]
    extra = [other for other in told if all(other is not theirs for _, theirs in pairs)]
    found += [
        Difference("missing", f"step {one.step}/{one.run}: {by.record} tell it, {by.other} do not", _evidence(one, None)) for one in missing
    ]
    found += [
        Difference("extra", f"step {other.step}: {by.other} tell a run of it, {by.record} do not", _evidence(None, other))
        for other in extra
    ]
    return found + _order(pairs, by)


def _pairs(ran: Sequence[Ran], told: Sequence[Told], within: int) -> list[tuple[Ran, Told]]:
    """Of each step: first those that agree, then those that overlap."""
    left, pairs = list(told), []
    waiting = sorted(ran, key=lambda one: one.start)
    for agree in (True, False):
        for one in list(waiting):
            fits = [other for other in left if other.step == one.step and _fits(one, other, within, agree=agree)]
            if fits:
                best = min(fits, key=lambda other: abs(other.start - one.start))
                left = [other for other in left if other is not best]
                waiting.remove(one)
                pairs.append((one, best))
    return pairs


def _fits(one: Ran, other: Told, within: int, *, agree: bool) -> bool:
    end = other.end if other.end is not None else max(one.end, other.start)
    if agree:
        return other.end is not None and abs(other.start - one.start) <= within and abs(end - one.end) <= within
    return other.start <= one.end + within and end >= one.start - within


def _apart(one: Ran, other: Told, within: int, by: Tellers) -> list[Difference]:
    start_s = (other.start - one.start) / TICKS_PER_S
    end_s = None if other.end is None else (other.end - one.end) / TICKS_PER_S
    limit_s = within / TICKS_PER_S
    if abs(start_s) <= limit_s and end_s is not None and abs(end_s) <= limit_s:
        return []
    told = f", and no end ({by.record} do)" if end_s is None else f", its end {_later(end_s)}"
    text = (
        f"step {one.step}/{one.run}: compared with {by.record}, {by.other} tell its start {_later(start_s)}{told}; {limit_s:g} s are agreed"
    )
    return [Difference("times", text, {**_evidence(one, other), "start_apart_s": start_s, "end_apart_s": end_s, "within_s": limit_s})]


def _later(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'later' if seconds >= 0 else 'earlier'}"


def _order(pairs: Sequence[tuple[Ran, Told]], by: Tellers) -> list[Difference]:
    mine = [f"{one.step}/{one.run}" for one, _ in sorted(pairs, key=lambda p: (p[0].start, p[1].start))]
    theirs = [f"{one.step}/{one.run}" for one, _ in sorted(pairs, key=lambda p: (p[1].start, p[0].start))]
    if mine == theirs:
        return []
    at = next(n for n, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
    text = f"steps {mine[at]} and {theirs[at]}: {by.other} tell {theirs[at]} first, {by.record} {mine[at]}"
    return [Difference("order", text, {"order": mine[:20], "other_order": theirs[:20]})]


def _evidence(one: Ran | None, other: Told | None) -> dict[str, Any]:
    step = one.step if one is not None else other.step if other is not None else None
    mine = None if one is None else {"start": rfc3339(one.start), "end": rfc3339(one.end)}
    theirs = None if other is None else {"start": rfc3339(other.start), "end": None if other.end is None else rfc3339(other.end)}
    return {"step": step, "run": None if one is None else one.run, "record": mine, "told": theirs}
