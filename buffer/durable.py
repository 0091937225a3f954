"""Write a file that is evidence, so that it is there after a power cut: its content first, then its name, then that it has this name.

A rename alone is durable in neither: the kernel may write the name before the content, and an empty file stands where the evidence was; or
it has not written the folder, and the former file is there again. Whatever of the product is evidence and is written under a name of its
own goes through here; the journal's own files are made by SQLite and by `buffer.sqlite`, which refuses a disk that can not do this.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path

NO_SUCH_CALL = (errno.EINVAL, errno.ENOTSUP)
"""What some shares answer that can not sync a folder: then the name is as durable as the share makes it."""


def write(path: Path, content: bytes, mode: int = 0o600, opened: Callable[[int], None] = lambda _handle: None) -> None:
    """Write a file in the place of the one that is there, whole or not at all. Raises OSError.

    opened: is given the handle before anything is written, as to give the file to another account.
    """
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode), "wb") as file:
            opened(file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _named(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def create(path: Path, content: bytes) -> None:
    """Write a file under a name that nobody has. Raises FileExistsError, OSError; then there is no half of it."""
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
    sync(path.parent)


def place(part: Path, path: Path) -> None:
    """Give what lies beside its place, a file or a whole folder, its name, in the place of a file that has it. Raises OSError."""
    sync_all(part)
    _named(part, path)


def _named(part: Path, path: Path) -> None:
    part.replace(path)
    sync(path.parent)
    if part.parent != path.parent:
        sync(part.parent)


def sync(path: Path) -> None:
    """Make the content of a file durable, or the names in a folder. Raises OSError."""
    is_folder = path.is_dir()
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECTORY if is_folder else 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if not is_folder or error.errno not in NO_SUCH_CALL:
            raise
    finally:
        os.close(handle)


def sync_all(path: Path) -> None:
    """Make a file durable, or a folder with all that lies in it. Raises OSError."""
    for held in path.rglob("*") if path.is_dir() else ():
        sync(held)
    sync(path)
