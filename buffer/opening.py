"""What happens when a journal is opened: whose it is, what it holds, whether it is whole."""

import fcntl
import os
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.catalogue import FORMAT, Catalogue, Segment
from buffer.committed import CommittedView
from buffer.errors import JournalInUse, JournalMismatch, StorageError
from buffer.receipts import Receipts
from buffer.repair import salvage, wal
from buffer.repair.salvage import Losses
from buffer.segment import Damaged, Fact
from buffer.store import SUMS, Store, remove
from buffer.times import of_entry

JOURNAL = "journal.db"


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


def open_store(directory: Path, gateway: str, max_bytes: int, picture: CommittedView, receipts: Receipts) -> tuple[Store, Opened]:
    """Open or create the journal in `directory`. Raises JournalInUse, JournalMismatch, StorageError."""
    try:
        fd = lock(directory)
    except OSError as error:
        raise StorageError(f"{directory}: {error}") from error
    try:
        return _open(directory, gateway, max_bytes, picture, receipts, fd)
    except (sqlite3.Error, sqlite.NotDurable, OSError) as error:
        os.close(fd)
        raise StorageError(f"{directory}: {error}") from error
    except BaseException:
        os.close(fd)
        raise


def _open(directory: Path, gateway: str, max_bytes: int, picture: CommittedView, receipts: Receipts, fd: int) -> tuple[Store, Opened]:
    losses = Losses()
    catalogue = _open_catalogue(directory, losses)
    about = catalogue.about()
    if about.get("gateway", gateway) != gateway:
        catalogue.db.close()
        raise JournalMismatch(f"{directory} holds the journal of {about['gateway']}, this line is {gateway}")
    if (directory / SUMS).exists():
        (directory / SUMS).unlink()
        sqlite.sync_directory(directory)  # should it come back after a power cut, it would accuse a good journal
    if "gateway" not in about and any((directory / "segments").glob("*.db")):
        losses.unsure(f"{JOURNAL} was made anew, and the segments are older")
    if "doubt" in about:
        losses.take_up(about["doubt"])
    catalogue.note(format=FORMAT, gateway=gateway, clean=0, **({"doubt": losses.doubt()} if losses.tail_unknown else {}))
    receipts.load(catalogue)
    store = Store(directory, gateway, catalogue, picture, receipts, fd, max_bytes)
    store.holds = catalogue.holds()
    _adopt_unknown_files(store, losses)
    if not catalogue.epochs():
        begin_epoch(store, {"follows": None, "reason": "created", "last_seq": 0, "last_digest": chain.NO_DIGEST, "lost": []}, losses)
    else:
        resume(store, losses, restored=about.get("restored") == 1)
    epoch = store.picture.epoch
    receipts.know_epochs(_ends(store, epoch))
    event = {"type": "epoch", **catalogue.epochs()[epoch]} if store.picture.seq == 0 else None
    return store, Opened(epoch, store.picture.seq + 1, bool(about.get("clean", 1)), last_ticks(store), event, losses.texts)


def begin_epoch(store: Store, event: dict[str, Any], losses: Losses) -> None:
    """Start counting anew: UTC seconds, at least one more than the epoch before, so that no identity is ever used twice."""
    known = max([*store.catalogue.epochs(), int(store.catalogue.about().get("epoch_after", 0))])
    epoch = max(int(time.time()), known + 1)
    store.catalogue.begin_epoch(epoch, event, losses.rebuilt, losses.forgotten)
    store.picture.begin(epoch, 0, 0)
    store.digest, store.leaves, store.tree = bytes(32), [], chain.Tree()


# ------------------------------------------------------------------ journal.db


def _open_catalogue(directory: Path, losses: Losses) -> Catalogue:
    """Open journal.db; one that is damaged is set aside, and a new one is filled from the segments."""
    path = directory / JOURNAL
    log_path = directory / f"{JOURNAL}-wal"
    log = wal.read(log_path.read_bytes() if log_path.exists() else b"")
    if log.doubtful:
        salvage.copy_aside(directory, path)
        losses.unsure(f"{JOURNAL}-wal ends in a transaction that can not be read: cut by power loss, or damaged; a copy is kept")
    try:
        catalogue = Catalogue(path)
    except sqlite3.DatabaseError as error:
        if sqlite.primary_code(error) not in sqlite.CORRUPT:
            raise
        return _new_catalogue(directory, str(error), losses)
    try:
        _check_pages(catalogue.db)
        _empty_wal(catalogue.db)
    except (sqlite3.DatabaseError, Damaged) as error:
        catalogue.db.close()
        return _new_catalogue(directory, str(error), losses)
    return catalogue


def _new_catalogue(directory: Path, why: str, losses: Losses) -> Catalogue:
    kept = salvage.set_aside(directory, directory / JOURNAL)
    losses.unsure(f"{JOURNAL} is damaged ({why}); it is kept as {kept}; cursors begin anew, receivers will recognise what they have")
    return Catalogue(directory / JOURNAL)


_NAME = re.compile(r"(\d+)-(\d+)\.db")


