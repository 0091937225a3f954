"""Compares a line folder on disk with files that were read before: by their status, and by their bytes where that has changed.

For a gateway that runs: a look costs one stat for each file, and reads nothing of a folder that nobody writes to.
"""

import hashlib
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from config.files import file_bytes
from config.loading import KNOWN, digest
from config.locations import tag_files
from config.problem import ConfigError

NO_PART = frozenset({"tags.csv", "pq.toml"})
"""The first is read if line.toml does not name others, the second by `qualify pq` alone."""
SETTLED_NS = 2_000_000_000
"""A file that was written so lately is read with each look: another change may have the very same time."""


class Edited(NamedTuple):
    """A file that is not as it was read."""

    name: str
    fate: Literal["changed", "added", "gone"]


class Look(NamedTuple):
    """What a look found. edited: in the order of names. unread: what could not be compared, each with the reason."""

    edited: tuple[Edited, ...] = ()
    unread: tuple[str, ...] = ()


class _Seen(NamedTuple):
    status: tuple[int, ...]
    sha256: str
    settled: bool


class Edits:
    """Looks at a folder, again and again. sums: SHA-256 of each file that was read, by its name."""

    def __init__(self, folder: Path, sums: Mapping[str, str]) -> None:
        self.folder, self.sums = folder, sums
        self._seen: dict[str, _Seen] = {}
        self._named: tuple[str | None, tuple[str, ...]] = ("", ())

    def look(self) -> Look:
        """Compare. A file that can not be looked at is never taken to be as it was. For a thread: the disk is waited for."""
        if (why := _no_folder(self.folder)) is not None:
            return Look(unread=(f"{self.folder}: {why}",))
        edited, unread = [], []
        for name in sorted({"line.toml", *self.sums, *self._read_of_it()}):
            try:
                now = self._sum(name)
            except (OSError, ValueError) as error:
                unread.append(f"{name}: {(error.strerror if isinstance(error, OSError) else '') or error}")
                continue
            if now != self.sums.get(name):
                edited.append(Edited(name, "gone" if now is None else "added" if name not in self.sums else "changed"))
        return Look(tuple(edited), tuple(unread))

    @property
    def content(self) -> tuple[tuple[str, str], ...]:
        """What the newest look has seen: (name, SHA-256) of each file that is there."""
        return tuple(sorted((name, seen.sha256) for name, seen in self._seen.items()))

    def digest(self) -> str | None:
        """Compute the digest that a version with this content has; None if not all of it can be read. For a thread."""
        files = {}
        try:
            for name in {"line.toml", *self._read_of_it()}:
                if (self.folder / name).exists():
                    files[name] = file_bytes(self.folder, name)
        except (OSError, ValueError):
            return None
        return digest(files)

    def _read_of_it(self) -> Iterable[str]:
        """Name the files that are read of the folder as it is now: which tables of tags there are says its line.toml."""
        try:
            now = self._sum("line.toml")
            if now != self._named[0]:
                self._named = now, tuple(name for name in tag_files(self.folder) if _is_table(name))
        except (OSError, ValueError, ConfigError):
            return self.sums  # it is told as unread, gone or changed; what else there is, nobody can know
        return {*KNOWN, *self._named[1]} - (NO_PART - {*self._named[1]})

    def _sum(self, name: str) -> str | None:
        """Return the SHA-256 of a file; None if it is not there. Raises OSError, ValueError with the reason."""
        path = self.folder / name
        try:
            told = path.stat()
        except FileNotFoundError:
            self._seen.pop(name, None)
            return None
        status = (told.st_mtime_ns, told.st_ctime_ns, told.st_size, told.st_ino, told.st_mode)
        seen = self._seen.get(name)
        if seen is None or seen.status != status or not seen.settled:
            age_ns = time.time_ns() - max(told.st_mtime_ns, told.st_ctime_ns)
            self._seen.pop(name, None)
            self._seen[name] = seen = _Seen(status, hashlib.sha256(file_bytes(self.folder, name)).hexdigest(), age_ns > SETTLED_NS)
        return seen.sha256


def sums(files: Mapping[str, bytes]) -> dict[str, str]:
    """Compute the SHA-256 of each file that was read, in the order of names."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def _is_table(name: str) -> bool:
    return name.endswith(".csv") and Path(name).name == name


def _no_folder(folder: Path) -> str | None:
    """Say why there is no folder to look into; None if there is one."""
    try:
        return None if stat.S_ISDIR(folder.stat().st_mode) else "it is no folder"
    except OSError as error:
        return error.strerror or str(error)
