"""Explanations of differences: entries of the audit trail, each bound to the two values that it explains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from buffer import event_type, read_journal
from gateway.operation.explaining import ACTION

Json = dict[str, Any]


def explanations(data: Path) -> dict[str, Json]:
    """Return digest of a row -> its newest explanation: reason, by whom, when. Raises StorageError on damage."""
    found: dict[str, Json] = {}
    wanted = f'"{ACTION}"'.encode()
    for entry in read_journal(data):
        if event_type(entry.payload) != "audit" or wanted not in entry.payload:
            continue
        told = orjson.loads(entry.payload)
        event = told["event"]
        if event.get("action") == ACTION and (made := explanation_of(event, told["time"])) is not None:
            found[event["what"]["row_sha256"]] = {**made, "entry": f"{entry.epoch}/{entry.seq}"}
    return found


def explanation_of(event: Mapping[str, Any], time: str) -> Json | None:
    """Return what an event of the audit trail says of a row; None where no person said it."""
    who = event.get("who") or {}
    if who.get("kind") != "person" or not event.get("reason") or "row_sha256" not in (event.get("what") or {}):
        return None
    return {"reason": event["reason"], "by": {name: who.get(name) for name in ("user", "name", "role")}, "at": time}
