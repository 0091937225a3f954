"""Queries and commands a running gateway, over the control socket in its journal's folder."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

CONTROL_SOCKET = "control.sock"
ANSWER_WITHIN_S = 30.0
MOST_COMMAND_BYTES = 2 * 1024 * 1024
READS_JOURNAL_WITHIN_S = 1_800.0
"""For commands by which the gateway reads its journal, from the beginning or for as long as a document is old."""
READS_JOURNAL = frozenset({"/audit-review", "/observation-end"})


class NotRunning(Exception):
    """No gateway answers at the control socket; the text says what to do. barred: one may run, the socket is not for us."""

    def __init__(self, text: str, *, barred: bool = False) -> None:
        super().__init__(text)
        self.barred = barred


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield an address by which to bind or connect the socket at `path`, however long the path is.

    A socket's address holds 107 bytes; one by a descriptor of the folder is short.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Unix(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: Path, within_s: float) -> None:
        super().__init__("localhost", timeout=within_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_address(self._path) as address:
            self.sock.connect(address)


def ask(data: Path, people: Path | None = None) -> dict[str, Any]:
    """Return the gateway's snapshot. data: the journal's folder. people: the control socket for people. Raises NotRunning."""
    return _exchange(data, people, "GET", "/status", None)


def ask_values(data: Path, people: Path | None = None) -> dict[str, Any]:
    """Return the present value of each tag. data, people: as of `ask`. Raises NotRunning."""
    return _exchange(data, people, "GET", "/values", None)


def tell(data: Path, command: str, /, *, people: Path | None = None, **arguments: Any) -> dict[str, Any]:
    """Give the running gateway a command and return its answer, with `error` if it was declined. Raises NotRunning."""
    return _exchange(data, people, "POST", f"/{command}", json.dumps(arguments))


def _exchange(data: Path, people: Path | None, method: str, target: str, body: str | None) -> dict[str, Any]:
    """Ask at the gateway's own socket, and where that is not for us or not there at the one for people."""
    own = data / CONTROL_SOCKET
    try:
        return _asked_at(own, method, target, body)
    except NotRunning as error:
        if people is None or not (error.barred or not own.exists()):
            raise
        try:
            return _asked_at(people, method, target, body)
        except NotRunning as away:
            raise NotRunning(str(away), barred=error.barred or away.barred) from away


def _asked_at(path: Path, method: str, target: str, body: str | None) -> dict[str, Any]:
    connection = _Unix(path, READS_JOURNAL_WITHIN_S if target in READS_JOURNAL else ANSWER_WITHIN_S)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json"})
        answered = connection.getresponse()
        if answered.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return {"error": "this is longer than a command may be"}
        if answered.status == HTTPStatus.NOT_FOUND:
            return {"error": f"the gateway that runs knows no {target}: its program may be of another version than this command's"}
        answer: dict[str, Any] = json.loads(answered.read())
    except PermissionError as error:
        raise NotRunning(f"{path}: no permission; people come over the socket of [users], as members of its group", barred=True) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRunning(f"{path}: no gateway answers there ({error}); start it: ebr-gateway run LINE") from error
    finally:
        connection.close()
    return answer
