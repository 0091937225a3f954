"""Tells a receiver what the journal holds, and people what it does not: what was pruned or lost is never sent, to nobody."""

from collections.abc import Callable, Iterable, Mapping

from buffer import End, Entry, Journal
from gateway.entries.findings import QUIET_S, Announcer
from gateway.uplink.transport import MAX_RUNS, Online, Position


def online(journal: Journal, confirmed: Position) -> Online:
    """Make the announcement of what is held now. confirmed: the receiver's place; of too many runs those before it are left out."""
    epoch, last = journal.last
    runs = journal.ranges()
    if len(runs) > MAX_RUNS:
        runs = [run for run in runs if (run[0], run[2]) > confirmed]
    firsts = [first for of_epoch, first, _ in runs if of_epoch == epoch]
    return Online(epoch, min(firsts, default=last + 1), last, tuple(runs[:MAX_RUNS]))


Span = tuple[int, int, int]
"""(epoch, first, last) of entries."""


def missing(after: Position, following: Entry, ends: Mapping[int, End]) -> list[Span]:
    """Return what is not held between the last entry sent and the one that follows: the end of an epoch, whole epochs, a beginning.

    ends: of the epochs that have ended, as they are known; of one that `after` does not belong to, all counts.
    """
    gone = [(epoch, 1, end.known) for epoch, end in sorted(ends.items()) if after[0] <= epoch < following.epoch]
    gone.append((following.epoch, 1, following.seq - 1))
    spans = [(epoch, after[1] + 1 if epoch == after[0] else first, last) for epoch, first, last in gone]
    return [(epoch, first, last) for epoch, first, last in spans if first <= last]


class NotHeld:
    """Tells what is not sent because it is not held, each stretch once; those that are found within a minute stand in one finding."""

    def __init__(self, announcer: Announcer, clock: Callable[[], float]) -> None:
        self._announcer, self._clock = announcer, clock
        self._known: set[Span] = set()
        self._untold: list[Span] = []
        self._told_s: float | None = None

    def note(self, gone: Iterable[Span]) -> None:
        """Take stretches over, and tell those that are new."""
        new = [span for span in gone if span not in self._known]
        self._known.update(new)
        self._untold += new
        self.tell()

    def tell(self) -> None:
        """Tell what is untold, if the last finding is a minute old."""
        now_s = self._clock()
        if not self._untold or (self._told_s is not None and now_s - self._told_s < QUIET_S):
            return
        texts = [f"{first} to {last} of epoch {epoch}" for epoch, first, last in self._untold[:10]]
        more = f" and {len(self._untold) - 10} more stretches" if len(self._untold) > 10 else ""
        text = f"entries {', '.join(texts)}{more} are not held here and are not sent: the receiver begins, or goes on, behind them"
        epoch, first, last = self._untold[0]
        runs = [list(span) for span in self._untold[:100]]
        self._announcer.say("not-held", "warning", text, epoch=epoch, first=first, last=last, runs=runs)
        self._untold, self._told_s = [], now_s
