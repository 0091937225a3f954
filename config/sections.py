"""The tables of line.toml as objects. Frozen, extra keys forbidden: a mistyped option must not pass silently."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field
from pydantic import Tag as UnionTag
from pydantic.json_schema import SkipJsonSchema

from config.files import DATA_DIRECTORY
from config.grammars import row_condition
from config.problem import Place

MOST_BYTES = 10**18
"""An exabyte: more is a typing error, and no file system counts so far."""


class Model(BaseModel):
    """Base of everything read from a line folder."""

    # A model is built with its first object: most lines have no object of most sections, and a section's sections are built within it.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Credential(Model):
    """A secret that stands elsewhere: systemd credential or a 0600 file."""

    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]


class LineSection(Model):
    """[line]."""

    site: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    timezone: str
    environment: Literal["development", "validation", "production"] = "development"
    # Of a start in production whose installed files no release key vouches for.
    unverified_software: Literal["finding", "refuse"] = "finding"


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

    directory: str = DATA_DIRECTORY
    commit_interval_ms: Annotated[int, Field(ge=1, le=1000)] = 50
    retain_days: Annotated[float, Field(ge=0)] = 90
    max_bytes: Annotated[int, Field(ge=10_000_000, le=MOST_BYTES)] = 20_000_000_000
    hold_batches: bool = False  # keep each batch until QA lets it go (release-hold)


class RowColumn(NamedTuple):
    """A column that the line folder reads of the rows of a query or pattern, beside its tags. reader: the equipment and key, for people."""

    column: str
    reader: str
    place: Place


ValueOrigin = Literal["automatic", "manual", "transcribed", "imported"]
"""How a value came to be: made by a device; entered by a person; copied by a person from another record; taken from another record."""


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
    contact: str | None = None  # how that one is reached
    value_origin: ValueOrigin | None = None  # of all its values of which the tag map says nothing else; None: nobody declared it
    options: Mapping[str, Any] = {}
    folder: Path = Path()  # the line folder, for relative paths
    row_columns: SkipJsonSchema[Mapping[str, tuple[RowColumn, ...]]] = {}  # query or pattern -> what but tags reads of its rows

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All of them, where a source has one or several."""
        return (self.endpoint,) if isinstance(self.endpoint, str) else self.endpoint

    @property
    def tells_rows(self) -> bool:
        """Whether it is read by queries or files: what comes of it stood in another system's record before."""
        return any(isinstance(self.options.get(name), list | tuple) for name in ("query", "pattern"))  # a serial pattern is a text

    @property
    def origin_of_rows(self) -> ValueOrigin | None:
        """How the values came to be that stand in its rows; None: nobody declared it, and it is not known."""
        return self.value_origin or ("imported" if self.tells_rows else None)


NOT_WRITTEN = frozenset({"options", "folder", "row_columns"})
"""Members of a Source that are no keys of line.toml."""


def _conditions(where: str) -> str:
    """Refuse what is no condition on a row."""
    try:
        row_condition.parse(where)
    except ValueError as error:
        raise ValueError(f"`{str(error)[:60]}`: column=value is meant, several values with |, several conditions with ;") from None
    return where


class FromRow(Model):
    """A column of the MES row in force for this equipment: row = "source.query", key = the column that holds its unit_id.

    All fields of an equipment that name one query are read from one row, so `where` and `order_by` of one of them are those of all.
    """

    row: str
    key: str
    column: str
    where: Annotated[str, AfterValidator(_conditions)] | None = None  # which rows count: status=RUN|HELD
    order_by: Annotated[str, Field(min_length=1)] | None = None  # the column by which a later row takes the place of an earlier one

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield (key, column) of all that is read from a row."""
        yield from ((key, column) for key in ("key", "column", "order_by") if (column := getattr(self, key)) is not None)
        yield from (("where", condition.column) for condition in row_condition.parse(self.where))


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

    def columns(self) -> Iterator[tuple[str, str]]:
        """Yield (key, column) of all that is read from a row."""
        keys = ("key", "step", "run", "start", "end", "state")
        yield from ((key, column) for key in keys if (column := getattr(self, key)) is not None)


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


IDENTITIES = ("batch", "order", "product", "recipe", "recipe_version")
"""Keys of an equipment that say what it works for."""


class Equipment(Model):
    """One [[equipment]] table: an ISA-88 unit of the line."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    kind: Annotated[str | None, Field(alias="class", pattern=r"^[a-z0-9-]+$")] = None  # ISA-88 equipment class, by which lines are compared
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

    @property
    def pushed(self) -> tuple[str, ...]:
        """The identities of this equipment that are sent to the gateway."""
        return tuple(name for name in IDENTITIES if isinstance(getattr(self, name), Pushed))


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
    reconcile: bool = False  # compare each day and after each batch; nothing is pruned before it was found equal there
    version: Literal["5", "3.1.1"] = "5"
    topic: str | None = None
    client_id: Annotated[str, Field(pattern=r"^[^\s+#\x00-\x1f]{1,128}$")] | None = None
    compress: bool = True
    user: str | None = None
    password: Credential | None = None
    tls: Tls | None = None
    max_bytes_per_s: Annotated[int, Field(gt=0, le=MOST_BYTES)] | None = None
    window_bytes: Annotated[int, Field(ge=65_536, le=MOST_BYTES)] = 8_388_608
    resend_after_s: Annotated[float, Field(gt=0)] = 10.0
    owner: str | None = None
    contact: str | None = None


