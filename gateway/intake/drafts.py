"""Drafts: what is to be written, as data, before it has a place in the journal. Pure.

A port drafts; `Intake.append` gives each draft its number and its stamp, and makes of it, by the functions below, what the fold reads and
what the journal stores. Nothing calls back, and drafts compare as values.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from buffer import Body
from gateway.clock import Stamp
from gateway.entries.bodies import LARGEST_BODY_BYTES, event_body, readings_body
from gateway.entries.fold_input import UNVERIFIED, EventInput, ReadingsInput, Seen, windows_of
from gateway.entries.ticks import rfc3339

LARGEST_SAID_BYTES = 8_192
"""Of the lines kept beside readings: of a long printout those that have room, as JSON."""
Watermark = tuple[str, Mapping[str, Any]]
"""(name, changes): merged by key into what is committed under this name, in the transaction of the entries."""


@dataclass(frozen=True, slots=True)
class ReadingsDraft:
    """The readings of one entry, twice: `seen` as the fold reads them, `table` as they are stored.

    source_clock: who stamps, and how far that clock is off. tagset: digest of the tag table that the rows of `table` refer to. beside:
    further members of the entry (`beside`). said: the lines that they were read from.
    """

    source: str
    source_clock: Mapping[str, Any]
    tagset: str
    seen: Sequence[Seen]
    table: bytes
    beside: Mapping[str, Any] = field(default_factory=dict)
    said: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event. source: whose, None for the gateway's own. source_clock: beside the rows of a source whose clock was measured."""

    event: Mapping[str, Any]
    source: str | None = None
    source_clock: Mapping[str, Any] | None = None


Draft = ReadingsDraft | EventDraft


class EventTooLarge(ValueError):
    """An event is longer than an entry may hold: nothing is appended. It is the fault of whoever drafted it, none of the journal."""


class Append(Protocol):
    """`Intake.append`, as a port sees it."""

    def __call__(self, drafts: Sequence[Draft], watermark: Watermark | None = None, *, urgent: bool = False) -> Awaitable[None]:
        """Append all of them or none, at the call. The awaitable completes when they are on disk."""


def numbered(draft: EventDraft, seq: int) -> EventDraft:
    """Name a gap that opens by its source and the number of this entry; any other event needs no number."""
    event = draft.event
    if event.get("type") != "gap" or event.get("transition") != "open":
        return draft
    return replace(draft, event={"type": "gap", "transition": "open", "gap": f"{event['source']}/{seq}", **event})


def readings_input(draft: ReadingsDraft, seq: int, stamp: Stamp) -> ReadingsInput:
    """Give the fold's view of the entry that the draft becomes."""
    told = draft.beside.get("windows")
    windows = None if told is None else windows_of(told, dict(enumerate(draft.seen)))
    return ReadingsInput(seq, stamp.ticks, draft.source, draft.seen, stamp.status not in UNVERIFIED, windows)


def event_input(draft: EventDraft, seq: int, stamp: Stamp) -> EventInput:
    """Give the fold's view of the entry that the draft becomes."""
    return EventInput(seq, stamp.ticks, draft.event, stamp.status not in UNVERIFIED)


def readings_entry(draft: ReadingsDraft, stamp: Stamp, fixed: Mapping[str, Any], contexts: Mapping[str, Any]) -> Body:
    """Encode the entry. fixed: see `head`. contexts: where the readings belong, known once the fold has seen them."""
    begun = head(stamp, fixed, draft.source, draft.source_clock)
    if draft.beside or draft.said:
        begun |= {**draft.beside, **(said_of(draft.said) if draft.said else {})}
    return readings_body(begun, contexts, draft.tagset, draft.table)


def said_of(lines: Sequence[bytes]) -> dict[str, Any]:
    """Give the members that keep lines as they came: the first that have room, and how many are left out."""
    kept: list[str] = []
    room_bytes = LARGEST_SAID_BYTES
    for line in lines:
        text = line.decode("latin-1")  # each byte the character of its number: nothing is lost, whatever the instrument's encoding is
        room_bytes -= len(orjson.dumps(text))
        if room_bytes < 0:
            return {"said": kept, "said_left_out": len(lines) - len(kept)}
        kept.append(text)
    return {"said": kept}


def event_entry(draft: EventDraft, stamp: Stamp, fixed: Mapping[str, Any]) -> Body:
    """Encode the entry. fixed: see `head`. Raises EventTooLarge, and TypeError if a member is nothing that JSON can hold."""
    body = event_body(head(stamp, fixed, draft.source, draft.source_clock), draft.event)
    if len(body.body) > LARGEST_BODY_BYTES:
        raise EventTooLarge(f"a {draft.event['type']} event of {len(body.body)} bytes, at most {LARGEST_BODY_BYTES} are possible")
    return body


def head(
    stamp: Stamp, fixed: Mapping[str, Any], source: str | None = None, source_clock: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Give the members with which every body begins, in their order. fixed: the last of them, the same for a whole run."""
    clock = {"status": stamp.status, "bound_s": stamp.bound_s, "boot": stamp.boot, "monotonic_s": stamp.monotonic_s}
    members: dict[str, Any] = {"time": rfc3339(stamp.ticks), "clock": clock}
    if source is not None:
        members["source"] = source
    if source_clock is not None:
        members["source_clock"] = source_clock
    return {**members, **fixed}
