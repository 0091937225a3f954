"""Models of what is said on the ports of the gateway itself: to who pushes orders, who asks for the status, who gives a command.

Their docstrings are the descriptions in the schemas. As everywhere: members that are not named here may come.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from buffer.entry import Gateway, Hex64, Seq
from buffer.entry.head import Open
from config import Line
from gateway.intake.push import MAX_TEXT
from gateway.validation.specification.examples import ERROR, PUSH_ANSWER, STATUS, VALUES


class PushAnswer(Open):
    """The order parameters are on disk, as entry (gateway, epoch, seq). values: as taken."""

    gateway: Gateway
    epoch: Seq
    seq: Seq
    equipment: str
    values: dict[str, str | None]


class Error(Open):
    """Nothing was taken, and why. refused: of a command, the rule that stood against it."""

    error: str
    refused: str | None = None


class Configuration(Open):
    """The version of the line folder under which entries are made, and the digests of its files and of the interfaces that it makes."""

    version: int
    sha256: Hex64
    files: dict[str, Hex64]
    interface_sha256: Hex64
    interfaces: dict[str, Hex64]
    state: str | None
    approved_by: str | None
    change_no: str | None
    emergency: bool | None


class EditedFile(Open):
    """A file of the line folder that is not what runs. since: when that was seen; null: before this start."""

    name: str
    fate: Literal["changed", "added", "gone"]
    since: str | None


class FolderNow(Open):
    """Whether the line folder on disk is what runs. count: of files that are not. next: what to do.

    why: what could not be looked at. restart: how the line begins anew; null where a restart changes nothing, for versions are controlled.
    """

    path: str
    state: Literal["same", "differs", "not-checked"]
    files: list[EditedFile]
    count: int
    next: str | None
    why: str | None
    restart: str | None


class ClockNow(Open):
    """The gateway's clock. bound_s: half width of the interval that holds true UTC; null: not known. reason: why it is not synchronised."""

    status: Literal["synchronised", "holdover", "unsynchronised", "unknown"]
    bound_s: float | None
    limit_s: float
    reason: str | None
    unread: str | None
    reference: dict[str, Any] | None
    anchor: dict[str, Any] | None
    leap: dict[str, Any] | None
    leap_mode: str
    leaps_known_until: str | None
    events: list[dict[str, Any]]
    cross_check: dict[str, Any] | None
    history: list[dict[str, Any]]


class JournalNow(Open):
    """The journal: last entry, space, what keeps closed segments. pressure: why sources are held back; hindered: by which program."""

    directory: str
    epoch: int
    seq: int
    bytes: int
    max_bytes: int
    used: float
    bound_bytes: int
    bounded_by: Literal["disk", "max_bytes"]
    free_bytes: int
    alarm: float | None
    days_to_full: float | None
    pressure: str | None
    pressure_cause: str | None
    hindered: str | None
    wal_bytes: int
    entries_per_s: float
    waiting_s: float
    opened: dict[str, Any]
    kept: dict[str, Any]
    patrol: dict[str, Any]


class SourceNow(Open):
    """One source. rows: rows, records and events that it told, beside readings. for_s: how long in this state. late: polls that came late.

    observed: through when it was observed. endpoint: its address, without a user. tags_hidden: of its tags, how many are in a gap now.
    hidden_since: when the first of these began. simulated: it says of itself that it is a simulator.
    unmapped: what it told and no part of the map uses, since the start: `count`, and `kinds` with the count of each.
    """

    name: str
    driver: str
    endpoint: str
    state: str
    detail: str
    simulated: bool
    unread: str
    for_s: float
    tags: int
    readings: int
    rows: int
    unmapped: dict[str, Any]
    unchanged: int
    readings_per_s: float
    observed: str | None
    open_gaps: int
    tags_hidden: int
    hidden_since: str | None
    late: dict[str, Any]
    clock: dict[str, Any]


class UplinkNow(Open):
    """One uplink. entries, bytes, oldest_s: what has no receipt. refusal: the last answer that proved nothing."""

    name: str
    state: str
    detail: str
    entries: int
    bytes: int
    oldest_s: float | None
    rejected: int
    sent_entries: int
    sent_bytes: int
    resends: int
    receipts: int
    receipts_refused: int
    refusal: str
    refused_at: str | None
    refused_lately: bool
    last_receipt: str | None
    live_entries: int
    replay: str


class FindingNow(Open):
    """An alarm or finding that stands, or waits for a person. state: raised, acknowledged, shelved, cleared."""

    id: str
    seq: int
    code: str
    severity: Literal["info", "warning", "alarm"]
    source: str
    subject: str
    tags: list[str]
    text: str
    since: str
    last: str
    local: str
    count: int
    batches: list[str]
    cleared: str | None
    acknowledged: dict[str, Any] | None
    shelved: dict[str, Any] | None
    told: list[Any]
    of_many: bool
    is_standing: bool
    state: str
    not_said_since_start: str | None
    priority: Literal["high", "medium", "low"]
    whom: str
    cause: str
    response: str
    attention: bool


class FindingsNow(Open):
    """Alarms and findings: those that stand, that are over and wait for a person, and that only happened."""

    known_since: str | None
    unkept: int
    unacknowledged: int
    standing: list[FindingNow]
    cleared: list[FindingNow]
    recent: list[FindingNow]


