"""Describes alarms and findings for the snapshot: what stands, what only happened, and which of both needs attention."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alarms import Found, Held, code_of
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.operation.finding_wording import what

ATTENTION_TICKS = 3600 * TICKS_PER_S
"""An alarm that nothing ends needs attention for so long; who acknowledges it will end that earlier, once there are persons."""
TOLD_LIVE = frozenset({"backup-failed", "checkpoint-refused", "clock-unverified", "disk-full", "journal-full", "journal-locked"}) | {
    *("journal-hindered", "journal-space", "uplink-gone", "witness-away", "witness-contradicts", "uplink-rejected"),
    *("uplink-no-receipts", "uplink-two-histories", "uplink-unreachable", "uplink-conflict", "uplink-credentials"),
    *("uplink-address", "uplink-not-taken", "uplink-protocol", "uplink-too-large", "uplink-too-small"),
}
"""Alarms whose state the snapshot has by itself, as it is now: it has a sentence for them, and a second one would say it twice."""
MOST_PROBLEMS = 5


def described(found: Found, now: int, zone: ZoneInfo) -> dict[str, Any]:
    """Describe all that is held as JSON-able values, the newest first, alarms before warnings. now: ticks."""
    standing = [_row(held, now, zone, is_standing=True) for held in reversed(found.standing)]
    recent = [_row(held, now, zone, is_standing=False) for held in reversed(found.recent)]
    return {
        "known_since": rfc3339(found.began) if found.began else None,
        "unkept": found.unkept,
        "standing": sorted(standing, key=lambda row: row["severity"] != "alarm"),
        "recent": recent,
    }


def _row(held: Held, now: int, zone: ZoneInfo, *, is_standing: bool) -> dict[str, Any]:
    code, told = code_of(held.code), asdict(held)
    asked = told.pop("asked_anew")
    is_new = now - held.last < ATTENTION_TICKS
    return {
        **told,
        "since": rfc3339(held.since),
        "last": rfc3339(held.last),
        "is_standing": is_standing,
        "local": _local(held.since if is_standing else held.last, zone),
        "not_said_since_start": None if asked is None else rfc3339(asked),
        "priority": code.priority,
        "cause": code.cause,
        "response": code.response,
        "attention": held.severity == "alarm" and asked is None and (is_standing or is_new),
    }


def _local(ticks: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(ticks / TICKS_PER_S, zone):%Y-%m-%d %H:%M:%S}"


def counted(counts: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Describe the counts of findings since the start, by code, severity and source."""
    return [{"code": code, "severity": severity, "source": source, "count": n} for (code, severity, source), n in sorted(counts.items())]


def problems(now: Mapping[str, Any]) -> list[str]:
    """List the alarms that need attention, each as one sentence; those of which the snapshot has the state itself are told there."""
    findings = now["findings"]
    told = [row for row in (*findings["standing"], *findings["recent"]) if row["attention"] and not _is_told_live(row, now)]
    texts = [f"alarm {what(row)} ({'since' if row['is_standing'] else 'at'} {row['local'][:16]})" for row in told[:MOST_PROBLEMS]]
    more = len(told) - len(texts)
    return texts if more <= 0 else [*texts, f"alarm: and {more} more, in the list of alarms and findings"]


def _is_told_live(row: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether the snapshot has another sentence about this. What is over there, and was an alarm, is still told here."""
    match row["code"]:
        case "uplink-certificate" | "uplink-crashed":
            return any(uplink["name"] == row["subject"] and uplink["state"] != "forwarding" for uplink in now["uplinks"])
        case "file-refused" | "file-incomplete":
            file = row["text"].partition(": ")[0]
            return any(source["name"] == row["source"] and f"{file} (" in source["unread"] for source in now["sources"])
        case "part-failed":
            return row["subject"] in now["broken"]
    return row["code"] in TOLD_LIVE


def open_alarms(rows: Iterable[Mapping[str, Any]]) -> int:
    """Count the alarms that stand, as far as this run knows."""
    return sum(row["severity"] == "alarm" and row["not_said_since_start"] is None for row in rows)
