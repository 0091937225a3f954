"""The entry format: what stands in the journal, travels to the EBR and lies in archives (design page "Formats").

These models are the source of `docs/schemas/*.json`. Tests and tools validate with them; the hot way writes JSON directly and never
comes here. Unknown members are allowed everywhere: within a major version the format only grows.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Name = Annotated[str, StringConstraints(min_length=1)]
Gateway = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Scalar = bool | int | float | str | None
Ticks = Annotated[int, Field(ge=-(2**53), le=2**53)]
Seq = Annotated[int, Field(ge=1)]

READINGS = "ebr-gateway/readings/1"
EVENT = "ebr-gateway/event/1"
COLUMNS = ("tag", "value", "raw", "status", "native", "kind", "source_ticks", "server_ticks", "requested_ticks", "received_ticks")


class Open(BaseModel):
    """Members that are not named here are allowed and kept."""

    model_config = ConfigDict(extra="allow")


# ------------------------------------------------------------------ the head and what all entries share


class ClockState(Open):
    """How far `time` can be trusted: half width of the interval that holds true UTC, null where nothing is known."""

    status: Literal["synchronised", "holdover", "unsynchronised", "unknown"]
    bound_s: float | None
    boot: Name
    monotonic_s: float


class SourceClock(Open):
    """The source's clock against the gateway's: positive when the source is ahead."""

    authority: Literal["device", "server", "gateway"]
    offset_s: float | None = None
    bound_s: float | None = None


class ConfigReference(Open):
    """Which line folder was in force; its files stand in the `config` event of this version."""

    version: int
    sha256: Hex64


class Context(Open):
    """Where one equipment was. steps: (level, step, run)."""

    activity: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    steps: list[tuple[str, str, int]] = []
    state: str | None = None
    mode: str | None = None
    operator: str | None = None


class Head(Open):
    """Written by the journal. `previous` is the digest (SHA-256 of the bytes) of the entry before, 64 zeros for seq 1 of an epoch."""

    gateway: Gateway
    epoch: Seq
    seq: Seq
    previous: Hex64
    time: AwareDatetime
    clock: ClockState
    config: ConfigReference | None = None
    environment: Literal["development", "validation", "production"] | None = None


class ReadingsEntry(Head):
    """Readings of one source, in its order. Each column stands in `columns` or in `constant`, never in both.

    `*_ticks` are 100-ns units since `time_base`; `tag` is the index in the tagset. A Bad reading has value null.
    """

    schema_: Literal["ebr-gateway/readings/1"] = Field(alias="schema")
    source: Name
    source_clock: SourceClock | None = None
    contexts: dict[str, Context] = {}
    tagset: Hex16
    time_base: AwareDatetime
    columns: list[str]
    constant: dict[str, Scalar] = {}
    readings: list[list[Scalar]]


# ------------------------------------------------------------------ events


class Event(Open):
    """Anything that happened and is not a reading. caused_by: seq of the entry that the context model derived it from."""

    caused_by: int | None = None


class Instant(Open):
    """A time in the record. window_s: how far it may lie off; basis: how it is known."""

    time: AwareDatetime
    local: str | None = None
    zone: str | None = None
    window_s: float | None = None
    basis: Literal["observed", "found-at-start", "inferred-from-gap"] | None = None


class Performer(Open):
    """Who did a step, as the source said."""

    id: str
    kind: Literal["person", "system"]
    from_: str | None = Field(None, alias="from")


class Evidence(Open):
    """The entries that a figure rests on. items, of a booking or a sample: which of them gave what."""

    from_seq: int | None = None
    to_seq: int | None = None
    items: list[dict[str, Any]] = []


class Parameter(Open):
    """One parameter of a step: a statistic over a tag, judged rounded to its decimals."""

    parameter: Name
    ebr_field: str | None = None
    name: str | None = None
    value: Scalar = None
    unrounded: Scalar = None
    unit: str | None = None
    unit_text: str | None = None
    target: Scalar = None
    low: Scalar = None
    high: Scalar = None
    limit_source: str | None = None
    result: Literal["within", "below", "above", "not-judged"] | None = None
    status: Literal["present", "bad", "gap", "aggregate-only", "time-unverified", "missing", "by-ebr", "not-applicable"]
    quality: str | None = None
    covered: float | None = None
    readings: int | None = None
    gaps: list[Any] = []
    time_verified: bool | None = None  # False: read while the gateway's clock was not verified
    evidence: Evidence | None = None


class Completeness(Open):
    """What was required, what is there, and the names of what is not."""

    required: int
    present: int
    missing: list[Any] = []


class StepEvent(Event):
    """Start or end of one run of a unit procedure, operation or phase. The end is complete in itself; a correction is the whole again.

    `supersedes` is the record and revision that this one replaces, `record#revision`; one of another name went over to this batch. A long
    event comes in parts (`part` of `of`): each is the whole with a slice of one of the lists named in `sliced`, and none of the others.
    """

    type: Literal["step"]
    transition: str
    record: Name | None = None
    revision: int | None = None
    supersedes: Any = None
    reason: str | None = None
    cause: str | None = None
    equipment: Name
    unit_id: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    level: Literal["unit_procedure", "operation", "phase"]
    step: Name
    parent: str | None = None
    run: int
    start: Instant | None = None
    end: Instant | None = None
    holds: list[Any] = []
    performed_by: list[Performer] = []
    parameters: list[Parameter] = []
    completeness: Completeness | None = None


class ListedRecord(Open):
    """One step record of a batch, in its latest revision. content_sha256: over the record's event as it stands in its entry."""

    record: Name
    revision: int
    content_sha256: Hex64


