"""What the fold remembers. Plain dataclasses of JSON values: dumped and loaded without loss. All ticks are 100 ns since 1970."""

from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.alarms import Found
from gateway.alarms.observation import Observed
from gateway.alarms.periodic import Kept
from gateway.context.instants import Basis, Identity, Instant, Proof
from gateway.context.occurrences import Condition, Ledger, Log, PendingBooking, PostedBooking, Raised
from gateway.entries.fold_input import Json
from gateway.parameters import Book, Cut, Track

FORMAT = 4
"""Of the dumped state. It rises when an old dump would be read wrongly; such a dump is refused, and the journal is folded anew."""


IDENTITY, END = "", "!end"
"""Keys of an equipment's pending and settled changes beside the names of tags: its identity, the signal that ends its batch."""

Kind = Literal["step", "batch", "event"]
"""Of a run: a step runs; a batch in an equipment, and an event in it, only gather the parameters that the map asks for then."""


def stored_step(kind: Kind, name: str) -> str:
    """Give what stands in place of a step's name where runs are stored and counted. A step's name is never empty, and has no "!" in it."""
    return {"step": name, "batch": "", "event": f"!{name}"}[kind]


@dataclass(slots=True)
class Seen:
    """The last usable reading of a context signal."""

    value: Json
    at: Instant
    seq: int


@dataclass(slots=True)
class Pending:
    """A change of a signal (or of the identity) that must still stand. left: when the settled value was left."""

    value: Any
    left: Instant
    at: Instant
    seq: int
    entered: int  # time of the entry that brought it
    source: str | None  # its life proves stillness; None: a row or a push, which does not flicker
    passed: int | None = None  # of an identity that came and went while nobody watched: when it went
    followed: list[Any] | None = None  # [the third value] that followed too soon for this one to have been seen to stand


@dataclass(slots=True)
class Run:
    """One run. step, level: as stored, `kind` and `name` tell what they mean; entered: time of the entry that ended it."""

    id: int
    equipment: str
    step: str
    level: str
    parent: str | None
    run: int
    key: Json
    identity: Identity
    start: Instant
    start_seq: int
    end: Instant | None = None
    end_seq: int | None = None
    entered: int | None = None
    cause: str | None = None
    cut: Instant | None = None  # its batch ended here while its signal was not observed: what became of it is not known yet
    unsighted: int | None = None  # when an id came while nobody saw it run: from when it is seen again it is that one's
    book: Book | None = None
    people: list[str] = field(default_factory=list)
    operator_unseen: bool = False  # when it began, nobody saw who was logged in
    revision: int = 0  # of the last record made; 0: none
    record: str = ""
    made: int | None = None  # time of the entry that brought the last record
    dirty: int | None = None  # time of the entry since which a revision is due
    reason: str | None = None
    rows: list[str] = field(default_factory=list)  # keys of the MES rows that told it
    last: dict[str, Any] | None = None  # the last record, while a revision may come
    supersedes: str | None = None
    moved: int = 0  # by how many ticks `start` was put back, because the clock that stamped it was ahead
    configs: list[int] = field(default_factory=list)  # versions in force from its start to its record; see configurations.note

    @property
    def kind(self) -> Kind:
        """Tell a step from what only gathers; only a step's level is one of ISA-88."""
        return "batch" if self.level == "batch" else "event" if self.level == "event" else "step"

    @property
    def name(self) -> str:
        """Name the step or the event; a batch's run has no name."""
        return self.step[1:] if self.kind == "event" else self.step


@dataclass(slots=True)
class Row:
    """The newest state of a row of a query: its columns as texts. ticks: its own time.

    order: the number that its source gave it. rank: of its first coming, 0 for one that came late; it orders rows that have no `order`.
    """

    row: dict[str, str | None]
    ticks: int | None
    seq: int
    entered: int
    order: Json = None
    rank: int = 0
    gone: bool = False  # deleted while it was in force: it goes on telling until another one takes its place


