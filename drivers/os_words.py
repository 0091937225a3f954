"""Says in words for a person what the operating system reports of a link by numbers: `[Errno 104] ...` tells a technician nothing.

And what a number means for whoever tries again.
"""

import errno
import os
import re
import socket
import ssl

_WORDS = {
    errno.ECONNRESET: "{who} closed the connection",
    errno.EPIPE: "{who} closed the connection",
    errno.ECONNABORTED: "the connection was given up",
    errno.ECONNREFUSED: "nothing listens there (connection refused)",
    errno.ETIMEDOUT: "{who} does not answer",
    errno.EHOSTUNREACH: "there is no way to this address (no route to host)",
    errno.ENETUNREACH: "there is no way to this address (network is unreachable)",
    errno.EHOSTDOWN: "{who} is down, as the network says",
    errno.ENETDOWN: "the network of this machine is down",
    errno.EIO: "the port failed (input/output error); is its cable or adapter still there?",
}
_NUMBER = re.compile(r"\[Errno (-?\d+)\] ?")


def is_refused(error: BaseException) -> bool:
    """Return whether every address of a host has refused the connection (RFC 9293, 3.10.7.1), which costs neither side anything."""
    return isinstance(error, OSError) and _numbers(error) == {errno.ECONNREFUSED}


def is_absent(error: BaseException) -> bool:
    """Return whether a port of this machine is not there: its adapter is pulled, or not known to the system yet."""
    return isinstance(error, OSError) and error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}


def in_words(error: BaseException, who: str = "the device") -> str:
    """Say an error of a connection or a port in one sentence, without the system's number. who: the other end."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"{who} closed the connection"
    if isinstance(error, socket.gaierror):
        return f"the name is not known: {error.strerror}"
    text = str(error) or type(error).__name__
    if not isinstance(error, OSError) or isinstance(error, ssl.SSLError):
        return text
    numbers = _numbers(error)
    if len(numbers) != 1:
        return _NUMBER.sub("", text)
    (number,) = numbers
    return _WORDS[number].format(who=who) if number in _WORDS else os.strerror(number) if number > 0 else _NUMBER.sub("", text)


def _numbers(error: OSError) -> set[int]:
    """Find the system's numbers of an error: of several, if several addresses were tried, which asyncio joins to one text."""
    return {error.errno} if error.errno else {int(number) for number in _NUMBER.findall(str(error))}
