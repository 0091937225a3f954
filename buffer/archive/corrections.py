"""Lay out what was corrected and who did what, as tables for people; and the block that a reviewer fills in."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from buffer.archive.happenings import Happening
from buffer.archive.texts import counted_text, local_text, path_text, people_text, value_text, who_text
from buffer.pages.blocks import Block, Form, Heading, Table, Text

NOTHING = {"path": "nothing but its evidence"}


def corrections(mine: Iterable[Happening], prefix: str, zone: str | None) -> Iterator[Block]:
    """Yield one row for each value that a revision changed: what stood before, what stands now. prefix: of the batch's records."""
    rows: list[Sequence[str]] = []
    ends: dict[str, Mapping[str, Any]] = {}
    for happening in mine:
        event = happening.event
        is_end = event["type"] == "batch" and event.get("transition") == "end"
        former = ends.get(event["record"]) if is_end else None
        if is_end:
            ends[event["record"]] = event
        if (event.get("revision") or 1) < 2:
            continue
        name = str(event["record"]).removeprefix(prefix)
        head = (happening.where, local_text(happening.time, zone), name, value_text(event["revision"]), value_text(event.get("reason")))
        changes = [change for change in event.get("changed", []) if not change["path"].endswith("evidence")]
        changes = changes if former is None else list(_of_end(former, event, prefix))
        for number, change in enumerate(changes or [NOTHING]):
            values = ["" if change is NOTHING else people_text(change.get(side), zone) for side in ("old", "new")]
            what = path_text(change["path"])
            rows.append([*(head if number == 0 else ("", "", "", "", "")), what, *values])
    if rows:
        yield Heading(1, "Corrections")
        yield Table(("Entry", "Written", "Record", "Rev.", "Reason", "What", "Before", "After"), (0.9, 2.1, 2.6, 0.6, 1.4, 2.4, 3, 3), rows)


def _of_end(former: Mapping[str, Any], event: Mapping[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """Yield what differs between two revisions of a batch's end: its status, its count, the revisions of the records that it lists."""
    told = [(each.get("status"), counted_text(each.get("completeness") or {})) for each in (former, event)]
    for path, old, new in zip(("status", "completeness"), *told, strict=True):
        if old != new:
            yield {"path": path, "old": old, "new": new}
    before, after = (_listed(each) for each in (former, event))
    for record in sorted(before.keys() | after.keys()):
        if before.get(record) != after.get(record):
            yield {"path": f"record {record.removeprefix(prefix)}", "old": before.get(record), "new": after.get(record)}


def _listed(end: Mapping[str, Any]) -> dict[str, str]:
    lists = (end.get(name) or [] for name in ("records", "materials", "samples"))
    return {item["record"]: f"revision {item['revision']}" for items in lists for item in items}


def audit_trail(happened: Iterable[Happening], zone: str | None) -> Iterator[Block]:
    """Yield who did what and why, one row for each thing that was said of it."""
    rows: list[Sequence[str]] = []
    for happening in happened:
        event = happening.event
        if event["type"] != "audit":
            continue
        head = (happening.where, local_text(happening.time, zone), value_text(event.get("action")), who_text(event.get("who")))
        changed = [(name, event[name]) for name in ("object", "old", "new") if event.get(name) is not None]
        facts = [*changed, *(event.get("what") or {}).items()] or [("", "")]
        for number, (name, value) in enumerate(facts):
            said = (name.replace("_", " "), people_text(value, zone) if name else "")
            rows.append([*(head if number == 0 else ("", "", "", "")), *said, value_text(event.get("reason")) if number == 0 else ""])
    if rows:
        yield Heading(1, "Audit trail")
        yield Table(("Entry", "Time", "Action", "Who", "What", "Value", "Why"), (0.9, 2.1, 1.6, 2, 1.6, 5, 2), rows)


def review(happened: Iterable[Happening], zone: str | None) -> Iterator[Block]:
    """Yield who reviewed the audit trail and what came of it, then the block that is filled in by hand on a printed copy."""
    yield Heading(1, "Review")
    reviews = [happening for happening in happened if happening.event.get("document") == "audit-trail-review"]
    for happening in reviews:
        yield Text(_reviewed(happening.event, zone), marked=bool(happening.event.get("deviations")))
    if not reviews:
        yield Text("Audit trail: not reviewed when this archive was made.", marked=True)
    yield Text("This copy bears no electronic signature. Whoever prints, reviews or approves it on paper fills in and signs.")
    titles = ("Meaning", "Name, printed", "User id and role", "Date and time, with UTC offset", "Signature")
    yield Form(titles, (1.6, 2.6, 2, 2.6, 3), ("Printed", "Reviewed", "Approved or rejected"))


def _reviewed(event: Mapping[str, Any], zone: str | None) -> str:
    who, items, questioned = event["reviewer"], len(event["items"]), event.get("deviations") or []
    scope = event["scope"]["through"]
    by = f"Audit trail reviewed by {who['name']} ({who['user']}, {who['role']}), {local_text(event['signatures'][0]['time'], zone)}"
    told = f"{items} items through entry {scope['seq']}, {len(questioned)} questioned{': ' if questioned else ''}{', '.join(questioned)}"
    return f"{by}: {told}. Document {event['id']}, SHA-256 {event['sha256']}."
