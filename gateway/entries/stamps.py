"""Keeps when entries were committed, sent and confirmed, and tells it as `stamps` events: per commit, page and receipt, never per value.

An entry can not hold these instants: they come after its bytes are fixed. So later entries do, as runs of consecutive entries
(docs/decisions/0137). What was not kept is not known: nothing is made up.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from buffer import Entry
from gateway.entries.ticks import rfc3339

NAME = "stamps-pending.jsonl"
"""In the journal's folder: what has not been told in an entry yet, an `Item` a line."""
MOST_OF_A_RUN = 500
"""Instants in one run: a long one is told in several."""
MOST_KEPT = 20_000
"""Instants that wait to be told, some 200 KB; where the journal takes nothing for so long, those that come are counted alone."""
LARGEST_EVENT_BYTES = 48_000
ITEM_BYTES, RUN_BYTES, REFERENCE_BYTES = 26, 260, 160
"""What an instant, the rest of a run, and a receiver's reference take at most in an event."""
LONGEST_REFERENCE = 120

Position = tuple[int, int]
What = Literal["committed", "sent", "tried", "confirmed"]
By = Literal["receipt", "delivery"]
KINDS = frozenset({"committed", "sent", "tried", "confirmed"})


class Instant(NamedTuple):
    """UTC in ticks by the gateway's clock, in whole microseconds; and how far it may be wrong, None: nobody knows."""

    ticks: int
    bound_s: float | None


class Item(NamedTuple):
    """One instant of the entries after `after` through `through` (epoch, seq); uplink and by None where none is meant."""

    what: What
    uplink: str | None
    by: By | None
    after: Position
    through: Position
    ticks: int
    bound_s: float | None
    theirs_ticks: int | None = None
    references: dict[str, str] | None = None


