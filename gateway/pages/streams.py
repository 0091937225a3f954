"""Sends a page whenever it is made anew, to who looks at it (Server-Sent Events, HTML Living Standard, 9.2). So many at once, so long.

All are sent the same page. A stream ends by itself before the port would cut it (`gateway.listening`), and the browser comes again. What a
client does not read is not piled up: the next page is written when the one before has left.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.operation.views import HEADERS
from gateway.pages.views import PERSON, Asked, Pages

MOST, MOST_OF_PEER = 24, 8
"""Streams at once: in all, and of one address. A browser whose stream is refused asks for the page again and again."""
EVERY_S = 1.0
LIFE_S = 25.0
"""A browser may begin a stream on a connection that it has had for half a minute; after a minute the port ends that by force."""
STAYS = "stays"
"""Where a request holds what says whether its person is logged in still."""
Stays = Callable[[], Awaitable[bool]]
AS_STREAM = {**HEADERS, "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
"""The last: nginx in between hands each page on when it comes."""
RETRY = b"retry: 1000\n\n"
OUT = b"event: out\ndata: .\n\n"


class Streams:
    """The streams of one port."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._open: Counter[str] = Counter()
        self._over = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """Return the route of all streams."""
        return [web.get("/events", self._stream)]

    async def end(self, _: web.Application) -> None:
        """End all streams: the port closes, and waits for none of them."""
        self._over.set()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.query.get("of", "").partition("?")
        asked, peer = self._pages.asked(path, dict(parse_qsl(query))), request.remote or ""
        if asked is None:
            raise web.HTTPNotFound(text="there is no such page", headers=HEADERS)
        if self._open.total() >= MOST or self._open[peer] >= MOST_OF_PEER:
            raise web.HTTPServiceUnavailable(text="too many look at this page: it is loaded again", headers={**HEADERS, "Retry-After": "5"})
        response = web.StreamResponse(headers=AS_STREAM)
        self._open[peer] += 1
        try:
            with contextlib.suppress(ConnectionError):  # who looked went away
                await response.prepare(request)
                await self._send(request, response, asked)
        finally:
            self._open[peer] -= 1
            self._open += Counter()  # who has none is not remembered
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, asked: Asked) -> None:
        stays: Stays | None = request.get(STAYS)
        await response.write(RETRY)
        for _ in range(int(LIFE_S / EVERY_S)):
            if stays is not None and not await stays():
                await response.write(OUT)
                return
            await response.write(message(self._pages.of(asked, is_personal=PERSON in request, is_sent=True)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), EVERY_S)
                return


def message(page: bytes) -> bytes:
    """Write a page as one event."""
    return b"event: page\n" + b"".join(b"data: " + line + b"\n" for line in page.splitlines()) + b"\n"
