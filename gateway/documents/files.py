"""Write a document as files: JSON, HTML, PDF. Head and foot of the pages are made here, of nothing but the document."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from buffer import durable
from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents.content import blocks_of, local_time

RESULT_TEXT = {
    "passed": "passed",
    "passed-with-dispositions": "passed with dispositions: not every check passed, and each deviation was accepted by a person",
    "finding": "finding: something is not as it should be",
    "not-complete": "not complete: not everything was checked",
}


def file_name(document: Mapping[str, Any]) -> str:
    """Return the name of a document's files, without the end: its type, when it was made, and the beginning of its id."""
    at = datetime.fromisoformat(document["made_at"]["time"])
    return f"{document['document']}-{at:%Y%m%dT%H%M%SZ}-{document['id'][:8]}"


def written(document: Mapping[str, Any], folder: Path, forms: Iterable[str], printed: int, name: str | None = None) -> list[Path]:
    """Write a document's files and return them. forms: of FORMS. printed: ticks of the print. name: without the end.

    Raises FileExistsError, OSError. A file that is there is never written over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for form in forms:
        path = folder / f"{name or file_name(document)}.{form}"
        durable.create(path, FORMS[form](document, printed))
        made.append(path)
    return made


def _json(document: Mapping[str, Any], printed: int) -> bytes:
    del printed
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _html(document: Mapping[str, Any], printed: int) -> bytes:
    from buffer.pages.html import html

    return html(document["title"], _blocks(document), _foot(document, printed)).encode()


def _pdf(document: Mapping[str, Any], printed: int) -> bytes:
    from buffer.pages.pdf import pdf  # which loads the printer, 80 MB

    made = datetime.fromisoformat(document["made_at"]["time"])
    return pdf(document["title"], _foot(document, printed), _blocks(document), made)


FORMS: dict[str, Callable[[Mapping[str, Any], int], bytes]] = {"json": _json, "html": _html, "pdf": _pdf}


def _blocks(document: Mapping[str, Any]) -> list[Block]:
    return [*_head(document), *blocks_of(document["body"]), *_signatures(document)]


def _head(document: Mapping[str, Any]) -> Sequence[Block]:
    made, by = document["made_at"], document["made_by"]
    facts = [
        ("Document", f"{document['document']} ({document['schema']})"),
        ("Id", document["id"]),
        ("Line", f"{document['line']}, gateway {document['gateway']}"),
        ("Environment", document["environment"] or "not known"),
        ("Software", f"ebr-gateway {document['software']['version']}; SHA-256 of the installed files {document['software']['sha256']}"),
        ("Configuration", _configuration(document["configuration"])),
        ("Journal", "; ".join(map(_range, document["journal"])) or "none was read"),
        ("Made at", f"{made['time']} (UTC); {made['local']} ({made['zone']}); clock {_clock(made)}"),
        ("Made by", f"{_person(by)}, at {by['station']}"),
        *([("Batch", document["batch"])] if document["batch"] else []),
    ]
    result = document["result"]
    return [NamedValues(facts), *([] if result is None else [Text(f"Result: {RESULT_TEXT[result]}", marked=result != "passed")])]


def _configuration(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "not known"
    version = "no version" if told.get("version") is None else f"version {told['version']}"
    state = f" ({told['state']})" if told.get("state") else ""
    return f"{version}{state}, SHA-256 {told['sha256']}"


def _range(told: Mapping[str, int]) -> str:
    return f"epoch {told['epoch']}, entries {told['first']} to {told['last']}"


def _clock(made: Mapping[str, Any]) -> str:
    within = "" if made["bound_s"] is None else f", within {made['bound_s']} s"
    return f"{made['clock']}{within}"


def _person(who: Mapping[str, Any]) -> str:
    if who["kind"] == "person":
        return f"{who['name'] or who['user']} ({who['user']}, {who['role']})"
    return f"{who['user']}, an account: no person was named"


def _signatures(document: Mapping[str, Any]) -> list[Block]:
    begins: list[Block] = [Heading(1, "Signatures"), Text(f"Each is over the SHA-256 of the JSON of this document: {document['sha256']}")]
    if not document["signatures"]:
        return [*begins, Text("Nobody has signed this document.", marked=True)]
    titles = ("Name", "User", "Role", "Meaning", "Time (UTC)", "Local time", "Key", "Note")
    rows = [
        [*(str(one[name]) for name in ("name", "user", "role", "meaning", "time", "local")), key_of(one["note"]), one["note"]]
        for one in document["signatures"]
    ]
    return [*begins, Table(titles, (3, 2, 2, 3, 4, 4, 4, 8), rows)]


def key_of(note: str) -> str:
    """Return the name of the key that signed a note, and its id: the first 4 bytes of its signature line (C2SP signed-note)."""
    import base64

    last = note.rstrip("\n").rpartition("\n")[2].split(" ")
    try:
        return f"{last[1]}+{base64.b64decode(last[2])[:4].hex()}"
    except (IndexError, ValueError):
        return "can not be read"


def _foot(document: Mapping[str, Any], printed: int) -> str:
    zone = document["made_at"]["zone"]
    return f"{document['gateway']}; {document['document']} {document['id']}; printed at {local_time(printed, zone)}"
