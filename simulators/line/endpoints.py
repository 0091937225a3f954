"""Decides which endpoints of a line a simulation may serve as they are, and moves the others to this machine."""

import re
import secrets
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from config import Line, Source, Uplink

LOOPBACK = re.compile(r"^(127(\.[0-9]{1,3}){3}|localhost|::1)$")
FILES = {"file", "serial", "rtu"}
NETWORK = {"opc.tcp", "tcp", "rtu-tcp", "rfc2217", "mqtt", "mqtts", "http", "https"}


def is_local(endpoint: str) -> bool:
    """True on this machine's loopback, and for a file below the line folder (two slashes, or SQLite's relative path)."""
    scheme = endpoint.split(":", 1)[0]
    if scheme.startswith("sqlite"):
        return not re.match(r"^sqlite[^:]*:////", endpoint)
    if scheme in NETWORK:
        return bool(LOOPBACK.match(urlsplit(endpoint).hostname or ""))
    return scheme in FILES and not endpoint.startswith(f"{scheme}:///")


def elsewhere(line: Line) -> list[Source]:
    """List the sources that a simulation must not or can not serve at their own endpoints."""
    return [source for source in line.sources if not all(is_local(endpoint) for endpoint in source.endpoints)]


def moved(source: Source, port: int) -> str:
    """Make a source's endpoint in a copy of the line: loopback with this port, or a file below the copy."""
    endpoint = source.endpoints[0]
    scheme = endpoint.split(":", 1)[0]
    if source.driver == "mes_sql":
        return f"sqlite+aiosqlite:///{source.name}.db"
    if source.driver == "mes_file":
        return f"file://{source.name}"
    parts = urlsplit(endpoint)
    query = f"?{parts.query}" if parts.query else ""
    if scheme in NETWORK:
        return f"{scheme}://127.0.0.1:{port}{parts.path}{query}"
    return f"{scheme}://ports/{source.name}{query}"


def moved_uplink(uplink: Uplink) -> str:
    """Make an uplink's endpoint in a copy: same scheme and port on loopback, so that it never reaches the real EBR."""
    parts = urlsplit(uplink.endpoint)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://127.0.0.1{port}{parts.path}"


def free_ports() -> Iterator[int]:
    """Yield ports on which nothing listened when asked; none twice. They lie below the range of outgoing connections.

    From another one on each time: who asks at the same instant, in this process or another, is not to be given the same.
    """
    port = secrets.randbelow(12_000)
    while True:
        port = 20_000 + (port + 1) % 12_000
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port
