"""Reads the file of a drill: what was planned, who did what and when, and within what time. Pure, but for reading it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config import did_you_mean
from drivers.local_time import candidates, ticks_of

INSTANTS = ("planned_begin", "planned_end", "called", "return_called")
LIMITS = ("most_to_fallback_s", "most_to_return_s")
KEYS = ("title", *INSTANTS, *LIMITS, "step")
STEP_KEYS = ("what", "who", "planned", "actual")
MOST_STEPS = 200
MOST_TEXT = 300


class NotAPlan(Exception):
    """A file is no plan of a drill; the text has a line for each reason."""


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


def plan_of(path: Path, zone: ZoneInfo) -> Plan:
    """Read a plan. zone: of times without an offset. Raises NotAPlan, OSError."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotAPlan(f"{path}: {error}") from None
    problems = list(_problems(told, zone))
    if problems:
        raise NotAPlan("\n".join(f"{path}: {one}" for one in problems[:20]))
    instants = {name: ticks_in(told.get(name), zone) for name in INSTANTS}
    steps = [_step(one, zone) for one in told.get("step", [])]
    return Plan(title=told["title"], **instants, **{name: told.get(name) for name in LIMITS}, steps=steps)


def _problems(told: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    yield from (f"unknown key `{key[:60]}`{did_you_mean(key, KEYS)}" for key in told if key not in KEYS)
    yield from text_problems(told, ("title",), "")
    yield from (why for name in INSTANTS if (why := instant_problem(name, told.get(name), zone)))
    for name in LIMITS:
        limit = told.get(name)
        if limit is not None and (type(limit) is not int or limit <= 0):
            yield f"`{name}` is a number of seconds, above 0"
    steps = told.get("step", [])
    if not isinstance(steps, list) or not all(isinstance(one, dict) for one in steps) or len(steps) > MOST_STEPS:
        yield f"`step` is a list of at most {MOST_STEPS} tables: [[step]]"
        return
    for number, one in enumerate(steps, 1):
        at = f"step {number}: "
        yield from (f"{at}unknown key `{key[:60]}`{did_you_mean(key, STEP_KEYS)}" for key in one if key not in STEP_KEYS)
        yield from text_problems(one, ("what", "who"), at)
        yield from (f"{at}{why}" for name in ("planned", "actual") if (why := instant_problem(name, one.get(name), zone)))


def text_problems(told: Mapping[str, Any], names: tuple[str, ...], at: str) -> Iterator[str]:
    """Yield what is wrong with texts. at: before each."""
    for name in names:
        text = told.get(name)
        if not isinstance(text, str) or not text.strip() or len(text) > MOST_TEXT or "\n" in text:
            yield f"{at}`{name}` is a text of one line"


def instant_problem(name: str, value: Any, zone: ZoneInfo) -> str | None:
    """Say what is wrong with an instant; None where nothing is, or where there is none."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        return f"`{name}` is a time: 2026-12-01T06:00:00+01:00, without quotation marks"
    if value.tzinfo is None and len(candidates(value, zone)) != 1:
        return f"`{name}` {value} names no single instant in {zone.key}: write it with its offset"
    return None


def ticks_in(value: datetime | None, zone: ZoneInfo) -> int | None:
    """Return an instant that has no problem as ticks."""
    if value is None:
        return None
    return ticks_of(value) if value.tzinfo is not None else candidates(value, zone)[0]


def _step(told: Mapping[str, Any], zone: ZoneInfo) -> Step:
    return Step(told["what"], told["who"], ticks_in(told.get("planned"), zone), ticks_in(told.get("actual"), zone))
