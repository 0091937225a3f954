"""Serves the page at [web] listen. Who looks logs in first where the line says so, and may then act on alarms; all else is reading.

What is defended here: a page elsewhere whose name was pointed here (Host). What a login defends: `door`.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from config import ConfigError, Line, place_of
from config.credentials import CredentialMissing, server_tls
from config.grammars.listen import host_of, is_loopback
from config.sections import Web
from gateway.access import Access
from gateway.listening.answering import answered
from gateway.listening.bounds import Bounds
from gateway.listening.port import served
from gateway.operation import wording
from gateway.operation.command import Command
from gateway.operation.server import MOST_BODY_BYTES
from gateway.operation.status import Status
from gateway.operation.views import HEADERS, MADE_PER_S, Made
from gateway.pages import assets
from gateway.pages.alarm import AlarmForms
from gateway.pages.door import Door
from gateway.pages.forms import Desk
from gateway.pages.observation import Reports
from gateway.pages.rendering import compile_templates
from gateway.pages.review import Reviews
from gateway.pages.streams import Streams
from gateway.pages.versions import Versions
from gateway.pages.views import Pages, for_programs


async def serve_page(
    status: Status, line: Line, access: Access, commands: Mapping[str, Command], opened: Callable[[], None] = lambda: None
) -> None:
    """Serve the page until cancelled; `opened` is called when it listens. commands: those of the control socket.

    Raises OSError if the address is taken, ConfigError if the TLS files can not be used.
    """
    assert line.web is not None
    tls = _tls(line, line.web)
    door = None if line.web.read_only_without_login else Door(line.gateway, access, secure=tls is not None, proxy=line.web.proxy)
    bounds = Bounds()
    forms = [] if door is None else _forms(status, line, access, commands, door)
    application = _application(status, line, door, forms, bounds)
    await asyncio.to_thread(compile_templates)
    async with served(application) as serving:
        await serving.at_port(line.web.listen, bounds, tls)
        opened()
        await (asyncio.Event().wait() if door is None else door.run())


def _tls(line: Line, section: Web) -> ssl.SSLContext | None:
    if section.tls is None:
        return None
    try:
        return server_tls(section.tls, line.folder, None if section.proxy is None else section.proxy.ca)
    except (OSError, ssl.SSLError, CredentialMissing) as error:
        raise ConfigError([place_of(line, ("web", "tls")).problem(f"cert or key can not be used: {error}")]) from error


def _forms(status: Status, line: Line, access: Access, commands: Mapping[str, Command], door: Door) -> list[web.RouteDef]:
    """Return the routes of everything that who is logged in does at the page."""
    desk = Desk(line.gateway, access, commands, door, lambda: wording.beside(status.transition()))
    alarms, versions, reviews = AlarmForms(status, access, commands, door), Versions(desk), Reviews(line, desk)
    return [
        *(web.get("/login", door.form), web.post("/login", door.enter), web.post("/logout", door.leave)),
        *(web.get("/alarm", alarms.form), web.post("/alarm", alarms.act)),
        *(web.get("/config", versions.look), web.post("/config", versions.act)),
        *(web.get("/review", reviews.look), web.post("/review", reviews.act)),
    ]


def _application(status: Status, line: Line, door: Door | None, forms: list[web.RouteDef], bounds: Bounds) -> web.Application:
    assert line.web is not None
    middlewares: list[Middleware] = [
        bounds.middleware(),
        answered(HEADERS),
        _own_names(line.web),
        *([] if door is None else [door.middleware]),
    ]
    application = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=middlewares)
    made = Made(MADE_PER_S)
    shown = Pages(status, line.gateway, len(line.tags), made)
    streams = Streams(shown)
    reports = Reports(status, line.data)
    application.add_routes([*for_programs(status, made), *shown.routes(), *streams.routes(), *assets.routes(), *reports.routes()])
    application.on_shutdown.append(streams.end)
    application.add_routes(forms)
    return application


def _own_names(section: Web) -> Middleware:
    """Make the middleware that answers only who asked for this machine by a name of its own (DNS rebinding)."""
    loopback = is_loopback(host_of(section.listen))
    names = {name.casefold() for name in (socket.gethostname(), socket.getfqdn(), "localhost", *section.hosts)}

    @web.middleware
    async def own_names(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = _host(request)
        if is_loopback(name) or (not loopback and (name.casefold() in names or _is_address(name))):
            return await handler(request)
        told = "ask for localhost" if loopback else "this is no name of this machine; [web] hosts in line.toml names others"
        return web.json_response({"error": f"this page is for this machine alone: {told}"}, status=421, headers=HEADERS)

    return own_names


def _host(request: web.Request) -> str:
    host = request.headers.get("Host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