class PushClient(Model):
    """One [[push.client]]: a system that may send order parameters, known by its token."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    token: Credential
    equipment: tuple[str, ...] = ()  # empty: every equipment with a pushed identity


class Push(Model):
    """[push]: order parameters sent to the gateway. Absent: no port is opened."""

    listen: str
    tls: Tls | None = None  # cert and key are the gateway's own; ca: clients must show a certificate that it signed
    owner: str | None = None  # who answers for the systems that send
    contact: str | None = None
    client: tuple[PushClient, ...] = ()


class Witness(Model):
    """One [[witness]] table: somebody outside who keeps each signed checkpoint, so that a journal set back is seen."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    endpoint: str  # file:///folder, https://host/path
    tls: Tls | None = None
    owner: str | None = None  # who answers for it
    contact: str | None = None


class Backup(Model):
    """[backup]: verified copies of the journal, made by the running gateway. Absent: none are made."""

    folder: Annotated[str, Field(min_length=1)]
    every_h: Annotated[float, Field(gt=0, le=24 * 31)] = 24.0
    keep: Annotated[int, Field(ge=1, le=1000)] = 7


Days = Annotated[float, Field(ge=0, le=3_660)]
"""An interval; 0: nobody asks for it."""


class Periodic(Model):
    """[periodic]: what has to be done from time to time, in days from one to the next; 0: not watched. Absent: nothing is."""

    verification_days: Days = 7.0
    restore_test_days: Days = 365.0
    access_review_days: Days = 182.0
    audit_review_days: Days = 92.0
    periodic_review_days: Days = 365.0

    def days(self) -> dict[str, float]:
        """Return the intervals by what has to be done."""
        return {name.removesuffix("_days").replace("_", "-"): value for name, value in self.model_dump().items()}


class ParallelRun(Model):
    """[parallel_run]: how the record of the legacy system is read, and when the parallel run may end. Absent: nothing is compared.

    The texts of its files: `encoding`, `delimiter` (None: told from the header), `decimal`, `thousands`; its local times: `zone` (None: the
    line's), `time_format` (strptime; None: ISO 8601), `ambiguous` (of a time that happened twice).
    """

    batch: Annotated[str, Field(min_length=1, max_length=200)]  # the column that names the batch
    run: Annotated[str, Field(min_length=1, max_length=200)] | None = None  # the column that tells several values of one field apart
    ignore: tuple[str, ...] = ()  # columns that are no item of the record
    entered_by: str | None = None  # of what people entered: the column with who did, and with the second person
    second_person: str | None = None
    encoding: str = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    zone: str | None = None
    time_format: str | None = None
    ambiguous: Literal["mark", "earlier", "later"] = "mark"
    consecutive_batches: Annotated[int, Field(ge=1, le=1_000)] = 3  # without an unexplained difference, one after the other


class Phase(Model):
    """One phase of a transition from a legacy MES: from its first day through its last; without one it is the last phase."""

    name: Literal["pilot", "parallel", "primary", "retired"]
    begin: Annotated[date, Field(alias="from")]
    until: date | None = None
    legacy: Literal["leading", "following", "off"]  # leading: its record is the record of reference


class Transition(Model):
    """[transition]: how long this line and a legacy MES run beside each other. Absent: nothing is said of it."""

    sunset: date  # the last day on which the legacy system is used
    warn_days: Annotated[int, Field(ge=0, le=366)] = 30  # so many days before the sunset everybody who looks is warned
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=50)]


