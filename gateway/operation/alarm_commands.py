"""Defines what persons do about alarms: list them, acknowledge one with a comment, shelve it for a time, take it from the shelf."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from gateway.access import Actor
from gateway.alarms import Held, code_of
from gateway.alarms.acknowledging import ACKNOWLEDGED, LONGEST_SHELF_TICKS, MOST_SHELVES, SHELVED, UNKEPT, UNSHELVED
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339
from gateway.operation import findings
from gateway.operation.command import Command, Declined, needed
from gateway.operation.parts import Parts


def alarm_commands(parts: Parts) -> dict[str, Command]:
    """Return the commands by name. Listing changes nothing, and nobody is asked for it."""

    async def listed(_arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
        now = parts.clock.stamp().ticks
        return findings.described(parts.fold.findings.found, now, ZoneInfo(parts.line.line.timezone))

    async def acknowledge(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        id_ = needed(arguments, "id")
        if id_ == UNKEPT:
            return await _unkept(parts, by)
        held = _held(parts, id_)
        whom = code_of(held.code).whom
        if held.acknowledged is not None:
            raise Declined(f"alarm {id_} was acknowledged by {held.acknowledged.name or held.acknowledged.user} before")
        if whom == "qa" and by.who["role"] not in {None, "qa"}:
            raise Declined(f"alarm {id_}, {held.code}, is for qa: nobody else acknowledges it")
        old = "raised" if held.cleared is None else "cleared"
        await parts.audit.record(ACKNOWLEDGED, _facts(held), by, target=f"alarm {id_}", old=old, new="acknowledged")
        return {"id": id_, "code": held.code, "state": "acknowledged"}

    async def shelve(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        held, now = _held(parts, needed(arguments, "id")), parts.clock.stamp().ticks
        until = _until(needed(arguments, "until"), now)
        if held.severity != "alarm":
            raise Declined(f"{held.id} is a warning: it is in no banner, there is nothing to shelve")
        if len(parts.fold.findings.found.shelves) >= MOST_SHELVES:
            raise Declined(f"{MOST_SHELVES} alarms are shelved: more would be a plant without alarms")
        what = {**_facts(held), "until": rfc3339(until)}
        old = "shelved" if parts.fold.findings.found.shelf(held, now) else "shown"
        await parts.audit.record(SHELVED, what, by, target=f"alarm {held.id}", old=old, new=f"shelved until {rfc3339(until)}")
        return {"id": held.id, "code": held.code, "until": rfc3339(until)}

    async def unshelve(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        held, now = _held(parts, needed(arguments, "id")), parts.clock.stamp().ticks
        if parts.fold.findings.found.shelf(held, now) is None:
            raise Declined(f"alarm {held.id} is not shelved")
        await parts.audit.record(UNSHELVED, _facts(held), by, target=f"alarm {held.id}", old="shelved", new="shown")
        return {"id": held.id, "code": held.code}

    return {"alarm-list": listed, "alarm-ack": acknowledge, "alarm-shelve": shelve, "alarm-unshelve": unshelve}


async def _unkept(parts: Parts, by: Actor) -> dict[str, Any]:
    """Acknowledge the alarms for which there was no room, all at once: they are in the history alone."""
    lost = parts.fold.findings.found.unacknowledged
    if not lost:
        raise Declined("for every alarm there was room")
    await parts.audit.record(ACKNOWLEDGED, {"id": UNKEPT, "count": lost}, by, target=f"alarm {UNKEPT}", old="raised", new="acknowledged")
    return {"id": UNKEPT, "code": f"{lost:,} alarms", "state": "acknowledged"}


def _held(parts: Parts, id_: str) -> Held:
    held = parts.fold.findings.found.named(id_)
    if held is None:
        raise Declined(f"no alarm {id_[:60]} is held: alarms list tells their ids")
    return held


def _facts(held: Held) -> dict[str, Any]:
    """Tell in the record what it is about: the id alone says nothing to who reads it in ten years."""
    told = {"id": held.id, "code": held.code, "severity": held.severity, "source": held.source or None, "raised_seq": held.seq}
    return {**told, "raised": rfc3339(held.since), "text": held.text, "batches": held.batches}


def _until(text: str, now: int) -> int:
    try:
        until = from_rfc3339(text)
    except ValueError:
        raise Declined(f"until: {text[:60]} is no time; write it as 2026-12-01T06:00:00+01:00") from None
    if until <= now:
        raise Declined("until: this time is over")
    if until - now > LONGEST_SHELF_TICKS:
        raise Declined(f"until: an alarm is shelved for {LONGEST_SHELF_TICKS // TICKS_PER_S // 3_600} h at most")
    return until