class HoldTime(Open):
    """How long an equipment stood dirty (end of a batch to start of cleaning) or clean (end of cleaning to start of the batch).

    status gap: it was not observed all the time, so something may have happened unseen; missing: its beginning or end is not known.
    """

    hold: Literal["dirty", "clean"]
    start: Instant | None = None
    end: Instant | None = None
    after: str | None = None
    before: str | None = None
    seconds: float | None = None
    limit_s: float | None = None
    result: Literal["within", "above", "not-judged"]
    status: Literal["present", "gap", "missing"]
    gaps: list[str] = []


class BatchEvent(Event):
    """A batch comes into an equipment (start), leaves it (leave), is closed (end).

    The start says how long the equipment stood dirty and clean before. The end lists every record; `merkle_root` is the RFC 6962 root over
    their content_sha256 in the order listed, so who holds only records can prove that all are there.
    """

    type: Literal["batch"]
    transition: Literal["start", "leave", "end"]
    record: str | None = None
    revision: int | None = None
    cause: str | None = None
    equipment: str | None = None
    batch: str | None = None
    order: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    start: Instant | None = None
    end: Instant | None = None
    hold_times: list[HoldTime] = []
    equipments: list[dict[str, Any]] = []
    records: list[ListedRecord] = []
    merkle_root: Hex64 | None = None
    materials: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    orphans: list[dict[str, Any]] = []
    status: Literal["complete", "incomplete"] | None = None
    completeness: dict[str, Any] | None = None


class Lot(Open):
    """A lot number as the source wrote it, and its canonical form by a rule of lots.toml; both null where no rule matches."""

    raw: Name
    canonical: str | None = None
    rule: str | None = None


class MaterialEvent(Event):
    """Material consumed, produced or moved (ISA-88.00.04): one booking, complete in itself; a correction is the whole again.

    The edge of the genealogy goes from `lot` to `output_lot`; where `lot` of a produced one, or `output_lot` of a consumed one, is null,
    the batch stands in its place. quantity is net, in `unit`. problems: why the status is not present.
    """

    type: Literal["material"]
    record: str | None = None
    revision: int | None = None
    supersedes: str | None = None
    reason: str | None = None
    kind: Literal["consume", "produce", "move"]
    booking: str | None = None
    equipment: str | None = None
    unit_id: str | None = None
    to: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    steps: list[tuple[str, str, int]] = []
    at: Instant | None = None
    material: str | None = None
    lot: Lot | None = None
    output_lot: Lot | None = None
    quantity: Decimal | None = None
    unit: str | None = None
    gross: Decimal | None = None
    tare: Decimal | None = None
    target: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    result: Literal["within", "below", "above", "not-judged"] | None = None
    status: Literal["present", "bad", "gap", "missing"] | None = None
    problems: list[str] = []
    performed_by: list[Performer] = []
    evidence: Evidence | None = None


