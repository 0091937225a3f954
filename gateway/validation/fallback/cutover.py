"""Judges a cut-over from the legacy system: the decision, what is open, the last record there, the first one here, the overlap. Pure."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config import did_you_mean
from config.sections import Transition
from gateway.alarms.transition import phase_at, phase_text
from gateway.documents import local_time
from gateway.validation.fallback import plan_problems
from gateway.validation.fallback.drill import FINDING, PASSED, UNKNOWN, Check
from gateway.validation.fallback.plan_problems import NotAPlan, Problem, instant_problems, text_problems, ticks_in

TEXTS = ("title", "decision", "decided_by", "why", "last_legacy_record")
INSTANTS = ("decided_at", "at", "last_legacy_at")
DONE = ("decided_at", "last_legacy_at")
KEYS = (*TEXTS, *INSTANTS, "open")
OPEN_KEYS = ("what", "who", "due")
MOST_OPEN = 200


@dataclass(frozen=True, slots=True)
class Open:
    """A point that is open. due: the last day by which it is to be closed."""

    what: str
    who: str
    due: date


@dataclass(frozen=True, slots=True)
class CutOver:
    """A cut-over as people decided it. Instants in ticks. last_legacy_*: the last record that the legacy system leads."""

    title: str
    decision: str
    decided_by: str
    why: str
    last_legacy_record: str
    decided_at: int
    at: int
    last_legacy_at: int
    open: list[Open]


@dataclass(frozen=True, slots=True)
class First:
    """The first batch that began here at the cut-over or after it: the name of its record, its start in ticks, its entry."""

    record: str
    start: int
    entry: str


def cut_over_of(path: Path, zone: ZoneInfo, now: int) -> CutOver:
    """Read the file of a cut-over. zone: of times without an offset. now: ticks; what was done lies before. Raises NotAPlan, OSError."""
    try:
        told = tomllib.loads(text := path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotAPlan(f"{path}: {error}") from None
    if problems := list(_problems(told, zone, now)):
        raise NotAPlan(plan_problems.told(path, text, "open", problems))
    instants: dict[str, Any] = {name: ticks_in(told[name], zone) for name in INSTANTS}
    points = [Open(one["what"], one["who"], one["due"]) for one in told.get("open", [])]
    return CutOver(**{name: told[name] for name in TEXTS}, **instants, open=points)


def _problems(told: Mapping[str, Any], zone: ZoneInfo, now: int) -> Iterator[Problem]:
    yield from (Problem(f"unknown key `{key[:60]}`{did_you_mean(key, KEYS)}", key) for key in told if key not in KEYS)
    yield from text_problems(told, TEXTS)
    if told.get("decision") not in {"go", "no-go"}:
        yield Problem("`decision` is go or no-go", "decision")
    for name in INSTANTS:
        if name not in told:
            yield Problem(f"key `{name}` is missing")
        yield from instant_problems(name, told.get(name), zone, now if name in DONE else None)
    points = told.get("open", [])
    if not isinstance(points, list) or not all(isinstance(one, dict) for one in points) or len(points) > MOST_OPEN:
        yield Problem(f"`open` is a list of at most {MOST_OPEN} tables: [[open]]")
        return
    for number, one in enumerate(points, 1):
        yield from (Problem(f"unknown key `{key[:60]}`{did_you_mean(key, OPEN_KEYS)}", key, number) for key in one if key not in OPEN_KEYS)
        yield from text_problems(one, ("what", "who"), number)
        if type(one.get("due")) is not date:
            yield Problem("`due` is a day: 2027-01-31, without quotation marks", "due", number)


def checks(
    told: CutOver, first: First | None, transition: Transition | None, trend: Mapping[str, Any] | None, today: date, day: date, zone: str
) -> list[Check]:
    """List every check. day: of the cut-over. zone: of the times. trend: of the comparisons, None: none was given."""
    go = told.decision == "go"
    late = told.decided_at > told.at
    return [
        Check("the decision", "go", f"{told.decision}, by {told.decided_by}: {told.why}", PASSED if go else FINDING),
        Check("when it was decided", "before the cut-over", local_time(told.decided_at, zone), FINDING if late else PASSED),
        _phase(transition, day),
        _last(told, zone),
        _first(first, zone),
        _overlap(trend),
        *(_open(point, today) for point in told.open),
    ]


def _phase(transition: Transition | None, day: date) -> Check:
    expected = "one in which the legacy system does not lead"
    phase = None if transition is None else phase_at(transition, day)
    if transition is None or phase is None:
        return Check("the phase that is declared", expected, "none is declared for that day: [transition]", UNKNOWN)
    return Check("the phase that is declared", expected, phase_text(transition, day), FINDING if phase.legacy == "leading" else PASSED)


def _last(told: CutOver, zone: str) -> Check:
    late = told.last_legacy_at > told.at
    found = f"{told.last_legacy_record}, {local_time(told.last_legacy_at, zone)}"
    return Check("the last record of the legacy system", "not after the cut-over", found, FINDING if late else PASSED)


def _first(first: First | None, zone: str) -> Check:
    expected = "a batch that began at the cut-over or after it"
    if first is None:
        return Check("the first record of the gateway", expected, "none is held", UNKNOWN)
    return Check(
        "the first record of the gateway", expected, f"{first.record}, {local_time(first.start, zone)}, entry {first.entry}", PASSED
    )


def _overlap(trend: Mapping[str, Any] | None) -> Check:
    what, expected = "the overlap of both records", "the criterion of [parallel_run] is met"
    if trend is None or not trend["needed"]:
        return Check(what, expected, "no comparison was given" if trend is None else "no criterion is declared", UNKNOWN)
    found = f"{trend['last']} of {trend['needed']} batches in a row, up to the newest one, have nothing open"
    return Check(what, expected, found, PASSED if trend["may_end"] else FINDING)


def _open(point: Open, today: date) -> Check:
    over = point.due < today
    return Check(f"open: {point.what}", f"{point.who}, by {point.due}", "overdue" if over else "open", FINDING if over else PASSED)


def first_of(starts: Sequence[First], at: int) -> First | None:
    """Return the first batch of those that began at an instant or after it."""
    return min((one for one in starts if one.start >= at), key=lambda one: one.start, default=None)
