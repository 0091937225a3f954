"""Decodes what a receiver holds, by the format pages alone: entries into readings, gaps, rows and records.

Shares no code with the gateway's fold. Fed entry by entry, so that the same object also shows the progress of a running demo.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.entries.ticks import from_rfc3339

ALL = "all"


class Got(NamedTuple):
    """One reading as received. Times in ticks; requested: None if the source sent it unasked."""

    value: Any
    status: int
    kind: str
    source_ticks: int | None
    requested: int | None
    received: int
    epoch: int
    seq: int


class Row(NamedTuple):
    """One row of a message."""

    change: str
    columns: Mapping[str, Any]


@dataclass
class Gap:
    """An interval in which tags were not observed. end None: still open. ends: tags that were observed again before the others."""

    source: str
    tags: str | frozenset[str]
    start: int
    cause: str
    end: int | None = None
    outcome: str = ""
    ends: dict[str, int] = field(default_factory=dict)

    def span(self, tag: str) -> tuple[int, int | None] | None:
        """Return the interval in which this gap excuses absent values of the tag; None if it excuses none, as a filled one."""
        if self.outcome == "filled" or (self.tags != ALL and tag not in self.tags):
            return None
        return self.start, self.ends.get(tag, self.end)

    def covers(self, tag: str, ticks: int) -> bool:
        """True if this gap excuses an absent value of the tag at this instant."""
        span = self.span(tag)
        return span is not None and span[0] <= ticks and (span[1] is None or ticks <= span[1])


@dataclass
class Received:
    """The decoded content of all entries that were fed."""

    tagsets: dict[tuple[int, str], list[dict[str, Any]]] = field(default_factory=dict)
    readings: dict[str, dict[str, list[Got]]] = field(default_factory=dict)
    rows: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)
    gaps: dict[tuple[int, str], Gap] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    materials: dict[str, dict[str, Any]] = field(default_factory=dict)
    audits: list[dict[str, Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    entries: int = 0
    values: int = 0
    last: tuple[int, int] = (0, 0)

    def feed(self, payloads: Iterable[bytes]) -> "Received":
        """Take entries in their order, and return itself."""
        for payload in payloads:
            entry = json.loads(payload)
            self.entries += 1
            self.last = max(self.last, (entry["epoch"], entry["seq"]))
            if "event" in entry:
                self._event(entry, entry["event"])
            else:
                self._readings(entry)
        return self

    def gaps_of(self, source: str) -> list[Gap]:
        """Return the gaps of a source, in the order in which they opened."""
        return [gap for gap in self.gaps.values() if gap.source == source]

    def _readings(self, entry: Mapping[str, Any]) -> None:
        table = self.tagsets[entry["epoch"], entry["tagset"]]
        base, columns, constant = from_rfc3339(entry["time_base"]), entry["columns"], entry["constant"]
        of_source = self.readings.setdefault(entry["source"], {})
        for values in entry["readings"]:
            reading = {**constant, **dict(zip(columns, values, strict=True))}
            requested, received = _ticks(reading, "requested", base), _ticks(reading, "received", base)
            assert received is not None, "every reading says when it was received"
            status, source_ticks = reading["status"], _ticks(reading, "source", base)
            got = Got(reading["value"], status, reading["kind"], source_ticks, requested, received, entry["epoch"], entry["seq"])
            of_source.setdefault(table[reading["tag"]]["tag"], []).append(got)
            self.values += 1

    def _event(self, entry: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "tagset":
                table = self.tagsets.setdefault((entry["epoch"], event["tagset"]), [])
                table[event["first"] : event["first"] + len(event["tags"])] = event["tags"]
            case "message":
                for row in event["rows"]:
                    self.rows.setdefault((event["source"], event["name"], str(row["key"])), []).append(Row(row["change"], row["row"]))
            case "gap":
                self._gap(entry, event)
            case "step" if event["transition"] == "end":
                self.steps[event["record"]] = dict(event)
            case "batch":
                self.batches[_batch_key(event)] = dict(event)
            case "material" | "sample":
                self._booked(event)
            case "audit":
                self.audits.append(dict(event))
            case "finding":
                self.findings.append(dict(event))

    def _booked(self, event: Mapping[str, Any]) -> None:
        """Keep a booking or a sample in its latest revision; a revision that moves it to another batch gives it another name."""
        was = str(event["supersedes"] or "").rpartition("#")[0]
        self.materials.pop(was, None)
        self.materials[event["record"]] = dict(event)

    def _gap(self, entry: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        if event["transition"] == "open":
            tags = ALL if event["tags"] == ALL else frozenset(event["tags"])
            gap = Gap(event["source"], tags, from_rfc3339(event["start"]), event["cause"])
            gap.end = from_rfc3339(event["end"]) if "end" in event else None
            self.gaps[entry["epoch"], event["gap"]] = gap
        elif event["transition"] == "close":
            gap = next(gap for (_, name), gap in reversed(self.gaps.items()) if name == event["gap"])
            end = from_rfc3339(event["end"])
            gap.outcome = event["outcome"]
            if event["tags"] == ALL or event["tags"] == gap.tags:
                gap.end = end
            else:
                gap.ends.update(dict.fromkeys(event["tags"], end))


def _batch_key(event: Mapping[str, Any]) -> str:
    return "/".join(str(event.get(name)) for name in ("batch", "equipment", "transition"))


def _ticks(reading: Mapping[str, Any], name: str, base: int) -> int | None:
    if (ticks := reading.get(f"{name}_ticks")) is not None:
        return int(base + ticks)
    text = reading.get(f"{name}_time")
    return None if text is None else from_rfc3339(text)