class SampleResult(Open):
    """A row of the laboratory about a sample, as read: its columns in `values`."""

    source: Name
    name: Name
    key: str
    change: str
    time: AwareDatetime | None = None
    seq: int
    values: dict[str, Any]


class SampleEvent(Event):
    """A sample taken. Its results come later: each makes a new revision, with reason `result`."""

    type: Literal["sample"]
    record: str | None = None
    revision: int | None = None
    supersedes: str | None = None
    reason: str | None = None
    sampling: str | None = None
    sample: str | None
    equipment: str | None = None
    unit_id: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    steps: list[tuple[str, str, int]] = []
    taken: Instant | None = None
    status: Literal["present", "bad", "gap", "missing"] | None = None
    problems: list[str] = []
    results: list[SampleResult] = []
    performed_by: list[Performer] = []
    evidence: Evidence | None = None


class AlarmEvent(Event):
    """An alarm of the source, raised, cleared, acknowledged or confirmed. duration_s: from raised to cleared."""

    type: Literal["alarm"]
    alarm: Name
    state: Literal["raised", "cleared", "acknowledged", "confirmed"]
    source: str | None = None
    severity: str | None = None
    text: str | None = None
    equipment: str | None = None
    batch: str | None = None
    at: Instant | None = None
    raised: Instant | None = None
    duration_s: float | None = None


class ContextEvent(Event):
    """Order parameters pushed to the gateway: who an equipment works for. who: the authenticated sender. A value null is none."""

    type: Literal["context"]
    equipment: Name
    values: dict[str, str | None]
    who: str | None = None
    peer: str | None = None
    """the network address it came from"""


class ActivityEvent(Event):
    """An equipment changed its activity: production, cleaning, changeover, maintenance, qualification, idle."""

    type: Literal["activity"]
    equipment: Name
    from_: str | None = Field(None, alias="from")
    to: str


class RebindEvent(Event):
    """A batch identity that came late, bound to what was already written. The record named in `supersedes` counts no longer."""

    type: Literal["rebind"]
    record: Name
    supersedes: str | None = None
    reason: str | None = None
    equipment: Name
    step: Name
    run: int
    from_: dict[str, str | None] | None = Field(None, alias="from")
    to: dict[str, str | None] | None = None


class MessageRow(Open):
    """One row of a source that speaks in rows."""

    key: str
    change: Literal["new", "changed", "late", "deleted"]
    time: AwareDatetime | None = None
    text: str | None = None
    row: dict[str, Any]


class MessageEvent(Event):
    """Rows of a MES table or records of a dropped file, as read."""

    type: Literal["message"]
    source: Name
    name: Name
    rows: list[MessageRow]


class GapEvent(Event):
    """An interval in which tags were not observed: opened at the last observation, closed at the next.

    Tags that come back one by one have a `close` each. The interval is lost, unless every close says `filled`: then the source had kept
    its values. `fill` tells that history gave an interval afterwards.
    """

    type: Literal["gap"]
    transition: Literal["open", "close", "fill"]
    gap: str | None = None
    source: Name
    tags: Literal["all"] | list[str]
    start: AwareDatetime
    end: AwareDatetime | None = None
    detected: AwareDatetime | None = None
    outcome: Literal["lost", "filled"] | None = None
    cause: str | None = None
    detail: str | None = None


class ClockEvent(Event):
    """Something happened to the gateway's own clock."""

    type: Literal["clock"]
    kind: Name
    status: str | None = None
    bound_s: float | None = None


