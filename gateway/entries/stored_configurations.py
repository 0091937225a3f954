"""Configurations as a journal holds them: found by their digest, and read back into lines."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from buffer import Journal, event_type, segment_end, segment_of
from config import Line
from gateway.entries.configuration import Files, add_part, line_of

Position = tuple[int, int]
"""(epoch, seq) of an entry."""
PAGE_BYTES = 8_388_608
MOST_ENTRIES = 1_000
_END = (1 << 62, 0)


def line_until(journal: Journal, last: Position, sha256: str) -> Line | None:
    """Read the configuration back that was in force at an entry: each segment states it (docs/decisions/0041), in whatever epoch.

    Segments are read from the entry's own backwards, each once. None: its files are no longer in the journal. Raises ConfigError,
    StorageError.
    """
    for epoch, first, end in _segments(journal, last):
        files = _whole(_statements(journal, (epoch, first - 1), (epoch, end)), sha256)
        if files is not None:
            return line_of(files)
    return None


def line_since(journal: Journal, after: Position, sha256: str) -> Line | None:
    """Read the configuration back that is stated first after an entry. None and raises: as `line_until`."""
    files = _whole(_statements(journal, after, _END), sha256)
    return None if files is None else line_of(files)


def _segments(journal: Journal, last: Position) -> Iterator[tuple[int, int, int]]:
    """Yield (epoch, first, end) of what is held of each segment, backwards from that of an entry: its own is whole."""
    for epoch, first, end in reversed(journal.ranges()):
        if (epoch, first) > last:
            continue
        until = min(end, segment_end(segment_of(max(last[1], 1)))) if epoch == last[0] else end
        while until >= first:
            begin = max(segment_of(until), first)
            yield epoch, begin, until
            until = begin - 1


def _whole(statements: Iterable[dict[str, Any]], sha256: str) -> Files | None:
    """Collect the files of a configuration from the first whole statement of it."""
    files: Files = {}
    for event in statements:
        if event["sha256"] == sha256:
            part = event.get("part", 1)
            files = {} if part == 1 else files
            add_part(files, event)
            if part == event.get("of", 1):
                return files
    return None


def _statements(journal: Journal, after: Position, until: Position) -> Iterator[dict[str, Any]]:
    """Yield the `config` events after an entry, through another one."""
    while after < until:
        wanted = min(until[1] - after[1], MOST_ENTRIES) if until[0] == after[0] else MOST_ENTRIES
        entries = journal.read(after, max_bytes=PAGE_BYTES, max_entries=wanted)
        if not entries:
            return
        for entry in entries:
            if event_type(entry.payload) == "config":
                yield orjson.loads(entry.payload)["event"]
        after = entries[-1].epoch, entries[-1].seq
