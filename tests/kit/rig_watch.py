"""What a running line says of itself: its page, its findings, what it holds back."""

import contextlib
import http.client
import json
import time
from collections import Counter
from typing import Any

from kit.line_rig import Rig

from buffer import read_journal


def page(rig: Rig) -> dict[str, Any]:
    """What the page says, as JSON; {} while there is none."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", rig.ports["page"], timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/status")
            status: dict[str, Any] = json.loads(connection.getresponse().read())
            return status
    except (OSError, http.client.HTTPException):
        return {}


def says(rig: Rig, text: str) -> bool:
    return any(text in problem for problem in page(rig).get("problems", []))


def events(rig: Rig, kind: str, **members: Any) -> list[dict[str, Any]]:
    found = [entry["event"] for entry in rig.entries() if entry.get("event", {}).get("type") == kind]
    return [event for event in found if all(event.get(name) == value for name, value in members.items())]


def alarms(rig: Rig) -> list[int]:
    """Per cent in the findings about space that stand in the journal now, the EBR being away."""
    found = [json.loads(entry.payload).get("event", {}) for entry in read_journal(rig.data)]
    return [int(event["text"].split()[3].rstrip("%")) for event in found if event.get("code") == "journal-space"]


def held_back(rig: Rig) -> dict[str, int]:
    """Cause -> number of gaps, of those that the journal itself made; all of the polled source."""
    gaps = [event for event in events(rig, "gap", transition="open") if event["cause"].startswith(("journal-", "disk-"))]
    assert {event["source"] for event in gaps} <= {"meter"}
    return dict(Counter(event["cause"] for event in gaps))


def watched(rig: Rig, seconds: float) -> list[float]:
    """How long the oldest list waited for the disk, looked at often."""
    waits, begun_s = [], time.monotonic()
    while time.monotonic() < begun_s + seconds:
        waits.append(page(rig).get("journal", {}).get("waiting_s", 0.0))
        time.sleep(0.1)
    return waits
