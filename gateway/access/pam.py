"""Asks saslauthd whether a password is that of an account of the operating system.

PAM's modules read what the service may not (shadow(5)), or start helpers with rights that its unit forbids (NoNewPrivileges), so they run
in the distribution's own daemon for this; it is spoken to over a Unix socket, by four counted strings (saslauthd(8) of Cyrus SASL).
"""

import contextlib
import socket
import struct

SERVICE = "ebr-gateway"
"""The file of /etc/pam.d that says how; `other` without it."""
WITHIN_S = 15.0
MOST_BYTES = 250


class PamAway(Exception):
    """Nobody answers whether a password is right; the text says what to look at."""


def fits(path: str, user: str, password: str) -> bool:
    """Return whether PAM takes this password for this account, and lets the account in. path: saslauthd's socket. Raises PamAway."""
    said = [text.encode(errors="replace") for text in (user, password, SERVICE, "")]
    if not (user and password) or any(b"\0" in each or len(each) > MOST_BYTES for each in said):
        return False  # C strings: what stands behind a NUL would not be looked at
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as asked:
            asked.settimeout(WITHIN_S)
            asked.connect(path)
            asked.sendall(b"".join(struct.pack(">H", len(each)) + each for each in said))
            (length,) = struct.unpack(">H", _whole(asked, 2))
            answer = _whole(asked, length)
    except (OSError, struct.error) as error:
        raise PamAway(f"{path}: nobody looks at passwords there ({error}); is saslauthd running, and the service in its group?") from error
    return answer == b"OK" or answer.startswith(b"OK ")


def listens(path: str) -> None:
    """Raise PamAway where nobody listens at saslauthd's socket."""
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as asked:
            asked.settimeout(WITHIN_S)
            asked.connect(path)
    except OSError as error:
        raise PamAway(f"{path}: nobody looks at passwords there ({error.strerror}); is saslauthd running?") from error


def _whole(asked: socket.socket, count: int) -> bytes:
    """Read so many bytes. Raises OSError where the other end closes before."""
    held = b""
    while len(held) < count:
        more = asked.recv(count - len(held))
        if not more:
            raise ConnectionResetError("it closed the connection")
        held += more
    return held
