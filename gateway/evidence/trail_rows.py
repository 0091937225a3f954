"""Makes one row of the audit trail of an event: who, what, when, where, old, new, why, in which batches, and how much it matters. Pure.

The audit trail is more than the events `audit`: whatever changed what had been recorded, or what recording rests on, is in it (EU Annex 11,
12; FDA Data Integrity and Compliance With Drug CGMP, questions 7 and 8).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.entries.ticks import rfc3339

TYPES = frozenset({"audit", "config", "clock", "rebind", "step", "batch", "material", "sample", "finding", "epoch", "document"})
"""Types of events of which some belong to the audit trail."""
KINDS = (
    *("audit", "users", "alarms", "config", "clock", "key", "hold", "quarantine"),
    *("rebind", "correction", "source-row-changed", "epoch", "document"),
)
"""What `--type` selects. audit: what persons and the gateway did, and no other kind names."""
COLUMNS = (
    *("time", "local", "epoch", "seq", "type", "what", "user", "name", "role", "kind", "station", "address", "interface"),
    *("object", "old", "new", "reason", "batches", "critical", "details", "digest"),
)
_SOURCE = frozenset({"source-row-changed", "source-row-deleted", "source-corrected", "late-correction", "batch-corrected"})
_USERS = frozenset({"login", "logout", "session-ended", "refused", "refused-more"})
_ROUTINE = frozenset(
    {
        *(
            "start",
            "stop",
            "prune",
            "backup",
            "archive",
            "login",
            "logout",
            "session-ended",
            "user-password",
            "user-rehashed",
            "key-created",
            "key-adopted",
        )
    }
    | {*("refused", "refused-more", "certificate-made", "alarm-acknowledged", "alarm-unshelved", "alarm-notified", "notify-test")}
)
"""Audit actions that change nothing of a record and nothing that recording rests on."""
_CLOCK_SET = frozenset({"step", "recovered", "unsynchronised", "unknown", "leap"})
"""Events of the clock after which recorded times mean something else, or are in doubt."""
_SHOWN = {"type", "action", "who", "where", "object", "old", "new", "reason", "site_zone", "files"}


def row_of(event: Mapping[str, Any], ticks: int, zone: ZoneInfo, gateway: str) -> dict[str, Any] | None:
    """Return the row of an event, without `epoch`, `seq` and `digest`; None if it is not of the audit trail. ticks: of the entry."""
    kind = _kind(event)
    if kind is None:
        return None
    who, where = _who(event, gateway), event.get("where") or {}
    old, new = _old_and_new(event)
    return {
        "time": rfc3339(ticks),
        "local": _local(ticks, zone),
        "type": kind,
        "what": _what(event),
        **{name: who.get(name) for name in ("user", "name", "role", "kind")},
        **{name: where.get(name) for name in ("station", "address", "interface")},
        "object": _object(event),
        "old": old,
        "new": new,
        "reason": event.get("reason"),
        "batches": batches_of(event),
        "critical": is_critical(event, kind),
        "details": _details(event),
    }


def batches_of(event: Mapping[str, Any]) -> list[str]:
    """Name the batches that an event is about; none: it is about the whole line."""
    what, evidence = event.get("what") or {}, event.get("evidence") or {}
    found = [event.get("batch"), evidence.get("batch")]
    found += [what.get("batch"), *_listed(what.get("batches"))] if isinstance(what, Mapping) else []
    found += [each.get("batch") for each in (event.get("from"), event.get("to")) if isinstance(each, Mapping)]
    found += list(event.get("batches") or ()) if event["type"] == "document" else []
    return sorted({str(one) for one in found if one})


def _listed(value: Any) -> list[Any]:
    """Return a list, and nothing for what is none: `what` and `evidence` of an event that waited for a start are anybody's."""
    return value if isinstance(value, list) else []


def is_critical(event: Mapping[str, Any], kind: str) -> bool:
    """Return whether a reviewer has to look at it: it changed a record, or what recording rests on (Annex 11, 9: by risk)."""
    match event["type"]:
        case "audit":
            alarm = event.get("what") or {}
            return event["action"] not in _ROUTINE or (event["action"] == "alarm-acknowledged" and alarm.get("severity") == "alarm")
        case "clock":
            return event["kind"] in _CLOCK_SET
        case "epoch":
            return bool(event["reason"] != "created")
        case "document":
            return False
        case "finding":
            return bool(event["severity"] != "info")
    return kind in {"config", "rebind", "correction"}


