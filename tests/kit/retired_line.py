"""A line that made a batch, with secrets of every kind, and the points at which its retirement can be killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.mixing_line import mixing_line
from kit.processes import free_port

PASSWORDS = {"ebr": "kettle-of-the-ebr-417", "mes": "kettle-of-the-mes-418", "old-plc": "kettle-of-the-plc-419"}
"""Files of LINE/credentials: of the uplink, of a client of [push], and one that line.toml names no more."""
MORE = """
[[uplink]]
name = "ebr"
kind = "https"
endpoint = "http://127.0.0.1:{ebr}"
user = "gateway"
password = {{ credential = "ebr" }}
[push]
listen = "127.0.0.1:{push}"
[[push.client]]
name = "mes"
token = {{ credential = "mes" }}
[[equipment]]
name = "washer"
batch = {{ push = true }}
[[witness]]
name = "vault"
endpoint = "file://{witness}"
"""


def retired_line(folder: Path, ebr: int) -> Path:
    """Write the line folder. ebr: the port of its EBR. Its witness is a folder beside it."""
    witness = folder.with_name(f"{folder.name}-witness")
    witness.mkdir(parents=True)
    line = mixing_line(folder, MORE.format(ebr=ebr, push=free_port(), witness=witness))
    (line / "credentials").mkdir(mode=0o700)
    for name, secret in PASSWORDS.items():
        file = line / "credentials" / name
        file.touch(mode=0o600)
        file.write_text(secret + "\n")
    return line


def killed_at(point: str) -> None:
    """Have this process killed at a point of the retirement: `STEP` before it, `STEP+` when it is done and not yet noted.

    `erasing+`: after the first file was erased and before that is noted. `signed+`: the record is signed, and its files are not written.
    """
    from gateway.changes.retired import Retirement
    from gateway.retirement import erasing, steps

    if point == "erasing+":
        erasing.erased = _after(erasing.erased)
    elif point == "signed+":
        steps.write = _before(steps.write, lambda document, *_: document["document"] == "retirement-record")
    elif point.endswith("+"):
        Retirement.completed = _before(Retirement.completed, lambda _, step, __: step == point[:-1])  # type: ignore[method-assign]
    else:
        table: dict[str, Any] = steps.IN_JOURNAL if point in steps.IN_JOURNAL else steps.AFTER
        table[point] = _before(table[point], lambda *_: True)


def points() -> list[str]:
    """Every point, in the order in which they are reached."""
    from gateway.retirement import steps

    names = [*steps.IN_JOURNAL, *steps.AFTER]
    found = [point for name in names for point in (name, f"{name}+")]
    at = found.index("erased") + 1
    found.insert(at, "erasing+")
    found.insert(found.index("recorded") + 1, "signed+")
    return found


def _before(call: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    def dying(*arguments: Any, **more: Any) -> Any:
        if when(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **more)

    return dying


def _after(call: Callable[..., Any]) -> Callable[..., Any]:
    def dying(*arguments: Any) -> Any:
        answer = call(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return dying
