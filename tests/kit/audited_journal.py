"""A line's journal with an audit trail in it, written by a real journal and without a gateway: one event a minute."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kit.drop_line import drop_line

from buffer import Body, Journal
from buffer.times import TICKS_PER_S, rfc3339

GATEWAY = "lyon/test-1"
BEGAN = 17_953_308_000_000_000  # 2026-11-22T07:00:00Z
WHERE = {"station": "panel-2", "address": None, "interface": "cli", "account": "os:shared"}
SYSTEM = {"user": f"system:{GATEWAY}", "name": None, "role": None, "kind": "system", "auth": "os"}


def who(user: str, name: str, role: str) -> dict[str, Any]:
    return {"user": user, "name": name, "role": role, "kind": "person", "auth": "password"}


OTTO, EDDA = who("operator", "Otto Bediener", "operator"), who("engineer", "Edda Bauer", "engineer")


def act(action: str, by: Mapping[str, Any] = SYSTEM, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """An audit event."""
    told = {"object": None, "old": None, "new": None, "what": {}, **more}
    return {"type": "audit", "action": action, "who": by, "where": WHERE, "reason": reason, "site_zone": "Europe/Paris", **told}


def stay(transition: str, batch: str, equipment: str = "mixer") -> dict[str, Any]:
    """A batch comes into an equipment, or leaves it."""
    return {"type": "batch", "transition": transition, "batch": batch, "equipment": equipment}


def ended(batch: str) -> dict[str, Any]:
    done = {"required": 1, "present": 1, "missing": []}
    return {
        "type": "batch",
        "transition": "end",
        "batch": batch,
        "record": f"b/{batch}",
        "revision": 1,
        "status": "complete",
        "completeness": done,
    }


def config(version: int, follows: int | None = None) -> dict[str, Any]:
    before = None if follows is None else {"version": follows, "sha256": f"{follows:064x}"}
    diff = (
        [{"what": "changed", "kind": "tag", "name": "lod", "fields": [["unit", "%", "g/kg"]], "criticality": "critical"}] if before else []
    )
    told = {"software": "1", "files": [], "follows": before, "changes": len(diff) if before else None, "diff": diff, "approved_by": None}
    return {"type": "config", "version": version, "sha256": f"{version:064x}", **told}


def revised(batch: str) -> dict[str, Any]:
    """A record of a step that was made again."""
    told = {"record": "s/1", "revision": 2, "supersedes": "s/1#1", "reason": "late-data", "equipment": "mixer", "step": "MIX", "run": 1}
    changed = [{"path": "parameters/speed/value", "old": "101.2", "new": "99.8"}]
    return {"type": "step", "transition": "end", "batch": batch, **told, "changed": changed}


def row_changed(batch: str) -> dict[str, Any]:
    told = {"batch": batch, "source": "mes", "name": "orders", "key": "17", "changed": [{"column": "qty", "old": "5", "new": "=2+3"}]}
    text = f"batch {batch}: row 17 of mes.orders was changed: qty 5 to =2+3"
    return {
        "type": "finding",
        "code": "source-row-changed",
        "severity": "warning",
        "source": "mes",
        "tags": [],
        "text": text,
        "evidence": told,
    }


def body(event: Mapping[str, Any], ticks: int) -> Body:
    text = json.dumps({"time": rfc3339(ticks), "event": event}, ensure_ascii=False, separators=(",", ":"))
    return Body("ebr-gateway/event/1", text[1:].encode())


def opened(folder: Path) -> Journal:
    """Open the line's journal, to write into it."""
    return Journal.open(folder / "data", GATEWAY, retain_s=1e9, max_bytes=1 << 30)


def audited_line(folder: Path, events: Iterable[Mapping[str, Any]], *, readings: bool = True) -> Path:
    """Write a line folder with a journal of these events. readings: something after each that names an audit event, and is none."""
    drop_line(folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    journal = opened(folder)
    for number, event in enumerate(events):
        ticks = BEGAN + number * 60 * TICKS_PER_S
        between = Body(
            "ebr-gateway/readings/1", f'"time":"{rfc3339(ticks)}","source":"lims","text":"\\"event\\":{{\\"type\\":\\"audit\\""}}'.encode()
        )
        journal.append([body(event, ticks), *([between] if readings else [])]).result()
    journal.close()
    return folder


STORY = [
    act("start"),
    config(1),
    stay("start", "B1"),
    act(
        "alarm-acknowledged",
        OTTO,
        "called the pharmacy",
        object="alarm 0a",
        what={"id": "0a", "code": "file-refused", "severity": "alarm", "batches": ["B1"]},
    ),
    {"type": "clock", "kind": "step", "status": "synchronised", "step_s": 3.5, "was": "synchronised"},
    {"type": "clock", "kind": "synchronised", "status": "synchronised", "was": "holdover"},
    act("quarantine-disposed", EDDA, "entry is a double, see dev-12", object="entry 1/7", old="held", new="disposed of"),
    revised("B1"),
    row_changed("B1"),
    stay("leave", "B1"),
    ended("B1"),
    config(1),
    act(
        "user-role",
        who("admin", "Anna Berg", "admin"),
        "moved to the shift of QA",
        object="user jdurand",
        old={"role": "operator"},
        new={"role": "qa"},
    ),
    stay("start", "B2"),
    config(2, 1),
    act(
        "release-hold",
        who("qa", "Quentin Abel", "qa"),
        "=cmd()|'no deviation'",
        object="batch B1",
        old="held",
        new="released",
        what={"batch": "B1"},
    ),
]
"""What happened on a line in sixteen minutes: two batches, persons, a set clock, a corrected record, a changed row."""
