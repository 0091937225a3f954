"""Keeps the list of users in the journal's folder: `users.json`, 0600, written whole or not at all.

It is no part of the line folder, which stands in Git, and of no backup: hashes of passwords do not travel.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from buffer import durable
from gateway.access.users import Directory

NAME = "users.json"
MOST_BYTES = 8 * 1024 * 1024


class UsersUnreadable(Exception):
    """The list of users can not be read as it is; the text says why. Nobody is let in by it."""


class Store:
    """Reads and writes the list of users of one journal's folder. For a thread: the disk is waited for."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._path = data / NAME

    def read(self) -> Directory:
        """Read the list; an empty one if there is no file. Raises UsersUnreadable."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return Directory()
        except OSError as error:
            raise UsersUnreadable(f"{self._path}: {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            if os.fstat(handle).st_mode & 0o077:
                raise UsersUnreadable(f"{self._path}: others may read or write it: find out who did that, then chmod 600")
            content = file.read(MOST_BYTES + 1)
        try:
            return Directory.model_validate_json(content)
        except ValidationError as error:
            # No copy is advised: there is none in any backup.
            way_out = "set it aside, and add the first administrator again (root: users add)"
            raise UsersUnreadable(f"{self._path}: damaged, nobody is let in by it: {way_out}") from error

    def replace(self, before: Directory, after: Directory) -> None:
        """Write the list that was made from `before`. Raises UsersUnreadable if it was changed meanwhile, OSError."""
        if after == before:
            return
        with self._alone():
            if self.read().changes != before.changes:
                raise UsersUnreadable(f"{self._path}: was changed meanwhile: try again")
            write(self._path, after.model_copy(update={"changes": before.changes + 1}).model_dump_json(indent=1).encode())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from writing: a command without a running gateway, and the gateway that starts beside it."""
        folder = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def write(path: Path, content: bytes) -> None:
    """Write a file for its owner alone, durably, whole or not at all; it belongs to whom its folder belongs to. Raises OSError."""
    durable.write(path, content, opened=lambda handle: given_to_owner(handle, path.parent))


def given_to_owner(handle: int, folder: Path) -> None:
    """Give a file that root has made to the owner of its folder, the service's account, which must read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)
