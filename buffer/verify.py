#!/usr/bin/env python3
# ruff: noqa: T201 - it is a command
"""Prove that nothing in an EBR gateway's record was changed, removed, inserted or reordered; name the first bad entry.

    python verify.py PATH [--key PUBLIC_KEY] [--checkpoint NOTE ...] [--revocation NOTE ...] [--unsigned-s SECONDS] [--json]

PATH is a journal's folder (stopped, copied or running), an archive of a batch (.zip), or the store of an EBR (a folder with ebr.db).
NOTE is a checkpoint that somebody else kept, or a witness's folder of them: shows that PATH was set back to an earlier state.
Of --revocation it is the key-revocation.txt of a line that was retired; one that lies in the journal's folder, in the archive, beside
the archive or the store, or in the folder above these two, is found.
SECONDS is the time that entries at the end may span of which no checkpoint is signed yet; the report says which these are.
Exit 0: good. 1: bad, the first bad entry is named. 2: nothing bad was found, but evidence is missing (an archive or a store without a
key, entries that were declared lost, ..), or nothing could be checked.

    what was done to the record                        exit  what shows it
    an entry was changed                                  1  its digest
    .. together with its digest                           1  the entry after it, by `previous`; of the last entry: a checkpoint over it
    .. together with all entries after it                 1  the root in the next checkpoint, whose signature a forger can not make (--key)
    entries were inserted, doubled or put in other order  1  their numbers and the chain
    entries are missing, later ones are here              1  their numbers
    .. and were declared lost when a later epoch began    2  the `epoch` event that begins it
    .. and were pruned by the rule                        0  the audit entry of the prune; 1 without it (2 if a salvage may have lost it)
    entries are missing at the end                        1  the epoch after, a receiver's cursor, a checkpoint in journal.db or elsewhere
    the whole was set back to an earlier state            1  a checkpoint that somebody else kept (--checkpoint); without one nothing: 0
    an epoch or a segment is missing, a file too many     1  the epoch after, the rows of journal.db
    what journal.db says of them was changed              1  the entries, their digests and roots, and the notes of checkpoints
    .. a file that a crash left and the next start takes  0  its content: nothing in it was ever promised
    a closed segment or a member of an archive changed    1  its SHA-256, which journal.db or SHA256SUMS holds
    .. or of a configuration for another content, twice   1  the note of the act, beside what its entry says
    a signature, a rotation of keys or a proof is false   1  the key (--key); without it 2, of a journal the key beside it and a note
    a revoked key signed something afterwards             1  the note of its revocation (--revocation); what it signed before stays good
    something can not be read, unpacked or understood     1  the attempt: in whatever form it was written, the gateway wrote another
    .. for want of permission                             2  nothing was seen of it
    nothing is signed by the key that is given            2  no checkpoint is one of it (--key)
    entries at the end are not signed, for ten minutes    2  the newest signed checkpoint whose root was computed (--unsigned-s)
    the checkpoints were taken out of journal.db          2  the entries that tell of them
    the EBR refused entries, or has not received all      2  the lists that the EBR keeps
    an archive lacks entries that its records rest on     2  the numbers that the records cite
    there is no such path, key or note, or no package     2  nothing was checked; standard error says why

This one file needs Python 3.11 and the package `cryptography` (for signatures), and to read a journal's folder `zstandard` or Python 3.14.
It shares no code with the gateway on purpose. It never writes beside what it reads.

What is checked. Every entry is one JSON object; its digest is SHA-256 over its bytes as they stand. `previous` is the digest of the
entry before (64 zeros for seq 1 of an epoch). The entries of an epoch are the leaves (index seq - 1) of a Merkle tree hashed as in
RFC 6962, section 2.1. A checkpoint is a C2SP tlog-checkpoint: a signed note over the tree's size and root, Ed25519.
"""

import argparse
import base64
import errno
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

try:
    import fcntl
except ImportError:  # not on Windows: a copy is never running there
    fcntl = None  # type: ignore[assignment]

SEGMENT = 4096
"""Entries of a full segment."""
LARGEST_ENTRY = 1 << 20
"""Bytes to which one entry may unpack: a damaged or forged payload must not fill the memory."""
LARGEST_VALUE = 64 << 20
"""Bytes of the largest value that SQLite may read, or compute for a generated column."""
MAX_UNSIGNED_S = 600.0
"""Time that the entries after the newest signed checkpoint may span: a gateway signs every five minutes; as much again is slack."""
LARGEST_LIST = 16 << 20
"""Bytes of a file that is read whole (sums, manifest, proofs, keys, notes)."""
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, EOFError, struct.error, zlib.error)
"""Exceptions by which content says that it is not what it should be; RecursionError and NotImplementedError are RuntimeErrors."""
ZEROS = "0" * 64
HEAD = re.compile(
    rb'\{"schema":"([^"\\]*)","gateway":("(?:[^"\\]|\\.)*"),"epoch":(\d{1,19}),"seq":(\d{1,19}),"previous":"([0-9a-f]{64})","time":"'
)
Progress = Callable[[int, int], None]
"""Called with (done, total)."""
EntryId = tuple[int, int]
"""(epoch, seq)."""
EntryRange = tuple[int, int, int]
"""(epoch, first seq, last seq)."""


# ---------------------------------------------------------------------------------------------------------------- what is reported


@dataclass(frozen=True)
class Signed:
    """How far signatures prove one epoch. through: the last entry that one covers, 0 if none; last: the last that is here.

    unsigned: entries after `through` (of an archive: none). since: time of the first of them.
    """

    gateway: str
    epoch: int
    through: int
    last: int
    unsigned: int = 0
    since: str | None = None

    def __str__(self) -> str:
        """Say it to a person."""
        text = f"{self.gateway}, epoch {self.epoch}: signed through entry {self.through} of {self.last}"
        if not self.unsigned:
            return text
        entries = "the last entry" if self.unsigned == 1 else f"the last {self.unsigned} entries"
        return f"{text}; {entries} since {self.since} {'is' if self.unsigned == 1 else 'are'} not signed"


@dataclass(frozen=True)
class Revoked:
    """What became of keys that were revoked. seq: the last entry of `epoch` that they may sign; keys: their ids. time: of the revocation.

    good: checkpoints here that they signed before; late: what they signed afterwards. Both None if no key was there to check it with.
    """

    gateway: str
    keys: list[str]
    epoch: int
    seq: int
    time: str
    good: int | None
    late: int | None

    def __str__(self) -> str:
        """Say it to a person."""
        keys = f"key {self.keys[0]}" if len(self.keys) == 1 else f"keys {', '.join(self.keys)}"
        text = f"{self.gateway}: {keys} revoked on {self.time}, after entry {self.seq} of epoch {self.epoch}"
        if self.good is None:
            return f"{text}: this was not checked, no public key of {self.gateway} was given"
        before = "1 signature of before is here, and stays good" if self.good == 1 else f"{self.good} signatures of before stay good"
        return f"{text}: {before}" + (f"; {self.late} of afterwards are not" if self.late else "")


@dataclass
class Report:
    """Result of a verification. bad: the first bad entry as (epoch, seq), if one could be named. exit_code: 0 good, 1 bad, 2 incomplete.

    signed: for each epoch, through which entry a signature proves it. revoked: keys that sign nothing any more. problems: what is not as
    it was written. missing: evidence that is not there. notes: what explains itself, and changes nothing.
    """

    kind: str
    path: str
    entries: int = 0
    checkpoints: int = 0
    signatures: int = 0
    bad: EntryId | None = None
    signed: list["Signed"] = field(default_factory=list)
    revoked: list["Revoked"] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 good, 1 bad, 2 incomplete evidence."""
        return 1 if self.problems else 2 if self.missing else 0

    def problem(self, text: str, at: EntryId | None = None) -> None:
        """Add something that is not as it was written, at entry `at` if it concerns one."""
        self.problems.append(f"epoch {at[0]}, entry {at[1]}: {text}" if at else text)
        if at is not None and (self.bad is None or at < self.bad):
            self.bad = at

    def lines(self) -> Iterator[str]:
        """Yield the report as lines for a person."""
        yield from (text.encode("utf-8", "backslashreplace").decode() for text in self._lines())

    def _lines(self) -> Iterator[str]:
        verdict = {0: "GOOD", 1: "BAD", 2: "INCOMPLETE EVIDENCE"}[self.exit_code]
        yield f"{verdict}: {self.kind} {self.path}: {self.entries} entries, {self.checkpoints} checkpoints, {self.signatures} signatures"
        if self.bad:
            yield f"first bad entry: epoch {self.bad[0]}, seq {self.bad[1]}"
        yield from (f"signed: {signed}" for signed in self.signed)
        yield from (f"revoked: {revoked}" for revoked in self.revoked)
        yield from (f"bad: {text}" for text in self.problems[:50])
        if len(self.problems) > 50:
            yield f"bad: and {len(self.problems) - 50} more"
        yield from (f"missing: {text}" for text in self.missing)
        yield from (f"note: {text}" for text in self.notes)


# ---------------------------------------------------------------------------------------------------------------- hashing, RFC 6962


def leaf_hash(payload: bytes) -> bytes:
    """Return the leaf hash SHA-256(0x00 || entry) (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + payload).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node SHA-256(0x01 || left || right) (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows leaf by leaf; a whole subtree may be appended by its root."""

    def __init__(self) -> None:
        self.size = 0
        self.segment = b""  # root of the newest whole subtree of SEGMENT leaves
        self._peaks: list[tuple[int, bytes]] = []

    def append(self, hash_: bytes, leaves: int = 1) -> None:
        """Add a leaf hash, or a subtree of `leaves` (a power of two that divides the size so far). Raises ValueError."""
        if self.size % leaves:
            raise ValueError("a subtree begins where none can")
        self.size += leaves
        if leaves == SEGMENT:
            self.segment = hash_
        while self._peaks and self._peaks[-1][0] == leaves:
            hash_ = node_hash(self._peaks.pop()[1], hash_)
            leaves *= 2
            if leaves == SEGMENT:
                self.segment = hash_
        self._peaks.append((leaves, hash_))

    def peaks(self) -> list[tuple[int, bytes]]:
        """Return the complete subtrees, largest first, as (leaves, root): all that is needed to compute the root at this size."""
        return list(self._peaks)

    def newest_segment(self) -> bytes:
        """Return the root over the leaves of the newest segment, which begins at a multiple of SEGMENT and may be a part of one."""
        return self.over([peak for peak in self._peaks if peak[0] < SEGMENT]) if self.size % SEGMENT else self.segment

    @staticmethod
    def over(peaks: list[tuple[int, bytes]]) -> bytes:
        """Return the root over complete subtrees."""
        if not peaks:
            return hashlib.sha256().digest()
        hash_ = peaks[-1][1]
        for _, left in reversed(peaks[:-1]):
            hash_ = node_hash(left, hash_)
        return hash_


def root_of_some(leaves: dict[int, bytes], size: int, subtree_roots: list[bytes]) -> bytes:
    """Compute the root of a tree of `size` leaves of which some are known, by index.

    subtree_roots: of the largest subtrees without a known leaf, left to right. Raises ValueError if they are too few or too many.
    """
    rest = iter(subtree_roots)
    indexes = sorted(leaves)

    def of(low: int, high: int, at: int, end: int) -> bytes:  # indexes[at:end] are those in [low, high)
        if at == end:
            return next(rest)
        if high - low == 1:
            return leaves[low]
        cut = low + (1 << (high - low - 1).bit_length() - 1)
        middle = at
        while middle < end and indexes[middle] < cut:
            middle += 1
        left = of(low, cut, at, middle)
        return node_hash(left, of(cut, high, middle, end))

    try:
        root = of(0, size, 0, len(indexes))
    except StopIteration:
        raise ValueError("the proof is too short") from None
    if next(rest, None) is not None:
        raise ValueError("the proof is too long")
    return root


# ---------------------------------------------------------------------------------------------------------------- signed notes


@dataclass(frozen=True)
class Key:
    """A verifier key of a signed note: `name+id+base64(0x01 || Ed25519 public key)` (C2SP signed-note)."""

    name: str
    id: bytes
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read a verifier key. Raises ValueError if the text is none."""
        name, id_, coded = text.strip().split("+", 2)
        raw = base64.b64decode(coded, validate=True)
        if len(raw) != 33 or raw[0] != 1 or not name:
            raise ValueError(f"not an Ed25519 verifier key: {text.strip()!r}")
        key = cls(name, hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4], raw[1:])
        if key.id.hex() != id_:
            raise ValueError(f"the key's id does not match it: {text.strip()!r}")
        return key

    def signed(self, note: str) -> bool:
        """Return True if this key signed the note. One bad signature in its name spoils the whole note (C2SP signed-note, signatures)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        text, gap, signatures = note.rpartition("\n\n")
        if not gap or not signatures.endswith("\n") or CONTROL.search(note):
            return False
        good = False
        for line in signatures[:-1].split("\n"):
            dash, _, rest = line.partition(" ")
            name, _, coded = rest.rpartition(" ")
            if dash != "\u2014" or name != self.name:
                continue
            try:
                raw = base64.b64decode(coded, validate=True)
                if raw[:4] != self.id:
                    continue
                if base64.b64encode(raw).decode() != coded:
                    return False
                Ed25519PublicKey.from_public_bytes(self.public).verify(raw[4:], (text + "\n").encode())
                good = True
            except (ValueError, InvalidSignature):
                return False
        return good


@dataclass(frozen=True)
class Checkpoint:
    """A tree as its owner stated it (C2SP tlog-checkpoint). origin: `<gateway>/<epoch>`; size: entries; note: the signed note."""

    origin: str
    size: int
    root: bytes
    note: str

    @classmethod
    def parse(cls, note: Any) -> "Checkpoint":
        """Read a checkpoint. Raises ValueError if the note is none."""
        lines = note.split("\n") if isinstance(note, str) else []
        if (
            len(lines) < 4
            or "\n\n" not in note
            or not lines[0]
            or CONTROL.search(note)
            or not lines[1].isascii()
            or not lines[1].isdecimal()
            or str(int(lines[1])) != lines[1]
        ):
            raise ValueError("not a checkpoint")
        root = base64.b64decode(lines[2], validate=True)
        if len(root) != 32:
            raise ValueError("not a checkpoint: the root has not 32 bytes")
        return cls(lines[0], int(lines[1]), root, note)


def keys_in(text: str) -> list[Key]:
    """Read the verifier keys in a text, one a line. Raises ValueError if a line is none."""
    return [Key.parse(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def read_keys(source: "str | Path | None") -> list[Key]:
    """Read verifier keys from a file, or from the text itself. Raises ValueError if there is none."""
    if source is None:
        return []
    file = os.path.exists(source)  # noqa: PTH110 - a key's text may be too long for a path
    text = Path(source).read_text("utf-8") if file else str(source)
    if not file and "+" not in text:
        raise ValueError(f"{text}: no such file, and no key")
    keys = keys_in(text)
    if not keys:
        raise ValueError(f"{source}: holds no key")
    return keys


def read_checkpoints(source: "str | Path") -> list[Checkpoint]:
    """Read the checkpoint in a file, or all in a witness's folder (`*.txt`). Raises ValueError if a file holds none."""
    path = Path(source)
    if not path.is_dir():
        return [Checkpoint.parse(path.read_text("utf-8"))]
    checkpoints: list[Checkpoint] = []
    for file in sorted(path.glob("*.txt")):
        try:
            checkpoints.append(Checkpoint.parse(file.read_text("utf-8")))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    if not checkpoints:
        raise ValueError(f"{path}: holds no checkpoint")
    return checkpoints


CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
KEY_BESIDE = "checkpoint-key.pub"
ROTATIONS_BESIDE = "key-rotations.txt"
ROTATION = "ebr-gateway/key-rotation/1"
REVOCATION_BESIDE = "key-revocation.txt"
REVOKED = "ebr-gateway/key-revocation/1"
_SIGN_NOTHING = re.compile(r"sign nothing after entry (\d{1,19}) of epoch (\d{1,19})")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
ACT = "ebr-gateway/configuration-act/1"


def read_rotations(text: str) -> list[str]:
    """Split a file of key rotations into its signed notes."""
    return [f"{ROTATION}\n{rest}" for rest in text.split(f"{ROTATION}\n")[1:]]


def rotated(note: str) -> tuple[Key, Key] | None:
    """Return (old, new) of a key rotation that both keys have signed, else None."""
    lines = note.split("\n")
    try:
        old, new = Key.parse(lines[1]), Key.parse(lines[2])
    except (ValueError, IndexError):
        return None
    return (old, new) if lines[0] == ROTATION and old.name == new.name and old.signed(note) and new.signed(note) else None


def instant_of(text: Any) -> tuple[str, str]:
    """Return what orders times as the gateway writes them: RFC 3339 in UTC, with any number of decimals. Raises ValueError."""
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no time in UTC")
    return found[1], (found[2] or "").ljust(9, "0")


class Revocation(NamedTuple):
    """A note by which keys of a gateway were revoked. last: (epoch, seq) of the last entry over which they may sign. time: of the note.

    given: it was named by who verifies, and not found beside.
    """

    gateway: str
    keys: tuple[Key, ...]
    last: EntryId
    time: str
    note: str
    given: bool

    @classmethod
    def parse(cls, note: str, *, given: bool = False) -> "Revocation":
        """Read a note. Raises ValueError if it is none."""
        head, _, rest = note.rpartition("\n\n")[0].partition("\n")
        gateway, *keys, sentence, time_ = rest.split("\n") if rest.count("\n") > 2 else ["", "", ""]
        end = _SIGN_NOTHING.fullmatch(sentence)
        if head != REVOKED or end is None or CONTROL.search(note):
            raise ValueError("no revocation of keys as `retire` writes it")
        instant_of(time_)
        named = tuple(map(Key.parse, keys))
        if any(key.name != gateway for key in named):
            raise ValueError("a revocation of keys of another gateway than it names")
        return cls(gateway, named, (int(end[2]), int(end[1])), time_, note, given)

    def ends(self, key: Key, at: EntryId) -> bool:
        """Return True if the key may sign nothing over the entries through `at`."""
        return key in self.keys and at > self.last

    def is_before(self, pair: tuple[Key, Key], at: EntryId | None) -> bool:
        """Return True if a rotation was made with a key that was revoked before. Of no known place it was, if it leads to another key."""
        named = [key in self.keys for key in pair]
        return any(named) and (at > self.last if at is not None else not all(named))


def read_revocation(source: "str | Path", *, given: bool = True) -> Revocation:
    """Read the note in a file. Raises ValueError with the file's name if it holds none, OSError."""
    path = Path(source)
    if path.stat().st_size > LARGEST_LIST:
        raise ValueError(f"{path}: larger than {LARGEST_LIST} bytes")
    try:
        return Revocation.parse(path.read_text("utf-8"), given=given)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class SignedAct(NamedTuple):
    """A note by which a person's act on a configuration is signed (docs/changes.md), as it stands in an entry."""

    gateway: str
    version: int
    sha256: str
    act: str
    user: str
    note: str

    @classmethod
    def parse(cls, note: Any) -> "SignedAct":
        """Read a note. Raises ValueError, KeyError, TypeError if it is none."""
        head, text, rest = note.split("\n", 2)
        if head != ACT or not rest.startswith("\n"):
            raise ValueError("not an act on a configuration")
        item = json.loads(text)
        made = cls(item["gateway"], item["version"], item["sha256"], item["act"], item["by"]["user"], note)
        if not all(isinstance(value, str) for value in (made.gateway, made.sha256, made.act, made.user)) or not is_number(made.version):
            raise ValueError("not an act on a configuration")
        return made

    def contradicts(self, event: dict[str, Any]) -> str | None:
        """Say what in an event is not as it was signed; None if all is."""
        if event["type"] == "config":
            return None if self.act == "approve" and self.sha256 == event["sha256"] else "another content, or is no approval"
        what, who = event["what"], event["who"]
        told = f"config-{self.act}", self.version, self.sha256, self.user
        return (
            None if told == (event["action"], what["version"], what["sha256"], who["user"]) else "another act, version, content or person"
        )


def no_key_of(gateway: str) -> str:
    """Say that nothing of a gateway could be checked by its signatures."""
    return f"no public key of {gateway} was given: its signatures were not checked"


class Signatures:
    """Collects signatures, and judges them at the end.

    Trusted are the keys given, and every key that signed a rotation together with a trusted one: who trusts one of the two may trust both.
    Judged at the end, because an entry's checkpoint may be signed by a key whose rotation is found later. A revocation counts if a trusted
    key has signed it, itself revoked or not: it can only take trust away.
    """

    def __init__(self, report: Report, keys: list[Key]) -> None:
        self._report = report
        self._keys = list(keys)
        self._checkpoints: list[tuple[Checkpoint, EntryId | None, Chain | None]] = []
        self._pairs: dict[tuple[Key, Key], EntryId | None] = {}
        self._revocations: list[Revocation] = []
        self._settled: list[Revocation] = []  # those that count
        self._late: dict[str, int] = {}  # by the note of a revocation: what its keys signed afterwards
        self._acts: list[tuple[SignedAct, EntryId]] = []
        self._audited: dict[str, EntryId] = {}

    def trust(self, keys: list[Key]) -> None:
        """Trust these keys too."""
        self._keys += keys

    def rotate(self, note: str, at: EntryId | None) -> None:
        """Add a key rotation; report one that its two keys have not both signed."""
        pair = rotated(note)
        if pair is None:
            self._report.problem("a key rotation that the old and the new key have not both signed", at)
        elif self._pairs.get(pair) is None:
            self._pairs[pair] = at

    def revoke(self, revocation: Revocation) -> None:
        """Add a revocation of keys; `settle` judges it."""
        if not any(revocation.note == taken.note for taken in self._revocations):
            self._revocations.append(revocation)

    def check(self, checkpoint: Checkpoint, at: EntryId | None, proves: "Chain | None" = None) -> None:
        """Add a checkpoint, whose signature is judged by `settle`. proves: the chain whose root it is, if that was computed."""
        self._checkpoints.append((checkpoint, at, proves))

    def act(self, note: Any, event: dict[str, Any], gateway: str | None, at: EntryId) -> None:
        """Add a person's act on a configuration; report one that was signed for something else, or stands twice. `settle` judges keys."""
        signed = SignedAct.parse(note)
        wrong = f"another line, {signed.gateway}" if gateway is not None and signed.gateway != gateway else signed.contradicts(event)
        if wrong is not None:
            self._report.problem(f"the signature on a configuration is of {wrong}", at)
        elif event["type"] == "audit" and self._audited.setdefault(note, at) != at:
            self._report.problem(f"the signature on a configuration stands in entry {self._audited[note][1]} already: it was repeated", at)
        self._acts.append((signed, at))

    def _settle_acts(self, keys: list[Key]) -> None:
        for signed, at in self._acts:
            own = [key for key in keys if key.name == signed.gateway]
            signers = [key for key in own if key.signed(signed.note)]
            if own and not signers:
                self._report.problem("the signature on a configuration is not of the key", at)
            elif own and (revocation := self._ended(signers, at)) is not None:
                self.is_late("a signature on a configuration", revocation, at)

    def trusted(self) -> list[Key]:
        """Return all keys that count. A rotation by a key that was revoked before hands no trust on."""
        revocations = self._counting()
        return self._linked([pair for pair, at in self._pairs.items() if not any(one.is_before(pair, at) for one in revocations)])

    def _linked(self, pairs: Iterable[tuple[Key, Key]]) -> list[Key]:
        keys, before, linked = list(self._keys), -1, list(pairs)
        while len(keys) != before:
            before = len(keys)
            for pair in linked:
                if any(key in keys for key in pair):
                    keys += [key for key in pair if key not in keys]
        return keys

    def _counting(self) -> list[Revocation]:
        """Return the revocations that a key has signed which would be trusted without them."""
        keys = self._linked(self._pairs) if self._revocations else []
        return [one for one in self._revocations if any(key.name == one.gateway and key.signed(one.note) for key in keys)]

    def _ended(self, signers: list[Key], at: EntryId) -> Revocation | None:
        """Return the revocation by which none of these keys might have signed this; None if one of them might."""
        found = [next((one for one in self._settled if one.ends(key, at)), None) for key in signers]
        return found[0] if found and all(found) else None

    def ended_by(self, signers: list[Key], made: Any) -> Revocation | None:
        """Return the revocation after which something was made that only these keys have signed. Raises ValueError."""
        if not self._revocations or not signers:
            return None
        before = [one for one in self._counting() if instant_of(one.time) < instant_of(made)]
        found = [next((one for one in before if key in one.keys), None) for key in signers]
        return found[0] if all(found) else None

    def is_late(self, what: str, revocation: Revocation, at: EntryId | None) -> None:
        """Report what was signed with a key after its revocation."""
        seq, epoch = revocation.last[1], revocation.last[0]
        self._late[revocation.note] = self._late.get(revocation.note, 0) + 1
        text = f"signed with a key that was revoked on {revocation.time}, after entry {seq} of epoch {epoch}"
        self._report.problem(f"{what} was {text}", at)

    def settle(self) -> None:
        """Count the good signatures, and report the others."""
        self._settled = self._counting()
        keys, gateways_without_key = self.trusted(), set()
        if not keys:
            self._settle_revocations(keys, {})
            unchecked = self._report.notes if self._report.kind == "journal" else self._report.missing
            if self._checkpoints or self._report.kind != "journal":
                unchecked.append("signatures were not checked: no public key was given (--key)")
            return
        good: dict[Key, int] = {}
        for checkpoint, at, proves in self._checkpoints:
            gateway, _, epoch = checkpoint.origin.rpartition("/")
            own = [key for key in keys if key.name == gateway]  # a key speaks for its own gateway alone
            signers = [key for key in own if key.signed(checkpoint.note)]
            through = int(epoch) if epoch.isdecimal() and len(epoch) < 20 else 0, checkpoint.size
            if signers and (revocation := self._ended(signers, through)) is not None:
                self.is_late(f"the checkpoint of {checkpoint.size} entries of epoch {epoch}", revocation, at)
            elif signers:
                self._report.signatures += 1
                good[signers[0]] = good.get(signers[0], 0) + 1
                if proves is not None:
                    proves.signed = max(proves.signed, checkpoint.size)
            elif own:
                self._report.problem(f"the checkpoint of {checkpoint.size} entries is not signed by the key", at)
            else:
                gateways_without_key.add(gateway)
        for gateway in sorted(gateways_without_key):
            self._report.missing.append(no_key_of(gateway))
        self._settle_rotations(keys)
        self._settle_acts(keys)
        self._settle_revocations(keys, good)

    def _settle_rotations(self, keys: list[Key]) -> None:
        """Report a rotation to or from a trusted gateway's name that no trusted key takes part in, and one by a key that was revoked."""
        for pair, at in self._pairs.items():
            late = next((one for one in self._settled if one.is_before(pair, at)), None)
            if late is not None:
                self.is_late("a rotation of keys", late, at)
            elif not any(key in keys for key in pair) and any(key.name == pair[0].name for key in keys):
                self._report.problem("a key rotation between keys of which none is trusted", at)

    def _settle_revocations(self, keys: list[Key], good: dict[Key, int]) -> None:
        """Say of each revocation what became of it; one of a gateway whose keys are here, and none of which has signed it, is false."""
        for one in self._revocations:
            ids, known = [key.id.hex() for key in one.keys], any(key.name == one.gateway for key in keys)
            if one in self._settled:
                before = sum(count for key, count in good.items() if key in one.keys)
                self._report.revoked.append(Revoked(one.gateway, ids, *one.last, one.time, before, self._late.get(one.note, 0)))
            elif known:
                self._report.problem(f"a revocation of keys of {one.gateway} that no trusted key of it has signed")
            else:
                self._report.revoked.append(Revoked(one.gateway, ids, *one.last, one.time, None, None))
                if one.given:
                    self._report.missing.append(f"the revocation of keys of {one.gateway} could not be checked: {no_key_of(one.gateway)}")


