"""Defines the commands that the owner of the control socket may give. Each that changes something is recorded in the audit trail."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from buffer import verify
from gateway.evidence.keyring import NotRotated
from gateway.operation.command import Command, Declined, needed
from gateway.operation.parts import Parts
from gateway.operation.quarantine import quarantine_commands

DIGEST = re.compile("[0-9a-f]{64}")


def commands_of(parts: Parts) -> dict[str, Command]:
    """Return the commands of a running line by name, as the control socket and `ebr-gateway` call them."""
    rotating = asyncio.Lock()

    async def release_hold(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        batch, reason = needed(arguments, "batch"), needed(arguments, "reason")
        if not await parts.holds.release(batch, who, reason):
            raise Declined(f"no batch {batch} is held")
        return {"released": batch}

    async def rotate_key(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        reason = needed(arguments, "reason")
        async with rotating:
            await parts.checkpoints.sign("key-rotation")  # the old key's last word, over all before
            old = parts.keyring.signer.public
            try:
                new = await parts.keyring.rotate(parts.audit.key_changed, who, reason)
            except NotRotated as error:
                raise Declined(str(error)) from error
            await parts.checkpoints.sign("key-rotation")
        return {"old": old, "public": new}

    async def sign_archive(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        text = str(arguments.get("text", ""))
        lines = text.split("\n")
        if (
            len(lines) != 5
            or lines[0] != verify.SUMS_SIGNED
            or lines[1] != parts.line.gateway
            or not DIGEST.fullmatch(lines[3])
            or lines[4]
        ):
            raise Declined("this is not what an archive's sums look like")  # a key that signs anything proves nothing
        note = parts.keyring.signer.note(text)
        what = {"batch": lines[2], "sums_sha256": lines[3]}
        await parts.audit.record("archive", what, "asked for", who)
        return {"note": note}

    async def retire_uplink(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        name, reason = needed(arguments, "uplink"), needed(arguments, "reason")
        if name in {uplink.name for uplink in parts.line.uplinks}:
            raise Declined(f"uplink {name} stands in line.toml: it is served, and let go by taking it out there")
        cursor = parts.journal.receipts.cursors().get(name)
        if cursor is None:
            raise Declined(f"the journal holds nothing for an uplink {name}")
        left = await asyncio.to_thread(parts.journal.receipts.depth, name)
        what = {"uplink": name, "confirmed": list(cursor.at), "unconfirmed": left.entries}
        await parts.audit.record("uplink-retired", what, reason, who)
        parts.journal.receipts.retire(name)
        return what

    async def new_epoch(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        epoch, seq = parts.journal.last
        what = {"epoch": epoch, "seq": seq}
        await parts.audit.record("epoch-left", what, needed(arguments, "reason"), who)
        await asyncio.to_thread(parts.journal.leave_epoch)
        return what

    return {
        "release-hold": release_hold,
        "rotate-key": rotate_key,
        "sign-archive": sign_archive,
        "retire-uplink": retire_uplink,
        "new-epoch": new_epoch,
        **quarantine_commands(parts),
    }
