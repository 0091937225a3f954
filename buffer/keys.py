"""The gateway's signing key, and what it signs: C2SP signed notes with Ed25519 (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from buffer import durable
from buffer.verify import ROTATION

ED25519 = b"\x01"


class KeyUnusable(Exception):
    """A key file can not be used as it is; the text says why."""


@dataclass(frozen=True)
class Signer:
    """A private key with a name. name: that of the gateway, as in its entries."""

    name: str
    private: Ed25519PrivateKey

    @property
    def _public(self) -> bytes:
        return ED25519 + self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def _id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self._public).digest()[:4]

    @property
    def public(self) -> str:
        """The verifier key, which anyone may have: `name+id+base64`."""
        return f"{self.name}+{self._id.hex()}+{base64.b64encode(self._public).decode()}"

    def signature(self, text: str) -> str:
        """Return the signature line over a note's text (which ends with a newline)."""
        return f"\u2014 {self.name} {base64.b64encode(self._id + self.private.sign(text.encode())).decode()}\n"

    def note(self, text: str) -> str:
        """Return the signed note over a text that ends with a newline."""
        return f"{text}\n{self.signature(text)}"


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Body of a tlog-checkpoint."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def create(path: Path, name: str) -> Signer:
    """Make a new key, readable for its owner alone, and add the public one to those beside it (`.pub`). FileExistsError if there is one.

    Public keys that lie there already stay: by them alone is proved what a key signed that is gone, as after a restore on another machine.
    """
    if path.exists():
        raise FileExistsError(f"{path}: exists already")
    signer = Signer(name, Ed25519PrivateKey.generate())
    # Whole or not at all: half a key, after a power cut or on a full disk, would keep the gateway from starting.
    durable.write(path, signer.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = path.with_name(path.name + ".pub")
    held = public.read_text("ascii") if public.exists() else ""
    durable.write(public, f"{held}{signer.public}\n".encode(), 0o644)
    return signer


def load(path: Path, name: str) -> Signer:
    """Read a key: a file that only its owner may read, or a systemd credential. Raises KeyUnusable, FileNotFoundError."""
    mode = path.stat().st_mode & 0o777
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if mode & 0o077 and not (credentials and path.is_relative_to(credentials)):
        raise KeyUnusable(f"{path}: others may read the signing key (mode {mode:04o}): chmod 600 it, or make a new one")
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise KeyUnusable(f"{path}: not an unencrypted PEM key: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnusable(f"{path}: not an Ed25519 key")
    return Signer(name, private)


def rotation(old: Signer, new: Signer) -> dict[str, Any]:
    """The audit event's `action` and `what` for a change of keys, signed by both: who trusts the old key may trust the new one."""
    text = f"{ROTATION}\n{old.public}\n{new.public}\n"
    note = f"{text}\n{old.signature(text)}{new.signature(text)}"
    return {"action": "key-rotation", "what": {"old": old.public, "new": new.public, "note": note}}
