"""Gives the commands that need no running gateway: what they do is written down beside the journal, and the next start takes it in."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import config
from buffer import keys, read_journal
from buffer.restore.backup import position_of
from buffer.times import now_ticks
from config import Identity
from config.sections import Observation
from gateway.access import Access, Actor, Offline, Refused, UsersUnreadable, alone, myself
from gateway.access.store import given_to_owner
from gateway.changes import Register, Surroundings, known_act, retired
from gateway.changes.register import Check
from gateway.evidence import fallbacks
from gateway.evidence.keyring import PUBLIC, key_place
from gateway.operation.archive_sums import archive_sums
from gateway.operation.certificate_commands import certificate_commands
from gateway.operation.change_commands import change_commands
from gateway.operation.command import Command, Declined, needed
from gateway.operation.document_commands import Surroundings as Documents
from gateway.operation.document_commands import document_commands
from gateway.operation.document_state import stated_offline
from gateway.operation.explaining import explaining
from gateway.operation.fallback_commands import Surroundings as Fallbacks
from gateway.operation.fallback_commands import fallback_commands
from gateway.operation.observing import observation_commands
from gateway.operation.user_commands import user_commands

OFFLINE = (
    "certs-make",
    "certs-trust",
    "compare-explain",
    "document-record",
    "document-sign",
    "fallback-begin",
    "fallback-end",
    "observation-end",
    "qualification-dispose",
    "restore",
    "retire",
    "sign-archive",
)
"""With those whose name begins with `users-` or `config-`."""


def works_offline(command: str) -> bool:
    """Return whether a command needs no running gateway."""
    return command in OFFLINE or command.startswith(("users-", "config-"))


def done_offline(line: Identity, command: str, arguments: Mapping[str, Any], check: Check) -> dict[str, Any]:
    """Carry a command out while no gateway runs, by who runs this program; return its answer, with `error` if it was declined.

    check: reads a line folder, as `gateway.runtime.assembly.check`. Raises BlockingIOError if a gateway runs, OSError, keys.KeyUnusable.
    """
    if command != "retire" and (why := retired.in_the_way(line.data, line.folder)) is not None:
        return {"error": why}
    offline = Offline(line.data, line.gateway, line.line.timezone)
    access = Access(line, offline.record, offline.happened)
    commands = {
        **user_commands(access),
        **certificate_commands(offline.record),
        **explaining(offline.record),
        **fallback_commands(lambda: _of_fallbacks(line.data, offline, ZoneInfo(line.line.timezone))),
        "restore": _restore(offline),
        "retire": _retire(line, offline),
        "sign-archive": _sign_archive(line, offline),
        **document_commands(lambda: _of_documents(line, offline)),
        **observation_commands(lambda: _of_documents(line, offline), lambda: _observation(line), lambda: line.data),
        **change_commands(Register(_surroundings(line, offline, check)), offline.record, lambda: _of_documents(line, offline)),
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


def _surroundings(line: Identity, offline: Offline, check: Check) -> Surroundings:
    """Give what acts on versions need while no gateway runs. Before the first start no batch is open; after it nobody can know."""
    held = (line.data / "journal.db").exists()
    ran = held or (line.data / "lock").exists()  # a journal that is gone proves no batch to be over
    return Surroundings(
        folder=line.folder,
        data=line.data,
        gateway=line.gateway,
        zone=line.line.timezone,
        check=check,
        record=offline.record,
        happened=offline.happened,
        signer=lambda: _signer(line.data, line.gateway),
        ran=lambda: _last_version(line.data) if held else 0,
        batches=lambda: None if ran else (),
        known=lambda: known_act(line.data) if held else None,
    )


def _of_documents(line: Identity, offline: Offline) -> Documents:
    """Give what documents need while no gateway runs."""

    async def record(event: Mapping[str, Any]) -> None:
        offline.happened({**event, "site_zone": line.line.timezone})

    def publics() -> list[str]:
        path = line.data / PUBLIC
        return path.read_text("ascii").split() if path.exists() else []

    return Documents(
        line=line.line.name,
        gateway=line.gateway,
        zone=line.line.timezone,
        state=lambda: stated_offline(line, now_ticks()),
        signer=lambda: _signer(line.data, line.gateway),
        keys=publics,
        record=record,
    )


def _observation(line: Identity) -> Observation | None:
    read, _ = config.read(line.folder)
    return None if read is None else read.observation


def _of_fallbacks(data: Path, offline: Offline, zone: ZoneInfo) -> Fallbacks:
    """Give what the commands of a fallback need while no gateway runs: what the journal holds, and what waits for the next start."""
    told = fallbacks.fallbacks(data)
    held = position_of(data) if (data / "journal.db").exists() else (0, 0)
    return Fallbacks(
        standing=lambda: fallbacks.standing(told),
        through=lambda: fallbacks.through(told),
        now=now_ticks,
        equipments=None,
        held=lambda: None if held == (0, 0) else held,
        record=offline.record,
        verified=None,
        zone=zone,
    )


def _signer(data: Path, gateway: str) -> keys.Signer:
    """Load the line's key; before the first start one is made, which that start adopts. Raises keys.KeyUnusable, OSError."""
    place = key_place(data)
    if not place.exists():
        if (data / PUBLIC).exists():
            raise keys.KeyUnusable(f"{place} is not there: where the key is a systemd credential, the running gateway signs alone")
        keys.create(place, gateway)
        for made in (place, place.with_name(f"{place.name}.pub")):
            with made.open("rb") as file:
                given_to_owner(file.fileno(), data)
    return keys.load(place, gateway)


