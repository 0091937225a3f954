"""Reads an entry by the published schemas alone, without any of the gateway's code."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

Stream = tuple[str, int]
"""(gateway, epoch)"""

NOTHING = "0" * 64
MAX_ENTRY_BYTES = 65_536
READINGS, EVENT = "ebr-gateway/readings/1", "ebr-gateway/event/1"

ROW_CHANGES = ("source-row-changed", "source-row-deleted")
"""Findings that concern the batch that they name, however long after it they come."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Unreadable(ValueError):
    """The bytes are no entry: there is nothing to which an answer could refer."""


class Refusal(NamedTuple):
    """The reason why an entry is not taken. retry: later, after-change, never."""

    code: str
    retry: str = "after-change"
    reason: str = ""


class Fact(NamedTuple):
    """A key to find an entry by: its kind (an event's type, or readings), batch, source, time."""

    kind: str
    batch: str | None
    source: str | None
    time: str


class Entry(NamedTuple):
    """One entry as received. item: its JSON. digest: over exactly the received bytes."""

    gateway: str
    epoch: int
    seq: int
    digest: str
    payload: bytes
    item: dict[str, Any]

    @property
    def stream(self) -> Stream:
        """The stream that the entry belongs to: (gateway, epoch)."""
        return self.gateway, self.epoch

    def unsupported(self) -> Refusal | None:
        """The refusal of an entry whose schema this EBR does not support; None if it does."""
        schema = self.item.get("schema")
        return None if schema in (READINGS, EVENT) else Refusal("schema-unsupported", "after-change", f"schema {str(schema)[:80]!r}")


def read(payload: bytes) -> Entry:
    """Read the head of an entry. Raises Unreadable."""
    if len(payload) > MAX_ENTRY_BYTES:
        raise Unreadable(f"{len(payload)} bytes are more than an entry may have")
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error}") from error
    if not isinstance(item, dict):
        raise Unreadable("not a JSON object")
    gateway, epoch, seq, previous = (item.get(name) for name in ("gateway", "epoch", "seq", "previous"))
    if not isinstance(gateway, str) or not gateway or type(epoch) is not int or type(seq) is not int or seq < 1 or epoch < 0:
        raise Unreadable("gateway, epoch or seq is missing")
    if not isinstance(previous, str) or not _DIGEST.fullmatch(previous) or not isinstance(item.get("time"), str):
        raise Unreadable("previous or time is missing")
    return Entry(gateway, epoch, seq, hashlib.sha256(payload).hexdigest(), payload, item)


def record_id(item: dict[str, Any]) -> str:
    """Make the id of a single record, as docs/uplink.md composes it."""
    event = item["event"]
    revision = event.get("revision") or 1
    if not event.get("record"):
        return f"{item['gateway']}/{item['epoch']}/{item['seq']}#{revision}"
    name = event["record"]
    if event.get("transition") not in (None, "end"):
        name += f"/{event['transition']}"
    if event["type"] == "batch" and event.get("equipment"):
        name += f"/{event['equipment']}"
    return f"{name}#{revision}" + (f".{event['part']}" if event.get("of", 1) > 1 else "")


def facts(item: dict[str, Any]) -> list[Fact]:
    """List the keys to find an entry by: one per batch that it concerns, at least one."""
    if item["schema"] == EVENT:
        event = item.get("event") or {}
        kind, batches, source = str(event.get("type")), _batches_of_event(event), event.get("source")
    else:
        kind, source = "readings", item.get("source")
        batches = {context.get("batch") for context in (item.get("contexts") or {}).values()}
    named: list[str | None] = [*sorted(batch for batch in batches if isinstance(batch, str) and batch)]
    return [Fact(kind, batch, source if isinstance(source, str) else None, item["time"]) for batch in named or [None]]


def _batches_of_event(event: dict[str, Any]) -> set[Any]:
    if event.get("code") in ROW_CHANGES:
        return set(_walk((event.get("evidence") or {}).get("batch")))
    sides = [event.get(name) or {} for name in ("from", "to")] if event.get("type") == "rebind" else []
    return set(_walk(event.get("batch"))) | {batch for side in sides for batch in _walk(side.get("batch"))}


def _walk(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)
