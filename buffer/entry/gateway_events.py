"""Events of the gateway itself: its clock, its configuration, who did what, and what proves the journal."""

from typing import Any, Literal

from pydantic import AwareDatetime, Field

from buffer.entry.head import Event, Hex64, Name, Open


class ClockEvent(Event):
    """Something happened to the gateway's own clock.

    A set clock (`step`, and `leap` once it happened) says by how much in `step_s`, forward positive; a `suspend` says how long in
    `duration_s`, and in `of` what stood: `machine` or `process`. before, last_seq: the anchor and the last entry before it happened.
    `recovered` states the probable error of the stamps made since `since`: `correction_s` is to be added. was: the state or reference
    before. A `leap` that is announced names its `instant`, who announces it (`by`), and how it is handled (`leap_mode`).
    """

    type: Literal["clock"]
    kind: Name
    status: str | None = None
    bound_s: float | None = None
    reason: str | None = None
    reference: dict[str, Any] | None = None
    step_s: float | None = None
    duration_s: float | None = None
    of: Literal["machine", "process"] | None = None
    before: dict[str, Any] | None = None
    last_seq: int | None = None
    since: dict[str, Any] | None = None
    correction_s: dict[str, float] | None = None
    correction_bound_s: float | None = None
    steps: list[dict[str, float]] = []
    anchor: dict[str, Any] | None = None
    was: str | dict[str, Any] | None = None
    announced: bool | None = None
    leap: str | None = None
    instant: str | None = None
    by: str | None = None
    leap_mode: str | None = None


class ConfigFile(Open):
    """A file of the line folder, or a piece of one."""

    name: Name
    text: str


class ConfigChange(Open):
    """One object of the line folder that was added, removed or changed. fields: (name, old, new)."""

    what: Literal["added", "removed", "changed"]
    kind: Name
    name: Name
    fields: list[tuple[str, str, str]] = []
    criticality: str | None = None


class ConfigVersion(Open):
    """Another configuration, by its number and digest."""

    version: int
    sha256: Hex64


class ConfigEvent(Event):
    """The line folder in full, cut into numbered parts if it is long. Again in every 4,096 entries; a change has a new version.

    Where a version begins (and not where it is only stated again) it says what it changes: `follows` is the configuration before it, `diff`
    has at most 500 of `changes`; null: they could not be compared, and `not_compared` says why. approved_by null: nobody that is known.

    interface_sha256: of what all interfaces of the line promise to their other sides, as this release speaks them (docs/specification.md).

    Of a version that is controlled (docs/changes.md): `state` in which it began, who wrote it, `signatures` (the approvals, as signed notes
    over its digest), the number of the change, the digest of its impact assessment and the tests that this asks for, the version whose
    content it brought back, whether it was put into force in an emergency, and which batches were open then.
    """

    type: Literal["config"]
    version: int
    sha256: Hex64
    software: str
    interface_sha256: Hex64 | None = None
    files: list[ConfigFile] | dict[str, str]
    follows: ConfigVersion | None = None
    changes: int | None = None
    diff: list[ConfigChange] = []
    not_compared: str | None = None
    approved_by: str | None = None
    state: Name | None = None
    author: str | None = None
    signatures: list[Name] = []
    change_no: str | None = None
    impact_ref: Hex64 | None = None
    tests_required: list[Name] = []
    rollback_of: int | None = None
    emergency: bool = False
    open_batches: list[Name] = []
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


class Who(Open):
    """Who did something.

    user: the unique id of a person, `os:<account>` of an account, `system:<gateway>` for the gateway itself, or `unknown` for somebody at
    the page who did not prove to be anybody. kind `person`: one that proved it by `auth`; then `name` is the printed name and `role` the
    role of that moment. kind `system`: nobody vouches that one person did it. auth `password`: one that was looked at here; `os`: the
    account that the kernel names; `proxy`: a reverse proxy that proved itself says it, by the site's identity provider. null: nothing was
    proved.
    """

    user: Name
    name: str | None
    role: Literal["viewer", "operator", "engineer", "qa", "admin"] | None
    kind: Literal["person", "system"]
    auth: Literal["password", "os", "certificate", "proxy"] | None


