"""Damage set aside, unchanged; what can be proved of it written anew under the same identities; what can not, named."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import carve, segment, sqlite
from .catalogue import Segment
from .store import Store, file_sha256
from .times import now_ticks

DAMAGED = "damaged"
Span = tuple[int, int]


@dataclass
class Losses:
    """What opening found. lost: epoch -> ranges gone for good. tail_unknown: entries may have stood after the last one held."""

    texts: list[str] = field(default_factory=list)
    lost: dict[int, list[Span]] = field(default_factory=dict)
    tail_unknown: bool = False

    def unsure(self, text: str) -> None:
        """Something may be gone after the last entry held: its successors must not get identities that were used already."""
        self.texts.append(text)
        self.tail_unknown = True

    @property
    def new_epoch(self) -> bool:
        """Whether identities of this epoch must not be given out any more."""
        return self.tail_unknown or any(self.lost.values())


def _aside(directory: Path, path: Path) -> Path:
    folder = directory / DAMAGED
    folder.mkdir(mode=0o700, exist_ok=True)
    number = 1
    while (target := folder / f"{path.name}.{number}").exists() or target.with_name(target.name + "-wal").exists():
        number += 1
    return target


def set_aside(directory: Path, path: Path) -> Path:
    """Move a file with its WAL out of the way, unchanged; return where it is kept."""
    target = _aside(directory, path)
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    sqlite.sync_directory(path.parent)
    sqlite.sync_directory(target.parent)
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
    """Set a damaged segment aside and write its provable entries anew: (its new row, ranges that are gone)."""
    path = store.picture.path(one)
    kept = set_aside(store.directory, path)
    rows, facts = carve.rows(kept, one.epoch)
    rows = {seq: row for seq, row in rows.items() if one.first <= seq <= segment.last_of(one.first)}
    last = one.last if one.last is not None else max(rows, default=one.first - 1)
    lost = _missing(one.first, last, rows)
    new = _write(store, one, path, rows, facts) if rows else replace(one, state="damaged")
    whole = not lost and one.last is not None
    new = replace(new, last=last, root=one.root if whole else None, digest=one.digest or new.digest, total=one.total or new.total)
    if rows or one.last is not None:
        store.catalogue.put_segments([new])
    else:
        store.catalogue.forget_segment(one.epoch, one.first)
    gone = f"{sum(high - low + 1 for low, high in lost)} are lost" if lost else "none of them is lost" if whole else "its end is uncertain"
    losses.texts.append(f"{path.name} was damaged and is kept as {kept}; {len(rows)} of its entries are whole, {gone}")
    return new, lost


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
