"""Damage set aside, unchanged; what can be proved of it written anew under the same identities; what can not, named."""

import json
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from buffer import segment, sqlite
from buffer.catalogue import Segment
from buffer.repair import carve
from buffer.store import Store, file_sha256
from buffer.times import now_ticks

DAMAGED = "damaged"
SUFFIXES = ("-wal", "-journal", "")  # the file itself last: a log without its file is set aside too, a file without its log never
Span = tuple[int, int]
_COPY = re.compile(r"\.(\d+)(?:-wal)?$")


@dataclass
class Losses:
    """What opening found. lost: epoch -> ranges gone for good. tail_unknown: entries may have stood after the last one held.

    A salvage may itself be cut short, and is then done again from what was set aside. So until the next epoch has begun journal.db says
    only that there is damage: `holes` (epoch, first, last) between segments are kept in the meantime; rows of segments written anew
    (`rebuilt`), or found empty (`forgotten`), get there in the transaction that begins the epoch.
    """

    texts: list[str] = field(default_factory=list)
    lost: dict[int, list[Span]] = field(default_factory=dict)
    tail_unknown: bool = False
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    rebuilt: list[Segment] = field(default_factory=list)
    forgotten: list[tuple[int, int]] = field(default_factory=list)

    def unsure(self, text: str) -> None:
        """Something may be gone after the last entry held: its successors must not get identities that were used already."""
        self.texts.append(text)
        self.tail_unknown = True

    def hole(self, epoch: int, first: int, last: int) -> None:
        """Entries between two segments are not here."""
        if (epoch, first, last) not in self.holes:
            self.holes.append((epoch, first, last))
            self.lost.setdefault(epoch, []).append((first, last))

    def doubt(self) -> str:
        """What journal.db must know before anything is moved or closed."""
        return json.dumps({"tail_unknown": self.tail_unknown, "holes": self.holes})

    def take_up(self, doubt: str) -> None:
        """A start before this one found damage, and was cut short."""
        known = json.loads(doubt)
        self.texts.append("the start before this one found damage and was cut short; it is done again")
        self.tail_unknown = self.tail_unknown or known["tail_unknown"]
        for epoch, first, last in known["holes"]:
            self.hole(epoch, first, last)

    @property
    def new_epoch(self) -> bool:
        """Whether identities of this epoch must not be given out any more."""
        return self.tail_unknown or any(self.lost.values())


def _aside(directory: Path, path: Path) -> Path:
    folder = directory / DAMAGED
    if not folder.exists():
        folder.mkdir(mode=0o700)
        sqlite.sync_directory(directory)
    number = 1
    while (target := folder / f"{path.name}.{number}").exists() or target.with_name(target.name + "-wal").exists():
        number += 1
    return target


def set_aside(directory: Path, path: Path) -> Path:
    """Move a file with its WAL out of the way, unchanged; return where it is kept."""
    target = _aside(directory, path)
    for suffix in SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    sqlite.sync_directory(target.parent)  # first: it may be in both places after a power cut, never in none
    sqlite.sync_directory(path.parent)
    return target


def copy_aside(directory: Path, path: Path) -> Path:
    """Keep a copy of a file and its WAL before SQLite changes them."""
    target = _aside(directory, path)
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))
    return target


def rebuild(store: Store, one: Segment, losses: Losses) -> tuple[Segment, list[Span]]:
    """Set a damaged segment aside and write its provable entries anew: (its new row, ranges that are gone).

    All copies of it that were ever set aside are read: a salvage that was cut short has left the only good one there.
    """
    store.catalogue.note(doubt=losses.doubt())
    store.catalogue.put_segments([replace(one, state="suspect")])
    path = store.picture.path(one)
    kept = set_aside(store.directory, path)
    rows, facts = _proved(kept, one)
    last = one.last if one.last is not None else max(rows, default=one.first - 1)
    lost = _missing(one.first, last, rows)
    new = _write(store, one, path, rows, facts) if rows else replace(one, state="damaged")
    whole = not lost and one.last is not None
    new = replace(new, last=last, root=one.root if whole else None, digest=one.digest or new.digest, total=one.total or new.total)
    if rows or one.last is not None:
        losses.rebuilt.append(new)
    else:
        losses.forgotten.append((one.epoch, one.first))
    gone = f"{sum(high - low + 1 for low, high in lost)} are lost" if lost else "none of them is lost" if whole else "its end is uncertain"
    losses.texts.append(f"{path.name} was damaged and is kept as {kept}; {len(rows)} of its entries are whole, {gone}")
    return new, lost


def _proved(kept: Path, one: Segment) -> tuple[dict[int, segment.Row], dict[str, segment.Fact]]:
    """Entries and facts of a segment from every copy set aside, the newest first.

    A power cut may have moved a file and not its log: every file is read with every log, for nothing unproved comes out.
    """
    numbered = [(int(match[1]), path) for path in kept.parent.glob(f"{kept.stem}.*") if (match := _COPY.search(path.name))]
    newest = [path for _, path in sorted(numbered, reverse=True)]
    files = [path for path in newest if not path.name.endswith("-wal")] or [kept]
    logs = [path for path in newest if path.name.endswith("-wal")] or [kept.with_name(f"{kept.name}-wal")]
    rows: dict[int, segment.Row] = {}
    facts: dict[str, segment.Fact] = {}
    for file, log in [(file, log) for file in files for log in logs]:
        proved, stated = carve.rows(file, log, one.epoch)
        rows = {**proved, **rows}
        facts |= {name: fact for name, fact in stated.items() if name not in facts or facts[name][:2] < fact[:2]}
    return {seq: rows[seq] for seq in sorted(rows) if one.first <= seq <= segment.last_of(one.first)}, facts


def _write(store: Store, one: Segment, path: Path, rows: dict[int, segment.Row], facts: dict[str, segment.Fact]) -> Segment:
    about = {"gateway": store.gateway, "epoch": one.epoch, "first": one.first, "previous": one.previous.hex(), "salvaged": 1}
    db = segment.create(path, about)
    segment.insert(db, [rows[seq] for seq in sorted(rows)], facts)
    segment.close(db, path)
    end = rows[max(rows)]
    size = path.stat().st_size
    return replace(one, state="closed", file_bytes=size, ticks=now_ticks(), digest=end[1], total=end[2], sha256=file_sha256(path))


def _missing(first: int, last: int, rows: dict[int, segment.Row]) -> list[Span]:
    lost: list[Span] = []
    for seq in range(first, last + 1):
        if seq not in rows:
            if lost and lost[-1][1] == seq - 1:
                lost[-1] = lost[-1][0], seq
            else:
                lost.append((seq, seq))
    return lost