@dataclass(slots=True)
class Heard:
    """What a MES row says of a step, waiting until its equipment knows for whom it works."""

    key: str
    step: str
    run: str | None
    start: Instant | None
    end: Instant | None
    seq: int
    change: str
    entered: int = 0


@dataclass(slots=True)
class Told:
    """A run of a step as the other side tells it, which is only compared. rows: keys of the rows that said so."""

    step: str
    start: int
    end: int | None
    rows: list[str] = field(default_factory=list)


MOST_TOLD = 2_000
"""Runs of one equipment kept for the comparison at the end of its batch."""


@dataclass(slots=True)
class EquipmentState:
    """One equipment: what its signals say and what has settled."""

    seen: dict[str, Seen] = field(default_factory=dict)
    settled: dict[str, Json] = field(default_factory=dict)
    former: dict[str, Json] = field(default_factory=dict)  # what had settled before
    pending: dict[str, Pending] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)  # key -> time of the last finding about it
    pushed: dict[str, str | None] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)  # query -> key of the row that is, or was last, in force for this equipment
    read: Identity = field(default_factory=Identity)  # as read now
    bound: Identity = field(default_factory=Identity)  # as settled
    history: list[tuple[int, Identity]] = field(default_factory=list)  # who it worked for from when on; the newest few
    open: str | None = None  # the batch this equipment is in; stays through an empty or unreadable id where `change` ends it
    left: Instant | None = None  # when the id of `open` was left
    passed: list[str] = field(default_factory=list)  # batches that came and went while nobody watched, of which nothing was observed
    done: str | None = None  # a batch that a state or tag ended, while its id still stands
    states: list[tuple[int, str]] = field(default_factory=list)  # (ticks, state) as far back as a live run needs
    heard: list[Heard] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    sought: dict[str, int] = field(default_factory=dict)  # step that is declared anew -> since when; it may run already
    unstarted: dict[str, list[Pending]] = field(
        default_factory=dict
    )  # step -> changes that may have begun runs while nobody saw its signal
    untold: int = 0  # dropped from `told`, because they were too many

    def tell(self, told: Told) -> None:
        """The other side tells a run."""
        self.told.append(told)
        if len(self.told) > MOST_TOLD:
            del self.told[0]
            self.untold += 1


@dataclass(slots=True)
class Member:
    """One equipment's part in a batch. run: id of the run that gathers its batch parameters.

    unseen: steps that were not seen to run, and whose signal nobody saw throughout.
    """

    equipment: str
    start: Instant
    start_seq: int
    run: int
    end: Instant | None = None
    parameters: list[dict[str, Any]] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # record -> parameters taken at one event
    unseen: list[str] = field(default_factory=list)
    unit_id: str | None = None
    absent: list[str] | None = None  # steps that had to run and did not, of an equipment that is no longer declared
    gaps: dict[str, None] = field(default_factory=dict)  # that belong to it (gateway.context.gaps.belonging), as far as it is judged
    gaps_dropped: int = 0  # of those, because they were too many
    entered: int = 0  # seq of the entry with which it counted


@dataclass(slots=True)
class Listed:
    """A record of a batch: its latest revision. start None: it was listed before it was remembered what it is of, and stays where it is."""

    revision: int
    sha256: str
    required: int
    missing: list[dict[str, Any]]
    open: list[dict[str, Any]] = field(default_factory=list)  # required values that are not the gateway's to give
    equipment: str = ""
    step: str = ""
    start: Instant | None = None
    seqs: list[int | None] = field(default_factory=list)  # entries that told its start and its end
    seen: bool = True  # False: its step was lost before it had stood for the settling time, and may never have run
    gaps: list[str] = field(default_factory=list)  # that its parameters name
    configs: list[int] = field(default_factory=list)  # versions that bear on it


