"""Whether a change was observed: its signal was seen to stand still from then on. Pure.

A change counts as soon as its source has spoken past its settling time. That its source is alive does not prove that its signal was read:
this is learned later, by a gap of the signal. So what is known of an instant is asked whenever it is said, never stored. A lost gap within
the time in which a change must stand leaves it open whether it stood at all, and when: nobody knows how much earlier or later it was. Where
the same value is seen to stand after the gap, it was until then.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.context.plan import Plan
from gateway.context.state import Instant, State

Interval = tuple[int, int | None]
"""A gap: (start, end) in ticks; None: it is open."""


def gaps_of(state: State, plan: Plan, tag: str) -> list[Interval]:
    """List the times in which nobody saw a signal: its remembered lost gaps, and those that are open."""
    place = plan.places.get(tag)
    if place is None:
        return []
    going_on: list[Interval] = [(gap.start, None) for gap in state.gaps if gap.source == place.source.name and gap.covers(tag)]
    return [*state.lost.get(tag, []), *going_on]


def known(state: State, plan: Plan, at: Instant) -> Instant:
    """Return an instant as it is known by now: with no window if its signals were not seen to stand still."""
    if at.proof is None or at.basis not in {"observed", "inferred-from-gap"}:
        return at
    first, last = at.ticks - at.proof.before, at.ticks + at.proof.after
    gaps = [(tag, begin, end) for tag in at.proof.tags for begin, end in gaps_of(state, plan, tag)]
    hiding = [(tag, begin, end) for tag, begin, end in gaps if begin < last and (end is None or end > first)]
    if not hiding:
        return at
    again = _again(state, hiding)
    is_seen_then = again is not None and not any(begin < again + at.proof.after and (end is None or end > again) for _, begin, end in gaps)
    return unknown(at) if again is None or not is_seen_then or at.window is None else _until(at, again)


def _again(state: State, hiding: Sequence[tuple[str, int, int | None]]) -> int | None:
    """Tell when signals were seen again, if each said after its gaps what it had said before; None: not yet, or another value."""
    ends = [end for tag, _, end in hiding if end is not None and end in state.again.get(tag, ())]
    return max(ends) if len(ends) == len(hiding) else None


def _until(at: Instant, again: int) -> Instant:
    """Return an instant that was at `again` at the latest: so far it may be from its stated time, or so much earlier as it was already."""
    before = 0 if at.basis == "observed" or at.window is None else at.window
    return replace(at, window=again - at.ticks + before, basis="inferred-from-gap")


def moved(state: State, tag: str, ticks: int, settle_ticks: int) -> None:
    """Note that a signal changed: what it had said after a gap, as before, has not stood if that is within the settling time."""
    if tag in state.again:
        state.again[tag] = [end for end in state.again[tag] if ticks - end >= settle_ticks]


def later(state: State, plan: Plan, at: Instant) -> int:
    """Return by how many ticks an instant may have been after its stated time: nobody saw it stand until its signal was seen again."""
    by_now = known(state, plan, at)
    before = 0 if at.basis == "observed" or at.window is None else at.window
    return 0 if by_now is at or by_now.window is None else by_now.window - before


def unknown(at: Instant) -> Instant:
    """Return an instant of which nobody knows how much earlier or later it was."""
    return replace(at, window=None, basis="inferred-from-gap")


def stood(state: State, plan: Plan, tag: str, since: int, until: int, ticks: int) -> bool:
    """Return whether a value that was read at `since`, and until another one was, was seen for so many ticks on end."""
    begin = since
    for start, end in sorted((start, end or until) for start, end in gaps_of(state, plan, tag) if start < until):
        if start - begin >= ticks:
            return True
        begin = max(begin, end)
    return until - begin >= ticks