@dataclass(slots=True)
class Run:
    """Consecutive entries of an epoch after `after`: `entries[i]` more of them at the i-th instant, `us[i]` after the one before.

    The first instant is `begin`, so `us[0]` is 0. bound_s: the widest of all. theirs_us: the receiver's own stamp against each instant,
    positive where its clock says later. references: seq -> what the receiver calls the record.
    """

    what: What
    uplink: str | None
    by: By | None
    epoch: int
    after: int
    begin: Instant
    last: Instant
    through: int
    entries: list[int] = field(default_factory=list)
    us: list[int] = field(default_factory=list)
    theirs_us: list[int | None] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)

    def takes(self, item: Item) -> bool:
        """Return True if an item goes on where this run ends. One whose bound is not known begins a run of its own."""
        same = (self.what, self.uplink, self.by, self.epoch, self.through) == (item.what, item.uplink, item.by, *item.after)
        has_room = len(self.us) < MOST_OF_A_RUN and self.bytes < LARGEST_EVENT_BYTES // 2
        return same and has_room and (self.begin.bound_s is None) == (item.bound_s is None)

    def add(self, item: Item) -> None:
        """Add an item that goes on where this run ends."""
        through = item.through[1]
        self.entries.append(through - self.through)
        us = (item.ticks - self.last.ticks) // 10
        self.us.append(us)
        self.theirs_us.append(None if item.theirs_ticks is None else (item.theirs_ticks - item.ticks) // 10)
        self.references |= item.references or {}
        wider = None if item.bound_s is None or self.last.bound_s is None else max(item.bound_s, self.last.bound_s)
        self.last, self.through = Instant(item.ticks, wider), through

    @property
    def bytes(self) -> int:
        """The most that it takes in an event."""
        return RUN_BYTES + ITEM_BYTES * len(self.us) + REFERENCE_BYTES * len(self.references)

    def told(self) -> dict[str, Any]:
        """Return it as it stands in an event."""
        bound_s = self.last.bound_s
        item: dict[str, Any] = {"what": self.what, "uplink": self.uplink, "by": self.by, "epoch": self.epoch, "after": self.after}
        item |= {"from": rfc3339(self.begin.ticks), "bound_s": None if bound_s is None else round(bound_s, 6)}
        item |= {"entries": self.entries, "us": self.us}
        if any(one is not None for one in self.theirs_us):
            item["theirs_us"] = self.theirs_us
        if self.references:
            item["references"] = self.references
        return {name: value for name, value in item.items() if value is not None or name == "bound_s"}


class Stamps:
    """What has happened to entries and was not told yet. `committed` may be called in any thread, all else in the loop's."""

    def __init__(self, stamp: Callable[[int], Instant], after: Position, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """stamp: turns a monotonic instant into UTC. after: the last entry when the journal was opened."""
        self._stamp, self._monotonic_ns = stamp, monotonic_ns
        self._committed_to = after
        self._commits: deque[tuple[Position, int]] = deque()
        self._fresh: list[Item] = []
        self._runs: list[Run] = []
        self._open: dict[tuple[What, str | None], Run] = {}
        self._references: dict[str, dict[Position, str]] = {}
        self._count = self._not_kept = 0

    def now_ns(self) -> int:
        """Return the present instant, for what is said of it later."""
        return self._monotonic_ns()

    def committed(self, last: Position) -> None:
        """Note that everything through `last` is durable."""
        self._commits.append((last, self._monotonic_ns()))

    def sent(self, uplink: str, entries: Sequence[Entry], at_ns: int, *, arrived: bool = True) -> None:
        """Note that entries, in order, were handed to the receiver at an instant. arrived False: an error came back, nobody knows."""
        what: What = "sent" if arrived else "tried"
        for first, last in _spans(entries):
            self._add(what, uplink, None, (first[0], first[1] - 1), last, self._stamp(at_ns))

    def confirmed(self, uplink: str, after: Position, through: Position, by: By, theirs_ticks: int | None = None) -> None:
        """Note that the receiver holds everything through an entry, as its receipt proves, or (delivery) as the transport says.

        after: what was confirmed before. theirs_ticks: the receiver's own stamp.
        """
        place = after if after[0] == through[0] else (through[0], 0)
        self._add("confirmed", uplink, by, place, through, self._stamp(self._monotonic_ns()), theirs_ticks)

    def referred(self, uplink: str, position: Position, reference: str) -> None:
        """Note what the receiver calls the record of an entry; told with the confirmation that follows."""
        self._references.setdefault(uplink, {})[position] = reference[:LONGEST_REFERENCE]

    def settle(self) -> None:
        """Turn the instants of commits into UTC, soon after they were: a clock that is set later does not change them."""
        while self._commits:
            last, at_ns = self._commits.popleft()
            after, self._committed_to = self._committed_to, last
            if last[0] != after[0]:
                after = (last[0], 0)
            if last > after:
                self._add("committed", None, None, after, last, self._stamp(at_ns))

    def fresh(self) -> list[Item]:
        """Return what was noted since this was called last: to be kept until an entry tells it."""
        self.settle()
        fresh, self._fresh = self._fresh, []
        return fresh

    def again(self, items: Iterable[Item]) -> None:
        """Take what an earlier run kept and did not tell."""
        for item in items:
            self._put(item)

    @property
    def waiting(self) -> int:
        """Number of instants that wait to be told."""
        return self._count + len(self._commits)

    def take(self) -> list[dict[str, Any]]:
        """Return what has happened since the last call as `stamps` events, each small enough for an entry."""
        self.settle()
        runs, not_kept = self._runs, self._not_kept
        self._runs, self._open, self._count, self._not_kept = [], {}, 0, 0
        events: list[dict[str, Any]] = [{"type": "stamps", "runs": [run.told() for run in some]} for some in _events(runs)]
        if not_kept:
            events = events or [{"type": "stamps", "runs": []}]
            events[-1]["not_kept"] = not_kept
        return events

    def _add(
        self, what: What, uplink: str | None, by: By | None, after: Position, through: Position, now: Instant,
        theirs_ticks: int | None = None,
    ) -> None:  # fmt: skip
        of_page = self._references.pop(uplink, {}) if what == "confirmed" and uplink is not None else {}
        if self._count >= MOST_KEPT:
            self._not_kept += 1
            return
        references = {str(seq): text for (epoch, seq), text in of_page.items() if epoch == through[0]}
        # Whole microseconds, so that what is told twice, in other runs, is the same instant.
        item = Item(what, uplink, by, after, through, now.ticks // 10 * 10, now.bound_s, theirs_ticks, references or None)
        self._fresh.append(item)
        self._put(item)

    def _put(self, item: Item) -> None:
        run = self._open.get((item.what, item.uplink))
        if run is None or not run.takes(item):
            begin = Instant(item.ticks, item.bound_s)
            run = Run(item.what, item.uplink, item.by, *item.after, begin, begin, item.after[1])
            self._runs.append(run)
            self._open[item.what, item.uplink] = run
        run.add(item)
        self._count += 1


def _spans(entries: Sequence[Entry]) -> Iterator[tuple[Position, Position]]:
    """Yield (first, last) of each stretch of consecutive entries: a page may lie across a hole, or the end of an epoch."""
    begin = 0
    for place in range(1, len(entries) + 1):
        before = entries[place - 1]
        if place == len(entries) or (entries[place].epoch, entries[place].seq) != (before.epoch, before.seq + 1):
            yield (entries[begin].epoch, entries[begin].seq), (before.epoch, before.seq)
            begin = place


def _events(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Yield the runs of one event after the other."""
    some: list[Run] = []
    size = 0
    for run in runs:
        if some and size + run.bytes > LARGEST_EVENT_BYTES:
            yield some
            some, size = [], 0
        some.append(run)
        size += run.bytes
    if some:
        yield some


def read_items(path: Path) -> list[Item]:
    """Read what was kept and not told; the last line may have been cut short by a crash. Raises ValueError for what is none of it."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except FileNotFoundError:
        return []
    try:
        return [_item(json.loads(line)) for line in lines[:-1]]
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"a line that is no instant: {error}") from error


def _item(told: Any) -> Item:
    """Make an item of a line. Raises ValueError, TypeError."""
    item = Item(*told)
    after, through = tuple(item.after), tuple(item.through)
    numbers = (*after, *through, item.ticks, 0 if item.theirs_ticks is None else item.theirs_ticks)
    if item.what not in KINDS or len(numbers) != 6 or any(type(one) is not int for one in numbers):
        raise ValueError(f"no instant: {told!r:.80}")
    return item._replace(after=(after[0], after[1]), through=(through[0], through[1]))
