"""The line folder as objects (design: line folder). Frozen, extra keys forbidden: a mistyped option must not pass silently."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field
from pydantic import Tag as UnionTag

from config.lots import LotRules
from config.scaling import Scaling as Scaling  # noqa: PLC0414 - part of the line's objects

if TYPE_CHECKING:
    from config.materials import Booking, Sampling

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One readable line: `file:line: message`. line is None where the whole file is meant."""

    file: str
    line: int | None
    message: str
    severity: Severity = "error"

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written."""

    file: str
    line: int | None = None

    def problem(self, message: str, severity: Severity = "error") -> Problem:
        """What is wrong there."""
        return Problem(self.file, self.line, message, severity)


class Model(BaseModel):
    """Base of everything read from a line folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Credential(Model):
    """A secret that stands elsewhere: systemd credential or a 0600 file."""

    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]


class LineSection(Model):
    """[line]."""

    site: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    timezone: str
    environment: Literal["development", "validation", "production"] = "development"


class ClockSection(Model):
    """[clock]. Keys beside max_error_s: see the room's README."""

    max_error_s: Annotated[float, Field(gt=0)] = 1.0
    servers: tuple[str, ...] = ()  # host or host:port of NTP servers for the own cross-check
    smeared_servers: tuple[str, ...] = ()  # those of them that smear a leap second
    leap_mode: Literal["unknown", "step", "slew", "smear"] = "unknown"
    max_drift_ppm: Annotated[float, Field(gt=0)] = 50.0
    unverified: Literal["incomplete", "stated"] | None = None  # of parameters read then; None: stated in development, else incomplete


class BufferSection(Model):
    """[buffer]."""

    directory: str = "data"
    commit_interval_ms: Annotated[int, Field(ge=1, le=1000)] = 50
    retain_days: Annotated[float, Field(ge=0)] = 90
    max_bytes: Annotated[int, Field(ge=10_000_000)] = 20_000_000_000
    hold_batches: bool = False  # keep each batch until QA lets it go (release-hold)


class Source(Model):
    """One [[source]] table. Keys that belong to its driver stand unread in `options`, in the order written."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    driver: str
    endpoint: str | tuple[str, ...]
    time_authority: Literal["device", "server", "gateway"] = "gateway"
    rate_ms: Annotated[int, Field(ge=0)] = 1000
    outage_tolerance_s: Annotated[float, Field(ge=0)] = 10.0
    max_offset_s: Annotated[float, Field(gt=0)] = 2.0
    owner: str | None = None  # who answers for the data: a role or department, for the interface inventory
    options: Mapping[str, Any] = {}
    folder: Path = Path()  # the line folder, for relative paths

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All of them, where a source has one or several."""
        return (self.endpoint,) if isinstance(self.endpoint, str) else self.endpoint


class FromRow(Model):
    """A column of the newest MES row of this equipment: row = "source.query", key = the column that holds its unit_id."""

    row: str
    key: str
    column: str


class FromTag(Model):
    """A tag that holds the value, perhaps checked by a pattern and against the rows of a query."""

    tag: str
    pattern: str | None = None
    known_in: str | None = None


class Pushed(Model):
    """Order parameters sent to the gateway, perhaps checked by a pattern and against the rows of a query."""

    push: Literal[True]
    pattern: str | None = None
    known_in: str | None = None


class MesSteps(Model):
    """The MES rows that tell steps: row = "source.query", key = the column with this equipment's unit_id, step = the column with the step.

    Either `start` and `end` name columns with times (one row for each run), or `state` names the column that says what the row means,
    and the row's own time is when (one row for each start and each end).
    """

    row: str
    key: str
    step: str
    run: str | None = None  # a column that tells two runs apart
    start: str | None = None
    end: str | None = None
    state: str | None = None
    started: str = "START"
    ended: str = "END"
    zone: str | None = None  # of times in `start` and `end` that have no offset; None: the line's
    level: Literal["all", "unit_procedure", "operation", "phase"] = "all"  # of the steps that it tells; others are not compared
    within_s: Annotated[float, Field(ge=0, le=3600)] = 5.0  # two starts or ends that are not further apart agree


def _identity_kind(value: Any) -> str | None:
    """Which of the three is meant, by the key that stands in it: so that a mistake is told once, not three times."""
    if isinstance(value, BaseModel):
        kinds: dict[type[BaseModel], str] = {FromRow: "row", FromTag: "tag", Pushed: "push"}
        return kinds.get(type(value))
    return next((kind for kind in ("row", "tag", "push") if isinstance(value, Mapping) and kind in value), None)


