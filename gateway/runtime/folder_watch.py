"""Looks whether the line folder on disk is still what runs, for people who edit it and wonder: at a slow pace, by stat."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from config.edited import Edits, Look
from gateway.changes import Book, Store
from gateway.changes.next_step import next_step
from gateway.changes.store import ACTS, FOLDER
from gateway.operation.folder import Folder
from gateway.runtime.systemd import NOTIFY_SOCKET

LOOK_EVERY_S = 10.0
UNITS_AT = Path("/etc/ebr-gateway")
"""Below it lie the folders that the unit of docs/install.md runs, by their names."""


class FolderWatch:
    """Keeps in `Folder` what it finds. Nothing of it is an event: who edits a folder has not changed what is recorded."""

    def __init__(self, kept: Folder, data: Path, now: Callable[[], int]) -> None:
        """data: the journal's folder, with the versions beside it. now: ticks."""
        self._kept, self._now = kept, now
        self._edits = Edits(kept.path, kept.sums)
        self._store = Store(data)
        self._acts = data / FOLDER / ACTS
        self._said: object = None
        self._next = ""

    async def run(self, done: Callable[[], object]) -> None:
        """Look, until cancelled. done: called after each look."""
        while True:
            look, next_ = await asyncio.to_thread(self.looked)
            self._kept.found(look, self._now(), next_)
            done()
            await asyncio.sleep(LOOK_EVERY_S)

    def looked(self) -> tuple[Look, str]:
        """Look, and say what to do; what that rests on is read only where it has changed. For a thread."""
        look = self._edits.look()
        if not look.edited:
            return look, ""
        here = (self._edits.content, self._acts_status())
        if here != self._said:
            self._next = self._what_to_do()
            self._said = here
        return look, self._next

    def _what_to_do(self) -> str:
        folder = self._kept.path.resolve()
        try:
            book = self._store.read().book
        except OSError:  # acts that can not be read are told as what they are by who needs them
            book = Book()
        return next_step(folder, book, self._edits.digest(), self._kept.restart)

    def _acts_status(self) -> tuple[int, int] | None:
        try:
            told = self._acts.stat()
        except OSError:
            return None
        return told.st_mtime_ns, told.st_size


def how_to_restart(folder: Path) -> str:
    """Say how a line begins anew: by its unit, if systemd runs it."""
    folder = folder.resolve()
    if NOTIFY_SOCKET in os.environ and folder.parent == UNITS_AT:
        return f"systemctl restart ebr-gateway@{folder.name}"
    return "end the gateway and start it again"