class ObservationLimits(Model):
    """Acceptance limits of a day after go-live. None: the folder has nothing by which it could be known, and it is not judged."""

    incomplete_batches: Annotated[int, Field(ge=0)]  # most batches that end incomplete
    coverage: Annotated[float, Field(gt=0, le=1)]  # least share of the day in which every tag of a source was observed, of each source
    gaps: Annotated[int, Field(ge=0)]  # most gaps that touch the day
    gap_s: Annotated[float, Field(ge=0)]  # longest time in gaps, of all sources together
    longest_gap_s: Annotated[float, Field(ge=0)]
    late_cycles: Annotated[int, Field(ge=0)]
    clock_bound_s: Annotated[float, Field(gt=0)]  # UTC differs by at most this in every entry
    alarms: Annotated[int, Field(ge=0)]  # most findings of severity alarm
    duplicates: Annotated[int, Field(ge=0)] | None = None  # with max_duplicate_share of a tag
    reconciliation_differences: Annotated[int, Field(ge=0)] | None = None  # with reconcile = true of an uplink
    comparison_mismatches: Annotated[int, Field(ge=0)] | None = None  # with [parallel_run]


class Observation(Model):
    """[observation]: the time after go-live in which each day is held against limits, until QA ends it. Absent: no day is judged."""

    begin: Annotated[date, Field(alias="from")]  # the first day
    until: date  # the last day
    limits: ObservationLimits


Role = Literal["viewer", "operator", "engineer", "qa", "admin"]
Header = Annotated[str, Field(pattern=r"^[Xx]-[A-Za-z0-9-]{1,60}$")]


class WebProxy(Model):
    """[web.proxy]: a reverse proxy at which people log in to the site's identity provider. It proves itself by its certificate."""

    ca: str  # who signed the proxy's certificate
    certificate: Annotated[str, Field(min_length=1)]  # its common name, or one of its DNS names
    roles: Mapping[Role, Annotated[str, Field(min_length=1)]]  # the identity provider's group of each role
    user: Header = "X-Remote-User"
    name: Header = "X-Remote-Name"
    groups: Header = "X-Remote-Groups"  # separated by commas


class Web(Model):
    """[web]: the page for the panel beside the line. Absent: no port is opened."""

    listen: str = "127.0.0.1:8080"
    tls: Tls | None = None  # cert and key are the gateway's own
    hosts: tuple[str, ...] = ()  # names by which the page may be asked for, beside addresses and the machine's own name
    read_only_without_login: bool = True  # False: who looks at the page logs in
    proxy: WebProxy | None = None


class Notify(Model):
    """One [[notify]] table: somebody who is told of alarms that wait for a person, by e-mail, by a webhook or by an MQTT broker."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    endpoint: str  # smtp://host:587 (STARTTLS), smtps://host:465, https://host/path, mqtts://host:8883
    sender: Annotated[str | None, Field(alias="from")] = None  # e-mail
    to: tuple[str, ...] = ()  # e-mail
    topic: Annotated[str, Field(pattern=r"^[^$/+#\x00-\x1f]([^+#\x00-\x1f]{0,510}[^/+#\x00-\x1f])?$")] | None = None  # MQTT
    version: Literal["5", "3.1.1"] = "5"  # MQTT: with 3.1.1 a broker does not say that nobody is subscribed
    user: str | None = None  # e-mail and MQTT: with `password`
    password: Credential | None = None  # e-mail and MQTT: of the user; webhook: the bearer token
    encrypted: bool = True  # False: a mail server in the plant that has no TLS; in production refused
    tls: Tls | None = None
    whom: tuple[Role, ...] = ()  # alarms for these roles; all without it
    after_min: Annotated[float, Field(ge=0, le=7 * 24 * 60)] = 0.0  # only what nobody has acknowledged for so long


class Users(Model):
    """[users]: who may command the gateway. Absent: local users, who reach it over the socket in the journal's folder alone."""

    origin: Annotated[Literal["local", "os-group"], Field(alias="from")] = "local"
    roles: Mapping[Role, Annotated[str, Field(min_length=1)]] = {}  # os-group: the operating system's group of each role
    pam: Annotated[str, Field(pattern=r"^/.{1,100}$")] | None = None  # os-group: saslauthd's socket; accounts then give their password
    socket: Annotated[str, Field(min_length=1)] | None = None  # for people: 0660, of `group`; None: none is opened
    group: Annotated[str, Field(min_length=1)] = "ebr-gateway-users"
    lock_minutes: Annotated[int, Field(ge=0, le=10_080)] = 30  # after five failures; 0: until an administrator enables
    password_expires_days: Annotated[int, Field(ge=0, le=3_650)] = 0  # 0: never