# ---------------------------------------------------------------------------------------------------------------- the chain of an epoch


def is_number(*values: Any) -> bool:
    """Return True if each is an integer, as JSON and SQLite have it."""
    return all(type(value) is int for value in values)


def check_epoch_event(event: Any) -> None:
    """Raise what UNREADABLE names, unless it is an `epoch` event whose members have the types that the checks count on."""
    if event["follows"] is None:
        return
    spans = [*event["lost"], *(span for some in event.get("lost_before", {}).values() for span in some)]
    numbers = [event["follows"], event["last_seq"], *(number for span in spans for number in span)]
    texts = [event["last_digest"], event["reason"]]
    earlier = [int(epoch) for epoch in event.get("lost_before", {})]
    if not is_number(*numbers, *earlier) or not all(isinstance(text, str) for text in texts) or any(len(span) != 2 for span in spans):
        raise ValueError("its members are not those of an epoch")


def declared_by(event: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """Return (epoch, [first, last]) of every range that an `epoch` event declares lost. Raises KeyError, TypeError if it is none."""
    if event["follows"] is None:
        return []
    earlier = event.get("lost_before", {}).items()
    return [(event["follows"], span) for span in event["lost"]] + [(int(epoch), span) for epoch, spans in earlier for span in spans]


def uncovered(low: int, high: int, spans: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the parts of low to high that no span covers."""
    rest = [(low, high)] if low <= high else []
    for first, last in spans:
        cut = [part for span in rest for part in ((span[0], min(span[1], first - 1)), (max(span[0], last + 1), span[1]))]
        rest = [part for part in cut if part[0] <= part[1]]
    return rest


KEPT_SIZES = 65_536
"""Newest tree sizes whose peaks are kept in memory, for checkpoints that come in later entries."""


LONGEST_TIME = 40
"""Bytes of an entry's time, at most: RFC 3339."""


class Span(NamedTuple):
    """Times of some entries that follow each other, in seconds since 1970. last: the last of them; low, high: earliest and latest."""

    last: int
    since_s: float
    low_s: float
    high_s: float


class EntryTimes:
    """Times of entries, as they say themselves: each of those that no checkpoint covers, and the spans between checkpoints before."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._seqs, self._times_s = array("q"), array("d")

    def take(self, seq: int, text: bytes) -> None:
        """Add an entry; text: its bytes from its time on. A time that can not be read is 1970: nobody can say how old the entry is."""
        try:
            time_s = datetime.fromisoformat(text.partition(b'"')[0].decode("ascii")).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            time_s = 0.0
        self._seqs.append(seq)
        self._times_s.append(time_s)

    def covered(self, through: int) -> None:
        """Keep no single times of entries to `through`."""
        count = sum(1 for seq in self._seqs if seq <= through)
        self._spans += self._span(0, count)
        del self._seqs[:count], self._times_s[:count]

    def _span(self, begin: int, end: int) -> list[Span]:
        times_s = self._times_s[begin:end]
        return [Span(self._seqs[end - 1], times_s[0], min(times_s), max(times_s))] if times_s else []

    def after(self, through: int) -> tuple[str | None, float]:
        """Return the time of the first entry after `through`, and the seconds over which all after it spread."""
        begin = sum(1 for seq in self._seqs if seq <= through)
        spans = [span for span in self._spans if span.last > through] + self._span(begin, len(self._seqs))
        if not spans:
            return None, 0.0
        since = datetime.fromtimestamp(spans[0].since_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return since, max(span.high_s for span in spans) - min(span.low_s for span in spans)


class Chain:
    """Follows one epoch's entries in order, and reports the first that is not as it was written."""

    def __init__(self, report: Report, gateway: str | None, epoch: int, signatures: Signatures, given: list[Checkpoint]) -> None:
        """Begin before entry 1. given: checkpoints that stand in no entry (journal.db, --checkpoint), of any epoch."""
        self.report, self.gateway, self.epoch = report, gateway, epoch
        self.seq, self.previous = 0, ZEROS
        self.first: int | None = None  # of the entries that are here
        self.tree = Tree()
        self.whole = True  # every leaf so far is known, so the tree is
        self.own_event: dict[str, Any] | None = None  # the first `epoch` event here: how this epoch began
        self.begun: list[dict[str, Any]] = []  # the `epoch` events here: they speak of the epoch before
        self.pruned: list[EntryRange] = []  # (epoch, first, last) that audit entries here call pruned
        self.last = 0  # entry that is here
        self.signed = 0  # entries that a checkpoint proves which the key has signed
        self.told_of_checkpoints = 0  # by entries
        self.unbroken = True  # each entry names the one before it, from the first that is here
        self.times = EntryTimes()  # of those that no checkpoint covers
        self._signatures = signatures
        self._given = [checkpoint for checkpoint in given if checkpoint.origin.rpartition("/")[2] == str(epoch)]
        self._wanted = {checkpoint.size for checkpoint in self._given}
        self._gateway_raw = b""
        self._recent: dict[int, list[tuple[int, bytes]]] = {}
        self._kept: dict[int, list[tuple[int, bytes]]] = {}

    def skip(self, last: int, digest: str, root: bytes | None) -> None:
        """Pass over a pruned segment: only its last digest is left, and its root unless it had been salvaged with losses."""
        if root is not None and self.whole and self.tree.size == self.seq and last - self.seq == SEGMENT:
            self._grow(root, SEGMENT)
        else:
            self.whole = False
        self.seq, self.previous = last, digest

    def jump(self, seq: int) -> EntryRange:
        """Pass over the entries to `seq`, which are not here, and return their range: the chain can not be followed over them."""
        passed = self.epoch, self.seq + 1, seq
        self.seq, self.previous, self.whole, self.unbroken = seq, "", False, False
        return passed

    def refused(self, seq: int, digest: str, leaf: bytes) -> None:
        """Pass over an entry that the receiver was handed and did not store: its digest and its leaf are all that is left of it."""
        if self.whole:
            self._grow(leaf)
        self.seq, self.last, self.previous = seq, seq, digest

    def take(self, seq: int, digest: str, payload: bytes) -> None:
        """Check the next entry: number, digest, head, place in the chain; and what it says if it is evidence itself."""
        at = self.epoch, seq
        self.report.entries += 1
        self.first = seq if self.first is None else self.first
        if seq != self.seq + 1:
            missing = f"entries {self.seq + 1} to {seq - 1} are missing" if seq > self.seq + 1 else f"stands after entry {self.seq}"
            self.report.problem(missing, (self.epoch, min(self.seq + 1, seq)))
            self.previous, self.whole, self.unbroken = "", False, False
        real = hashlib.sha256(payload).hexdigest()
        if real != digest:
            self.report.problem("its bytes do not match its digest", at)
        head = HEAD.match(payload)
        if head is None:
            self.report.problem("its head can not be read", at)
        else:
            self._check_head(head, at)
            if head[1] == b"ebr-gateway/event/1":
                self._read_event(payload, at)
        if self.whole:
            self._grow(leaf_hash(payload))
        self.seq, self.last, self.previous = seq, seq, digest if real == digest else ""
        self.times.take(seq, payload[head.end() : head.end() + LONGEST_TIME] if head else b"")

    def _grow(self, hash_: bytes, leaves: int = 1) -> None:
        """Add to the tree, and keep its peaks at this size as long as a checkpoint of this size may come."""
        self.tree.append(hash_, leaves)
        self._recent[self.tree.size] = self.tree.peaks()
        if self.tree.size in self._wanted:
            self._kept[self.tree.size] = self.tree.peaks()
        self._recent.pop(self.tree.size - KEPT_SIZES, None)

    def _check_head(self, head: "re.Match[bytes]", at: EntryId) -> None:
        """Compare what an entry's head says with where the entry stands. The gateway's name is the first head's, if no one else gave it."""
        try:
            gateway = self.gateway if head[2] == self._gateway_raw else json.loads(head[2])
        except ValueError:
            self.report.problem("its head can not be read: the gateway's name is none", at)
            return
        self.gateway = self.gateway or gateway
        if gateway != self.gateway or (int(head[3]), int(head[4])) != at:
            self.report.problem(f"its head says {gateway}, epoch {int(head[3])}, seq {int(head[4])}", at)
        else:
            self._gateway_raw = head[2]
        if self.previous and head[5].decode() != self.previous:
            self.report.problem(f"it does not follow entry {at[1] - 1}: one of the two was changed", at)

    def _read_event(self, payload: bytes, at: EntryId) -> None:
        """Use an event that is evidence: a checkpoint, a rotation of keys, a signed act, a prune, the beginning of an epoch."""
        words = (b'"checkpoint"', b'"key-rotation"', b'"prune"', b'"epoch","follows"', b'"lost":', b'"signatures":["', b'"action":"config-')
        if not any(word in payload for word in words):
            return
        try:
            event = json.loads(payload)["event"]
            kind = event["type"]
            if kind == "checkpoint":
                self.told_of_checkpoints += 1
                self._compare(Checkpoint.parse(event["note"]), at)
            elif kind == "audit" and event["action"] == "key-rotation":
                self._signatures.rotate(event["what"]["note"], at)
            elif kind == "audit" and event["action"].startswith("config-"):
                self._signatures.act(event["what"]["note"], event, self.gateway, at)
            elif kind == "config":
                for note in event.get("signatures", ()):
                    self._signatures.act(note, event, self.gateway, at)
            elif kind == "audit" and event["action"] == "prune":
                pruned = event["what"]["epoch"], event["what"]["first"], event["what"]["last"]
                if not is_number(*pruned):
                    raise ValueError("its numbers are none")
                self.pruned.append(pruned)
            elif kind == "epoch":
                check_epoch_event(event)
                self.own_event = self.own_event or event
                if event["follows"] is not None:
                    self.begun.append({**event, "entry": at[1]})
        except UNREADABLE:
            self.report.problem("its JSON can not be read as what it says it is", at)

    def finish(self) -> None:
        """Compare the tree with the checkpoints of this epoch that came from elsewhere."""
        for checkpoint in self._given:
            self._compare(checkpoint, None)

    def _compare(self, checkpoint: Checkpoint, at: EntryId | None) -> None:
        """Compare a checkpoint with the entries: its origin, its size, and its root where the tree at this size is known."""
        self.report.checkpoints += 1
        proves: Chain | None = None
        if checkpoint.origin != f"{self.gateway}/{self.epoch}":
            self.report.problem(f"a checkpoint of {checkpoint.origin} stands for {self.gateway}/{self.epoch}", at)
        elif checkpoint.size > self.seq:
            text = f"entries {self.seq + 1} to {checkpoint.size} are missing at the end: a checkpoint of {checkpoint.size} entries exists"
            self.report.problem(text, (self.epoch, self.seq + 1))
        else:
            peaks = self._kept.get(checkpoint.size) or self._recent.get(checkpoint.size)
            if peaks is not None and Tree.over(peaks) != checkpoint.root:
                self.report.problem(f"the tree of {checkpoint.size} entries has not the root that was signed: one of them was changed", at)
            elif peaks is not None:
                proves = self
                self.times.covered(checkpoint.size)
        self._signatures.check(checkpoint, at, proves)

    def ended(self, after: int, event: dict[str, Any]) -> None:
        """Compare the end of this epoch with the `epoch` event of the one after it, if not less is here."""
        last, unknown = event["last_seq"], event.get("tail") == "unknown"
        if self.seq > last and not unknown:
            self.report.problem(f"it stands after the end: epoch {after} follows entry {last}", (self.epoch, last + 1))
        elif self.seq == last and last and self.previous and self.previous != event["last_digest"]:
            self.report.problem(f"epoch {after} says that another entry was the last one", (self.epoch, last))


# ------------------------------------------------------------------------------------------ a journal's folder: reading without writing


def running(folder: Path) -> bool:
    """Return True if a gateway holds the journal now."""
    if fcntl is None or not (folder / "lock").exists():
        return False
    with (folder / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


class Files:
    """Opens SQLite files without writing beside them: a file with a log that no gateway holds is copied first."""

    def __init__(self, stack: ExitStack, *, live: bool) -> None:
        self._stack, self._live = stack, live

    def open(self, path: Path) -> sqlite3.Connection:
        """Open a file read-only. Raises sqlite3.Error if it is no database."""
        if path.exists() and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, "no permission to read", str(path))
        wal = path.with_name(path.name + "-wal")
        mode = "mode=ro&immutable=1"
        if self._live and wal.exists():  # an empty one too: it may be filled in a moment
            mode = "mode=ro"
        elif not self._live and size_of(wal):
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-")))
            shutil.copyfile(path, folder / path.name)
            shutil.copyfile(wal, folder / wal.name)
            path, mode = folder / path.name, "mode=rw"
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=10)
        self._stack.callback(db.close)
        db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # a damaged text is judged where it stands
        db.execute("PRAGMA cell_size_check=ON")
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
        db.set_authorizer(_only_stored_rows)
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        return db


def _only_stored_rows(action: int, _name: str | None, _column: str | None, _database: str | None, view: str | None) -> int:
    """Let SQLite read what a file holds, and nothing that it computes: a view may have rows without end."""
    return sqlite3.SQLITE_DENY if view is not None or action == sqlite3.SQLITE_RECURSIVE else sqlite3.SQLITE_OK


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 if it is not there (any more, beside a running gateway)."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def wal_doubt(wal: Path) -> bool:
    """Return True if a log holds frames of its present generation that SQLite will not read: cut by power loss, or damaged."""
    data = wal.read_bytes() if wal.exists() else b""
    if len(data) <= 32:
        return False
    magic, _, page, _, salts, sums = struct.unpack(">IIII8s8s", data[:32])
    order = "<" if magic == 0x377F0682 else ">"

    def add(chunk: bytes, sums: tuple[int, int]) -> tuple[int, int]:
        s0, s1 = sums
        words = iter(struct.unpack(f"{order}{len(chunk) // 4}I", chunk))
        for word in words:
            s0 = (s0 + word + s1) & 0xFFFFFFFF
            s1 = (s1 + next(words) + s0) & 0xFFFFFFFF
        return s0, s1

    if magic not in (0x377F0682, 0x377F0683) or struct.pack(">II", *add(data[:24], (0, 0))) != sums or page not in (512, 1024, 2048, 4096):
        return True
    running_sums, at = struct.unpack(">II", sums), 32
    while at + 24 + page <= len(data):
        after = add(data[at : at + 8] + data[at + 24 : at + 24 + page], running_sums)
        if data[at + 8 : at + 16] != salts or struct.pack(">II", *after) != data[at + 16 : at + 24]:
            break
        running_sums, at = after, at + 24 + page
    rest = [frame for frame in range(at, len(data) - 23 - page, 24 + page) if any(data[frame + 4 : frame + 8])]  # that end a transaction
    return any(data[frame + 8 : frame + 12] == salts[:4] or data[frame + 12 : frame + 16] == salts[4:] for frame in rest)


class MissingPackage(Exception):
    """A package is not installed that this check needs."""


def unpacker() -> tuple[Callable[[bytes], bytes], type[Exception]]:
    """Return the function that unpacks a payload, and the error that it raises. Raises MissingPackage."""
    try:
        import zstandard
    except ImportError:
        try:
            from compression import zstd  # type: ignore[import-not-found]  # from Python 3.14 on
        except ImportError:
            raise MissingPackage("to read a journal's folder install zstandard (pip install zstandard)") from None
        return (lambda packed: zstd.ZstdDecompressor().decompress(packed, LARGEST_ENTRY)), zstd.ZstdError
    decompressor = zstandard.ZstdDecompressor()

    def unpack(packed: bytes) -> bytes:
        if zstandard.frame_content_size(packed) > LARGEST_ENTRY:
            raise zstandard.ZstdError("it is larger than an entry may be")
        return decompressor.decompress(packed, max_output_size=LARGEST_ENTRY)

    return unpack, zstandard.ZstdError


# ------------------------------------------------------------------------------------------------ a journal's folder, stage 1: journal.db


SEGMENT_ROWS = "SELECT epoch, first, last, state, digest, root, sha256, previous FROM segments ORDER BY epoch, first"
CHECKPOINT_ROWS = "SELECT epoch, size, root, note FROM checkpoints WHERE note IS NOT NULL"
FILES_OF_A_CUT_FIRST_START = {"segments", "lock", "journal.db", "journal.db-wal", "journal.db-shm", "journal.db-journal"}
"""Files that a first start may have left which was cut short before anything was written."""
SEGMENT_FILE = re.compile(r"(\d+)-(\d+)\.db")
"""The name of a segment's file: epoch and first entry."""


class SegmentRow(NamedTuple):
    """A segment as journal.db names it. last: None while it grows. state: open, closed, pruned or damaged.

    digest: of its last entry. root: of its subtree. sha256: of its file, as it was closed. previous: digest of the entry before it.
    """

    epoch: int
    first: int
    last: int | None
    state: str
    digest: bytes | None = None
    root: bytes | None = None
    sha256: bytes | None = None
    previous: bytes | None = None

    def is_one(self) -> bool:
        """Return True if every member has its type."""
        hashes = (self.digest, self.root, self.sha256, self.previous)
        numbers = (self.epoch, self.first, *(() if self.last is None else (self.last,)))
        return is_number(*numbers) and isinstance(self.state, str) and all(hash_ is None or isinstance(hash_, bytes) for hash_ in hashes)


class Catalogue(NamedTuple):
    """What journal.db says at one instant. own: its checkpoints. cursors: (uplink, epoch, seq) that receivers have confirmed."""

    rows: list[SegmentRow]
    own: list[Checkpoint]
    cursors: list[tuple[str, int, int]]


class JournalFolder:
    """A journal's folder: its files as they stand, and what journal.db says of them."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self.report = path, report
        self.live = running(path)
        self.held = sorted((path / "segments").glob("*.db"))  # before journal.db is read: what is born later is none of its business
        self.files: Files
        self.gateway: str | None = None
        self.events: dict[int, dict[str, Any]] = {}  # epoch -> its `epoch` event
        self.cut = False  # it was not stopped cleanly: it runs, or was cut by a crash and has not been started since
        self._sha256: dict[Path, bytes] = {}

    def first_start_was_cut(self) -> bool:
        """Return True for a folder without any file but a journal.db without tables: nothing was written yet."""
        if any((self.path / "segments").glob("*")) or {path.name for path in self.path.iterdir()} - FILES_OF_A_CUT_FIRST_START:
            return False
        path = self.path / "journal.db"
        try:
            if path.exists() and self.files.open(path).execute("SELECT 1 FROM sqlite_master").fetchone():
                return False
        except (sqlite3.Error, OSError):
            return False
        self.report.notes.append("the first start was cut short before the journal was made")
        return True

    def catalogue(self) -> Catalogue:
        """Read journal.db; where it can not be read, that is a problem, and the segments are known by their names alone."""
        try:
            return self._catalogue()
        except PermissionError:
            raise
        except (sqlite3.Error, OSError, *UNREADABLE) as error:
            self.report.problem(f"journal.db can not be read: {error}")
            self.gateway = None
            return Catalogue(self._rows_by_name(), [], [])

    def _catalogue(self) -> Catalogue:
        db = self.files.open(self.path / "journal.db")
        db.execute("BEGIN")  # one instant, beside a running gateway too
        rows = [row for row in (SegmentRow(*row) for row in db.execute(SEGMENT_ROWS)) if self._understood(row)]
        own = [note for row in db.execute(CHECKPOINT_ROWS) for note in self._note(*row)]
        cursors = [row for row in db.execute("SELECT uplink, epoch, seq FROM cursors") if self._is_cursor(row)]
        self.events = {
            epoch: event for row in db.execute("SELECT epoch, event FROM epochs ORDER BY epoch") for epoch, event in self._event(*row)
        }
        about = dict(db.execute("SELECT name, value FROM about").fetchall())
        self.gateway, self.cut = about.get("gateway"), about.get("clean") == 0
        if self.gateway is not None and not isinstance(self.gateway, str):
            self.report.problem("journal.db, about: the gateway's name is none")
            self.gateway = None
        db.execute("COMMIT")
        return Catalogue(rows, own, cursors)

    def _understood(self, row: SegmentRow) -> bool:
        if not row.is_one():
            at = (row.epoch, row.first) if is_number(row.epoch, row.first) else None
            self.report.problem(f"journal.db, segments {row.epoch}-{row.first}: its row can not be read as one", at)
        return row.is_one()

    def _note(self, epoch: Any, size: Any, root: Any, note: Any) -> Iterator[Checkpoint]:
        try:
            checkpoint = Checkpoint.parse(note)
            if (checkpoint.origin.rpartition("/")[2], checkpoint.size, checkpoint.root) != (str(epoch), size, root):
                self.report.problem(f"journal.db, checkpoint of {size} entries of epoch {epoch}: its note is of another tree")
            yield checkpoint
        except ValueError as error:
            self.report.problem(f"journal.db, checkpoint of {size} entries of epoch {epoch}: {error}")

    def _is_cursor(self, row: tuple[Any, ...]) -> bool:
        if not is_number(*row[1:]):
            self.report.problem(f"journal.db, cursor of {row[0]}: its row can not be read as one")
        return is_number(*row[1:])

    def _event(self, epoch: Any, text: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            event = json.loads(text)
            check_epoch_event(event)
            if not is_number(epoch):
                raise ValueError("its number is none")
            yield epoch, event
        except UNREADABLE as error:
            self.report.problem(f"journal.db, epoch {epoch}: its event can not be read: {error}", (epoch, 1) if is_number(epoch) else None)

    def _rows_by_name(self) -> list[SegmentRow]:
        matches = [SEGMENT_FILE.fullmatch(path.name) for path in (self.path / "segments").glob("*.db")]
        return [SegmentRow(*place, None, "open") for place in sorted((int(match[1]), int(match[2])) for match in matches if match)]

    def segment(self, epoch: int, first: int) -> Path:
        """Return the place of a segment's file."""
        return self.path / "segments" / f"{epoch}-{first}.db"

    def sha256(self, path: Path) -> bytes:
        """Return the SHA-256 of a file; of nothing if it is gone."""
        if path not in self._sha256:
            try:
                with path.open("rb") as file:
                    self._sha256[path] = hashlib.file_digest(file, "sha256").digest()
            except FileNotFoundError:
                return hashlib.sha256().digest()
        return self._sha256[path]

    def row_now(self, epoch: int, first: int) -> SegmentRow | None:
        """Read the row of this segment in journal.db again, beside the running gateway."""
        with closing(self.files.open(self.path / "journal.db")) as db:
            rows = [SegmentRow(*row) for row in db.execute(SEGMENT_ROWS)]
        return next((row for row in rows if row[:2] == (epoch, first)), None)

    def pruned_now(self, path: Path) -> SegmentRow | None:
        """Return the segment's row if the running gateway has pruned it since journal.db was read."""
        epoch, _, first = path.stem.partition("-")
        row = self.row_now(int(epoch), int(first)) if self.live and not path.exists() else None
        return row if row is not None and row.state == "pruned" else None


# ------------------------------------------------------------------------------- a journal's folder, stage 2: files as a stop left them


def check_sums(journal: JournalFolder) -> None:
    """Compare the files with SHA256SUMS, which a clean stop has written."""
    sums = journal.path / "SHA256SUMS"
    if not sums.exists():
        return
    if size_of(sums) > LARGEST_LIST:
        journal.report.problem("SHA256SUMS is larger than such a list can be")
        return
    text = sums.read_text("ascii", "replace")
    stated = {line[66:]: line[:64] for line in text.splitlines()}
    held = {"journal.db", *(f"segments/{path.name}" for path in (journal.path / "segments").glob("*.db"))}
    if "".join(f"{sum_}  {name}\n" for name, sum_ in stated.items()) != text or set(stated) != held:
        journal.report.problem("SHA256SUMS does not list the files that are here: it or they were changed")
    for name in sorted(held & set(stated)):
        if journal.sha256(journal.path / name).hex() != stated[name]:
            journal.report.problem(f"{name} is not as the gateway left it")


def check_logs(journal: JournalFolder) -> None:
    """Report each log that ends in a transaction which SQLite would pass over without a word."""
    for wal in [journal.path / "journal.db-wal", *(journal.path / "segments").glob("*.db-wal")]:
        if wal_doubt(wal):
            journal.report.problem(
                f"{wal.name} ends in a transaction that can not be read: damaged, or cut by power loss before it was promised"
            )


# --------------------------------------------------------------------------------- a journal's folder, stage 3: segments, entry by entry


class Segments:
    """Follows the chain of each epoch through its segments.

    pruned: what journal.db calls so. pruned_meanwhile: since journal.db was read, by the running gateway. A range of entries that is not
    there is no problem yet: it may have been declared lost, which is known at the end (`Absences`).
    """

    def __init__(self, journal: JournalFolder, remains: "CrashRemains", progress: Progress) -> None:
        self._journal, self._remains, self._progress = journal, remains, progress
        self._report = journal.report
        self._done_bytes, self._total_bytes = 0, sum(map(size_of, journal.held))
        self.pruned: list[EntryRange] = []
        self.pruned_meanwhile: list[EntryRange] = []

    def check(self, chain: Chain, row: SegmentRow, before: SegmentRow | None, *, newest: bool) -> list[EntryRange]:
        """Check one segment; return the ranges of entries that are not here. before: the segment before it in its epoch."""
        if row.state in ("pruned", "damaged"):
            return self._without_file(chain, row)
        path = self._journal.segment(chain.epoch, row.first)
        holes: list[EntryRange] = []
        if row.first != chain.seq + 1 and self._journal.live and before is not None:  # more was written while the one before was read
            self._entries(chain, self._journal.segment(chain.epoch, before.first), after=chain.seq)
        if row.first != chain.seq + 1:
            if row.state == "open" and row.last is None and newest and self._remains.never_promised(path, chain, before):
                return []
            holes.append(chain.jump(row.first - 1))
        self._compare_begin(chain, row)
        size_bytes = size_of(path)
        entries_not_here = None if self._journal.pruned_now(path) else self._entries(chain, path)
        if entries_not_here is None:
            self._skip_pruned_now(chain, path)
            return holes
        holes += entries_not_here + self._compare(chain, row, path, size_bytes)
        self._done_bytes += size_bytes
        self._progress(self._done_bytes, self._total_bytes)
        return holes

    def _without_file(self, chain: Chain, row: SegmentRow) -> list[EntryRange]:
        """Pass over a segment whose file was removed (pruned) or put aside (damaged)."""
        last = row.last or row.first - 1
        holes = [chain.jump(row.first - 1)] if row.first > chain.seq + 1 else []
        if row.state == "damaged":
            chain.jump(last)
            return [*holes, (chain.epoch, row.first, last)]
        self.pruned.append((chain.epoch, row.first, last))
        chain.skip(last, row.digest.hex() if row.digest else "", row.root)
        return holes

    def _entries(self, chain: Chain, path: Path, after: int = -1) -> list[EntryRange] | None:
        """Check the entries of one file; return the ranges that are not there, or None if the file was pruned just now."""
        unpack, unpack_error = self._remains.unpacker
        holes: list[EntryRange] = []
        try:
            with closing(self._journal.files.open(path)) as db:
                for seq, digest, packed in db.execute("SELECT seq, digest, payload FROM entries WHERE seq > ? ORDER BY seq", (after,)):
                    if not is_number(seq):
                        self._report.problem(f"segments/{path.name}: a row has the number {seq!r}", (chain.epoch, chain.seq + 1))
                        continue
                    if seq > chain.seq + 1:
                        holes.append(chain.jump(seq - 1))
                    try:
                        chain.take(seq, digest.hex(), unpack(packed))
                    except (unpack_error, *UNREADABLE) as error:
                        self._report.problem(f"can not be unpacked: {error}", (chain.epoch, seq))
                        chain.jump(seq)
        except PermissionError:
            raise
        except (sqlite3.Error, OSError) as error:
            if self._journal.pruned_now(path):
                return None
            self._report.problem(f"segments/{path.name} can not be read from here on: {error}", (chain.epoch, chain.seq + 1))
        return holes

    def _skip_pruned_now(self, chain: Chain, path: Path) -> None:
        """Pass over such a segment. Its audit entry is not asked for: it may be in a segment that was made after journal.db was read."""
        row = self._journal.pruned_now(path)
        assert row is not None, "what was pruned stays so"
        assert row.last is not None, "only a closed segment is pruned"
        assert row.digest is not None, "and that one has its last digest"
        self.pruned_meanwhile.append((chain.epoch, row.first, row.last))
        chain.skip(row.last, row.digest.hex(), row.root)
        self._report.notes.append(f"segments/{path.name} was pruned meanwhile")

    def _compare_begin(self, chain: Chain, row: SegmentRow) -> None:
        """Compare what a segment follows, says journal.db, with the entry before it."""
        if chain.previous and row.previous is not None and chain.previous != row.previous.hex():
            self._report.problem("journal.db names another entry before it", (chain.epoch, row.first))

    def _compare(self, chain: Chain, row: SegmentRow, path: Path, size_bytes: int) -> list[EntryRange]:
        """Compare a segment that was read with what journal.db says of it; return the entries that should stand at its end."""
        journal = self._journal
        holes: list[EntryRange] = []
        closed = row.state == "closed"
        if row.sha256 is not None and closed and size_bytes and journal.sha256(path) != row.sha256 and not journal.pruned_now(path):
            self._report.problem(f"segments/{path.name} is not as it was closed")
        if row.last is not None and chain.seq < row.last:
            holes.append(chain.jump(row.last))
        if closed and row.last is not None and chain.seq > row.last:
            self._report.problem("journal.db lets its segment end before it", (chain.epoch, row.last + 1))
        elif closed and chain.whole and row.digest is not None and chain.previous != row.digest.hex():
            self._report.problem("journal.db names another digest for it", (chain.epoch, chain.seq))
        elif closed and chain.whole and row.root is not None and chain.tree.newest_segment() != row.root:
            self._report.problem(f"segments/{path.name}: its entries have not the root that journal.db names")
        return holes


# --------------------------------------------------------------------------------- a journal's folder, stage 4: files that no row names


class CrashRemains:
    """Judges files that journal.db does not name, or names as pruned.

    A crash may leave a file behind that the next start removes, and nothing in it was ever promised. It is no problem, and only noted, if
    it is exactly such a one: see `never_promised` and `_pruned_before_crash`. Every other file beside the named segments is a problem.
    """

    def __init__(self, journal: JournalFolder, chains: dict[int, Chain]) -> None:
        self._journal, self._report, self._chains = journal, journal.report, chains
        self.unpacker = unpacker()

    def check(self, rows: list[SegmentRow]) -> None:
        """Report every file among the segments that belongs neither to a row nor to a crash."""
        named = {f"{row.epoch}-{row.first}.db": row for row in rows}
        for path in self._journal.held:
            row = named.get(path.name)
            match = SEGMENT_FILE.fullmatch(path.name)
            at = (int(match[1]), int(match[2])) if match and row is None else None
            if row is not None and (row.state != "pruned" or self._pruned_before_crash(path, row.sha256)):
                continue
            if self._journal.live and self._resolves_itself(path, at):
                continue
            if at is not None and at[0] in self._chains:
                before = next((row_before for row_before in reversed(rows) if row_before.epoch == at[0]), None)
                if self.never_promised(path, self._chains[at[0]], before):
                    continue
            self._report.problem(f"segments/{path.name} is not one of this journal")

    def _resolves_itself(self, path: Path, at: EntryId | None) -> bool:
        """Return True if the running gateway names this file by now, or has removed it.

        A file is made before its row, and goes after it: for a moment both are rightly seen without the other.
        """
        for _ in range(100):
            if not path.exists() or (at is not None and self._journal.row_now(*at) is not None):
                return True
            time.sleep(0.1)
        return False

    def _pruned_before_crash(self, path: Path, sha256: bytes | None) -> bool:
        """Return True if retention was cut between noting that this file is gone and removing it: every byte is as it was closed."""
        if not self._journal.cut or sha256 is None or self._journal.sha256(path) != sha256:
            return False
        self._report.notes.append(f"segments/{path.name} was pruned just before the crash; the next start removes what is left of it")
        return True

    def never_promised(self, path: Path, chain: Chain, before: SegmentRow | None) -> bool:
        """Return True for the next segment of the growing epoch, begun by a gateway that died before an entry in it counted.

        It follows the segment that grows, directly, and there is one at most: no other would be removed at the next start. It holds no
        entry; or those of one append across the end of the segment before, which counts only when that one is full: it says so itself
        (`across`: the first entry of the append, the one after the last that is here), and its entries are whole and chained.
        """
        first = int(path.stem.partition("-")[2])
        grows = before is not None and before.state == "open" and before.last is None and first == before.first + SEGMENT
        follows = first == 1 if before is None else grows
        if not self._journal.cut or not follows or chain.epoch != max(self._chains) or not chain.seq < first:
            return False
        try:
            db = self._journal.files.open(path)
            empty = not db.execute("SELECT 1 FROM sqlite_master").fetchone()
            rows = [] if empty else db.execute("SELECT seq, digest, payload FROM entries ORDER BY seq").fetchall()
            about = {} if empty else dict(db.execute("SELECT name, value FROM about").fetchall())
        except (sqlite3.Error, OSError):
            return False
        if rows and not self._is_rest_of_an_append(rows, about, chain, first):
            return False
        content = f"{len(rows)} entries of an append that was not finished" if rows else "no entry"
        self._report.notes.append(f"segments/{path.name} was begun just before the crash and holds {content}; the next start removes it")
        return True

    def _is_rest_of_an_append(self, rows: list[tuple[Any, ...]], about: dict[str, Any], chain: Chain, first: int) -> bool:
        """Return True if these are the last entries of an append that began after the last entry here, and crossed the segment's end."""
        unpack, unpack_error = self.unpacker
        stated = (about.get("gateway"), about.get("epoch"), about.get("first"), about.get("across"))
        expected = (self._journal.gateway, chain.epoch, first, chain.seq + 1)
        if not is_number(*(row[0] for row in rows)) or stated != expected or chain.seq + 1 >= first or rows[-1][0] - chain.seq > SEGMENT:
            return False
        apart = Report("segment", "")  # what is wrong with these entries accuses nobody
        beyond = Chain(apart, self._journal.gateway, chain.epoch, Signatures(apart, []), [])
        beyond.jump(first - 1)
        beyond.previous = str(about.get("previous"))
        try:
            for seq, digest, packed in rows:
                beyond.take(seq, digest.hex(), unpack(packed))
        except (unpack_error, *UNREADABLE):
            return False
        return not apart.problems


# ---------------------------------------------------------------------------------- a journal's folder, stage 5: entries that are not here


class Absences:
    """Judges entries that are not here: declared lost by the epoch that followed, or pruned, or missing.

    explained: epochs at whose end a salvage says that there was damage. Such a salvage has made journal.db anew, which then does not know
    what had been pruned: what would be a problem is missing evidence there.
    """

    def __init__(self, journal: JournalFolder, chains: dict[int, Chain]) -> None:
        self._report, self._chains, self._events = journal.report, chains, journal.events
        self._begun = self._begun_epochs()
        self._declared = [loss for _, event in self._begun for loss in declared_by(event)]
        self._explained = [event["follows"] for _, event in self._begun if event["reason"] == "salvaged" or event["lost"]]

    def _begun_epochs(self) -> list[tuple[int, dict[str, Any]]]:
        """Return (epoch, its `epoch` event) of all epochs that follow another, newest first.

        The event is an epoch's first entry. Where that was pruned, journal.db still has it. Where it was never written (a crash or a stop
        came first) journal.db alone has it: it counts if the epoch is the newest, or if the one after follows it, empty as it is.
        """
        events: list[tuple[int, dict[str, Any]]] = []
        for epoch, chain in sorted(self._chains.items(), reverse=True):
            empty = chain.seq == 0
            if chain.begun or chain.first == 1:
                events += [(epoch, event) for event in chain.begun]
            elif not empty or epoch == max(self._chains) or any((later["follows"], later["last_seq"]) == (epoch, 0) for _, later in events):
                event = self._events.get(epoch)
                if event and declared_by(event) and empty:
                    which = "its first one will declare" if epoch == max(self._chains) else "journal.db alone declares"
                    self._report.notes.append(f"epoch {epoch} has begun and has no entry; {which} the losses")
                events += [(epoch, event)] if event and event["follows"] is not None else []
        return events

    def _lost(self, epoch: int) -> list[list[int]]:
        return [span for lost_epoch, span in self._declared if lost_epoch == epoch]

    def _audited_as_pruned(self, epoch: int) -> list[tuple[int, int]]:
        return [pruned[1:] for chain in self._chains.values() for pruned in chain.pruned if pruned[0] == epoch]

    def is_explained(self, epoch: int) -> bool:
        """Return True if this epoch, or a later one, ended with damage."""
        return any(explained >= epoch for explained in self._explained)

    def check_holes(self, holes: list[EntryRange]) -> None:
        """Judge the ranges that are not here although later entries of their epoch are."""
        first_epochs = {epoch for epoch, event in self._events.items() if event["follows"] is None}
        for epoch, low, high in holes:
            undeclared = uncovered(low, high, self._lost(epoch))
            if not undeclared and low <= high:
                self._report.missing.append(f"epoch {epoch}: entries {low} to {high} were lost, and declared as lost")
            anew = low == 1 and epoch in first_epochs and self.is_explained(epoch)
            for first, last in undeclared:
                self._check_undeclared(epoch, first, last, anew=anew)

    def _check_undeclared(self, epoch: int, first: int, last: int, *, anew: bool) -> None:
        if not uncovered(first, last, self._audited_as_pruned(epoch)):
            self._report.notes.append(f"epoch {epoch}: entries {first} to {last} were pruned, says an audit entry")
        elif anew:
            text = "are not here: pruned it may be, but journal.db was made anew since and no audit entry is here"
            self._report.missing.append(f"epoch {epoch}: entries {first} to {last} {text}")
        else:
            self._report.problem(f"entries {first} to {last} are missing", (epoch, first))

    def check_pruned(self, pruned: list[EntryRange], pruned_meanwhile: list[EntryRange]) -> None:
        """Look for the audit entry of everything that journal.db calls pruned; it is written before the file goes.

        That entry may itself be gone: if a later segment was pruned too, or a salvage says that later entries were lost.
        """
        newest = max([*pruned, *pruned_meanwhile], default=(0, 0, 0))
        for epoch, first, last in joined(pruned):
            self._report.notes.append(f"epoch {epoch}: entries {first} to {last} were pruned")
            for low, high in uncovered(first, last, sorted(self._audited_as_pruned(epoch))):
                text = f"entries {low} to {high} are not here, called pruned, and no audit entry says so"
                if (epoch, high) < (newest[0], newest[2]):
                    continue  # that entry was pruned as well
                if self.is_explained(epoch):
                    self._report.missing.append(f"epoch {epoch}: {text}; it may have been lost")
                else:
                    self._report.problem(text, (epoch, low))

    def check_ends(self) -> None:
        """Compare where each epoch ends with the event of the one after it."""
        for epoch, low, high in sorted({(epoch, *span) for epoch, span in self._declared if epoch in self._chains}):
            if high > self._chains[epoch].seq:
                first = max(low, self._chains[epoch].seq + 1)
                self._report.missing.append(f"epoch {epoch}: entries {first} to {high} were lost, and declared as lost")
        for after, event in self._begun:
            self._check_end(after, event)

    def _check_end(self, after: int, event: dict[str, Any]) -> None:
        """Compare the end of one epoch with the `epoch` event of `after`, the one that follows it."""
        epoch, last = event["follows"], event["last_seq"]
        chain = self._chains.get(epoch)
        held = chain.seq if chain is not None else 0
        for first, end in uncovered(held + 1, last, [*self._lost(epoch), *self._audited_as_pruned(epoch)]):
            text = f"entries {first} to {end} are missing at the end: epoch {after} follows entry {last}"
            if self.is_explained(after):  # journal.db, made anew, does not know what was pruned
                self._report.missing.append(f"epoch {epoch}: {text}; a later salvage may be why")
            else:
                self._report.problem(text, (epoch, first))
        if chain is not None:
            chain.ended(after, event)
        if event.get("tail") == "unknown":
            self._report.notes.append(f"epoch {epoch}: more may have stood after entry {last} (epoch {after}: {event['reason']})")
            if held > last:
                self._report.missing.append(f"epoch {epoch}: entries {last + 1} to {held} stand after the end that epoch {after} knew")

    def check_emptied(self) -> None:
        """Report entries that tell of checkpoints where journal.db, which has each of them before its entry is written, has none."""
        epochs = [epoch for epoch, chain in self._chains.items() if chain.told_of_checkpoints and not self.is_explained(epoch)]
        if epochs:
            self._report.missing.append(f"journal.db holds no checkpoint, and entries of epoch {epochs[0]} tell of some")

    def end_of(self, epoch: int) -> int:
        """Return the last entry of an epoch that is here or was declared lost."""
        return max([self._chains[epoch].seq, *(span[1] for span in self._lost(epoch))])


def joined(ranges: list[EntryRange]) -> list[EntryRange]:
    """Join ranges that follow each other without an entry between."""
    whole: list[EntryRange] = []
    for epoch, first, last in sorted(ranges):
        if whole and whole[-1][0] == epoch and whole[-1][2] == first - 1:
            whole[-1] = (epoch, whole[-1][1], last)
        else:
            whole.append((epoch, first, last))
    return whole


# ------------------------------------------------------------------------------------------- a journal's folder: the stages, one by one


class JournalCheck:
    """Checks a journal's folder: journal.db, the segments that it names, the files that it does not name, the entries that are not here.

    chains: by epoch.
    """

    def __init__(self, folder: Path, report: Report, signatures: Signatures, elsewhere: list[Checkpoint], progress: Progress) -> None:
        self.chains: dict[int, Chain] = {}
        self._report, self._signatures, self._elsewhere = report, signatures, elsewhere
        self._journal = JournalFolder(folder, report)
        self._remains = CrashRemains(self._journal, self.chains)
        self._segments = Segments(self._journal, self._remains, progress)

    def run(self) -> set[str]:
        """Check everything, and report. Returns the origins that are here."""
        journal = self._journal
        with ExitStack() as stack:
            journal.files = Files(stack, live=journal.live)
            if not journal.live:
                check_sums(journal)
                check_logs(journal)
            if not journal.first_start_was_cut():
                self._epochs(*journal.catalogue())
        return {f"{journal.gateway}/{epoch}" for epoch in self.chains}

    def _epochs(self, rows: list[SegmentRow], own: list[Checkpoint], cursors: list[tuple[str, int, int]]) -> None:
        holes = [
            hole for epoch in sorted({row.epoch for row in rows} | set(self._journal.events)) for hole in self._epoch(epoch, rows, own)
        ]
        self._remains.check(rows)
        absences = Absences(self._journal, self.chains)
        absences.check_holes(holes)
        absences.check_pruned(self._segments.pruned, self._segments.pruned_meanwhile)
        absences.check_ends()
        self._check_own(own)
        self._check_events(absences)
        if not own and not self._journal.live:
            absences.check_emptied()
        newest = max(self.chains, default=0)
        for uplink, epoch, _ in cursors:
            if epoch > newest:
                self._report.problem(f"nothing of epoch {epoch} is here: journal.db has a cursor of {uplink} in it")
        for epoch, chain in self.chains.items():
            self._check_cursors(chain, cursors, absences.end_of(epoch))
            chain.seq = absences.end_of(epoch)
            chain.finish()

    def _epoch(self, epoch: int, rows: list[SegmentRow], own: list[Checkpoint]) -> list[EntryRange]:
        """Follow one epoch's chain; return the ranges of entries that are not here."""
        journal = self._journal
        holes: list[EntryRange] = []
        mine = [given for given in self._elsewhere if journal.gateway is None or given.origin == f"{journal.gateway}/{epoch}"]
        chain = self.chains[epoch] = Chain(self._report, journal.gateway, epoch, self._signatures, own + mine)
        before: SegmentRow | None = None
        for row in rows:
            if row.epoch == epoch:
                holes += self._segments.check(chain, row, before, newest=row is rows[-1])
                before = row
        journal.gateway = journal.gateway or chain.gateway
        return holes

    def _check_own(self, own: list[Checkpoint]) -> None:
        """Report a checkpoint in journal.db of an epoch of which nothing is here."""
        for checkpoint in own:
            epoch = checkpoint.origin.rpartition("/")[2]
            if epoch not in map(str, self.chains):
                self._report.problem(f"nothing of {checkpoint.origin} is here: journal.db has a checkpoint of {checkpoint.size} entries")

    def _check_events(self, absences: Absences) -> None:
        """Compare how an epoch began, says journal.db, with the entry that tells it.

        One that was made anew by a salvage may not know it, and says so by an event that follows nothing: the entry is the proof.
        """
        for epoch, chain in self.chains.items():
            stated = self._journal.events.get(epoch)
            own = chain.own_event
            if own is None or (stated is not None and all(stated[name] == told for name, told in own.items() if name in stated)):
                continue
            if stated is not None and stated["follows"] is None and not stated.get("lost") and absences.is_explained(epoch):
                text = "journal.db, which was made anew, does not know how it began; its first entry does"
                self._report.notes.append(f"epoch {epoch}: {text}")
            else:
                self._report.problem(f"journal.db, epoch {epoch}: its event is not the one that its entry tells")

    def _check_cursors(self, chain: Chain, cursors: list[tuple[str, int, int]], end: int) -> None:
        """Report entries after the end that a receiver has confirmed."""
        for uplink, epoch, seq in cursors:
            if epoch == chain.epoch and seq > end:
                self._report.problem(f"entries to {seq} are missing at the end: {uplink} has confirmed them", (epoch, chain.seq + 1))


# ---------------------------------------------------------------------------------------------------------------- an EBR's store


def check_store(file: Path, report: Report, signatures: Signatures, elsewhere: list[Checkpoint], progress: Progress) -> list[Chain]:
    """Check an EBR's store `entries(gateway, epoch, seq, digest, payload)`: every entry as received. Returns the chains that are here.

    Read beside it, where they are: `rejected(gateway, epoch, seq, digest, leaf)`, entries that the EBR would not store,
    `streams(gateway, epoch, through)`, how far it has confirmed, and `missing(gateway, epoch, first, last)`, entries that it went on
    behind because the gateway did not hold them any more.
    """
    with ExitStack() as stack:
        wal = file.with_name(file.name + "-wal")
        db = Files(stack, live=wal.exists() and file.with_name(file.name + "-shm").exists()).open(file)
        db.execute("BEGIN")  # one instant, beside a running EBR too
        chains, holes = _store_chains(db, report, signatures, elsewhere, progress)
        _check_confirmed(db, chains, holes, report)
        _check_ends_in_store(chains, report)
        for chain in chains:
            chain.finish()
        if not chains:
            report.missing.append("the store holds no entries")
        return chains


def _store_chains(
    db: sqlite3.Connection, report: Report, signatures: Signatures, elsewhere: list[Checkpoint], progress: Progress
) -> tuple[list[Chain], list[tuple[Chain, int, int]]]:
    """Follow every chain in the store; return them, and the ranges (chain, first, last) that are not here."""
    total = db.execute("SELECT COUNT(*) FROM entries").fetchone()[0]
    chains: list[Chain] = []
    refused: list[str] = []
    holes: list[tuple[Chain, int, int]] = []
    for gateway, epoch, seq, stated, payload, leaf in db.execute(_store_query(db)):
        if not _is_store_row(gateway, epoch, seq, stated, payload, leaf):
            place = (epoch, seq) if is_number(epoch, seq) else None
            report.problem(f"row {(gateway, epoch, seq)} of the store can not be read as an entry", place)
            continue
        if not chains or (chains[-1].gateway, chains[-1].epoch) != (gateway, epoch):
            mine = [checkpoint for checkpoint in elsewhere if checkpoint.origin == f"{gateway}/{epoch}"]
            chains.append(Chain(report, gateway, epoch, signatures, mine))
            _begin_in_store(chains[-1], seq)
        chain = chains[-1]
        if seq > chain.seq + 1:
            _, first, last = chain.jump(seq - 1)
            holes.append((chain, first, last))
        digest = stated.hex() if isinstance(stated, bytes) else str(stated)
        if leaf is not None:
            chain.refused(seq, digest, leaf)
            refused.append(f"{gateway}, epoch {epoch}, entry {seq}")
        else:
            chain.take(seq, digest, payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else payload)
        if report.entries % 1000 == 0:
            progress(report.entries, total)
    if refused:
        report.missing.append(f"{len(refused)} entries were refused by the EBR and are not here: {'; '.join(refused[:5])}")
    return chains, holes


def _is_store_row(gateway: Any, epoch: Any, seq: Any, stated: Any, payload: Any, leaf: Any) -> bool:
    """Return True if every column has its type: an entry has a payload, a refused one its leaf."""
    content = isinstance(payload, str | bytes) if leaf is None else isinstance(leaf, bytes)
    return isinstance(gateway, str) and is_number(epoch, seq) and isinstance(stated, str | bytes) and content


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _store_query(db: sqlite3.Connection) -> str:
    """Return the query for all entries in order, with those among them that the EBR would not store, if it says which."""
    query = "SELECT gateway, epoch, seq, digest, payload, NULL FROM entries"
    if {"gateway", "epoch", "seq", "digest", "leaf"} <= _columns(db, "rejected"):
        query += " UNION ALL SELECT gateway, epoch, seq, digest, NULL, leaf FROM rejected"
    return f"{query} ORDER BY 1, 2, 3"


def _check_confirmed(db: sqlite3.Connection, chains: list[Chain], holes: list[tuple[Chain, int, int]], report: Report) -> None:
    """Judge holes and the end by what the EBR has confirmed, and by what it or the gateway says of the entries that are not here.

    Entries may come early, before the ones between: they are not missing as long as the EBR has not confirmed them.
    """
    through = {(gateway, epoch): seq for gateway, epoch, seq in _kept_beside(db, "streams", report) or []}
    held = {(str(chain.gateway), chain.epoch): chain.seq for chain in chains}
    for (gateway, epoch), last in through.items():
        seq = held.get((gateway, epoch), 0)
        if last > seq:
            report.problem(f"entries to {last} are missing at the end: the EBR has confirmed them", (epoch, seq + 1))
    passed = _kept_beside(db, "missing", report)
    for chain, low, high in holes:
        _judge_hole(chain, low, high, through.get((str(chain.gateway), chain.epoch)), _Explained.of(chain, chains, passed), report)


KEPT_BESIDE = {
    "streams": ("gateway, epoch, through", "SELECT gateway, epoch, through FROM streams"),
    "missing": ("gateway, epoch, first, last", "SELECT gateway, epoch, first, last FROM missing"),
}
"""Tables of numbers that an EBR may keep beside its entries: their columns, and the query for them."""


def _kept_beside(db: sqlite3.Connection, table: str, report: Report) -> list[tuple[Any, ...]] | None:
    """Return the rows (gateway, epoch, numbers) of a table of KEPT_BESIDE; None if the EBR keeps none."""
    columns, query = KEPT_BESIDE[table]
    if not set(columns.split(", ")) <= _columns(db, table):
        return None
    rows = db.execute(query).fetchall()
    for row in rows:
        if not is_number(*row[1:]):
            report.problem(f"row {row} of the store's {table} can not be read as one")
    return [row for row in rows if is_number(*row[1:])]


class _Explained(NamedTuple):
    """Spans of one epoch that a store need not hold. lost: the gateway declared them. not_held: the gateway had them no more.

    Of the second the EBR tells itself, in its table `missing`. For one that keeps no such table the gateway's audit of a prune speaks: in
    the store of one that does, what was pruned long after it was confirmed has to be here.
    """

    lost: list[Sequence[int]]
    not_held: list[Sequence[int]]

    @classmethod
    def of(cls, chain: Chain, chains: list[Chain], passed: list[tuple[Any, ...]] | None) -> "_Explained":
        own = [other for other in chains if other.gateway == chain.gateway]
        lost = [span for other in own for event in other.begun for epoch, span in declared_by(event) if epoch == chain.epoch]
        if passed is None:
            return cls([*lost], [(first, last) for other in own for epoch, first, last in other.pruned if epoch == chain.epoch])
        return cls([*lost], [(first, last) for gateway, epoch, first, last in passed if (gateway, epoch) == (chain.gateway, chain.epoch)])


def _judge_hole(chain: Chain, low: int, high: int, through: int | None, explained: _Explained, report: Report) -> None:
    """Judge entries that a store does not hold although it holds later ones. through: what its EBR has confirmed, if it says."""
    where = f"{chain.gateway}, epoch {chain.epoch}: entries {low} to {high}"
    rest = uncovered(low, high, [*explained.lost, *explained.not_held])
    if not uncovered(low, high, explained.lost):
        report.missing.append(f"{where} were lost, and declared as lost")
    elif not rest:
        report.missing.append(f"{where} are not here: the gateway did not hold them any more when this EBR came to them")
    elif through is not None and rest[0][0] > through:
        report.missing.append(f"{where} have not come yet, later ones have")
    else:
        report.problem(f"entries {rest[0][0]} to {rest[-1][1]} are missing", (chain.epoch, rest[0][0]))


def _check_ends_in_store(chains: list[Chain], report: Report) -> None:
    """Compare where each epoch ends with the event of the one after it.

    What is not here may not have been sent yet, or to another receiver: that is missing evidence, not a problem.
    """
    by_stream = {(chain.gateway, chain.epoch): chain for chain in chains}
    for after, event in [(chain, event) for chain in chains for event in chain.begun]:
        chain = by_stream.get((after.gateway, event["follows"]))
        held = chain.seq if chain is not None else 0
        if held < event["last_seq"]:
            text = f"entries {held + 1} to {event['last_seq']} are not here: epoch {after.epoch} follows entry {event['last_seq']}"
            report.missing.append(f"{after.gateway}, epoch {event['follows']}: {text}")
        if chain is not None:
            chain.ended(after.epoch, event)


def _begin_in_store(chain: Chain, seq: int) -> None:
    """Begin a chain at the first entry that the store has of it."""
    if seq != 1:
        chain.report.missing.append(f"epoch {chain.epoch}: the store begins with entry {seq}, what was before can not be judged")
        chain.jump(seq - 1)


# ---------------------------------------------------------------------------------------- what is signed, of a journal or a store


class Coverage:
    """Says of each epoch through which entry it is signed, and judges what is not.

    A checkpoint covers the entries whose root was computed and is the one that the key has signed. The first entry of a later epoch names
    the last entry of the epoch before, and by the chain all of that epoch: where that first entry is signed, they are.
    """

    def __init__(self, report: Report, keys: list[Key], max_unsigned_s: float, unproved: list[str]) -> None:
        """unproved: the list of the report that takes what is not signed."""
        self._report, self._keys, self._max_unsigned_s, self._unproved = report, keys, max_unsigned_s, unproved

    def judge(self, chains: Iterable[Chain]) -> None:
        """Judge all epochs, gateway by gateway."""
        held: dict[str, list[Chain]] = {}
        for chain in chains:
            if chain.last and chain.gateway is not None:
                held.setdefault(chain.gateway, []).append(chain)
        for gateway, own in sorted(held.items()):
            if any(key.name == gateway for key in self._keys):
                self._judge_gateway(gateway, own)
            elif self._keys and no_key_of(gateway) not in self._report.missing:
                self._report.missing.append(no_key_of(gateway))

    def _judge_gateway(self, gateway: str, chains: list[Chain]) -> None:
        """Judge the epochs of a gateway, the newest first: it may prove the one before."""
        later: list[Chain] = []
        signed: list[Signed] = []
        for chain in sorted(chains, key=lambda chain: chain.epoch, reverse=True):
            if any(self._names_its_end(after, chain) for after in later):
                chain.signed = chain.last
            later.append(chain)
            signed.append(self._signed(gateway, chain))
        self._report.signed += reversed(signed)
        if not any(chain.signed for chain in chains):
            self._unproved.append(f"nothing of {gateway} is signed: no checkpoint is here that proves an entry by its key")

    def _names_its_end(self, after: Chain, chain: Chain) -> bool:
        end = chain.epoch, chain.last, chain.previous
        return chain.unbroken and any(
            (event["follows"], event["last_seq"], event["last_digest"]) == end and event["entry"] <= after.signed for event in after.begun
        )

    def _signed(self, gateway: str, chain: Chain) -> Signed:
        """Say what is signed of an epoch; what is not, and spans more time than allowed, is missing evidence."""
        through = min(chain.signed, chain.last)
        since, age_s = chain.times.after(through)
        signed = Signed(gateway, chain.epoch, through, chain.last, chain.last - through, since if through < chain.last else None)
        if through < chain.last and age_s > self._max_unsigned_s:
            limit = f"they span {age_s:.0f} s, {self._max_unsigned_s:.0f} s are allowed (--unsigned-s)"
            self._unproved.append(f"{signed}: {limit}")
        return signed


# ---------------------------------------------------------------------------------------------------------------- what records rest on


CITING = frozenset({"seq", "from_seq", "to_seq", "caused_by"})
"""Members of an event that name an entry by its number."""
_EVENT = re.compile(rb'"event":\{(?:"type":"([a-z-]*)")?')
_BY_HAND = b',"action":"manual-entry"'


def is_named_later(payload: bytes) -> bool:
    """Return True for a checkpoint or an audit event: they may name a batch long after it has ended.

    A value that people wrote by hand is of its batch, however late it comes. The first `event` is the entry's own; a row of a source may
    hold members of the same names behind it.
    """
    found = _EVENT.search(payload)
    return found is not None and found[1] in (b"checkpoint", b"audit") and not payload.startswith(_BY_HAND, found.end())


def names_of(batch: str) -> list[bytes]:
    """Return how an entry's bytes name a batch."""
    return [b'"batch":' + json.dumps(batch, ensure_ascii=ascii_only).encode() for ascii_only in (True, False)]


def rests_on(payload: bytes, batch: str) -> list[tuple[int, int]]:
    """Return what an event of a batch rests on, as (first, last) of entries: where a step or batch lies, whole; else single entries.

    A value that stood since long before a step is cited by the one entry that told it: what lies between is of no concern.
    """
    if b'"event":{' not in payload or is_named_later(payload):
        return []
    event = json.loads(payload)["event"]
    evidence = event["evidence"] if isinstance(event.get("evidence"), dict) else {}
    bound = event["to"].get("batch") if event["type"] == "rebind" and isinstance(event.get("to"), dict) else None
    if batch not in (event.get("batch"), evidence.get("batch"), bound):
        return []
    first, last = evidence.get("from_seq"), evidence.get("to_seq")
    lies = [(first, last)] if event["type"] in ("step", "batch", "rebind") and type(first) is type(last) is int else []
    return lies + [(number, number) for number in _numbers(event)]


def _numbers(value: Any) -> Iterator[int]:
    """Yield the numbers of entries that stand anywhere in an event."""
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in CITING and type(item) is int:
                yield item
            else:
                yield from _numbers(item)


class Citations:
    """What the records of an archived batch rest on. A number above the citing entry's own is one of the epoch before."""

    def __init__(self, batch: str) -> None:
        self._batch, self._names = batch, names_of(batch)
        self._cited: set[EntryRange] = set()
        self._ranges: dict[int, list[list[int]]] = {}

    def hold(self, epoch: int, ranges: list[list[int]]) -> None:
        """Note which entries of an epoch are here."""
        self._ranges[epoch] = ranges

    def take(self, epoch: int, seq: int, payload: bytes) -> None:
        """Note what an entry cites, if it is about the batch."""
        if any(name in payload for name in self._names):
            before = max((earlier for earlier in self._ranges if earlier < epoch), default=epoch)
            self._cited.update((epoch if last < seq else before, first, last) for first, last in rests_on(payload, self._batch))

    def missing(self) -> Iterator[str]:
        """Yield what is cited and not here, for a person."""
        lacking: dict[int, set[tuple[int, int]]] = {}
        for epoch, first, last in self._cited:
            lacking.setdefault(epoch, set()).update(uncovered(first, last, self._ranges[epoch]))
        for epoch, holes in sorted(lacking.items()):
            if holes:
                listed = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in sorted(holes)[:20])
                more = f" and {len(holes) - 20} more" if len(holes) > 20 else ""
                yield f"epoch {epoch}: records of the batch rest on entries {listed}{more}, which are not here"


