"""Materials, samples and alarms of a batch in their latest revisions, and the genealogy of its lots."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BOOKED = ("material", "sample")
_STATES = ("raised", "acknowledged", "cleared")


def booked(events: Sequence[Mapping[str, Any]], everywhere: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List the latest revision of every booking and sample, with the earlier ones in it, in the order of their instants.

    everywhere: the bookings of all batches; one that a record of another batch supersedes has moved to that batch.
    """
    moved = ((str(booking.get("supersedes") or "").rpartition("#")[0], booking.get("record")) for booking in everywhere)
    gone = {old for old, new in moved if old and old != new}
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event["type"] in _BOOKED:
            name = event.get("record") or f"{event['gateway']}/{event['epoch']}/{event['seq']}"
            by_name.setdefault(name, []).append(event)
    return sorted(
        (_latest(name, versions) for name, versions in by_name.items() if name not in gone),
        key=lambda booking: (_at(booking), booking["record"]),
    )


def _latest(name: str, versions: list[Mapping[str, Any]]) -> dict[str, Any]:
    versions.sort(key=lambda event: (event.get("revision") or 1, event["epoch"], event["seq"]))
    names = ("revision", "entered", "seq", "caused_by", "reason", "changed")
    revisions = [{field: event.get(field) for field in names} for event in versions]
    return {**versions[-1], "record": name, "revision": versions[-1].get("revision") or 1, "revisions": revisions}


def _at(booking: Mapping[str, Any]) -> str:
    return str((booking.get("at") or booking.get("taken") or {}).get("time") or booking["entered"])


def genealogy(batch: str, bookings: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make {"edges", "orphans"}: an edge from each lot to the lot it went into, and the lots without parent or child.

    An end of an edge that names no lot is the batch itself.
    """
    edges = [_edge(batch, booking) for booking in bookings if booking["type"] == "material" and not _withdrawn(booking)]
    orphans = [{"gateway": end["gateway"], **orphan} for end in ends for orphan in end.get("orphans") or []]
    return {"edges": edges, "orphans": orphans}


def _withdrawn(booking: Mapping[str, Any]) -> bool:
    return "row-withdrawn" in (booking.get("problems") or [])


def _edge(batch: str, booking: Mapping[str, Any]) -> dict[str, Any]:
    went, became = lot_of(booking.get("lot")), lot_of(booking.get("output_lot"))
    if booking.get("kind") == "consume":
        became = became or batch
    elif booking.get("kind") == "produce":
        went, became = (went or batch, became) if became else (batch, went)
    names = ("kind", "material", "quantity", "unit", "equipment", "record", "status")
    return {"from": went, "to": became or booking.get("to"), **{name: booking.get(name) for name in names}}


def lot_of(lot: Any) -> str | None:
    """Take a lot's canonical number; the number as read if no rule matched."""
    if isinstance(lot, Mapping):
        return lot.get("canonical") or lot.get("raw")
    return str(lot) if lot else None


def alarms(events: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List every occurrence of an alarm, with the times when it was raised, acknowledged (and by whom) and cleared.

    A closed batch lists all alarms that concern it, also those of the whole line. An open one lists those of the events that name it.
    """
    closed = {end["gateway"] for end in ends if end.get("alarms") is not None}
    listed = [_listed(end["gateway"], alarm) for end in ends if end["gateway"] in closed for alarm in end["alarms"]]
    listed += _from_events(event for event in events if event["type"] == "alarm" and event["gateway"] not in closed)
    return sorted(listed, key=lambda alarm: (alarm["raised"], alarm["seq"] or 0, alarm["alarm"]))


def _listed(gateway: str, alarm: Mapping[str, Any]) -> dict[str, Any]:
    names = ("seq", "alarm", "severity", "text", "equipment", "steps", *_STATES, "acknowledged_by", "duration_s")
    return {"gateway": gateway, **{name: alarm.get(name) for name in names}}


def _from_events(events: Any) -> list[dict[str, Any]]:
    by_alarm: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in events:
        raised = (event.get("raised") or event["at"])["time"]
        blank = _listed(event["gateway"], {name: event.get(name) for name in ("seq", "alarm", "severity", "text", "equipment", "steps")})
        alarm = by_alarm.setdefault((event["gateway"], event["alarm"], raised), {**blank, "raised": raised})
        if event["state"] in _STATES[1:]:
            alarm[event["state"]] = event["at"]["time"]
        if event["state"] == "acknowledged":
            alarm["acknowledged_by"] = event.get("by")
        alarm["duration_s"] = event.get("duration_s") or alarm["duration_s"]
    return list(by_alarm.values())
