"""Set damage aside, unchanged; write anew what can be proved of it, under the same identities; name what can not."""

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from buffer import segment as segments
from buffer import sqlite
from buffer.catalogue import Segment
from buffer.repair import carve
from buffer.store import Store, file_sha256
from buffer.times import now_ticks

DAMAGED = "damaged"
SUFFIXES = ("-wal", "-journal", "")
"""In the order of moving: the file itself last, so that a log without its file is set aside too, and a file without its log never is."""
Span = tuple[int, int]
"""(first, last) seq of a range of entries."""
_COPY = re.compile(r"\.(\d+)(?:-wal)?$")


@dataclass
class Losses:
    """Damage and losses found while opening. lost: ranges that are gone for good, by epoch. tail_unknown: later entries may have existed.

    A salvage may itself be cut short, and is then done again from what was set aside. So until the next epoch has begun, journal.db holds
    no more than the doubt: tail_unknown, and the `holes` (epoch, first, last) between segments. Rows of segments written anew (`rebuilt`),
    or found empty (`forgotten`), get there in the transaction that begins the epoch.
    """

    texts: list[str] = field(default_factory=list)
    lost: dict[int, list[Span]] = field(default_factory=dict)
    tail_unknown: bool = False
    holes: list[tuple[int, int, int]] = field(default_factory=list)
    rebuilt: list[Segment] = field(default_factory=list)
    forgotten: list[tuple[int, int]] = field(default_factory=list)

    def suspect_tail(self, text: str) -> None:
        """Note that entries may be missing after the last one held: their successors must not get identities that were used already."""
        self.texts.append(text)
        self.tail_unknown = True

    def add_hole(self, epoch: int, first: int, last: int) -> None:
        """Note that entries between two segments are missing."""
        if (epoch, first, last) not in self.holes:
            self.holes.append((epoch, first, last))
            self.lost.setdefault(epoch, []).append((first, last))

    def doubt(self) -> str:
        """Return, as JSON, what journal.db must hold before anything is moved or closed."""
        return json.dumps({"tail_unknown": self.tail_unknown, "holes": self.holes})

    def restore_doubt(self, doubt: str) -> None:
        """Take over the doubt of an earlier start that found damage and was cut short."""
        stated = json.loads(doubt)
        self.texts.append("the start before this one found damage and was cut short; it is done again")
        self.tail_unknown = self.tail_unknown or stated["tail_unknown"]
        for epoch, first, last in stated["holes"]:
            self.add_hole(epoch, first, last)

    @property
    def new_epoch(self) -> bool:
        """True if no identity of this epoch may be given out any more."""
        return self.tail_unknown or any(self.lost.values())


def _free_place(directory: Path, path: Path) -> Path:
    folder = directory / DAMAGED
    if not folder.exists():
        folder.mkdir(mode=0o700)
        sqlite.sync_directory(directory)
    number = 1
    while (target := folder / f"{path.name}.{number}").exists() or target.with_name(target.name + "-wal").exists():
        number += 1
    return target


def set_aside(directory: Path, path: Path) -> Path:
    """Move a file with its log out of the way, unchanged; return its new place."""
    target = _free_place(directory, path)
    for suffix in SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    sqlite.sync_directory(target.parent)  # first: it may be in both places after a power cut, never in none
    sqlite.sync_directory(path.parent)
    return target


def copy_aside(directory: Path, path: Path) -> Path:
    """Copy a file and its log out of the way before SQLite changes them; return the copy's place."""
    target = _free_place(directory, path)
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + suffix))
    return target


def rebuild(store: Store, segment: Segment, losses: Losses) -> tuple[Segment, list[Span]]:
    """Set a damaged segment aside and write its provable entries anew: (its new row, ranges that are lost).

    All copies of it that were ever set aside are read: a salvage that was cut short has left the only good one there.
    """
    # First the doubt, then the mark: whatever follows may be cut short, and the next start must come here again.
    store.catalogue.note(doubt=losses.doubt())
    store.catalogue.put_segments([replace(segment, state="suspect")])
    path = store.view.path(segment)
    aside = set_aside(store.directory, path)
    rows, facts = _proved(aside, segment)
    last = segment.last if segment.last is not None else max(rows, default=segment.first - 1)
    lost = _missing(segment.first, last, rows)
    rebuilt = _write(store, segment, path, rows, facts) if rows else replace(segment, state="damaged")
    whole = not lost and segment.last is not None
    rebuilt = replace(
        rebuilt,
        last=last,
        root=segment.root if whole else None,
        digest=segment.digest or rebuilt.digest,
        total=segment.total or rebuilt.total,
    )
    if rows or segment.last is not None:
        losses.rebuilt.append(rebuilt)
    else:
        losses.forgotten.append((segment.epoch, segment.first))
    gone = f"{sum(high - low + 1 for low, high in lost)} are lost" if lost else "none of them is lost" if whole else "its end is uncertain"
    losses.texts.append(f"{path.name} was damaged and is kept as {aside}; {len(rows)} of its entries are whole, {gone}")
    return rebuilt, lost


