"""When a MES row says that something happened, and whether anybody watched for the row when it came to be.

A look at a query proves that what it did not show came after it. So a row that a watched query shows for the first time was seen to
come, between two looks, and what it tells was observed, if it is no older than the oldest look that still counts as watching
(`outage_tolerance_s` and two polls; the source's clock may be off by `max_offset_s`): how often somebody looks must not decide whether a
MES that is seconds late is believed. How late the row came is the window of its instant. Every other time of a row is only told by it:
the query was not watched (the first look after a start or an outage), or the row speaks of long before.
"""

from collections.abc import Mapping
from typing import Any

from gateway.context.plan import Plan
from gateway.context.state import Basis, Instant, State
from gateway.entries.fold_input import EARLIEST_TICKS
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339


def begin_look(state: State, event: Mapping[str, Any]) -> None:
    """Note that a `message` event begins a look that nobody's watching preceded, before the event counts as life of its source."""
    query = f"{event['source']}.{event['name']}"
    if "since" in event and event["since"] is None and query not in state.looks:
        state.looks[query] = state.observed.get(event["source"], 0)


def end_look(state: State, event: Mapping[str, Any]) -> None:
    """Note that a look is over with this event, if it is."""
    if not event.get("more", False):
        state.looks.pop(f"{event['source']}.{event['name']}", None)


def row_instant(state: State, plan: Plan, event: Mapping[str, Any], row: Mapping[str, Any]) -> Instant:
    """Give the instant that a row of a `message` event speaks of: its own time, else when it was read."""
    ticks, now = None if row.get("time") is None else from_rfc3339(row["time"]), state.now
    if ticks is not None and EARLIEST_TICKS <= ticks <= now:
        return told_at(state, plan, event, ticks)
    since = _since(event)
    if basis_of(state, plan, event, now) == "observed":
        return Instant(now, _whole_second(now) if since is None else max(now - since, 0))  # it came after that look
    before = state.looks.get(f"{event['source']}.{event['name']}", 0)
    return Instant(now, now - before, "inferred-from-gap") if before else Instant(now, None, "found-at-start")


def told_at(state: State, plan: Plan, event: Mapping[str, Any], ticks: int) -> Instant:
    """Give an instant that a row tells. One in whole seconds may be a second older; of one that came late that is its window."""
    basis, since = basis_of(state, plan, event, ticks), _since(event)
    is_late = basis == "observed" and since is not None and ticks < since
    return Instant(ticks, max(_whole_second(ticks), state.now - ticks if is_late else 0), basis)


def basis_of(state: State, plan: Plan, event: Mapping[str, Any], ticks: int) -> Basis:
    """Say how an instant is known that a row of this event tells. An event of 0.1 does not say when its query was looked at."""
    if "since" not in event:
        return "observed"
    since, oldest = _since(event), state.now - plan.watched_ticks[event["source"]]
    watched = since is not None and since >= oldest
    return "observed" if watched and ticks >= oldest - plan.offset_ticks[event["source"]] else "told-by-row"


def _since(event: Mapping[str, Any]) -> int | None:
    return None if event.get("since") is None else from_rfc3339(event["since"])


def _whole_second(ticks: int) -> int:
    return TICKS_PER_S if ticks % TICKS_PER_S == 0 else 0
