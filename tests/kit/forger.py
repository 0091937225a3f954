"""A forger who knows the format: what he makes of a journal, of an EBR's store and of an archive, and what has to be said of it.

He has the rights of the owner and puts right every digest, sum and number that he can; he has no key. Of the verifier he takes the length
of a segment alone.
"""

import hashlib
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import zstandard
from kit.journals import GATEWAY
from kit.signed_journal import Made

from buffer import chain, read_journal
from buffer.archive import zipped
from buffer.verify import SEGMENT

Entries = list[tuple[int, bytes, bytes]]
"""(seq, digest, payload) in order of seq."""


def digest(payload: bytes) -> bytes:
    """Digest of an entry as a forger computes it."""
    return hashlib.sha256(payload).digest()


def seq_of(payload: bytes) -> int:
    """Number that stands in an entry."""
    return int(json.loads(payload)["seq"])


def other_value(payload: bytes) -> bytes:
    """Change what an entry says, in a form that a gateway writes as well."""
    content = json.loads(payload)
    if "n" in content:
        return payload.replace(b'"n":%d,' % content["n"], b'"n":%d,' % (content["n"] + 7))
    return payload.replace(b'"time":"2026-', b'"time":"2025-', 1)


def chained(entries: Iterable[tuple[int, bytes]], previous: bytes) -> Entries:
    """Write each payload's `previous` and its digest anew."""
    made: Entries = []
    for seq, original in entries:
        at = original.index(b'"previous":"') + 12
        payload = original[:at] + previous.hex().encode() + original[at + 64 :]
        previous = digest(payload)
        made.append((seq, previous, payload))
    return made


def numbered_anew(payload: bytes, seq: int) -> bytes:
    """Give an entry another number."""
    return payload.replace(b'"seq":%d,' % json.loads(payload)["seq"], b'"seq":%d,' % seq, 1)


Change = Callable[[Entries, int], Entries]
"""Changes the entries of a stream at an index."""


def said_otherwise(entries: Entries, at: int) -> Entries:
    """Change one payload, and nothing that belongs to it."""
    seq, told, payload = entries[at]
    return [*entries[:at], (seq, told, other_value(payload)), *entries[at + 1 :]]


def with_digest(entries: Entries, at: int) -> Entries:
    """Change one payload and its digest."""
    seq, _, payload = entries[at]
    payload = other_value(payload)
    return [*entries[:at], (seq, digest(payload), payload), *entries[at + 1 :]]


def with_all_after(entries: Entries, at: int) -> Entries:
    """Change one payload, and chain everything after it anew."""
    rest = [(seq, payload) for seq, _, payload in entries[at:]]
    rest[0] = (rest[0][0], other_value(rest[0][1]))
    return [*entries[:at], *chained(rest, entries[at - 1][1])]


def removed(entries: Entries, at: int) -> Entries:
    """Take one entry out."""
    return [*entries[:at], *entries[at + 1 :]]


def removed_and_closed(entries: Entries, at: int) -> Entries:
    """Take one entry out, number and chain everything after it anew."""
    rest = [(seq - 1, numbered_anew(payload, seq - 1)) for seq, _, payload in entries[at + 1 :]]
    return [*entries[:at], *chained(rest, entries[at - 1][1])]


def inserted(entries: Entries, at: int) -> Entries:
    """Put a copy of an entry before it, number and chain everything after it anew."""
    rest = [(seq + 1, numbered_anew(payload, seq + 1)) for seq, _, payload in entries[at:]]
    copy = (entries[at][0], other_value(entries[at][2]))
    return [*entries[:at], *chained([copy, *rest], entries[at - 1][1])]


def swapped(entries: Entries, at: int) -> Entries:
    """Let two entries change places."""
    (one, *first), (two, *second) = entries[at], entries[at + 1]
    return [*entries[:at], (one, *second), (two, *first), *entries[at + 2 :]]  # type: ignore[list-item]


def doubled(entries: Entries, at: int) -> Entries:
    """Put one entry in the place of the next."""
    return [*entries[: at + 1], (entries[at + 1][0], *entries[at][1:]), *entries[at + 2 :]]


def digest_changed(entries: Entries, at: int) -> Entries:
    """Change the digest that stands beside an entry."""
    seq, told, payload = entries[at]
    return [*entries[:at], (seq, bytes([told[0] ^ 1]) + told[1:], payload), *entries[at + 1 :]]


def garbled(entries: Entries, at: int) -> Entries:
    """Make an entry no JSON, with its digest."""
    seq, _, payload = entries[at]
    return [*entries[:at], (seq, digest(payload[:-1]), payload[:-1]), *entries[at + 1 :]]