def _adopt_unknown_files(store: Store, losses: Losses) -> None:
    """Make the catalogue and the folder agree: files that were never born or are pruned go, files with entries are taken in."""
    rows = {(one.epoch, one.first): one for one in store.catalogue.segments()}
    for path in sorted(store.picture.directory.glob("*.db")):
        match = _NAME.fullmatch(path.name)
        at = (int(match[1]), int(match[2])) if match else None
        if at in rows:
            if rows[at].state == "pruned":
                remove(path)
        elif at is None or not _adopt(store, path, *at):
            kept = salvage.set_aside(store.directory, path)
            losses.texts.append(f"{path.name} holds no entry of this journal; it is kept as {kept}")


def _adopt(store: Store, path: Path, epoch: int, first: int) -> bool:
    """Take in a segment that the catalogue does not know; True also if it was never born and is gone."""
    try:
        with closing(sqlite.writer(path)) as db:
            held = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone()
            if not held or not db.execute("SELECT 1 FROM entries LIMIT 1").fetchone():
                db.close()
                remove(path)
                return True
            about = segments.about(db)
            before = db.execute("SELECT total, payload FROM entries ORDER BY seq LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if sqlite.primary_code(error) not in sqlite.CORRUPT:
            raise
        about, before = {}, (0, b"")
    if about.get("gateway", store.gateway) != store.gateway:
        return False
    if epoch not in store.catalogue.epochs():
        known: dict[str, Any] = {"follows": None, "reason": "created", "last_seq": 0, "last_digest": chain.NO_DIGEST, "lost": []}
        store.catalogue.adopt_epoch(epoch, known)
    previous = bytes.fromhex(str(about.get("previous", chain.NO_DIGEST)))
    store.catalogue.put_segments([Segment(epoch, first, previous=previous, before=0, state="open" if before[1] else "suspect")])
    return True


# ------------------------------------------------------------------ segments


def resume(store: Store, losses: Losses, *, restored: bool = False) -> None:
    """Take up the journal where its last durable entry stands; begin a new epoch if anything of this one is gone."""
    epoch = max(store.catalogue.epochs())
    store.picture.begin(epoch, 0, 0)
    for one in store.catalogue.segments():
        if one.state in ("suspect", "closed"):
            _take_closed(store, one, losses)
        elif one.state == "open":
            _take_open(store, one, losses)
        elif one.state == "pruned":
            _stand_at(store, one)
    _load_facts(store)
    _compare_with_witnesses(store, epoch, losses)
    if losses.new_epoch or restored:
        _leave_epoch(store, epoch, losses, "restored" if restored else "salvaged")
    elif losses.texts:
        store.catalogue.settle(losses.rebuilt, losses.forgotten)


def _take_closed(store: Store, one: Segment, losses: Losses) -> None:
    path = store.picture.path(one)
    if one.state == "suspect" or not path.exists():
        rebuilt, lost = salvage.rebuild(store, one, losses)
        if lost:
            losses.lost.setdefault(one.epoch, []).extend(lost)
        one = rebuilt
    if one.state == "closed":
        store.picture.segments.append(one)
    _stand_at(store, one)


def _stand_at(store: Store, one: Segment) -> None:
    """The current epoch's chain and tree stand at the end of this segment."""
    if one.epoch != store.picture.epoch or one.last is None:
        return
    if one.root is not None and store.tree.size == one.first - 1 and one.last == segments.last_of(one.first):
        store.tree.append(one.root, segments.ENTRIES)
    store.digest = one.digest or bytes(32)
    store.picture.begin(one.epoch, one.last, one.total)


def _take_open(store: Store, one: Segment, losses: Losses) -> None:
    """Check a segment that was not closed, entry by entry, and go on with it."""
    path = store.picture.path(one)
    hole = one.epoch == store.picture.epoch and store.picture.seq < one.first - 1
    if hole and _never_counted(store, path):
        store.catalogue.forget_segment(one.epoch, one.first)  # first: a row without its file would look like a file that is gone
        remove(path)
        return
    if hole:
        losses.unsure(f"entries {store.picture.seq + 1} to {one.first - 1} of epoch {one.epoch} are not here, and later ones are")
        losses.hole(one.epoch, store.picture.seq + 1, one.first - 1)
    if store.active is not None:
        store.retire(store.picture.seq)
    log_path = path.with_name(path.name + "-wal")
    log = wal.read(log_path.read_bytes() if log_path.exists() else b"")
    if log.doubtful or not path.exists():
        losses.unsure(f"{path.name}-wal ends in a transaction that can not be read: cut by power loss before it was promised, or damaged")
        _take_damaged(store, one, losses)
        return
    try:
        _go_on(store, one, path)
    except (sqlite3.DatabaseError, Damaged) as error:
        if isinstance(error, sqlite3.DatabaseError) and sqlite.primary_code(error) not in sqlite.CORRUPT | {sqlite3.SQLITE_IOERR}:
            raise
        losses.unsure(f"{path.name} is damaged: {error}")
        _take_damaged(store, one, losses)


def _never_counted(store: Store, path: Path) -> bool:
    """Whether this next segment was begun by an append across the end of the one before, whose commit was not reached."""
    try:
        with closing(sqlite.writer(path)) as db:
            across = segments.about(db).get("across")
            return across == store.picture.seq + 1 or not db.execute("SELECT 1 FROM entries LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        return False


def _go_on(store: Store, one: Segment, path: Path) -> None:
    db = sqlite.writer(path)
    try:
        _check_pages(db)
        leaves, digest, seq, total = walk(db, one)
        segments.facts(db)
        _empty_wal(db)
    except BaseException:
        db.close()
        raise
    for hash_ in leaves:
        store.tree.append(hash_)
    store.digest = digest
    store.picture.begin(one.epoch, seq, total or one.before)
    store.picture.segments.append(one)
    store.adopt(one, db, leaves)


def _take_damaged(store: Store, one: Segment, losses: Losses) -> None:
    rebuilt, lost = salvage.rebuild(store, one, losses)
    losses.lost.setdefault(one.epoch, []).extend(lost)
    if rebuilt.state == "closed":
        store.picture.segments.append(rebuilt)
    _stand_at(store, rebuilt)


def _check_pages(db: sqlite3.Connection) -> None:
    found = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    if found != ["ok"]:
        raise Damaged("; ".join(found))


def _empty_wal(db: sqlite3.Connection) -> None:
    """Leave no frames behind of a transaction that was killed: after the next crash they would look like damage."""
    try:
        segments.checkpoint(db, whole=True)
    except sqlite3.OperationalError as error:
        if not sqlite.passes(error):
            raise


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


def _load_facts(store: Store) -> None:
    """The newest facts that can be read; and the newest state of the fold that does not stand after the last entry held."""
    facts: dict[str, Fact] = {}
    for one in reversed(store.picture.segments):
        try:
            with closing(sqlite.reader(store.picture.path(one), closed=one.state == "closed")) as db:
                found = segments.facts(db)
        except (sqlite3.DatabaseError, Damaged):
            continue
        facts = {**found, **facts}  # every segment begins with all facts of the one before
        if "state" in facts and facts["state"][:2] > (store.picture.epoch, store.picture.seq):
            del facts["state"]
        elif facts:
            break
    store.picture.facts = facts


def _compare_with_witnesses(store: Store, epoch: int, losses: Losses) -> None:
    """Whoever confirmed or signed more than is here proves that the end is gone."""
    seen = [cursor.seq for cursor in store.receipts.cursors().values() if cursor.epoch == epoch]
    seen += [row[0] for row in store.catalogue.db.execute("SELECT MAX(size) FROM checkpoints WHERE epoch = ?", (epoch,)) if row[0]]
    last = store.picture.seq
    if max(seen, default=0) > last:
        losses.unsure(f"entries {last + 1} to {max(seen)} of epoch {epoch} were confirmed or signed, and are not here")
        losses.lost.setdefault(epoch, []).append((last + 1, max(seen)))


def _leave_epoch(store: Store, epoch: int, losses: Losses, reason: str) -> None:
    """End the current epoch where it stands, and begin the next."""
    store.catalogue.note(doubt=losses.doubt())
    last_seq, last_digest = store.picture.seq, store.digest.hex()
    if store.active is not None:
        store.retire(last_seq)
    store.maintain()
    event: dict[str, Any] = {"follows": epoch, "reason": reason, "last_seq": last_seq, "last_digest": last_digest}
    if last_seq == 0:
        _declare_again(store.catalogue.epochs()[epoch], losses)
    event["lost"] = sorted(set(losses.lost.pop(epoch, [])))
    event["tail"] = "unknown" if losses.tail_unknown or reason == "restored" else "whole"
    if losses.lost:
        event["lost_before"] = {str(one): sorted(set(spans)) for one, spans in losses.lost.items() if spans}
    begin_epoch(store, event, losses)
    store.catalogue.note(restored=0)


def _declare_again(unwritten: dict[str, Any], losses: Losses) -> None:
    """An epoch without an entry has told nobody what was lost before it: the next one does."""
    if unwritten["follows"] is None:
        return
    earlier = {unwritten["follows"]: unwritten["lost"], **{int(one): spans for one, spans in unwritten.get("lost_before", {}).items()}}
    for one, spans in earlier.items():
        losses.lost.setdefault(one, []).extend((low, high) for low, high in spans)


def _ends(store: Store, current: int) -> dict[int, tuple[int, int]]:
    """(last seq held, last seq that a receiver may hold) of the epochs that are over."""
    ends: dict[int, tuple[int, int]] = {}
    for event in store.catalogue.epochs().values():
        if event["follows"] is not None:
            known = max([event["last_seq"], *(through for _, through in event["lost"])])
            ends[event["follows"]] = event["last_seq"], known if event.get("tail", "whole") == "whole" else 1 << 62
    return {epoch: end for epoch, end in ends.items() if epoch != current}


def last_ticks(store: Store) -> int | None:
    """`time` of the last entry held."""
    for one in reversed(store.picture.segments):
        last = one.last if one.last is not None else store.picture.seq
        found = store.picture.read((one.epoch, max(last - 1, one.first - 1)), 1, 1)
        if found:
            return of_entry(found[-1].payload)
    return None
