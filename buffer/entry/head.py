"""The head of an entry, readings, and what events share. Unknown members are allowed everywhere."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex16 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Name = Annotated[str, StringConstraints(min_length=1)]
Gateway = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
Decimal = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]
Scalar = bool | int | float | str | None
Ticks = Annotated[int, Field(ge=-(2**53), le=2**53)]
Seq = Annotated[int, Field(ge=1)]


class Open(BaseModel):
    """Members that are not named here are allowed and kept."""

    model_config = ConfigDict(extra="allow")


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
    batch_raw: str | None = None  # the batch's id as the source wrote it, where a rule of lots.toml spells it otherwise
    state: str | None = None
    mode: str | None = None
    operator: str | None = None


class Head(Open):
    """Written by the journal. `previous` is the digest (SHA-256 of the bytes) of the entry before, 64 zeros for seq 1 of an epoch.

    exceptions: what production refuses and this line does all the same, by rows of dispositions.csv in the approved configuration, as
    `security:granulator-plc`.

    simulated: the entry's source says of itself that it is a simulator (`ebr-gateway simulate`); of an entry without a source, a step or
    batch for example, at least one source of the line does, or did when it was connected last. Absent: none says so, which is no proof.
    """

    gateway: Gateway
    epoch: Seq
    seq: Seq
    previous: Hex64
    time: AwareDatetime
    clock: ClockState
    config: ConfigReference | None = None
    environment: Literal["development", "validation", "production"] | None = None
    exceptions: list[Name] = []
    simulated: Literal[True] | None = None


Column = Literal[
    "tag", "value", "raw", "status", "native", "kind", "source_ticks", "server_ticks", "requested_ticks", "received_ticks",
    "source_time", "server_time", "requested_time", "received_time",
]  # fmt: skip


class KeptRegisters(Open):
    """Registers that readings were read from, where their numbers do not give them back. tags: of which readings, as in the column tag.

    address: of the first register, from 0: unit/table/offset. hex: their bytes as they came over the wire, two for each register.
    """

    tags: list[int]
    address: Name
    hex: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})+$")]


class AggregateWindow(Open):
    """What the source told of the window of one aggregate: a member that is absent, it did not tell. row: the reading's, from 0."""

    row: Annotated[int, Field(ge=0)]
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    count: Annotated[int, Field(ge=0)] | None = None


class ReadingsEntry(Head):
    """Readings of one source, in its order. Each column that applies stands in `columns` or in `constant`, never in both; else it is null.

    - tag: index in the table of `tagset`. value: by the tag's `type`: bool true or false; integers of up to 32 bits, and BCD, as numbers;
      int64, uint64 and decimal as texts with their digits; floats as the shortest number that restores the type; string as it is; datetime
      RFC 3339; bytes base64. A Bad reading has null; NaN and infinity are Bad. raw: what was read, before scale or codes; only where the
      tag has such.
    - status: 32-bit OPC UA StatusCode (OPC 10000-4, 7.39): 0 Good, bits 31 and 30 tell Good (00), Uncertain (01), Bad (10). native: the
      source's own word for it.
    - kind: change; initial (first after connecting); repeat (observed unchanged); periodic (each poll or sample, `store` = all); backfill
      (from the source's history). Unchanged polls are not stored: a tag was observed wherever no gap covers it, and a value holds until
      the next.
    - *_ticks: 100-ns units since `time_base`; *_time instead, RFC 3339, where those would not fit. source: the device's time stamp;
      server: that of its server; requested, received: when this gateway asked, and when the answer came.

    - said: the lines of a serial instrument that these readings were read from, each byte as the character of its number (ISO 8859-1); of a
      printout those that its patterns may read, without `ignore`. said_left_out: how many more there were than 8 KiB hold.

    - registers, of a device that is read by registers: what its readings were read from, where `raw`, else `value`, with `type`, `address`
      and `byte_order` of the tag table does not give it back. Of each other reading of a tag with a `byte_order` the number gives its
      registers back: float, integer and BCD as they are; of a bit all others 0; of a text NUL up to its length.
    - windows: of readings whose tag is an aggregate (`aggregate` of the tag table), the window of each, as far as its source told it. A
      reading that is not listed has a window that is not known, or that follows from `aggregate_stamp` of its tag: its source time is the
      window's start or end, and the other edge lies the declared length away; that is declared, not told.

    The event time, by which statistics are computed, is the first of these that is given and trusted: source, where the tag's
    `time_authority` (else source_clock.authority) is device; server, where that is device or server; the midpoint of requested and
    received; received. Trusted is a time stamp from 1990 to a minute after received, of a source whose clock is within its limit.
    """

    schema_: Literal["ebr-gateway/readings/1"] = Field(alias="schema")
    source: Name
    source_clock: SourceClock | None = None
    contexts: dict[str, Context] = {}
    tagset: Hex16
    time_base: AwareDatetime
    columns: list[Column]
    constant: dict[str, Scalar] = {}
    readings: list[list[Scalar]]
    said: list[str] = []
    said_left_out: int | None = None
    registers: list[KeptRegisters] = []
    windows: list[AggregateWindow] = []


class Change(Open):
    """A member of a record that differs from the revision before. path: its name, `parameters/NAME/member` in a parameter."""

    path: Name
    old: Any = None
    new: Any = None


class Event(Open):
    """Anything that happened and is not a reading. caused_by: seq of the entry that the context model derived it from.

    `event` is the last member of its entry: its bytes, for a content_sha256, are those of the entry behind the first `"event":` up to the
    entry's last `}`, without that. No text before it can hold these bytes: quotes in texts are escaped.
    """

    caused_by: int | None = None


class Instant(Open):
    """A time in the record. window_s: how much earlier it may have been, null: nobody knows; basis: how it is known."""

    time: AwareDatetime
    local: str | None = None
    zone: str | None = None
    window_s: float | None = None
    basis: Literal["observed", "found-at-start", "inferred-from-gap", "told-by-row"] | None = None


class Performer(Open):
    """Who did a step, as the source said."""

    id: str
    kind: Literal["person", "system"]
    from_: str | None = Field(None, alias="from")


class Evidence(Open):
    """The entries that a figure rests on. items, of a booking or a sample: which of them gave what.

    count, first, last: number of readings, and the event times of the first and the last one.
    """

    from_seq: int | None = None
    to_seq: int | None = None
    items: list[dict[str, Any]] = []
    count: int | None = None
    first: AwareDatetime | None = None
    last: AwareDatetime | None = None
