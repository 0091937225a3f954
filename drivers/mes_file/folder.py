"""Reads the drop folder and changes nothing in it: which files stand there, and their bytes.

Everything is opened relative to the folder's own descriptor, never following a link, and must be a regular file with one name: no path,
link, pipe or device that somebody puts into the folder can lead out of it.
"""

import errno
import fnmatch
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from drivers.contract import LinkLost

FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST_ENTRIES = 100_000
"""Names looked at in one scan."""


class NotWhole(Exception):
    """The file changed while it was read, or is gone: look again at the next scan."""


class NotAFile(Exception):
    """What stands under the name is nothing that may be read; the text says what."""


class Unreadable(Exception):
    """The file does not let itself be read now: its mode, a lock or lease of who has it open, its place on the disk. The text says what.

    Nothing of what a scan shows of a file changes when this ends, so it is tried anew at each look.
    """


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as one scan found it. Two equal ones in a row mean that nobody is writing."""

    name: str
    inode: int
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Scan:
    """files: name -> Seen, regular ones that a pattern takes. refused: name -> why. others: regular ones that no pattern takes.

    truncated: more names than MOST_ENTRIES.
    """

    files: dict[str, Seen] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    others: dict[str, Seen] = field(default_factory=dict)
    truncated: bool = False

    def find(self, name: str) -> Seen | None:
        """Return the file of this name, whether a pattern takes it or not."""
        return self.files.get(name) or self.others.get(name)

    def all(self) -> Iterator[tuple[str, Seen]]:
        """Yield every file, by name."""
        yield from self.files.items()
        yield from self.others.items()


class Folder:
    """Scans and reads an open drop folder. Raises LinkLost when it is made, if the folder can not be opened."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise LinkLost(f"{path}: {error.strerror}") from error
        self._path = path

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def scan(self, is_taken: Callable[[str], bool]) -> Scan:
        """List the folder's files without opening any. Raises LinkLost if the folder is gone or another one now.

        is_taken: True for a name that a pattern takes. Temporary files of writers (a dot before the name) are none of the others.
        """
        scan, unlooked = Scan(), dict[str, str]()
        try:
            if self._path.stat().st_ino != os.fstat(self._fd).st_ino:
                raise LinkLost(f"{self._path}: the folder was replaced")
            with os.scandir(self._fd) as entries:
                for number, entry in enumerate(entries):
                    if number >= MOST_ENTRIES:
                        return replace(scan, truncated=True)
                    if is_taken(entry.name):
                        _look(entry, scan.files, scan.refused)
                    elif not entry.name.startswith("."):
                        _look(entry, scan.others, unlooked)
        except OSError as error:
            raise LinkLost(f"{self._path}: {error.strerror}") from error
        return scan

    def read(self, seen: Seen, most_bytes: int) -> bytes:
        """Read the whole content of a file that a scan found. Raises NotWhole, NotAFile, Unreadable.

        Whatever the system says of one file is that file's: whether the folder is there, the scans tell.
        """
        try:
            file = os.open(seen.name, FLAGS, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise NotWhole(f"{seen.name} is gone") from error
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise NotAFile(error.strerror) from error
            raise Unreadable(_why(error)) from error
        try:
            return _whole(file, seen, most_bytes)
        except OSError as error:
            raise Unreadable(_why(error)) from error
        finally:
            os.close(file)


def matches(name: str, glob: str) -> bool:
    """Return True if the glob names this file. A name that begins with a dot is a writer's temporary one, unless the glob asks for it."""
    return fnmatch.fnmatchcase(name, glob) and (not name.startswith(".") or glob.startswith("."))


def printable(name: str) -> str:
    """Make a file name fit for a finding: control characters and undecodable bytes as escapes, at most 200 characters."""
    return name.encode("unicode_escape").decode("ascii")[:200] if not name.isprintable() else name[:200]


def _why(error: OSError) -> str:
    """Say why a file can not be read. EAGAIN of a file is a lease: a file server has promised it to another client for now."""
    return "another program holds a lease on it" if error.errno == errno.EAGAIN else error.strerror or f"error {error.errno}"


def _look(entry: os.DirEntry[str], files: dict[str, Seen], refused: dict[str, str]) -> None:
    """Put a name of the folder among the files or among the refused; one that is gone meanwhile is neither.

    Raises PermissionError: who may not look at one name may look at none of the folder.
    """
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except PermissionError:
        raise
    except OSError as error:
        refused[entry.name] = _why(error)
        return
    if why := _unfit(entry.name, status):
        refused[entry.name] = why
    else:
        files[entry.name] = Seen(entry.name, status.st_ino, status.st_size, status.st_mtime_ns)


def _unfit(name: str, status: os.stat_result) -> str:
    """Return why this may not be read; empty for a regular file with one plain name."""
    if not stat.S_ISREG(status.st_mode):
        return f"no regular file ({stat.filemode(status.st_mode)})"
    if status.st_nlink > 1:
        return "has a second name (hard link)"
    return "" if name.isprintable() else "its name holds control characters or undecodable bytes"


def _whole(file: int, seen: Seen, most_bytes: int) -> bytes:
    """Read an open file to its end. It must be as the scan found it, before and after: else somebody writes. Raises NotWhole, NotAFile."""
    before = os.fstat(file)
    if why := _unfit(seen.name, before):
        raise NotAFile(why)
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (seen.inode, seen.size_bytes, seen.mtime_ns):
        raise NotWhole(f"{seen.name} has changed")
    pieces, total = [], 0
    while total <= min(seen.size_bytes, most_bytes) and (piece := os.read(file, 1 << 20)):
        pieces.append(piece)
        total += len(piece)
    after = os.fstat(file)
    if total != seen.size_bytes or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise NotWhole(f"{seen.name} changed while it was read")
    return b"".join(pieces)
