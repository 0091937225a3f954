"""Users that the operating system has, by the groups that [users] roles names."""

import grp
import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from config.sections import Role


class OsUser(NamedTuple):
    """A person with an account. name: the full name that the operating system knows (GECOS), None if it knows none."""

    user: str
    name: str | None
    roles: tuple[Role, ...]


def of_uid(uid: int, roles: Mapping[Role, str]) -> OsUser | None:
    """Find the person of an account; None if it has no name. Root is nobody: several people may know its password."""
    if uid == 0:
        return None
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return _user(entry, roles)


def of_name(name: str, roles: Mapping[Role, str]) -> OsUser | None:
    """Find the person of an account by its name, by the name that the operating system has for it; None if there is none, and for root."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):  # none, or no name at all: a NUL, half a character
        return None
    return None if entry.pw_uid == 0 else _user(entry, roles)


def everybody(roles: Mapping[Role, str]) -> list[OsUser]:
    """List who has a role: members of the groups, and accounts whose own group is one of them."""
    ids: set[int] = set()
    accounts: dict[str, pwd.struct_passwd] = {}
    for group in roles.values():
        try:
            entry = grp.getgrnam(group)
        except KeyError:
            continue
        ids.add(entry.gr_gid)
        for name in entry.gr_mem:  # by name: a directory of many thousands does not list its accounts
            with suppress(KeyError):
                accounts[name] = pwd.getpwnam(name)
    accounts |= {one.pw_name: one for one in pwd.getpwall() if one.pw_gid in ids}
    return sorted(_user(one, roles) for one in accounts.values() if one.pw_uid != 0)


def _user(entry: pwd.struct_passwd, roles: Mapping[Role, str]) -> OsUser:
    held = set(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return OsUser(entry.pw_name, entry.pw_gecos.split(",")[0] or None, tuple(role for role, name in roles.items() if _gid(name) in held))


def _gid(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
