"""Serves the page at [web] listen: reading alone. Who looks logs in first where the line says so.

What is defended, beside the person's password: a page elsewhere that sends forms here (a secret in the form beside the cookie, SameSite,
Origin), or whose name was pointed here (Host); a session that was planted (each login gives a new one) or stolen in the clear (Secure
with TLS, HttpOnly); bodies that are large or slow.
"""

import asyncio
import hmac
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from config import ConfigError, Line, place_of
from config.credentials import CredentialMissing, server_tls
from config.grammars.listen import host_of, is_loopback
from config.sections import Web
from gateway.access import Access, NotPossible, Refused, UsersUnreadable
from gateway.listening import Bounds, answered, open_port
from gateway.operation.login_page import login_page, logout_form
from gateway.operation.page import WATCHING
from gateway.operation.server import HEADERS, MADE_PER_S, MOST_BODY_BYTES, PERSON, Made, runner_of, views
from gateway.operation.sessions import Session, Sessions
from gateway.operation.status import Status

BODY_WITHIN_S = 10.0
SWEEP_EVERY_S = 30.0
FORM_FOR_S = 3_600
OPEN = ("/login", "/metrics")
"""What is answered without a login: the form itself, and numbers without a batch or a person, for the site's monitoring."""


async def serve_page(status: Status, line: Line, access: Access, opened: Callable[[], None] = lambda: None) -> None:
    """Serve the page until cancelled; `opened` is called when it listens.

    Raises OSError if the address is taken, ConfigError if the TLS files can not be used.
    """
    assert line.web is not None
    tls = _tls(line, line.web)
    door = None if line.web.read_only_without_login else Door(line.gateway, access, secure=tls is not None)
    bounds = Bounds()
    runner = runner_of(_application(status, line.web, door, bounds))
    try:
        await runner.setup()
        await open_port(runner, line.web.listen, bounds, tls)
        opened()
        await (asyncio.Event().wait() if door is None else door.run())
    finally:
        await runner.cleanup()


def _tls(line: Line, section: Web) -> ssl.SSLContext | None:
    if section.tls is None:
        return None
    try:
        return server_tls(section.tls, line.folder)
    except (OSError, ssl.SSLError, CredentialMissing) as error:
        raise ConfigError([place_of(line, ("web", "tls")).problem(f"cert or key can not be used: {error}")]) from error


def _application(status: Status, section: Web, door: "Door | None", bounds: Bounds) -> web.Application:
    middlewares: list[Middleware] = [
        bounds.middleware(),
        answered(HEADERS),
        _own_names(section),
        *([] if door is None else [door.middleware]),
    ]
    application = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=middlewares)
    application.add_routes(views(status, Made(MADE_PER_S)))
    if door is not None:
        application.add_routes([web.get("/login", door.form), web.post("/login", door.enter), web.post("/logout", door.leave)])
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


