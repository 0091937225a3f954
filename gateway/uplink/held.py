"""Tells a receiver what the journal holds, and people what it does not: what was pruned or lost is never sent, to nobody."""

from buffer import Entry, Journal
from gateway.uplink.transport import MAX_RUNS, Online, Position


def online(journal: Journal, confirmed: Position) -> Online:
    """Make the announcement of what is held now. confirmed: the receiver's place; of too many runs those before it are left out."""
    epoch, last = journal.last
    runs = journal.ranges()
    if len(runs) > MAX_RUNS:
        runs = [run for run in runs if (run[0], run[2]) > confirmed]
    firsts = [first for of_epoch, first, _ in runs if of_epoch == epoch]
    return Online(epoch, min(firsts, default=last + 1), last, tuple(runs[:MAX_RUNS]))


def missing(after: Position, following: Entry) -> tuple[int, int, int] | None:
    """Return (epoch, first, last) of what is not held between the last entry sent and the one that follows; None if nothing is.

    Of an epoch that `after` does not belong to, all before the entry.
    """
    first = after[1] + 1 if after[0] == following.epoch else 1
    return (following.epoch, first, following.seq - 1) if following.seq > first else None
