"""From the rows of a MES, or the records of a dropped file, to `message` events. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from drivers.contract import Finding, Message
from drivers.exact_json import exact_json
from gateway.entries import bodies
from gateway.entries.ticks import rfc3339
from gateway.intake.drafts import EventDraft
from gateway.intake.findings import finding_event

LARGEST_ROW_BYTES = 49_152
PIECE_CHARACTERS = 7_000  # JSON in JSON: a control character takes seven bytes


def row_drafts(messages: Sequence[Message], source: str, source_clock: Mapping[str, Any] | None) -> Iterator[EventDraft]:
    """Draft the events of a list: rows of one name together, as many as an entry may hold; a longer row in pieces."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        by_name.setdefault(message.name, []).append(row_of(message))
    for name, rows in by_name.items():
        for _, part in bodies.slices(rows, LARGEST_ROW_BYTES):
            is_long = len(part) == 1 and len(orjson.dumps(part[0])) > LARGEST_ROW_BYTES
            for event in _in_pieces(source, name, part[0]) if is_long else [_event(source, name, part)]:
                yield EventDraft(event, source, source_clock)


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
