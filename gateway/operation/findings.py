"""Describes alarms and findings for the snapshot: what stands, what only happened, and which of both needs attention."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alarms import Found, Held, Shelf, code_of
from gateway.entries.ticks import TICKS_PER_S, rfc3339
from gateway.operation.finding_wording import every, what, when

TOLD_LIVE = frozenset({"backup-failed", "checkpoint-refused", "clock-unverified", "disk-full", "journal-full", "journal-locked"}) | {
    *("journal-hindered", "journal-space", "uplink-gone", "witness-away", "witness-contradicts", "uplink-rejected"),
    *("uplink-no-receipts", "uplink-two-histories", "uplink-unreachable", "uplink-conflict", "uplink-credentials"),
    *("uplink-address", "uplink-not-taken", "uplink-protocol", "uplink-too-large", "uplink-too-small", "uplink-schema-unsupported"),
}
"""Alarms whose state the snapshot has by itself, as it is now: it has a sentence for them, and a second one would say it twice."""
MOST_PROBLEMS = 5


def described(found: Found, now: int, zone: ZoneInfo) -> dict[str, Any]:
    """Describe all that is held as JSON-able values, the newest first, alarms before warnings. now: ticks."""
    standing = [_row(found, held, now, zone, is_standing=True) for held in reversed(found.standing)]
    return {
        "known_since": rfc3339(found.began) if found.began else None,
        "unkept": found.unkept,
        "unacknowledged": found.unacknowledged,
        "standing": sorted(standing, key=lambda row: row["severity"] != "alarm"),
        "cleared": [_row(found, held, now, zone, is_standing=False) for held in reversed(found.cleared)],
        "recent": [_row(found, held, now, zone, is_standing=False) for held in reversed(found.recent)],
    }


def _row(found: Found, held: Held, now: int, zone: ZoneInfo, *, is_standing: bool) -> dict[str, Any]:
    code, told = code_of(held.code), asdict(held)
    asked, seen, shelf = told.pop("asked_anew"), held.acknowledged, found.shelf(held, now)
    needs_somebody = held.awaits or (held.severity == "alarm" and is_standing and asked is None)
    return {
        **told,
        "since": rfc3339(held.since),
        "last": rfc3339(held.last),
        "cleared": None if held.cleared is None else rfc3339(held.cleared),
        "acknowledged": None if seen is None else {**asdict(seen), "at": rfc3339(seen.at), "local": _local(seen.at, zone)},
        "shelved": None if shelf is None else _shelved(shelf, zone),
        "is_standing": is_standing,
        "state": "shelved" if shelf else "acknowledged" if seen else "raised" if held.cleared is None else "cleared",
        "local": _local(held.since if is_standing or held.cleared else held.last, zone),
        "not_said_since_start": None if asked is None or not is_standing else rfc3339(asked),
        "priority": code.priority,
        "whom": code.whom,
        "cause": code.cause,
        "response": code.response,
        "attention": needs_somebody and shelf is None,
    }


def _shelved(shelf: Shelf, zone: ZoneInfo) -> dict[str, Any]:
    who = {"user": shelf.user, "name": shelf.name, "reason": shelf.reason}
    return {**who, "at": rfc3339(shelf.at), "until": rfc3339(shelf.until), "local": _local(shelf.until, zone)}


def _local(ticks: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(ticks / TICKS_PER_S, zone):%Y-%m-%d %H:%M:%S}"


def counted(counts: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Describe the counts of findings since the start, by code, severity and source."""
    return [{"code": code, "severity": severity, "source": source, "count": n} for (code, severity, source), n in sorted(counts.items())]


def problems(now: Mapping[str, Any]) -> list[str]:
    """List the alarms that need attention, each as one sentence; those of which the snapshot has the state itself are told there."""
    findings = now["findings"]
    told = untold(now)
    texts = [f"alarm {what(row)} ({when(row)})" for row in told[:MOST_PROBLEMS]]
    more, lost = len(told) - len(texts), findings["unacknowledged"]
    texts += [] if more <= 0 else [f"alarm: and {more} more, in the list of alarms and findings"]
    texts += [f"alarm: {lost:,} that nobody acknowledged had no room in the list: ebr-gateway alarms history"] if lost else []
    return texts


def untold(now: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the alarms that need attention and of which the snapshot has not the state itself."""
    return [row for row in every(now["findings"]) if row["attention"] and not _is_told_live(row, now)]


def _is_told_live(row: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether the snapshot has another sentence about this. What is over there, and was an alarm, is still told here."""
    if row["cleared"] or row["not_said_since_start"]:
        return False
    match row["code"]:
        case "uplink-certificate" | "uplink-crashed":
            return any(uplink["name"] == row["subject"] and uplink["state"] != "forwarding" for uplink in now["uplinks"])
        case "file-refused" | "file-incomplete" | "file-unreadable":
            file = row["text"].partition(": ")[0]
            return any(source["name"] == row["source"] and f"{file} (" in source["unread"] for source in now["sources"])
        case "part-failed":
            return row["subject"] in now["broken"]
    return row["code"] in TOLD_LIVE


def open_alarms(rows: Iterable[Mapping[str, Any]]) -> int:
    """Count the alarms that stand, as far as this run knows."""
    return sum(row["severity"] == "alarm" and row["not_said_since_start"] is None for row in rows)


def unacknowledged(findings: Mapping[str, Any]) -> int:
    """Count the alarms that nobody has acknowledged, shelved ones too, and those for which there was no room."""
    waits = sum(row["severity"] == "alarm" and row["acknowledged"] is None for row in every(findings))
    return int(waits + findings["unacknowledged"])


def open_by_code(findings: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """Count what stands, as far as this run knows, and what waits for an acknowledgement, by code and severity."""
    known = (row for row in findings["standing"] if row["not_said_since_start"] is None or row["attention"])
    return Counter(
        (row["code"], row["severity"]) for row in (*known, *(r for r in every(findings) if r["attention"] and not r["is_standing"]))
    )
