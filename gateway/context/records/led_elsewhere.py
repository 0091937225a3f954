"""Intervals in which the records of equipments were led elsewhere, by the legacy system or by hand, and which batches they are of.

Nothing else follows from a fallback: what the sources tell goes on to be recorded and sent, so that no entry can be missing afterwards, and
none be there twice (docs/decisions/0153).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from gateway.context import event_bodies
from gateway.context.state import Fallback, Member, State
from gateway.entries.fallback import BEGUN, LED_BY_TEXT, SET_BACK, Edge, edge_of, place_text, span
from gateway.entries.ticks import rfc3339
from gateway.entries.wall_clock import wall_clock

MOST_REMEMBERED = 64
"""Fallbacks that are over, the newest: batches of older ones have been told."""
REASON = "led-elsewhere"


def take(state: State, event: Mapping[str, Any], zone: ZoneInfo, emit: event_bodies.Emit) -> None:
    """Take an audit event of a fallback: it stands from here on, or is over, and ends of batches that it is of are made again."""
    edge = edge_of(event)
    known = None if edge is None else next((one for one in state.fallbacks if one.id == edge.id), None)
    if edge is None:
        return
    if event["action"] == BEGUN and known is None:
        known = _begun(state, edge)
        led = f"records of {place_text(edge.equipments)} are led by {LED_BY_TEXT[edge.led_by]}"
        text = f"{led} since {wall_clock(edge.at, zone)}: {edge.reason}"
        emit(event_bodies.finding("fallback-open", "warning", text, {"name": edge.id, "led_by": edge.led_by}))
    elif event["action"] != BEGUN and known is not None and known.end is None:
        known.end = edge.at if edge.basis == SET_BACK else max(edge.at, known.begin)
        known.end_basis, known.ended_by = edge.basis, edge.by
        text = f"records of {place_text(known.equipments)} are led by this gateway and its EBR again since {wall_clock(known.end, zone)}"
        emit(event_bodies.finding("fallback-open", "info", text, {"name": edge.id}))
    else:
        return
    for batch in state.batches.values():
        if batch.revision and any(_is_of(known, member) for member in batch.members):
            batch.revise(state.now, REASON)
    if (through := _beyond(state, known)) is not None:
        left = f"batches that left {place_text(known.equipments)} from {wall_clock(span(known.begin, known.end)[0], zone)}"
        what = (
            f"{left} to {wall_clock(through, zone)} may be among those that are no longer remembered: their ends were not made again, and"
        )
        text = (
            f"{what} do not say that their records were led by {LED_BY_TEXT[known.led_by]} (fallback {known.id}): name it in their reviews"
        )
        emit(event_bodies.finding("fallback-not-revised", "warning", text, {"name": known.id}))


def _beyond(state: State, fallback: Fallback) -> int | None:
    """Give the ticks through which batches lasted that this may be of, and that are not remembered; None: there is none."""
    of = fallback.equipments or list(state.forgotten)
    through = max((state.forgotten[name] for name in of if name in state.forgotten), default=0)
    return through if through > span(fallback.begin, fallback.end)[0] else None


def forget(state: State, members: Sequence[Member]) -> None:
    """A batch is no longer remembered: note through when its equipments had it. What is reported later of that time reaches it no more."""
    for member in members:
        if member.end is not None:
            state.forgotten[member.equipment] = max(state.forgotten.get(member.equipment, 0), member.end.ticks)


def _begun(state: State, edge: Edge) -> Fallback:
    begun = Fallback(edge.id, edge.led_by, list(edge.equipments), edge.at, edge.basis, edge.reason, edge.by)
    state.fallbacks.append(begun)
    over = [one for one in state.fallbacks if one.end is not None]
    for old in over[: max(len(over) - MOST_REMEMBERED, 0)]:
        state.fallbacks.remove(old)
    return begun


def _is_of(fallback: Fallback, member: Member) -> bool:
    """Return whether a stay of a batch lay in a fallback, in whole or in part."""
    if fallback.equipments and member.equipment not in fallback.equipments:
        return False
    begin, end = span(fallback.begin, fallback.end)
    return (end is None or member.start.ticks < end) and (member.end is None or member.end.ticks > begin)


def stated(state: State, members: Sequence[Member]) -> dict[str, Any]:
    """Give the member of a batch's end that says by whom its records were led meanwhile; nothing where nobody else led them."""
    listed = list(_listed(state, members))
    return {"led_elsewhere": listed} if listed else {}


def _listed(state: State, members: Sequence[Member]) -> Iterator[dict[str, Any]]:
    for one in state.fallbacks:
        if equipments := sorted({member.equipment for member in members if _is_of(one, member)}):
            yield {
                "fallback": one.id,
                "led_by": one.led_by,
                "equipments": equipments,
                "from": rfc3339(one.begin),
                "from_basis": one.begin_basis,
                "until": None if one.end is None else rfc3339(one.end),
                "until_basis": one.end_basis,
                "reason": one.reason,
                "by": one.by,
                "ended_by": one.ended_by,
            }


def standing(state: State) -> Fallback | None:
    """Give the fallback that has not ended; None: the records are led here."""
    return next((one for one in reversed(state.fallbacks) if one.end is None), None)


def through(state: State) -> int:
    """Give the ticks at which the newest fallback that is over ended; 0: there was none."""
    return next((one.end for one in reversed(state.fallbacks) if one.end is not None), 0)