# ---------------------------------------------------------------------------------------------------------------- an archive

SUMS_NOTE = "SHA256SUMS.note"
SUMS_SIGNED = "ebr-gateway/archive-sums/1"


def check_archive(file: Path, report: Report, signatures: Signatures, elsewhere: list[Checkpoint], progress: Progress) -> list[Chain]:
    """Check a batch's archive: its file, the sums of all members, the chain through each range of entries, the proof of every entry.

    No chain is returned: each entry that is here is proved against the checkpoint, or reported.
    """
    _check_comment(file, report)
    check: ArchiveCheck | None = None
    try:
        with zipfile.ZipFile(file) as archive:
            if not _only_stored(archive, report):
                return []
            _check_nothing_between(archive, file, report)
            check = ArchiveCheck(archive, report, signatures, elsewhere, progress)
            check.run()
    except PermissionError:
        raise
    except (zipfile.BadZipFile, OSError, *UNREADABLE) as error:
        place = check.member if check is not None and check.member else "the archive"
        report.problem(f"{place} can not be read: {type(error).__name__}: {error}")
    if check is not None:
        trusted = {key.name for key in signatures.trusted()}
        report.signed += [signed for signed in check.proved if signed.gateway in trusted]
    return []


def _only_stored(archive: zipfile.ZipFile, report: Report) -> bool:
    """Return True if no member is packed or encrypted: what is stored can not be larger than the file. Nothing else is read."""
    stored_only = True
    for member in archive.infolist():
        packed = member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size or member.flag_bits & 1
        if packed or member.extra:
            what = "packed or encrypted" if packed else "a zip64 member, or one with fields of its own"
            report.problem(f"{member.filename} is {what}: an archive's members are stored as they are")
            stored_only = False
    return stored_only


