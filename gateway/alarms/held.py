"""What is kept of an alarm or a warning: what it says, since when, what persons have done about it. Data of the fold's state."""

from dataclasses import dataclass, field
from hashlib import sha256

from gateway.alarms.stream import Told
from gateway.entries.findings import Severity


@dataclass(slots=True)
class Acknowledgement:
    """A person has seen an alarm. at: ticks. user, name: of the audit event; comment: what he says about it."""

    at: int
    user: str
    name: str | None
    comment: str


@dataclass(slots=True)
class Held:
    """A warning or an alarm. since, last: ticks at which it was said first and last. count: how often.

    asked_anew: ticks of the first start after which it was not said again; whether it still stands nobody knows. None: this run said it.
    of_many: it is about more tags than are kept. id: its name for persons, from the first time that it was said until it is over and
    acknowledged. seq: of the entry that told it then. batches: in an equipment at that time, or the one that it names. cleared: ticks of
    its end, of an alarm that nobody has acknowledged yet.
    """

    code: str
    severity: Severity
    source: str
    subject: str
    tags: list[str]
    text: str
    of_many: bool
    since: int
    last: int
    count: int = 1
    asked_anew: int | None = None
    id: str = ""
    seq: int = 0
    batches: list[str] = field(default_factory=list)
    cleared: int | None = None
    acknowledged: Acknowledgement | None = None

    def is_same(self, told: "Told | Held | Shelf") -> bool:
        """Return whether this is told once more."""
        mine = (self.code, self.source, self.subject, self.of_many, self.tags)
        return mine == (told.code, told.source, told.subject, told.of_many, told.tags)

    @property
    def awaits(self) -> bool:
        """An alarm that nobody has acknowledged."""
        return self.severity == "alarm" and self.acknowledged is None


@dataclass(slots=True)
class Shelf:
    """An alarm that a person has taken out of the banner until a time (ISA-18.2, 3.1.59). at, until: ticks."""

    code: str
    source: str
    subject: str
    tags: list[str]
    of_many: bool
    at: int
    until: int
    user: str
    name: str | None
    reason: str


@dataclass(slots=True)
class Found:
    """What has been found. began: ticks since which it is gathered; what was found before is not known here. 0: nothing was seen yet.

    standing: until an end is told. recent: what only happened. cleared: alarms whose end was told, and which nobody has acknowledged.
    unkept: warnings and alarms that stand, or stood, and for which there was no room. unacknowledged: alarms that nobody has acknowledged
    among what had no room. batches: equipment -> batch that is in it.
    """

    began: int = 0
    standing: list[Held] = field(default_factory=list)
    recent: list[Held] = field(default_factory=list)
    cleared: list[Held] = field(default_factory=list)
    shelves: list[Shelf] = field(default_factory=list)
    unkept: int = 0
    unacknowledged: int = 0
    batches: dict[str, str] = field(default_factory=dict)

    def all(self) -> list[Held]:
        """Return everything that is held."""
        return [*self.standing, *self.cleared, *self.recent]

    def named(self, id_: str) -> Held | None:
        """Find what persons know by this id."""
        return next((held for held in self.all() if held.id == id_), None)

    def shelf(self, held: Held, now: int) -> Shelf | None:
        """Find the shelf on which an alarm lies at `now` (ticks)."""
        return next((shelf for shelf in self.shelves if held.is_same(shelf) and now < shelf.until), None)


def id_of(told: Told, seq: int) -> str:
    """Name an alarm by what it is about and the entry that told it: the same in every replay, eight hexadecimal digits."""
    about = "\n".join([told.code, told.source, told.subject, str(told.of_many), *told.tags, str(seq)])
    return sha256(about.encode(errors="replace")).hexdigest()[:8]
