"""Open a journal: check whose it is, what it holds, and that it is whole. Runs at every start.

What each crash leaves behind, and what the next start does with it:
- a file of a segment without a row in journal.db: removed if it holds no entry, else taken in (`repair.adopt`);
- a next segment that an append across the end of the one before had begun, and not completed: removed (`_never_counted`);
- a file that is called pruned: removed;
- a segment that was not closed: checked entry by entry, and gone on with (`_continue_segment`);
- a log that ends in a transaction which can not be read: damage, because it may hold promised entries (`repair.wal`).

Damage is set aside and salvaged (`repair.salvage`). Until all of it has taken effect, in the transaction that begins the next epoch,
journal.db only notes the doubt: a start that is itself cut short is done again from what was set aside.
"""

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buffer import chain, sqlite
from buffer import segment as segments
from buffer.catalogue import FORMAT, Catalogue, Segment, ends_of
from buffer.committed import CommittedView, last_ticks
from buffer.errors import JournalMismatch, StorageError
from buffer.locking import lock
from buffer.origin import Origin, Seen
from buffer.receipts import Receipts
from buffer.repair import adopt, salvage, wal
from buffer.repair.salvage import Losses
from buffer.segment import Damaged, Fact
from buffer.segment_check import check_pages, empty_wal, walk
from buffer.store import SUMS, Store, remove

