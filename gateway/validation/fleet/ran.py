"""Tells by its journal which version of the program a line ran last, while no gateway answers. Reading only."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from buffer import Entry, StorageError, event_type, read_journal, segment_end, segment_firsts

UNREADABLE = "an unknown version, as its journal can not be read"


def ran_last(data: Path) -> str | None:
    """Return the version, or UNREADABLE; None: no journal is there, or nothing in it says that anything ran."""
    try:
        return _newest(data)
    except FileNotFoundError:
        return UNREADABLE if (data / "journal.db").exists() else None
    except (StorageError, OSError, ValueError):
        return UNREADABLE


def _newest(data: Path) -> str | None:
    starts = [(entry.epoch, entry.seq) for entry in segment_firsts(data)]
    for epoch, first in reversed(starts):
        told = [version for entry in _segment(data, epoch, first) if (version := _version(entry)) is not None]
        if told:
            return told[-1]
    return None


def _segment(data: Path, epoch: int, first: int) -> Iterator[Entry]:
    for entry in read_journal(data, (epoch, first - 1)):
        if (entry.epoch, entry.seq) > (epoch, segment_end(first)):
            return
        yield entry


def _version(entry: Entry) -> str | None:
    """Return the version that an entry says it was made by: the configuration as a run states it, its start, its end."""
    kind = event_type(entry.payload)
    if kind not in ("config", "audit"):
        return None
    event = orjson.loads(entry.payload)["event"]
    told = event if kind == "config" else event.get("what") or {}
    if kind == "audit" and event.get("action") not in ("start", "unclean-start", "stop"):
        return None
    version = told.get("software")
    return version if isinstance(version, str) else None
