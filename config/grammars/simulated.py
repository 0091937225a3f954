"""The sign by which a bundled simulator says of itself that it is one, by the endpoint that it serves.

It holds an abstract Unix socket of that name as long as it serves: gone with its process, never a leftover, and seen by whoever shares this
machine's loopback with it. So nothing has to be asked of a device, and nothing is guessed from an address. A simulator at another machine,
or behind a tunnel, can not say it so.
"""

import os
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from config.grammars.listen import is_loopback

PREFIX = "ebr-gateway/simulator/"
_OF_FILES = re.compile(r"^(file|serial|rtu|sqlite[^:]*)://")


def sign(endpoint: str, folder: Path) -> str | None:
    """Return the name of the socket of an endpoint, at most 60 characters; None for one that can not be on this machine.

    Two ways to write one place have one sign: hosts of the loopback are one, and of a file its absolute path counts. folder: the line's.
    """
    place = _place(endpoint, folder)
    return None if place is None else f"{PREFIX}{sha256(place.encode()).hexdigest()[:32]}"


def signs(endpoints: Iterable[str], folder: Path) -> list[str]:
    """Return the names of the sockets of all endpoints that can be on this machine."""
    return [name for endpoint in endpoints if (name := sign(endpoint, folder)) is not None]


def _place(endpoint: str, folder: Path) -> str | None:
    address = endpoint.partition("?")[0]
    if found := _OF_FILES.match(address):
        path = address[found.end() :]
        if found[1].startswith("sqlite"):
            path = path.removeprefix("/")  # three slashes: relative; four: absolute
        return os.path.normpath(folder.absolute() / path)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    return f"port {port}" if is_loopback(host) and port else None
