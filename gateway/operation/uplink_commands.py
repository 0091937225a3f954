"""Defines the commands on uplinks that people may give: let one go that is named no more, begin a new epoch, send a range again."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.access import Actor
from gateway.operation.command import Command, Declined, needed, number
from gateway.operation.parts import Parts
from gateway.uplink import Forwarder, Range

MOST_REPLAYED = 100_000
"""Entries of one replay: a slip of the hand must not keep a receiver busy for days."""


def uplink_commands(parts: Parts) -> dict[str, Command]:
    """Return the commands by name, as `commands_of` does."""
    ordering = asyncio.Lock()

    async def retire_uplink(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        name = needed(arguments, "uplink")
        if name in {uplink.name for uplink in parts.line.uplinks}:
            raise Declined(f"uplink {name} stands in line.toml: it is served, and let go by taking it out there")
        cursor = parts.journal.receipts.cursors().get(name)
        if cursor is None:
            raise Declined(f"the journal holds nothing for an uplink {name}")
        left = await asyncio.to_thread(parts.journal.receipts.depth, name)
        what = {"uplink": name, "confirmed": list(cursor.at), "unconfirmed": left.entries}
        await parts.audit.record("uplink-retired", what, by, target=f"uplink {name}", old="kept for", new="let go")
        parts.journal.receipts.retire(name)
        return what

    async def new_epoch(_arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        epoch, seq = parts.journal.last
        what = {"epoch": epoch, "seq": seq}
        await parts.audit.record("epoch-left", what, by, target=f"epoch {epoch}", old="goes on", new="ends with this run")
        await asyncio.to_thread(parts.journal.leave_epoch)
        return what

    async def replay(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        forwarder = served(parts, arguments)
        name = forwarder.status.name
        async with ordering:
            if (runs := forwarder.replay.range) is not None:
                raise Declined(f"uplink {name} replays {runs} now: one after the other")
            wanted = _wanted(parts, name, arguments)
            what = {"uplink": name, "epoch": wanted.epoch, "first": wanted.first, "last": wanted.last}
            await parts.audit.record("replay", what, by, target=f"uplink {name}", old="confirmed", new="sent again")
            forwarder.replay.order(wanted)
        return what

    return {"retire-uplink": retire_uplink, "new-epoch": new_epoch, "replay": replay}


def served(parts: Parts, arguments: Mapping[str, Any]) -> Forwarder:
    """Return the forwarder of the uplink that the arguments name. Raises Declined."""
    name = needed(arguments, "uplink")
    found = next((forwarder for forwarder in parts.uplinks if forwarder.status.name == name), None)
    if found is None:
        raise Declined(f"the line has no uplink {name}")
    return found


def _wanted(parts: Parts, name: str, arguments: Mapping[str, Any]) -> Range:
    """Return the range to be sent again: all of it held, and confirmed. Raises Declined, with what stands in the way."""
    first, last = number(arguments, "first"), number(arguments, "last")
    if first is None or last is None or not 0 < first <= last:
        raise Declined("the numbers of the first and the last entry are needed, the first not above the last")
    if last - first >= MOST_REPLAYED:
        raise Declined(f"{last - first + 1:,} entries are more than {MOST_REPLAYED:,}: name a smaller range, and the next one after it")
    runs = parts.journal.ranges()
    wanted = Range(_epoch(runs, number(arguments, "epoch"), first, last), first, last)
    held = [(low, high) for epoch, low, high in runs if epoch == wanted.epoch]
    if gone := _missing(held, first, last):
        told = ", ".join(f"{low} to {high}" for low, high in gone[:10])
        raise Declined(f"of epoch {wanted.epoch} the entries {told} are not held here any more: nothing is sent; an archive has them")
    cursor = parts.journal.cursor(name)
    if (wanted.epoch, last) > cursor:
        raise Declined(f"uplink {name} has confirmed up to entry {cursor[1]} of epoch {cursor[0]}: what lies behind it goes out by itself")
    return wanted


def _epoch(runs: list[tuple[int, int, int]], wanted: int | None, first: int, last: int) -> int:
    """Return the epoch of a range: the one that is named, else the only one that holds anything of it. Raises Declined."""
    if wanted is not None:
        return wanted
    found = sorted({epoch for epoch, low, high in runs if low <= last and first <= high})
    if len(found) > 1:
        raise Declined(f"epochs {', '.join(map(str, found))} have entries of these numbers: which epoch?")
    if not found:
        raise Declined(f"entries {first} to {last} are not held here: nothing is sent")
    return found[0]


def _missing(held: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Return the stretches of a range that lie in no run."""
    gone, following = [], first
    for low, high in sorted(held):
        if high < following or low > last:
            continue
        if low > following:
            gone.append((following, low - 1))
        following = high + 1
    return [*gone, (following, last)] if following <= last else gone
