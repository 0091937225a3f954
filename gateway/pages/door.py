"""Lets people in at the page, and out again, and knows the forms that the page has given out.

What is defended, beside the person's password: a page elsewhere that sends forms here (a secret in the form beside the cookie, SameSite,
Origin); a session that was planted (each login gives a new one) or stolen in the clear (Secure with TLS, HttpOnly); bodies that are large
or slow.
"""

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from config.sections import WebProxy
from gateway.access import Access, Actor, NotPossible, Refused, UsersUnreadable, Vouched
from gateway.operation.views import HEADERS
from gateway.pages.assets import FOLDER
from gateway.pages.proxy import Proxy, Unproved, place
from gateway.pages.rendering import FOR_PERSONS, WATCHING, Frame, Person, render
from gateway.pages.sessions import Session, Sessions
from gateway.pages.streams import STAYS
from gateway.pages.views import PAGES, PERSON, html

BODY_WITHIN_S = 10.0
SWEEP_EVERY_S = 30.0
FORM_FOR_S = 3_600
OPEN = ("/login", "/metrics")
"""What is answered without a login, beside style and scripts: the form itself, and numbers without a batch or a person, for monitoring."""
READ_BY_PROGRAMS = frozenset({"/status", "/values", "/trend.json", "/events"})
"""What is nobody's doing, and begins no session for whom a proxy names: a program that asks without a cookie would begin one each time."""
PERSONS_PAGES = frozenset(address for address, _ in FOR_PERSONS)
SESSION, VOUCHED = "session", "vouched"
"""Where a request holds who is logged in, and whom the proxy names."""


