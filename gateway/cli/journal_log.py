"""Reads the journal for people and spreadsheets: whole entries as stored, or one row per reading."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from buffer import read_journal
from gateway.cli.tables import safe
from gateway.entries.ticks import from_rfc3339, rfc3339

FORMATS = ("jsonl", "csv")
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
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Selects the entries to show, by batch and by time. Times are those of the entries, in ticks."""

    batch: str | None = None
    begin: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, batch: str | None, begin: str | None, end: str | None) -> "Limits":
        """Make limits from the command line's texts. Raises ValueError."""
        return cls(batch, None if begin is None else from_rfc3339(begin), None if end is None else from_rfc3339(end))

    def hold(self, entry: Mapping[str, Any]) -> bool:
        """True if the entry is to be shown."""
        time = from_rfc3339(entry["time"])
        if (self.begin is not None and time < self.begin) or (self.end is not None and time >= self.end):
            return False
        return self.batch is None or self.batch in _batches(entry)


def write(data: Path, limits: Limits, form: str, out: TextIO) -> None:
    """Write the journal's entries within the limits to `out`. A gateway may be running on it. Raises JournalError."""
    writer = csv.writer(out)
    if form == "csv":
        writer.writerow(COLUMNS)
    tagsets: dict[str, dict[int, dict[str, Any]]] = {}
    for stored in read_journal(data):
        entry = json.loads(stored.payload)
        event = entry.get("event", {})
        if event.get("type") == "tagset":
            tagsets.setdefault(event["tagset"], {}).update(enumerate(event["tags"], event["first"]))
        if not limits.hold(entry):
            continue
        if form == "jsonl":
            out.write(stored.payload.decode() + "\n")
        elif "readings" in entry:
            writer.writerows(rows(entry, tagsets.get(entry["tagset"], {})))


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
    for values in entry["readings"]:
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
        ]


def _time(reading: Mapping[str, Any], name: str, base: int) -> str | None:
    if (ticks := reading.get(f"{name}_ticks")) is not None:
        return rfc3339(base + ticks)
    return reading.get(f"{name}_time")


def _batches(entry: Mapping[str, Any]) -> set[Any]:
    found = {context.get("batch") for context in entry.get("contexts", {}).values()}
    found.add(entry.get("event", {}).get("batch"))
    return found
