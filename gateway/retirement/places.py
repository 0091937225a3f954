"""Says what a retirement must not erase, and where it must not write: what is read years later lies there. Looks, and changes nothing."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from config.credentials import FOLDER_VARIABLE, MAX_BYTES
from gateway.access.store import NAME as USERS
from gateway.evidence.keyring import KEY_NAME, NEXT, PREVIOUS

CREDENTIALS = "credentials"
SIGNING_FILES = (PREVIOUS, NEXT, f".{NEXT}.part", f".{KEY_NAME}.part", KEY_NAME)
"""Of the signing keys, in the journal's folder: of a change that was cut, the one before; last of all the one that signs."""
CONFIGURATION = (".toml", ".csv")
BESIDE = {"journal.db": "a journal", "ebr.db": "an EBR's store", "line.toml": "a line folder"}
READ_LATER = ("SHA256SUMS", "retirement.json", "key-revocation.txt", "key-rotations.txt")
BEGINS = {b"SQLite format 3\0": "is a database", b"PK\x03\x04": "is an archive"}
PRIVATE_KEY = b"PRIVATE KEY-----"
HEAD_BYTES = 65_536


class Places(NamedTuple):
    """Where a line's files lie, each path resolved. kept: what is read later, as (what it is, folder)."""

    line: Path
    data: Path
    kept: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def of(cls, folder: Path, data: Path, kept: tuple[tuple[str, Path], ...] = ()) -> "Places":
        """Make them from paths as they were written."""
        return cls(folder.resolve(), data.resolve(), tuple((what, path.resolve()) for what, path in kept))

    @property
    def credentials(self) -> Path:
        """The folder of secrets that is the line's own."""
        return self.line / CREDENTIALS

    def is_own(self, real: Path) -> bool:
        """Say whether a file of the journal's folder is one of the few there that are secrets."""
        return real.parent == self.data and real.name in (USERS, *SIGNING_FILES)

    def objection(self, path: Path) -> str:
        """Say why a file must not be erased, wherever its name lies and what it leads to; "" if nothing is against it."""
        names = dict.fromkeys((path.parent.resolve() / path.name, path.resolve()))
        return next(filter(None, map(self._objection, names)), "")

    def _objection(self, real: Path) -> str:
        for what, folder in self.kept:
            if real.is_relative_to(folder):
                return f"{real} lies in {folder}, {what}: it is read later"
        below = self.credentials.is_relative_to(self.data) and real.is_relative_to(self.credentials)
        if real.is_relative_to(self.data) and not (self.is_own(real) or below):
            return f"{real} lies in the journal's folder and is none of its secrets: it is read later"
        if real.parent == self.line and real.suffix in CONFIGURATION:
            return f"{real} is configuration of the line: it is read later"
        return ""

    def named_objection(self, path: Path, known: Collection[Path]) -> str:
        """Say why a file that a person names as a secret is not taken for one. known: real paths of those that the program finds itself."""
        real = path.resolve()
        if (why := self.objection(path)) or real in known or self.is_own(real):
            return why
        if has_private_key(real):
            return ""
        if real.is_relative_to(self.line) and not real.is_relative_to(self.credentials):
            return "is no secret: line.toml names it not as one, it does not lie in the folder of credentials, and holds no private key"
        return _record(real)


def read_later(to: Path | None, archives: Path | None, asked: tuple[str, ...]) -> tuple[tuple[str, Path], ...]:
    """List the folders of which nothing may be erased. asked: the EBRs, of which some are stores."""
    stores = [(f"the store {whom}", Path(whom)) for whom in asked if not urlsplit(whom).scheme]
    named = [(what, path) for what, path in (("the folder of --to", to), ("the folder of --archives", archives)) if path is not None]
    return (*named, *stores)


def folder_objection(folder: Path, line: Path, data: Path) -> str:
    """Say why a folder can not be that of --to or --archives; "" if it can: it and the places of secrets must not hold each other."""
    real = folder.resolve()
    for what, place in _forbidden(line, data):
        if real.is_relative_to(place):
            return f"lies in {place}, {what}: what is made or shown there could be erased with it: name a folder elsewhere"
        if place.is_relative_to(real):
            return f"holds {place}, {what}: name a folder of its own"
    return ""


def _forbidden(line: Path, data: Path) -> Iterator[tuple[str, Path]]:
    yield "the line folder", line.resolve()
    yield "the journal's folder", data.resolve()
    yield "the line's folder of credentials", (line / CREDENTIALS).resolve()
    for variable in ("CREDENTIALS_DIRECTORY", FOLDER_VARIABLE):
        if place := os.environ.get(variable):
            yield f"the folder of credentials ({variable})", Path(place).resolve()


def has_private_key(path: Path) -> bool:
    """Say whether a file holds a private key, as PEM."""
    return PRIVATE_KEY in _head(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _record(real: Path) -> str:
    """Say what shows that a file outside of the line is a record and no secret; "" where nothing does."""
    if real.name in READ_LATER or real.suffix == ".pub":
        return "is no secret: whoever verifies records needs it"
    head = _head(real)
    for begins, what in BEGINS.items():
        if head.startswith(begins):
            return f"is no secret: it {what}"
    if real.exists() and real.stat().st_size > MAX_BYTES:
        return f"is no secret: it has more than {MAX_BYTES} bytes, as no credential has"
    beside = next((name for name in BESIDE if (real.parent / name).exists()), None)
    return "" if beside is None else f"is no secret: it lies beside {beside}, in the folder of {BESIDE[beside]}"
