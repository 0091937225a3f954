"""The entry format: every kind of entry and event that is stored, sent to the EBR and put into archives.

These models are the source of `docs/schemas/*.json`: their docstrings are the descriptions there. Tests and tools validate with them; the
running gateway writes JSON directly and never comes here. Unknown members are allowed everywhere: within a major version the format only
grows.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from buffer.entry.answers import ANSWERS
from buffer.entry.documents import Document, DocumentEvent, MadeEvent, ReviewedItem, ReviewEvent, ReviewScope, Signature
from buffer.entry.gateway_events import (
    AuditEvent,
    CheckpointEvent,
    ClockEvent,
    ConfigEvent,
    ConfigFile,
    EpochEvent,
    FindingEvent,
    SealedBatch,
    StampedRun,
    StampsEvent,
    Where,
    Who,
)
from buffer.entry.head import (
    ClockState,
    ConfigReference,
    Context,
    Decimal,
    Event,
    Evidence,
    Gateway,
    Head,
    Hex16,
    Hex64,
    Instant,
    Name,
    Open,
    Performer,
    ReadingsEntry,
    Scalar,
    Seq,
    SourceClock,
    Ticks,
)
from buffer.entry.materials import Lot, MaterialEvent, SampleEvent, SampleResult
from buffer.entry.sources import AlarmEvent, GapEvent, HeartbeatEvent, MessageEvent, MessageRow, SourceEvent, TagsetEvent, TagsetTag
from buffer.entry.steps import (
    ActivityEvent,
    BatchEvent,
    Completeness,
    ContextEvent,
    HoldTime,
    ListedRecord,
    Parameter,
    RebindEvent,
    StepEvent,
)

__all__ = [
    "COLUMNS",
    "EVENT",
    "EVENT_MODELS",
    "READINGS",
    "ActivityEvent",
    "AlarmEvent",
    "AnyEntry",
    "AnyEvent",
    "AuditEvent",
    "BatchEvent",
    "CheckpointEvent",
    "ClockEvent",
    "ClockState",
    "Completeness",
    "ConfigEvent",
    "ConfigFile",
    "ConfigReference",
    "Context",
    "ContextEvent",
    "Decimal",
    "Document",
    "DocumentEvent",
    "EpochEvent",
    "Event",
    "EventEntry",
    "Evidence",
    "FindingEvent",
    "GapEvent",
    "Gateway",
    "Head",
    "HeartbeatEvent",
    "Hex16",
    "Hex64",
    "HoldTime",
    "Instant",
    "ListedRecord",
    "Lot",
    "MadeEvent",
    "MaterialEvent",
    "MessageEvent",
    "MessageRow",
    "Name",
    "Open",
    "Parameter",
    "Performer",
    "ReadingsEntry",
    "RebindEvent",
    "ReviewEvent",
    "ReviewScope",
    "ReviewedItem",
    "SampleEvent",
    "SampleResult",
    "Scalar",
    "SealedBatch",
    "Seq",
    "Signature",
    "SourceClock",
    "SourceEvent",
    "StampedRun",
    "StampsEvent",
    "StepEvent",
    "TagsetEvent",
    "TagsetTag",
    "Ticks",
    "Where",
    "Who",
    "parse",
    "schemas",
    "write_schemas",
]

READINGS = "ebr-gateway/readings/1"
EVENT = "ebr-gateway/event/1"
COLUMNS = ("tag", "value", "raw", "status", "native", "kind", "source_ticks", "server_ticks", "requested_ticks", "received_ticks")

AnyEvent = Annotated[
    StepEvent
    | BatchEvent
    | MaterialEvent
    | SampleEvent
    | AlarmEvent
    | ContextEvent
    | ActivityEvent
    | RebindEvent
    | MessageEvent
    | GapEvent
    | ClockEvent
    | SourceEvent
    | ConfigEvent
    | FindingEvent
    | AuditEvent
    | DocumentEvent
    | CheckpointEvent
    | EpochEvent
    | TagsetEvent
    | HeartbeatEvent
    | StampsEvent,
    Field(discriminator="type"),
]


class EventEntry(Head):
    """One event."""

    schema_: Literal["ebr-gateway/event/1"] = Field(alias="schema")
    source: str | None = None
    source_clock: SourceClock | None = None
    event: AnyEvent


AnyEntry: TypeAdapter[ReadingsEntry | EventEntry] = TypeAdapter(Annotated[ReadingsEntry | EventEntry, Field(discriminator="schema_")])


def parse(payload: bytes) -> ReadingsEntry | EventEntry:
    """Validate an entry's bytes. Raises pydantic.ValidationError."""
    return AnyEntry.validate_json(payload)


# ------------------------------------------------------------------ schemas


def schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (file name, JSON Schema with a full example) of every kind of entry and of event, of answers, and of a document as a file."""
    from buffer.entry.examples import DOCUMENT, EVENTS, READINGS_ENTRY, event_entry

    yield "entry-readings.json", _schema(ReadingsEntry, READINGS_ENTRY, "entry-readings")
    yield "entry-event.json", _schema(EventEntry, event_entry(EVENTS["gap"]), "entry-event")
    for kind, example in EVENTS.items():
        yield f"event-{kind}.json", _schema(EVENT_MODELS[kind], example, f"event-{kind}")
    for name, (model, example) in ANSWERS.items():
        yield f"uplink-{name}.json", _schema(model, example, f"uplink-{name}")
    yield "document.json", _schema(Document, DOCUMENT, "document")


def _schema(model: Any, example: dict[str, Any], name: str) -> dict[str, Any]:
    """Make a schema. model: a model, or a union of them."""
    made = _mapped_to_schemas(TypeAdapter(model).json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:ebr-gateway:{name}:1", **made, "examples": [example]}


def _mapped_to_schemas(schema: Any) -> Any:
    """Leave out of each discriminator what maps to no schema by its reference, but to a choice (OpenAPI 3.1.0, 4.8.25: strings alone)."""
    if isinstance(schema, list):
        return [_mapped_to_schemas(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _mapped_to_schemas(one) for name, one in schema.items()}
    mapping = made.get("mapping")
    if "propertyName" in made and isinstance(mapping, dict):
        made["mapping"] = {value: reference for value, reference in mapping.items() if isinstance(reference, str)}
    return made


EVENT_MODELS: dict[str, Any] = {
    "step": StepEvent,
    "batch": BatchEvent,
    "material": MaterialEvent,
    "sample": SampleEvent,
    "alarm": AlarmEvent,
    "context": ContextEvent,
    "activity": ActivityEvent,
    "rebind": RebindEvent,
    "message": MessageEvent,
    "gap": GapEvent,
    "clock": ClockEvent,
    "source": SourceEvent,
    "config": ConfigEvent,
    "finding": FindingEvent,
    "audit": AuditEvent,
    "document": DocumentEvent,
    "checkpoint": CheckpointEvent,
    "epoch": EpochEvent,
    "tagset": TagsetEvent,
    "heartbeat": HeartbeatEvent,
    "stamps": StampsEvent,
}


def write_schemas(folder: Path) -> None:
    """Write all schemas into a folder: `python -m buffer.entry docs/schemas`."""
    for name, schema in schemas():
        (folder / name).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
