"""Gives the commands that need no running gateway: what they do is written down beside the journal, and the next start takes it in."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buffer import keys
from config import Identity
from gateway.access import Access, Actor, Offline, Refused, UsersUnreadable, alone, myself
from gateway.evidence.keyring import key_place
from gateway.operation.archive_sums import archive_sums
from gateway.operation.certificate_commands import certificate_commands
from gateway.operation.command import Command, Declined, needed
from gateway.operation.user_commands import user_commands

OFFLINE = ("certs-make", "certs-trust", "restore", "sign-archive")
"""With those whose name begins with `users-`."""


def works_offline(command: str) -> bool:
    """Return whether a command needs no running gateway."""
    return command in OFFLINE or command.startswith("users-")


def done_offline(line: Identity, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Carry a command out while no gateway runs, by who runs this program; return its answer, with `error` if it was declined.

    Raises BlockingIOError if a gateway runs, OSError, keys.KeyUnusable.
    """
    offline = Offline(line.data, line.gateway, line.line.timezone)
    access = Access(line, offline.record, offline.happened)
    commands = {
        **user_commands(access),
        **certificate_commands(offline.record),
        "restore": _restore(offline),
        "sign-archive": _sign_archive(line, offline),
    }

    async def carried_out() -> dict[str, Any]:
        try:
            return await commands[command](arguments, await access.admitted(command, arguments, myself()))
        except Refused as error:
            return {"error": str(error), "refused": error.cause}
        except (Declined, UsersUnreadable) as error:
            return {"error": str(error)}

    with alone(line.data):
        return asyncio.run(carried_out())


def not_restored(line: Identity, source: Path, why: str) -> None:
    """Write down that a restore that was begun has changed nothing. Raises OSError."""
    offline = Offline(line.data, line.gateway, line.line.timezone)
    asyncio.run(offline.record("restore-refused", {"from": str(source), "why": why}, target="journal"))


def _restore(offline: Offline) -> Command:
    async def restore(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        source, ebr = needed(arguments, "source"), str(arguments.get("ebr") or "") or None
        await offline.record("restore", {"from": source, "ebr": ebr}, by, target="journal", old="gone", new=f"the backup {source}")
        return {"source": source}

    return restore


def _sign_archive(line: Identity, offline: Offline) -> Command:
    async def sign(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        text = str(arguments.get("text", ""))
        what = archive_sums(text, line.gateway)
        signer = keys.load(key_place(line.data), line.gateway)
        await offline.record("archive", what, by, target=f"batch {what['batch']}")
        return {"note": signer.note(text)}

    return sign