def cut(entries: Entries, at: int) -> Entries:
    """Take away an entry and all after it."""
    return entries[:at]


STREAM: dict[str, tuple[Change, int | None]] = {
    "an entry was changed": (said_otherwise, 0),
    "an entry was changed with its digest": (with_digest, 1),
    "an entry was changed, all after it chained anew": (with_all_after, None),
    "an entry is missing": (removed, 0),
    "an entry was taken out, all after it numbered and chained anew": (removed_and_closed, None),
    "an entry was put in, all after it numbered and chained anew": (inserted, None),
    "two entries changed places": (swapped, 0),
    "an entry stands twice": (doubled, 1),
    "a digest was changed": (digest_changed, 0),
    "an entry is no JSON": (garbled, 1),
    "the end was cut": (cut, 0),
}
"""What was done -> how, and how far from it the first bad entry is (None: only a checkpoint shows it, and names an entry from there on)."""


def entries_of(made: Made) -> Entries:
    """Read what a journal holds."""
    return [(entry.seq, bytes.fromhex(entry.digest), entry.payload) for entry in read_journal(made.journal)]


def copied(made: Made, folder: Path) -> Path:
    """Copy a journal."""
    return Path(shutil.copytree(made.journal, folder, ignore=shutil.ignore_patterns("ballast")))


def into_journal(made: Made, folder: Path, entries: Entries) -> Path:
    """Write a stream into a copy of a journal: its segments anew, and what journal.db says of them."""
    copied(made, folder)
    (folder / "SHA256SUMS").unlink()
    for first in (1, SEGMENT + 1):
        here = [entry for entry in entries if first <= entry[0] < first + SEGMENT]
        before = [told for seq, told, _ in entries if seq < first]
        _segment(folder, made.epoch, first, here)
        _row(folder, made.epoch, first, here, before[-1] if before else bytes(32))
    return folder


def _segment(folder: Path, epoch: int, first: int, here: Entries) -> None:
    path = folder / "segments" / f"{epoch}-{first}.db"
    path.chmod(0o600)
    pack = zstandard.ZstdCompressor().compress
    with closing(sqlite3.connect(path)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        totals = dict(db.execute("SELECT seq, total FROM entries"))
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute("DELETE FROM entries")
        db.executemany(
            "INSERT INTO entries VALUES (?,?,?,?)", ((seq, told, totals.get(seq, 0), pack(payload)) for seq, told, payload in here)
        )
        for _, sql in triggers:
            db.execute(sql)
        db.commit()


def _row(folder: Path, epoch: int, first: int, here: Entries, previous: bytes) -> None:
    path = folder / "segments" / f"{epoch}-{first}.db"
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        db.execute("UPDATE segments SET previous = ? WHERE first = ?", (previous, first))
        if here:
            sums = (here[-1][1], chain.root([chain.leaf(payload) for *_, payload in here]), digest(path.read_bytes()), first)
            db.execute("UPDATE segments SET digest = ?, root = ?, sha256 = ? WHERE state = 'closed' AND first = ?", sums)
        db.commit()


def into_store(made: Made, folder: Path, entries: Entries) -> Path:
    """Write a stream into an EBR's store that says that it has it all."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "ebr.db")) as db:
        db.execute("CREATE TABLE entries(gateway, epoch, seq, digest, payload, PRIMARY KEY(gateway, epoch, seq))")
        db.execute("CREATE TABLE streams(gateway, epoch, through, digest)")
        rows = ((GATEWAY, made.epoch, seq, told.hex(), payload) for seq, told, payload in entries)
        db.executemany("INSERT INTO entries VALUES (?,?,?,?,?)", rows)
        db.execute("INSERT INTO streams VALUES (?,?,?,?)", (GATEWAY, made.epoch, entries[-1][0], entries[-1][1].hex()))
        db.commit()
    return folder


def into_archive(made: Made, target: Path, original: Path, lines: list[bytes]) -> Path:
    """Write an archive anew with other entries, and every sum that he can put right."""
    with zipfile.ZipFile(original) as file:
        files = {name: file.read(name) for name in file.namelist()}
    files[f"entries/{made.epoch}.jsonl"] = b"".join(line + b"\n" for line in lines)
    return packed(target, files)


def packed(target: Path, files: dict[str, bytes]) -> Path:
    """Pack an archive's files with right sums; the signature of the sums he can not make."""
    inner = {name: content for name, content in files.items() if name not in {"SHA256SUMS", "SHA256SUMS.note"}}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in inner.items())
    target.unlink(missing_ok=True)
    zipped.write_files(target, inner | {"SHA256SUMS": sums.encode(), "SHA256SUMS.note": files["SHA256SUMS.note"]})
    return target
