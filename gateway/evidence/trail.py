"""The audit trail of a journal's folder for people: filtered, one row after the other, however long the journal is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.evidence.journal_events import Stored, events
from gateway.evidence.trail_rows import TYPES, row_of

MOST_SORTED = 100_000


class NotPossible(Exception):
    """What is asked for can not be given; the text says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted; None: all. begin, end: ticks. who, what, about, why: words in user or name, what, object, reason.

    batch: what names it, and what happened to the whole line while it ran.
    """

    who: str | None = None
    what: str | None = None
    about: str | None = None
    why: str | None = None
    batch: str | None = None
    kinds: frozenset[str] = frozenset()
    begin: int | None = None
    end: int | None = None
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Where a batch is in a journal: (epoch, seq) of its first and of its last event. open: it has not ended."""

    first: tuple[int, int]
    last: tuple[int, int]
    is_open: bool


def rows(data: Path, zone: ZoneInfo, gateway: str, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Yield the wanted rows in the journal's order. Raises NotPossible; JournalError on damage, FileNotFoundError without a journal."""
    span = None if wanted.batch is None else span_of(data, wanted.batch)
    stated: tuple[int, str] | None = None
    for stored in events(data, TYPES):
        if stored.event["type"] == "config":
            stated, before = (stored.event["version"], stored.event["sha256"]), stated
            if stated == before:
                continue  # stated again, as in each segment
        if (wanted.begin is not None and stored.ticks < wanted.begin) or (wanted.end is not None and stored.ticks >= wanted.end):
            continue
        row = row_of(stored.event, stored.ticks, zone, gateway)
        if row is not None and _is_wanted(row, stored, wanted, span):
            yield {**row, "epoch": stored.epoch, "seq": stored.seq, "digest": stored.digest}


def ordered(found: Iterator[dict[str, Any]], by: str | None) -> Iterator[dict[str, Any]]:
    """Yield rows sorted by a column, and within it by time; as they come without one. Raises NotPossible for more than can be sorted."""
    if by is None:
        yield from found
        return
    kept: list[dict[str, Any]] = []
    for row in found:
        kept.append(row)
        if len(kept) > MOST_SORTED:
            raise NotPossible(f"more than {MOST_SORTED:,} rows can not be sorted: ask for fewer")
    yield from sorted(kept, key=lambda row: _sortable(row[by], descends=by == "critical"))


def span_of(data: Path, batch: str) -> Span:
    """Find a batch in the journal. Raises NotPossible where it is not held."""
    first, last, is_open = None, None, False
    for stored in events(data, {"batch"}):
        if stored.event.get("batch") == batch:
            first, last = first or (stored.epoch, stored.seq), (stored.epoch, stored.seq)
            is_open = stored.event["transition"] == "start" or (is_open and stored.event["transition"] != "end")
    if first is None or last is None:
        raise NotPossible(f"the journal holds no batch {batch}")
    return Span(first, last, is_open)


def _is_wanted(row: Mapping[str, Any], stored: Stored, wanted: Wanted, span: Span | None) -> bool:
    if (wanted.kinds and row["type"] not in wanted.kinds) or (wanted.critical and not row["critical"]):
        return False
    if span is not None and wanted.batch not in row["batches"]:
        at = stored.epoch, stored.seq
        if row["batches"] or at < span.first or (at > span.last and not span.is_open):
            return False
    return (
        _has(wanted.who, row["user"], row["name"])
        and _has(wanted.what, row["what"])
        and _has(wanted.about, row["object"])
        and _has(wanted.why, row["reason"])
    )


def _has(word: str | None, *texts: Any) -> bool:
    return word is None or any(word.casefold() in str(text).casefold() for text in texts if text is not None)


def _sortable(value: Any, *, descends: bool) -> tuple[bool, str]:
    """Make a key by which any column sorts; what is empty comes last."""
    return value is None, str(not value if descends else value)