def _check_comment(file: Path, report: Report) -> None:
    """Compare the zip's comment with the SHA-256 of all bytes before it."""
    digest, left = hashlib.sha256(), max(file.stat().st_size - 64, 0)
    with file.open("rb") as content:
        while piece := content.read(min(left, 1 << 20)):
            digest.update(piece)
            left -= len(piece)
        comment = content.read()
    if digest.hexdigest().encode() != comment:
        report.problem("the archive's file is not as it was made")


def _check_nothing_between(archive: zipfile.ZipFile, file: Path, report: Report) -> None:
    """Check that the file is its members, one after the other, and their list, and nothing else.

    Whoever reads it from the front then sees what the list says, and no more.
    """
    members, at = sorted(archive.infolist(), key=lambda member: member.header_offset), 0
    with file.open("rb") as content:
        for member in members:
            name = member.orig_filename.encode()
            head = struct.pack("<HHIII", member.flag_bits, member.compress_type, member.CRC, member.compress_size, member.file_size)
            content.seek(at)
            data = content.read(30 + len(name))
            stated, lengths = data[6:10] + data[14:26], struct.pack("<HH", len(name), 0)
            whole = data[:4] == b"PK\x03\x04" and stated == head and data[26:] == lengths + name
            if member.header_offset != at or not whole or member.flag_bits & 8 or member.compress_type:
                report.problem(f"the archive's file holds something beside its members, before or in {member.filename!r}")
                return
            at += 30 + len(name) + member.compress_size
    end = at + sum(46 + len(member.orig_filename.encode()) for member in members) + 22 + len(archive.comment)
    if archive.start_dir != at or end != file.stat().st_size:
        report.problem("the archive's file holds something beside its members and their list")


