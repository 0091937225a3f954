"""Defines the commands on uplinks that people may give: let one go that is named no more, begin a new epoch."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.access import Actor
from gateway.operation.command import Command, Declined, needed
from gateway.operation.parts import Parts


def uplink_commands(parts: Parts) -> dict[str, Command]:
    """Return the commands by name, as `commands_of` does."""

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

    return {"retire-uplink": retire_uplink, "new-epoch": new_epoch}
