"""Describes versions and their acts: for people, for programs, for the entry that begins one, for the alarm that one owes. Pure."""

from typing import Any

from gateway.changes.acts import Act
from gateway.changes.book import Book, Version
from gateway.changes.states import OWES_APPROVAL
from gateway.entries.findings import finding


def owes_approval(version: Version) -> dict[str, Any]:
    """Make the finding of a version that was put into force in an emergency, and has no approval afterwards."""
    batches = list(version.emergency.batches) if version.emergency else []
    during = f" while {', '.join(batches)} was open" if batches else ""
    text = f"version {version.number} was put into force in an emergency{during} and is not approved afterwards"
    return finding("config-emergency", "alarm", text, {"name": f"version {version.number}", "batches": batches})


def described(version: Version, book: Book, *, with_notes: bool = False) -> dict[str, Any]:
    """Describe a version as JSON-able values. with_notes: with the signed notes."""
    begun, approval = version.begun, None if version.state in OWES_APPROVAL else book.approval_of(version)
    return {
        "version": version.number,
        "sha256": version.sha256,
        "state": version.state,
        "change_no": begun.change_no,
        "author": begun.author or begun.by.user,
        "of": begun.of,
        "follows": begun.follows,
        "impact_ref": begun.impact,
        "approved_by": None if approval is None else _printed(approval),
        "emergency": version.emergency is not None,
        "acts": [_line(signed.act) | ({"note": signed.note} if with_notes else {}) for signed in version.acts],
    }


def _printed(act: Act) -> str:
    return f"{act.by.name or 'no name'} ({act.by.user}, {act.by.role}), {act.at}"


def _line(act: Act) -> dict[str, Any]:
    return {
        "act": act.act,
        "at": act.at,
        "local": f"{act.local} {act.zone}",
        "user": act.by.user,
        "name": act.by.name,
        "role": act.by.role,
        "auth": act.by.auth,
        "meaning": act.meaning,
        "reason": act.reason,
        "batches": list(act.batches),
        "key": act.key,
    }


def stated(version: Version, book: Book) -> dict[str, Any]:
    """Return what the `config` event that begins a version says of it."""
    about, emergency = described(version, book), version.emergency
    approvals = [signed.note for signed in version.acts if signed.act.act == "approve"]
    back = version.begun.of
    while not approvals and back is not None:
        approvals = [signed.note for signed in book.versions[back].acts if signed.act.act == "approve"]
        back = book.versions[back].begun.of
    in_force = next((signed.act for signed in reversed(version.acts) if signed.act.act not in ("propose", "approve", "reject")), None)
    return {
        "state": version.state,
        "author": about["author"],
        "approved_by": about["approved_by"],
        "signatures": approvals,
        "change_no": about["change_no"],
        "impact_ref": about["impact_ref"],
        "rollback_of": about["of"],
        "emergency": emergency is not None,
        "open_batches": list(in_force.batches) if in_force else [],
    }
