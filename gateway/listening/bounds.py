"""Gives requests a pace, from each peer and in all, and connections an end between two requests."""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.listening.pace import Pace

REQUESTS_PER_S = 20.0
"""From one peer; five times as many from all."""
BURST = 40
"""Requests that may come at once before the pace holds."""
MAX_PEERS = 1_024
LAST_AFTER_S = 30.0
"""Age of a connection at which its next answer is its last one: well before its end by force (`port.LIFE_S`)."""


class Bounds:
    """The pace of one port. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all = Pace(5 * REQUESTS_PER_S, 5 * BURST)
        self._peers: OrderedDict[str, Pace] = OrderedDict()
        self._since_s: dict[int, float] = {}  # by descriptor: when the connection was accepted that has it

    def began(self, connection: socket.socket) -> None:
        """Note a connection that was accepted."""
        self._since_s[connection.fileno()] = self._clock()

    def wait_s(self, peer: str) -> float:
        """Count a request of a peer; return the seconds for which it has to wait."""
        now_s = self._clock()
        pace = self._peers.pop(peer, None) or Pace(REQUESTS_PER_S, BURST)
        self._peers[peer] = pace
        while len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
        return max(pace.turn(now_s), self._all.turn(now_s))

    def middleware(self) -> Middleware:
        """Return the middleware for `web.Application`: the outermost one, so that nothing is done out of turn."""

        @web.middleware
        async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
            await asyncio.sleep(self.wait_s(request.remote or ""))
            try:
                response = await handler(request)
            except web.HTTPException as answer:
                self._end(request, answer)
                raise
            self._end(request, response)
            return response

        return bounded

    def _end(self, request: web.Request, response: web.StreamResponse) -> None:
        connection = request.get_extra_info("socket")
        since_s = None if connection is None else self._since_s.get(connection.fileno())
        if since_s is not None and self._clock() - since_s >= LAST_AFTER_S:
            response.force_close()
