"""Defines the commands on the versions of a line's configuration, for the running gateway and, by the same functions, where none runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from config import ConfigError
from gateway.access import Actor
from gateway.access.gate import Record
from gateway.changes import NotAllowed, Register, Version
from gateway.operation import drafts
from gateway.operation.command import Command, Declined, needed, number
from gateway.operation.document_commands import Surroundings, recorded

MOST_NAMED = 20


def change_commands(register: Register, record: Record, documents: Callable[[], Surroundings]) -> dict[str, Command]:
    """Return the commands by name. record: appends an audit event, of what is refused. documents: what making one needs of the line."""
    done: dict[str, Command] = {
        "config-propose": partial(_propose, register, documents),
        "config-approve": partial(_decide, register, "approve"),
        "config-reject": partial(_decide, register, "reject"),
        "config-activate": partial(_activate, register),
        "config-rollback": partial(_roll_back, register),
        "config-history": partial(_history, register),
        "config-show": partial(_show, register),
        "config-impact": partial(_impact, register),
        "config-assessment": partial(_assessment, register),
    }
    return {name: partial(_carried_out, name, command, record) for name, command in done.items()}


async def _carried_out(name: str, command: Command, record: Record, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    try:
        return await command(arguments, by)
    except NotAllowed as error:
        if error.cause is not None:
            await record("refused", {"command": name, "cause": error.cause, "user": by.user}, by, target=f"command {name}")
        raise Declined(str(error)) from error
    except ConfigError as error:
        raise Declined("\n".join(map(str, error.problems[:MOST_NAMED]))) from error
    except OSError as error:
        raise Declined(f"it can not be kept: {error}") from error


async def _propose(register: Register, documents: Callable[[], Surroundings], arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    version, assessed = await register.propose(by, change_no=needed(arguments, "change_no"), author=_text(arguments, "author"))
    document = await _assessed(register, documents(), version, assessed, by)
    touched = {name: assessed[name] for name in ("changes", "criticality", "equipment", "interfaces", "tests")}
    return {**_told(version), "change_no": version.begun.change_no, **touched, "document": document}


async def _assessed(
    register: Register, line: Surroundings, version: Version, assessed: Mapping[str, Any], by: Actor
) -> dict[str, str] | None:
    """Record the impact assessment of a version as a document, and keep it; None where it is too long for one."""
    begun = version.begun
    open_ = await asyncio.to_thread(register.impact, version.number)
    try:
        drafted = drafts.of_impact(version.number, begun.change_no, begun.impact, assessed, open_["batches"])
    except drafts.TooLong:
        return None
    document = await recorded(line, drafted, by)
    await asyncio.to_thread(register.keep_assessment, document)
    return {"id": str(document["id"]), "sha256": str(document["sha256"])}


async def _decide(register: Register, deed: Any, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    return _told(await register.decide(deed, _number(arguments), by, meaning=needed(arguments, "meaning")))


async def _activate(register: Register, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    return await _in_force(partial(register.activate, _number(arguments), by), arguments)


async def _roll_back(register: Register, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    return await _in_force(partial(register.roll_back, _number(arguments), by), arguments)


async def _in_force(deed: Callable[..., Awaitable[tuple[Version, bool]]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    version, runs = await deed(emergency=arguments.get("emergency") is True)
    return {**_told(version), "runs": runs, "batches": list(version.acts[-1].act.batches)}


async def _history(register: Register, _arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
    return await asyncio.to_thread(register.described)


async def _show(register: Register, arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
    return await asyncio.to_thread(register.described, _number(arguments))


async def _impact(register: Register, arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
    return await asyncio.to_thread(register.impact, _number(arguments))


async def _assessment(register: Register, arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
    return {"document": await asyncio.to_thread(register.assessment, _number(arguments))}


def _told(version: Version) -> dict[str, Any]:
    return {"version": version.number, "sha256": version.sha256, "state": version.state}


def _number(arguments: Mapping[str, Any]) -> int:
    given = number(arguments, "version")
    if given is None:
        raise Declined("a version is needed")
    return given


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    return str(arguments.get(name) or "").strip()[:60] or None
