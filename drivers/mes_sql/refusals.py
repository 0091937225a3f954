"""Tells an address of a database that refuses the connection from one that is silent: by the class of what the driver raises.

Drivers of Python have the socket's error as the cause of their own (PyMySQL, aiomysql, asyncpg, oracledb: DPY-6005). Those over a C library
have its words alone: libpq names each address that was tried, and why it failed; FreeTDS the system's number (NETLIB's `oserr`); Oracle's
client says ORA-12541, no listener.
"""

import errno
import re
from collections.abc import Iterator

from drivers.os_words import is_refused as socket_refused

_LIBPQ = re.compile(r"connection to server at .+?, port \d+ failed: (.+)")
_FREETDS = re.compile(r"Net-Lib error during .+? \((\d+)\)")
_ORACLE = re.compile(r"ORA-12541\b")


def is_refused(error: BaseException) -> bool:
    """Return whether every address of a database that was tried has refused the connection. error: what connecting raised."""
    of_socket = next((each for each in _chain(error) if isinstance(each, OSError)), None)
    if of_socket is not None:
        return socket_refused(of_socket)
    text = "\n".join(map(str, _chain(error)))
    if reasons := {reason.strip() for reason in _LIBPQ.findall(text)}:
        return reasons == {"Connection refused"}
    if numbers := set(_FREETDS.findall(text)):
        return numbers == {str(int(errno.ECONNREFUSED))}
    return _ORACLE.search(text) is not None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what it was made of, as a traceback shows them; each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
