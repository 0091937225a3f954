"""What is wrong with a file that people filled in for a drill or a cut-over, and in which line of it. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from drivers.local_time import candidates, ticks_of
from gateway.entries.wall_clock import wall_clock

MOST_TEXT = 300
MOST_TOLD = 20


class NotAPlan(Exception):
    """A file is no plan of a drill, or of a cut-over; the text has a line for each reason."""


class Problem(NamedTuple):
    """One thing that is wrong. key: of what. number: of the table `[[name]]` that holds it, from 1; 0: of none."""

    text: str
    key: str = ""
    number: int = 0


def told(path: Path, text: str, table: str, problems: Iterable[Problem]) -> str:
    """Write problems, a line each, with file and line. table: name of the tables that are numbered."""
    return "\n".join(_told(path, text, table, one) for one in list(problems)[:MOST_TOLD])


def _told(path: Path, text: str, table: str, one: Problem) -> str:
    line = _line(text, table, one)
    return f"{path}{'' if line is None else f':{line}'}: {f'{table} {one.number}: ' if one.number else ''}{one.text}"


def _line(text: str, table: str, one: Problem) -> int | None:
    """Give the line in which a key stands, of its table the first where it does not; None where neither can be told."""
    key = re.compile(rf"""\s*["']?{re.escape(one.key)}["']?\s*=""")
    header = re.compile(rf"""\s*\[\[\s*["']?{table}["']?\s*\]\]""")
    number, first = 0, None
    for place, line in enumerate(text.split("\n"), 1):
        if header.match(line):
            number += 1
            first = place if number == one.number else first
        elif number == one.number and one.key and key.match(line):
            return place
    return first


def text_problems(told_: Mapping[str, Any], names: tuple[str, ...], number: int = 0) -> Iterator[Problem]:
    """Yield what is wrong with texts."""
    for name in names:
        text = told_.get(name)
        if not isinstance(text, str) or not text.strip() or len(text) > MOST_TEXT or "\n" in text:
            yield Problem(f"`{name}` is a text of one line", name, number)


def instant_problems(name: str, value: Any, zone: ZoneInfo, now: int | None = None, number: int = 0) -> Iterator[Problem]:
    """Yield what is wrong with an instant; nothing where there is none. now: ticks, of what must have happened by then."""
    if value is None:
        return
    if not isinstance(value, datetime):
        yield Problem(f"`{name}` is a time: 2026-12-01T06:00:00+01:00, without quotation marks", name, number)
    elif value.tzinfo is None and len(candidates(value, zone)) != 1:
        yield Problem(f"`{name}` {value} names no single instant in {zone.key}: write it with its offset", name, number)
    elif now is not None and (at := ticks_in(value, zone)) is not None and at > now:
        by = f"by the clock here it is {wall_clock(now, zone)}"
        yield Problem(f"`{name}` {value} is still to come, {by}: write down what has happened, when it has", name, number)


def ticks_in(value: datetime | None, zone: ZoneInfo) -> int | None:
    """Return an instant that has no problem as ticks."""
    if value is None:
        return None
    return ticks_of(value) if value.tzinfo is not None else candidates(value, zone)[0]
