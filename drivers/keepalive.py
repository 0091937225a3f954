"""Finds a dead peer of a TCP connection, also while nothing is sent."""

import socket


def watch(sock: socket.socket) -> None:
    """Let the kernel find a dead peer within about 20 s (RFC 9293, 3.8.4); asyncio sets TCP_NODELAY itself."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
