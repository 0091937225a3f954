"""Events of the procedure: steps with their parameters, batches, and what an equipment works for."""

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from buffer.entry.head import Change, Event, Evidence, Hex64, Instant, Name, Open, Performer, Scalar


class ReadLimit(Open):
    """What the tag of a target or limit said itself, in its own unit."""

    tag: Name
    value: Scalar = None
    unit: str | None = None


class LabResult(Open):
    """The row of the laboratory that a value is taken from; all but the sample null where none has come. seq: of its entry."""

    sample: str | None
    source: str | None = None
    name: str | None = None
    key: str | None = None
    time: str | None = None
    seq: int | None = None


class Excursion(Open):
    """An interval in which the value was outside a limit. extreme: the furthest value."""

    side: Literal["above", "below"]
    start: AwareDatetime
    end: AwareDatetime
    duration_s: float
    extreme: Scalar = None


class SourceAggregate(Open):
    """What the source has aggregated of its own samples, so that it can not pass for step-level data.

    function, window_s: what the map declares. stamp: which edge of its window the time of a reading is, where the map says so. told: of
    so many of the `readings` the source told where the window begins and ends; start, end: the earliest and the latest. counted: of
    so many it told how many samples are in it; count: in all of those. Of the others the source told nothing, and nothing is computed.
    """

    function: Name
    window_s: float
    stamp: Literal["start", "end"] | None = None
    told: int | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    counted: int | None = None
    count: int | None = None


class Parameter(Open):
    """One parameter of a step: a statistic over a tag, judged rounded to its decimals.

    Target and limits are in `unit`, those of a time above or below them in `limit_unit`: they are compared with the readings. `limits_read`
    says, by limit, what its tag held, where that is in another unit.

    origin: who is to give the value, as the map says. value_origin: how what it is made of came to be, as the configuration declares it:
    automatic (a device made it), manual (a person entered it at the source), transcribed (a person copied it there from another record),
    imported (it stood in another system's record before). Absent: nobody declared it, and nothing is claimed, whatever `origin` says.

    One that the laboratory gives has `results`: the rows that it is taken from, one for each sample that counts.
    """

    parameter: Name
    tag: str | None = None
    required: bool | None = None
    criticality: str | None = None
    ebr_field: str | None = None
    name: str | None = None
    value: Scalar = None
    unrounded: Scalar = None
    unit: str | None = None
    unit_text: str | None = None
    min: Scalar = None
    max: Scalar = None
    target: Scalar = None
    low: Scalar = None
    high: Scalar = None
    alert_low: Scalar = None
    alert_high: Scalar = None
    alert: Literal["within", "below", "above", "not-judged"] | None = None
    excursions: list[Excursion] | None = None
    excursion_count: int | None = None
    excursions_from: AwareDatetime | None = None
    limit_source: str | None = None
    limit_unit: str | None = None
    limit_unit_text: str | None = None
    limits_read: dict[str, ReadLimit] | None = None
    result: Literal["within", "below", "above", "not-judged"] | None = None
    status: Literal["present", "bad", "gap", "aggregate-only", "time-unverified", "missing", "by-ebr", "not-applicable"]
    aggregate: SourceAggregate | None = None
    quality: str | None = None
    covered: float | None = None  # share of the longest possible step with a good value; None: nobody knows how long that is
    uncertain_s: float | None = None  # by how much the edges of the step that the value depends on are uncertain; None: nobody knows
    readings: int | None = None
    gaps: list[Any] = []
    origin: str | None = None
    value_origin: Literal["automatic", "manual", "transcribed", "imported"] | None = None
    statistic: str | None = None
    include: Literal["running", "all"] | None = None  # running: only time in which the equipment's state was Running counts
    skip_first_s: float | None = None  # seconds at the step's beginning that do not count
    results: list[LabResult] | None = None
    time_verified: bool | None = None  # False: read while the gateway's clock was not verified
    evidence: Evidence | None = None


class Completeness(Open):
    """What was required, what is there, and the names of what is not. open: required values that are not the gateway's to give."""

    required: int
    present: int
    missing: list[Any] = []
    open: list[Any] = []


class StepEvent(Event):
    """Start or end of one run of a unit procedure, operation or phase. The end is complete in itself; a correction is the whole again.

    `supersedes` is the record and revision that this one replaces, `record#revision`; one of another name went over to this batch. A long
    event comes in parts (`part` of `of`): each is the whole with a slice of one of the lists named in `sliced`, and none of the others.
    config_versions: of the configurations in force from its start (the first one) until this record was made; null: not known.
    evidence, of an end: from the entry that told the start to the one that told the end, also where the batch was not known then.
    """

    type: Literal["step"]
    transition: str
    record: Name | None = None
    revision: int | None = None
    supersedes: Any = None
    reason: str | None = None
    changed: list[Change] = []
    part: int = 1
    of: int = 1
    sliced: list[str] = []
    batch_raw: str | None = None
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
    performed_by_reason: Literal["no source tells", "not observed"] | None = None  # why nobody is named
    parameters: list[Parameter] = []
    completeness: Completeness | None = None
    config_versions: list[int | None] = []
    evidence: Evidence | None = None


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


