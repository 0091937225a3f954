"""Documents of persons, as entries of the journal, and what they put under them."""

from typing import Any, Literal

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


class DocumentEvent(Event):
    """A document that a person made and signed; the only one so far is the review of an audit trail.

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
