"""Decide which closed segments may go, and remove them.

A segment may go when every required receiver has confirmed it, and was found to hold the same where that is asked for; nothing in it is in
quarantine, no open batch and no hold needs it, and retain_days are over or the space is needed. Nothing unconfirmed is ever removed.

A segment goes in two steps: a call of `prune` names it and returns the content of the audit event; the next call, once an entry has been
committed after that, removes the file. So no segment is gone without its audit entry.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, NamedTuple

from buffer.catalogue import Segment
from buffer.chain import Tree
from buffer.segment import first_of
from buffer.store import Store, remove
from buffer.times import TICKS_PER_S, now_ticks

EARLIEST_TICKS = 17_000_000_000_000_000
"""2023-11-14: no journal is older, so a segment closed before that was closed by a wrong clock."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """Segments that go, consecutive ones of one epoch. early: retain_days yielded to the space there is. roots: their subtree roots, hex.

    A segment that was salvaged with losses has no root.
    """

    epoch: int
    first: int
    last: int
    bytes: int
    roots: tuple[str, ...]
    early: bool

    def audit(self) -> dict[str, Any]:
        """Return `what` of the audit event: range, count and roots (URS-BUF-06)."""
        tree = Tree()
        for root in self.roots:
            tree.append(bytes.fromhex(root))
        return {
            "epoch": self.epoch,
            "first": self.first,
            "last": self.last,
            "entries": self.last - self.first + 1,
            "bytes": self.bytes,
            "root": tree.root().hex(),
            "cause": "max_bytes or the end of the disk came before retain_days" if self.early else "retain_days over",
        }


Reconciled = Callable[[int, int], bool]
"""(epoch, first entry of a segment) -> whether every receiver that is to be compared with was found to hold the same."""


def prune(
    store: Store, retain_s: float, open_since_seq: int | None, *, clock_verified: bool = True, reconciled: Reconciled | None = None
) -> Pruned | None:
    """Remove the segments that the last call named, and name those that may go now; None if none. Writer thread.

    A clock that is not verified makes no segment old enough to go, and gives none that is closed meanwhile a date. A segment that was
    closed at an impossible time is as old as the first call with a verified clock. reconciled: None: nobody is waited for.
    """
    _remove_named(store)
    if clock_verified:
        _redate(store)
        store.dated = {(segment.epoch, segment.first) for segment in store.view.segments if segment.state == "closed"}
    else:
        _doubt(store)
    needed = _needs(store, open_since_seq, reconciled)
    named, early = _named(store, retain_s, needed, clock_verified=clock_verified)
    if not named:
        return None
    store.pending_removal = {(segment.epoch, segment.first): store.view.last for segment in named}
    roots = tuple(segment.root.hex() for segment in named if segment.root is not None)
    return Pruned(named[0].epoch, named[0].first, named[-1].last or 0, sum(segment.file_bytes for segment in named), roots, early)


def _named(store: Store, retain_s: float, needed: Callable[[Segment], bool], *, clock_verified: bool) -> tuple[list[Segment], bool]:
    """Choose the oldest segments that may go, one range without holes: an audit entry speaks of it. Also: whether one is not yet old."""
    excess = store.space.excess_bytes()
    named: list[Segment] = []
    early = False
    for segment in store.view.segments:
        if segment.state != "closed" or (segment.epoch, segment.first) in store.pending_removal:
            continue
        over = retain_s == 0 or (clock_verified and now_ticks() - segment.ticks > retain_s * TICKS_PER_S)
        # Oldest first: none of the following is older.
        if not over and excess <= 0:
            break
        if needed(segment):
            if named:
                break
            continue  # it stays by itself: one refused entry must not keep everything after it, until the journal is full
        if named and (segment.epoch, segment.first) != (named[-1].epoch, (named[-1].last or 0) + 1):
            break
        early = early or not over
        excess -= segment.file_bytes
        named.append(segment)
    return named, early


Hold = tuple[int, int, int | None]
"""(epoch, first seq, last seq); without a last one everything from first on, the following epochs included."""


def widened(hold: Hold, other: Hold) -> Hold:
    """Return the smallest hold that keeps what either of two keeps."""
    (epoch, first), (later, _) = sorted([hold[:2], other[:2]])
    last = None if hold[2] is None or other[2] is None or epoch != later else max(hold[2], other[2])
    return epoch, first, last


def _held(hold: Hold, segment: Segment) -> bool:
    epoch, first, end = hold
    return (epoch, first) <= (segment.epoch, segment.last or 0) and (end is None or (epoch, end) >= (segment.epoch, segment.first))


def _needs(store: Store, open_since_seq: int | None, reconciled: Reconciled | None) -> Callable[[Segment], bool]:
    """Return a function that is True for a closed segment that must stay, whatever its age and the space."""
    confirmed = min((cursor.at for cursor in store.receipts.cursors().values() if cursor.required), default=None)
    refused = {(item.epoch, first_of(item.seq)) for item in store.receipts.quarantined() if item.state == "held"}
    holds = list(store.holds.values())
    begun = any(item.epoch == store.view.epoch and item.last for item in store.view.segments)

    def needed(item: Segment) -> bool:
        last = item.last or 0
        if (confirmed is not None and confirmed < (item.epoch, last)) or (item.epoch, item.first) in refused:
            return True
        if any(_held(hold, item) for hold in holds) or (reconciled is not None and not reconciled(item.epoch, item.first)):
            return True
        if open_since_seq is None:
            return False
        if item.epoch == store.view.epoch:
            return last >= open_since_seq
        # a batch open when the epoch changed may need all of the one before: it stays until the new epoch has its first segment closed
        return open_since_seq > store.view.seq or not begun

    return needed


class Retained(NamedTuple):
    """Number of closed segments, and how many of them must stay for each reason. One may have several, so they do not add up."""

    closed: int
    holds: int
    open_batch: int
    unconfirmed: int
    not_reconciled: int = 0


def retained(store: Store, open_since_seq: int | None, reconciled: Reconciled | None = None) -> Retained:
    """Count what must stay now, whatever retain_days and max_bytes allow. Any thread; reads no file."""
    with store.view.lock:
        closed = [segment for segment in store.view.segments if segment.state == "closed"]
        epoch, seq = store.view.epoch, store.view.seq
    before = bisect_left(closed, epoch, key=lambda segment: segment.epoch)
    open_batch = 0
    if open_since_seq is not None:
        open_batch = sum((segment.last or 0) >= open_since_seq for segment in closed[before:])
        open_batch += before if open_since_seq > seq or before == len(closed) else 0  # as `_needs` has it
    confirmed = min((cursor.at for cursor in store.receipts.cursors().values() if cursor.required), default=None)
    unconfirmed = (
        0 if confirmed is None else len(closed) - bisect_right(closed, confirmed, key=lambda segment: (segment.epoch, segment.last or 0))
    )
    differing = 0 if reconciled is None else sum(not reconciled(segment.epoch, segment.first) for segment in closed)
    return Retained(len(closed), _held_among(closed, store.holds.values()), open_batch, unconfirmed, differing)


def _held_among(closed: list[Segment], holds: Iterable[Hold]) -> int:
    """Count the segments of a sorted list that at least one hold keeps."""
    spans = []
    for epoch, first, end in holds:
        low = bisect_left(closed, (epoch, first), key=lambda segment: (segment.epoch, segment.last or 0))
        spans.append(
            (low, len(closed) if end is None else bisect_right(closed, (epoch, end), key=lambda segment: (segment.epoch, segment.first)))
        )
    count = reached = 0
    for low, high in sorted(spans):
        count += max(high - max(low, reached), 0)
        reached = max(reached, high)
    return count


def _redate(store: Store) -> None:
    """Give segments the latest date that they can have where theirs was made by a wrong clock. Theirs is wrong if their order says so.

    A segment was closed after the one before it, and before the one after it and now. One that breaks this, or was closed in 1970, is as
    young as the next right one: it is kept too long, never too short.
    """
    closed = [segment for segment in store.view.segments if segment.state == "closed"]
    latest, dated = now_ticks(), {}
    earliest = list(accumulate((s.ticks if s.ticks <= latest else 0 for s in closed), max, initial=EARLIEST_TICKS))
    for place in reversed(range(len(closed))):
        segment = closed[place]
        if not earliest[place] <= segment.ticks <= latest:
            dated[segment.epoch, segment.first] = replace(segment, ticks=latest)
        else:
            latest = segment.ticks
    _date(store, dated)


def _doubt(store: Store) -> None:
    """Forget the date of segments that were closed while the clock was not verified: their age begins when it is."""
    closed = {(segment.epoch, segment.first): segment for segment in store.view.segments if segment.state == "closed"}
    if store.dated is not None:
        _date(store, {place: replace(segment, ticks=0) for place, segment in closed.items() if place not in store.dated})
    store.dated = set(closed)


def _date(store: Store, dated: Mapping[tuple[int, int], Segment]) -> None:
    if not dated:
        return
    store.catalogue.put_segments(dated.values())
    with store.view.lock:
        store.view.segments = [dated.get((segment.epoch, segment.first), segment) for segment in store.view.segments]


def _remove_named(store: Store) -> None:
    """Remove the files that the call before named, if an entry has been committed since."""
    if not store.pending_removal or any(store.view.last <= at for at in store.pending_removal.values()):
        return
    store.save_receipts()  # a cursor must not be older on disk than what is removed for it
    gone = [segment for segment in store.view.segments if (segment.epoch, segment.first) in store.pending_removal]
    # Noted before the files go: cut short in between, the next start removes them. The other way round they would look lost.
    store.catalogue.put_segments([replace(segment, state="pruned") for segment in gone])
    with store.view.lock:
        store.view.segments = [segment for segment in store.view.segments if segment not in gone]
    for segment in gone:
        remove(store.view.path(segment))
    store.pending_removal = {}
