"""What a comparison of one epoch has found: ranges with a word on each, within bounds, and what it comes to. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from buffer import Piece, Quarantined
from buffer.chain import Tree
from gateway.reconciliation.answer import Span

MOST_NAMED = 1_000
"""Ranges of one kind that are named; the others are counted."""
Verdict = Literal["equal", "differs", "not-compared"]


class Named(NamedTuple):
    """Entries `first` to `last`, and what is to be said of them."""

    first: int
    last: int
    note: str


@dataclass(slots=True)
class Ranges:
    """Ranges of one kind, in order. entries: of all, also of those that are not named; more: how many are not."""

    found: list[Named] = field(default_factory=list)
    entries: int = 0
    more: int = 0

    def add(self, first: int, last: int, note: str = "", entries: int | None = None) -> None:
        """Add a range, to the one before where it goes on. entries: how many it holds, where that is not all of it."""
        self.entries += last - first + 1 if entries is None else entries
        if self.found and not self.more and (self.found[-1].last, self.found[-1].note) == (first - 1, note):
            self.found[-1] = self.found[-1]._replace(last=last)
        elif len(self.found) < MOST_NAMED:
            self.found.append(Named(first, last, note))
        else:
            self.more += 1

    def holds(self, seq: int) -> bool:
        """Return True if an entry lies in a range that is named."""
        return any(one.first <= seq <= one.last for one in self.found)

    def plain(self) -> list[dict[str, Any]]:
        """Write them as JSON values."""
        return [one._asdict() for one in self.found]


class Refused(NamedTuple):
    """Entries `first` to `last`, which the receiver says it refused. quarantine: their state here; None: nobody here knows of them."""

    first: int
    last: int
    code: str
    quarantine: str | None


@dataclass(slots=True)
class Refusals:
    """What the receiver says it refused, in order. entries: of all; more: how many are not named; unknown: of which nobody here knows.

    unaccounted: those that are unknown or not named: of these nobody can look up what became of them.
    """

    found: list[Refused] = field(default_factory=list)
    entries: int = 0
    more: int = 0
    unknown: int = 0
    unaccounted: int = 0

    def add(self, seq: int, code: str, quarantine: str | None) -> None:
        """Add an entry, to the range before where it goes on."""
        self.entries += 1
        self.unknown += quarantine is None
        is_named = self._named(seq, code, quarantine)
        self.more += not is_named
        self.unaccounted += quarantine is None or not is_named

    def _named(self, seq: int, code: str, quarantine: str | None) -> bool:
        """Name it; False where no more are named."""
        if self.found and not self.more and self.found[-1][1:] == (seq - 1, code, quarantine):
            self.found[-1] = self.found[-1]._replace(last=seq)
            return True
        if len(self.found) < MOST_NAMED:
            self.found.append(Refused(seq, seq, code, quarantine))
            return True
        return False

    def holds(self, seq: int) -> bool:
        """Return True if an entry lies in a range that is named."""
        return any(one.first <= seq <= one.last for one in self.found)


@dataclass(slots=True)
class Compared:
    """Entries `first` to `last` of an epoch, here and there. ours, theirs: how many. equal_from: segments that are whole and equal.

    more_quarantine: how many lie in quarantine here beyond those that are listed.
    our_roots, their_roots: of each piece; None: one of them is not known, so there is none of all.
    """

    epoch: int
    first: int
    last: int
    ours: int = 0
    theirs: int = 0
    our_roots: Tree | None = field(default_factory=Tree)
    their_roots: Tree | None = field(default_factory=Tree)
    missing: Ranges = field(default_factory=Ranges)
    extra: Ranges = field(default_factory=Ranges)
    different: Ranges = field(default_factory=Ranges)
    not_compared: Ranges = field(default_factory=Ranges)
    rejected: Refusals = field(default_factory=Refusals)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    more_quarantine: int = 0
    equal_from: list[int] = field(default_factory=list)

    def note(self, piece: Piece, span: Span | None) -> None:
        """Count a piece, and what the receiver says of it; None: it says nothing."""
        self.ours += piece.entries
        self.our_roots = _grown(self.our_roots, piece.root)
        self.theirs += 0 if span is None else span.entries
        self.their_roots = _grown(self.their_roots, None if span is None else span.root)

    @property
    def named(self) -> int:
        """How much was found by now."""
        return self.differing + self.rejected.entries

    @property
    def differing(self) -> int:
        """How many entries differ or were not compared, those included that are counted and not named; without those refused there."""
        return sum(one.entries for one in (self.missing, self.extra, self.different, self.not_compared))

    @property
    def verdict(self) -> Verdict:
        """What it comes to. An entry that the receiver refused and that lies in quarantine here is no difference: both say the same.

        One that is counted and not named is not accounted for: nobody can look up which it is.
        """
        if self.rejected.unknown or any(one.entries for one in (self.missing, self.extra, self.different)):
            return "differs"
        return "not-compared" if self.not_compared.entries or self.rejected.unaccounted else "equal"

    def tell_quarantine(self, items: Iterable[Quarantined]) -> None:
        """List what lies in quarantine of this range, with what the receiver has of it."""
        for one in items:
            if one.epoch != self.epoch or not self.first <= one.seq <= self.last:
                continue
            if len(self.quarantine) < MOST_NAMED:
                self.quarantine.append({"seq": one.seq, "code": one.code, "state": one.state, "receiver": self._there(one.seq)})
            else:
                self.more_quarantine += 1

    def _there(self, seq: int) -> str:
        words: tuple[tuple[str, Ranges | Refusals], ...] = (
            ("refused", self.rejected),
            ("missing", self.missing),
            ("different", self.different),
            ("not-compared", self.not_compared),
            ("extra", self.extra),
        )
        cut = any(ranges.more for _, ranges in words)  # what is not named any more may be this one
        return next((word for word, ranges in words if ranges.holds(seq)), "not-compared" if cut else "held")

    def plain(self) -> dict[str, Any]:
        """Write it as JSON values."""
        kinds: Mapping[str, Ranges] = {name: getattr(self, name) for name in ("missing", "extra", "different", "not_compared")}
        return {
            "epoch": self.epoch,
            "first": self.first,
            "last": self.last,
            "verdict": self.verdict,
            "ours": {"entries": self.ours, "root": _whole(self.our_roots)},
            "theirs": {"entries": None if self.their_roots is None and not self.theirs else self.theirs, "root": _whole(self.their_roots)},
            **{name: ranges.plain() for name, ranges in kinds.items()},
            "counts": {name: {"entries": ranges.entries, "not_named": ranges.more} for name, ranges in kinds.items()} | self._counts(),
            "rejected": [one._asdict() for one in self.rejected.found],
            "quarantine": self.quarantine,
        }

    def _counts(self) -> dict[str, dict[str, int]]:
        refused = self.rejected
        return {
            "rejected": {"entries": refused.entries, "not_named": refused.more, "unknown": refused.unknown},
            "quarantine": {"entries": len(self.quarantine) + self.more_quarantine, "not_named": self.more_quarantine},
        }


def _grown(roots: Tree | None, piece: bytes | None) -> Tree | None:
    """Add the root of a piece; None once one of them is not known."""
    if roots is None or piece is None:
        return None
    roots.append(piece)
    return roots


def _whole(roots: Tree | None) -> str | None:
    """Return the root over all pieces: that of RFC 6962 over the entries, where the range begins with a segment."""
    return None if roots is None else roots.root().hex()


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each run of consecutive numbers, which come in order."""
    begun: tuple[int, int] | None = None
    for number in numbers:
        if begun is not None and number == begun[1] + 1:
            begun = begun[0], number
        else:
            if begun is not None:
                yield begun
            begun = number, number
    if begun is not None:
        yield begun
