"""The review of an audit trail: what a reviewer has to look at, and the signed document that says that he did (EU Annex 11, 9; URS-AUD-07).

The items are found in the journal by who signs, not by who asks: a review that leaves one out, or that somebody signs who did one of them,
is none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.entries.printable import printable
from gateway.entries.ticks import rfc3339
from gateway.evidence.journal_events import Stored, events
from gateway.evidence.trail import NotPossible, Wanted, rows, span_of

DOCUMENT = "audit-trail-review"
MEANING = "audit trail reviewed"
VERDICTS = ("accepted", "questioned")
MOST_ITEMS = 1_000
LEAST_COMMENT = 10
MOST_COMMENT = 1_000
_KEPT = ("time", "local", "type", "what", "user", "name", "role", "object", "reason")
MOST_TEXT = 2_000
_NOT_SIGNED = frozenset({"type", "part", "of", "sliced", "sha256", "signatures", "who", "where", "site_zone"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What is reviewed: a batch, or a time. begin, end: ticks. through: (epoch, seq) of the last entry that was looked at; None: all."""

    batch: str | None
    begin: int | None
    end: int | None
    through: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ToReview:
    """What a reviewer has to look at. routine: how many other rows there are. through: as in `Scope`. is_open: the batch has not ended."""

    items: list[dict[str, Any]]
    routine: int
    through: tuple[int, int]
    is_open: bool


def to_review(data: Path, zone: ZoneInfo, gateway: str, scope: Scope) -> ToReview:
    """Find what needs a look. Raises NotPossible; JournalError, FileNotFoundError. For a thread: it reads the journal."""
    if (scope.batch is None) == (scope.begin is None) or (scope.batch is not None and scope.end is not None):
        raise NotPossible("a batch, or a time from which on, is needed, and not both: part of a batch's trail is not the batch's")
    is_open = scope.batch is not None and span_of(data, scope.batch).is_open
    # Of a batch that has ended all is looked at, however far the form came: who asks may not say where its trail ends.
    through = scope.through if scope.batch is None or is_open else None
    items, routine, last = [], 0, (0, 0)
    for row in rows(data, zone, gateway, Wanted(batch=scope.batch, begin=scope.begin, end=scope.end)):
        at = row["epoch"], row["seq"]
        if through is not None and at > through:
            break
        last = at
        if row["critical"]:
            items.append(_item(row))
        routine += not row["critical"]
        if len(items) > MOST_ITEMS:
            raise NotPossible(f"more than {MOST_ITEMS:,} items: review a shorter time, --from and --to")
    return ToReview(items, routine, through or last, is_open)


@dataclass(frozen=True, slots=True)
class Held:
    """A review that the journal holds, whole. where: its entries, for people."""

    where: str
    event: dict[str, Any]


def reviews(data: Path, batch: str | None = None) -> list[Held]:
    """Read every review, in order, or those of one batch. One that was cut into parts is joined again, and left out if a part is missing.

    Raises JournalError, FileNotFoundError.
    """
    parts: dict[tuple[int, str], list[Stored]] = {}
    for stored in events(data, {"document"}):
        if stored.event["document"] == DOCUMENT and batch in (None, stored.event["batch"]):
            parts.setdefault((stored.epoch, stored.event["id"]), []).append(stored)
    return [_joined(held) for held in parts.values() if len(held) == held[0].event.get("of", 1)]


def _joined(held: Sequence[Stored]) -> Held:
    sliced = held[0].event.get("sliced") or []
    lists = {name: [item for stored in held for item in stored.event[name]] for name in sliced}
    seqs = f"{held[0].seq}" if len(held) == 1 else f"{held[0].seq}-{held[-1].seq}"
    return Held(f"{held[0].epoch}/{seqs}", {**held[0].event, **lists})


def signed(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the signature under a review is over."""
    return {name: value for name, value in event.items() if name not in _NOT_SIGNED}


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Make an item of a row. Old and new as texts: what is signed has no fractions."""
    plain = {name: row[name] for name in _KEPT}
    return {"epoch": row["epoch"], "seq": row["seq"], **plain, "old": _text(row["old"]), "new": _text(row["new"])}


def _text(value: Any) -> str | None:
    text = value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text is None or len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} ... (the entry has all of it)"


def judged(found: ToReview, verdicts: Sequence[Mapping[str, Any]], reviewer: str) -> list[dict[str, Any]]:
    """Put each item's verdict to it. Raises NotPossible unless each has one, by somebody else, and a comment where it is questioned."""
    given = {(verdict.get("epoch"), verdict.get("seq")): verdict for verdict in verdicts if _names_an_entry(verdict)}
    if len(given) < len(verdicts):
        raise NotPossible("each verdict names one entry, by epoch and seq, and each entry once")
    known = {(item["epoch"], item["seq"]) for item in found.items}
    if strange := sorted(str(at) for at in given.keys() - known):
        raise NotPossible(f"entry {strange[0]} is not among what is to be reviewed: list it again")
    return [{**item, **_verdict(item, given.get((item["epoch"], item["seq"])) or {}, reviewer)} for item in found.items]


def _names_an_entry(verdict: Mapping[str, Any]) -> bool:
    return isinstance(verdict.get("epoch"), int) and isinstance(verdict.get("seq"), int)


def _verdict(item: Mapping[str, Any], given: Mapping[str, Any], reviewer: str) -> dict[str, str]:
    where = f"entry {item['epoch']}/{item['seq']}"
    verdict, comment = given.get("verdict"), str(given.get("comment") or "").strip()
    if item["user"] == reviewer:
        raise NotPossible(f"{where} is {reviewer}'s own doing ({item['what'][:60]}): somebody else has to review this")
    if verdict not in VERDICTS:
        raise NotPossible(f"{where} has no verdict: accepted or questioned")
    if verdict == "questioned" and len(comment) < LEAST_COMMENT:
        raise NotPossible(f"{where} is questioned: say why, in at least {LEAST_COMMENT} characters")
    if printable(comment) != comment:
        raise NotPossible(f"{where}: the comment is one line of printable characters")
    if len(comment) > MOST_COMMENT:
        raise NotPossible(f"{where}: the comment is longer than {MOST_COMMENT} characters")
    return {"verdict": str(verdict), "comment": comment}


def content(
    scope: Scope, found: ToReview, items: Sequence[Mapping[str, Any]], reviewer: Mapping[str, Any], head: Mapping[str, Any]
) -> dict[str, Any]:
    """Make what is signed. head: id, gateway, environment, software, configuration, made_at."""
    epoch, seq = found.through
    return {
        "document": DOCUMENT,
        "schema": "ebr-gateway/audit-trail-review/1",
        **head,
        "batch": scope.batch,
        "scope": {
            "from": None if scope.begin is None else rfc3339(scope.begin),
            "to": None if scope.end is None else rfc3339(scope.end),
            "through": {"epoch": epoch, "seq": seq},
            "batch_had_ended": None if scope.batch is None else not found.is_open,
        },
        "filter": "critical: what changed a record, or what recording rests on",
        "items": [dict(item) for item in items],
        "not_reviewed": {"count": found.routine, "why": "routine: changed no record and nothing that recording rests on"},
        "deviations": [f"{item['epoch']}/{item['seq']}" for item in items if item["verdict"] == "questioned"],
        "reviewer": {name: reviewer[name] for name in ("user", "name", "role")},
        "meaning": MEANING,
    }
