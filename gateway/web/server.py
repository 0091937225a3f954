"""GET /, /status, /metrics on the control socket (directory/control.sock, 0600), and on [web] listen where the line folder has it."""

import asyncio
import os
from pathlib import Path

from aiohttp import web

from config import Line
from gateway.control import CONTROL_SOCKET
from gateway.status import Status
from gateway.web.metrics import metrics
from gateway.web.page import page

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


async def serve(status: Status, line: Line) -> None:
    """Serve until cancelled. Raises OSError if the page's address is taken: a configured page that is not there must be noticed."""
    runner = web.AppRunner(_application(status), access_log=None, handle_signals=False, keepalive_timeout=15)
    await runner.setup()
    path = line.data / CONTROL_SOCKET
    path.unlink(missing_ok=True)
    try:
        await web.UnixSite(runner, str(_short(path))).start()
        path.chmod(0o600)
        if line.web is not None:
            host, _, port = line.web.listen.rpartition(":")
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


def _short(path: Path) -> Path:
    """A socket's address holds 107 bytes: go by the working directory where that is shorter."""
    return path if len(str(path)) < 100 else Path(os.path.relpath(path))


def _application(status: Status) -> web.Application:
    async def html(_: web.Request) -> web.Response:
        return web.Response(text=page(status.snapshot(), status.problems()), content_type="text/html", headers=_HEADERS)

    async def snapshot(_: web.Request) -> web.Response:
        return web.json_response(status.snapshot() | {"problems": status.problems()}, headers=_HEADERS)

    async def numbers(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics(status.snapshot()), headers=_HEADERS | {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    application = web.Application(client_max_size=1024)
    application.add_routes([web.get("/", html), web.get("/status", snapshot), web.get("/metrics", numbers)])
    return application
