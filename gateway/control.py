"""Asking a running gateway, over the control socket in its journal's folder."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

CONTROL_SOCKET = "control.sock"
ANSWER_WITHIN_S = 5.0


class NotRunning(Exception):
    """No gateway answers there."""


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(data: Path) -> dict[str, Any]:
    """The gateway's snapshot. Raises NotRunning with what to do."""
    path = data / CONTROL_SOCKET
    connection = _Unix(path)
    try:
        connection.request("GET", "/status")
        snapshot: dict[str, Any] = json.loads(connection.getresponse().read())
    except PermissionError as error:
        raise NotRunning(f"{path}: no permission; ask as the user that runs the gateway") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRunning(f"{path}: no gateway answers there ({error}); start it: ebr-gateway run LINE") from error
    finally:
        connection.close()
    return snapshot
