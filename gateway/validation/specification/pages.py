"""The specification as a document for people: what they read and sign, of the same data as the files."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft
from gateway.validation.specification.files import SUMS

TYPE = "interface-specification"
MOST_FIELDS = 5_000
"""Fields that are listed on paper; all stand in interfaces.json."""
_FIELD = ("name", "type", "unit", "precision", "allowed_values", "timestamp_rule", "criticality", "source", "ebr_field")


def drafted(made: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Make the draft of a document. texts: the files, whose sums it states: who signs it signs them."""
    facts = {
        "interface_sha256": made["interface_sha256"],
        "interfaces": {row["id"]: row["sha256"] for row in made["interfaces"]},
        "files": {SUMS: sha256(texts[SUMS].encode()).hexdigest()},
        "gaps": list(made["gaps"]),
    }
    title = f"Specification of the interfaces of {made['gateway']}"
    return draft(TYPE, title, blocks(made, facts["files"][SUMS]), facts, result="finding" if made["gaps"] else None, journal=[])


def blocks(made: Mapping[str, Any], sums: str) -> Iterator[Block]:
    """Yield what people read. sums: SHA-256 of the list of the files' sums."""
    yield NamedValues(
        [("Digest of all interfaces", made["interface_sha256"]), (f"SHA-256 of {SUMS}", sums), ("Interfaces", str(len(made["interfaces"])))]
    )
    yield Heading(1, "What nobody has said")
    yield from (Text(gap, marked=True) for gap in made["gaps"])
    if not made["gaps"]:
        yield Text("Nothing: owner and contact of each are named.")
    for row in made["interfaces"]:
        yield from _interface(row)
    yield from _fields(made["dictionary"])
    yield Heading(1, "Messages")
    yield Table(("Schema", "SHA-256 of the file"), (2, 5), [[one["file"], one["sha256"]] for one in made["schemas"]])


def _interface(row: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading(1, row["id"])
    yield NamedValues([(words, text) for words, text in _facts(row) if text])
    yield Heading(2, "Protocol and bounds")
    yield from (Text(sentence) for sentence in row["profile"])
    if row["errors"]:
        yield Heading(2, "What follows an answer, or a finding")
        errors = [[one["when"], one["then"], one["finding"]] for one in row["errors"]]
        yield Table(("Answer or finding", "What is done", "Finding"), (4, 8, 3), errors)
    yield Heading(2, "What a site tries")
    yield Table(("Do", "Expected"), (1, 1), [[one["do"], one["expected"]] for one in row["tests"]])
    yield Heading(2, "What the other side looks at when something changes")
    yield Table(("Changed", "Look at"), (1, 1), [[one["changed"], one["look_at"]] for one in row["reassess"]])


def _facts(row: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    volume = "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in row["volume"].items() if value is not None)
    kept = row["retention"]
    return [
        ("Digest of the contract", row["sha256"]),
        ("Direction", row["direction"]),
        ("Partner", row["partner"]),
        ("Owner", ", ".join(filter(None, (row["owner"], row["contact"])))),
        ("Criticality", row["criticality"]),
        ("Depends on it", row["dependent_systems"]),
        ("Protocol", row["protocol"]),
        ("Endpoint", row["endpoint"]),
        ("Security", row["security"]),
        ("Authentication", row["authentication"]),
        ("Accepted exception", row["exception"]),
        ("Time stamps", row["time_stamps"]),
        ("Volume", volume),
        ("Retry", row["retry"]),
        ("Quarantine", row["quarantine"]),
        ("Retention", f"{kept['retain_days']:g} days, {kept['max_bytes']:,} bytes; never before {kept['never_before']}"),
        ("Messages", ", ".join(one["name"] for one in row["schemas"])),
        ("Description for tools", row["description"] or ""),
        ("Shown again after a change", "; ".join(row["tests_after_a_change"])),
    ]


def _fields(rows: Sequence[Mapping[str, str]]) -> Iterator[Block]:
    yield Heading(1, "Data fields")
    titles = [column.replace("_", " ") for column in _FIELD]
    yield Table(titles, (4, 2, 1, 1, 3, 3, 1, 4, 2), [[row[column] for column in _FIELD] for row in rows[:MOST_FIELDS]])
    if len(rows) > MOST_FIELDS:
        yield Text(f"{len(rows) - MOST_FIELDS:,} more stand in interfaces.json.", marked=True)