GRAVEST = ("result-replaced", "result-withdrawn", "config-corrected", "source-corrected", "re-bound", "led-elsewhere")
"""Reasons for which a batch's end is made again, the gravest first; all others are late data."""


@dataclass(slots=True)
class Batch:
    """A batch on the line, until all its equipments have ended it."""

    identity: Identity
    members: list[Member] = field(default_factory=list)
    records: dict[str, Listed] = field(default_factory=dict)
    ended: int | None = None  # time of the entry at which the last member so far ended
    revision: int = 0
    dirty: int | None = None
    digest: str | None = None
    alarms: list[dict[str, Any]] = field(default_factory=list)
    alarm_count: int = 0
    ran: dict[str, list[Any]] = field(default_factory=dict)  # record -> equipment, step, run, start, end (where compared)
    reason: str | None = None  # of the revision that is due; None: late data
    configs: list[int] = field(default_factory=list)  # versions in force in it, in order

    def revise(self, now: int, reason: str | None) -> None:
        """Let the end record be made again. Of several reasons the gravest is given."""
        self.dirty = now
        self.reason = min((told for told in (self.reason, reason) if told in GRAVEST), key=GRAVEST.index, default=None)


@dataclass(slots=True)
class Configuration:
    """A configuration that was in force: since which entry, at which time, what it changed. part: of its event, as far as it was read."""

    sha256: str
    seq: int
    at: int
    follows: int | None
    changes: int | None
    approved_by: str | None
    diff: list[dict[str, Any]] = field(default_factory=list)
    part: int = 0
    until_seq: int | None = None
    until: int | None = None


@dataclass(slots=True)
class Blind:
    """Since when and until when a gap hides something of each equipment that its tags serve.

    until: equipment -> the end as far as it is known; going: those of which it hides something still. told: equipment -> seq of the entry
    that told the end so far. judged: seq of the entry by which the clock was set back after it: the stays of then were held against it by
    the clock as it was.
    """

    source: str
    start: int
    until: dict[str, int]
    going: list[str]
    told: dict[str, int] = field(default_factory=dict)
    judged: int = 0


@dataclass(slots=True)
class OpenGap:
    """A gap that has not closed. left: tags not observed since; None: all of the source.

    due: what that is known by, as the opening says; None: it is of a release that did not. every_ms: how often a sample of them is due, all
    alike or each by its name; None: nobody knows.
    """

    id: str
    source: str
    start: int
    cause: str
    left: list[str] | None
    every_ms: int | dict[str, int] | None = None
    due: str | None = None

    def covers(self, tag: str) -> bool:
        """Return whether a tag of its source has not been observed since."""
        return self.left is None or tag in self.left


@dataclass(slots=True)
class Leap:
    """Two entries between which a long time passed, or seemed to: the clock was set forward. observed: as it stood before."""

    before: int
    landed: int
    observed: dict[str, int]


@dataclass(slots=True)
class Unseen:
    """A source was observed through `start` before a stop after which the clock showed less. seq: of the first entry after it."""

    start: int
    seq: int


@dataclass(slots=True)
class Fallback:
    """An interval in which the records of equipments (none named: of all) were led elsewhere, in ticks. end None: it lasts."""

    id: str
    led_by: str
    equipments: list[str]
    begin: int
    begin_basis: str
    reason: str
    by: str
    end: int | None = None
    end_basis: str | None = None
    ended_by: str | None = None


