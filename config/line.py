"""The line folder as objects (design: line folder). Frozen, extra keys forbidden: a mistyped option must not pass silently."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from config.comparisons import Comparison
from config.detectors import Limits
from config.files import place_named
from config.grammars.raw_codes import RawCodes
from config.lots.rules import LotRules
from config.materials import Booking, Sampling
from config.problem import Place, Problem
from config.sections import (
    Backup,
    BufferSection,
    ClockSection,
    Equipment,
    LineSection,
    Notify,
    Observation,
    ParallelRun,
    Periodic,
    Push,
    Route,
    Source,
    Transition,
    Uplink,
    Users,
    ValueOrigin,
    Web,
    Witness,
)
from config.units.raw_range import Bound, raw_range
from config.units.scaling import Scaling


@dataclass(frozen=True, slots=True)
class Tag:
    """One row of the tag map. `address` is as written; `config.grammars.addresses` reads it by the source's driver."""

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
    not_available: RawCodes | None = None  # raw values that mean: no value
    aggregate: tuple[str, float] | None = None  # ("mean", 60.0)
    aggregate_start: str | None = None  # columns of the same rows that tell the window of each value
    aggregate_end: str | None = None
    aggregate_count: str | None = None
    aggregate_stamp: Literal["start", "end"] | None = None  # which edge of the window the value's own time is
    criticality: Literal["CPP", "CQA", "GMP", "none"] = "none"
    time_authority: Literal["device", "server", "gateway"] | None = None
    instrument: str | None = None
    value_origin: ValueOrigin | None = None  # None: that of its source
    equipment: tuple[str, ...] = ()  # names; ("line",) for a shared tag
    description: str | None = None
    limits: Limits | None = None  # of the detectors; None: no detector looks at it
    criticality_given: bool = field(default=True, compare=False)  # False: the cell was empty
    place: Place = field(default_factory=lambda: Place("tags.csv"), compare=False)

    @property
    def window_columns(self) -> dict[str, str]:
        """The columns of the source's rows that tell the window of an aggregate, by the column of the map."""
        named = {name: getattr(self, name) for name in ("aggregate_start", "aggregate_end", "aggregate_count")}
        return {name: column for name, column in named.items() if column is not None}

    @property
    def raw_range(self) -> tuple[Bound, Bound] | None:
        """The instrument's range as raw values, both inclusive; None without one."""
        return raw_range(self.type, self.eu_low, self.eu_high, self.scaling)

    def doubt(self, raw: object) -> Literal["not-available", "outside-range"] | None:
        """Say why a raw value, as decoded, is none or can not have been measured; None if nothing is against it."""
        if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
            return None
        if self.not_available is not None and raw in self.not_available:
            return "not-available"
        span = self.raw_range
        return None if span is None or span[0] <= raw <= span[1] else "outside-range"


def origin_of(tag: Tag, source: Source) -> ValueOrigin | None:
    """Say how the values of a tag came to be, as the tag map or its source declares it; None: nobody did, and nothing tells it."""
    return tag.value_origin or source.origin_of_rows


@dataclass(frozen=True, slots=True)
class Step:
    """One row of steps.csv. `active` is as written and checked; `config.grammars.step_condition` reads it."""

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
class LimitConversion:
    """How what stands in the tag of a target or limit becomes a number that can be compared. unit: the tag's, UCUM."""

    column: str
    unit: str
    scaling: Scaling


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
    max_window_s: float | None = None  # an edge of the step that nobody saw is accepted if it lies in a window of at most so long
    required: bool = True
    criticality: Literal["CPP", "CQA", "GMP", "none"] = "none"
    origin: Literal["automatic", "entered-at-source", "by-lims", "by-ebr"] = "automatic"
    origin_given: bool = field(default=True, compare=False)  # False: the cell was empty
    given_by: str | None = None  # sampling.column: where the laboratory's value stands, of origin by-lims
    description: str | None = None
    conversion: Scaling | None = None  # from the statistic's natural unit (the tag's; x s for an integral; s for a time) into `unit`
    limit_conversions: tuple[LimitConversion, ...] = ()  # of each `=tag` that is in another unit than the limit is compared in
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
    """One row of ebr-fields.csv: a field of the EBR's own list."""

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
    """A line folder without errors: every table as objects, references between them checked."""

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
    notify: tuple[Notify, ...] = ()
    backup: Backup | None = None
    periodic: Periodic | None = None
    parallel_run: ParallelRun | None = None
    comparisons: tuple[Comparison, ...] = ()
    transition: Transition | None = None
    observation: Observation | None = None
    alarms: tuple[Alarm, ...] = ()
    materials: tuple[Booking, ...] = ()
    samples: tuple[Sampling, ...] = ()
    ebr_fields: tuple[EbrField, ...] | None = None  # None: no ebr-fields.csv
    dispositions: tuple[Disposition, ...] = ()
    push: Push | None = None
    users: Users | None = None
    places: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, compare=False)  # of line.toml; see place_of

    @property
    def gateway(self) -> str:
        """The gateway's identity in every entry: site/name."""
        return f"{self.line.site}/{self.line.name}"

    @property
    def people_socket(self) -> Path | None:
        """The control socket for people, if there is one."""
        path = None if self.users is None else self.users.socket
        return None if path is None else place_named(self.folder, path)

    @property
    def data(self) -> Path:
        """The journal's directory."""
        return place_named(self.folder, self.buffer.directory)

    def tags_of(self, source: str) -> tuple[Tag, ...]:
        """List the source's tags in the map's order: a Reading's tag is an index into this."""
        return tuple(tag for tag in self.tags if tag.source == source)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which line a folder is, and who may command it: what is known of it although other parts have errors."""

    line: LineSection
    users: Users | None
    data: Path  # the journal's directory
    folder: Path

    @property
    def gateway(self) -> str:
        """The gateway's identity in every entry: site/name."""
        return f"{self.line.site}/{self.line.name}"


PlaceOf = Callable[[tuple[str | int, ...]], Place]
"""Finds the place of a key below a table."""


def place_of(line: Line, path: tuple[str | int, ...]) -> Place:
    """Find the file and line of a key of line.toml, or of the nearest key around it. path: ("source", 2, "byte_order")."""
    return place_in(line.places, (), path)


def place_in(places: Mapping[tuple[str | int, ...], int], table: tuple[str | int, ...], path: tuple[str | int, ...]) -> Place:
    """Find the place of a key below a table, or of the nearest key around it. places: path -> line."""
    nearest: tuple[str | int, ...] = ()
    for part in (*table, *path):
        if (*nearest, part) in places:
            nearest = (*nearest, part)
    return Place("line.toml", places.get(nearest))
