"""From the rows of a MES, or the records of a dropped file, to `message` events. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from drivers.contract import Finding, Look, Message
from drivers.exact_json import exact_json
from gateway.entries import bodies
from gateway.entries.ticks import rfc3339
from gateway.intake.drafts import EventDraft
from gateway.intake.findings import finding_event

LARGEST_ROW_BYTES = 49_152
PIECE_CHARACTERS = 7_000  # JSON in JSON: a control character takes seven bytes


class Found(NamedTuple):
    """How rows were found, see `drivers.contract.Look`. since: as time."""

    name: str
    since: str | None
    more: bool


def found_by(look: Look, ticks: Callable[[int], int]) -> Found:
    """Say how rows were found. ticks: the clock, which turns CLOCK_MONOTONIC into UTC."""
    return Found(look.name, None if look.since_ns is None else rfc3339(ticks(look.since_ns)), look.more)


def row_drafts(
    messages: Sequence[Message], source: str, source_clock: Mapping[str, Any] | None, found: Found | None = None
) -> Iterator[EventDraft]:
    """Draft the events of a list: rows of one name together, as many as an entry may hold; a longer row in pieces."""
    by_name: dict[str, list[dict[str, Any]]] = {} if found is None else {found.name: []}
    for message in messages:
        by_name.setdefault(message.name, []).append(row_of(message))
    for name, rows in by_name.items():
        events = list(_events(source, name, rows))
        for number, event in enumerate(events, 1):
            is_row = event["type"] == "message"
            by = {} if found is None or not is_row else _by(found, more=found.more or any(e["type"] == "message" for e in events[number:]))
            yield EventDraft({**event, **by}, source, source_clock)


def _by(found: Found, *, more: bool) -> dict[str, Any]:
    return {"since": found.since, **({"more": True} if more else {})}


def _events(source: str, name: str, rows: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    if not rows:
        yield _event(source, name, [])
    for _, part in bodies.slices(rows, LARGEST_ROW_BYTES):
        is_long = len(part) == 1 and len(orjson.dumps(part[0])) > LARGEST_ROW_BYTES
        yield from _in_pieces(source, name, part[0]) if is_long else [_event(source, name, part)]


def row_of(message: Message) -> dict[str, Any]:
    """Give a row as it is stored: what JSON can not hold without change, as text."""
    time = None if message.ticks is None else rfc3339(message.ticks)
    row = {"key": message.key, "change": message.change, "time": time, "text": message.text, "row": exact_json(message.row)}
    return row if message.order is None else {**row, "order": message.order}


def _event(source: str, name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"type": "message", "source": source, "name": name, "rows": list(rows)}


def _in_pieces(source: str, name: str, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut a row longer than an entry, as JSON text; nothing can be decided by it, so a finding tells a person."""
    text = orjson.dumps(row["row"]).decode()
    pieces = [text[at : at + PIECE_CHARACTERS] for at in range(0, len(text), PIECE_CHARACTERS)]
    for number, piece in enumerate(pieces, 1):
        yield _event(source, name, [{**row, "row": {}, "piece": piece, "part": number, "of": len(pieces)}])
    why = f"{name}: row {row['key']} is longer than an entry may hold; kept in {len(pieces)} pieces, not used for the context"
    yield finding_event(Finding("row-too-long", why[:500]), source)
