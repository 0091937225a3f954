"""Checks checkpoints, the gateway's signed roots over its whole journal, against the entries that the EBR holds (RFC 6962, 2.1).

The EBR keeps every checkpoint that its entries confirm. One that they contradict means that history was rewritten after it was sent: it
is refused, and people must look. So is one that no trusted key has signed.
"""

import base64
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from simulators.ebr import signatures
from simulators.ebr.entry import Refusal, Stream

TABLES = """
CREATE TABLE IF NOT EXISTS checkpoints(
  gateway TEXT NOT NULL, epoch INTEGER NOT NULL, size INTEGER NOT NULL, root TEXT NOT NULL, note TEXT NOT NULL, peaks BLOB NOT NULL,
  signer TEXT, PRIMARY KEY (gateway, epoch, size)) WITHOUT ROWID;
"""


def leaf(payload: bytes) -> bytes:
    """Compute the leaf hash of an entry's bytes."""
    return hashlib.sha256(b"\x00" + payload).digest()


class Peaks:
    """The roots of the complete subtrees of a growing tree, largest first: enough to append leaves and to compute the root."""

    def __init__(self, size: int = 0, hashes: bytes = b"") -> None:
        self.size = size
        widths = [1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
        self._peaks = [(width, hashes[32 * index : 32 * index + 32]) for index, width in enumerate(widths)]

    def add(self, leaf_hash: bytes) -> None:
        """Append one leaf."""
        width, top = 1, leaf_hash
        while self._peaks and self._peaks[-1][0] == width:
            top = hashlib.sha256(b"\x01" + self._peaks.pop()[1] + top).digest()
            width *= 2
        self._peaks.append((width, top))
        self.size += 1

    def root(self) -> str:
        """The tree's root; that of an empty tree is SHA-256 of nothing."""
        if not self._peaks:
            return hashlib.sha256().hexdigest()
        top = self._peaks[-1][1]
        for _, left in reversed(self._peaks[:-1]):
            top = hashlib.sha256(b"\x01" + left + top).digest()
        return top.hex()

    def dump(self) -> bytes:
        """Write the hashes; with `size` they are the whole state."""
        return b"".join(top for _, top in self._peaks)


def check(db: sqlite3.Connection, stream: Stream, seq: int, event: Mapping[str, Any]) -> Refusal | None:
    """Keep the checkpoint in entry `seq` if the entries before it confirm it; else return the refusal. Runs in the store's transaction."""
    size, root, note = event.get("size"), event.get("root"), event.get("note")
    if type(size) is not int or not isinstance(root, str) or not isinstance(note, str) or not 0 <= size < seq:
        return Refusal("checkpoint-malformed", "never", "size, root or note is missing, or it speaks of entries that come later")
    lines = note.split("\n")
    if lines[:3] != [f"{stream[0]}/{stream[1]}", str(size), _coded(root)]:
        return Refusal("checkpoint-malformed", "never", "the signed note speaks of another stream, size or root than the event")
    peaks = None if _gone(db, stream, size) else _grown(db, stream, size)
    if peaks is not None and peaks.root() != root:
        return Refusal("checkpoint-inconsistent", "never", f"entries 1 to {size} have the root {peaks.root()}, the checkpoint says {root}")
    keys = [key for key, _ in signatures.trusted(db, stream[0])]
    signer = next((key for key in keys if key.signed(note)), None)
    if keys and signer is None:
        names = ", ".join(key.short for key in keys)
        return Refusal(
            "checkpoint-unsigned", "later", f"no trusted key has signed it; trusted are {names}; a new one must be given to the EBR"
        )
    if peaks is None:
        return None  # signed, and no word against it; but entries are missing that it speaks of, so nothing here bears it out
    values = (*stream, size, root, note, peaks.dump(), signer.text if signer else None)
    db.execute("INSERT OR IGNORE INTO checkpoints VALUES (?,?,?,?,?,?,?)", values)
    return None


def _coded(root: str) -> str:
    try:
        return base64.b64encode(bytes.fromhex(root)).decode()
    except ValueError:
        return ""


def _gone(db: sqlite3.Connection, stream: Stream, size: int) -> bool:
    """True if entries under a tree of that size were never here, because the gateway held them no more."""
    return db.execute("SELECT 1 FROM missing WHERE gateway=? AND epoch=? AND first<=?", (*stream, size)).fetchone() is not None


def _grown(db: sqlite3.Connection, stream: Stream, size: int) -> Peaks:
    """Build the tree over the first `size` entries."""
    peaks = _start(db, stream, size)
    for leaf_hash in _leaves(db, stream, peaks.size, size):
        peaks.add(leaf_hash)
    return peaks


def _start(db: sqlite3.Connection, stream: Stream, size: int) -> Peaks:
    """Load the largest checkpoint that is not larger than `size`: a tree only grows, so the rest can be appended."""
    sql = "SELECT size, peaks FROM checkpoints WHERE gateway=? AND epoch=? AND size<=? ORDER BY size DESC LIMIT 1"
    row = db.execute(sql, (*stream, size)).fetchone()
    return Peaks(*row) if row else Peaks()


def _leaves(db: sqlite3.Connection, stream: Stream, after: int, through: int) -> Iterator[bytes]:
    """Yield leaf hashes in order, of entries held and of entries refused."""
    sql = (
        "SELECT seq, payload, NULL FROM entries WHERE gateway=?1 AND epoch=?2 AND seq>?3 AND seq<=?4"
        " UNION ALL SELECT seq, NULL, leaf FROM rejected WHERE gateway=?1 AND epoch=?2 AND seq>?3 AND seq<=?4 ORDER BY 1"
    )
    for _, payload, rejected_leaf in db.execute(sql, (*stream, after, through)):
        yield leaf(payload) if payload is not None else rejected_leaf