class BatchConfiguration(Open):
    """A configuration that was in force in a batch; a second one came into force in mid batch.

    from_seq: of the entry with which it came into force, null if before the batch; until_seq: of the last entry under it, null if there is
    none, or if the numbers began anew. `changes` against version `follows`, of which `diff` lists what has room; null: not known.
    """

    version: int | None
    sha256: Hex64 | None
    from_seq: int | None = None
    until_seq: int | None = None
    from_: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = None
    follows: int | None = None
    changes: int | None = None
    diff: list[dict[str, Any]] = []
    approved_by: str | None = None


class LedElsewhere(Open):
    """A fallback in which records of equipments of the batch were led by the legacy system or by hand; this record went on meanwhile.

    from_basis, until_basis: `commanded` at that instant by the gateway's clock, `commanded-clock-unverified`, `commanded-clock-set-back`
    (the clock showed an earlier time than at the begin, or at the end of the fallback before: `until` may lie before `from`), or `reported`
    by a person.
    until null: it lasted when this revision was made. fallback: names it in the audit events `fallback-begun` and `fallback-ended`.
    """

    fallback: Name
    led_by: Name
    equipments: list[Name]
    from_: AwareDatetime = Field(alias="from")
    from_basis: str
    until: AwareDatetime | None
    until_basis: str | None
    reason: str
    by: str
    ended_by: str | None = None


class TransitionPhase(Open):
    """A phase in which the line and a legacy system ran beside each other while the batch was there, as the configuration declared it then.

    from, until: its first and last day by the line's wall clock; null: none is declared. record_of_reference: `legacy` while the legacy
    system leads, else `gateway`. name null: no phase is declared for days of the batch, and nobody said whose record counts in them.
    """

    name: Literal["pilot", "parallel", "primary", "retired"] | None
    from_: date | None = Field(alias="from")
    until: date | None
    legacy: Literal["leading", "following", "off"] | None
    record_of_reference: Literal["legacy", "gateway"] | None
    sunset: date


class BatchEvent(Event):
    """A batch comes into an equipment (start), leaves it (leave), is closed (end).

    `gaps` of the end are those that belong to the batch: each that hid something of an equipment while the batch was there, and each that a
    value of its records names. `gap_count` is how many there are, more than are listed where one stay had more than 10,000; 0.1 and before
    counted none, and listed only those that values name.

    The start says how long the equipment stood dirty and clean before; its evidence is from the entry that brought the batch's id to the
    one with which it counted. The end lists every record; `merkle_root` is the RFC 6962 root over
    their content_sha256 in the order listed, so who holds only records can prove that all are there. Cause `corrected`: the batch number
    was wrong; all of it is that of the batch in `superseded_by`.
    """

    type: Literal["batch"]
    transition: Literal["start", "leave", "end"]
    record: str | None = None
    revision: int | None = None
    supersedes: str | None = None
    reason: str | None = None
    changed: list[Change] = []
    part: int = 1
    of: int = 1
    sliced: list[str] = []
    cause: str | None = None
    equipment: str | None = None
    unit_id: str | None = None
    batch_raw: str | None = None
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
    gaps: list[str] = []
    gap_count: int | None = None
    alarms: list[dict[str, Any]] = []
    alarm_count: int | None = None
    orphans: list[dict[str, Any]] = []
    led_elsewhere: list[LedElsewhere] = []
    transition_phases: list[TransitionPhase] = []
    configurations: list[BatchConfiguration] = []
    status: Literal["complete", "incomplete"] | None = None
    completeness: dict[str, Any] | None = None
    superseded_by: str | None = None
    evidence: Evidence | None = None


class ContextEvent(Event):
    """Order parameters pushed to the gateway: who an equipment works for. who: the authenticated sender. A value null is none."""

    type: Literal["context"]
    equipment: Name
    values: dict[str, str | None]
    who: str | None = None
    peer: str | None = None
    """the network address it came from"""


class ActivityEvent(Event):
    """An equipment changed its activity: production, cleaning, changeover, maintenance, qualification, idle; null: not known."""

    type: Literal["activity"]
    equipment: Name
    from_: str | None = Field(None, alias="from")
    to: str | None
    start: Instant | None = None


class FinalRecord(Open):
    """A record that can not be made again: which revision of it stands, and the digest of its `event` member."""

    revision: int
    content_sha256: Hex64


class RebindEvent(Event):
    """A batch identity that came late, bound to what was already written. The record named in `supersedes` counts no longer.

    With `final` it is a record that nothing can make again: as it was made under the name in `supersedes` it counts, from now on, under
    `record`, for the batch in `to`, whose end lists it so. Without, the record follows under its new name, or `record` stands already.
    """

    type: Literal["rebind"]
    record: Name
    supersedes: str | None = None
    reason: str | None = None
    equipment: Name
    step: Name
    run: int
    from_: dict[str, str | None] | None = Field(None, alias="from")
    to: dict[str, str | None] | None = None
    start: Instant | None = None
    final: FinalRecord | None = None
    evidence: Evidence | None = None
