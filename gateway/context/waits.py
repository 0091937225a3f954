"""The one rule of waiting: something counts once it is proved that nothing older is still to come, or once patience is over. Pure.

An entry tells of an instant, but what happened before that instant may stand in an entry still to come: sources are read one by one, and
each has its own way to be late. So whatever can not be taken back waits for proof. Proof is the *frontier* of a source: the event time up
to which it has said all that it had to say (the word of Naiad and Timely Dataflow; the "watermark" of Beam and Flink). A source that died
never gives any, so each wait ends: when so much time of *entries* has passed. No wait reads a clock, or the fold would decide otherwise on
replay than it did live.

| what waits | for which proof | patience |
|---|---|---|
| a change of a signal | its source has spoken `settle_ms` past it: it stood still | `settle_s` from its entry |
| a MES row, a pushed value | its equipment's signals have arrived until its time | `settle_s` from its entry, or from an outage's end |
| a booking, a sample | sources of its tags have spoken past it, those of the steps `settle_ms` past it | `settle_s` from its entry |
| the record of a run | the sources of its parameters have spoken past its end | `settle_s` from the entry that ended it |
| a revision | none: more may come, and one revision shall tell all of it | `settle_s` from the first that was learned |
| steps told by rows, to be compared | none: MES rows have no frontier | `within_s` from the end of the batch |

`settle_s` stands for the longer of `settle_s` and `settle_ms` where a signal must stand still.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.context.plan import Unit
from gateway.context.state import Pending, PendingBooking, Run, State
from gateway.entries.ticks import TICKS_PER_S


class Need(NamedTuple):
    """What a source must have proved. unit: not its life alone, but all that the signals of this equipment had to say until then."""

    source: str
    ticks: int
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Hold something back until its needs are met, or `patience` ticks after `entered`. needs None: nothing proves it, only time does."""

    entered: int  # time of the entry that began it
    patience: float
    needs: tuple[Need, ...] | None


def ready(state: State, wait: Wait) -> bool:
    """Return whether what waits counts now."""
    over = not lasts(state.now, wait.entered, wait.patience)
    return over or (wait.needs is not None and all(arrived(state, need) for need in wait.needs))


def lasts(now: int, since: int, ticks: float) -> bool:
    """Return whether an interval of so many ticks still lasts. One whose beginning is in the future does not.

    A clock that was set back puts it there. Without this, everything that waits would wait for as long as the clock went back.
    """
    return since <= now < since + ticks


def arrived(state: State, need: Need) -> bool:
    """Return whether a source has proved what is needed of it."""
    if state.frontier.get(need.source, 0) < need.ticks:
        return False
    return need.unit is None or not (_away(state, need.unit, need) or handing_over(state, need.unit, need.source, need.ticks))


def _away(state: State, unit: Unit, need: Need) -> bool:
    """Return whether nobody could look at the equipment's signals then, and what the source kept of that time may still come.

    The frontier alone does not tell: a source whose step tags are lost goes on with others. A silent tag (`silence`) is no such loss:
    its source is read, and has nothing to hand over.
    """
    gaps = (gap for gap in state.gaps if gap.source == need.source and gap.start < need.ticks and gap.cause != "silence")
    return any(gap.left is None or not unit.watched[need.source].isdisjoint(gap.left) for gap in gaps)


def handing_over(state: State, unit: Unit, source: str, ticks: int) -> bool:
    """Return whether a source that went on just now may still hold something of before `ticks`.

    It hands over one queue for each tag, and queues do not come in the order of time: the first reading past `ticks` proves nothing yet.
    """
    back = state.back.get(source, 0)
    return ticks <= back and lasts(state.now, back, unit.patience_ticks)


def blind(state: State, unit: Unit, key: str, change: Pending) -> bool:
    """Return whether a change of a signal waits while nobody looks at it: neither proof nor patience says that it stood still.

    The one wait that patience does not end: the gap's end does, when the signal is seen again. `key` is the change's among those pending.
    """
    tags = unit.tags_of(key)
    lost = any(gap.source == change.source and any(gap.covers(tag) for tag in tags) for gap in state.gaps)
    return lost and not arrived(state, Need(change.source or "", change.at.ticks + unit.settle_ticks))


def signals_until(unit: Unit, ticks: int) -> tuple[Need, ...]:
    """Make the needs of one who must know all that an equipment did until an instant."""
    return tuple(Need(source, ticks, unit) for source in unit.sources)


def of_change(state: State, unit: Unit, change: Pending) -> Wait:
    """Wait until a signal has stood still; until all that an equipment did before a row has come."""
    if change.source is None:
        since = max([change.entered, *(_on_again(state, unit, source, change) for source in unit.sources)])
        return Wait(change.entered, since - change.entered + unit.patience_ticks, signals_until(unit, change.at.ticks))
    return Wait(change.entered, unit.patience_ticks, (Need(change.source, change.at.ticks + unit.settle_ticks),))


def _on_again(state: State, unit: Unit, source: str, row: Pending) -> int:
    """Give the time from which a row waits `settle_s` for a source: the end of its outage, but never longer than the source bridges one.

    What a PLC kept in its queue while the link was down comes after the row, and belongs before it.
    """
    latest = row.entered + unit.bridged[source]
    return latest if _away(state, unit, Need(source, row.at.ticks)) else min(state.back.get(source, 0), latest)


def of_booking(unit: Unit, each: PendingBooking, read: Iterable[str], *, moving: bool) -> Wait:
    """Wait for all of a booking's instant. read: sources of its tags; moving: a change of the equipment of before then still waits."""
    tags = [Need(source, each.at.ticks) for source in read]
    steps = [Need(source, each.at.ticks + unit.settle_ticks) for source in unit.sources]
    by_row_alone = each.row is not None and each.at.basis != "observed"  # rows of the orders may be read after it
    return Wait(each.entered, unit.patience_ticks, None if moving or by_row_alone else (*tags, *steps))


def of_record(unit: Unit, run: Run, sources: Iterable[str]) -> Wait:
    """Wait until a run's record, or its revision, can be made. sources: of what it gathers.

    Life past the end is proof enough here, where a row needs all that had to be said: a record can be made again, an occupancy is not.
    """
    if run.dirty is not None:
        return of_revision(unit, run.dirty)
    assert run.end is not None
    assert run.entered is not None
    return Wait(run.entered, unit.settle_s_ticks, tuple(Need(source, run.end.ticks) for source in sources))


def of_revision(unit: Unit, dirty: int) -> Wait:
    """Wait for the rest of what came late. dirty: time of the entry that brought the first of it."""
    return Wait(dirty, unit.settle_s_ticks, None)


def of_comparison(ended: int, within_s: float) -> Wait:
    """Wait for the last rows of a batch's steps.

    The product is a float on purpose: added to `ended` it is rounded to a tick or two, for which a batch may end one entry later. Journals
    were decided so, and an exact sum would make `recompute` differ from them.
    """
    return Wait(ended, within_s * TICKS_PER_S, None)
