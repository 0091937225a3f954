"""Serves GET /, /status, /metrics on the control socket (directory/control.sock, 0600), and on [web] listen if configured.

Commands (POST) are taken on the control socket alone, from users that may open it; the kernel reports which user it is.
"""

import asyncio
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from config import Line
from gateway.operation.command import Command, Declined
from gateway.operation.control import CONTROL_SOCKET, socket_address
from gateway.operation.metrics import metrics
from gateway.operation.page import page
from gateway.operation.status import Status, problems

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


async def serve(status: Status, line: Line, commands: Mapping[str, Command], opened: Callable[[], None] = lambda: None) -> None:
    """Serve until cancelled; `opened` is called when everything listens.

    Raises OSError if the page's address is taken: a configured page that is missing must be noticed.
    """
    control = web.AppRunner(_application(status, commands), access_log=None, handle_signals=False, keepalive_timeout=15)
    page_only = web.AppRunner(_application(status, {}), access_log=None, handle_signals=False, keepalive_timeout=15)
    path = line.data / CONTROL_SOCKET
    path.unlink(missing_ok=True)
    try:
        await control.setup()
        await page_only.setup()
        if line.web is not None:
            host, _, port = line.web.listen.rpartition(":")
            await web.TCPSite(page_only, host.strip("[]"), int(port)).start()
        # Last, so that a program that finds the socket finds everything open.
        with socket_address(path) as address:
            await web.UnixSite(control, address).start()
        path.chmod(0o600)
        opened()
        await asyncio.Event().wait()
    finally:
        await control.cleanup()
        await page_only.cleanup()
        path.unlink(missing_ok=True)


def _application(status: Status, commands: Mapping[str, Command]) -> web.Application:
    async def html(request: web.Request) -> web.Response:
        now = status.snapshot()
        return web.Response(
            text=page(now, problems(now), still="still" in request.query), content_type="text/html", charset="utf-8", headers=_HEADERS
        )

    async def snapshot(_: web.Request) -> web.Response:
        now = status.snapshot()
        return web.json_response(now | {"problems": problems(now)}, headers=_HEADERS)

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics(status.snapshot()), headers=_HEADERS | {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    application = web.Application(client_max_size=4096)
    application.add_routes([web.get("/", html), web.get("/status", snapshot), web.get("/metrics", numbers)])
    application.add_routes([web.post(f"/{name}", _doing(command)) for name, command in commands.items()])
    return application


def _doing(command: Command) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def do(request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            answer = await command(asked if isinstance(asked, dict) else {}, f"os:{_peer(request)}")
        except ValueError:
            return web.json_response({"error": "a JSON object is meant"}, status=400)
        except Declined as error:
            return web.json_response({"error": str(error)}, status=409)
        return web.json_response(answer)

    return do


def _peer(request: web.Request) -> str:
    """Return the user on the other end of the socket, as the kernel knows it (SO_PEERCRED, unix(7))."""
    assert request.transport is not None
    connection = request.transport.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
