"""Tells who may do what, for the list of users and for the access report that an inspector asks for."""

from typing import Any

from buffer.times import now_ticks
from gateway.access import groups
from gateway.access.gate import Access
from gateway.access.roles import ROLES, RULES
from gateway.access.users import User, expired, locked

COLUMNS = (
    "user",
    "name",
    "role",
    "state",
    "last_login",
    "created_at",
    "created_by",
    "role_at",
    "role_by",
    "disabled_at",
    "disabled_by",
    "password_at",
)


def describe(access: Access) -> dict[str, Any]:
    """Describe every user, those that are disabled too, and what each role may do. Raises UsersUnreadable. For a thread."""
    settings = access.settings
    if settings.origin == "os-group":
        found = [
            dict.fromkeys(COLUMNS) | {"user": one.user, "name": one.name, "role": " ".join(one.roles), "state": "active"}
            for one in groups.everybody(settings.roles)
        ]
    else:
        found = [_row(one, access) for one in access.directory().users]
    may = {role: [rule.words for rule in RULES.values() if role in rule.roles] for role in ROLES}
    asks = access.production or bool(found) or settings.origin == "os-group"
    return {"from": settings.origin, "asks_for_persons": asks, "users": found, "may": may}


def _row(one: User, access: Access) -> dict[str, Any]:
    now = now_ticks()
    state: str = "locked" if one.state == "active" and locked(one, access.settings, now) else one.state
    if state == "active" and (one.must_change or expired(one, access.settings, now)):
        state = "must change the password"
    return {name: state if name == "state" else getattr(one, name) for name in COLUMNS}
