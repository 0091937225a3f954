"""Says what must stay as it is for somebody to stay logged in. Asks the operating system where that keeps the people."""

from config.sections import Users
from gateway.access import groups
from gateway.access.actor import Actor
from gateway.access.users import Directory


def mark(actor: Actor, users: Directory, settings: Users) -> str | None:
    """Return it as a text that changes with it; None: he is let in no more. actor: who is logged in, as he was when he came."""
    own, role = users.get(str(actor.user)), actor.who["role"]
    if actor.who["auth"] == "proxy":  # the proxy says the role with each request
        return "proxy" if own is None or (own.state == "active" and own.role == role) else None
    if settings.origin == "os-group":
        one = groups.of_name(str(actor.user), settings.roles)
        return " ".join(one.roles) if one is not None and one.roles == (role,) else None
    return f"{own.role} {own.password_at}" if own is not None and own.state == "active" else None