class Where(Open):
    """Where it was done: the machine's name, the address it was reached from (null: at the machine itself), and by which interface.

    account: of the operating system at the other end of the control socket. interface null: the gateway did it by itself.
    """

    station: Name
    address: str | None
    interface: Literal["cli", "page", "push"] | None
    account: str | None = None


class AuditEvent(Event):
    """Who did what, where and why. object, old, new: what was changed, its value before and after, where that can be said.

    reason: given by the person; null where nobody was asked for one (the facts of it are in `what`). site_zone: the line's time zone, in
    which people there read the entry's time. Entries of before 2026-11-30 have a text as `who` (`system:<gateway>`, `os:<account>`) and
    no `where`, and may have a reason that the program wrote.

    Of an alarm (`alarm-acknowledged`, `alarm-shelved`, `alarm-unshelved`): `reason` is the person's comment; `what` has its `id`, `code`,
    `source`, `text`, `batches`, when and in which entry it was raised (`raised`, `raised_seq`), and of a shelf the end (`until`).

    Of a fallback (`fallback-begun`, `fallback-ended`): `what` has `fallback` (its name), `led_by`, `equipments` (none: all), `from`,
    `until`, `basis`. Of a value that people wrote by hand (`manual-entry`): `batch` and `record` beside the members here; in `what` the
    value and its unit as written, `ebr_field`, `equipment`, `step`, `run`, `at`, `origin`, `entered_by`, `second_person`. It is no reading.
    """

    type: Literal["audit"]
    action: Name
    who: Name | Who
    where: Where | None = None
    object: str | None = None
    old: Any = None
    new: Any = None
    what: dict[str, Any] = {}
    reason: str | None = None
    site_zone: str | None = None


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


class StampedRun(Open):
    """Consecutive entries of an epoch: `entries[i]` more of them after `after`, and it happened to them at `from` plus the sum of us[0..i].

    what: committed (durable here); sent (handed to the receiver of `uplink`); tried (the same, and an error came back: nobody knows what of
    it arrived); confirmed (by a proved receipt, the first that reaches so far; `by` delivery: by the transport, where no receipts are
    agreed). us: microseconds, each after the one before; below 0 where the gateway's clock was set back. bound_s: how far any of
    these instants may be wrong, null: nobody knows. theirs_us: the receiver's own `stored_time` against each instant, positive where it is
    later; null or absent: it said none. references: what the receiver calls the record of an entry (`ebr_ref`), by seq.
    """

    what: Literal["committed", "sent", "tried", "confirmed"]
    uplink: Name | None = None
    by: Literal["receipt", "delivery"] | None = None
    epoch: int
    after: int
    from_: AwareDatetime = Field(alias="from")
    bound_s: float | None
    entries: list[int]
    us: list[int]
    theirs_us: list[int | None] = []
    references: dict[str, str] = {}


class StampsEvent(Event):
    """When earlier entries were committed, sent and confirmed, by the gateway's clock. It can not stand in themselves.

    Told each ten seconds, where little happens each minute; of an entry that no run names it is not known (a crash takes what happened in
    its last second). One that is told twice happened once. Copies while an uplink is behind are no sending.
    not_kept: instants that were not kept, because the journal took nothing for too long.
    """

    type: Literal["stamps"]
    runs: list[StampedRun]
    not_kept: int | None = None


class EpochEvent(Event):
    """First entry of an epoch. lost: ranges of the epoch before that are gone for good; everything else of it keeps its identity.

    lost_before: the same of epochs before that one, by epoch. tail: whether entries after last_seq may have existed.
    """

    type: Literal["epoch"]
    follows: int | None
    reason: Literal["created", "restored", "salvaged", "moved"]
    last_seq: int
    last_digest: Hex64
    lost: list[tuple[int, int]] = []
    lost_before: dict[str, list[tuple[int, int]]] = {}
    tail: Literal["whole", "unknown"] | None = None
