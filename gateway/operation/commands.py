"""What the owner of the control socket may have the running gateway do: each is named, done by the gateway itself, and audited."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from buffer import verify
from gateway.evidence.keyring import NotRotated

if TYPE_CHECKING:
    from gateway.runtime.gateway import Gateway

Command = Callable[[Mapping[str, Any], str], Awaitable[dict[str, Any]]]
"""(arguments, who) -> the answer. Raises Declined."""


DIGEST = re.compile("[0-9a-f]{64}")


class Declined(Exception):
    """The gateway does not do it; the text says why."""


def commands_of(gateway: "Gateway") -> dict[str, Command]:
    """Name -> command."""
    rotating = asyncio.Lock()

    async def release_hold(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        batch, reason = _text(arguments, "batch"), _text(arguments, "reason")
        if not await gateway.release(batch, who, reason):
            raise Declined(f"no batch {batch} is held")
        return {"released": batch}

    async def rotate_key(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        reason = _text(arguments, "reason")
        async with rotating:
            await gateway.checkpoints.sign("key-rotation")  # the old key's last word, over all before
            old = gateway.keyring.signer.public
            try:
                new = await gateway.keyring.rotate(gateway.key_changed, who, reason)
            except NotRotated as error:
                raise Declined(str(error)) from error
            await gateway.checkpoints.sign("key-rotation")
        return {"old": old, "public": new}

    async def sign_archive(arguments: Mapping[str, Any], who: str) -> dict[str, Any]:
        text = str(arguments.get("text", ""))
        lines = text.split("\n")
        if (
            len(lines) != 5
            or lines[0] != verify.SUMS_SIGNED
            or lines[1] != gateway.line.gateway
            or not DIGEST.fullmatch(lines[3])
            or lines[4]
        ):
            raise Declined("this is not what an archive's sums look like")  # a key that signs anything proves nothing
        note = gateway.keyring.signer.note(text)
        what = {"batch": lines[2], "sums_sha256": lines[3]}
        await gateway.happened({"type": "audit", "action": "archive", "who": who, "what": what, "reason": "asked for"})
        return {"note": note}

    return {"release-hold": release_hold, "rotate-key": rotate_key, "sign-archive": sign_archive}


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = str(arguments.get(name, "")).strip()
    if not value:
        raise Declined(f"a {name} is needed")
    return value