class FindingCount(Open):
    """How often a finding came since the start."""

    code: str
    severity: str
    source: str
    count: int


class DutyNow(Open):
    """Something that has to be done from time to time. done: when it was last, null: none is recorded. days null: it is not asked for."""

    what: str
    done: str | None
    days: float | None
    due: str | None
    overdue: bool


class PeriodicNow(Open):
    """What was done from time to time, as far as it is known. newest: head of the newest run of each kind, and what it comes to by now."""

    known_since: str | None
    watched: list[DutyNow]
    newest: dict[str, dict[str, Any]]


class FallbackNow(Open):
    """The fallback that has not ended. No equipments: of all. basis: by whose word it began then. local: by the line's zone."""

    fallback: str
    led_by: Literal["legacy", "manual"]
    led_by_text: str
    equipments: list[str]
    of: str
    from_: str = Field(alias="from")
    local: str
    basis: Literal["commanded", "commanded-clock-unverified", "commanded-clock-set-back", "reported"]
    reason: str
    by: str


class TransitionNow(Open):
    """The phase of a transition from a legacy system, and its sunset. name null: no phase is declared for `day`, nor whose record counts.

    day: of the line's wall clock, by a clock of this status. days_left: to the sunset, below 0 after it. state `near`: within warn_days.
    """

    name: Literal["pilot", "parallel", "primary", "retired"] | None
    from_: str | None = Field(alias="from")
    until: str | None
    legacy: Literal["leading", "following", "off"] | None
    record_of_reference: Literal["legacy", "gateway"] | None
    sunset: str
    day: str
    clock: str
    days_left: int
    warn_days: int
    state: Literal["ahead", "near", "passed"]
    text: str


class ObservationNow(Open):
    """The observation period after go-live. day: of days, 0 before the first. exceeded, not_complete, without_report: which."""

    from_: str = Field(alias="from")
    until: str
    state: Literal["to come", "runs", "over", "ended"]
    day: int
    days: int
    reported: int
    exceeded: list[str]
    not_complete: list[str]
    without_report: list[str]
    ended: dict[str, Any] | None


class Status(Open):
    """How the gateway is now. problems: one sentence for each thing that needs somebody; empty: it is in order."""

    gateway: Gateway
    software: str
    environment: Literal["development", "validation", "production"]
    configuration: Configuration
    folder: FolderNow
    pid: int
    time: str
    local: str
    timezone: str
    uptime_s: float
    clock: ClockNow
    journal: JournalNow
    sources: list[SourceNow]
    uplinks: list[UplinkNow]
    uplinks_gone: list[str]
    evidence: dict[str, Any]
    backup: dict[str, Any] | None
    broken: dict[str, str]
    equipment: dict[str, dict[str, Any]]
    batches_ended: list[dict[str, Any]]
    findings: FindingsNow
    fallback: FallbackNow | None
    transition: TransitionNow | None
    periodic: PeriodicNow
    observation: ObservationNow | None
    findings_total: list[FindingCount]
    problems: list[str] = Field(default_factory=list)


class TagNow(Open):
    """A tag as it was stored last. status: of OPC UA, quality its name; all null, and quality `no value yet`, before the first one.

    text: what a code means. age_s: of the value; observed_s: since the tag was observed last. in_gap: it is not observed now. course: its
    latest numbers. value_origin: how its values came to be, as the configuration declares it; null: nobody did.
    """

    tag: str
    source: str
    equipment: list[str]
    description: str | None
    type: str
    unit: str | None
    criticality: Literal["CPP", "CQA", "GMP", "none"]
    value_origin: Literal["automatic", "manual", "transcribed", "imported"] | None
    value: bool | int | float | str | None
    text: str | None
    raw: bool | int | float | str | None
    status: int | None
    quality: str
    severity: Literal["good", "uncertain", "bad"] | None
    time: str | None
    age_s: float | None
    observed_s: float | None
    in_gap: bool
    course: list[float]


class Values(Open):
    """The present value of each tag, in the order of the map."""

    gateway: Gateway
    time: str
    local: str
    timezone: str
    tags: list[TagNow]


MESSAGES: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    "push-answer": (PushAnswer, PUSH_ANSWER),
    "error": (Error, ERROR),
    "status": (Status, STATUS),
    "values": (Values, VALUES),
}
"""By the schema's name: the model, and an example."""


def order_schemas(line: Line) -> dict[str, dict[str, Any]]:
    """Return the schema of the body that each equipment of a line is pushed, by the equipment's name."""
    text = {"type": ["string", "null"], "minLength": 1, "maxLength": MAX_TEXT}
    made = {}
    for unit in line.equipment:
        if unit.pushed:
            made[unit.name] = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": f"Order parameters for {unit.name}",
                "description": "The whole of what the equipment waits for: printable texts, or null for none.",
                "type": "object",
                "properties": {name: {**text, "description": _described(getattr(unit, name).pattern)} for name in unit.pushed},
                "required": list(unit.pushed),
                "additionalProperties": False,
            }
    return made


def _described(pattern: str | None) -> str:
    return "any" if pattern is None else f"one that does not match `{pattern}` is stored, and is no identity"