class Door:
    """Lets people in at the page, and out again."""

    def __init__(self, gateway: str, access: Access, *, secure: bool, sessions: Sessions | None = None) -> None:
        """secure: whether the page is served by TLS."""
        self._gateway, self._access, self._secure = gateway, access, secure
        self._sessions = sessions or Sessions()
        self._cookie, self._form_cookie = ("__Host-session", "__Host-form") if secure else ("session", "form")

    async def run(self) -> None:
        """End sessions that are over, each in the record, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            await self.sweep()

    async def sweep(self) -> None:
        """End sessions that are over: idle, too long, or of a user who is not any more who logged in."""
        try:
            users = await asyncio.to_thread(self._access.directory)
        except UsersUnreadable:
            return
        for session, cause in self._sessions.ended(users):
            await self._access.left(session.actor, cause)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Show nothing to whom is not logged in, but for OPEN."""
        session = await self._session(request, by_hand=WATCHING not in request.query and request.path != "/status")
        if session is not None:
            who = session.actor.who
            request[PERSON] = logout_form(str(who["name"]), str(who["role"]), session.csrf)
        elif request.path == "/":
            raise web.HTTPSeeOther("/login")
        elif request.path not in OPEN:
            return web.json_response({"error": "log in first: /login"}, status=401, headers=HEADERS)
        return await handler(request)

    async def _session(self, request: web.Request, *, by_hand: bool) -> Session | None:
        session = self._sessions.find(request.cookies.get(self._cookie, ""), by_hand=by_hand)
        if session is None:
            return None
        try:
            users = await asyncio.to_thread(self._access.directory)
        except UsersUnreadable:  # an alarm already; nobody is known by it
            return None
        return None if session.changed(users) else session

    async def form(self, _request: web.Request) -> web.Response:
        """Show the form by which people log in."""
        return self._form("")

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Let a person in by user and password, with a new session; one that the browser had before ends."""
        fields = await self._fields(request, request.cookies.get(self._form_cookie, ""))
        if fields is None:
            return self._form("this form is not of this page, or is older than an hour: try again", status=403)
        user, new = fields.get("user", "").strip(), fields.get("new_password", "")
        if new != fields.get("new_again", ""):
            return self._form("the two new passwords are not the same", user, must_change=True, status=403)
        where = {"station": socket.gethostname(), "address": request.remote, "interface": "page"}
        try:
            one, actor = await self._access.entered(user, fields.get("password", ""), where, new)
        except Refused as refused:
            told = "change your password first" if refused.cause == "must-change" else str(refused)
            return self._form(told, user, must_change=refused.cause == "must-change", status=403)
        except NotPossible as error:
            return self._form(str(error), user, must_change=True, status=403)
        except UsersUnreadable as error:
            return self._form(str(error), status=503)
        await self._out(request, "another-login")
        secret = self._sessions.begin(one, actor)
        if secret is None:
            return self._form("too many people are logged in: try again later", user, status=503)
        answer = web.Response(status=303, headers={**HEADERS, "Location": "/"})
        self._set(answer, self._cookie, secret)
        self._drop(answer, self._form_cookie)
        return answer

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """Log out."""
        session = await self._session(request, by_hand=True)
        if session is None or await self._fields(request, session.csrf) is None:
            return web.json_response({"error": "this form is not of this page"}, status=403, headers=HEADERS)
        await self._out(request, "logout")
        answer = web.Response(status=303, headers={**HEADERS, "Location": "/login"})
        self._drop(answer, self._cookie)
        return answer

    async def _out(self, request: web.Request, cause: str) -> None:
        session = self._sessions.end(request.cookies.get(self._cookie, ""))
        if session is not None:
            await self._access.left(session.actor, cause)

    async def _fields(self, request: web.Request, csrf: str) -> Mapping[str, str] | None:
        """Read a form that this page has given out; None if it is none. csrf: what must stand in it."""
        origin = request.headers.get("Origin")
        own = f"{request.scheme}://{request.headers.get('Host', '')}"
        if origin not in {None, own} or request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            return None
        if request.content_type != "application/x-www-form-urlencoded":
            return None
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                posted = await request.post()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        fields = {name: value for name, value in posted.items() if isinstance(value, str)}
        return fields if csrf and hmac.compare_digest(*(text.encode(errors="replace") for text in (fields.get("csrf", ""), csrf))) else None

    def _form(self, wrong: str, user: str = "", *, must_change: bool = False, status: int = 200) -> web.Response:
        csrf = secrets.token_urlsafe(32)
        told = login_page(self._gateway, csrf, wrong, user, must_change=must_change)
        answer = web.Response(text=told, content_type="text/html", charset="utf-8", headers=HEADERS, status=status)
        self._set(answer, self._form_cookie, csrf, FORM_FOR_S)
        return answer

    def _set(self, answer: web.Response, name: str, value: str, max_age_s: int | None = None) -> None:
        answer.set_cookie(name, value, max_age=max_age_s, path="/", httponly=True, samesite="Strict", secure=self._secure)

    def _drop(self, answer: web.Response, name: str) -> None:
        answer.del_cookie(name, path="/", httponly=True, samesite="Strict", secure=self._secure)
