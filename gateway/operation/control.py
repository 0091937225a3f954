"""Asking a running gateway, over the control socket in its journal's folder."""

import http.client
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONTROL_SOCKET = "control.sock"
ANSWER_WITHIN_S = 5.0


class NotRunning(Exception):
    """No gateway answers there."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Where `path` is bound or connected to, however long it is: an address holds 107 bytes; a descriptor of the folder is short."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_address(self._path) as address:
            self.sock.connect(address)


def ask(data: Path) -> dict[str, Any]:
    """The gateway's snapshot. Raises NotRunning with what to do."""
    return _exchange(data, "GET", "/status", None)


def tell(data: Path, command: str, **arguments: str) -> dict[str, Any]:
    """Have the running gateway do something; its answer, with `error` if it would not. Raises NotRunning."""
    return _exchange(data, "POST", f"/{command}", json.dumps(arguments))


def _exchange(data: Path, method: str, target: str, body: str | None) -> dict[str, Any]:
    path = data / CONTROL_SOCKET
    connection = _Unix(path)
    try:
        connection.request(method, target, body, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    except PermissionError as error:
        raise NotRunning(f"{path}: no permission; ask as the user that runs the gateway") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRunning(f"{path}: no gateway answers there ({error}); start it: ebr-gateway run LINE") from error
    finally:
        connection.close()
    return answer
