"""What everybody sees who may come in: the pages of the line, made in a pace for all together, with each one's name put in."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.listening.pace import Pace
from gateway.operation import wording
from gateway.operation.status import Status
from gateway.operation.views import HEADERS, Made, Shown, views
from gateway.pages import clock, journal, line, tags
from gateway.pages.rendering import Frame, Person, personal

PERSON = "person"
"""Where a request holds the Person who is logged in."""
RELOAD_S = 2
TRENDS_PER_S, TRENDS_AT_ONCE = 10.0, 20
"""Trends are made for each who asks, and for all together no faster than this."""


def _of_snapshot(page: Callable[[Mapping[str, Any], Frame], str]) -> Callable[[Status, Frame, int], str]:
    return lambda status, frame, _: page(status.snapshot(), frame)


PAGES: Mapping[str, Callable[[Status, Frame, int], str]] = {
    "/": _of_snapshot(line.page),
    "/tags": lambda status, frame, number: tags.page(status.values(), frame, number),
    "/journal": _of_snapshot(journal.page),
    "/clock": _of_snapshot(clock.page),
}
"""Address -> what makes the page of (the line, its frame, which part of it, from 1)."""


class Asked(NamedTuple):
    """A page that is asked for. number: which part of it, from 1."""

    address: str
    number: int = 1

    @classmethod
    def of(cls, path: str, query: Mapping[str, str], most: int) -> "Asked":
        """Read an address; a part that is not there is the first. most: how many parts there are."""
        text = query.get("page", "")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1
        return cls(path, number if path == "/tags" and 1 <= number <= most else 1)

    @property
    def query(self) -> str:
        """Return the query of its address."""
        return urlencode({"page": self.number}) if self.number > 1 else ""


class Pages:
    """The pages of a line. count: of its tags."""

    def __init__(self, status: Status, gateway: str, count: int, made: Made) -> None:
        """made: in which pace pages are made."""
        self._status, self._gateway = status, gateway
        self._parts = tags.pages_of(count)
        self._slow = made.slower()
        self._made = dict.fromkeys(PAGES, made) | {"/tags": self._slow}
        self._trends = Pace(TRENDS_PER_S, TRENDS_AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of PAGES, and of trends."""
        return [*(web.get(address, self._page) for address in PAGES), web.get("/trend", self._trend), web.get("/trend.json", self._points)]

    def asked(self, path: str, query: Mapping[str, str]) -> Asked | None:
        """Read an address; None if there is no such page."""
        return Asked.of(path, query, self._parts) if path in PAGES else None

    def of(self, asked: Asked, *, is_personal: bool, is_still: bool = False, is_sent: bool = False) -> bytes:
        """Return a page as it was made last, or make it anew. is_sent: to all who look, by streams, so in the slower pace."""
        frame = Frame(self._gateway, asked.address, asked.query, is_personal, None if is_still else RELOAD_S, not is_still, has_script=True)
        name = f"{frame.address} {is_still} {is_personal}"
        made = self._slow if is_sent else self._made[asked.address]
        return made.of(name, lambda: PAGES[asked.address](self._status, self._with_beside(frame), asked.number).encode())

    def _with_beside(self, frame: Frame) -> Frame:
        """Give a frame that says on every page what runs beside this line: the warning is for everybody who looks."""
        return frame._replace(beside=wording.beside(self._status.transition()))

    async def _page(self, request: web.Request) -> web.Response:
        asked, person = self.asked(request.path, request.query), request.get(PERSON)
        assert asked is not None
        return html(self.of(asked, is_personal=person is not None, is_still="still" in request.query), person)

    async def _trend(self, request: web.Request) -> web.Response:
        trend, person = self._looked_up(request), request.get(PERSON)
        still = "still" in request.query
        query, reload_s = urlencode({"tag": trend["tag"]}), None if still else RELOAD_S
        frame = Frame(self._gateway, "/trend", query, person is not None, reload_s, has_script=True)
        return html(tags.trend_page(trend, self._with_beside(frame)).encode(), person)

    async def _points(self, request: web.Request) -> web.Response:
        return web.json_response(self._looked_up(request), headers=HEADERS)

    def _looked_up(self, request: web.Request) -> dict[str, Any]:
        now_s = time.monotonic()
        if not self._trends.is_free(now_s):
            raise web.HTTPServiceUnavailable(text="too many trends are asked for: try again", headers={**HEADERS, "Retry-After": "1"})
        self._trends.turn(now_s)
        trend = self._status.trend(request.query.get("tag", ""))
        if trend is None:
            raise web.HTTPNotFound(text="there is no such tag", headers=HEADERS)
        return trend


def for_programs(status: Status, made: Made) -> list[web.RouteDef]:
    """Return the routes by which programs look at the line. made: in which pace their answers are made."""

    def shown(make: Callable[[], Shown]) -> Handler:
        async def look(_: web.Request) -> web.StreamResponse:
            body, kind = make()
            return web.Response(body=body, headers={**HEADERS, "Content-Type": kind})

        return look

    return [web.get(path, shown(make)) for path, make in views(status, made).items()]


def html(page: bytes, person: Person | None, status: int = 200) -> web.Response:
    """Answer with a page. person: who is logged in."""
    return web.Response(body=personal(page, person), content_type="text/html", charset="utf-8", headers=HEADERS, status=status)