Identity = Annotated[
    Annotated[FromRow, UnionTag("row")] | Annotated[FromTag, UnionTag("tag")] | Annotated[Pushed, UnionTag("push")],
    Discriminator(
        _identity_kind,
        custom_error_type="identity",
        custom_error_message="write { row = , key = , column = }, { tag = } or { push = true }",
    ),
]


class Equipment(Model):
    """One [[equipment]] table: an ISA-88 unit of the line."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    unit_id: str | None = None
    batch: Identity | None = None
    order: Identity | None = None
    product: Identity | None = None
    recipe: Identity | None = None
    recipe_version: Identity | None = None
    batch_ends: str = "change"
    settle_ms: Annotated[int, Field(ge=0)] = 500
    settle_s: Annotated[float, Field(ge=0)] = 5.0
    state: str | None = None
    states: str | None = None
    mode: str | None = None
    operator: str | None = None
    activity: str | None = None
    steps_from: Literal["plc", "mes"] = "plc"
    mes_steps: MesSteps | None = None
    dirty_hold_h: Annotated[float, Field(gt=0)] | None = None  # at most so long from the end of a batch to the start of cleaning
    clean_hold_h: Annotated[float, Field(gt=0)] | None = None  # at most so long from the end of cleaning to the next batch


class Route(Model):
    """One [[route]] table: the equipments that a batch of a recipe passes through."""

    recipe: str
    equipments: tuple[str, ...]
    close_after_h: Annotated[float, Field(gt=0)] = 48


class Tls(Model):
    """Files for TLS, relative to the folder. ca: who may sign the server's certificate; cert, key: ours, for mutual TLS."""

    ca: str | None = None
    cert: str | None = None
    key: str | Credential | None = None


class Uplink(Model):
    """One [[uplink]] table."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    kind: Literal["mqtt", "https"]
    endpoint: str
    profile: Literal["entries", "records"] = "entries"
    required: bool = True
    receipts: bool = True
    version: Literal["5", "3.1.1"] = "5"
    topic: str | None = None
    user: str | None = None
    password: Credential | None = None
    tls: Tls | None = None
    max_bytes_per_s: Annotated[int, Field(gt=0)] | None = None
    window_bytes: Annotated[int, Field(ge=65_536)] = 8_388_608
    resend_after_s: Annotated[float, Field(gt=0)] = 10.0
    owner: str | None = None


class Web(Model):
    """[web]: the read-only page for the panel beside the line. Absent: no port is opened."""

    listen: str = "127.0.0.1:8080"


class PushClient(Model):
    """One [[push.client]]: a system that may send order parameters, known by its token."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    token: Credential
    equipment: tuple[str, ...] = ()  # empty: every equipment with a pushed identity


class Push(Model):
    """[push]: order parameters sent to the gateway. Absent: no port is opened."""

    listen: str
    tls: Tls | None = None  # cert and key are the gateway's own; ca: clients must show a certificate that it signed
    client: tuple[PushClient, ...] = ()


