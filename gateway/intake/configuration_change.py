"""What another configuration changes against the one before it, as the `config` event that begins it says (URS-CFG-03).

It is made once, at the start, from the files that stand in the journal; every copy of a record takes it from there.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from buffer import Journal, StorageError
from config import ConfigError, Line
from config.reports.diff import Change, differences
from gateway.entries.configuration import Files, add_part, line_of

MOST_CHANGES = 500
"""Listed in an event; `changes` counts all, and the files of both configurations stand in the journal."""
MOST_FIELDS_BYTES = 4_096
LONGEST_VALUE = 512
PAGE_BYTES = 8_388_608
_FIRST: dict[str, Any] = {"follows": None, "changes": None, "diff": [], "approved_by": None}


def change_of(journal: Journal, version: int, sha256: str, line: Line) -> dict[str, Any]:
    """Give the members of the `config` event that begins a configuration.

    version, sha256: of the configuration before it; 0 if there is none. Where that one can not be read any more, `not_compared` says why.
    Nobody can approve a configuration here yet: approved_by is null.
    """
    if not version:
        return _FIRST
    told = {**_FIRST, "follows": {"version": version, "sha256": sha256}}
    try:
        before = _before(journal, sha256)
    except (ConfigError, StorageError) as error:
        return {**told, "not_compared": str(error).splitlines()[0][:LONGEST_VALUE]}
    if before is None:
        return {**told, "not_compared": "its files are no longer in the journal"}
    found = differences(before, line)
    diff = [_listed(change) for change in islice(found, MOST_CHANGES)]
    return {**told, "changes": len(diff) + sum(1 for _ in found), "diff": diff}


def _listed(change: Change) -> dict[str, Any]:
    fields = [[text[:LONGEST_VALUE] for text in field] for field in change.fields]
    while len(orjson.dumps(fields)) > MOST_FIELDS_BYTES:
        fields.pop()
    return {"what": change.what, "kind": change.kind, "name": change.name, "fields": fields, "criticality": change.criticality}


def _before(journal: Journal, sha256: str) -> Line | None:
    """Read the configuration back that was in force at the journal's end: each segment states it (docs/decisions/0041)."""
    epoch, last = journal.last
    first = journal.segment_of(max(last, 1))
    while True:
        files = _files(journal, (epoch, first - 1), sha256)
        if files is not None or first <= 1:
            return None if files is None else line_of(files)
        first = journal.segment_of(first - 1)


def _files(journal: Journal, after: tuple[int, int], sha256: str) -> Files | None:
    """Collect the files of a configuration from the first whole statement of it after an entry."""
    files: Files = {}
    for event in _statements(journal, after):
        if event["sha256"] == sha256:
            part = event.get("part", 1)
            files = {} if part == 1 else files
            add_part(files, event)
            if part == event.get("of", 1):
                return files
    return None


def _statements(journal: Journal, after: tuple[int, int]) -> Iterator[dict[str, Any]]:
    while entries := journal.read(after, max_bytes=PAGE_BYTES):
        for entry in entries:
            if b'"event":{"type":"config"' in entry.payload:
                yield orjson.loads(entry.payload)["event"]
        after = entries[-1].epoch, entries[-1].seq
