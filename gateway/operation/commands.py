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
from gateway.operation.uplink_commands import uplink_commands

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
        batch, digest = _archive_sums(text, parts.line.gateway)
        note = parts.keyring.signer.note(text)
        what = {"batch": batch, "sums_sha256": digest}
        await parts.audit.record("archive", what, "asked for", who)
        return {"note": note}

    return {
        "release-hold": release_hold,
        "rotate-key": rotate_key,
        "sign-archive": sign_archive,
        **uplink_commands(parts),
        **quarantine_commands(parts),
    }


def _archive_sums(text: str, gateway: str) -> tuple[str, str]:
    """Return batch and digest of the sums of an archive. Raises Declined for any other text: a key that signs anything proves nothing."""
    lines = text.split("\n")
    if len(lines) != 5 or lines[:2] != [verify.SUMS_SIGNED, gateway] or not DIGEST.fullmatch(lines[3]) or lines[4]:
        raise Declined("this is not what an archive's sums look like")
    return lines[2], lines[3]
