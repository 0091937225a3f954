"""The one rule of which gaps belong to a batch (decision 0087). The batch's end lists them; each copy of its record takes them from there.

A gap belongs to a batch if it hides something of an equipment while the batch is there: from the instant at which the batch may have come
(its stated start less the window) until it left and its going had stood for the settling time. Ends that touch count: a reading that
closes a gap, or from which one begins, bears on the edge that it tells. Gaps that a record names belong to it, whenever they were.
"""

from collections.abc import Iterable

from gateway.context.plan import Plan
from gateway.context.state import Batch, Blind, Member, OpenGap, State
from gateway.entries.set_back import SetBack

MOST_CLOSED = 1_024
"""Closed gaps that are remembered: a batch may turn out to have come before them. One more, and the oldest is judged for good."""
MOST_OF_STAY = 10_000
"""Gaps of one stay of a batch that its end lists, the newest; all stand in the journal."""


def begins(state: State, plan: Plan, gap: OpenGap, tags: Iterable[str]) -> None:
    """Note a gap that opens, and which equipments it makes blind."""
    served = sorted(plan.served(gap.source, tags))
    state.blind[gap.id] = Blind(gap.source, gap.start, dict.fromkeys(served, gap.start), served)


def ends(state: State, plan: Plan, gap: OpenGap, tags: Iterable[str], end: int) -> None:
    """Note until when a gap hid these tags, whose observation goes on; gap.left are those that are hidden still."""
    blind = state.blind.get(gap.id)
    if blind is None:
        return
    blind.start = min(blind.start, gap.start)
    for equipment in sorted(plan.served(gap.source, tags) & blind.until.keys()):
        blind.until[equipment], blind.told[equipment] = max(blind.until[equipment], end), state.seq
    still = plan.served(gap.source, gap.left) if gap.left else frozenset()
    blind.going = [equipment for equipment in blind.going if equipment in still]
    if not gap.left:
        state.blind[gap.id] = state.blind.pop(gap.id)  # in the order of their ends
        _forget(state, plan)


def set_back(state: State, plan: Plan, back: SetBack) -> None:
    """The clock was set back: hold what is remembered against the batches by the clock as it was, then take it along."""
    judge(state, plan, state.blind, state.batches.values())
    for blind in state.blind.values():
        ahead = plan.ahead.get(blind.source, 0)
        blind.judged, blind.start = state.seq, back.placed(blind.start, ahead)
        blind.until = {equipment: back.placed(end, ahead) for equipment, end in blind.until.items()}


def adopt(state: State, plan: Plan) -> None:
    """Another configuration begins: what it does not read for an equipment any more hides nothing of it from here on."""
    left = {gap.id: gap.left for gap in state.gaps}
    for gap, blind in state.blind.items():
        names = plan.names.get(blind.source, ()) if left.get(gap) is None else left[gap] or ()
        served = plan.served(blind.source, names) if blind.source in plan.names else frozenset()
        blind.until |= dict.fromkeys((equipment for equipment in blind.going if equipment not in served), state.now)
        blind.going = [equipment for equipment in blind.going if equipment in served]


def judge(state: State, plan: Plan, gaps: Iterable[str], batches: Iterable[Batch]) -> list[Batch]:
    """Note of each batch those of these gaps that belong to it. Returns the batches of which it was not known."""
    gaps, changed = list(gaps), []
    for batch in batches:
        news = [
            (member, gap) for member in batch.members for gap in gaps if gap not in member.gaps and _hides(state, plan, gap, batch, member)
        ]
        for member, gap in news:
            member.gaps[gap] = None
            if len(member.gaps) > MOST_OF_STAY:
                del member.gaps[next(iter(member.gaps))]
                member.gaps_dropped += 1
        changed += [batch] if news else []
    return changed


def of_stay(state: State, plan: Plan, batch: Batch, member: Member) -> set[str]:
    """Return the ids of the gaps that belong to a stay as it is by now, though nobody has judged them yet; nothing is noted."""
    return {*member.gaps, *(gap for gap in state.blind if _hides(state, plan, gap, batch, member))}


def _forget(state: State, plan: Plan) -> None:
    if len(state.blind) <= MOST_CLOSED + len(state.gaps):
        return
    still_open = {gap.id for gap in state.gaps}
    closed = [gap for gap in state.blind if gap not in still_open]
    for gap in closed[: len(closed) - MOST_CLOSED]:
        judge(state, plan, [gap], state.batches.values())
        del state.blind[gap]


def _hides(state: State, plan: Plan, gap: str, batch: Batch, member: Member) -> bool:
    """Return whether a gap hides something of a stay: as far as it can be told by now."""
    blind, where = state.blind[gap], member.equipment
    if where not in blind.until or member.entered < blind.judged:
        return False
    if member.start_seq <= blind.judged:  # it began before the clock was set, and turned out to after: the order of entries tells
        return where in blind.going or blind.told.get(where, 0) >= member.start_seq
    unit = plan.units.get(where)
    stands = 0 if unit is None else unit.settle_ticks
    is_before_end = member.end is None or blind.start <= member.end.ticks + stands
    return is_before_end and (where in blind.going or blind.until[where] >= _earliest(batch, member))


def _earliest(batch: Batch, member: Member) -> int:
    """Return when a batch may have come: the steps of its first stay may have begun before it was known that they are its own."""
    starts = [member.start]
    if member is next(one for one in batch.members if one.equipment == member.equipment):
        starts += [listed.start for listed in batch.records.values() if listed.equipment == member.equipment and listed.start is not None]
    return min(at.ticks - (0 if at.basis == "observed" else at.window or 0) for at in starts)
