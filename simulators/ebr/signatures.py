"""Checks the signatures of checkpoints: C2SP signed notes with Ed25519 (c2sp.org/signed-note), by the keys trusted for a line.

A key is trusted if a person gave it (`--key`), or if a trusted one signed its introduction (`key-rotation`). If none was given, the
first one that the stream names is trusted, and the record says so: whoever made the stream could have named any.
"""

import base64
import binascii
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from simulators.ebr.entry import Refusal

TABLES = """
CREATE TABLE IF NOT EXISTS keys(gateway TEXT NOT NULL, key TEXT NOT NULL, how TEXT NOT NULL, PRIMARY KEY (gateway, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS strangers(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (gateway, epoch)) WITHOUT ROWID;
"""
ROTATION = "ebr-gateway/key-rotation/1"
_ED25519 = 1


class Key(NamedTuple):
    """A verifier key `name+id+base64`. id: the four bytes that a signature line begins with."""

    text: str
    name: str
    id: bytes
    public: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Parse a key. Raises ValueError."""
        name, id_hex, coded = (*text.strip().split("+", 2), "", "")[:3]
        if not coded:
            raise ValueError("a key is name+id+base64, as a gateway writes it into checkpoint-key.pub")
        raw = base64.b64decode(coded, validate=True)
        if len(raw) != 33 or raw[0] != _ED25519:
            raise ValueError("not an Ed25519 key")
        own = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        if own.hex() != id_hex:
            raise ValueError("its id is not that of the key")
        return cls(text.strip(), name, own, Ed25519PublicKey.from_public_bytes(raw[1:]))

    @property
    def short(self) -> str:
        """The key's name and id, for people."""
        return f"{self.name}+{self.id.hex()}"

    def signed(self, note: str) -> bool:
        """True if one of the note's signature lines is a valid one by this key."""
        text, _, lines = note.rpartition("\n\n")
        return any(self._made(line, f"{text}\n".encode()) for line in lines.splitlines())

    def _made(self, line: str, text: bytes) -> bool:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "\u2014" or words[1] != self.name:
            return False
        try:
            raw = base64.b64decode(words[2], validate=True)
            self.public.verify(raw[4:], text)
        except (binascii.Error, InvalidSignature):
            return False
        return raw[:4] == self.id


def given(path: Path) -> list[Key]:
    """Read the keys of a file, one per line, as a gateway publishes them. Raises ValueError with the line, OSError."""
    keys = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            try:
                keys.append(Key.parse(line))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
    return keys


def trust(db: sqlite3.Connection, gateway: str, key: Key, how: str) -> None:
    """Trust a key for the line from now on. how: given, rotation, stream."""
    db.execute("INSERT INTO keys VALUES (?,?,?) ON CONFLICT DO UPDATE SET how=excluded.how WHERE how='stream'", (gateway, key.text, how))


def trusted(db: sqlite3.Connection, gateway: str) -> Iterator[tuple[Key, str]]:
    """Yield the line's keys, with the reason why each is trusted."""
    for text, how in db.execute("SELECT key, how FROM keys WHERE gateway=? ORDER BY key", (gateway,)).fetchall():
        yield Key.parse(text), how


def meet(db: sqlite3.Connection, gateway: str, epoch: int, event: Mapping[str, Any]) -> Refusal | None:
    """Refuse an epoch that begins with a key of its own while the line has another, trusted one: two gateways under one name."""
    stated = event.get("what")
    key = _key(stated.get("public")) if event.get("action") in ("key-created", "key-adopted") and isinstance(stated, dict) else None
    others = db.execute("SELECT 1 FROM streams WHERE gateway=? AND epoch<>? AND through>0", (gateway, epoch)).fetchone()
    trusted_keys = [trusted_key.text for trusted_key, _ in trusted(db, gateway)]
    if key is None or not others or not trusted_keys or key.text in trusted_keys:
        return None
    db.execute("INSERT OR REPLACE INTO strangers VALUES (?,?,?)", (gateway, epoch, key.text))
    return stranger(db, gateway, epoch)


def stranger(db: sqlite3.Connection, gateway: str, epoch: int) -> Refusal | None:
    """Return the refusal of everything from an epoch whose key nobody trusts; None once a person has given the key to the EBR."""
    row = db.execute("SELECT key FROM strangers WHERE gateway=? AND epoch=?", (gateway, epoch)).fetchone()
    if row is None or row[0] in (key.text for key, _ in trusted(db, gateway)):
        return None
    text = f"epoch {epoch} of {gateway} is signed by {Key.parse(row[0]).short}, which is not trusted: another gateway runs under this name,"
    return Refusal("not-authorised", "later", f"{text} or the line has a new key that must be given to the EBR")


def learn(db: sqlite3.Connection, gateway: str, event: Mapping[str, Any]) -> None:
    """Apply an audit event about the line's keys, if it can be believed."""
    stated = event.get("what")
    what: Mapping[str, Any] = stated if isinstance(stated, dict) else {}
    trusted_keys = list(trusted(db, gateway))
    if event.get("action") in ("key-created", "key-adopted") and not trusted_keys:
        if (key := _key(what.get("public"))) is not None:
            trust(db, gateway, key, "stream")
    elif event.get("action") == "key-rotation" and isinstance(note := what.get("note"), str):
        lines = note.split("\n")
        new = _key(lines[2]) if len(lines) > 3 and lines[0] == ROTATION else None
        old = next(((key, how) for key, how in trusted_keys if key.text == lines[1]), None) if new is not None else None
        if new is not None and old is not None and old[0].signed(note) and new.signed(note):
            trust(db, gateway, new, "stream" if old[1] == "stream" else "rotation")


def _key(text: Any) -> Key | None:
    try:
        return Key.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None
