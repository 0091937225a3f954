"""Defines the commands for entries that a receiver did not take: see them, offer them again, dispose of them for a reason."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from buffer import Quarantined
from gateway.access import Actor
from gateway.entries.ticks import rfc3339
from gateway.operation.command import Command, Declined, needed, number
from gateway.operation.parts import Parts
from gateway.operation.uplink_commands import served

MOST_LISTED = 1_000


def quarantine_commands(parts: Parts) -> dict[str, Command]:
    """Return the commands by name. Listing and showing change nothing, and are not audited."""

    async def listed(arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
        uplink = str(arguments.get("uplink", "")).strip() or None
        found = parts.journal.receipts.quarantined(uplink)
        return {"entries": [await _told(parts, one) for one in found[:MOST_LISTED]], "count": len(found)}

    async def shown(arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
        (one,) = _chosen(parts, arguments, one=True)
        payload = await asyncio.to_thread(_payload, parts, one)
        return {**await _told(parts, one), "entry": None if payload is None else payload.decode()}

    async def resend(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        forwarder = served(parts, arguments)
        asks = forwarder.unaccepted.refusal is not None and number(arguments, "seq") is None
        held = [one for one in _chosen(parts, arguments, one=False, may_lack=asks) if one.state == "held"]
        if not held and not asks:
            raise Declined("nothing of it is held: what was disposed of is not offered again")
        what: dict[str, Any] = {"uplink": forwarder.status.name, "count": len(held)}
        what |= {"entries": [[one.epoch, one.seq] for one in held[:MOST_LISTED]], "schema_asked": asks}
        await parts.audit.record("quarantine-resend", what, by, target=f"uplink {forwarder.status.name}", old="held", new="offered again")
        forwarder.quarantine.offer([(one.epoch, one.seq) for one in held])
        if asks:
            forwarder.ask_again()
        return what

    async def dispose(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        forwarder = served(parts, arguments)
        (one,) = _chosen(parts, arguments, one=True)
        if one.state != "held":
            raise Declined(f"entry {one.seq} of epoch {one.epoch} was disposed of before")
        what = {"uplink": one.uplink, "epoch": one.epoch, "seq": one.seq, "code": one.code, "refused_for": one.reason}
        await parts.audit.record("quarantine-disposed", what, by, target=f"entry {one.epoch}/{one.seq}", old="held", new="disposed of")
        forwarder.quarantine.dispose((one.epoch, one.seq))
        return what

    return {"quarantine-list": listed, "quarantine-show": shown, "quarantine-resend": resend, "quarantine-dispose": dispose}


def _chosen(parts: Parts, arguments: Mapping[str, Any], *, one: bool, may_lack: bool = False) -> list[Quarantined]:
    """Return the entries that the arguments name. Raises Declined if there is none and has to be, or if it had to be one and is not."""
    uplink, epoch, seq = needed(arguments, "uplink"), number(arguments, "epoch"), number(arguments, "seq")
    if one and seq is None:
        raise Declined("a seq is needed")
    found = parts.journal.receipts.quarantined(uplink)
    found = [item for item in found if seq in (None, item.seq) and epoch in (None, item.epoch)]
    if not found and not may_lack:
        raise Declined(f"uplink {uplink} has no such entry in quarantine")
    if one and len(found) > 1:
        raise Declined(f"entry {seq} is in quarantine of epochs {', '.join(str(item.epoch) for item in found)}: which epoch?")
    return found


async def _told(parts: Parts, one: Quarantined) -> dict[str, Any]:
    """Describe an entry in quarantine: why it is there, and what it holds."""
    payload = await asyncio.to_thread(_payload, parts, one)
    entry = {} if payload is None else orjson.loads(payload)
    event = entry.get("event") or {}
    return {
        "uplink": one.uplink,
        "epoch": one.epoch,
        "seq": one.seq,
        "code": one.code,
        "retry": one.retry,
        "reason": one.reason,
        "since": rfc3339(one.since_ticks),
        "state": one.state,
        "type": event.get("type") or ("readings" if payload is not None else None),
        "batch": event.get("batch"),
        "record": event.get("record"),
    }


def _payload(parts: Parts, one: Quarantined) -> bytes | None:
    """Read an entry's bytes; None if it is not held any more."""
    entries = parts.journal.read((one.epoch, one.seq - 1), max_bytes=1, max_entries=1)
    return entries[0].payload if entries and (entries[0].epoch, entries[0].seq) == (one.epoch, one.seq) else None
