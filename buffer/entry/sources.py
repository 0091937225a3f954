"""Events of the sources: rows, alarms, gaps, what their tags are, and through when they were observed."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from buffer.entry.head import Event, Hex16, Instant, Name, Open, Scalar


class AlarmEvent(Event):
    """An alarm of the source, raised, cleared, acknowledged or confirmed. duration_s: from raised to cleared.

    tag, value: the reading that told it. severity_number (1 to 1,000), condition_id, comment, by (who acknowledged): of an OPC UA
    condition.
    """

    type: Literal["alarm"]
    alarm: Name
    state: Literal["raised", "cleared", "acknowledged", "confirmed"]
    source: str | None = None
    severity: str | None = None
    text: str | None = None
    equipment: str | None = None
    batch: str | None = None
    steps: list[tuple[str, str, int]] = []
    tag: str | None = None
    value: Scalar = None
    severity_number: int | None = None
    condition_id: str | None = None
    comment: str | None = None
    by: str | None = None
    at: Instant | None = None
    raised: Instant | None = None
    duration_s: float | None = None


class MessageRow(Open):
    """One row of a source that speaks in rows. order: the number that the source gave it when it made it.

    A row that is too long for an entry comes in parts, each an event of its own, with an empty `row`: the pieces of all,
    joined, are its JSON.
    """

    key: str
    change: Literal["new", "changed", "late", "deleted"]
    time: AwareDatetime | None = None
    text: str | None = None
    order: int | float | str | None = None
    row: dict[str, Any]
    piece: str | None = None
    part: int = 1
    of: int = 1


class MessageEvent(Event):
    """Rows of a MES table or records of a dropped file, as read.

    since: when the last look before this one saw everything; what it did not see came after it. null: there was none since the source was
    connected, so nobody watched these rows come. Absent: the gateway did not know yet how to say so. more: rows of the same look follow.
    """

    type: Literal["message"]
    source: Name
    name: Name
    rows: list[MessageRow]
    since: AwareDatetime | None = None
    more: bool = False


class GapEvent(Event):
    """An interval in which tags were not observed: opened at the last observation, closed at the next.

    Tags that come back one by one have a `close` each. Its start is that of the gap by the clock as it is then: before the one that the
    opening says, if the gateway's clock was ahead when the gap opened and was set back since. The interval is lost, unless every close says
    `filled`: then the source had kept its values. `fill` tells that history gave an interval afterwards. Where a configuration begins that
    does not read some of its tags any more, these are closed at that instant, as lost: nothing was observed then, and `detail` says it.

    cause is open: a reader must take one that it does not know. Of the gateway: link-lost, misconfigured (a credential or a
    certificate is not there, and a person must act), silence (of a tag whose source is alive),
    gateway-stopped, gateway-crashed, clock-behind (until its clock was set after a stop); not-asked (by the running gateway for more
    than two periods: it or its machine stood still, or was short of time); and where its journal took nothing, so that a source was not
    asked: disk-full, journal-full (its own limit is reached), journal-locked (by another program), journal-slow (the disk took long).
    Others are the driver's.

    due, of a gap that opens and of a close that is lost: who says how often a sample of its tags is due. asked: the gateway asks at that
    rate, and each answer is a sample. sampled: the source says that it looks so often and sends what changed since: so many values are
    missing at the most. declared: the line folder says that a value comes so often. not-known: nobody says. every_ms, of a gap that opens:
    how often, of each in their order (all: that of the map) where they differ; null: not known of that one. expected, of a close that is
    lost: how many samples of its tags were due in it, at their periods, between the last observation and the next, neither counted;
    received: how many of them came; uncounted: those of its tags of which it is not known. Without `due` an earlier release wrote it: it
    counted what was asked. received, of a fill: how many readings the source's history gave.
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
    due: Literal["asked", "sampled", "declared", "not-known"] | None = None
    every_ms: int | list[int | None] | None = None
    expected: Annotated[int, Field(ge=0)] | None = None
    received: Annotated[int, Field(ge=0)] | None = None
    uncounted: list[str] | None = None


class SourceEvent(Event):
    """A source answers, is lost, was stopped, goes on without loss where it ended (resumed), or has only moved its watermark.

    tags, observed, of `resumed`: what goes on, and until when it had been observed.
    """

    type: Literal["source"]
    source: Name
    state: Literal["connected", "lost", "stopped", "resumed", "watermark"]
    detail: str | None = None
    tags: Literal["all"] | list[str] | None = None
    observed: AwareDatetime | None = None


class TagsetTag(Open):
    """What one tag is, as tags.csv says (docs/line-folder.md).

    value = raw x scale + offset, rounded to the decimals of both. between: how its value goes from one reading to the next; without it, it
    holds. store all: each poll is stored, without it what has changed. equipment: `;` between several; none is of the whole line.

    byte_order: in which the bytes of a value in registers come over the wire (docs/modbus.md); absent of what is read in another way, and
    in tables that an earlier release wrote. aggregate: function and length of the window in seconds, `mean:60`; aggregate_start,
    aggregate_end, aggregate_count: the columns of the source's rows that tell the window of each value. aggregate_stamp: which of its
    edges the value's source time is.

    value_origin: how its values came to be, as the configuration declares it: automatic (a device made them), manual (a person entered
    them at the source), transcribed (a person copied them there from another record), imported (they stood in another system's record).
    Absent: nobody declared it, and nothing is claimed.
    """

    tag: Name
    type: Name
    unit: str | None = None
    source_unit: str | None = None
    scale: str | None = None
    offset: str | None = None
    codes: str | None = None  # name of its list in codes.csv
    not_available: str | None = None
    eu_low: str | None = None
    eu_high: str | None = None
    equipment: str | None = None
    criticality: str | None = None
    address: str | None = None
    deadband: str | None = None
    byte_order: str | None = None
    value_origin: Literal["automatic", "manual", "transcribed", "imported"] | None = None
    aggregate: str | None = None
    aggregate_start: str | None = None
    aggregate_end: str | None = None
    aggregate_count: str | None = None
    aggregate_stamp: Literal["start", "end"] | None = None
    store: Literal["all"] | None = None
    between: Literal["linear"] | None = None
    time_authority: str | None = None
    instrument: str | None = None
    description: str | None = None


class TagsetEvent(Event):
    """The table that `tag` in readings points into; a long one comes in slices by `first`.

    It stands before the readings that need it, and again in every 4,096 entries: a slice that is known already says nothing new.
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
