"""Reads the file of a drill: what was planned, who did what and when, and within what time. Pure, but for reading it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config import did_you_mean
from gateway.validation.fallback import plan_problems
from gateway.validation.fallback.plan_problems import NotAPlan, Problem, instant_problems, text_problems, ticks_in

INSTANTS = ("planned_begin", "planned_end", "called", "return_called")
DONE = ("called", "return_called")
LIMITS = ("most_to_fallback_s", "most_to_return_s")
KEYS = ("title", *INSTANTS, *LIMITS, "step")
STEP_KEYS = ("what", "who", "planned", "actual")
MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One step. planned, actual: ticks; None: nobody wrote it down."""

    what: str
    who: str
    planned: int | None
    actual: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A drill as people planned it and wrote it down. Instants in ticks, None where nobody wrote them down.

    called: when the fallback was asked for, or the outage was seen; return_called: when the return was asked for. Limits in seconds.
    """

    title: str
    planned_begin: int | None
    planned_end: int | None
    called: int | None
    return_called: int | None
    most_to_fallback_s: int | None
    most_to_return_s: int | None
    steps: list[Step]


def plan_of(path: Path, zone: ZoneInfo, now: int) -> Plan:
    """Read a plan. zone: of times without an offset. now: ticks; what was done lies before. Raises NotAPlan, OSError."""
    try:
        told = tomllib.loads(text := path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotAPlan(f"{path}: {error}") from None
    if problems := list(_problems(told, zone, now)):
        raise NotAPlan(plan_problems.told(path, text, "step", problems))
    instants = {name: ticks_in(told.get(name), zone) for name in INSTANTS}
    steps = [_step(one, zone) for one in told.get("step", [])]
    return Plan(title=told["title"], **instants, **{name: told.get(name) for name in LIMITS}, steps=steps)


def _problems(told: Mapping[str, Any], zone: ZoneInfo, now: int) -> Iterator[Problem]:
    yield from (Problem(f"unknown key `{key[:60]}`{did_you_mean(key, KEYS)}", key) for key in told if key not in KEYS)
    yield from text_problems(told, ("title",))
    for name in INSTANTS:
        yield from instant_problems(name, told.get(name), zone, now if name in DONE else None)
    for name in LIMITS:
        limit = told.get(name)
        if limit is not None and (type(limit) is not int or limit <= 0):
            yield Problem(f"`{name}` is a number of seconds, above 0", name)
    steps = told.get("step", [])
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps) or len(steps) > MOST_STEPS:
        yield Problem(f"`step` is a list of at most {MOST_STEPS} tables: [[step]]")
        return
    for number, one in enumerate(steps, 1):
        yield from (Problem(f"unknown key `{key[:60]}`{did_you_mean(key, STEP_KEYS)}", key, number) for key in one if key not in STEP_KEYS)
        yield from text_problems(one, ("what", "who"), number)
        yield from instant_problems("planned", one.get("planned"), zone, None, number)
        yield from instant_problems("actual", one.get("actual"), zone, now, number)


def _step(told: Mapping[str, Any], zone: ZoneInfo) -> Step:
    return Step(told["what"], told["who"], ticks_in(told.get("planned"), zone), ticks_in(told.get("actual"), zone))
