"""Whether a change was observed: its signal was seen to stand still from then on. Pure.

A change counts as soon as its source has spoken past its settling time. That its source is alive does not prove that its signal was read:
this is learned later, by a gap of the signal. So what is known of an instant is asked whenever it is said, never stored. A lost gap within
the time in which a change must stand leaves it open whether it stood at all, and when: nobody knows how much earlier or later it was.
"""

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
    gaps = (gap for tag in at.proof.tags for gap in gaps_of(state, plan, tag))
    is_seen = not any(begin < last and (end is None or end > first) for begin, end in gaps)
    return at if is_seen else unknown(at)


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