class Door:
    """Lets people in at the page, and out again."""

    def __init__(
        self, gateway: str, access: Access, *, secure: bool, sessions: Sessions | None = None, proxy: WebProxy | None = None
    ) -> None:
        """secure: whether the page is served by TLS. proxy: whose word is taken for who somebody is, once it has proved itself."""
        self._proxy = None if proxy is None else Proxy(proxy)
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
        held = self._sessions.held()
        try:
            marks = await asyncio.to_thread(self._access.marks, [session.actor for session in held])
        except UsersUnreadable:
            return
        for session, cause in self._sessions.ended({session.csrf: mark for session, mark in zip(held, marks, strict=True)}):
            await self._access.left(session.actor, cause)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Show nothing to whom is not logged in, but for OPEN."""
        secret = ""
        try:
            if self._proxy is not None and (vouched := self._proxy.says(request)) is not None:
                request[VOUCHED] = vouched
            session = await self.session(request, by_hand=WATCHING not in request.query and request.path not in READ_BY_PROGRAMS)
            if session is None and VOUCHED in request and (request.path in READ_BY_PROGRAMS or WATCHING in request.query):
                await self._access.vouched(request[VOUCHED], place(request, by_proxy=True), begins=False)
            elif session is None and VOUCHED in request and request.method == "GET" and not _is_open(request.path):
                secret, session = await self._let_in(request, request[VOUCHED])
        except Unproved:
            await self._access.unproved(place(request, by_proxy=False))
            return web.json_response({"error": "only the proxy may say who somebody is"}, status=403, headers=HEADERS)
        except Refused as refused:
            return web.json_response({"error": str(refused)}, status=403, headers=HEADERS)
        except UsersUnreadable as error:
            return web.json_response({"error": str(error)}, status=503, headers=HEADERS)
        if session is not None:
            request[SESSION] = session
            request[PERSON] = person_of(session)
            request[STAYS] = partial(self._stays, request)
        elif request.path in PAGES or request.path in ("/trend", "/observation", *PERSONS_PAGES):
            raise web.HTTPSeeOther("/login")
        elif not _is_open(request.path) and VOUCHED not in request:
            return web.json_response({"error": "log in first: /login"}, status=401, headers=HEADERS)
        answer = await handler(request)
        if secret:
            self._set(answer, self._cookie, secret)
        return answer

    async def _stays(self, request: web.Request) -> bool:
        """Look again, while an answer goes on, whether the person is logged in still."""
        return await self._look_up(request, by_hand=False) is not None

    async def session(self, request: web.Request, *, by_hand: bool) -> Session | None:
        """Find who is logged in; None if nobody is, or is not any more who logged in. by_hand: a person did something."""
        if SESSION in request:  # also one that began with this very request, of which the browser brought no cookie
            found: Session = request[SESSION]
            return found
        return await self._look_up(request, by_hand=by_hand)

    async def _look_up(self, request: web.Request, *, by_hand: bool) -> Session | None:
        session = self._sessions.find(request.cookies.get(self._cookie, ""), by_hand=by_hand)
        if session is None or not _named_alike(session.actor, request.get(VOUCHED)):
            return None
        return session if await self._mark(session.actor) == session.mark else None

    async def _mark(self, actor: Actor) -> str | None:
        try:
            (mark,) = await asyncio.to_thread(self._access.marks, [actor])
        except UsersUnreadable:  # an alarm already; nobody is known by it
            return None
        return mark

    async def _let_in(self, request: web.Request, vouched: Vouched) -> tuple[str, Session]:
        """Begin a session for whom the proxy names. No redirect: a browser that comes from the provider's site brings no cookie.

        Raises Refused, UsersUnreadable.
        """
        actor = await self._access.vouched(vouched, place(request, by_proxy=True))
        await self._out(request, "another-login")
        secret = self._sessions.begin(actor, await self._mark(actor) or "")
        session = None if secret is None else self._sessions.find(secret, by_hand=True)
        if secret is None or session is None:
            raise Refused("too many people are logged in: try again later")
        return secret, session

    async def form(self, _request: web.Request) -> web.Response:
        """Show the form by which people log in."""
        return self._form("")

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Let a person in by user and password, with a new session; one that the browser had before ends."""
        fields = await self.fields(request, request.cookies.get(self._form_cookie, ""))
        if fields is None:
            return self._form("this form is not of this page, or is older than an hour: try again", status=403)
        user, new = fields.get("user", "").strip(), fields.get("new_password", "")
        if new != fields.get("new_again", ""):
            return self._form("the two new passwords are not the same", user, must_change=True, status=403)
        where = place(request, by_proxy=self._proxy is not None and self._proxy.proved(request))
        try:
            actor = await self._access.entered(user, fields.get("password", ""), where, new)
        except Refused as refused:
            told = "change your password first" if refused.cause == "must-change" else str(refused)
            return self._form(told, user, must_change=refused.cause == "must-change", status=403)
        except NotPossible as error:
            return self._form(str(error), user, must_change=True, status=403)
        except UsersUnreadable as error:
            return self._form(str(error), status=503)
        await self._out(request, "another-login")
        secret = self._sessions.begin(actor, await self._mark(actor) or "")
        if secret is None:
            return self._form("too many people are logged in: try again later", user, status=503)
        answer = web.Response(status=303, headers={**HEADERS, "Location": "/"})
        self._set(answer, self._cookie, secret)
        self._drop(answer, self._form_cookie)
        return answer

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """Log out."""
        session = await self.session(request, by_hand=True)
        if session is None or await self.fields(request, session.csrf) is None:
            return web.json_response({"error": "this form is not of this page"}, status=403, headers=HEADERS)
        await self._out(request, "logout")
        answer = web.Response(status=303, headers={**HEADERS, "Location": "/login"})
        self._drop(answer, self._cookie)
        return answer

    async def _out(self, request: web.Request, cause: str) -> None:
        session = self._sessions.end(request.cookies.get(self._cookie, ""))
        if session is not None:
            await self._access.left(session.actor, cause)

    async def fields(self, request: web.Request, csrf: str) -> Mapping[str, str] | None:
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
        answer = html(self._login(csrf, wrong, user, must_change=must_change), None, status)
        self._set(answer, self._form_cookie, csrf, FORM_FOR_S)
        return answer

    def _login(self, csrf: str, wrong: str, user: str, *, must_change: bool) -> bytes:
        frame = Frame(self._gateway, has_navigation=False)
        return render("login.html", frame=frame, csrf=csrf, wrong=wrong, user=user, must_change=must_change).encode()

    def _set(self, answer: web.StreamResponse, name: str, value: str, max_age_s: int | None = None) -> None:
        answer.set_cookie(name, value, max_age=max_age_s, path="/", httponly=True, samesite="Strict", secure=self._secure)

    def _drop(self, answer: web.Response, name: str) -> None:
        answer.del_cookie(name, path="/", httponly=True, samesite="Strict", secure=self._secure)


def person_of(session: Session) -> Person:
    """Return who a session is of, as pages show it."""
    who = session.actor.who
    return Person(str(who["name"] or who["user"]), str(who["role"]), session.csrf)


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(f"{FOLDER}/")


def _named_alike(actor: Actor, vouched: Vouched | None) -> bool:
    """Return whether a session is that of whom the proxy names; where it names nobody, that of somebody who gave his password here."""
    if vouched is None:
        return bool(actor.who["auth"] != "proxy")
    return actor.user == vouched.user and (actor.who["auth"] != "proxy" or vouched.roles == (actor.who["role"],))