class ArchiveCheck:
    """Checks the members of one batch's archive.

    Two sets of keys judge it: those that lie in it, which show that it is one archive and no more, and the trusted ones (`Signatures`).
    """

    def __init__(
        self, archive: zipfile.ZipFile, report: Report, signatures: Signatures, elsewhere: list[Checkpoint], progress: Progress
    ) -> None:
        self._archive, self._report, self._signatures = archive, report, signatures
        self._elsewhere, self._progress = elsewhere, progress
        self._names = archive.namelist()
        self._keys: list[Key] = []
        self._manifest: dict[str, Any] = {}
        self._batch_spellings: list[bytes] = []
        self._citations = Citations("")
        self.proved: list[Signed] = []  # whole epochs: each entry against the checkpoint
        self.member = ""  # that is read now

    def run(self) -> None:
        """Check everything, and report. Raises what an archive that can not be read makes zipfile and json raise."""
        self._check_sums()
        self._manifest = json.loads(self._read("manifest.json"))
        if not all(isinstance(self._manifest[name], str) for name in ("gateway", "batch")):
            raise ValueError("gateway or batch is no text")
        keys = keys_in(self._read("keys.txt").decode()) if "keys.txt" in self._names else []
        self._keys = [key for key in keys if key.name == self._manifest["gateway"]]
        for note in read_rotations(self._read(ROTATIONS_BESIDE).decode()) if ROTATIONS_BESIDE in self._names else []:
            self._signatures.rotate(note, None)
        if REVOCATION_BESIDE in self._names:
            self._signatures.revoke(Revocation.parse(self._read(REVOCATION_BESIDE).decode()))
        self._check_sums_signed()
        self._batch_spellings, self._citations = names_of(self._manifest["batch"]), Citations(self._manifest["batch"])
        proofs = json.loads(self._read("proofs.json"))
        for proof in proofs["epochs"]:
            self._citations.hold(proof["epoch"], proof["ranges"])
            self._check_epoch(proof)
        self._report.missing += self._citations.missing()
        listed = sum(last - first + 1 for proof in proofs["epochs"] for first, last in proof["ranges"])
        if self._manifest["entries"] != self._report.entries or listed != self._report.entries:
            self._report.problem(f"{self._report.entries} entries are here, the manifest says {self._manifest['entries']}")

    def _read(self, name: str) -> bytes:
        """Read a member whole. Raises ValueError if it is larger than such a list can be."""
        self.member = name
        if self._archive.getinfo(name).file_size > LARGEST_LIST:
            raise ValueError(f"it is larger than {LARGEST_LIST} bytes")
        return self._archive.read(name)

    def _check_sums(self) -> None:
        """Compare every member with SHA256SUMS."""
        stated = {line[66:]: line[:64] for line in self._read("SHA256SUMS").decode().splitlines()}
        if len(set(self._names)) != len(self._names) or set(self._names) - {SUMS_NOTE} != {*stated, "SHA256SUMS"}:
            self._report.problem("SHA256SUMS does not list the files that are here")
        for name in self._names:
            if name in stated:
                self.member = name
                digest = hashlib.sha256()
                with self._archive.open(name) as member:
                    while piece := member.read(1 << 20):
                        digest.update(piece)
                if digest.hexdigest() != stated[name]:
                    self._report.problem(f"{name} is not as it was put in")

    def _check_sums_signed(self) -> None:
        """Check the signature over the sums: it binds every file to the gateway, the pages for people among them."""
        gateway = self._manifest["gateway"]
        if SUMS_NOTE not in self._names:
            text = f"{SUMS_NOTE} is not here: what is here is proved entry by entry, but not the pages for people"
            self._report.missing.append(text)
            return
        note = self._read(SUMS_NOTE).decode()
        sums = hashlib.sha256(self._read("SHA256SUMS")).hexdigest()
        if note.rpartition("\n\n")[0].split("\n") != [SUMS_SIGNED, gateway, self._manifest["batch"], sums]:
            self._report.problem(f"{SUMS_NOTE} does not speak of these files")
        trusted = [key for key in self._signatures.trusted() if key.name == gateway]
        once = note.rpartition("\n\n")[2].count("\n") == 1  # nothing may stand there that is not signed
        if not once or not any(key.signed(note) for key in self._keys) or (trusted and not any(key.signed(note) for key in trusted)):
            self._report.problem(f"{SUMS_NOTE} is not signed by the key")
        elif (late := self._signatures.ended_by([key for key in trusted if key.signed(note)], self._manifest["made"])) is not None:
            self._signatures.is_late(f"{SUMS_NOTE}, of an archive made {self._manifest['made']},", late, None)

    def _check_epoch(self, proof: dict[str, Any]) -> None:
        """Check one epoch's entries: chained within each range, and all of them proved against the checkpoint."""
        checkpoint = Checkpoint.parse(self._read(proof["checkpoint"]).decode())
        leaves: dict[int, bytes] = {}
        naming: list[int] = []  # the first entries of ranges in which some name the batch
        self.member = f"entries/{proof['epoch']}.jsonl"
        with self._archive.open(self.member) as content, io.BufferedReader(content) as lines:  # type: ignore[type-var]
            payloads = iter(lambda: lines.readline(LARGEST_ENTRY + 2), b"")
            for first, last in proof["ranges"]:
                if not self._check_range(proof, first, last, payloads, leaves, naming):
                    return
            if len(naming) > 1:
                text = "were pruned before the archive was made, or left out"
                between = f"entries between some of the batch, before entries {naming[1:]}, are not here"
                self._report.missing.append(f"epoch {proof['epoch']}: {between}: {text}")
            if next(payloads, None) is not None:
                self._report.problem(f"epoch {proof['epoch']}: there are more entries than the proof names")
        self._check_proof(proof, checkpoint, leaves)

    def _check_range(
        self, proof: dict[str, Any], first: int, last: int, payloads: Iterator[bytes], leaves: dict[int, bytes], naming: list[int]
    ) -> bool:
        """Follow the chain through one range, and collect its leaves. False if entries of it are not here."""
        chain = Chain(self._report, self._manifest["gateway"], proof["epoch"], self._signatures, [])
        chain.jump(first - 1)
        chain.seq, chain.previous = first - 1, proof["previous"][str(first)]
        for seq in range(first, last + 1):
            payload = next(payloads, b"").rstrip(b"\n")
            if not payload:
                self._report.problem(f"entries {seq} to {last} are missing", (proof["epoch"], seq))
                return False
            head = HEAD.match(payload)
            chain.take(int(head[4]) if head else seq, hashlib.sha256(payload).hexdigest(), payload)
            leaves[seq - 1] = leaf_hash(payload)
            self._cite(proof["epoch"], seq, payload)
            if naming[-1:] != [first] and self._names_the_batch(payload):
                naming.append(first)
            self._progress(len(leaves), self._manifest["entries"])
        if chain.previous != proof["digests"][str(last)]:
            self._report.problem("its digest is not the one that was archived", (proof["epoch"], last))
        return True

    def _cite(self, epoch: int, seq: int, payload: bytes) -> None:
        try:
            self._citations.take(epoch, seq, payload)
        except UNREADABLE:
            self._report.problem("its JSON can not be read as what it says it is", (epoch, seq))

    def _names_the_batch(self, payload: bytes) -> bool:
        return any(spelling in payload for spelling in self._batch_spellings) and not is_named_later(payload)

    def _check_proof(self, proof: dict[str, Any], checkpoint: Checkpoint, leaves: dict[int, bytes]) -> None:
        """Compute the root from the entries that are here and the proof, and compare it with the signed one."""
        report, origin = self._report, f"{self._manifest['gateway']}/{proof['epoch']}"
        report.checkpoints += 1
        self._signatures.check(checkpoint, None)
        problems = len(report.problems)
        if not any(key.signed(checkpoint.note) for key in self._keys):
            report.problem("the checkpoint is not signed by the key that lies in the archive")
        subtree_roots = [base64.b64decode(root, validate=True) for root in proof["hashes"]]
        if checkpoint.origin != origin:
            report.problem(f"the checkpoint is one of {checkpoint.origin}, the entries are of {origin}")
        if max(leaves) >= checkpoint.size:
            report.problem("there are more entries than the checkpoint covers")
        elif root_of_some(leaves, checkpoint.size, subtree_roots) != checkpoint.root:
            report.problem(f"the entries and the proof do not lead to the signed root of {checkpoint.size} entries")
        if len(report.problems) == problems:
            self.proved.append(Signed(self._manifest["gateway"], proof["epoch"], max(leaves) + 1, max(leaves) + 1))
        for other in self._elsewhere:
            if other.origin == origin and other.size == checkpoint.size and other.root != checkpoint.root:
                report.problem(f"two different trees of {other.size} entries were signed")
            elif other.origin != origin or other.size != checkpoint.size:
                report.notes.append(f"the checkpoint of {other.size} entries of {other.origin} says nothing about this archive")


