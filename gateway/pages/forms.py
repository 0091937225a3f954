"""What pages with forms share: who is logged in, the form that he sent, and what became of it. They do not reload: people type here."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiohttp import web

from gateway.access import Access, Refused
from gateway.access.roles import RULES
from gateway.operation.command import Command, Declined
from gateway.operation.views import HEADERS
from gateway.operation.wording import StatusLine
from gateway.pages.door import Door, person_of
from gateway.pages.rendering import Frame, render
from gateway.pages.sessions import Session
from gateway.pages.views import html

NOT_OURS = {"error": "this form is not of this page"}


class Wrong(NamedTuple):
    """Why a form was not done; status: of the answer that says so."""

    text: str
    status: int


class Desk:
    """Where persons give the commands of the control socket by forms."""

    def __init__(
        self, gateway: str, access: Access, commands: Mapping[str, Command], door: Door, beside: Callable[[], StatusLine | None]
    ) -> None:
        """commands: those of the control socket. beside: what runs beside this line now."""
        self._beside = beside
        self.gateway, self._access, self._commands, self._door = gateway, access, commands, door
        self._reading = asyncio.Lock()

    async def session(self, request: web.Request) -> Session:
        """Find who is logged in. Raises HTTPSeeOther: to the form by which one does."""
        session = await self._door.session(request, by_hand=True)
        if session is None:
            raise web.HTTPSeeOther("/login")
        return session

    async def form(self, request: web.Request, most_bytes: int) -> tuple[Session, Mapping[str, str]] | None:
        """Read the form that somebody who is logged in has sent; None if it is none of this page."""
        session = await self._door.session(request, by_hand=True)
        fields = None if session is None else await self._door.fields(request.clone(client_max_size=most_bytes), session.csrf)
        return None if session is None or fields is None else (session, fields)

    async def asked(self, command: str, arguments: Mapping[str, Any], session: Session) -> dict[str, Any]:
        """Give a command that only reads, one at a time: whole folders are read for it, beside the sources. Raises Declined."""
        async with self._reading:
            return await self._commands[command](arguments, session.actor)

    async def done(self, command: str, arguments: Mapping[str, Any], session: Session, fields: Mapping[str, str]) -> dict[str, Any] | Wrong:
        """Give a command in the name of who is logged in, with the reason and the password of his form.

        The password is asked for at each, because a panel may be left alone for a minute; whom a proxy names has none here, and gives it
        where he signs.
        """
        try:
            by = await self._access.in_session(command, session.actor, fields.get("reason", ""), fields.get("password", ""), asks=True)
            return await self._commands[command](arguments, by)
        except Refused as error:
            return Wrong(str(error), 403)
        except Declined as error:
            return Wrong(str(error), 409)

    def shown(self, template: str, here: str, session: Session, wrong: Wrong | None = None, **values: Any) -> web.Response:
        """Show a page to who is logged in. here: its address in the navigation."""
        person, frame = person_of(session), Frame(self.gateway, here, is_personal=True, beside=self._beside())
        told = {"wrong": "" if wrong is None else wrong.text, "csrf": session.csrf, "proxied": session.actor.who["auth"] == "proxy"}
        page = render(template, frame=frame, may=lambda command: person.role in RULES[command].roles, **told, **values)
        return html(page.encode(), person, 200 if wrong is None else wrong.status)


def refused() -> web.Response:
    """Answer what is no form of this page."""
    return web.json_response(NOT_OURS, status=403, headers=HEADERS)


def moved(address: str) -> web.Response:
    """Send the browser on after a form was done, so that to load the page again does nothing again."""
    return web.Response(status=303, headers={**HEADERS, "Location": address})
