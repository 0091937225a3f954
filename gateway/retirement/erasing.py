"""Erases one file, as far as a program can: overwritten in place, unlinked, the folder made durable; and says just that."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.retirement.erasable import is_bare_link, obstacle, several_names

PIECE = b"\0" * 65_536
MEANS = (
    "Each file was overwritten with zeros where it lay, made durable, and its name removed. That is what a program can do, and no proof "
    "that nothing is left: flash moves what is written, a file system that keeps a journal, copies on write or takes snapshots keeps what "
    "was there, and a backup of the medium has it still. The medium has to have been encrypted, or has to be destroyed; each secret has to "
    "be changed or blocked where it was accepted."
)
"""What an erasure claims, and what it does not; on every document of it."""


class NotErased(Exception):
    """A file stays; the text says why."""


def erased(path: Path, objection: Callable[[Path], str] = lambda _: "") -> dict[str, Any]:
    """Erase a file and return what was done; one that is gone was erased by an earlier call. Raises NotErased.

    A link that leads to no file goes alone. objection: says why a file must not be erased.
    """
    if not os.path.lexists(path):
        return {"erased": True, "how": "gone already when it was looked for", "bytes": None}
    if why := objection(path) or obstacle(path):  # once more: since the plan somebody may have linked it
        raise NotErased(f"{path}: {why}")
    real = path.resolve()
    try:
        if is_bare_link(path):
            _unlinked(path)
            return {"erased": True, "how": f"a link to {real}, which is no file: the link was removed", "bytes": None}
        file_system = _file_system(real)
        size = _overwritten(real)
        for name in dict.fromkeys((real, path)):
            _unlinked(name)
    except OSError as error:
        raise NotErased(f"{error.filename or path}: {error.strerror}: put right what keeps it from being erased") from error
    return {"erased": True, "how": f"overwritten with zeros and made durable, then unlinked, on {file_system}", "bytes": size}


def _overwritten(path: Path) -> int:
    """Overwrite a file in place; return its bytes."""
    if not os.access(path, os.W_OK):
        path.chmod(0o600)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "wb", buffering=0) as file:
        told = os.fstat(file.fileno())
        if why := several_names(told, path):
            raise OSError(0, why, str(path))
        left = told.st_size
        while left > 0:
            left -= file.write(PIECE[: min(left, len(PIECE))])
        os.fsync(file.fileno())
    return told.st_size


def _unlinked(path: Path) -> None:
    path.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_system(path: Path) -> str:
    """Name the file system that a file lies on, from the mounts."""
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "a file system that is not known"
    mounts = [words for line in lines if len(words := line.split(" ")) >= 3 and path.is_relative_to(words[1].replace("\\040", " "))]
    return max(enumerate(mounts), key=lambda one: (len(one[1][1]), one[0]))[1][2] if mounts else "a file system that is not known"
