"""The list of a line's users, and what may happen to one: pure, from one list to the next.

Times are RFC 3339 texts, as in the journal. A user is never removed, so whoever is named in an entry can be found here.
"""

import json
import re
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from buffer.times import TICKS_PER_S, from_rfc3339, rfc3339
from config.sections import Role, Users
from gateway.access import passwords

MOST_USERS = 1_000
MOST_FAILURES = 5
MOST_NAME = 100
_ID = re.compile(r"[a-z][a-z0-9._-]{1,31}")


class NotPossible(Exception):
    """A change of the list of users that can not be; the text says why."""


class User(BaseModel):
    """One person. disabled_*, role_*, created_*: when, and by whom (`who.user` of the audit event)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    name: str
    role: Role
    hash: str
    created_at: str
    created_by: str
    role_at: str
    role_by: str
    password_at: str
    state: Literal["active", "disabled"] = "active"
    disabled_at: str | None = None
    disabled_by: str | None = None
    must_change: bool = True
    former: tuple[str, ...] = ()
    failures: int = 0
    locked_at: str | None = None
    last_login: str | None = None

    def facts(self) -> dict[str, Any]:
        """What an audit event tells of the user, before and after a change. No hash."""
        return {
            "name": self.name,
            "role": self.role,
            "state": self.state,
            "locked": self.locked_at is not None,
            "must_change": self.must_change,
            "password_at": self.password_at,
        }


class Directory(BaseModel):
    """All users of a line. changes: counts how often the list was written, so that no change is written over another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    changes: int = 0
    users: tuple[User, ...] = ()

    def get(self, user: str) -> User | None:
        """Find a user."""
        return next((one for one in self.users if one.user == user), None)

    def named(self, user: str) -> User:
        """Find a user. Raises NotPossible."""
        if (found := self.get(user)) is None:
            raise NotPossible(f"there is no user {user[:60]}")
        return found

    def has_admin(self, besides: str | None = None) -> bool:
        """Return whether an active administrator is there, but for this one."""
        return any(one.role == "admin" and one.state == "active" and one.user != besides for one in self.users)

    def digest(self) -> str:
        """Return the SHA-256 of what only a recorded change may change: who may come in, as what, by which password."""
        kept = {"user", "name", "role", "hash", "state", "password_at", "created_at"}
        told = [one.model_dump(mode="json", include=kept) for one in sorted(self.users, key=lambda one: one.user)]
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def put(self, user: User) -> "Directory":
        """Return the list with this user, in the place of the one of that name if there is one."""
        others = [user if one.user == user.user else one for one in self.users]
        return self.model_copy(update={"users": tuple(others if self.get(user.user) else [*others, user])})


def locked(user: User, settings: Users, now: int) -> bool:
    """Return whether a user is locked out. now: ticks. A clock that was set far back lets nobody wait for years."""
    if user.locked_at is None:
        return False
    return not settings.lock_minutes or abs(now - from_rfc3339(user.locked_at)) < settings.lock_minutes * 60 * TICKS_PER_S


def expired(user: User, settings: Users, now: int) -> bool:
    """Return whether a password is older than the line allows."""
    days = settings.password_expires_days
    return bool(days) and now - from_rfc3339(user.password_at) > days * 86_400 * TICKS_PER_S


def added(users: Directory, user: str, name: str, role: Role, password: str, by: str, now: int) -> Directory:
    """Add a user. Raises NotPossible; an id is given once and for all, and the first is an administrator, who lets everybody else in."""
    if not _ID.fullmatch(user):
        raise NotPossible("a user id has 2 to 32 characters of a-z, 0-9, '.', '_' and '-', a letter first")
    if users.get(user) is not None:
        raise NotPossible(f"user {user} is there already; an id belongs to one person for ever")
    if role != "admin" and not users.has_admin():
        raise NotPossible("there is no administrator yet: the first user is one")
    if len(users.users) >= MOST_USERS:
        raise NotPossible(f"there are {MOST_USERS} users, more are not possible")
    if len(name.split()) < 2 or len(name) > MOST_NAME or not name.isprintable():
        raise NotPossible("the person's full name is needed, as it is to stand beside a signature")
    _taken(password, user, name)
    at = rfc3339(now)
    made = User(
        user=user,
        name=name,
        role=role,
        hash=passwords.hashed(password),
        created_at=at,
        created_by=by,
        role_at=at,
        role_by=by,
        password_at=at,
    )
    return users.put(made)


def disabled(users: Directory, user: str, by: str, now: int) -> Directory:
    """Let a user in no more. The last administrator stays: nobody could let anybody in again. Raises NotPossible."""
    one = users.named(user)
    if one.state == "disabled":
        raise NotPossible(f"user {user} is disabled already")
    if one.role == "admin" and not users.has_admin(besides=user):
        raise NotPossible(f"user {user} is the last administrator")
    return users.put(one.model_copy(update={"state": "disabled", "disabled_at": rfc3339(now), "disabled_by": by}))


def enabled(users: Directory, user: str, settings: Users, now: int) -> Directory:
    """Let a disabled or a locked user in again. Raises NotPossible."""
    one = users.named(user)
    if one.state == "active" and not locked(one, settings, now):
        raise NotPossible(f"user {user} is neither disabled nor locked")
    changes = {"state": "active", "failures": 0, "locked_at": None, "disabled_at": None, "disabled_by": None}
    return users.put(one.model_copy(update=changes))


def with_role(users: Directory, user: str, role: Role, by: str, now: int) -> Directory:
    """Give a user another role. Nobody gives one to himself, so nobody both proposes and approves. Raises NotPossible."""
    one = users.named(user)
    if user == by:
        raise NotPossible("nobody gives a role to himself: another administrator does")
    if one.role == role:
        raise NotPossible(f"user {user} has the role {role} already")
    if one.role == "admin" and one.state == "active" and not users.has_admin(besides=user):
        raise NotPossible(f"user {user} is the last administrator")
    return users.put(one.model_copy(update={"role": role, "role_at": rfc3339(now), "role_by": by}))


def with_password(users: Directory, user: str, password: str, now: int, *, own: bool) -> Directory:
    """Change a password: one's own, or, by an administrator, a first one that must be changed. Raises NotPossible."""
    one = users.named(user)
    if one.state == "disabled":
        raise NotPossible(f"user {user} is disabled: enable first")
    _taken(password, user, one.name, (one.hash, *one.former))
    former = (one.hash, *one.former)[: passwords.FORMER - 1]
    fresh = {"hash": passwords.hashed(password), "former": former, "password_at": rfc3339(now), "must_change": not own}
    return users.put(one.model_copy(update={**fresh, "failures": 0, "locked_at": None}))


def _taken(password: str, user: str, name: str, former: tuple[str, ...] = ()) -> None:
    if (why := passwords.problem(password, user, name, former)) is not None:
        raise NotPossible(why)