def _proved(aside: Path, segment: Segment) -> tuple[dict[int, segments.Row], dict[str, segments.Fact]]:
    """Return the entries and facts of a segment that any copy set aside proves, the newest copy first.

    A power cut may have moved a file and not its log: every file is read with every log, because nothing unproved comes out.
    """
    numbered = [(int(match[1]), path) for path in aside.parent.glob(f"{aside.stem}.*") if (match := _COPY.search(path.name))]
    newest = [path for _, path in sorted(numbered, reverse=True)]
    files = [path for path in newest if not path.name.endswith("-wal")] or [aside]
    logs = [path for path in newest if path.name.endswith("-wal")] or [aside.with_name(f"{aside.name}-wal")]
    rows: dict[int, segments.Row] = {}
    facts: carve.Versions = {}
    whole = 0
    for file, log in [(file, log) for file in files for log in logs]:
        proved = carve.rows(file, log, segment.epoch)
        rows, whole = {**proved.entries, **rows}, max(whole, proved.whole)
        for name, versions in proved.facts.items():
            facts.setdefault(name, {}).update(versions)
    held = {seq: rows[seq] for seq in sorted(rows) if segment.first <= seq <= segments.last_of(segment.first)}
    return held, _holding(facts, (segment.epoch, _unbroken(held, max(whole, segment.first - 1))))


def _unbroken(held: Mapping[int, object], whole: int) -> int:
    """Return the last entry held before which none is missing of the log's last transaction. whole: the last entry before that one."""
    last = max(held, default=whole)
    return next((seq - 1 for seq in range(whole + 1, last) if seq not in held), last)


def _holding(facts: carve.Versions, end: tuple[int, int]) -> dict[str, segments.Fact]:
    """Return the newest version of each fact that does not lie after an entry.

    The page of a watermark may be whole and that of its entry torn: a source that went on behind it would never tell that entry again.
    """
    counting = {name: [at for at in versions if at <= end] for name, versions in facts.items()}
    return {name: facts[name][max(at)] for name, at in counting.items() if at}


def _write(store: Store, segment: Segment, path: Path, rows: dict[int, segments.Row], facts: dict[str, segments.Fact]) -> Segment:
    previous = None if segment.previous is None else segment.previous.hex()
    about = {"gateway": store.gateway, "epoch": segment.epoch, "first": segment.first, "previous": previous, "salvaged": 1}
    db = segments.create(path, about)
    segments.insert(db, [rows[seq] for seq in sorted(rows)], facts)
    segments.close(db, path)
    end = rows[max(rows)]
    size = path.stat().st_size
    return replace(segment, state="closed", file_bytes=size, ticks=now_ticks(), digest=end[1], total=end[2], sha256=file_sha256(path))


def _missing(first: int, last: int, rows: dict[int, segments.Row]) -> list[Span]:
    lost: list[Span] = []
    for seq in range(first, last + 1):
        if seq not in rows:
            if lost and lost[-1][1] == seq - 1:
                lost[-1] = lost[-1][0], seq
            else:
                lost.append((seq, seq))
    return lost


def declared_lost(events: Iterable[Mapping[str, Any]]) -> dict[int, list[Span]]:
    """Collect what `epoch` events declare as lost in the epochs before them: spans by epoch, in order."""
    spans: dict[int, set[Span]] = {}
    for event in events:
        for epoch, lost in {event["follows"]: event["lost"], **event.get("lost_before", {})}.items():
            if epoch is not None:
                spans.setdefault(int(epoch), set()).update((low, high) for low, high in lost)
    return {epoch: sorted(found) for epoch, found in spans.items()}
