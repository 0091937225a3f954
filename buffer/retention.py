"""When a segment may go: every required receiver has it, nobody still needs it, and its time is over or the space is needed.

Nothing unconfirmed is ever shed. A segment goes in two steps: a call of `prune` names it and returns what the audit trail must say; the
next call, once an entry has been committed after that, removes the file. So no segment is gone without its audit entry.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from buffer.catalogue import Segment
from buffer.chain import Tree
from buffer.segment import first_of
from buffer.store import Store, remove
from buffer.times import TICKS_PER_S, now_ticks

EARLIEST_TICKS = 17_000_000_000_000_000  # 2023-11-14: no journal is older
AHEAD_TICKS = 86_400 * TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Pruned:
    """Segments that go, all of one epoch and consecutive. early: retain_days yielded to the space there is. roots: their hex subtree roots.

    A segment that was salvaged with losses has none.
    """

    epoch: int
    first: int
    last: int
    bytes: int
    roots: tuple[str, ...]
    early: bool

    def audit(self) -> dict[str, Any]:
        """`what` of the audit event: range, count and roots (URS-BUF-06)."""
        tree = Tree()
        for one in self.roots:
            tree.append(bytes.fromhex(one))
        return {
            "epoch": self.epoch,
            "first": self.first,
            "last": self.last,
            "entries": self.last - self.first + 1,
            "bytes": self.bytes,
            "root": tree.root().hex(),
            "cause": "max_bytes or the end of the disk came before retain_days" if self.early else "retain_days over",
        }


def prune(store: Store, retain_s: float, open_since_seq: int | None, *, clock_verified: bool = True) -> Pruned | None:
    """Remove what the last call named, and name what may go now; None if nothing. Writer thread.

    Nothing goes for its age by a clock that is not verified; what was closed at a time that can not be counts from the first verified one.
    """
    _remove_named(store)
    if clock_verified:
        _date_anew(store)
    held = [one for one in store.picture.segments if one.state == "closed" and (one.epoch, one.first) not in store.pending_removal]
    excess = store.excess_bytes()
    needed = _needs(store, open_since_seq)
    named: list[Segment] = []
    early = False
    for one in held:
        over = retain_s == 0 or (clock_verified and now_ticks() - one.ticks > retain_s * TICKS_PER_S)
        if not over and excess <= 0:
            break
        if needed(one):
            if named:
                break
            continue  # it stays by itself: one refused entry must not keep everything after it, until the journal is full
        if named and (one.epoch, one.first) != (named[-1].epoch, (named[-1].last or 0) + 1):
            break
        early = early or not over
        excess -= one.file_bytes
        named.append(one)
    if not named:
        return None
    store.pending_removal = {(one.epoch, one.first): store.picture.last for one in named}
    roots = tuple(one.root.hex() for one in named if one.root is not None)
    return Pruned(named[0].epoch, named[0].first, named[-1].last or 0, sum(one.file_bytes for one in named), roots, early)


Hold = tuple[int, int, int | None]
"""(epoch, first seq, last seq); without a last one everything from there on, the following epochs included"""


def widened(one: Hold, other: Hold) -> Hold:
    """The hold that keeps what either keeps."""
    (epoch, first), (later, _) = sorted([one[:2], other[:2]])
    last = None if one[2] is None or other[2] is None or epoch != later else max(one[2], other[2])
    return epoch, first, last


def _held(hold: Hold, one: Segment) -> bool:
    epoch, first, end = hold
    return (epoch, first) <= (one.epoch, one.last or 0) and (end is None or (epoch, end) >= (one.epoch, one.first))


def _needs(store: Store, open_since_seq: int | None) -> Callable[[Segment], bool]:
    """Whether a closed segment must stay, whatever its age and the space."""
    confirmed = min((cursor.at for cursor in store.receipts.cursors().values() if cursor.required), default=None)
    refused = {(one.epoch, first_of(one.seq)) for one in store.receipts.quarantined() if one.state == "held"}
    holds = list(store.holds.values())
    begun = any(one.epoch == store.picture.epoch and one.last for one in store.picture.segments)

    def needed(one: Segment) -> bool:
        last = one.last or 0
        if (confirmed is not None and confirmed < (one.epoch, last)) or (one.epoch, one.first) in refused:
            return True
        if any(_held(hold, one) for hold in holds):
            return True
        if open_since_seq is None:
            return False
        if one.epoch == store.picture.epoch:
            return last >= open_since_seq
        # a batch open when the epoch changed may need all of the one before: it stays until the new epoch has its first segment closed
        return open_since_seq > store.picture.seq or not begun

    return needed


class Retained(NamedTuple):
    """Closed segments, and how many of them retention must leave for each reason; one may have several, so they do not add up."""

    closed: int
    holds: int
    open_batch: int
    unconfirmed: int


def retained(store: Store, open_since_seq: int | None) -> Retained:
    """What may not go now, whatever retain_days and max_bytes say. Any thread; reads no file."""
    with store.picture.lock:
        closed = [one for one in store.picture.segments if one.state == "closed"]
        epoch, seq = store.picture.epoch, store.picture.seq
    before = bisect_left(closed, epoch, key=lambda one: one.epoch)
    open_batch = 0
    if open_since_seq is not None:
        open_batch = sum((one.last or 0) >= open_since_seq for one in closed[before:])
        open_batch += before if open_since_seq > seq or before == len(closed) else 0  # as `_needs` has it
    confirmed = min((cursor.at for cursor in store.receipts.cursors().values() if cursor.required), default=None)
    unconfirmed = 0 if confirmed is None else len(closed) - bisect_right(closed, confirmed, key=lambda one: (one.epoch, one.last or 0))
    return Retained(len(closed), _held_among(closed, store.holds.values()), open_batch, unconfirmed)


def _held_among(closed: list[Segment], holds: Iterable[Hold]) -> int:
    """How many of these, which stand in order, at least one hold keeps."""
    spans = []
    for epoch, first, end in holds:
        low = bisect_left(closed, (epoch, first), key=lambda one: (one.epoch, one.last or 0))
        spans.append((low, len(closed) if end is None else bisect_right(closed, (epoch, end), key=lambda one: (one.epoch, one.first))))
    count = reached = 0
    for low, high in sorted(spans):
        count += max(high - max(low, reached), 0)
        reached = max(reached, high)
    return count


def _date_anew(store: Store) -> None:
    """A segment closed while the clock was wrong (a computer that began in 1970, a jump ahead) is closed now, as far as its age goes."""
    now = now_ticks()
    wrong = [one for one in store.picture.segments if one.state == "closed" and not EARLIEST_TICKS <= one.ticks <= now + AHEAD_TICKS]
    if not wrong:
        return
    dated = {(one.epoch, one.first): replace(one, ticks=now) for one in wrong}
    store.catalogue.put_segments(dated.values())
    with store.picture.lock:
        store.picture.segments = [dated.get((one.epoch, one.first), one) for one in store.picture.segments]


def _remove_named(store: Store) -> None:
    """Remove the files named by the call before, if an entry has been committed since."""
    if not store.pending_removal or any(store.picture.last <= at for at in store.pending_removal.values()):
        return
    store.save_receipts()  # a cursor must not be older on disk than what is removed for it
    gone = [one for one in store.picture.segments if (one.epoch, one.first) in store.pending_removal]
    store.catalogue.put_segments([replace(one, state="pruned") for one in gone])
    with store.picture.lock:
        store.picture.segments = [one for one in store.picture.segments if one not in gone]
    for one in gone:
        remove(store.picture.path(one))
    store.pending_removal = {}
