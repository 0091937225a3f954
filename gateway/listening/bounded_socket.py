"""Accepts connections on a port, so many at once: in all, and from one peer.

It is done where a connection is accepted, because a TLS handshake, a request's head and its body may each be kept from ending.
"""

import socket
from collections import Counter
from collections.abc import Callable
from typing import Any


class _Connection(socket.socket):
    """An accepted connection, which tells when it is closed."""

    closed: Callable[[], None] | None = None

    def close(self) -> None:
        """Close it, and give its place free; may be called twice."""
        super().close()
        closed, self.closed = self.closed, None
        if closed is not None:
            closed()


class BoundedSocket(socket.socket):
    """A listening socket. opened: called with each connection that is taken."""

    def bound(self, in_all: int, per_peer: int, opened: Callable[[socket.socket], object]) -> None:
        """Set how many connections there may be at once."""
        self._in_all, self._per_peer, self._opened = in_all, per_peer, opened
        self._peers: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection; one that is too many is closed, and the caller comes again. Raises BlockingIOError for it."""
        plain, address = super().accept()
        peer = str(address[0])
        if self._peers.total() >= self._in_all or self._peers[peer] >= self._per_peer:
            plain.close()
            raise BlockingIOError("too many connections")
        connection = _Connection(fileno=plain.detach())
        self._peers[peer] += 1
        connection.closed = lambda: self._leave(peer)
        self._opened(connection)
        return connection, address

    def _leave(self, peer: str) -> None:
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
