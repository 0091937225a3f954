"""The content of a document: a draft, its head, its digest, and what of it stands in the journal. Pure, but for reading a file back."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from buffer.pages.blocks import Block, Form, Heading, NamedValues, Table, Text
from gateway.access.signatures import MEMBERS as SIGNED
from gateway.access.signatures import digest
from gateway.entries.ticks import rfc3339

DOCUMENT = "ebr-gateway/document/1"
RESULTS = ("passed", "passed-with-dispositions", "finding", "not-complete")
HEAD = (
    *("document", "schema", "title", "id", "line", "gateway", "environment", "software", "configuration", "journal"),
    *("made_at", "made_by", "batch", "result"),
)
"""What of a document stands in its entry."""
_NO_CONTENT = ("sha256", "signatures")


class NotADocument(Exception):
    """A file is no document, or not as it was made; the text says why."""


def draft(
    kind: str,
    title: str,
    blocks: Iterable[Block],
    facts: Mapping[str, Any] | None = None,
    *,
    result: str | None = None,
    batch: str | None = None,
    journal: Sequence[Mapping[str, int]] | None = None,
) -> dict[str, Any]:
    """Make the draft of a document.

    kind: its type, as `installation-qualification`. blocks: what people read. facts: the same for programs, fractions as texts.
    result: one of RESULTS; None where the document judges nothing. batch: the one that it is about. journal: the ranges
    `{"epoch", "first", "last"}` that it covers; None: everything up to the newest entry.
    """
    if result is not None and result not in RESULTS:
        raise ValueError(f"{result} is no result of a document")
    body = [_plain(block) for block in blocks]
    return {
        "document": kind,
        "title": title,
        "batch": batch,
        "result": result,
        "journal": journal,
        "facts": dict(facts or {}),
        "body": body,
    }


def head(
    drafted: Mapping[str, Any],
    *,
    line: str,
    gateway: str,
    environment: str | None,
    software: Mapping[str, Any],
    configuration: Mapping[str, Any] | None,
    journal: Sequence[Mapping[str, int]],
    clock: Mapping[str, Any],
    ticks: int,
    zone: str,
    who: Mapping[str, Any],
    station: str,
) -> dict[str, Any]:
    """Put the head on a draft and return the content.

    software: version, sha256 of the installed files. configuration: version, sha256, state. journal: what it covers if the draft does not
    say. clock: status, bound_s. ticks: now. who: as in an audit event.
    """
    bound = clock.get("bound_s")
    made_at = {
        "time": rfc3339(ticks // 10 * 10),
        "local": local_time(ticks, zone),
        "zone": zone,
        "clock": clock["status"],
        "bound_s": None if bound is None else f"{bound:.6f}".rstrip("0").rstrip("."),
    }
    return {
        **{name: drafted[name] for name in ("document", "title", "batch", "result")},
        "schema": DOCUMENT,
        "id": str(uuid.uuid4()),
        "line": line,
        "gateway": gateway,
        "environment": environment,
        "software": dict(software),
        "configuration": None if configuration is None else dict(configuration),
        "journal": [dict(each) for each in (journal if drafted["journal"] is None else drafted["journal"])],
        "made_at": made_at,
        "made_by": {**{name: who[name] for name in ("user", "name", "role", "kind")}, "station": station},
        "facts": dict(drafted["facts"]),
        "body": list(drafted["body"]),
    }


def local_time(ticks: int, zone: str) -> str:
    """Format an instant as wall clock of a zone, with its offset, to the millisecond."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
    return instant.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")


def unsigned(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its digest, and nobody's signature. Raises ValueError where two programs could write it differently."""
    return {**content, "sha256": digest(content), "signatures": []}


def signed(document: Mapping[str, Any], signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with one more signature under it."""
    return {**document, "signatures": [*document["signatures"], dict(signature)]}


def content_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is signed."""
    return {name: value for name, value in document.items() if name not in _NO_CONTENT}


def event_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a document stands in the journal: its head, its digest and the signatures under it."""
    size = len(json.dumps(document, ensure_ascii=False).encode())
    told = {name: document[name] for name in (*HEAD, *_NO_CONTENT)}
    disposes = {"disposes": document["facts"]["disposes"]} if "disposes" in document["facts"] else {}
    about = {"observation": document["facts"]["observation"]} if "observation" in document["facts"] else {}
    return {"type": "document", **told, **disposes, **about, "bytes": size}


def read(file: Path) -> dict[str, Any]:
    """Read a document back. Raises NotADocument, also where its content is not that of its digest; OSError."""
    try:
        told = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise NotADocument(f"{file}: is no document: {error}") from error
    return whole(told, str(file))


def whole(told: Any, name: str) -> dict[str, Any]:
    """Return a document that is one, and as it was made. Raises NotADocument; name: what it is called there."""
    if not isinstance(told, dict) or told.get("schema") != DOCUMENT or missing(told):
        raise NotADocument(f"{name}: is no document of the form {DOCUMENT}")
    if not isinstance(told["signatures"], list) or not all(map(_is_signature, told["signatures"])):
        raise NotADocument(f"{name}: is no document: what stands under it is no signature")
    try:
        blocks_of(told["body"])
        found = digest(content_of(told))
    except (ValueError, KeyError, TypeError) as error:
        raise NotADocument(f"{name}: is no document: {error}") from error
    if found != told["sha256"]:
        raise NotADocument(f"{name}: was changed: its content has the SHA-256 {found}, and it says {told['sha256']}")
    return dict(told)


def _is_signature(told: Any) -> bool:
    return isinstance(told, Mapping) and all(isinstance(told.get(name), str) for name in (*SIGNED, "over", "note"))


def missing(told: Mapping[str, Any]) -> list[str]:
    """Name the members that a document lacks."""
    return [name for name in (*HEAD, *_NO_CONTENT, "facts", "body") if name not in told]


def _plain(block: Block) -> dict[str, Any]:
    """Turn a block into plain data. Widths are whole numbers, as what is signed has no fractions."""
    match block:
        case Heading():
            return {"kind": "section", "level": block.level, "title": block.text}
        case Text():
            return {"kind": "text", "text": block.text, "marked": block.marked}
        case NamedValues():
            return {"kind": "values", "rows": [list(row) for row in block.rows]}
        case Table():
            rows, marked = [list(row) for row in block.rows], sorted(block.marked)
            return {"kind": "table", "titles": list(block.titles), "widths": _whole(block.widths), "rows": rows, "marked": marked}
        case Form():
            return {"kind": "form", "titles": list(block.titles), "widths": _whole(block.widths), "labels": list(block.labels)}


def _whole(widths: Sequence[float]) -> list[int]:
    return [max(1, round(width * 10)) for width in widths]


def blocks_of(body: Iterable[Mapping[str, Any]]) -> list[Block]:
    """Turn plain data into blocks. Raises KeyError, TypeError for what is none."""
    return [_block(each) for each in body]


def _block(told: Mapping[str, Any]) -> Block:
    match told["kind"]:
        case "section":
            return Heading(told["level"], told["title"])
        case "text":
            return Text(told["text"], marked=told["marked"])
        case "values":
            return NamedValues([(name, value) for name, value in told["rows"]])
        case "table":
            return Table(told["titles"], told["widths"], told["rows"], frozenset(told["marked"]))
        case "form":
            return Form(told["titles"], told["widths"], told["labels"])
    raise KeyError(told["kind"])
