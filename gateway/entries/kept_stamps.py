"""Reads when entries were committed, sent and confirmed from the `stamps` events of a journal, for the entries that are asked for."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from buffer.times import from_rfc3339
from gateway.entries.stamps import NAME, Instant, Stamps, read_items

Position = tuple[int, int]


@dataclass(slots=True)
class Outside:
    """What one uplink did with an entry. Ticks by the gateway's clock, but for `theirs`: the receiver's own; None: not known.

    sent_at: each instant at which it was handed over; tried_at: those at which an error came back. One that is told twice counts once.
    through: the last entry that the receipt confirmed with it. by: what confirmed it. bound_s: how far `confirmed` may be wrong.
    """

    sent_at: set[int] = field(default_factory=set)
    tried_at: set[int] = field(default_factory=set)
    confirmed: int | None = None
    bound_s: float | None = None
    theirs: int | None = None
    through: Position | None = None
    by: str | None = None
    reference: str | None = None

    @property
    def sent(self) -> int | None:
        """When it was handed over first, whatever came back."""
        return min(self.sent_at | self.tried_at, default=None)

    @property
    def last_sent(self) -> int | None:
        """When it was handed over last."""
        return max(self.sent_at | self.tried_at, default=None)


@dataclass(slots=True)
class Kept:
    """What is known of one entry. committed: ticks; bound_s: how far that may be wrong."""

    committed: int | None = None
    bound_s: float | None = None
    uplinks: dict[str, Outside] = field(default_factory=dict)


class KeptStamps:
    """Gathers from `stamps` events, as they come. told_through: the last entry whose commit one tells: later ones are not told yet."""

    def __init__(self) -> None:
        self.told_through: Position = (0, 0)
        self._wanted: dict[Position, Kept] = {}
        self._seqs: dict[int, list[int]] = {}  # of the wanted ones, by epoch, sorted

    def want(self, position: Position) -> Kept:
        """Ask for an entry; what later events say of it is filled in."""
        if position not in self._wanted:
            self._wanted[position] = Kept()
            insort(self._seqs.setdefault(position[0], []), position[1])
        return self._wanted[position]

    def take(self, event: Mapping[str, Any]) -> None:
        """Take a `stamps` event."""
        for run in event["runs"]:
            self._run(run)

    def take_pending(self, data: Path) -> None:
        """Take what no entry tells yet: a file that is no part of the journal's proof. A damaged one tells nothing."""
        waiting = Stamps(lambda _: Instant(0, None), (0, 0))
        with suppress(OSError, ValueError):
            waiting.again(read_items(data / NAME))
        for event in waiting.take():
            self.take(event)

    def _run(self, run: Mapping[str, Any]) -> None:
        epoch, theirs = run["epoch"], run.get("theirs_us") or [None] * len(run["us"])
        through = run["after"] + sum(run["entries"])
        if run["what"] == "committed":
            self.told_through = max(self.told_through, (epoch, through))
        if not self._between(epoch, run["after"] + 1, through):
            return
        for first, last, ticks, theirs_us in _steps(run, theirs):
            for seq in self._between(epoch, first, last):
                stated = None if theirs_us is None else ticks + theirs_us * 10
                _note(self._wanted[epoch, seq], run, ticks, stated, (epoch, last), run.get("references", {}).get(str(seq)))

    def _between(self, epoch: int, first: int, last: int) -> list[int]:
        """Return the wanted entries from first to last: a journal of years tells millions of runs, and a batch has few entries."""
        seqs = self._seqs.get(epoch, [])
        return seqs[bisect_left(seqs, first) : bisect_right(seqs, last)]


def _steps(run: Mapping[str, Any], theirs: list[int | None]) -> Iterator[tuple[int, int, int, int | None]]:
    """Yield (first entry, last entry, ticks, the receiver's stamp against that) of each instant."""
    at, ticks = run["after"], from_rfc3339(run["from"])
    for count, us, theirs_us in zip(run["entries"], run["us"], theirs, strict=True):
        ticks += us * 10
        yield at + 1, at + count, ticks, theirs_us
        at += count


def _note(kept: Kept, run: Mapping[str, Any], ticks: int, theirs: int | None, through: Position, reference: str | None) -> None:
    """Note one instant of one entry. The first confirmation counts; of sendings the first and the last, and how many."""
    if run["what"] == "committed":
        kept.committed, kept.bound_s = ticks, run["bound_s"]
        return
    outside = kept.uplinks.setdefault(run["uplink"], Outside())
    match run["what"]:
        case "sent":
            outside.sent_at.add(ticks)
        case "tried":
            outside.tried_at.add(ticks)
        case "confirmed" if outside.confirmed is None:
            outside.confirmed, outside.bound_s, outside.theirs = ticks, run["bound_s"], theirs
            outside.through, outside.by, outside.reference = through, run["by"], reference
