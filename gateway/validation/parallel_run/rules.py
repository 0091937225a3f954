"""Says by which rules a batch is compared, and whether they were in force before it began: a criterion set afterwards proves nothing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import orjson

from buffer import event_type, read_journal
from config import ConfigError, Line
from gateway.entries.configuration import Files, add_part, line_of

Json = dict[str, Any]


def digest(line: Line) -> str | None:
    """Return the SHA-256 of the rules of a line: compare.csv as it stands, and what [parallel_run] means; None: it has none."""
    content = line.files.get("compare.csv")
    if line.parallel_run is None or content is None:
        return None
    section = json.dumps(line.parallel_run.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(section.encode() + b"\0" + content).hexdigest()


def stated(data: Path, line: Line, started_under: str | None) -> Json:
    """Return the rules of a comparison. declared_before: yes, no, or not-known: the configuration under which the batch began.

    started_under: its SHA-256. Raises StorageError on damage.
    """
    now = digest(line)
    section = line.parallel_run
    then = None if started_under is None else _then(data, started_under)
    before = "not-known" if then is None else "yes" if then == now else "no"
    return {
        "sha256": now,
        "consecutive_batches": None if section is None else section.consecutive_batches,
        "fields": len(line.comparisons),
        "declared_before": before,
    }


def _then(data: Path, sha256: str) -> str | None:
    """Return the digest of the rules in a configuration that the journal holds: "" for one without; None where it can not be read."""
    files: Files = {}
    for entry in read_journal(data):
        if event_type(entry.payload) != "config" or sha256.encode() not in entry.payload:
            continue
        event = orjson.loads(entry.payload)["event"]
        if event["sha256"] != sha256:
            continue
        if event.get("part", 1) == 1:
            files = {}
        add_part(files, event)
        if event.get("part", 1) == event.get("of", 1):
            break
    if not files:
        return None
    try:
        return digest(line_of(files)) or ""
    except ConfigError:
        return None
