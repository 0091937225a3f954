"""Gathers what the parameters of one step of one batch rest on, from a journal's folder."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from buffer import Entry, event_type, read_cursors, read_journal, segment_of
from buffer.archive.happenings import Happening, happenings
from buffer.times import from_rfc3339, rfc3339
from config import Line
from gateway.entries.fold_input import clock_of, event_ticks
from gateway.entries.windows import window_of
from gateway.validation.tracing.as_read import Orders, registers_of

Json = dict[str, Any]
MOST_READINGS = 1_000
"""Listed of one parameter; the others are counted."""
RULE = ("statistic", "include", "skip_first_s", "tag", "origin")
LIMITS = ("target", "low", "high", "alert_low", "alert_high", "limit_source", "limit_unit", "limits_read")
VALUE = ("value", "unrounded", "unit", "unit_text", "result", "alert", "status", "quality", "covered", "uncertain_s", "time_verified")
_MEMBER = b',"event":'


class NotThere(Exception):
    """The journal does not hold what is asked for; the text says what."""


def traced(data: Path, line: Line, batch: str, step: str, parameter: str | None = None) -> Json:
    """Trace each run of a step of a batch, or one parameter of it. line: for how far a source's clock is trusted.

    Raises NotThere; StorageError on damage, FileNotFoundError without a journal.
    """
    held = {(entry.epoch, entry.seq): entry for entry in _told(data, batch)}
    runs: dict[str, list[Happening]] = {}
    for happening in happenings(held.values()):
        event = happening.event
        if event.get("batch") == batch and event["step"] == step and event["transition"] == "end":
            runs.setdefault(event["record"], []).append(happening)
    if not runs:
        raise NotThere(f"no record of step {step} of batch {batch} is in the journal")
    found = [_run(data, line, revisions, held, parameter) for revisions in runs.values()]
    if parameter is not None and not any(run["parameters"] for run in found):
        raise NotThere(f"step {step} of batch {batch} has no parameter {parameter}")
    return {"batch": batch, "step": step, "runs": found}


def _told(data: Path, batch: str) -> Iterator[Entry]:
    """Yield the entries that hold a step of a batch: a text that is not in an entry's bytes is in none of its members."""
    wanted = orjson.dumps(batch)
    yield from (entry for entry in read_journal(data) if event_type(entry.payload) == "step" and wanted in entry.payload)


def _run(data: Path, line: Line, revisions: list[Happening], held: Mapping[tuple[int, int], Entry], parameter: str | None) -> Json:
    latest = max(revisions, key=lambda one: one.event["revision"])
    event, last = latest.event, latest.seqs[-1]
    parameters = [one for one in event["parameters"] if parameter in (None, one["parameter"])]
    found = [Found.of(one) for one in parameters]
    _look(data, line, latest.epoch, found)
    return {
        **{name: event.get(name) for name in ("record", "equipment", "run", "cause", "start", "end", "config_versions")},
        "revisions": [_revision(one, held) for one in revisions],
        "parameters": [_parameter(latest.epoch, event, *pair) for pair in zip(parameters, found, strict=True)],
        "checkpoint": _checkpoint(data, latest.epoch, last),
        "receipts": [
            {"uplink": name, "required": cursor.required, "through": list(cursor.at), "holds": cursor.at >= (latest.epoch, last)}
            for name, cursor in sorted(read_cursors(data).items())
        ],
    }


def _revision(one: Happening, held: Mapping[tuple[int, int], Entry]) -> Json:
    """Say where a revision stands. content_sha256: over the bytes of its event, as the batch's end lists it."""
    entries = [held[one.epoch, seq] for seq in one.seqs]
    content = b"".join(entry.payload[entry.payload.index(_MEMBER) + len(_MEMBER) : -1] for entry in entries)
    event = one.event
    return {
        **{name: event.get(name) for name in ("revision", "supersedes", "reason", "changed")},
        "entries": [{"epoch": entry.epoch, "seq": entry.seq, "digest": entry.digest} for entry in entries],
        "time": one.time,
        "content_sha256": hashlib.sha256(content).hexdigest(),
    }


def _parameter(epoch: int, event: Json, told: Json, found: "Found") -> Json:
    """Describe a parameter with what was found of it."""
    start, end = (from_rfc3339(event[name]["time"]) for name in ("start", "end"))
    return {
        **{name: told.get(name) for name in ("parameter", "name", "ebr_field", "criticality", *VALUE)},
        "rule": {name: told.get(name) for name in RULE} | {"decimals": _decimals(told.get("value"))},
        "limits": {name: told.get(name) for name in LIMITS if told.get(name) is not None},
        "value_origin": told.get("value_origin"),
        "gaps": told.get("gaps", []),
        "evidence": {"epoch": epoch, "from_seq": found.first, "to_seq": found.last},
        "readings": [reading | {"in_step": start <= from_rfc3339(reading["event_time"]) < end} for reading in found.readings],
        "not_listed": found.count - len(found.readings),
        "results": told.get("results"),
        "aggregate": told.get("aggregate"),
    }


@dataclass(slots=True)
class Found:
    """Readings of a parameter's tag in the entries that its record names. first, last: their numbers; None: it names none."""

    tag: str | None
    first: int | None
    last: int | None
    readings: list[Json] = field(default_factory=list)
    count: int = 0

    @classmethod
    def of(cls, told: Json) -> "Found":
        """Begin for a parameter of a record."""
        evidence = told.get("evidence") or {}
        return cls(told.get("tag"), evidence.get("from_seq"), evidence.get("to_seq"))

    def take(self, seq: int, reading: Json) -> None:
        """Take a reading of the tag, if it lies in an entry that the record names."""
        if self.first is not None and self.last is not None and self.first <= seq <= self.last:
            self.count += 1
            if self.count <= MOST_READINGS:
                self.readings.append(reading)


def _decimals(value: Any) -> int | None:
    return len(value.partition(".")[2]) if isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit() else None


def _look(data: Path, line: Line, epoch: int, wanted: list[Found]) -> None:
    """Read the journal once for all parameters. Each segment states the tag tables again: it is read from its beginning."""
    spans = [(one.first, one.last) for one in wanted if one.tag is not None and one.first is not None and one.last is not None]
    if not spans:
        return
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
    tags = {one.tag for one in wanted}
    tables: dict[str, dict[int, Json]] = {}
    orders = Orders()
    for held in read_journal(data, (epoch, segment_of(first) - 1)):
        if (held.epoch, held.seq) > (epoch, last):
            return
        if (kind := event_type(held.payload)) in ("tagset", "config"):
            event = orjson.loads(held.payload)["event"]
            if kind == "config":
                orders.take(event)
            else:
                tables.setdefault(event["tagset"], {}).update(enumerate(event["tags"], event["first"]))
        elif held.seq >= first and held.payload.startswith(b'{"schema":"ebr-gateway/readings/'):
            entry = orjson.loads(held.payload)
            for tag, reading in readings_of(entry, held, tables[entry["tagset"]], line, tags, orders):
                for one in wanted:
                    if one.tag == tag:
                        one.take(held.seq, reading)


def readings_of(
    entry: Json, held: Entry, table: Mapping[int, Json], line: Line, tags: Collection[str | None], orders: Orders | None = None
) -> Iterator[tuple[str, Json]]:
    """Yield (tag, what is shown of a reading) of an entry of readings, for these tags.

    table: the entry's tag table, by number. orders: of bytes, where that table does not name them.
    """
    columns, constant, base = entry["columns"], entry.get("constant", {}), from_rfc3339(entry["time_base"])
    default, trusted = clock_of(entry, line)
    for number, row in enumerate(entry["readings"]):
        cells = {**constant, **dict(zip(columns, row, strict=True))}
        known = table[cells["tag"]]
        if known["tag"] not in tags:
            continue
        times = {name: _time(cells, name, base) for name in ("source", "server", "requested", "received")}
        assert times["received"] is not None, "every reading has a received time"
        authority = known.get("time_authority") or default
        at = event_ticks(authority, times["source"], times["server"], times["requested"], times["received"], trusted=trusted)  # type: ignore[arg-type]
        simulated = {"simulated": True} if entry.get("simulated") else {}
        shown = {f"{name}_time": None if ticks is None else rfc3339(ticks) for name, ticks in times.items()}
        more = {name: cells.get(name) for name in ("value", "raw", "status", "native", "kind")}
        told = {"seq": held.seq, "digest": held.digest, "event_time": rfc3339(at), **more, **shown, **simulated}
        read = {"said": entry.get("said"), "registers": registers_of(entry, cells, known, orders)}
        yield known["tag"], told | read | {"window": window_of(entry, number, known, times["source"])}


def _time(cells: Mapping[str, Any], name: str, base: int) -> int | None:
    if (text := cells.get(f"{name}_time")) is not None:
        return from_rfc3339(text)
    ticks = cells.get(f"{name}_ticks")
    return None if ticks is None else base + ticks


def _checkpoint(data: Path, epoch: int, seq: int) -> Json | None:
    """Return the first checkpoint that covers an entry; None if none does yet."""
    for held in read_journal(data, (epoch, seq)):
        if held.epoch != epoch:
            return None
        if event_type(held.payload) == "checkpoint":
            event = orjson.loads(held.payload)["event"]
            if event["size"] >= seq:
                return {"seq": held.seq, **{name: event[name] for name in ("size", "root", "note")}}
    return None
