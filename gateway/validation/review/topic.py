"""One topic of a review, and the blocks that several share. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from buffer.pages.blocks import Block, Table, Text
from gateway.validation.review.gathering import Rows

IN_ORDER, LOOK, NOT_CHECKED = "in order", "look", "not checked"
"""Verdicts: `look` where a person has to; what could not be looked at is never in order."""


class Topic(NamedTuple):
    """One topic of a review. found: in one line. blocks: its chapter, without the heading. facts: the same for programs."""

    id: str
    title: str
    verdict: str
    found: str
    blocks: Sequence[Block]
    facts: Mapping[str, Any]


def day(ticks: int) -> str:
    """Write an instant."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10):%Y-%m-%d %H:%M}Z"


def utc(text: str) -> str:
    """Shorten an instant of the journal to seconds."""
    return f"{text[:19]}Z"


def percent(share: float | None) -> str:
    """Write a share; never 100 % for less."""
    return NOT_CHECKED if share is None else "100 %" if share == 1 else f"{min(share * 100, 99.999):.3f} %"


def table(titles: Sequence[str], widths: Sequence[float], rows: Sequence[Sequence[str]], marked: Iterable[int] = ()) -> Iterator[Block]:
    """Yield a table; where it has no rows, that there are none. marked: of rows that a person should look at."""
    yield Table(titles, widths, rows, frozenset(marked)) if rows else Text("None.")


def of_held(topic: Topic, *, whole: bool) -> Topic:
    """Return a topic that rests on the journal: where that does not hold the whole period, nothing of it is in order."""
    if whole:
        return topic
    verdict = NOT_CHECKED if topic.verdict == IN_ORDER else topic.verdict
    return topic._replace(verdict=verdict, found=f"{topic.found}; in what the journal holds")


def acts_of(rows: Rows) -> Iterator[Block]:
    """Yield rows of the audit trail."""
    told = [
        (
            f"{one['local'][:19]}{one['local'][23:]}",
            f"{one['name'] or one['user']}{' (' + one['role'] + ')' if one['role'] else ''}",
            one["what"],
            plain(one["object"]),
            f"{plain(one['old'])} -> {plain(one['new'])}" if one["old"] or one["new"] else "",
            one["reason"] or "",
        )
        for one in rows.kept
    ]
    yield from table(("When", "Who", "What", "Object", "Old -> new", "Why"), (3, 3, 3, 3, 4, 4), told)
    yield from more(rows)


def more(rows: Rows) -> Iterator[Block]:
    """Yield how many more there were than are written down."""
    if rows.count > len(rows.kept):
        yield Text(f"And {rows.count - len(rows.kept):,} more, which stand in the journal: audit list, alarms history.", marked=True)


def plain(value: Any) -> str:
    """Write a value of any form in a cell."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]} ..."