# ---------------------------------------------------------------------------------------------------------------- the door


class Elsewhere(NamedTuple):
    """Checkpoints that somebody else kept. named: the notes of those that were given one by one, not in a witness's folder."""

    checkpoints: list[Checkpoint]
    named: set[str]

    @classmethod
    def read(cls, sources: "Iterable[str | Path]") -> "Elsewhere":
        """Read files and folders of checkpoints. Raises ValueError, FileNotFoundError."""
        checkpoints: list[Checkpoint] = []
        named: set[str] = set()
        for source in sources:
            given = read_checkpoints(source)
            checkpoints += given
            named |= set() if Path(source).is_dir() else {checkpoint.note for checkpoint in given}
        return cls(checkpoints, named)


def verify(
    path: "str | Path",
    key: "str | Path | None" = None,
    *,
    checkpoint: "str | Path | Iterable[str | Path] | None" = None,
    revocation: "Iterable[str | Path]" = (),
    progress: Progress | None = None,
    max_unsigned_s: float = MAX_UNSIGNED_S,
) -> Report:
    """Check a journal's folder, an archive or an EBR's store.

    key: a file with public verifier keys, or the text of one. checkpoint: files with newer checkpoints from elsewhere, or a witness's
    folder of them. revocation: files with revocations of keys; those that lie where `retire` puts them are found. progress(done, total) is
    called now and then. max_unsigned_s: time that entries may span which no checkpoint covers; with the key that lies beside a journal what
    is not signed is a note, for that key proves little. Raises FileNotFoundError, ValueError (a key or note that is none), MissingPackage.
    """
    target = Path(path)
    elsewhere = Elsewhere.read([checkpoint] if isinstance(checkpoint, str | Path) else checkpoint or [])
    report_progress = progress or (lambda _done, _total: None)
    report = Report("journal", str(path))
    signatures = Signatures(report, read_keys(key))
    for source in revocation:
        signatures.revoke(read_revocation(source))
    check = _check_of(target, report, signatures, elsewhere, report_progress, key_given=key is not None)
    chains: list[Chain] = []
    try:
        _take_revocations_beside(target, signatures, report)
        chains = check()
    except PermissionError as error:
        report.missing.append(f"{error.filename or path} was not looked at: {error.strerror}")
    except UNREADABLE as error:  # of content: what was given in arguments is read by now
        report.problem(f"the {report.kind} can not be read to its end: {type(error).__name__}: {error}")
    signatures.settle()
    Coverage(report, signatures.trusted(), max_unsigned_s, report.missing if key is not None else report.notes).judge(chains)
    if not report.entries and not report.problems:
        report.missing.append("there are no entries")
    return report


