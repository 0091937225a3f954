"""Makes the drafts of what persons answer for: audit trail, reviews, alarms, access, versions of the configuration. Pure.

Each is a table or two of what a command prints as text, with the same rows as facts, so that programs read what people read.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft

MOST_BYTES = 1_900_000
"""A longer draft does not fit a message to the gateway (`control.MOST_COMMAND_BYTES`)."""


class TooLong(Exception):
    """What was asked for is too long for one document; the text says what to do."""


def of_trail(rows: Iterable[Mapping[str, Any]], asked: Sequence[tuple[str, str]], batch: str | None) -> dict[str, Any]:
    """Make the document of an audit trail. asked: name and value of each filter. Raises TooLong."""
    told = [
        (
            f"{row['local']}\n{row['time']}",
            _who(row["user"], row["name"], row["role"]),
            f"{row['what']} ({row['type']})",
            _text(row["object"]),
            _change(row["old"], row["new"]),
            _text(row["reason"]),
            f"{row['epoch']}/{row['seq']}",
        )
        for row in rows
    ]
    titles = ("When", "Who", "What", "Object", "Old -> new", "Why", "Entry")
    table = Table(titles, (4, 3, 3, 3, 4, 4, 2), told)
    body: list[Block] = [NamedValues([*(asked or [("Filter", "none: all of it")]), ("Rows", str(len(told)))]), table]
    return _bounded(draft("audit-trail", "Audit trail", body, {"filter": dict(asked), "rows": len(told)}, batch=batch))


def of_alarms(rows: Sequence[Mapping[str, Any]], asked: Sequence[tuple[str, str]], batch: str | None) -> dict[str, Any]:
    """Make the document of a history of alarms (`gateway.evidence.alarm_history`). What nobody acknowledged is marked. Raises TooLong."""
    told = [
        (
            row["raised_local"],
            f"{row['code']} ({row['priority']}, for {row['whom']})",
            f"{row['source'] or 'gateway'}: {row['text']}",
            _acknowledged(row),
            "happened" if row["momentary"] else (row["cleared_local"] or "stands"),
            "" if row["duration_s"] is None else f"{row['duration_s']}",
        )
        for row in rows
    ]
    marked = frozenset(place for place, row in enumerate(rows) if not row["acknowledged"])
    table = Table(("Raised", "Alarm", "Text", "Acknowledged", "Over", "Duration, s"), (4, 4, 6, 5, 4, 2), told, marked)
    seen = f"{len(rows) - len(marked)} acknowledged, {len(marked)} not"
    facts = {"alarms": len(rows), "unacknowledged": len(marked), "filter": dict(asked)}
    body: list[Block] = [NamedValues([*(asked or [("Filter", "none: all of them")]), ("Alarms", f"{len(rows)}: {seen}")]), table]
    return _bounded(draft("alarm-history", "History of alarms", body, facts, batch=batch, result="finding" if marked else "passed"))


def of_users(told: Mapping[str, Any], reads: str) -> dict[str, Any]:
    """Make the access report of what `users-list` answers. reads: what everybody may do who reaches the gateway."""
    rows = [
        (
            f"{one['name'] or 'no name'} ({one['user']})",
            one["role"] or "none",
            one["state"],
            one["last_login"] or "never here",
            _by(one, "created"),
            _by(one, "role"),
            _by(one, "disabled"),
        )
        for one in told["users"]
    ]
    asks = "of each person who changes something" if told["asks_for_persons"] else "of nobody: no users, and no production"
    may = [(role, ", ".join(commands) or "nothing") for role, commands in told["may"].items()]
    body: list[Block] = [
        NamedValues([("Users are kept", told["from"]), ("It is asked who he is", asks), ("Users", str(len(rows)))]),
        Table(("User", "Role", "State", "Last login", "Created", "Role since", "Disabled"), (4, 2, 2, 4, 4, 4, 4), rows),
        Heading(1, "What each role may do"),
        Table(("Role", "Commands"), (1, 6), may),
        Text(f"Whoever reaches the gateway may read: {reads}."),
    ]
    return _bounded(draft("access-report", "Who may do what", body, {"users": list(told["users"]), "may": dict(told["may"])}))


def of_impact(version: int, change_no: str | None, reference: str | None, assessed: Mapping[str, Any], batches: Any) -> dict[str, Any]:
    """Make the impact assessment of a version. reference: the digest that the signatures name. batches: open ones; None: not known."""
    rows = [
        (
            f"{row['what']} {row['path']}",
            "\n".join(f"{name}: {old or '(empty)'} -> {new or '(empty)'}" for name, old, new in row["fields"]),
            row["criticality"],
            "; ".join(f"{name.replace('_', ' ')}: {', '.join(row[name])}" for name in _TOUCHED if row[name]),
            "; ".join(row["tests"]),
        )
        for row in assessed["rows"]
    ]
    whole = "everything in it is new: the first version" if assessed["old"] is None else f"{assessed['changes']} changes"
    values = [
        ("Version", f"{version}, content SHA-256 {assessed['new']}"),
        ("Compared with", assessed["old"] or "nothing: the first version"),
        ("Change number", change_no or "none"),
        ("Assessment that is signed", reference or "none"),
        ("Changes", whole),
        ("Highest criticality", assessed["criticality"]),
        *((words, ", ".join(assessed[name]) or "none") for words, name in _LISTS),
        ("Open batches concerned", "not known while no gateway runs" if batches is None else ", ".join(batches) or "none"),
    ]
    body: list[Block] = [NamedValues(values), Table(("Object", "Old -> new", "Criticality", "Touches", "Tests"), (3, 4, 2, 5, 4), rows)]
    facts = {"version": version, "impact": reference, "assessed": dict(assessed), "batches": None if batches is None else list(batches)}
    return _bounded(draft("impact-assessment", f"Impact assessment of version {version}", body, facts))


def of_version(told: Mapping[str, Any]) -> dict[str, Any]:
    """Make the document of a version: who did what to it with which signature, its gaps and who accepted them. told: of `config-show`."""
    (version,), gaps = told["versions"], told["gaps"]
    acts = [
        (act["act"], _who(act["user"], act["name"], act["role"]), f"{act['local']}\n{act['at']}", _meaning(act), act["key"], act["note"])
        for act in version["acts"]
    ]
    rows = [(gap["gap"], gap["text"], _decided(gap), gap["reason"] or "") for gap in gaps or ()]
    marked = frozenset(place for place, gap in enumerate(gaps or ()) if gap["open"])
    values = [
        ("Version", f"{version['version']}, {version['state']}"),
        ("Content", f"SHA-256 {version['sha256']}"),
        ("Change number", version["change_no"] or "none"),
        ("Written by", version["author"]),
        ("Approved by", version["approved_by"] or "nobody"),
        ("Impact assessment", version["impact_ref"] or "none"),
    ]
    body: list[Block] = [
        NamedValues(values),
        Heading(1, "Acts, each a signed note"),
        Table(("Act", "Who", "When", "Meaning or reason", "Key", "Note"), (2, 3, 4, 4, 2, 8), acts),
        Heading(1, "Gaps of the mapping"),
        Text("Its content is not as this release reads it: nothing is known of its gaps.", marked=True)
        if gaps is None
        else Table(("Gap", "What", "Decided by", "Why"), (3, 6, 3, 4), rows, marked),
    ]
    facts = {"version": version["version"], "open": len(marked), "gaps": None if gaps is None else list(gaps)}
    result = "not-complete" if gaps is None else "finding" if marked or not version["approved_by"] else "passed"
    return _bounded(draft("configuration-version", f"Version {version['version']} of the configuration", body, facts, result=result))


def of_review(review: Mapping[str, Any], where: str, holds: str | None) -> dict[str, Any]:
    """Make the print of a review that stands in the journal. where: its entries. holds: why its signature does not hold; None: it does."""
    items = [
        (
            f"{item['local']}\n{item['epoch']}/{item['seq']}",
            _who(item["user"], item["name"], item["role"]),
            f"{item['what']}: {item['object'] or ''}",
            _change(item["old"], item["new"]),
            item["reason"] or "",
            f"{item['verdict']}\n{item['comment']}",
        )
        for item in review["items"]
    ]
    marked = frozenset(place for place, item in enumerate(review["items"]) if item["verdict"] != "accepted")
    signed = review["signatures"][0]
    scope = f"batch {review['batch']}" if review["batch"] else f"from {review['scope']['from']} to {review['scope']['to'] or 'then'}"
    values = [
        ("Review", f"{review['id']}, journal entry {where}"),
        ("Scope", scope),
        ("Looked at through", f"{review['scope']['through']['epoch']}/{review['scope']['through']['seq']}"),
        ("Filter", review["filter"]),
        ("Not reviewed", f"{review['not_reviewed']['count']}: {review['not_reviewed']['why']}"),
        ("Questioned", ", ".join(review["deviations"]) or "nothing"),
        ("Reviewer", _who(review["reviewer"]["user"], review["reviewer"]["name"], review["reviewer"]["role"])),
        ("Signature", f"{signed['meaning']}, {signed['local']} ({signed['time']}), over SHA-256 {signed['over']}"),
        ("The signature", "holds" if holds is None else f"does NOT hold: {holds}"),
        ("Note", signed["note"]),
    ]
    body: list[Block] = [
        NamedValues(values),
        Table(("When, entry", "Who", "What", "Old -> new", "Why", "Verdict"), (4, 3, 4, 4, 4, 4), items, marked),
        Text("This is a print. The review itself is the entry of the journal, and what is signed is that entry."),
    ]
    facts = {"review": review["id"], "sha256": review["sha256"], "deviations": list(review["deviations"]), "signature_holds": holds is None}
    result = "finding" if marked or holds is not None else "passed"
    return _bounded(draft("audit-trail-review-print", "Review of an audit trail", body, facts, batch=review["batch"], result=result))


_TOUCHED = ("equipment", "tags", "steps", "parameters", "ebr_fields", "interfaces")
_LISTS = (("Software", "software"), ("Equipment touched", "equipment"), ("Interfaces touched", "interfaces"), ("Tests required", "tests"))


def _bounded(drafted: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(drafted, ensure_ascii=False).encode()) > MOST_BYTES:
        raise TooLong("this is too long for one document: ask for a shorter time or fewer rows, or take --format csv")
    return drafted


def _who(user: str, name: str | None, role: str | None) -> str:
    return f"{name} ({user}{', ' + role if role else ''})" if name else f"{user}{' (' + role + ')' if role else ''}"


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _change(old: Any, new: Any) -> str:
    return "" if old is None and new is None else f"{_text(old) or '-'} -> {_text(new) or '-'}"


def _by(one: Mapping[str, Any], what: str) -> str:
    return f"{one[f'{what}_at']} by {one[f'{what}_by']}" if one[f"{what}_at"] else ""


def _meaning(act: Mapping[str, Any]) -> str:
    batches = f"open batches: {', '.join(act['batches'])}" if act["batches"] else ""
    return "\n".join(filter(None, (act["meaning"], act["reason"], batches)))


def _decided(gap: Mapping[str, Any]) -> str:
    return f"{gap['disposition']}: {gap['accepted_by']}, {gap['accepted_on']}" if gap["disposition"] else "nobody: open"


def _acknowledged(row: Mapping[str, Any]) -> str:
    if not row["acknowledged"]:
        return "nobody"
    return f"{row['acknowledged_name'] or row['acknowledged_by']}, {row['acknowledged_local']}: {row['comment']}"