class SourceEvent(Event):
    """A source answers, is lost, was stopped, goes on without loss where it ended (resumed), or has only moved its watermark."""

    type: Literal["source"]
    source: Name
    state: Literal["connected", "lost", "stopped", "resumed", "watermark"]
    detail: str | None = None


class ConfigFile(Open):
    """A file of the line folder, or a piece of one."""

    name: Name
    text: str


class ConfigEvent(Event):
    """The line folder in full, cut into numbered parts if it is long."""

    type: Literal["config"]
    version: int
    sha256: Hex64
    software: str
    files: list[ConfigFile] | dict[str, str]
    part: int = 1
    of: int = 1


class FindingEvent(Event):
    """A fact that a person should know."""

    type: Literal["finding"]
    code: Name
    severity: Literal["info", "warning", "alarm"]
    source: str | None = None
    tags: list[str] = []
    text: str
    evidence: dict[str, Any] = {}


class AuditEvent(Event):
    """Who did what, and why. who: `system:<gateway>`, or a person."""

    type: Literal["audit"]
    action: Name
    who: Name
    what: dict[str, Any] = {}
    reason: str | None = None


class SealedBatch(Open):
    """A batch's end record that a checkpoint is the first to cover. seq: of the entry that holds it, in this epoch."""

    batch: Name | None
    record: Name
    revision: int
    seq: int


class CheckpointEvent(Event):
    """The Merkle tree over entries 1 to `size` of this epoch, as a C2SP tlog-checkpoint signed note. Persisted before it was signed."""

    type: Literal["checkpoint"]
    size: int
    root: Hex64
    note: Name
    cause: str | None = None
    batches: list[SealedBatch] = []


class EpochEvent(Event):
    """First entry of an epoch. lost: ranges of the epoch before that are gone for good; everything else of it keeps its identity."""

    type: Literal["epoch"]
    follows: int | None
    reason: Literal["created", "restored", "salvaged"]
    last_seq: int
    last_digest: Hex64
    lost: list[tuple[int, int]] = []


class TagsetTag(Open):
    """What one tag is."""

    tag: Name
    type: Name
    unit: str | None = None
    source_unit: str | None = None
    scale: str | None = None
    equipment: Any = None
    criticality: str | None = None
    address: str | None = None


class TagsetEvent(Event):
    """The table that `tag` in readings points into; a long one comes in slices by `first`.

    tagset: first 16 hex digits of the SHA-256 of the whole tags array.
    """

    type: Literal["tagset"]
    tagset: Hex16
    source: Name
    first: int
    of: int
    tags: list[TagsetTag]


class HeartbeatEvent(Event):
    """Through when each source has been observed."""

    type: Literal["heartbeat"]
    observed: dict[str, AwareDatetime]


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
    | CheckpointEvent
    | EpochEvent
    | TagsetEvent
    | HeartbeatEvent,
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
    """(file name, JSON Schema with a full example) of every kind of entry and of event."""
    from .entry_examples import EVENTS, READINGS_ENTRY, event_entry

    yield "entry-readings.json", _schema(ReadingsEntry, READINGS_ENTRY, "entry-readings")
    yield "entry-event.json", _schema(EventEntry, event_entry(EVENTS["gap"]), "entry-event")
    for kind, example in EVENTS.items():
        yield f"event-{kind}.json", _schema(EVENT_MODELS[kind], example, f"event-{kind}")


def _schema(model: type[BaseModel], example: dict[str, Any], name: str) -> dict[str, Any]:
    made = model.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:ebr-gateway:{name}:1", **made, "examples": [example]}


EVENT_MODELS: dict[str, type[Event]] = {
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
    "checkpoint": CheckpointEvent,
    "epoch": EpochEvent,
    "tagset": TagsetEvent,
    "heartbeat": HeartbeatEvent,
}


def write_schemas(folder: Path) -> None:
    """Write all schemas into a folder: `python -m buffer.entry docs/schemas`."""
    for name, schema in schemas():
        (folder / name).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import sys

    write_schemas(Path(sys.argv[1]))
