"""Makes the two documents of a retirement: its record, which a person signs, and what was erased after that signature. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.retirement.erasing import MEANS

RECORD, ERASURE = "retirement-record", "retirement-erasure"


def of_retirement(gateway: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Make the draft of the record. told: the state, with all steps before this one done."""
    done = told["done"]
    facts = {
        "begun": told["begun"],
        "to": told["to"],
        "accepted": told["accepted"],
        **{step: done[step] for step in ("reconciled", "archived", "closed")},
        "secrets": told["secrets"],
    }
    blocks = [
        *_about(told),
        *_accepted(told["accepted"]),
        *_reconciled(done["reconciled"]["uplinks"], done["closed"]["delivered"]),
        *_archives(done["archived"]["archives"]),
        *_journal(done["closed"]),
        *_keys(done["closed"]),
        *_certificates(done["closed"]["certificates"]),
        Heading(1, "Secrets"),
        *_secrets(told["secrets"]),
        Text(
            "What stands as `erased after this signature` delivers the last entries, lets the signer in, or signs. When it was erased "
            f"stands in the document {ERASURE}; `ebr-gateway retire LINE` says at any time whether a file of this list is there."
        ),
        Text(MEANS),
    ]
    return draft(RECORD, f"Retirement of {gateway}", blocks, facts, result=outcome(told))


def outcome(told: Mapping[str, Any]) -> str:
    """Return the record's result: not complete where something is not known, with dispositions where persons accepted something."""
    unknown = [one for one in told["done"]["closed"]["witnesses"] if not one["holds"]]
    return "not-complete" if unknown else "passed-with-dispositions" if told["accepted"] else "passed"


