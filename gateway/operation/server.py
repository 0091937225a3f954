"""Serves GET /status, /metrics and commands on the control sockets.

Commands (POST) are taken on the control sockets alone: directory/control.sock (0600), and the one for people ([users] socket, 0660). On
both, each command that changes something is asked for its person; the kernel reports which account sits at the other end.
"""

import asyncio
import grp
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from gateway.access import Access, Refused, UsersUnreadable, peer_of
from gateway.listening import answered, served
from gateway.operation.command import Command, Declined
from gateway.operation.control import MOST_COMMAND_BYTES, socket_address
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
        async with served(_application(status, commands, access)) as serving:
            with socket_address(path) as address:
                await serving.at_path(address)
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


def _application(status: Status, commands: Mapping[str, Command], access: Access) -> web.Application:
    application = web.Application(client_max_size=MOST_COMMAND_BYTES, middlewares=[answered(HEADERS)])
    application.add_routes(views(status, Made(None)))
    application.add_routes([web.post(f"/{name}", _doing(name, command, access)) for name, command in commands.items()])
    return application


def _doing(name: str, command: Command, access: Access) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def do(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = peer_of(request.transport.get_extra_info("socket"))
        if name not in LONG and len(await request.read()) > MOST_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MOST_BODY_BYTES, len(await request.read()))
        try:
            asked = await request.json()
            arguments = asked if isinstance(asked, dict) else {}
            answer = await command(arguments, await access.admitted(name, arguments, peer))
        except ValueError:
            return web.json_response({"error": "a JSON object is meant"}, status=400)
        except Refused as error:
            return web.json_response({"error": str(error), "refused": error.cause}, status=403)
        except (Declined, UsersUnreadable) as error:
            return web.json_response({"error": str(error)}, status=409)
        return web.json_response(answer)

    return do
