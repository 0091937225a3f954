"""Serves GET /status, /metrics and commands on the control sockets.

Commands (POST) are taken on the control sockets alone: directory/control.sock (0600), and the one for people ([users] socket, 0660). On
both, each command that changes something is asked for its person; the kernel reports which account sits at the other end.
"""

import asyncio
import grp
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gateway.access import Access, Refused, UsersUnreadable, peer_of
from gateway.operation.command import Command, Declined
from gateway.operation.control import MOST_COMMAND_BYTES
from gateway.operation.local_http import Answer, Answering, Asked, Unusable, serving
from gateway.operation.status import Status
from gateway.operation.views import HEADERS, Made, views

MOST_BODY_BYTES = 4096
LONG = frozenset({"audit-review", "document-record", "document-sign", "fallback-import", "observation-end", "qualification-dispose"})
"""Commands that hold a list, of at most so many bytes: the verdicts of a review, one for each item; a whole document; a file of rows."""


async def serve_control(
    status: Status,
    path: Path,
    commands: Mapping[str, Command],
    access: Access,
    *,
    group: str | None = None,
    opened: Callable[[], None] = lambda: None,
) -> None:
    """Serve a control socket until cancelled; `opened` is called when it listens. group: who may open it too. Raises OSError."""
    _remove(path)
    try:
        async with serving(path, _answering(status, commands, access), most_bytes=MOST_COMMAND_BYTES):
            _let_in(path, group)
            opened()
            await asyncio.Event().wait()
    finally:
        with suppress(OSError):  # a disk that turned read-only: what stays is removed by the next start; why this one ends is told as it is
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a socket that is there. Raises OSError for anything else, which somebody may need."""
    if path.is_socket():
        path.unlink(missing_ok=True)
    elif path.exists():
        raise OSError(f"{path} is there, and is no socket")


def _let_in(path: Path, group: str | None) -> None:
    """Let the owner, and a group, open a socket. Raises OSError."""
    path.chmod(0o600)
    if group is None:
        return
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError(f"there is no group {group}") from None
    os.chown(path, -1, gid)
    path.chmod(0o660)


def _answering(status: Status, commands: Mapping[str, Command], access: Access) -> Answering:
    """Make what answers the requests of a control socket."""
    shown = views(status, Made(None))

    async def answer(asked: Asked) -> Answer:
        if (make := shown.get(asked.path)) is not None:
            if asked.method != "GET":
                raise Unusable(HTTPStatus.METHOD_NOT_ALLOWED)
            body, kind = make()
            return Answer(body, 200, {**HEADERS, "Content-Type": kind})
        name = asked.path[1:]
        if (command := commands.get(name)) is None:
            raise Unusable(HTTPStatus.NOT_FOUND)
        if asked.method != "POST":
            raise Unusable(HTTPStatus.METHOD_NOT_ALLOWED)
        if name not in LONG and len(asked.body) > MOST_BODY_BYTES:
            raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await _done(name, command, access, asked)

    return answer


async def _done(name: str, command: Command, access: Access, asked: Asked) -> Answer:
    """Carry out a command, and say what came of it."""
    peer = peer_of(asked.connection)
    try:
        said = json.loads(asked.body.decode())
        arguments = said if isinstance(said, dict) else {}
        answer = await command(arguments, await access.admitted(name, arguments, peer))
    except ValueError:
        return _told({"error": "a JSON object is meant"}, 400)
    except Refused as error:
        return _told({"error": str(error), "refused": error.cause}, 403)
    except (Declined, UsersUnreadable) as error:
        return _told({"error": str(error)}, 409)
    return _told(answer, 200)


def _told(what: Mapping[str, Any], status: int) -> Answer:
    return Answer(json.dumps(what).encode(), status)
