"""What happens when a journal is opened: whose it is, what it holds, whether it is whole."""

import fcntl
import os
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import chain, sqlite
from . import segment as segments
from .catalogue import FORMAT, Catalogue, Segment
from .errors import JournalInUse, JournalMismatch, StorageError
from .picture import Picture
from .receipts import Receipts
from .segment import Damaged
from .store import SUMS, Store, remove
from .times import of_entry


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening found.

    was_clean: the last run closed it. last_ticks: `time` of the last entry held. epoch_event: the `epoch` event that must be appended
    first, or None. findings: what a person should know about damage found, one sentence each.
    """

    epoch: int
    next_seq: int
    was_clean: bool
    last_ticks: int | None
    epoch_event: dict[str, Any] | None
    findings: list[str] = field(default_factory=list)


def lock(directory: Path) -> int:
    """Hold the directory for this process. Raises JournalInUse if another one does."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "segments").mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise JournalInUse(f"{directory}: another gateway (process {owner}) is running on this journal") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def open_store(directory: Path, gateway: str, max_bytes: int, picture: Picture, receipts: Receipts) -> tuple[Store, Opened]:
    """Open or create the journal in `directory`. Raises JournalInUse, JournalMismatch, StorageError."""
    fd = lock(directory)
    try:
        return _open(directory, gateway, max_bytes, picture, receipts, fd)
    except (sqlite3.Error, sqlite.NotDurable, OSError) as error:
        os.close(fd)
        raise StorageError(f"{directory}: {error}") from error
    except BaseException:
        os.close(fd)
        raise


def _open(directory: Path, gateway: str, max_bytes: int, picture: Picture, receipts: Receipts, fd: int) -> tuple[Store, Opened]:
    catalogue = Catalogue(directory / "journal.db")
    about = catalogue.about()
    if about.get("gateway", gateway) != gateway:
        catalogue.db.close()
        raise JournalMismatch(f"{directory} holds the journal of {about['gateway']}, this line is {gateway}")
    (directory / SUMS).unlink(missing_ok=True)
    catalogue.note(format=FORMAT, gateway=gateway, clean=0)
    receipts.load(catalogue)
    store = Store(directory, gateway, catalogue, picture, receipts, fd, max_bytes)
    epochs = catalogue.epochs()
    if not epochs:
        begin_epoch(store, {"follows": None, "reason": "created", "last_seq": 0, "last_digest": chain.NO_DIGEST, "lost": []})
    else:
        resume(store, max(epochs))
    epoch = store.picture.epoch
    receipts.know_epochs(_ends(store, epoch))
    event = {"type": "epoch", **catalogue.epochs()[epoch]} if store.picture.seq == 0 else None
    return store, Opened(epoch, store.picture.seq + 1, bool(about.get("clean", 1)), last_ticks(store), event)


def begin_epoch(store: Store, event: dict[str, Any]) -> None:
    """Start counting anew: UTC seconds, at least one more than the epoch before, so that no identity is ever used twice."""
    epoch = max(int(time.time()), max(store.catalogue.epochs(), default=0) + 1)
    store.catalogue.begin_epoch(epoch, event)
    store.picture.begin(epoch, 0, 0)


def _ends(store: Store, current: int) -> dict[int, tuple[int, int]]:
    ends: dict[int, tuple[int, int]] = {}
    events = store.catalogue.epochs()
    for event in events.values():
        follows = event["follows"]
        if follows is not None:
            ends[follows] = event["last_seq"], max([event["last_seq"], *(through for _, through in event["lost"])])
    return {epoch: end for epoch, end in ends.items() if epoch != current}


def resume(store: Store, epoch: int) -> None:
    """Take up the current epoch where its last durable entry stands."""
    held = [one for one in store.catalogue.segments() if one.state in ("open", "closed")]
    store.picture.begin(epoch, 0, 0)
    for one in (one for one in store.catalogue.segments() if one.epoch == epoch and one.state in ("closed", "pruned")):
        assert one.root is not None
        assert one.last is not None
        assert one.digest is not None
        store.tree.append(one.root, segments.ENTRIES)
        store.digest = one.digest
        store.picture.begin(epoch, one.last, one.total)
    store.picture.segments = [one for one in held if one.state == "closed"]
    for one in [one for one in held if one.state == "open"]:
        _resume_segment(store, one)


def _resume_segment(store: Store, one: Segment) -> None:
    """Check a segment that was not closed, entry by entry, and go on with it."""
    path = store.picture.path(one)
    if store.active is not None and store.room > 0:  # the next segment was begun, and the commit that made it count was not reached
        remove(path)
        store.catalogue.forget_segment(one.epoch, one.first)
        return
    if store.active is not None:
        store.retire_full()
    db = sqlite.writer(path)
    try:
        _check_pages(db)
        leaves, digest, seq, total = walk(db, one)
    except BaseException:
        db.close()
        raise
    for hash_ in leaves:
        store.tree.append(hash_)
    store.digest = digest
    store.picture.begin(one.epoch, seq, total or one.before)
    store.picture.facts = segments.facts(db)
    store.picture.segments.append(one)
    store.adopt(one, db, leaves)


def _check_pages(db: sqlite3.Connection) -> None:
    found = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    if found != ["ok"]:
        raise Damaged("; ".join(found))


def walk(db: sqlite3.Connection, one: Segment) -> tuple[list[bytes], bytes, int, int]:
    """Walk the chain through a segment: (leaf hashes, last digest, last seq, last total). Raises Damaged."""
    previous, seq, total = one.previous, one.first - 1, one.before
    leaves = []
    for entry in segments.entries(db, one.epoch, 0, segments.last_of(one.first)):
        if entry.seq != seq + 1 or f'"previous":"{previous.hex()}"'.encode() not in entry.payload[:600]:
            raise Damaged(f"entry {entry.seq} does not follow entry {seq}", entry.seq)
        previous, seq = bytes.fromhex(entry.digest), entry.seq
        leaves.append(chain.leaf(entry.payload))
    if leaves:
        total = segments.totals(db, seq)
    return leaves, previous, seq, total


def last_ticks(store: Store) -> int | None:
    """`time` of the last entry held."""
    epoch, seq = store.picture.last
    for one in reversed(store.picture.segments):
        last = seq if one.epoch == epoch else segments.last_of(one.first)
        found = store.picture.read((one.epoch, max(last - 1, one.first - 1)), 1, 1)
        if found:
            return of_entry(found[-1].payload)
    return None