def _kind(event: Mapping[str, Any]) -> str | None:
    match event["type"]:
        case "audit":
            return _audit_kind(str(event["action"]))
        case "finding":
            return "source-row-changed" if event["code"] in _SOURCE else None
        case "step" | "batch" | "material" | "sample":
            return "correction" if (event.get("revision") or 1) > 1 and event.get("part", 1) == 1 else None
        case "config" | "document":
            return str(event["type"]) if event.get("part", 1) == 1 else None
        case "clock" | "rebind" | "epoch":
            return str(event["type"])
    return None


def _audit_kind(action: str) -> str:
    if action.startswith("user") or action in _USERS:
        return "users"
    for beginning, kind in (("alarm-", "alarms"), ("key-", "key"), ("quarantine-", "quarantine"), ("config-", "config")):
        if action.startswith(beginning):
            return kind
    return "hold" if action.endswith("hold") else "audit"


def _what(event: Mapping[str, Any]) -> str:
    match event["type"]:
        case "audit":
            return str(event["action"])
        case "finding":
            return f"{event['code']}: {event['text']}"
        case "clock":
            return f"clock {event['kind']}"
        case "config":
            return f"configuration {event['version']}"
        case "epoch":
            return f"new epoch: {event['reason']}"
        case "document":
            return str(event["document"])
    return f"{event['type']} revised" if event["type"] != "rebind" else "record bound to another batch"


def _who(event: Mapping[str, Any], gateway: str) -> Mapping[str, Any]:
    """Tell who it was. Entries of before persons were known have a text; what a source changed, it names nobody for."""
    who = event.get("who")
    if isinstance(who, Mapping):
        return who
    if event["type"] == "finding" and event.get("source"):
        return {"user": f"source:{event['source']}", "kind": "system"}
    return {"user": str(who or f"system:{gateway}"), "kind": "system"}


def _object(event: Mapping[str, Any]) -> str | None:
    match event["type"]:
        case "config":
            return "configuration"
        case "clock":
            return "clock"
        case "finding":
            evidence = event.get("evidence") or {}
            return f"row {evidence['key']} of {event['source']}.{evidence['name']}" if {"key", "name"} <= evidence.keys() else None
        case "epoch":
            return "journal"
    return event.get("object") or event.get("record")


def _old_and_new(event: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what it was before, and what it is: of several members, as objects by their paths."""
    changed = event.get("changed") or (event.get("evidence") or {}).get("changed")
    if changed and all(isinstance(each, Mapping) for each in _listed(changed) or [None]):
        paths = [str(each.get("path") or each.get("column")) for each in changed]
        return dict(zip(paths, (each.get("old") for each in changed), strict=True)), dict(
            zip(paths, (each.get("new") for each in changed), strict=True)
        )
    match event["type"]:
        case "config":
            before = event.get("follows") or {}
            return before.get("version"), event["version"]
        case "rebind":
            return event.get("from"), event.get("to")
        case "clock":
            return event.get("was"), event.get("status")
        case "epoch":
            return event.get("follows"), None
    return event.get("old"), event.get("new")


def _details(event: Mapping[str, Any]) -> Any:
    """Return the facts that no column has, as far as they are short enough for a row; the entry has all of them."""
    match event["type"]:
        case "audit":
            return event.get("what") or {}
        case "config":
            return {"sha256": event["sha256"], "changes": event.get("changes"), "diff": event.get("diff") or []}
        case "finding":
            return {}
        case "document":
            return {name: event.get(name) for name in ("id", "sha256", "meaning") if event.get(name) is not None}
        case "step" | "batch" | "material" | "sample":
            return {name: event.get(name) for name in ("revision", "supersedes", "equipment", "step", "run") if event.get(name) is not None}
    facts = {name: value for name, value in event.items() if name not in _SHOWN and value not in (None, [], {})}
    return facts if len(json.dumps(facts, default=str)) < 4_000 else {}


def _local(ticks: int, zone: ZoneInfo) -> str:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    return instant.astimezone(zone).isoformat(timespec="milliseconds")
