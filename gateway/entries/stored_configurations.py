"""Configurations as a journal holds them: found by their digest, and read back into lines."""

from collections.abc import Iterator
from typing import Any

import orjson

from buffer import Journal, segment_of
from config import Line
from gateway.entries.configuration import Files, add_part, line_of

Position = tuple[int, int]
"""(epoch, seq) of an entry."""
PAGE_BYTES = 8_388_608


def line_until(journal: Journal, last: Position, sha256: str) -> Line | None:
    """Read the configuration back that was in force at an entry: each segment states it (docs/decisions/0041).

    None: its files are no longer in the journal. Raises ConfigError, StorageError.
    """
    epoch, seq = last
    first = segment_of(max(seq, 1))
    while True:
        files = _files(journal, (epoch, first - 1), sha256)
        if files is not None or first <= 1:
            return None if files is None else line_of(files)
        first = segment_of(first - 1)


def line_since(journal: Journal, after: Position, sha256: str) -> Line | None:
    """Read the configuration back that is stated first after an entry. None and raises: as `line_until`."""
    files = _files(journal, after, sha256)
    return None if files is None else line_of(files)


def _files(journal: Journal, after: Position, sha256: str) -> Files | None:
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


def _statements(journal: Journal, after: Position) -> Iterator[dict[str, Any]]:
    while entries := journal.read(after, max_bytes=PAGE_BYTES):
        for entry in entries:
            if b'"event":{"type":"config"' in entry.payload:
                yield orjson.loads(entry.payload)["event"]
        after = entries[-1].epoch, entries[-1].seq
