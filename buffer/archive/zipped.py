"""Write an archive's file: members stored one after the other, whole or not at all, ended by the sum of everything before."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from buffer import durable, sqlite

MADE = (1980, 1, 1, 0, 0, 0)  # equal content gives an equal file
_SUM_BYTES = 64
_PIECE_BYTES = 1 << 20


class TooLarge(Exception):
    """A member is larger than what every reader of zip files can read (2 GiB)."""


class Members:
    """Takes the members of an archive that is being written. sums: SHA-256 by name, in hex."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}

    def put(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write a member, piece by piece: none has to be in memory as a whole. Raises TooLarge, OSError."""
        info = zipfile.ZipInfo(name, MADE)
        info.external_attr = 0o100444 << 16
        digest = hashlib.sha256()
        try:
            with self._archive.open(info, "w") as member:
                for piece in [content] if isinstance(content, bytes) else content:
                    digest.update(piece)
                    member.write(piece)
        except RuntimeError as error:  # zipfile's word for it
            raise TooLarge(f"{name} is larger than 2 GiB, which not every reader of zip files can read") from error
        self.sums[name] = digest.hexdigest()


def write(target: Path, fill: Callable[[Members], None]) -> None:
    """Write a zip, stored, not compressed, with the members that `fill` puts in. FileExistsError, TooLarge, OSError, or what `fill` raises.

    Its comment is the SHA-256 of all bytes before it, so that any changed byte is seen. Whole or not at all: what a full disk or a kill has
    cut short never has the archive's name.
    """
    if target.exists():
        raise FileExistsError(f"{target}: exists already")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    sqlite.create(part)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            fill(Members(archive))
            archive.comment = b"0" * _SUM_BYTES
        _seal(part)
        part.chmod(0o440)
        durable.place(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_files(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip of these members, by name. See `write`."""

    def fill(members: Members) -> None:
        for name, content in files.items():
            members.put(name, content)

    write(target, fill)


def _seal(part: Path) -> None:
    """Put the sum of all bytes before the comment into the comment, and sync."""
    with part.open("r+b") as file:
        digest, left = hashlib.sha256(), part.stat().st_size - _SUM_BYTES
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            digest.update(piece)
            left -= len(piece)
        file.seek(-_SUM_BYTES, os.SEEK_END)
        file.write(digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