class Witness(Model):
    """One [[witness]] table: somebody outside who keeps each signed checkpoint, so that a journal set back is seen."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    endpoint: str  # file:///folder, https://host/path
    tls: Tls | None = None


class Backup(Model):
    """[backup]: verified copies of the journal, made by the running gateway. Absent: none are made."""

    folder: Annotated[str, Field(min_length=1)]
    every_h: Annotated[float, Field(gt=0, le=24 * 31)] = 24.0
    keep: Annotated[int, Field(ge=1, le=1000)] = 7


@dataclass(frozen=True, slots=True)
class Tag:
    """One row of the tag map. `address` is as written; `config.addresses` reads it by the source's driver."""

    tag: str
    source: str
    address: str
    type: str
    unit: str | None = None  # UCUM
    source_unit: str | None = None  # as written
    codes: str | None = None
    rate_ms: int | None = None  # None: the source's
    max_silence_s: float | None = None
    deadband: str | None = None
    store: Literal["change", "all"] = "change"
    between: Literal["hold", "linear"] = "hold"
    eu_low: Decimal | None = None
    eu_high: Decimal | None = None
    scaling: Scaling | None = None  # from raw/eu pairs, scale/offset, and source_unit -> unit
    aggregate: tuple[str, float] | None = None  # ("mean", 60.0)
    criticality: Literal["CPP", "CQA", "GMP", "none"] = "none"
    time_authority: Literal["device", "server", "gateway"] | None = None
    instrument: str | None = None
    equipment: tuple[str, ...] = ()  # names; ("line",) for a shared tag
    description: str | None = None
    criticality_given: bool = field(default=True, compare=False)  # False: the cell was empty
    place: Place = field(default_factory=lambda: Place("tags.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One row of steps.csv. `active` is as written and checked; `config.active` reads it."""

    step: str
    equipment: str
    level: Literal["unit_procedure", "operation", "phase"]
    signal: str
    active: str
    parent: str | None = None
    key: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    occurs: Literal["1", "0..1", "1..n", "0..n"] = "1"
    order: int | None = None
    activity: str | None = None  # what the equipment does while it runs, where no tag tells it: cleaning, ...
    description: str | None = None
    place: Place = field(default_factory=lambda: Place("steps.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of parameters.csv. Limits are decimal strings, or "=tag"."""

    parameter: str
    equipment: str
    step: str | None
    statistic: str
    tag: str | None = None
    ebr_field: str | None = None
    name: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    when: Literal["step", "run", "operation", "batch", "event"] = "step"
    event: str | None = None  # alarm:NAME, material:NAME or sample:NAME, where `when` is event
    include: Literal["running", "all"] = "all"
    skip_first_s: float = 0.0
    unit: str | None = None
    decimals: int | None = None
    target: str | None = None
    low: str | None = None
    high: str | None = None
    alert_low: str | None = None
    alert_high: str | None = None
    limit_source: Literal["none", "map", "tag", "mes", "ebr"] = "none"
    min_covered: float | None = None
    required: bool = True
    criticality: Literal["CPP", "CQA", "GMP", "none"] = "none"
    origin: Literal["automatic", "entered-at-source", "by-lims", "by-ebr"] = "automatic"
    description: str | None = None
    conversion: Scaling | None = None  # from the statistic's natural unit (the tag's; x s for an integral; s for a time) into `unit`
    place: Place = field(default_factory=lambda: Place("parameters.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Code:
    """One row of codes.csv: a number of an enumeration, its text, and the state it means (ISA-88 word), if any."""

    code: int
    text: str
    state: str | None = None


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One enumeration, by table and version."""

    name: str
    version: str
    codes: Mapping[int, Code]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One row of alarms.csv: what it means when `tag` holds `active` (or its bit `bit` is 1)."""

    alarm: str
    tag: str
    active: str
    bit: int | None = None
    severity: Literal["info", "warning", "alarm"] = "alarm"
    equipment: str | None = None
    text: str | None = None
    place: Place = field(default_factory=lambda: Place("alarms.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class EbrField:
    """One row of ebr-fields.csv: a field that the EBR's own list names."""

    ebr_field: str
    name: str | None = None
    type: str | None = None
    unit: str | None = None
    required: bool = True
    owner: str | None = None
    description: str | None = None
    place: Place = field(default_factory=lambda: Place("ebr-fields.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Disposition:
    """One row of dispositions.csv: a gap of the two-way report that a named person has accepted."""

    gap: str
    disposition: Literal["accepted", "manual-entry", "not-applicable", "later"]
    reason: str
    accepted_by: str
    accepted_on: str
    place: Place = field(default_factory=lambda: Place("dispositions.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A line folder that has no problem."""

    folder: Path
    line: LineSection
    clock: ClockSection
    buffer: BufferSection
    web: Web | None
    sources: tuple[Source, ...]
    equipment: tuple[Equipment, ...]
    routes: tuple[Route, ...]
    uplinks: tuple[Uplink, ...]
    tags: tuple[Tag, ...]
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...]
    codes: Mapping[str, CodeTable]
    lots: LotRules
    files: Mapping[str, bytes]  # name -> bytes, every file read, for the `config` event
    sha256: str  # over names and bytes of `files`, in name order
    warnings: tuple[Problem, ...] = ()

    witnesses: tuple[Witness, ...] = ()
    backup: Backup | None = None
    alarms: tuple[Alarm, ...] = ()
    materials: tuple["Booking", ...] = ()
    samples: tuple["Sampling", ...] = ()
    ebr_fields: tuple[EbrField, ...] | None = None  # None: no ebr-fields.csv
    dispositions: tuple[Disposition, ...] = ()
    push: Push | None = None
    places: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, compare=False)  # of line.toml; see place_of

    @property
    def gateway(self) -> str:
        """The gateway's identity in every entry: site/name."""
        return f"{self.line.site}/{self.line.name}"

    @property
    def data(self) -> Path:
        """The journal's directory."""
        return (self.folder / self.buffer.directory).resolve()

    def tags_of(self, source: str) -> tuple[Tag, ...]:
        """The source's tags in the map's order: a Reading's tag is an index into this."""
        return tuple(tag for tag in self.tags if tag.source == source)


def place_of(line: Line, path: tuple[str | int, ...]) -> Place:
    """Tell where a key of line.toml stands, or the nearest key around it. path: ("source", 2, "byte_order")."""
    found: tuple[str | int, ...] = ()
    for part in path:
        if (*found, part) in line.places:
            found = (*found, part)
    return Place("line.toml", line.places.get(found))


class ConfigError(Exception):
    """The folder can not be used: every problem of it, errors and warnings."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems
