"""Gathers the events of a batch from a journal, and what each of them is to be looked up by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from buffer import Entry, event_type, read_journal
from buffer.archive.happenings import Happening, happenings
from buffer.times import from_rfc3339
from config import Equipment, FromTag, Line
from gateway.context import edges_of
from gateway.entries.kept_stamps import KeptStamps
from gateway.validation.tracing.source_events import BACK, Asked, row_told

Json = dict[str, Any]
RECORDS = frozenset({"step", "batch", "material", "sample", "alarm", "rebind", "context"})
_INSTANTS = {"start": "start", "end": "end", "leave": "end", "at": "at", "taken": "taken"}


@dataclass(frozen=True, slots=True)
class MesRow:
    """A row of a source that names the batch. edges: (step, start ticks, end ticks) that it tells by `mes_steps`, of which equipment."""

    told: Json
    time: str
    digest: str
    edges: tuple[str, str, int | None, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """Events of a batch, in order, and the rows that name it. heads: time and clock of each entry of an event, by (epoch, seq)."""

    events: list[Happening]
    rows: list[MesRow]
    heads: dict[tuple[int, int], Json]


def gather(data: Path, line: Line, batch: str, stamps: KeptStamps) -> Gathered:
    """Read the journal once: the batch's events and rows, and after each of them what later entries say of when it was committed.

    Raises StorageError on damage, FileNotFoundError without a journal.
    """
    wanted, mine = orjson.dumps(batch), list[Entry]()
    rows, heads = list[MesRow](), dict[tuple[int, int], Json]()
    for held in read_journal(data):
        kind = event_type(held.payload)
        if kind == "stamps":
            stamps.take(orjson.loads(held.payload)["event"])
        elif kind in RECORDS and wanted in held.payload:
            mine.append(held)
            heads[held.epoch, held.seq] = _head(held)
            stamps.want((held.epoch, held.seq))
        elif kind == "message" and wanted in held.payload:
            found = list(_rows(held, line, batch))
            rows += found
            if found:
                stamps.want((held.epoch, held.seq))
    stamps.take_pending(data)
    return Gathered([one for one in happenings(mine) if _is_of(one.event, batch)], rows, heads)


def _head(held: Entry) -> Json:
    entry = orjson.loads(held.payload)
    return {"time": entry["time"], "bound_s": entry["clock"]["bound_s"], "digest": held.digest}


def _is_of(event: Mapping[str, Any], batch: str) -> bool:
    if event["type"] == "rebind":
        return batch in ((event.get("to") or {}).get("batch"), (event.get("from") or {}).get("batch"))
    return batch in (event.get("batch"), (event.get("values") or {}).get("batch"))


def _rows(held: Entry, line: Line, batch: str) -> Iterator[MesRow]:
    """Yield the rows of an entry that hold the batch's id in a column."""
    entry = orjson.loads(held.payload)
    for row in entry["event"]["rows"]:
        if batch in row["row"].values():
            yield MesRow(row_told(entry, held, row), entry["time"], held.digest, _edges(line, entry["event"], row))


def _edges(line: Line, event: Mapping[str, Any], row: Json) -> tuple[str, str, int | None, int | None] | None:
    for equipment in line.equipment:
        how = equipment.mes_steps
        if how is None or how.row != f"{event['source']}.{event['name']}" or str(row["row"].get(how.key)) != equipment.unit_id:
            continue
        edges = edges_of(how, row, ZoneInfo(line.line.timezone))
        if not isinstance(edges, str):
            return (equipment.name, str(row["row"].get(how.step)), *edges)
    return None


def instant_of(event: Mapping[str, Any]) -> Json | None:
    """Return the instant that an event states: of a start its start, of an end its end, of a booking `at`, of a sample `taken`."""
    name = _INSTANTS.get(str(event.get("transition")), "at" if event["type"] != "sample" else "taken")
    found: Json | None = event.get(name)
    return found


def question(line: Line, one: Happening, ends: Mapping[str, Json], leaves: Mapping[str, int]) -> Asked | None:
    """Ask what told an event; None where it states no instant.

    ends: the evidence of each step's end, by record. leaves: what caused each `leave` of the batch, by its time: an end states the last.
    """
    event, at = one.event, instant_of(one.event)
    if at is None:
        return None
    cause = event.get("caused_by") or one.seqs[0]
    if event["type"] == "batch" and event["transition"] == "end":
        cause = leaves.get(at["time"], cause)
    evidence = event.get("evidence") or ends.get(str(event.get("record"))) or {}
    trigger = next((item["seq"] for item in evidence.get("items", []) if item.get("of") == "trigger"), None)
    named = trigger or evidence.get("to_seq" if event.get("transition") in ("end", "leave") else "from_seq")
    seqs = range(named, named + 1) if named else range(max(1, cause - BACK), cause + 1)
    return Asked(one.epoch, seqs, from_rfc3339(at["time"]), _signals(line, event))


def _signals(line: Line, event: Mapping[str, Any]) -> frozenset[str]:
    """Return the tags whose change an event is: of a step its signal and key, of a batch what tells it, of an alarm its tag."""
    items = (event.get("evidence") or {}).get("items", [])
    tags = {item["tag"] for item in items if item.get("of") == "trigger" and "tag" in item}
    if event["type"] == "step":
        rows = [row for row in line.steps if (row.step, row.equipment) == (event["step"], event["equipment"])]
        tags |= {tag for row in rows for tag in (row.signal, row.key) if tag}
    if event["type"] == "batch":
        tags |= {tag for one in line.equipment if event.get("equipment") in (None, one.name) for tag in _tells_batch(one)}
    return frozenset(tags | ({event["tag"]} if event.get("tag") else set()))


def _tells_batch(equipment: Equipment) -> Iterator[str]:
    """Yield the tags that begin and end a batch in an equipment: that of its number, and what `batch_ends` names."""
    if isinstance(equipment.batch, FromTag):
        yield equipment.batch.tag
    if not equipment.batch_ends.startswith("state:"):
        yield equipment.batch_ends
    elif equipment.state is not None:
        yield equipment.state
