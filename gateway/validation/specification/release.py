"""What this release contributes to each kind of interface, as digests.

They stand in `gateway/interfaces/release.json`, so that a starting gateway need not make every schema to know what it promises.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.intake.push import MAX_TEXT
from gateway.interfaces import digest_of
from gateway.uplink.https import HELD
from gateway.validation.specification import asyncapi, openapi, reactions
from gateway.validation.specification.kinds import KINDS
from gateway.validation.specification.schemas import contract_digest, text_of

FILE = "gateway/interfaces/release.json"
SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "uplink-mqtt-entries": (
        *("entry-readings", "entry-event", "uplink-receipt", "uplink-online"),
        *("uplink-held-question", "uplink-held-streams", "uplink-held-spans", "uplink-held-not-told"),
    ),
    "uplink-mqtt-records": ("entry-event", "uplink-outcome", "uplink-online"),
    "uplink-https-entries": ("entry-readings", "entry-event", "uplink-receipt", "uplink-held-streams", "uplink-held-spans"),
    "uplink-https-records": ("entry-event", "uplink-outcome"),
    "push": ("push-answer", "error"),
    "page": ("status", "values", "error"),
    "control": ("status", "values", "error"),
}
"""Kind -> the messages that cross it, in either direction. entry-event holds every event."""


def digests() -> dict[str, str]:
    """Return the digest of each kind's part."""
    return {kind: digest_of(part(kind)) for kind in KINDS}


def part(kind: str) -> dict[str, Any]:
    """Return what binds the other side at every interface of a kind, whatever the line: words for people are left out."""
    facts = KINDS[kind]
    made: dict[str, Any] = {"protocol": facts.protocol, "direction": facts.direction, "profile": list(facts.profile)}
    made["schemas"] = {name: contract_digest(name) for name in SCHEMAS.get(kind, ())}
    return {**made, **_more(kind)}


def _more(kind: str) -> dict[str, Any]:
    match kind:
        case "uplink-mqtt-entries" | "uplink-mqtt-records":
            table = asyncapi.ENTRIES if kind.endswith("entries") else asyncapi.RECORDS
            channels = {name: [action, list(names), qos, retained] for name, (action, names, qos, retained, _) in table.items()}
            return {"channels": channels, "reactions": _bound(reactions.to_reason_codes())}
        case "uplink-https-entries":
            return {"requests": openapi.requests("entries"), "header": HELD, "reactions": _bound(reactions.to_pages())}
        case "uplink-https-records":
            return {"requests": openapi.requests("records"), "reactions": _bound(reactions.to_records())}
        case "push":
            return {"most_characters": MAX_TEXT, "answers": _bound(reactions.of_push())}
        case "page":
            return {"requests": ["GET /metrics", "GET /status", "GET /values"]}
    return {}


def _bound(rows: Iterable[reactions.Reaction]) -> list[list[str]]:
    return [[row.when, row.then, row.finding] for row in rows]


def write(tree: Path) -> None:
    """Write the digests into a source tree."""
    (tree / FILE).write_text(text_of(digests()), "utf-8")
