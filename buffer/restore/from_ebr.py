"""Take what an EBR has beyond a backup into the journal that is being restored: same bytes, same epochs, same sequence numbers.

It is written the way the running store grows, so segments, tree and sums are as if the gateway had written them. Nothing is taken that
the chain does not prove: each entry's digest is that of its bytes, and each names the one before.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import zstandard

from buffer import chain, opening, sqlite, verify, watermarks
from buffer.committed import CommittedView
from buffer.errors import JournalError
from buffer.receipts import Receipts
from buffer.segment import Entry, Row, name_of
from buffer.times import now_ticks

PAGE = 500
"""Entries that are committed together."""
KEY_EVENTS = ("key-created", "key-adopted", "key-rotation", "key-replaced")
"""Audit events that change the set of public keys."""


Table = Literal["entries", "records"]
"""Where an EBR keeps entries, or single records."""


class RestoreRefused(Exception):
    """The journal can not be restored this way; the text says why."""


class Learner(Protocol):
    """Learns what the entries taken over imply for watermarks, which no entry contains."""

    def take(self, entry: Entry) -> None:
        """Look at one entry that was taken over, in order."""

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the changes of each source's watermark, merged by key."""


@dataclass
class Import:
    """What was taken from the EBR's store. notes: sentences for a person."""

    entries: int = 0
    notes: list[str] = field(default_factory=list)


class Position(NamedTuple):
    """The last entry held of an epoch. digest: hex."""

    epoch: int
    seq: int
    digest: str


