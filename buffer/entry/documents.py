"""Documents of persons, as entries of the journal, and what they put under them."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from buffer.entry.gateway_events import Where, Who
from buffer.entry.head import Event, Hex64, Name, Open


class Signature(Open):
    """A person's electronic signature under a JSON object, which stands in the same entry (docs/security.md, Signatures).

    over: SHA-256 of the object as canonical JSON: UTF-8, members sorted by code points, no white space. note: a C2SP signed note by the
    gateway's key; its text is `ebr-gateway/signature/1`, over, user, name, role, meaning, time and local, one a line. auth: how the person
    proved who it is, at that moment.
    """

    user: Name
    name: Name
    role: Literal["viewer", "operator", "engineer", "qa", "admin"]
    auth: Literal["password"]
    meaning: Name
    time: AwareDatetime
    local: AwareDatetime
    over: Hex64
    note: Name


class ReviewedItem(Open):
    """One row of the audit trail that a reviewer looked at, by its entry. old, new: as texts. comment: why it is questioned, or empty."""

    epoch: int
    seq: int
    time: AwareDatetime
    local: AwareDatetime
    type: Name
    what: Name
    user: Name
    name: str | None
    role: str | None
    object: str | None
    old: str | None
    new: str | None
    reason: str | None
    verdict: Literal["accepted", "questioned"]
    comment: str


class ReviewScope(Open):
    """What was reviewed. through: the last entry that was looked at. batch_had_ended: null where no batch was reviewed but a time."""

    from_: AwareDatetime | None = Field(None, alias="from")
    to: AwareDatetime | None = None
    through: dict[str, int]
    batch_had_ended: bool | None


class ReviewEvent(Event):
    """The review of an audit trail, whole, as a person signed it.

    sha256, and `over` in each signature, are of the canonical JSON of the event without type, part, of, sliced, sha256, signatures, who,
    where and site_zone, with its items whole. items: every row that had to be looked at; not_reviewed: how many others, and why.
    deviations: `epoch/seq` of the questioned ones. A long one is cut into parts along its items, as records are.
    """

    type: Literal["document"]
    document: Literal["audit-trail-review"]
    schema_: Literal["ebr-gateway/audit-trail-review/1"] = Field(alias="schema")
    id: Name
    gateway: Name
    environment: Name
    software: Name
    configuration: Hex64
    made_at: dict[str, Any]
    batch: str | None
    scope: ReviewScope
    filter: Name
    items: list[ReviewedItem]
    not_reviewed: dict[str, Any]
    deviations: list[str]
    reviewer: dict[str, str]
    meaning: Name
    sha256: Hex64
    signatures: list[Signature]
    who: Who
    where: Where
    site_zone: str
    part: int = 1
    of: int = 1
    sliced: list[str] = []


class Software(Open):
    """What made a document. sha256: of the list of its installed files, one line `SHA-256  name` each, sorted by name."""

    version: Name
    sha256: Hex64


class DocumentConfiguration(Open):
    """The line folder in force. version null: it was given none. state: of the version, null where versions are not controlled."""

    version: int | None
    sha256: Hex64
    state: str | None = None


class Covered(Open):
    """Entries that a document rests on; last 0: the epoch held none."""

    epoch: int
    first: int
    last: int


class MadeAt(Open):
    """When a document was made, and how far that can be trusted. clock `unknown`: no gateway ran that could say."""

    time: AwareDatetime
    local: AwareDatetime
    zone: Name
    clock: Literal["synchronised", "holdover", "unsynchronised", "unknown"]
    bound_s: str | None


class MadeBy(Open):
    """Who made a document. kind `system`: an account or the gateway, and no person has said that it was him. station: the machine."""

    user: Name
    name: str | None
    role: str | None
    kind: Literal["person", "system"]
    station: Name


class DocumentHead(Open):
    """What the head of every document says. journal []: none was read. result null: the document judges nothing.

    passed-with-dispositions: of a disposition, after which every deviation of its run is accepted; no run says it of itself.
    """

    document: Name
    schema_: Literal["ebr-gateway/document/1"] = Field(alias="schema")
    title: Name
    id: Name
    line: Name
    gateway: Name
    environment: str | None
    software: Software
    configuration: DocumentConfiguration | None
    journal: list[Covered]
    made_at: MadeAt
    made_by: MadeBy
    batch: str | None
    result: Literal["passed", "passed-with-dispositions", "finding", "not-complete"] | None
    sha256: Hex64
    signatures: list[Signature]


class Section(Open):
    """A heading; what follows belongs to it. level: 1 for a chapter, 2 for a part of one."""

    kind: Literal["section"]
    level: int
    title: str


class Paragraph(Open):
    """A paragraph. marked: a person should look at it."""

    kind: Literal["text"]
    text: str
    marked: bool


class Values(Open):
    """Names and values, in pairs."""

    kind: Literal["values"]
    rows: list[tuple[str, str]]


class TableBlock(Open):
    """A table. widths: relative, one per column. marked: indexes of rows that a person should look at."""

    kind: Literal["table"]
    titles: list[str]
    widths: list[int]
    rows: list[list[str]]
    marked: list[int]


class FormBlock(Open):
    """A table that is filled in by hand, one row for each label."""

    kind: Literal["form"]
    titles: list[str]
    widths: list[int]
    labels: list[str]


class Document(DocumentHead):
    """A document of the product as a file (docs/documents.md). HTML and PDF are made from it, and say nothing else.

    sha256, and `over` in each signature, are of the canonical JSON of the document without sha256 and signatures. body: what people read.
    facts: the same for programs, by type of document; numbers with fractions are texts.
    """

    facts: dict[str, Any]
    body: list[Section | Paragraph | Values | TableBlock | FormBlock]


class Disposes(Open):
    """Of which deviation of which run a document disposes, how, and how many are open after it. made_at, result: of the run's document."""

    document: Name
    id: Name
    sha256: Hex64
    made_at: AwareDatetime
    result: Literal["passed", "finding", "not-complete"] | None
    no: int
    disposition: Literal["accept", "retest", "reject"]
    open: int


class Observes(Open):
    """Of which period after go-live, of which of its days, and by which limits a document judges. day null: of the whole period."""

    from_: Name = Field(alias="from")
    until: Name
    day: Name | None
    limits_sha256: Hex64


class MadeEvent(DocumentHead, Event):
    """A document of the product: its head, its digest, its length as a file without white space between members, and who recorded it.

    disposes: of a disposition of a deviation. observation: of the report of a day after go-live, and of the summary of such a period.
    reason: in the words of who disposed of a deviation, or ended the period.
    """

    type: Literal["document"]
    bytes: int
    disposes: Disposes | None = None
    observation: Observes | None = None
    reason: str | None = None
    who: Who
    where: Where
    site_zone: str


DocumentEvent = Annotated[ReviewEvent | MadeEvent, Field(discriminator="schema_")]
