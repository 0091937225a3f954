"""Snapshots of a line, as `gateway.operation.status.Status` makes them: one in order, and what is put into it."""

from typing import Any

from gateway.alarms import code_of

H, D = 3_600.0, 86_400.0
TODAY = "2026-11-22"


def snapshot() -> dict[str, Any]:
    """A line that has been running for a day and is in order."""
    whole = {"begun": "2026-11-22T05:00:00.000000Z", "ended": "2026-11-22T06:00:00.000000Z", "segments": 120, "whole": 120}
    space = {
        "bytes": 41_200_000,
        "max_bytes": 4 * 10**9,
        "used": 0.0103,
        "bound_bytes": 4 * 10**9,
        "bounded_by": "max_bytes",
        "alarm": None,
    }
    kept = {"closed": 120, "holds": 3, "open_batch": 2, "unconfirmed": 0, "held": ["B1", "B2"], "held_count": 2}
    fine = {"pressure": None, "pressure_cause": None, "hindered": None, "waiting_s": 0.01, "days_to_full": 30.0, "entries_per_s": 20.0}
    opened: dict[str, Any] = {"clean": True, "epoch": None, "findings": []}
    seqs = {"epoch": 17, "seq": 13_000, "directory": "/var/lib/x", "patrol": {"last": whole, "complete": whole}}
    checkpoint = {"epoch": 17, "size": 12_345, "root": "00", "cause": "interval"}
    witness = {"name": "qa", "endpoint": "file:///qa", "epoch": 17, "size": 12_345, "age_s": 100.0, "waiting": 0, "away": None}
    clock = {"status": "synchronised", "reason": "chrony is synchronised", "bound_s": 0.002, "limit_s": 1.0, "leap_mode": "slew"}
    return {
        "gateway": "lyon/test-1",
        "environment": "production",
        "configuration": {
            "version": 4,
            "sha256": "ab",
            "state": "active",
            "approved_by": "Jeanne Durand (jdurand, qa), 2026-11-22",
            "interface_sha256": "ab" * 32,
        },
        "folder": {"path": "/etc/ebr-gateway/test-1", "state": "same", "files": [], "count": 0, "next": None, "why": None, "restart": None},
        "software": "1",
        "time": "2026-11-22T07:00:00.000000Z",
        "local": "2026-11-22 08:00:00",
        "timezone": "Europe/Paris",
        "uptime_s": D,
        "clock": {**clock, "anchor": {"monotonic_s": 1.0}},
        "sources": [],
        "uplinks": [],
        "uplinks_gone": [],
        "broken": {},
        "equipment": {},
        "batches_ended": [],
        "fallback": None,
        "transition": None,
        "findings": {"known_since": None, "unkept": 0, "unacknowledged": 0, "standing": [], "cleared": [], "recent": []},
        "journal": {**space, **fine, **seqs, "kept": kept, "opened": opened},
        "evidence": {
            "last": checkpoint,
            "age_s": 100.0,
            "every_s": 300.0,
            "refused": None,
            "key": "lyon/test-1+00000000+A",
            "key_name": "lyon/test-1+00000000",
            "accepted": [{"uplink": "ebr", "epoch": 17, "size": 12_000, "age_s": 700.0}],
            "witnesses": [{**witness, "contradicts": None, "taken_s": 99.0}],
        },
        "backup": {"folder": "/b", "age_h": 3.0, "every_h": 24.0, "making": False, "overdue": False, "failing": None},
    }


def source(name: str = "lims", driver: str = "mes_file", **other: Any) -> dict[str, Any]:
    """A source in order."""
    late = {"count": 0, "longest_s": 0.0, "last_s": 0.0, "ended": None, "ago_s": None}
    clock = {"offset_s": None, "above": False, "told_by": None, "authority": "gateway"}
    counts = {"tags": 12, "readings": 86_400, "unchanged": 0, "readings_per_s": 12.0, "open_gaps": 0, "tags_hidden": 0, "for_s": 4_321.0}
    plain = {"name": name, "driver": driver, "endpoint": "", "state": "connected", "detail": "", "unread": "", "clock": clock}
    return {
        **plain,
        "simulated": False,
        **counts,
        "hidden_since": None,
        "rows": 0,
        "unmapped": {"count": 0, "kinds": []},
        "late": late,
        **other,
    }


def uplink(**other: Any) -> dict[str, Any]:
    """An uplink in order."""
    plain = {"name": "ebr", "state": "forwarding", "detail": "", "entries": 0, "oldest_s": None, "last_receipt": None, "rejected": 0}
    return {**plain, "receipts_refused": 0, "refusal": "", "refused_at": None, "refused_lately": False, "replay": "", **other}


def finding(code: str, text: str, source: str = "", subject: str = "", **other: Any) -> dict[str, Any]:
    """A standing alarm as the snapshot describes it."""
    told = code_of(code)
    shown = {"code": code, "severity": "alarm", "source": source, "subject": subject, "tags": [], "text": text, "count": 1}
    shown |= {"id": "0a1b2c3d", "cleared": None, "acknowledged": None, "shelved": None, "state": "raised", "batches": []}
    shown |= {"priority": told.priority, "whom": told.whom, "cause": told.cause, "response": told.response}
    return {
        **shown,
        "attention": True,
        "is_standing": True,
        "local": f"{TODAY} 07:00:00",
        "last": f"{TODAY}T06:00:00.000000Z",
        "not_said_since_start": None,
        **other,
    }


def unit(batch: str | None = None, *steps: str, **so_far: Any) -> dict[str, Any]:
    """An equipment. so_far: what its batch lacks."""
    told = {"batch": batch, "since": "2026-11-22T05:10:00.000000Z", "gaps": 0, "hidden_by": [], "missing": 0, "missing_items": [], **so_far}
    who = {"batch": batch, "product": "P-1" if batch else None, "steps": [["phase", step, 1] for step in steps]}
    does = {
        "activity": "production" if batch else "idle",
        "state": "Running" if batch else "Idle",
        "operator": "jdupont" if batch else None,
    }
    return {**does, **who, "so_far": told if batch else None}


def ended(batch: str, *missing: dict[str, Any]) -> dict[str, Any]:
    """A batch that ended."""
    counts = {"required": 21, "present": 21 - len(missing), "missing": len(missing), "missing_items": list(missing)}
    idle: dict[str, Any] = {"not_applicable": 0, "not_applicable_because": {}}
    status = "incomplete" if missing else "complete"
    return {"batch": batch, "product": "P-1", "revision": 1, "status": status, "ended": "2026-11-22T06:30:00.000000Z", **counts, **idle}


def item(parameter: str, step: str = "MIX", equipment: str = "granulator") -> dict[str, Any]:
    """A required value that is missing."""
    return {"equipment": equipment, "step": step, "run": 1, "parameter": parameter, "status": "gap"}


def value(tag: str, source: str, number: Any, unit: str | None = None, **other: Any) -> dict[str, Any]:
    """A tag as `/values` describes it: observed just now, and Good."""
    plain: dict[str, Any] = {
        "tag": tag,
        "source": source,
        "equipment": [],
        "description": None,
        "type": "float64",
        "unit": unit,
        "criticality": "none",
        "value_origin": "automatic",
    }
    read = {"value": number, "text": None, "raw": None, "status": 0, "quality": "Good", "severity": "good"}
    times = {"time": "2026-11-22T06:59:59.000000Z", "age_s": 1.0, "observed_s": 0.4, "in_gap": False, "course": []}
    return {**plain, **read, **times, **other}
