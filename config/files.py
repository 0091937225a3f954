"""Reads the files of a line folder, regular files of a bounded size, and finds what its keys name."""

import os
import stat
from pathlib import Path

from config.problem import Problem

DATA_DIRECTORY = "data"  # of the journal, unless [buffer] directory names another
MEBI = 1024 * 1024
LIMITS = {"line.toml": MEBI, "lots.toml": MEBI}
TABLE_LIMIT = 64 * MEBI


def file_bytes(folder: Path, name: str) -> bytes:
    """Read a file of a folder, within the limit for its name. Raises OSError, ValueError with the reason."""
    return _regular_file(folder / name, LIMITS.get(name, TABLE_LIMIT))


def unreadable(name: str, error: OSError | ValueError) -> Problem:
    """Say that a file of the folder can not be read, and why."""
    return Problem(name, None, f"can not be read: {error.strerror if isinstance(error, OSError) else error}")


def place_named(folder: Path, name: str) -> Path:
    """Return the path that a key of line.toml names: an absolute one, or one from the line folder on."""
    return (folder / name).resolve()


def _regular_file(path: Path, limit_bytes: int) -> bytes:
    """Read a file, opened without waiting: a FIFO in the folder must not hang the check."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        data = file.read(limit_bytes + 1) if status.st_size <= limit_bytes else b""
        if status.st_size > limit_bytes or len(data) > limit_bytes:
            raise ValueError(f"it is larger than {limit_bytes // MEBI} MiB")
        return data