class EbrStore:
    """The EBR's store, read only: `entries(gateway, epoch, seq, digest, payload)`, and `rejected(gateway, epoch, seq, ..)` if there."""

    def __init__(self, stack: ExitStack, store: Path, gateway: str) -> None:
        self.file = store / "ebr.db" if store.is_dir() else store
        self.gateway = gateway
        if not self.file.exists():
            raise RestoreRefused(f"{self.file}: there is no EBR's store")
        try:
            live = self.file.with_name(f"{self.file.name}-shm").exists()
            self._db = verify.Files(stack, live=live).open(self.file)
            gateways = [row[0] for row in self._db.execute("SELECT DISTINCT gateway FROM entries ORDER BY 1")]
            self.epochs = [
                row[0] for row in self._db.execute("SELECT DISTINCT epoch FROM entries WHERE gateway = ? ORDER BY 1", (gateway,))
            ]
        except sqlite3.Error as error:
            raise RestoreRefused(f"{self.file} is no EBR's store: {error}") from error
        if gateways and gateway not in gateways:
            raise RestoreRefused(f"{self.file} holds nothing of {gateway}, only of {', '.join(gateways[:5])}")

    def digests(self, epoch: int, first: int, last: int) -> dict[int, str]:
        """Return the store's digests of a range of entries, by seq."""
        sql = "SELECT seq, digest FROM entries WHERE gateway = ? AND epoch = ? AND seq BETWEEN ? AND ?"
        return {seq: _hex(digest) for seq, digest in self._db.execute(sql, (self.gateway, epoch, first, last))}

    def after(self, at: Position) -> Iterator[tuple[int, str, bytes]]:
        """Yield (seq, digest, payload) of the epoch's entries after a position, in order; there may be holes."""
        sql = "SELECT seq, digest, payload FROM entries WHERE gateway = ? AND epoch = ? AND seq > ? ORDER BY seq"
        for seq, digest, payload in self._db.execute(sql, (self.gateway, at.epoch, at.seq)):
            yield seq, _hex(digest), payload.encode() if isinstance(payload, str) else bytes(payload)

    def count_after(self, at: Position) -> int:
        """Count the entries after a position, of this epoch and of later ones."""
        sql = "SELECT COUNT(*) FROM entries WHERE gateway = ? AND (epoch, seq) > (?, ?)"
        return int(self._db.execute(sql, (self.gateway, at.epoch, at.seq)).fetchone()[0])

    def streams(self, table: Table = "entries") -> Iterator[tuple[int, int, int, int]]:
        """Yield (epoch, first, last, count) of what is held."""
        sql = f"SELECT epoch, MIN(seq), MAX(seq), COUNT(*) FROM {table} WHERE gateway = ? GROUP BY epoch ORDER BY epoch"  # noqa: S608
        yield from self._db.execute(sql, (self.gateway,))

    def leaves(self, epoch: int, first: int, last: int, table: Table = "entries") -> Iterator[tuple[int, bytes]]:
        """Yield (seq, leaf hash) of the entries from `first` to `last`, of the bytes as they lie there, each as often as it does."""
        where = "gateway = ? AND epoch = ? AND seq BETWEEN ? AND ?"
        sql = f"SELECT seq, CAST(payload AS BLOB) FROM {table} WHERE {where} ORDER BY seq"  # noqa: S608 - fixed names
        for seq, payload in self._db.execute(sql, (self.gateway, epoch, first, last)):
            yield seq, chain.leaf(payload or b"")

    def rejected_codes(
        self, epoch: int, first: int, last: int, most: int, table: Literal["rejected", "refused_records"] = "rejected"
    ) -> Iterator[tuple[int, str]]:
        """Yield (seq, code) of the entries that the EBR refused to store."""
        if self._has(table):
            where = "gateway = ? AND epoch = ? AND seq BETWEEN ? AND ?"
            sql = f"SELECT seq, code FROM {table} WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608 - fixed names
            yield from self._db.execute(sql, (self.gateway, epoch, first, last, most))

    def never_had(self, epoch: int, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield (first, last) of what the EBR notes that it could never have: no gateway held it any more."""
        if self._has("missing"):
            sql = "SELECT first, last FROM missing WHERE gateway = ? AND epoch = ? AND last >= ? AND first <= ? ORDER BY first LIMIT ?"
            yield from self._db.execute(sql, (self.gateway, epoch, first, last, most))

    def _has(self, table: str) -> bool:
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    def rejected(self, epoch: int, seq: int) -> bool:
        """Return True if the EBR refused to store this entry."""
        if not self._has("rejected"):
            return False
        sql = "SELECT 1 FROM rejected WHERE gateway = ? AND epoch = ? AND seq = ?"
        return self._db.execute(sql, (self.gateway, epoch, seq)).fetchone() is not None


def _hex(digest: bytes | str) -> str:
    return digest.hex() if isinstance(digest, bytes) else str(digest).lower()


def extend(folder: Path, store: Path, learner: Learner | None) -> Import:
    """Take what the EBR has beyond the journal in `folder`, on which nothing runs. Raises RestoreRefused; the folder is of no use then."""
    with closing(sqlite.reader(folder / "journal.db", closed=True)) as db:
        gateway = str(db.execute("SELECT value FROM about WHERE name = 'gateway'").fetchone()[0])
    with ExitStack() as stack:
        ebr = EbrStore(stack, store, gateway)
        try:
            return _Extended(folder, ebr, learner).run()
        except (JournalError, sqlite3.Error) as error:
            raise RestoreRefused(f"{ebr.file} can not be taken over: {error}") from error


class _Extended:
    """One journal while it grows by what the EBR has."""

    def __init__(self, folder: Path, ebr: EbrStore, learner: Learner | None) -> None:
        self.folder, self.ebr, self.learner = folder, ebr, learner
        self.imported = Import()
        self._pack = zstandard.ZstdCompressor(level=1)

    def run(self) -> Import:
        view = CommittedView(self.folder / "segments", lambda _one, _why: None)
        self.store, opened = opening.open_store(self.folder, self.ebr.gateway, 1, view, Receipts(view))
        try:
            if opened.findings:
                raise RestoreRefused(f"the backup can not be gone on with: {opened.findings[0]}")
            self._compare_common_entries()
            while self._take_epoch():
                pass
            self._write_watermarks()
            left = self.ebr.count_after(self._at)
            if left and not self.imported.notes:
                self.imported.notes.append(f"{left} later entries of the store were not taken")
            # The EBR may know epochs that were not taken: the next start must not begin one of them anew.
            self.store.catalogue.note(epoch_after=max(self.ebr.epochs, default=0))
            self.store.maintain()
        finally:
            self.store.close(clean=False)
        return self.imported

    @property
    def _at(self) -> Position:
        return Position(*self.store.view.last, self.store.digest.hex())

    def _compare_common_entries(self) -> None:
        """Compare the entries that both have. Raises RestoreRefused where one differs."""
        for segment in self.store.view.segments:
            with closing(sqlite.reader(self.store.view.path(segment), closed=segment.state == "closed")) as db:
                held = {seq: digest.hex() for seq, digest in db.execute("SELECT seq, digest FROM entries")}
            if not held:
                continue
            theirs = self.ebr.digests(segment.epoch, min(held), max(held))
            differing = next((seq for seq in sorted(theirs) if seq in held and theirs[seq] != held[seq]), None)
            if differing is not None:
                where = f"epoch {segment.epoch}, entry {differing} ({name_of(segment.epoch, segment.first)})"
                raise RestoreRefused(
                    f"{self.ebr.file} contradicts the backup: {where} is another one there. Two histories: people must look"
                )

    def _take_epoch(self) -> bool:
        """Take the rest of the open epoch, and begin the next one if the store has it. Returns False when there is no more to take."""
        at = self._at
        later = next((epoch for epoch in self.ebr.epochs if epoch > at.epoch), None)
        event = None if later is None else self._epoch_event(later)
        if event is not None and event["last_seq"] < at.seq:
            self.imported.notes.append(f"epoch {later} of the store goes on from entry {event['last_seq']}, the backup has more: not taken")
            return False
        self._take_entries(event["last_seq"] if event else None)
        at = self._at
        if later is None or event is None:
            return False
        if (event["last_seq"], event["last_digest"]) != (at.seq, at.digest):
            if event["last_seq"] == at.seq:
                raise RestoreRefused(f"{self.ebr.file}: epoch {later} follows another entry {at.seq} of epoch {at.epoch} than the one here")
            self.imported.notes.append(f"epoch {later} was not taken: it follows entry {event['last_seq']} of epoch {at.epoch}")
            return False
        self.store.retire(at.seq)
        self.store.maintain()
        self.store.catalogue.begin_epoch(later, {name: value for name, value in event.items() if name != "type"})
        self.store.view.begin(later, 0, 0)
        self.store.digest, self.store.leaves, self.store.tree = bytes(32), [], chain.Tree()
        return True

    def _epoch_event(self, epoch: int) -> dict[str, Any] | None:
        """Return the `epoch` event with which a later epoch begins, if it follows the open one."""
        first_entry = next(self.ebr.after(Position(epoch, 0, chain.NO_DIGEST)), None)
        if first_entry is None or first_entry[0] != 1:
            self.imported.notes.append(f"epoch {epoch} was not taken: its first entry is not in the store")
            return None
        event: dict[str, Any] = _event(first_entry[2]) or {}
        if event.get("type") != "epoch" or event.get("follows") != self._at.epoch:
            self.imported.notes.append(f"epoch {epoch} was not taken: it does not follow epoch {self._at.epoch}")
            return None
        return event

    def _take_entries(self, through: int | None) -> None:
        """Take the entries of the open epoch up to the first hole, page by page."""
        page: list[tuple[Entry, Row]] = []
        at, total = self._at, self.store.view.total
        for seq, digest, payload in self.ebr.after(at):
            if through is not None and seq > through:
                break
            if seq != at.seq + 1:
                why = "was rejected by the EBR" if self.ebr.rejected(at.epoch, at.seq + 1) else "is not in the store"
                left = self.ebr.count_after(at)
                self.imported.notes.append(f"epoch {at.epoch}: entry {at.seq + 1} {why}: {left} entries after it were not taken")
                break
            self._prove(at, seq, digest, payload)
            at, total = Position(at.epoch, seq, digest), total + len(payload)
            row = (seq, bytes.fromhex(digest), total, self._pack.compress(payload))
            page.append((Entry(at.epoch, seq, digest, payload), row))
            if len(page) == PAGE:
                self._write(page)
                page = []
        self._write(page)

    def _prove(self, at: Position, seq: int, digest: str, payload: bytes) -> None:
        """Check that an entry is the next one of the open epoch. Raises RestoreRefused."""
        where = f"{self.ebr.file}: epoch {at.epoch}, entry {seq}"
        head = verify.HEAD.match(payload)
        if chain.digest(payload).hex() != digest:
            raise RestoreRefused(f"{where} is damaged: its bytes do not match its digest")
        if head is None or (json.loads(head[2]), int(head[3]), int(head[4])) != (self.ebr.gateway, at.epoch, seq):
            raise RestoreRefused(f"{where} is not the entry that its place says")
        if head[5].decode() != at.digest:
            raise RestoreRefused(
                f"{where} does not follow entry {at.seq} here: the store and the backup are two histories; people must look"
            )

    def _write(self, page: list[tuple[Entry, Row]]) -> None:
        while page:
            if self.store.room == 0:
                self.store.turn()
                self.store.maintain()
            now, page = page[: self.store.room], page[self.store.room :]
            entries = [entry for entry, _ in now]
            self.store.commit([row for _, row in now], {})
            self.store.note_commit(entries[-1], [chain.leaf(entry.payload) for entry in entries])
            self.store.view.extend(entries, [row[2] for _, row in now], {})
            self.imported.entries += len(now)
            for entry in entries:
                self._note_event(entry)

    def _note_event(self, entry: Entry) -> None:
        """Store what a running gateway stores beside the entry: signed checkpoints in journal.db, public keys in their files."""
        if self.learner is not None:
            self.learner.take(entry)
        event = _event(entry.payload)
        if event is None:
            return
        if event["type"] == "checkpoint":
            self.store.catalogue.state_checkpoint(entry.epoch, event["size"], bytes.fromhex(event["root"]), now_ticks())
            self.store.catalogue.sign_checkpoint(entry.epoch, event["size"], event["note"])
        elif event["type"] == "audit" and event["action"] in KEY_EVENTS:
            what = event["what"]
            _add(self.folder / verify.KEY_BESIDE, what.get("new", what.get("public", "")) + "\n")
            _add(self.folder / verify.ROTATIONS_BESIDE, what.get("note", ""))

    def _write_watermarks(self) -> None:
        """Commit the watermarks as they must be after the entries that were taken."""
        if self.learner is None or not self.imported.entries:
            return
        epoch, seq = self.store.view.last
        facts: watermarks.Changes = {}
        for source, changes in self.learner.facts().items():
            facts |= watermarks.changed(source, changes, (epoch, seq), self.store.view.facts)
        self.store.commit([], facts)
        self.store.view.extend([], [], facts)


def _event(payload: bytes) -> dict[str, Any] | None:
    head = verify.HEAD.match(payload)
    if head is None or head[1] != b"ebr-gateway/event/1":
        return None
    event: dict[str, Any] = json.loads(payload)["event"]
    return event


def _add(path: Path, text: str) -> None:
    held = path.read_text("utf-8") if path.exists() else ""
    if text.strip() and text not in held:
        path.write_text(held + text, encoding="utf-8")
