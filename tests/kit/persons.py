"""Five people of a line, one of each role, and what they say when they are asked who they are."""

from pathlib import Path
from typing import Any

from kit.quick_passwords import quick_passwords

from buffer.times import now_ticks
from gateway.access import ROLES, Directory, users
from gateway.access.store import NAME, write

NAMES = {"viewer": "Vera Viewer", "operator": "Otto Bediener", "engineer": "Edda Bauer", "qa": "Quentin Abel", "admin": "Anna Berg"}
REASON = "because the test says so"


def password(user: str) -> str:
    """The password of one of the five."""
    return f"{user[::-1]}-mauve-kettle-71"


def five(now: int | None = None) -> Directory:
    """The list of users with one of each role, who have changed their first passwords, which were hashed quickly."""
    at = now_ticks() if now is None else now
    directory = Directory()
    for role in reversed(ROLES):
        with quick_passwords():
            directory = users.added(directory, role, NAMES[role], role, password(role), "os:root", at)
        directory = directory.put(directory.named(role).model_copy(update={"must_change": False}))
    return directory


def people(data: Path) -> None:
    """Write the five into a journal's folder."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(data / NAME, five().model_dump_json().encode())


def says(user: str, reason: str | None = REASON) -> dict[str, Any]:
    """What a command says of who gives it."""
    return {"as_user": user, "password": password(user), **({} if reason is None else {"reason": reason})}


def options(user: str, folder: Path) -> list[str]:
    """The same as options of the command line; the password lies in a file of the folder."""
    file = folder / f"{user}.password"
    file.touch(mode=0o600)
    file.write_text(password(user) + "\n")
    return ["--user", user, "--password-file", str(file)]
