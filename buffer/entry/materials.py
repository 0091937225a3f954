"""Events of material and samples."""

from typing import Any, Literal

from pydantic import AwareDatetime

from buffer.entry.head import Change, Decimal, Event, Evidence, Instant, Name, Open, Performer


class Lot(Open):
    """A lot number as the source wrote it, and its canonical form by a rule of lots.toml; both null where no rule matches."""

    raw: Name
    canonical: str | None = None
    rule: str | None = None


class MaterialEvent(Event):
    """Material consumed, produced or moved (ISA-88.00.04): one booking, complete in itself; a correction is the whole again.

    The edge of the genealogy goes from `lot` to `output_lot`; where `lot` of a produced one, or `output_lot` of a consumed one, is null,
    the batch stands in its place. quantity is net, in `unit`. problems: why the status is not present. value_origin: how the quantity came
    to be, as the configuration declares it of the tag or the row that it is read from; absent: nobody declared it, and nothing is claimed.
    """

    type: Literal["material"]
    record: str | None = None
    revision: int | None = None
    supersedes: str | None = None
    reason: str | None = None
    changed: list[Change] = []
    batch_raw: str | None = None
    ebr_field: str | None = None
    kind: Literal["consume", "produce", "move"]
    booking: str | None = None
    equipment: str | None = None
    unit_id: str | None = None
    to: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    steps: list[tuple[str, str, int]] = []
    at: Instant | None = None
    material: str | None = None
    lot: Lot | None = None
    output_lot: Lot | None = None
    quantity: Decimal | None = None
    value_origin: Literal["automatic", "manual", "transcribed", "imported"] | None = None
    unit: str | None = None
    gross: Decimal | None = None
    tare: Decimal | None = None
    target: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    result: Literal["within", "below", "above", "not-judged"] | None = None
    status: Literal["present", "bad", "gap", "missing"] | None = None
    problems: list[str] = []
    performed_by: list[Performer] = []
    performed_by_reason: Literal["no source tells", "not observed"] | None = None  # why nobody is named
    evidence: Evidence | None = None


class FormerResult(Open):
    """What a row of the laboratory said before it was replaced. seq: of the entry in which it stands."""

    seq: int
    change: str
    time: AwareDatetime | None = None
    values: dict[str, Any]


class SampleResult(Open):
    """A row of the laboratory about a sample, as read: its columns in `values`; without any, the laboratory has deleted it.

    replaced: what the same row said before, the oldest first; of very many the first and the newest, and `replaced_count` counts all.
    """

    source: Name
    name: Name
    key: str
    change: str
    time: AwareDatetime | None = None
    seq: int
    values: dict[str, Any]
    replaced: list[FormerResult] = []
    replaced_count: int = 0


class SampleEvent(Event):
    """A sample taken. Its results come later: each makes a new revision, with reason `result`.

    A result that says something else than before has reason `result-replaced`, one that the laboratory deleted `result-withdrawn`.
    value_origin: how what the laboratory gives came to be, as the configuration declares it of the source of its rows; absent: not known.
    """

    type: Literal["sample"]
    record: str | None = None
    revision: int | None = None
    supersedes: str | None = None
    reason: str | None = None
    changed: list[Change] = []
    batch_raw: str | None = None
    ebr_field: str | None = None
    sampling: str | None = None
    sample: str | None
    equipment: str | None = None
    unit_id: str | None = None
    order: str | None = None
    batch: str | None = None
    product: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    steps: list[tuple[str, str, int]] = []
    taken: Instant | None = None
    status: Literal["present", "bad", "gap", "missing"] | None = None
    problems: list[str] = []
    value_origin: Literal["automatic", "manual", "transcribed", "imported"] | None = None
    results: list[SampleResult] = []
    performed_by: list[Performer] = []
    performed_by_reason: Literal["no source tells", "not observed"] | None = None  # why nobody is named
    evidence: Evidence | None = None
