"""What persons do about alarms, as audit events of the journal tell it: acknowledge, shelve for a time, take from the shelf. Pure."""

from collections.abc import Mapping
from typing import Any

from gateway.alarms.findings import Change, Heard
from gateway.alarms.held import Acknowledgement, Found, Held, Shelf
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

ACKNOWLEDGED, SHELVED, UNSHELVED = "alarm-acknowledged", "alarm-shelved", "alarm-unshelved"
ACTIONS = frozenset({ACKNOWLEDGED, SHELVED, UNSHELVED})
UNKEPT = "unkept"
"""The id by which the alarms for which there was no room are acknowledged together."""
LONGEST_SHELF_TICKS = 72 * 3_600 * TICKS_PER_S
"""A weekend and its nights: who needs longer changes the cause, or the configuration."""
MOST_SHELVES = 50


def act(found: Found, event: Mapping[str, Any], now: int, heard: Heard) -> None:
    """Take an audit event of ACTIONS. One about an alarm that is not held any more changes nothing. now: ticks of the entry.

    Nor does one that is not whole: events that waited for a start come from a file, and the fold must outlive what somebody wrote there.
    """
    what = event.get("what")
    if not isinstance(what, dict):
        return
    action, id_, until = event["action"], what.get("id"), _instant(what.get("until"))
    if action == ACKNOWLEDGED and id_ == UNKEPT:
        found.unacknowledged = 0
        return
    held = found.named(str(id_))
    if held is None or not isinstance(event.get("who"), dict) or (action == SHELVED and until is None):
        return
    if action == ACKNOWLEDGED:
        _acknowledge(found, held, event, now, heard)
        return
    found.shelves[:] = [shelf for shelf in found.shelves if not held.is_same(shelf)]
    if action == SHELVED:
        found.shelves.append(_shelf(held, event, now, until or now))
        del found.shelves[:-MOST_SHELVES]
    heard(Change("shelved" if action == SHELVED else "unshelved", held, now))


def _acknowledge(found: Found, held: Held, event: Mapping[str, Any], now: int, heard: Heard) -> None:
    who = event["who"]
    held.acknowledged = Acknowledgement(now, str(who.get("user")), who.get("name"), str(event.get("reason")))
    if held in found.cleared:
        found.cleared.remove(held)
    heard(Change("acknowledged", held, now))


def _shelf(held: Held, event: Mapping[str, Any], now: int, until: int) -> Shelf:
    who = event["who"]
    about = (held.code, held.source, held.subject, list(held.tags), held.of_many)
    end = min(until, now + LONGEST_SHELF_TICKS)  # whatever the entry says
    return Shelf(*about, at=now, until=end, user=str(who.get("user")), name=who.get("name"), reason=str(event.get("reason")))


def _instant(text: Any) -> int | None:
    try:
        return from_rfc3339(str(text))
    except ValueError:
        return None
