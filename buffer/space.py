"""The space of the journal: how much there is, when it is short, and the ballast, reserved so that an alarm can be written on a full disk.

Belongs to the writer thread, but for the functions that only read file sizes.
"""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from buffer import sqlite
from buffer.committed import CommittedView

BALLAST = "ballast"
BALLAST_BYTES = 32 << 20
"""Reserved space, given up when the disk is full: what waits, and the alarm, can still be written then."""
SPARE = 20
"""retain_days yield in the last 1/20 of the space there is: sources are held back only when nothing may go, and then until it is free."""
LOOK_EVERY_S = 1.0
"""Interval at which the space is looked at."""


class Pressure(NamedTuple):
    """Reason why sources must be held back. cause: disk-full, journal-full (max_bytes) or journal-locked, as gaps and findings name it."""

    cause: str
    text: str


class Space:
    """The space that the journal may take: max_bytes or the disk, whichever is less.

    pressure: reason why sources must be held back. is_low: retain_days must yield. committed_bytes: added to segments by this run's
    commits, for the rate of growth.
    """

    def __init__(self, directory: Path, view: CommittedView, max_bytes: int) -> None:
        self._directory, self._view, self.max_bytes = directory, view, max_bytes
        self.pressure: Pressure | None = None
        self.is_low = False
        self.committed_bytes = 0
        self.ballast_bytes = min(BALLAST_BYTES, max_bytes // 20)
        self._checked_s = -LOOK_EVERY_S

    def used_bytes(self) -> int:
        """Return the bytes of all files, logs of growing segments included. From any thread: SQLite may remove a log between two looks."""
        closed = sum(segment.file_bytes for segment in self._view.segments)
        growing = [
            self._directory / "journal.db",
            *(self._view.path(segment) for segment in self._view.segments if segment.state == "open"),
        ]
        growing += [path.with_name(path.name + "-wal") for path in growing]
        return closed + sum(map(sqlite.size_bytes, growing))

    def free_ballast(self) -> None:
        """Give up the reserved space, so that what waits, and the record of it, can still be written."""
        with suppress(FileNotFoundError):
            (self._directory / BALLAST).unlink()
        self.pressure = Pressure("disk-full", f"the disk is full: {self.free_bytes()} bytes free")

    def free_bytes(self) -> int:
        """Return the bytes that the file system has left for this process."""
        stat = os.statvfs(self._directory)
        return stat.f_bavail * stat.f_frsize

    def excess_bytes(self) -> int:
        """Return how many bytes must go for 1/20 of the space to be spare, in max_bytes and on the disk; below 0 if more is spare."""
        used = self.used_bytes()
        space = min(self.max_bytes, used + self.free_bytes())
        return used - (space - space // SPARE)

    def watch(self) -> None:
        """Decide whether sources must be held back and whether retain_days must yield; reserve space again once there is enough."""
        if time.monotonic() < self._checked_s + LOOK_EVERY_S:
            return
        self._checked_s = time.monotonic()
        free, used = self.free_bytes(), self.used_bytes()
        # Twice, so that making it does not at once bring back the pressure that its absence means.
        if not (self._directory / BALLAST).exists() and free > 2 * self.ballast_bytes:
            free -= self._reserve()
        if not (self._directory / BALLAST).exists() or free < self.ballast_bytes // 4:
            self.pressure = Pressure("disk-full", f"the disk is full: {free} bytes free")
        # Hysteresis: once full, 1/20 must be free again before sources are let go.
        elif used > self.max_bytes - (self.max_bytes // SPARE if self.pressure and self.pressure.cause == "journal-full" else 0):
            text = f"the journal is full: {used} of {self.max_bytes} bytes used, and nothing may be pruned yet"
            self.pressure = Pressure("journal-full", text)
        else:
            self.pressure = None
        self.is_low = self.excess_bytes() > 0

    def _reserve(self) -> int:
        """Make the ballast anew; return its bytes, 0 if the disk has no room for it."""
        sqlite.create(self._directory / BALLAST)
        try:
            with (self._directory / BALLAST).open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, max(self.ballast_bytes, 1))
        except OSError as error:
            (self._directory / BALLAST).unlink()
            if error.errno != errno.ENOSPC:
                raise
            return 0
        return self.ballast_bytes
