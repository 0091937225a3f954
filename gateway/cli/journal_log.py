"""Selects entries of the journal, and makes a row of each reading."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from buffer import read_journal
from gateway.cli.tables import safe
from gateway.entries.ticks import from_rfc3339, rfc3339
from gateway.entries.windows import said_by, window_of

COLUMNS = (
    "epoch",
    "seq",
    "source",
    "tag",
    "value",
    "raw",
    "unit",
    "status",
    "kind",
    "source_time",
    "server_time",
    "received_time",
    "batch",
    "steps",
    "aggregate",
    "window_start",
    "window_end",
    "window_count",
    "window_by",
)


READINGS = "readings"


@dataclass(frozen=True, slots=True)
class Limits:
    """Selects the entries to show. begin, end: of the entries' times, in ticks; kinds: types of events, or `readings`; empty: not asked.

    tags: patterns of tag names, `*` and `?`: readings of them, and the events that name them. quiet: kinds left out unless asked for.
    """

    batch: str | None = None
    begin: int | None = None
    end: int | None = None
    kinds: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    source: str | None = None
    quiet: frozenset[str] = frozenset()

    @property
    def are_set(self) -> bool:
        """Whether anything is asked for in particular."""
        return any((self.batch, self.begin is not None, self.end is not None, self.kinds, self.tags, self.source))

    def hold(self, entry: Mapping[str, Any]) -> bool:
        """True if the entry is to be shown, as far as its own members say: of readings the tags are looked at one by one."""
        time = from_rfc3339(entry["time"])
        if (self.begin is not None and time < self.begin) or (self.end is not None and time >= self.end):
            return False
        if self.source is not None and self.source != entry.get("source", entry.get("event", {}).get("source")):
            return False
        if self.batch is not None and self.batch not in _batches(entry):
            return False
        return self.wants(entry["event"]["type"] if "event" in entry else READINGS) and self._is_tagged(entry)

    def wants(self, kind: str) -> bool:
        """True if entries of this kind are to be shown."""
        return kind in self.kinds if self.kinds else kind not in self.quiet or (kind == READINGS and bool(self.tags))

    def names(self, tag: str) -> bool:
        """True if a tag is one of those asked for."""
        return not self.tags or any(fnmatchcase(tag, pattern) for pattern in self.tags)

    def _is_tagged(self, entry: Mapping[str, Any]) -> bool:
        if not self.tags or "readings" in entry:
            return True
        named = [*_listed(entry["event"].get("tags")), entry["event"].get("tag")]
        return any(isinstance(tag, str) and self.names(tag) for tag in named)


class TagTables:
    """Knows the tables of tags that entries refer to: each segment of the journal states them again."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, dict[str, Any]]] = {}

    def take(self, entry: Mapping[str, Any]) -> None:
        """Look at an entry that may hold a table, or a part of one."""
        event = entry.get("event", {})
        if event.get("type") == "tagset":
            self._tables.setdefault(event["tagset"], {}).update(enumerate(event["tags"], event["first"]))

    def rows(self, entry: Mapping[str, Any], limits: Limits) -> Iterator[list[Any]]:
        """Yield a row per reading that is asked for, in the order of COLUMNS."""
        named = COLUMNS.index("tag")
        return (row for row in rows(entry, self._tables.get(entry["tagset"], {})) if limits.names(row[named]))


def entries(data: Path, limits: Limits) -> Iterator[dict[str, Any]]:
    """Yield the journal's entries within the limits, in order. A gateway may be running on it. Raises JournalError."""
    for stored in read_journal(data):
        entry: dict[str, Any] = json.loads(stored.payload)
        if limits.hold(entry):
            yield entry


def rows(entry: Mapping[str, Any], tags: Mapping[int, Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Yield one row per reading, in the order of COLUMNS; times in full.

    A tag has no name if its tag table was in an entry that retention has taken: then the row gives the table's digest and the tag's index.
    """
    base = from_rfc3339(entry["time_base"])
    for number, values in enumerate(entry["readings"]):
        reading = {**entry["constant"], **dict(zip(entry["columns"], values, strict=True))}
        tag = tags.get(reading["tag"]) or {"tag": f"{entry['tagset']}[{reading['tag']}]"}
        context: Mapping[str, Any] = next((c for name, c in entry["contexts"].items() if name in tag.get("equipment", "").split(";")), {})
        yield [
            entry["epoch"],
            entry["seq"],
            entry["source"],
            safe(tag["tag"]),
            safe(reading["value"]),
            reading.get("raw"),
            tag.get("unit"),
            f"{reading['status']:08X}",
            reading["kind"],
            *(_time(reading, name, base) for name in ("source", "server", "received")),
            safe(context.get("batch")),
            ">".join(f"{step[1]}/{step[2]}" for step in context.get("steps", [])),
            *_window(entry, number, tag, reading, base),
        ]


def _window(
    entry: Mapping[str, Any], number: int, tag: Mapping[str, Any], reading: Mapping[str, Any], base: int
) -> tuple[Any, Any, Any, Any, Any]:
    """Give function and length of an aggregate, and its window as far as it is known, with who says so: the last five of COLUMNS."""
    if tag.get("aggregate") is None:
        return None, None, None, None, None
    source = _time(reading, "source", base)
    window = window_of(entry, number, tag, None if source is None else from_rfc3339(source))
    assert window is not None, "it is an aggregate"
    return tag["aggregate"], window["start"], window["end"], window["count"], said_by(window)


def _time(reading: Mapping[str, Any], name: str, base: int) -> str | None:
    if (ticks := reading.get(f"{name}_ticks")) is not None:
        return rfc3339(base + ticks)
    return reading.get(f"{name}_time")


def _batches(entry: Mapping[str, Any]) -> set[Any]:
    found = {context.get("batch") for context in entry.get("contexts", {}).values()}
    found.add(entry.get("event", {}).get("batch"))
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
