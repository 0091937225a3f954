"""Opens a port for an application, with bounds on what others may take of it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from config.grammars.listen import host_of
from gateway.listening.bounded_socket import BoundedSocket
from gateway.listening.bounds import Bounds

IN_ALL = 64
PER_PEER = 32
KEPT_S = 15.0
"""How long a connection may stay that asks for nothing."""
LIFE_S = 60.0
"""The longest that a connection may be open, whatever it does: a handshake, a head, a body or an answer may each be kept from ending."""


class Serving:
    """An application that is served at what is opened."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._servers: list[asyncio.Server] = []

    async def at_port(self, listen: str, bounds: Bounds, tls: ssl.SSLContext | None = None, *, life_s: float = LIFE_S) -> None:
        """Open HOST:PORT for the application, which has the middleware of `bounds`.

        Raises OSError if the address is taken or is none of ours.
        """
        loop = asyncio.get_running_loop()

        def opened(connection: socket.socket) -> None:
            bounds.began(connection)
            loop.call_later(life_s, partial(_end, connection))

        host, port = host_of(listen), int(listen.rpartition(":")[2])
        for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            listening = BoundedSocket(family, kind, protocol)
            try:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listening.settimeout(0.0)
                listening.bind(address)
                listening.bound(IN_ALL, PER_PEER, opened)
                self._servers.append(await loop.create_server(self._protocol, sock=listening, ssl=tls))
            except BaseException:
                listening.close()
                raise

    @property
    def _protocol(self) -> web.Server:
        assert self._runner.server is not None
        return self._runner.server

    def close(self) -> None:
        """Listen no more, from now on."""
        for server in self._servers:
            server.close()


@contextlib.asynccontextmanager
async def served(application: web.Application) -> AsyncIterator[Serving]:
    """Serve an application at what the block opens, until it ends.

    From that instant on nothing listens, whatever comes of ending its connections: who begins again finds the address free.
    """
    runner = web.AppRunner(application, access_log=None, handle_signals=False, keepalive_timeout=KEPT_S)
    serving = Serving(runner)
    try:
        await runner.setup()
        yield serving
    finally:
        serving.close()
        await runner.cleanup()


def _end(connection: socket.socket) -> None:
    """End a connection from below, whoever reads or writes it now."""
    with contextlib.suppress(OSError):  # it is closed by now
        connection.shutdown(socket.SHUT_RDWR)
