"""Opens a port for an application, with bounds on what others may take of it."""

import asyncio
import contextlib
import socket
import ssl
from functools import partial

from aiohttp import web

from config.grammars.listen import host_of
from gateway.listening.bounded_socket import BoundedSocket
from gateway.listening.bounds import Bounds

IN_ALL = 64
PER_PEER = 32
LIFE_S = 60.0
"""The longest that a connection may be open, whatever it does: a handshake, a head, a body or an answer may each be kept from ending."""


async def open_port(
    runner: web.AppRunner, listen: str, bounds: Bounds, tls: ssl.SSLContext | None = None, *, life_s: float = LIFE_S
) -> None:
    """Serve the runner's application, which has the middleware of `bounds`, at HOST:PORT until it is cleaned up.

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
            await web.SockSite(runner, listening, ssl_context=tls).start()
        except BaseException:
            listening.close()
            raise


def _end(connection: socket.socket) -> None:
    """End a connection from below, whoever reads or writes it now."""
    with contextlib.suppress(OSError):  # it is closed by now
        connection.shutdown(socket.SHUT_RDWR)
