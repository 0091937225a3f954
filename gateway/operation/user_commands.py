"""Defines the commands on the list of users, for the running gateway and, by the same functions, where none runs."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from config.sections import Role
from gateway.access import ROLES, Access, Actor, Directory, NotPossible, report, users
from gateway.access import passwords as words
from gateway.operation.command import Command, Declined, needed

Transition = Callable[[Directory, int], Directory]
"""The list of users, and the time in ticks -> the list as it is then. Raises NotPossible."""


def user_commands(access: Access) -> dict[str, Command]:
    """Return the commands by name. Listing changes nothing, and nobody is asked for it."""
    return {
        "users-list": partial(_list, access),
        "users-add": partial(_add, access),
        "users-disable": partial(_disable, access),
        "users-enable": partial(_enable, access),
        "users-role": partial(_role, access),
        "users-reset": partial(_reset, access),
        "users-password": partial(_password, access),
    }


async def _list(access: Access, _arguments: Mapping[str, Any], _by: Actor) -> dict[str, Any]:
    return await asyncio.to_thread(report.describe, access)


async def _add(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    user, name, role = needed(arguments, "user"), needed(arguments, "name"), _role_of(arguments)
    password, told = _first_password(arguments)
    await _changed(access, "user-added", user, by, lambda all_, now: users.added(all_, user, name, role, password, by.who["user"], now))
    return {"user": user, "name": name, "role": role, **told}


async def _disable(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    user = needed(arguments, "user")
    return await _changed(access, "user-disabled", user, by, lambda all_, now: users.disabled(all_, user, by.who["user"], now))


async def _enable(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    user = needed(arguments, "user")
    return await _changed(access, "user-enabled", user, by, lambda all_, now: users.enabled(all_, user, access.settings, now))


async def _role(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    user, role = needed(arguments, "user"), _role_of(arguments)
    return await _changed(access, "user-role", user, by, lambda all_, now: users.with_role(all_, user, role, by.who["user"], now))


async def _reset(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    user = needed(arguments, "user")
    password, told = _first_password(arguments)
    changed = partial(users.with_password, user=user, password=password, own=False)
    return {**await _changed(access, "user-reset", user, by, lambda all_, now: changed(all_, now=now)), **told}


async def _password(access: Access, arguments: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    password, user = str(arguments.get("new_password") or ""), by.user
    if user is None:
        raise Declined("whose password? say who you are with --user")
    changed = partial(users.with_password, user=user, password=password, own=True)
    return await _changed(access, "user-password", user, by, lambda all_, now: changed(all_, now=now))


async def _changed(access: Access, action: str, user: str, by: Actor, transition: Transition) -> dict[str, Any]:
    try:
        access.local()
        after = await access.change(action, user, by, transition)
    except NotPossible as error:
        raise Declined(str(error)) from error
    return {"user": user, "role": after.role, "state": after.state}


def _first_password(arguments: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return a first password, and what the answer says of it: one that was made here has to be handed to the person."""
    given = str(arguments.get("new_password") or "")
    made = given or words.first()
    return made, {} if given else {"first_password": made}


def _role_of(arguments: Mapping[str, Any]) -> Role:
    role = needed(arguments, "role")
    if role not in ROLES:
        raise Declined(f"{role[:60]} is no role; there are {', '.join(ROLES)}")
    return role