def _check_of(
    target: Path, report: Report, signatures: Signatures, elsewhere: Elsewhere, progress: Progress, *, key_given: bool
) -> Callable[[], list[Chain]]:
    """Return the check for what `target` is. Raises FileNotFoundError."""
    if (target / "journal.db").exists() or (target / "segments").is_dir():
        return lambda: _verify_journal(target, report, signatures, elsewhere, progress, key_given=key_given)
    if target.is_file() and (target.suffix == ".zip" or zipfile.is_zipfile(target)):
        report.kind = "archive"
        return lambda: check_archive(target, report, signatures, elsewhere.checkpoints, progress)
    if (file := target / "ebr.db" if target.is_dir() else target).exists():
        report.kind = "store"
        return lambda: _verify_store(file, report, signatures, elsewhere, progress)
    raise FileNotFoundError(f"{target}: neither a journal's folder, an archive nor an EBR's store")


def _verify_journal(
    folder: Path, report: Report, signatures: Signatures, elsewhere: Elsewhere, progress: Progress, *, key_given: bool
) -> list[Chain]:
    if not key_given and (beside := folder / KEY_BESIDE).exists():
        try:
            signatures.trust(read_keys(beside))
        except ValueError as error:
            report.problem(f"{KEY_BESIDE} can not be read: {error}")
        report.notes.append(f"signatures were checked with {KEY_BESIDE} in the folder itself: a forger would have put in his own (--key)")
    _take_rotations_beside(folder, signatures)
    check = JournalCheck(folder, report, signatures, elsewhere.checkpoints, progress)
    _check_origins(report, elsewhere, check.run())
    return list(check.chains.values())


def _verify_store(file: Path, report: Report, signatures: Signatures, elsewhere: Elsewhere, progress: Progress) -> list[Chain]:
    try:
        chains = check_store(file, report, signatures, elsewhere.checkpoints, progress)
    except PermissionError:
        raise
    except (sqlite3.Error, OSError) as error:
        report.problem(f"{file.name} can not be read: {error}")
        return []
    _check_origins(report, elsewhere, {f"{chain.gateway}/{chain.epoch}" for chain in chains})
    return chains


def _take_rotations_beside(folder: Path, signatures: Signatures) -> None:
    """Add the key rotations that lie in the journal's folder; a file that holds anything else counts as one bad rotation."""
    path = folder / ROTATIONS_BESIDE
    if not path.exists():
        return
    text = path.read_text("utf-8", "replace")
    notes = read_rotations(text)
    for note in notes if "".join(notes) == text else [text]:
        signatures.rotate(note, None)


def _take_revocations_beside(target: Path, signatures: Signatures, report: Report) -> None:
    """Add the revocations that lie where `retire` puts them: in the journal's folder, beside what is looked at, in the folder above."""
    beside = target.absolute().parent
    places = [target] if report.kind == "journal" else [beside, beside.parent, *([target] if target.is_dir() else [])]
    for path in [place / REVOCATION_BESIDE for place in places]:
        try:
            signatures.revoke(read_revocation(path, given=False))
        except FileNotFoundError:
            continue
        except OSError as error:
            report.missing.append(f"{path} was not looked at: {error.strerror}")
        except ValueError as error:
            report.problem(str(error))


def _check_origins(report: Report, elsewhere: Elsewhere, origins: set[str]) -> None:
    """Report what a checkpoint from elsewhere covers and is not here. A witness's folder may hold those of other gateways too."""
    gateways = {origin.rpartition("/")[0] for origin in origins}
    strangers = 0
    for checkpoint in elsewhere.checkpoints:
        gateway, _, epoch = checkpoint.origin.rpartition("/")
        if checkpoint.origin in origins:
            continue
        if checkpoint.note in elsewhere.named or gateway in gateways:
            at = (int(epoch), 1) if gateway in gateways and epoch.isdecimal() and len(epoch) < 20 else None
            report.problem(f"nothing of {checkpoint.origin} is here: a checkpoint of {checkpoint.size} entries exists", at)
        else:
            strangers += 1
    if elsewhere.checkpoints and strangers == len(elsewhere.checkpoints):
        report.missing.append("none of the checkpoints given is of this gateway: nothing was compared with them")
    elif strangers:
        report.notes.append(f"{strangers} checkpoints of other gateways were not needed")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", help="a journal's folder, an archive of a batch, or an EBR's store")
    parser.add_argument("--key", help="public key of the gateway: a file, or the key's text")
    parser.add_argument(
        "--checkpoint", action="append", help="a checkpoint that somebody else kept, or a witness's folder: shows a roll-back; repeatable"
    )
    parser.add_argument("--revocation", action="append", default=[], help="the key-revocation.txt of a line that was retired; repeatable")
    parser.add_argument(
        "--unsigned-s",
        type=float,
        default=MAX_UNSIGNED_S,
        help="seconds that entries may span which no checkpoint covers yet (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    shown = sys.stderr.isatty() and not options.json

    def progress(done: int, total: int) -> None:
        if shown:
            print(f"\r{done / max(total, 1):4.0%}", end="\r", file=sys.stderr, flush=True)

    try:
        report = verify(
            options.path,
            options.key,
            checkpoint=options.checkpoint,
            revocation=options.revocation,
            progress=progress,
            max_unsigned_s=options.unsigned_s,
        )
    except (OSError, ValueError, MissingPackage) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    if options.json:
        told = {name: [asdict(one) for one in getattr(report, name)] for name in ("signed", "revoked")}
        print(json.dumps({**report.__dict__, **told, "exit_code": report.exit_code}, default=list))
    else:
        print("\n".join(report.lines()))
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
