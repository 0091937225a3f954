"""Serves GET /, /status, /metrics and commands on the control sockets.

Commands (POST) are taken on the control sockets alone: directory/control.sock (0600), and the one for people ([users] socket, 0660). On
both, each command that changes something is asked for its person; the kernel reports which account sits at the other end.
"""

import asyncio
import grp
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

from gateway.access import Access, Refused, UsersUnreadable, peer_of
from gateway.listening import Pace, answered
from gateway.operation.command import Command, Declined
from gateway.operation.control import socket_address
from gateway.operation.metrics import metrics
from gateway.operation.page import page
from gateway.operation.status import Status, problems

MADE_PER_S = 5.0
MADE_AT_ONCE = 20
"""What a port shows is made anew so often in a second: it is made in the loop that reads the sources."""

MOST_BODY_BYTES = 4096
MOST_COMMAND_BYTES = 2 * 1024 * 1024
LONG = frozenset({"audit-review", "document-record", "document-sign"})
"""Commands that hold a list, of at most so many bytes: the verdicts of a review, one for each item; a whole document."""
PERSON = "person"
"""Where a request holds the element that says who is logged in."""
_HIS_PLACE = "<!-- person -->"
"""In a page that is made once for all who are logged in."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser names no origin in the forms that it sends here
}


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
    runner = runner_of(_application(status, commands, access))
    _remove(path)
    try:
        await runner.setup()
        with socket_address(path) as address:
            await web.UnixSite(runner, address).start()
        _let_in(path, group)
        opened()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
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


def runner_of(application: web.Application) -> web.AppRunner:
    """Make what serves an application."""
    return web.AppRunner(application, access_log=None, handle_signals=False, keepalive_timeout=15)


def _application(status: Status, commands: Mapping[str, Command], access: Access) -> web.Application:
    application = web.Application(client_max_size=MOST_COMMAND_BYTES, middlewares=[answered(HEADERS)])
    application.add_routes(views(status, Made(None)))
    application.add_routes([web.post(f"/{name}", _doing(name, command, access)) for name, command in commands.items()])
    return application


def views(status: Status, made: "Made") -> list[web.RouteDef]:
    """Return the routes by which anybody who may come in looks at the line. made: in which pace pages are made."""

    async def html(request: web.Request) -> web.Response:
        still, person = "still" in request.query, request.get(PERSON, "")

        def make() -> bytes:
            now = status.snapshot()
            return page(now, problems(now), still=still, person=_HIS_PLACE if person else "").encode()

        told = made.of(f"page {still} {bool(person)}", make).replace(_HIS_PLACE.encode(), person.encode())
        return web.Response(body=told, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def snapshot(_: web.Request) -> web.Response:
        def make() -> bytes:
            now = status.snapshot()
            return json.dumps(now | {"problems": problems(now)}).encode()

        return web.Response(body=made.of("status", make), content_type="application/json", charset="utf-8", headers=HEADERS)

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(
            body=made.of("metrics", lambda: metrics(status.snapshot())),
            headers=HEADERS | {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    return [web.get("/", html), web.get("/status", snapshot), web.get("/metrics", numbers)]


class Made:
    """Makes what is asked for, anew each time, or in its pace: who asks faster gets what was made last."""

    def __init__(self, per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._made: dict[str, tuple[Pace, bytes]] = {}

    def of(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return what `make` returns, or has returned."""
        if self._per_s is None:
            return make()
        pace, last = self._made.get(name) or (Pace(self._per_s, MADE_AT_ONCE), None)
        now_s = self._clock()
        if last is None or pace.is_free(now_s):
            pace.turn(now_s)
            last = make()
            self._made[name] = pace, last
        return last


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
