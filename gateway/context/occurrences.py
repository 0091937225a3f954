"""What the fold remembers of what happens beside the steps: material, samples, alarms, and how long an equipment stood."""

from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.context.instants import Identity, Instant
from gateway.entries.fold_input import Json


@dataclass(slots=True)
class PendingBooking:
    """Something that is to be booked or sampled. active, trigger: of the table's row that told it; source: "source.query" of a row."""

    table: Literal["material", "sample"]
    name: str
    equipment: str
    trigger: str
    active: str | None
    at: Instant
    seq: int
    entered: int  # time of the entry that brought it
    value: Json = None  # of the trigger
    row: dict[str, str | None] | None = None
    key: str | None = None  # of that row
    withdrawn: bool = False  # the row was deleted


@dataclass(slots=True)
class PostedBooking:
    """A booking or a sample that was said, while a revision may come. heard: column -> the reading that it rests on.

    former: tag that means something else since another configuration -> the unit that it had when this happened.
    """

    occurred: PendingBooking
    identity: Identity
    event: dict[str, Any]
    made: int  # time of the entry that brought the last revision
    heard: dict[str, list[Any]] = field(default_factory=dict)
    dirty: int | None = None
    reason: str | None = None
    former: dict[str, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Ledger:
    """What happened to the material of one batch: record -> its line in the batch's end. more: beyond what is listed."""

    bookings: dict[str, dict[str, Any]] = field(default_factory=dict)
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)  # orphans that were said
    more: int = 0


@dataclass(slots=True)
class Log:
    """What happened to an equipment between two batches. going: what cleans it now; gaps: (id, start, end) in which nobody looked."""

    batch: str | None = None
    left: Instant | None = None
    going: list[str] = field(default_factory=list)
    first: Instant | None = None  # start of the first cleaning since
    first_by: str | None = None
    last: Instant | None = None  # end of the last one
    last_by: str | None = None
    gaps: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Raised:
    """An alarm that stands. units: the equipments that it concerns; told: its name, severity and text.

    number: of the occurrence, on this line; several of one alarm may stand in one entry. 0: of a state of before they were numbered.
    """

    at: Instant
    seq: int
    units: list[str] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    number: int = 0


@dataclass(slots=True)
class Condition:
    """A condition of an alarm server, or a branch of it (Part 9, 5.5.2), as long as it is active or wants to be acknowledged.

    at: ticks of its newest event. retained: a refresh would list it. occurrence: when it was raised, of a branch the one that it holds.
    unclaimed: occurrences before, not acknowledged, of which no branch is known. branched: a branch holds the present occurrence.
    """

    name: str
    scope: str
    at: int
    units: list[str]
    told: dict[str, Any]
    active: bool = False
    acked: bool = True
    confirmed: bool = True
    retained: bool = True
    occurrence: Raised | None = None
    unclaimed: list[Raised] = field(default_factory=list)
    branched: bool = False
