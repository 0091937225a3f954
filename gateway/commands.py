"""What the owner of the control socket may have the running gateway do: each is named, done by the gateway itself, and audited."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.keyring import NotRotated

if TYPE_CHECKING:
    from gateway.runtime import Gateway

Command = Callable[[Mapping[str, Any], str], Awaitable[dict[str, Any]]]
"""(arguments, who) -> the answer. Raises Declined."""


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

    return {"release-hold": release_hold, "rotate-key": rotate_key}


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = str(arguments.get(name, "")).strip()
    if not value:
        raise Declined(f"a {name} is needed")
    return value