JOURNAL = "journal.db"
HERE = Origin()
OTHER_MACHINE = (
    "this journal was written on another machine: a new epoch begins, so that no identity is used twice. If that machine still runs"
    " under this name, stop one of the two"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """Result of opening a journal.

    was_clean: the last run closed it. last_ticks: `time` of the last entry held. epoch_event: the `epoch` event that must be appended
    first, or None. findings: damage and losses that a person should know of, one sentence each.
    """

    epoch: int
    next_seq: int
    was_clean: bool
    last_ticks: int | None
    epoch_event: dict[str, Any] | None
    findings: list[str] = field(default_factory=list)


def open_store(
    directory: Path, gateway: str, max_bytes: int, view: CommittedView, receipts: Receipts, origin: Origin = HERE
) -> tuple[Store, Opened]:
    """Open or create the journal in `directory`. Raises JournalInUse, JournalMismatch, StorageError."""
    try:
        fd = lock(directory)
    except OSError as error:
        raise StorageError(f"{directory}: {error}") from error
    try:
        return _open(directory, gateway, max_bytes, view, receipts, fd, origin)
    except (sqlite3.Error, sqlite.NotDurable, OSError) as error:
        os.close(fd)
        raise StorageError(f"{directory}: {error}") from error
    except BaseException:
        os.close(fd)
        raise


def _open(
    directory: Path, gateway: str, max_bytes: int, view: CommittedView, receipts: Receipts, fd: int, origin: Origin
) -> tuple[Store, Opened]:
    losses = Losses()
    catalogue = _open_catalogue(directory, losses)
    about = catalogue.about()
    if about.get("gateway", gateway) != gateway:
        catalogue.db.close()
        raise JournalMismatch(f"{directory} holds the journal of {about['gateway']}, this line is {gateway}")
    if (directory / SUMS).exists():
        (directory / SUMS).unlink()
        sqlite.sync_directory(directory)  # should it come back after a power cut, it would accuse a good journal
    # journal.db without a gateway's name was made a moment ago: the one before is lost, and with it what it knew of the end.
    if "gateway" not in about and any((directory / "segments").glob("*.db")):
        losses.suspect_tail(f"{JOURNAL} was made anew, and the segments are older")
    if "doubt" in about:
        losses.restore_doubt(about["doubt"])
    # Before anything is moved or closed: a start that is cut short from here on must find the doubt again.
    catalogue.note(format=FORMAT, gateway=gateway, clean=0, **({"doubt": losses.doubt()} if losses.tail_unknown else {}))
    receipts.load(catalogue)
    seen = origin.newest(gateway)
    if seen is not None and seen.epoch > int(about.get("epoch_after", 0)):
        catalogue.note(epoch_after=seen.epoch)  # whatever is begun below, its number was never used
    store = Store(directory, gateway, catalogue, view, receipts, fd, max_bytes, origin)
    store.holds = catalogue.holds()
    adopt.adopt_unknown_files(store, losses)
    if not catalogue.epochs():
        if seen is not None:
            losses.texts.append(f"no journal was here, but there was one, with entries through {seen.seq} of epoch {seen.epoch}")
        begin_epoch(store, {"follows": None, "reason": "created", "last_seq": 0, "last_digest": chain.NO_DIGEST, "lost": []}, losses)
    else:
        resume(store, losses, _why_left(about, origin), seen)
        losses.texts += [OTHER_MACHINE] if _why_left(about, origin) == "moved" else []
    epoch = store.view.epoch
    held = {segment.epoch: segment.last or 0 for segment in view.segments}  # in order: the last of each epoch counts
    receipts.know_epochs(ends_of(store.catalogue.epochs(), epoch, held))
    view.lost = salvage.declared_lost(catalogue.epochs().values())
    catalogue.note(machine=origin.machine or about.get("machine", ""))
    event = {"type": "epoch", **catalogue.epochs()[epoch]} if store.view.seq == 0 else None
    return store, Opened(epoch, store.view.seq + 1, bool(about.get("clean", 1)), last_ticks(store.view), event, losses.texts)


def begin_epoch(store: Store, event: dict[str, Any], losses: Losses) -> None:
    """Begin an epoch, whose sequence numbers start at 1.

    Its number is the time in UTC seconds, and at least one more than any epoch known: so no identity is ever used twice, also after a
    restore from a backup that knows nothing of later epochs.
    """
    newest = max([*store.catalogue.epochs(), int(store.catalogue.about().get("epoch_after", 0))])
    epoch = max(int(time.time()), newest + 1)
    store.catalogue.begin_epoch(epoch, event, losses.rebuilt, losses.forgotten)
    store.view.begin(epoch, 0, 0)
    store.digest, store.leaves, store.tree = bytes(32), [], chain.Tree()


# ------------------------------------------------------------------ journal.db


def _open_catalogue(directory: Path, losses: Losses) -> Catalogue:
    """Open journal.db; a damaged one is set aside, and a new one is filled from the segments."""
    path = directory / JOURNAL
    # Looked at before SQLite opens the file: it drops everything after the first frame with a wrong checksum, without an error.
    log_path = directory / f"{JOURNAL}-wal"
    log = wal.read(log_path.read_bytes() if log_path.exists() else b"")
    if log.doubtful:
        salvage.copy_aside(directory, path)
        losses.suspect_tail(f"{JOURNAL}-wal ends in a transaction that can not be read: cut by power loss, or damaged; a copy is kept")
    try:
        catalogue = Catalogue(path)
    except sqlite3.DatabaseError as error:
        if sqlite.primary_code(error) not in sqlite.CORRUPT:
            raise
        return _new_catalogue(directory, str(error), losses)
    try:
        check_pages(catalogue.db)
        empty_wal(catalogue.db)
    except (sqlite3.DatabaseError, Damaged) as error:
        catalogue.db.close()
        return _new_catalogue(directory, str(error), losses)
    return catalogue


def _new_catalogue(directory: Path, why: str, losses: Losses) -> Catalogue:
    aside = salvage.set_aside(directory, directory / JOURNAL)
    losses.suspect_tail(f"{JOURNAL} is damaged ({why}); it is kept as {aside}; cursors begin anew, receivers will recognise what they have")
    return Catalogue(directory / JOURNAL)


# ------------------------------------------------------------------ segments


def _why_left(about: dict[str, Any], origin: Origin) -> str | None:
    """Return why the epoch may not be gone on with, whatever is found: the reason of the next one; None if it may."""
    if about.get("restored") == 1:
        return "restored"
    return "moved" if about.get("machine") and origin.machine and about["machine"] != origin.machine else None


def resume(store: Store, losses: Losses, left: str | None = None, seen: Seen | None = None) -> None:
    """Go on where the last durable entry is; begin a new epoch if anything of this one is lost, or if it is `left` for that reason."""
    epoch = max(store.catalogue.epochs())
    store.view.begin(epoch, 0, 0)
    for segment in store.catalogue.segments():
        if segment.state in ("suspect", "closed"):
            _take_closed(store, segment, losses)
        elif segment.state == "open":
            _take_open(store, segment, losses)
        elif segment.state == "pruned":
            _move_end_to(store, segment)
    _load_facts(store)
    _compare_with_receipts(store, epoch, losses)
    if left is None and seen is not None:
        _compare_with_seen(store, epoch, seen, losses)
    if losses.new_epoch or left:
        _leave_epoch(store, epoch, losses, left or "salvaged")
    elif losses.texts:
        store.catalogue.settle(losses.rebuilt, losses.forgotten)


def _take_closed(store: Store, segment: Segment, losses: Losses) -> None:
    _retire_active(store)
    path = store.view.path(segment)
    if segment.state == "suspect" or not path.exists():
        rebuilt, lost = salvage.rebuild(store, segment, losses)
        if lost:
            losses.lost.setdefault(segment.epoch, []).extend(lost)
        segment = rebuilt
    if segment.state == "closed":
        store.view.segments.append(segment)
    _move_end_to(store, segment)


def _retire_active(store: Store) -> None:
    """End the segment that was gone on with where its entries end: before the end is moved past it, because another one follows."""
    if store.active is not None:
        store.retire(store.view.seq)


def _move_end_to(store: Store, segment: Segment) -> None:
    """Move the end of the current epoch's chain and tree to the end of this segment."""
    if segment.epoch != store.view.epoch or segment.last is None:
        return
    # A full segment is one subtree, so its root is enough: the tree is known without reading a closed segment.
    if segment.root is not None and store.tree.size == segment.first - 1 and segment.last == segments.last_of(segment.first):
        store.tree.append(segment.root, segments.ENTRIES)
    is_empty = segment.last < segment.first  # none of its entries is whole: the end is that of what stands before it
    digest, total = (segment.previous, segment.before) if is_empty else (segment.digest, segment.total)
    store.digest = digest or bytes(32)
    store.view.begin(segment.epoch, segment.last, total)


def _take_open(store: Store, segment: Segment, losses: Losses) -> None:
    """Check a segment that was not closed, entry by entry, and go on with it; salvage it if it is damaged."""
    path = store.view.path(segment)
    hole = segment.epoch == store.view.epoch and store.view.seq < segment.first - 1
    if hole and _never_counted(store, path):
        store.catalogue.forget_segment(segment.epoch, segment.first)  # first: a row without its file would look like a file that is gone
        remove(path)
        return
    if hole:
        losses.suspect_tail(
            f"entries {store.view.seq + 1} to {segment.first - 1} of epoch {segment.epoch} are not here, and later ones are"
        )
        losses.add_hole(segment.epoch, store.view.seq + 1, segment.first - 1)
    _retire_active(store)
    log_path = path.with_name(path.name + "-wal")
    log = wal.read(log_path.read_bytes() if log_path.exists() else b"")
    if log.doubtful or not path.exists():
        losses.suspect_tail(
            f"{path.name}-wal ends in a transaction that can not be read: cut by power loss before it was promised, or damaged"
        )
        _take_damaged(store, segment, losses)
        return
    try:
        _continue_segment(store, segment, path)
    except (sqlite3.DatabaseError, Damaged) as error:
        if isinstance(error, sqlite3.DatabaseError) and sqlite.primary_code(error) not in sqlite.CORRUPT | {sqlite3.SQLITE_IOERR}:
            raise
        losses.suspect_tail(f"{path.name} is damaged: {error}")
        _take_damaged(store, segment, losses)


def _never_counted(store: Store, path: Path) -> bool:
    """Return True if this next segment was begun by an append across the end of the one before, whose commit was not reached."""
    try:
        with closing(sqlite.writer(path)) as db:
            across = segments.about(db).get("across")
            return across == store.view.seq + 1 or not db.execute("SELECT 1 FROM entries LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        return False


def _continue_segment(store: Store, segment: Segment, path: Path) -> None:
    """Check a segment that was not closed, and make it the active one. Raises sqlite3.DatabaseError, Damaged."""
    db = sqlite.writer(path)
    try:
        check_pages(db)
        leaves, digest, seq, total = walk(db, segment)
        segments.facts(db)  # read for their digests alone: damaged facts make the segment damaged, as damaged entries do
        empty_wal(db)
    except BaseException:
        db.close()
        raise
    for hash_ in leaves:
        store.tree.append(hash_)
    store.digest = digest
    store.view.begin(segment.epoch, seq, total or segment.before)
    store.view.segments.append(segment)
    store.adopt(segment, db, leaves)


def _take_damaged(store: Store, segment: Segment, losses: Losses) -> None:
    rebuilt, lost = salvage.rebuild(store, segment, losses)
    losses.lost.setdefault(segment.epoch, []).extend(lost)
    if rebuilt.state == "closed":
        store.view.segments.append(rebuilt)
    _move_end_to(store, rebuilt)


def _load_facts(store: Store) -> None:
    """Load the newest facts that can be read; the fold's state only if it does not lie after the last entry held."""
    facts: dict[str, Fact] = {}
    for segment in reversed(store.view.segments):
        try:
            with closing(sqlite.reader(store.view.path(segment), closed=segment.state == "closed")) as db:
                stored = segments.facts(db)
        except (sqlite3.DatabaseError, Damaged):
            continue
        # Every segment begins with all facts of the one before; what is missing in the newest one was removed.
        facts = {**({"state": stored["state"]} if "state" in stored else {}), **facts} if facts else stored
        if "state" in facts and facts["state"][:2] > (store.view.epoch, store.view.seq):
            del facts["state"]
        elif facts:
            break
    store.view.facts = facts


def _compare_with_receipts(store: Store, epoch: int, losses: Losses) -> None:
    """Compare the end with what receivers confirmed and what was signed: more than is here proves that the end is lost."""
    claimed = [cursor.seq for cursor in store.receipts.cursors().values() if cursor.epoch == epoch]
    claimed += [row[0] for row in store.catalogue.db.execute("SELECT MAX(size) FROM checkpoints WHERE epoch = ?", (epoch,)) if row[0]]
    last = store.view.seq
    if max(claimed, default=0) > last:
        losses.suspect_tail(f"entries {last + 1} to {max(claimed)} of epoch {epoch} were confirmed or signed, and are not here")
        losses.lost.setdefault(epoch, []).append((last + 1, max(claimed)))


def _compare_with_seen(store: Store, epoch: int, seen: Seen, losses: Losses) -> None:
    """Compare the end with the newest entry that was ever committed here: a journal that lacks it is an older copy, put back."""
    last = store.view.seq
    held = store.view.entry(seen.epoch, seen.seq) if seen.seq else None
    if seen.epoch > epoch:
        losses.suspect_tail(f"this is an older copy of the journal: epoch {seen.epoch} was begun after it was made")
    elif seen.epoch == epoch and seen.seq > last:
        losses.suspect_tail(f"this is an older copy of the journal: it ends at entry {last} of epoch {epoch}, and {seen.seq} was committed")
        losses.lost.setdefault(epoch, []).append((last + 1, seen.seq))
    elif seen.epoch == epoch and held is not None and held[0] != seen.digest:
        losses.suspect_tail(
            f"entry {seen.seq} of epoch {epoch} is another one than was committed here: this is the journal of two histories"
        )


def _leave_epoch(store: Store, epoch: int, losses: Losses, reason: str) -> None:
    """End the current epoch at the last entry held, declare what it lost, and begin the next one."""
    # First of all: cut short from here on, the next start leaves this epoch as well.
    store.catalogue.note(doubt=losses.doubt())
    last_seq, last_digest = store.view.seq, store.digest.hex()
    if store.active is not None:
        store.retire(last_seq)
    store.maintain()
    event: dict[str, Any] = {"follows": epoch, "reason": reason, "last_seq": last_seq, "last_digest": last_digest}
    if last_seq == 0:
        _declare_again(store.catalogue.epochs()[epoch], losses)
    event["lost"] = sorted(set(losses.lost.pop(epoch, [])))
    event["tail"] = "unknown" if losses.tail_unknown or reason != "salvaged" else "whole"
    if losses.lost:
        event["lost_before"] = {str(earlier): sorted(set(spans)) for earlier, spans in losses.lost.items() if spans}
    begin_epoch(store, event, losses)
    store.catalogue.note(restored=0)
    store.note_seen()


def _declare_again(unwritten: dict[str, Any], losses: Losses) -> None:
    """Take over the losses that an epoch without an entry should have declared: its event was never written, so the next one does it."""
    if unwritten["follows"] is None:
        return
    earlier = {unwritten["follows"]: unwritten["lost"], **{int(epoch): spans for epoch, spans in unwritten.get("lost_before", {}).items()}}
    for epoch, spans in earlier.items():
        losses.lost.setdefault(epoch, []).extend((low, high) for low, high in spans)
