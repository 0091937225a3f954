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


class Event(Open):
    """Anything that happened and is not a reading. caused_by: seq of the entry that the context model derived it from."""

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
    """The entries that a figure rests on. items, of a booking or a sample: which of them gave what."""

    from_seq: int | None = None
    to_seq: int | None = None
    items: list[dict[str, Any]] = []