def of_erasure(gateway: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Make the draft of what came after the signature. told: the state."""
    done = told["done"]
    recorded, copied = done["recorded"], done["copied"]
    last = [one for one in told["secrets"] if one["to_the_end"]]
    names = ("document", "last", "checkpoint", "witnesses", "delivered", "revocation_sha256")
    facts = {"record": {name: recorded[name] for name in names}, "copy": copied, "secrets": last}
    rows = [
        ("Record of the retirement", f"{recorded['document']['id']}, SHA-256 {recorded['document']['sha256']}"),
        ("Last entry of the journal", _place(recorded["last"])),
        ("Last checkpoint", _checkpoint(recorded["checkpoint"])),
        *((f"Witness {one['witness']}", _witness(one)) for one in recorded["witnesses"]),
        *((f"Receiver {one['uplink']}", one["why"] or "has confirmed every entry") for one in recorded["delivered"]),
        ("Revocation of the keys", f"key-revocation.txt, SHA-256 {recorded['revocation_sha256']}"),
        ("Copy of the journal", f"{copied['place']}: {copied['entries']} entries, {'good' if copied['good'] else 'NOT GOOD'}"),
        ("SHA-256 of its SHA256SUMS", copied["sums_sha256"]),
    ]
    blocks = [
        NamedValues(rows),
        Heading(1, "Erased after the signature of the record"),
        *_secrets(last),
        Text(MEANS),
        Text(
            "The key that signed for this line is gone, so nobody can sign this page electronically. The record before it is signed, and "
            "names each of these files; this page may be signed by hand."
        ),
        Form(("", "Name", "Date", "Signature"), (2, 3, 2, 4), ("Carried out", "Reviewed (QA)")),
    ]
    return draft(ERASURE, f"Retirement of {gateway}: what was erased last", blocks, facts, result="finding" if _stay(last) else "passed")


def _stay(secrets: Sequence[Mapping[str, Any]]) -> bool:
    return any(one["erase"] and not one["erased"] for one in secrets)


def _about(told: Mapping[str, Any]) -> Iterator[Block]:
    begun = told["begun"]
    yield NamedValues(
        [
            ("Begun", f"{begun['at']} by {_person(begun['who'])}"),
            ("Reason", str(begun["reason"])),
            ("Everything that was made lies in", told["to"]),
        ]
    )


def _accepted(accepted: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "What stood in the way, and was accepted")
    if not accepted:
        yield Text("Nothing stood in the way.")
        return
    rows = [[one["what"], one["found"], one["reason"], f"{_person(one['by'])}, {one['at']}"] for one in accepted]
    yield Table(("What", "Found", "Accepted because", "By"), (3, 6, 5, 4), rows, frozenset(range(len(rows))))


def _reconciled(compared: Sequence[Mapping[str, Any]], delivered: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "Last reconciliation")
    if not compared:
        yield Text("There was nobody to compare with: the line has no receiver.", marked=True)
        return
    confirmed = {one["uplink"]: one["why"] or "every entry" for one in delivered}
    rows = [
        [one["uplink"], one["receiver"], one["why"] or "equal", _document(one["document"]), confirmed[one["uplink"]]] for one in compared
    ]
    marked = frozenset(at for at, one in enumerate(compared) if one["why"])
    yield Table(("Uplink", "Compared with", "Result", "Document", "Confirmed"), (2, 4, 4, 5, 4), rows, marked)


def _archives(archives: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "Archives of the batches")
    if not archives:
        yield Text("The journal names no batch, and no archive of before was shown.")
        return
    rows = [
        [
            one["batch"] or "not known",
            one["sha256"],
            str(one["bytes"]),
            one["place"],
            "now" if one["made"] else "before",
            one["why"] or "good",
        ]
        for one in archives
    ]
    marked = frozenset(at for at, one in enumerate(archives) if one["why"])
    yield Table(("Batch", "SHA-256", "Bytes", "Place", "Made", "Verified"), (3, 6, 2, 6, 1.5, 3), rows, marked)


def _journal(closed: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(1, "Journal")
    ranges = [
        (f"Epoch {one['epoch']}", f"entries {one['first']} to {one['last']}, held from {one['held_from']} on") for one in closed["journal"]
    ]
    said = [(f"Witness {one['witness']}", _witness(one)) for one in closed["witnesses"]] or [("Witness", "none is declared")]
    yield NamedValues([*ranges, ("Checkpoint over the retirement", _checkpoint(closed["checkpoint"])), *said])
    yield Text(
        "The entry of this record and the checkpoint over it follow. After that the whole journal is copied and verified, and the keys are "
        f"revoked: {ERASURE} says with which result. What the journal holds is read with the public keys alone."
    )


def _keys(closed: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(1, "Keys")
    yield Text(
        "These public keys stay valid for what was signed before, and sign nothing after the last entry. key-revocation.txt, signed by the "
        "last of them, goes to everybody who verifies this line's records."
    )
    yield Table(("Public key",), (1,), [[key] for key in closed["keys"]])


def _certificates(certificates: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    yield Heading(1, "Certificates to revoke")
    if not certificates:
        yield Text("The line has no certificate of its own.")
        return
    yield Text("They are listed here; revoking them is the work of who signed or trusts them, and is not done by this command.")
    titles = ("SHA-256", "Subject", "Issuer, serial", "Not after", "Purpose", "To do")
    rows = [
        [
            one["sha256"] or one["file"],
            one["subject"] or "not known",
            f"{one['issuer'] or 'not known'}\n{one['serial'] or ''}",
            one["not_after"] or "not known",
            "; ".join(one["purposes"]),
            one["revoke"],
        ]
        for one in certificates
    ]
    yield Table(titles, (5, 4, 4, 3, 4, 4), rows)


def _secrets(secrets: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if not secrets:
        yield Text("None.")
        return
    rows = [[one["path"], one["what"], one["how"] or "erased after this signature", one["at"] or ""] for one in secrets]
    yield Table(
        ("File", "What", "What was done", "At"), (6, 5, 6, 3), rows, frozenset(at for at, one in enumerate(secrets) if not one["erase"])
    )


def _person(who: Mapping[str, Any]) -> str:
    return f"{who['name'] or who['user']} ({who['user']}, {who['role']})"


def _place(told: Mapping[str, Any]) -> str:
    return f"entry {told['seq']} of epoch {told['epoch']}"


def _checkpoint(told: Mapping[str, Any]) -> str:
    return f"epoch {told['epoch']}, {told['size']} entries, root {told['root']}"


def _witness(told: Mapping[str, Any]) -> str:
    return f"{told['endpoint']}: " + ("has it" if told["holds"] else f"whether it has it is not known: {told['why']}")


def _document(told: Mapping[str, Any] | None) -> str:
    return "none" if told is None else f"{told['id']}, SHA-256 {told['sha256']}"
