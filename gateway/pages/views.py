"""What everybody sees who may come in: the pages of the line, made in a pace for all together, with each one's name put in."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from gateway.operation.status import Status
from gateway.operation.views import HEADERS, Made
from gateway.pages import clock, journal, line
from gateway.pages.rendering import Frame, Person, personal

PERSON = "person"
"""Where a request holds the Person who is logged in."""
RELOAD_S = 2
Page = Callable[[Mapping[str, Any], Frame], str]
"""Makes a page of a snapshot."""
PAGES: Mapping[str, Page] = {"/": line.page, "/journal": journal.page, "/clock": clock.page}


def pages(status: Status, gateway: str, made: Made) -> list[web.RouteDef]:
    """Return the routes of PAGES. made: in which pace they are made."""
    return [web.get(address, _answering(status, gateway, made, address)) for address in PAGES]


def _answering(status: Status, gateway: str, made: Made, address: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        still, person = "still" in request.query, request.get(PERSON)
        frame = Frame(gateway, address, is_personal=person is not None, reload_s=None if still else RELOAD_S)
        page = made.of(f"{address} {still} {person is None}", lambda: PAGES[address](status.snapshot(), frame).encode())
        return html(page, person)

    return answer


def html(page: bytes, person: Person | None, status: int = 200) -> web.Response:
    """Answer with a page. person: who is logged in."""
    return web.Response(body=personal(page, person), content_type="text/html", charset="utf-8", headers=HEADERS, status=status)