@dataclass(slots=True)
class State:
    """Everything.

    frontier: source -> event ticks through which all that it had to say has come; observed: source -> ticks through which it was observed
    (also by a snapshot after a reconnect, or a resumption, whose other readings are still to come); counts: batch -> "unit/step" -> runs.
    """

    format: int = FORMAT
    now: int = 0
    seq: int = 0
    next_id: int = 1
    retire_due: int = 0
    frontier: dict[str, int] = field(default_factory=dict)
    observed: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    where: dict[str, EquipmentState] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    next_rank: int = 1
    looks: dict[str, int] = field(default_factory=dict)  # query whose first look is not over -> ticks until which its source was observed
    runs: dict[int, Run] = field(default_factory=dict)
    awaiting: dict[str, Run] = field(default_factory=dict)  # record -> a final run of which the laboratory gives a value
    batches: dict[str, Batch] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    gaps: list[OpenGap] = field(default_factory=list)
    blind: dict[str, Blind] = field(default_factory=dict)  # gap -> what it hides, of open gaps and of the newest that have closed
    lost: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # tag that says where an equipment is -> its lost gaps, closed
    again: dict[str, list[int]] = field(default_factory=dict)  # such a tag -> ends of those after which it said what it had said before
    back: dict[str, int] = field(default_factory=dict)  # source -> time of the entry with which it went on without loss
    alarms: dict[str, Raised] = field(default_factory=dict)
    next_alarm: int = 1
    unlisted: list[dict[str, Any]] = field(default_factory=list)  # alarms that no batch was there for, the newest
    conditions: dict[str, Condition] = field(default_factory=dict)  # "source/condition#branch" -> what a server last said of it
    refreshing: dict[str, list[str]] = field(default_factory=dict)  # "source/notifier" -> conditions seen since its refresh began
    alarm_tags: list[str] = field(default_factory=list)  # those read at least once
    began: int = 0  # time of the first entry
    triggers: dict[str, tuple[int, Json]] = field(default_factory=dict)  # tag -> its newest usable reading (ticks, value)
    occurred: list[PendingBooking] = field(default_factory=list)  # not yet said
    booked: dict[str, PostedBooking] = field(default_factory=dict)  # record -> what was said
    told_by: dict[str, tuple[str, int]] = field(default_factory=dict)  # table/name/equipment/key of a row -> (record, revision)
    unlinked: list[dict[str, Any]] = field(default_factory=list)  # results of samples that nobody has taken (yet), the newest
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)  # tag -> time of the last finding about late data
    tagsets: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    config: str = ""  # digest of the configuration that this state was decided under
    source_rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # query -> key -> what the row said, the newest rows
    version: int = 0  # of that configuration; 0: not known
    configurations: dict[int, Configuration] = field(default_factory=dict)
    doubtful: list[list[int | None]] = field(default_factory=list)  # [first, last] seq of entries made while the clock was not verified
    heard: dict[str, int] = field(default_factory=dict)  # tag with max_silence_s -> event ticks of its last reading
    leaps: list[Leap] = field(default_factory=list)  # the newest few
    landed: Leap | None = None  # the step forward since which nothing may be final yet: the clock may be set back again
    unseen: dict[str, Unseen] = field(default_factory=dict)  # source -> what is to be a gap if the clock turns out to be behind
    found: Found = field(default_factory=Found)
    periodic: Kept = field(default_factory=Kept)
    observation: Observed = field(default_factory=Observed)
    reviewed: dict[str, str] = field(default_factory=dict)  # batch that had ended -> id of the newest review of its audit trail
    fallbacks: list[Fallback] = field(default_factory=list)  # the one that lasts, and the newest that are over
    forgotten: dict[str, int] = field(default_factory=dict)  # equipment -> ticks through which batches lasted that are not remembered


__all__ = [
    "END",
    "FORMAT",
    "GRAVEST",
    "IDENTITY",
    "MOST_TOLD",
    "Basis",
    "Batch",
    "Blind",
    "Condition",
    "Configuration",
    "Cut",
    "EquipmentState",
    "Fallback",
    "Heard",
    "Identity",
    "Instant",
    "Kind",
    "Leap",
    "Ledger",
    "Listed",
    "Log",
    "Member",
    "OpenGap",
    "Pending",
    "PendingBooking",
    "PostedBooking",
    "Proof",
    "Raised",
    "Row",
    "Run",
    "Seen",
    "State",
    "Told",
    "Unseen",
    "stored_step",
]
