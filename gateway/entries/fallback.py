"""Defines the audit events of a fallback: records are led elsewhere from an instant on, until another one. Pure.

A fallback is begun and ended by a person. `from` and `until` are instants of the gateway's clock at the command (`commanded`,
`commanded-clock-unverified`, `commanded-clock-set-back`), or what a person says afterwards (`reported`): never something that was observed.
Events that waited for a start come from a file, and may be anything: what is no whole event of a fallback is none.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from gateway.entries.ticks import from_rfc3339

BEGUN, ENDED = "fallback-begun", "fallback-ended"
ACTIONS = frozenset({BEGUN, ENDED})
ENTERED, IMPORTED = "manual-entry", "manual-entries-imported"
"""A value that people wrote by hand during a fallback, and the file of it."""
LedBy = Literal["legacy", "manual"]
LED_BY: tuple[LedBy, ...] = get_args(LedBy)
LED_BY_TEXT = {"legacy": "the legacy system", "manual": "manual recording"}
COMMANDED, UNVERIFIED, REPORTED = "commanded", "commanded-clock-unverified", "reported"
SET_BACK = "commanded-clock-set-back"
"""That of a command by a clock which shows an earlier time than at the begin, or at the end before: it was set back in between."""
MOST_EQUIPMENTS = 200


class Edge(NamedTuple):
    """The begin or the end of a fallback, as an event tells it. at: ticks. led_by, equipments: of a begin; no equipment is named: all."""

    id: str
    at: int
    basis: str
    reason: str
    by: str
    led_by: str = ""
    equipments: tuple[str, ...] = ()


def edge_of(event: Mapping[str, Any]) -> Edge | None:
    """Read an audit event; None if it is none of a fallback."""
    what = event.get("what")
    if event.get("type") != "audit" or event.get("action") not in ACTIONS or not isinstance(what, Mapping):
        return None
    is_begin = event["action"] == BEGUN
    equipments = what.get("equipments", [])
    try:
        at = from_rfc3339(str(what.get("from" if is_begin else "until")))
    except ValueError:
        return None
    if not isinstance(what.get("fallback"), str) or not isinstance(equipments, list) or (is_begin and what.get("led_by") not in LED_BY):
        return None
    told = (what["fallback"], at, str(what.get("basis")), str(event.get("reason") or ""), by_text(event.get("who")))
    return Edge(*told, str(what["led_by"]), tuple(map(str, equipments))) if is_begin else Edge(*told)


def end_of(began: Edge, ended: Edge) -> int:
    """Give the ticks of an end: never before the begin, unless the clock was set back in between."""
    return ended.at if ended.basis == SET_BACK else max(ended.at, began.at)


def span(begin: int, end: int | None) -> tuple[int, int | None]:
    """Give the ticks from which and through which a fallback may have lasted: between both instants, whichever is the earlier."""
    return (begin, None) if end is None else (min(begin, end), max(begin, end))


def by_text(who: Any) -> str:
    """Name who did something, in the words of the record."""
    if not isinstance(who, Mapping):
        return str(who or "nobody known")
    if who.get("kind") != "person":
        return str(who.get("user"))
    return f"{who.get('name') or who.get('user')} ({who.get('user')}, {who.get('role')})"


def place_text(equipments: "tuple[str, ...] | list[str]") -> str:
    """Name what a fallback is of."""
    return ", ".join(equipments) or "all equipment"
