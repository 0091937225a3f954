"""Materials, samples, alarms: what was booked to a batch, in its latest revision, and which lot became which."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BOOKED = ("material", "sample")
_STATES = ("raised", "acknowledged", "cleared")


def booked(events: Sequence[Mapping[str, Any]], everywhere: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The latest revision of every booking and sample, with its earlier ones beside it; in the order of their instants.

    everywhere: the bookings of all batches; one that another record supersedes went over to that record's batch.
    """
    moved = ((str(one.get("supersedes") or "").rpartition("#")[0], one.get("record")) for one in everywhere)
    gone = {old for old, new in moved if old and old != new}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event["type"] in _BOOKED:
            name = event.get("record") or f"{event['gateway']}/{event['epoch']}/{event['seq']}"
            found.setdefault(name, []).append(event)
    return sorted(
        (_latest(name, versions) for name, versions in found.items() if name not in gone), key=lambda one: (_at(one), one["record"])
    )


def _latest(name: str, versions: list[Mapping[str, Any]]) -> dict[str, Any]:
    versions.sort(key=lambda event: (event.get("revision") or 1, event["epoch"], event["seq"]))
    names = ("revision", "entered", "seq", "reason", "changed")
    told = [{one: event.get(one) for one in names} for event in versions]
    return {**versions[-1], "record": name, "revision": versions[-1].get("revision") or 1, "revisions": told}


def _at(one: Mapping[str, Any]) -> str:
    return str((one.get("at") or one.get("taken") or {}).get("time") or one["entered"])


def genealogy(batch: str, bookings: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """{"edges": what went into what, "orphans": lots without parent or child}: an end of an edge that names no lot is the batch itself."""
    edges = [_edge(batch, one) for one in bookings if one["type"] == "material" and not _withdrawn(one)]
    orphans = [{"gateway": end["gateway"], **orphan} for end in ends for orphan in end.get("orphans") or []]
    return {"edges": edges, "orphans": orphans}


def _withdrawn(one: Mapping[str, Any]) -> bool:
    return "row-withdrawn" in (one.get("problems") or [])


def _edge(batch: str, one: Mapping[str, Any]) -> dict[str, Any]:
    went, became = lot_of(one.get("lot")), lot_of(one.get("output_lot"))
    if one.get("kind") == "consume":
        became = became or batch
    elif one.get("kind") == "produce":
        went, became = (went or batch, became) if became else (batch, went)
    names = ("kind", "material", "quantity", "unit", "equipment", "record", "status")
    return {"from": went, "to": became or one.get("to"), **{name: one.get(name) for name in names}}


def lot_of(lot: Any) -> str | None:
    """A lot's canonical number; where no rule matches, what was read."""
    if isinstance(lot, Mapping):
        return lot.get("canonical") or lot.get("raw")
    return str(lot) if lot else None


def alarms(events: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each time that an alarm stood, with when it was raised, acknowledged (by whom) and cleared.

    A closed batch lists all that concern it, also those of the whole line; until then the events that name the batch are what is known.
    """
    closed = {end["gateway"] for end in ends if end.get("alarms") is not None}
    found = [_listed(end["gateway"], one) for end in ends if end["gateway"] in closed for one in end["alarms"]]
    found += _told(event for event in events if event["type"] == "alarm" and event["gateway"] not in closed)
    return sorted(found, key=lambda alarm: (alarm["raised"], alarm["seq"] or 0, alarm["alarm"]))


def _listed(gateway: str, one: Mapping[str, Any]) -> dict[str, Any]:
    names = ("seq", "alarm", "severity", "text", "equipment", "steps", *_STATES, "acknowledged_by", "duration_s")
    return {"gateway": gateway, **{name: one.get(name) for name in names}}


def _told(events: Any) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for event in events:
        raised = (event.get("raised") or event["at"])["time"]
        blank = _listed(event["gateway"], {name: event.get(name) for name in ("seq", "alarm", "severity", "text", "equipment", "steps")})
        alarm = found.setdefault((event["gateway"], event["alarm"], raised), {**blank, "raised": raised})
        if event["state"] in _STATES[1:]:
            alarm[event["state"]] = event["at"]["time"]
        if event["state"] == "acknowledged":
            alarm["acknowledged_by"] = event.get("by")
        alarm["duration_s"] = event.get("duration_s") or alarm["duration_s"]
    return list(found.values())