def _last_version(data: Path) -> int:
    """Return the number of the configuration under which the newest entry was made."""
    epoch, seq = position_of(data)
    newest = 0
    for entry in read_journal(data, (epoch, max(seq - 1, 0))):
        newest = int((json.loads(entry.payload).get("config") or {}).get("version", newest))
    return newest


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


def _retire(line: Identity, offline: Offline) -> Command:
    """Begin a retirement, or go on with it; or, as long as nothing was erased, give it up. What follows is `gateway.retirement`'s."""

    async def retire(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        if by.reason is None:
            raise Declined("a reason is needed: why the line is retired, or goes on to be")
        before = retired.read(line.data)
        if before is not None and (before.told["begun"] is None or retired.ENDED in before.done):
            raise Declined(str(retired.in_the_way(line.data, line.folder)))
        if arguments.get("abandon") is True:
            await _abandon(line, offline, before, by)
            return {}
        to, accepted = needed(arguments, "to"), list(arguments.get("accepted", ()))
        if before is not None and before.told["to"] != to:
            raise Declined(f"it was begun with --to {before.told['to']}: what was made lies there")
        for one in accepted:
            await offline.record("retirement-accepted", one, by, target=one["what"], old="stands in the way", new="accepted")
        action, state = ("retirement-begun", "in service") if before is None else ("retirement-continued", "half retired")
        await offline.record(action, {"to": to}, by, target=f"line {line.gateway}", old=state, new="being retired")
        retired.begin(line.data, line.gateway, to, accepted, by, arguments.get("options"), arguments.get("secrets"))
        return {"who": by.who, "where": by.where, "reason": by.reason, "user": by.user}

    return retire


async def _abandon(line: Identity, offline: Offline, before: retired.Retirement | None, by: Actor) -> None:
    if before is None:
        raise Declined("nobody has begun to retire this line")
    if before.is_erasing:
        raise Declined("secrets were erased already: there is no way back, a line that is to run again is set up anew")
    await offline.record(
        "retirement-abandoned", {"to": before.told["to"]}, by, target=f"line {line.gateway}", old="half retired", new="in service"
    )
    retired.abandon(line.data)


def _sign_archive(line: Identity, offline: Offline) -> Command:
    async def sign(arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        text = str(arguments.get("text", ""))
        what = archive_sums(text, line.gateway)
        signer = keys.load(key_place(line.data), line.gateway)
        await offline.record("archive", what, by, target=f"batch {what['batch']}")
        return {"note": signer.note(text)}

    return sign
