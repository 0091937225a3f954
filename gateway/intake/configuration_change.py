"""What another configuration changes against the one before it, as the `config` event that begins it says (URS-CFG-03).

It is made once, at the start, from the files that stand in the journal; every copy of a record takes it from there.
"""

from itertools import islice
from typing import Any

import orjson

from buffer import Journal, StorageError
from config import ConfigError, Line
from config.reports.diff import Change, differences
from gateway.entries.stored_configurations import line_until

MOST_CHANGES = 500
"""Listed in an event; `changes` counts all, and the files of both configurations stand in the journal."""
MOST_FIELDS_BYTES = 4_096
LONGEST_VALUE = 512
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
        before = line_until(journal, journal.last, sha256)
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
