"""Keeps versions beside the journal, in `changes/` of its folder: acts.jsonl, content/DIGEST/, documents/DIGEST.json; all 0600.

Content and documents are named by their digests, and are read only if they have them. An act counts once its line is whole and synced; a
line that a crash cut is no act. A line that is wrong ends the reading: it and what stands behind it count for nothing, and that is told.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config
from buffer import durable, read_watermark
from buffer.verify import KEY_BESIDE, keys_in
from gateway.access.store import given_to_owner
from gateway.changes import acts
from gateway.changes.acts import Signed
from gateway.changes.book import Book, NotAllowed

FOLDER = "changes"
ACTS = "acts.jsonl"
STATE = Path("/var/lib/ebr-gateway")
"""Below it each line has its state folder by the unit of docs/install.md."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the store holds. wrong: why it counts only in part, None if it counts whole."""

    book: Book
    wrong: str | None = None


def place_of(folder: Path) -> Path:
    """Find the journal's folder that holds a line's versions, even if its line.toml is damaged or names another folder.

    The service's own state folder comes first (STATE_DIRECTORY of systemd): the line folder is what is to be controlled, and must not say
    where its control lies. Without versions anywhere, the folder that line.toml names. Raises ConfigError if it can not be read.
    """
    own = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    places = [Path(own)] if own else []
    try:
        named = config.data_directory(folder)
    except config.ConfigError:
        named = None
    places += [named] if named is not None else []
    places += [(folder / "data").resolve(), STATE / folder.resolve().name]
    held = next((place for place in places if (place / FOLDER / ACTS).exists()), named)
    return config.data_directory(folder) if held is None else held


def known_act(data: Path) -> str | None:
    """Return the digest of the newest act that a journal which nobody has open knows to have been kept; None if it tells none."""
    known = read_watermark(data, "gateway").get("acts")
    return str(known) if known else None


class Store:
    """The versions of one journal's folder. For a thread: the disk is waited for."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._folder = data / FOLDER

    def read(self, gateway: str | None = None) -> Read:
        """Read all acts. gateway: whose they must be; None: of whichever gateway, as long as it is one."""
        path = self._folder / ACTS
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return Read(Book())
        known = self._keys()
        book = Book()
        for number, line in enumerate(lines[:-1], 1):  # what stands behind the last line's end was cut by a crash
            try:
                signed = acts.read(_note_of(line), known, gateway)
                book = book.with_act(signed)
                gateway = signed.act.gateway
            except (acts.NotSigned, NotAllowed) as error:
                return Read(book, f"{FOLDER}/{ACTS}:{number}: {error}; it and what stands behind it count for nothing")
        return Read(book)

    def _keys(self) -> list[Any]:
        path = self.data / KEY_BESIDE
        try:
            return keys_in(path.read_text("utf-8"))
        except (OSError, ValueError):
            return []

    def append(self, signed: Signed) -> None:
        """Add an act; durable at the return. Raises OSError."""
        self._made(self._folder)
        line = json.dumps({"note": signed.note}, ensure_ascii=False).encode() + b"\n"
        path = self._folder / ACTS
        with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "r+b") as file:
            given_to_owner(file.fileno(), self.data)
            held = file.read()
            file.seek(held.rfind(b"\n") + 1)
            file.truncate()
            file.write(line)
            file.flush()  # raises where a disk that is nearly full takes only a part
            os.fsync(file.fileno())
        durable.sync(self._folder)

    def keep(self, files: Mapping[str, bytes], sha256: str) -> None:
        """Keep a folder's content under its digest, whole or not at all. Raises OSError."""
        target = self._folder / "content" / sha256
        if target.exists():
            return
        self._made(self._folder)
        self._made(target.parent)
        part = target.with_name(f".{sha256}.part")
        shutil.rmtree(part, ignore_errors=True)
        for name, content in files.items():
            self._made((part / name).parent, within=part)
            self._put(part / name, content)
        durable.place(part, target)

    def content(self, sha256: str) -> dict[str, bytes]:
        """Read a content, if it still has its digest. Raises NotAllowed."""
        folder = self._folder / "content" / sha256
        try:
            files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        except OSError as error:
            raise NotAllowed(f"{folder}: {error.strerror}") from error
        if not files or config.digest(files) != sha256:
            raise NotAllowed(f"{folder}: {'is not there' if not files else 'was changed: it has not the digest that was signed'}")
        return files

    def document(self, value: Mapping[str, Any]) -> str:
        """Keep a document under the digest of its JSON, and return that. Raises OSError."""
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        sha256 = hashlib.sha256(text).hexdigest()
        path = self._folder / "documents" / f"{sha256}.json"
        if not path.exists():
            self._made(self._folder)
            self._made(path.parent)
            self._put(path, text)
        return sha256

    def keep_assessment(self, document: Mapping[str, Any]) -> None:
        """Keep the document of an impact assessment (`gateway.documents`), as it was recorded in the journal. Raises OSError."""
        path = self._folder / "documents" / f"assessment-{document['sha256']}.json"
        self._made(self._folder)
        self._made(path.parent)
        self._put(path, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")

    def assessment(self, number: int, impact: str | None) -> dict[str, Any] | None:
        """Find the document of a version's impact assessment; None if there is none. impact: the digest that the version's acts name."""
        for path in sorted((self._folder / "documents").glob("assessment-*.json")):
            try:
                told = json.loads(path.read_bytes())
                if (told["facts"]["version"], told["facts"]["impact"]) == (number, impact):
                    return dict(told)
            except (OSError, ValueError, KeyError, TypeError):  # what was changed is found by who reads the document: its digest
                continue
        return None

    def read_document(self, sha256: str) -> dict[str, Any]:
        """Read a document, if it still has its digest. Raises NotAllowed."""
        path = self._folder / "documents" / f"{sha256}.json"
        try:
            text = path.read_bytes()
        except OSError as error:
            raise NotAllowed(f"{path}: {error.strerror}") from error
        if hashlib.sha256(text).hexdigest() != sha256:
            raise NotAllowed(f"{path}: was changed: it has not the digest that was signed")
        value: dict[str, Any] = json.loads(text)
        return value

    def _made(self, folder: Path, within: Path | None = None) -> None:
        """Make a folder for the owner of the journal's folder. within: its parents up to there are made, too."""
        if within is not None and folder != within:
            self._made(folder.parent, within)
        if folder.exists():
            return
        folder.mkdir(mode=0o700, parents=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            given_to_owner(handle, self.data)
        finally:
            os.close(handle)

    def _put(self, path: Path, content: bytes) -> None:
        durable.write(path, content, opened=lambda handle: given_to_owner(handle, self.data))


def _note_of(line: bytes) -> str:
    try:
        note = json.loads(line)["note"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise acts.NotSigned("it is no act") from error
    if not isinstance(note, str):
        raise acts.NotSigned("it is no act")
    return note
