"""materials.csv and samples.csv: what happens to material, what is sampled, and what each of it is read from (URS-CTX-07)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from config.grammars.terms import Term
from config.problem import Place

Kind = Literal["consume", "produce", "move"]
Occurs = Literal["1", "0..1", "1..n", "0..n"]

TERMS = ("batch", "material", "lot", "output_lot", "to", "quantity", "gross", "tare", "target", "tolerance", "performed_by", "sample")


@dataclass(frozen=True, slots=True)
class Occasion:
    """The trigger of a booking or a sample.

    A tag becomes `active` (None: takes another value), or a row of a query that fits `where` is read.
    """

    name: str
    equipment: str
    trigger: str
    active: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    step: str | None = None
    recipe: str | None = None
    recipe_version: str | None = None
    batch: Term | None = None
    performed_by: Term | None = None
    occurs: Occurs = "1"
    ebr_field: str | None = None
    description: str | None = None
    place: Place = field(default_factory=lambda: Place("materials.csv"), compare=False)


@dataclass(frozen=True, slots=True)
class Booking(Occasion):
    """One row of materials.csv. unit: of the record; source_unit: of numbers that come from a row."""

    kind: Kind = "consume"
    material: Term | None = None
    lot: Term | None = None
    output_lot: Term | None = None
    to: Term | None = None
    quantity: Term | None = None
    gross: Term | None = None
    tare: Term | None = None
    at_rest: str | None = None
    source_unit: Term | None = None
    unit: str | None = None
    decimals: int | None = None
    target: Term | None = None
    tolerance: Term | None = None


@dataclass(frozen=True, slots=True)
class Sampling(Occasion):
    """One row of samples.csv. results: the query whose rows report results; results_key: its column that holds the sample's id."""

    sample: Term | None = None
    results: str | None = None
    results_key: str | None = None


def terms_of(row: Occasion) -> Iterator[tuple[str, Term]]:
    """Yield (column, term) of every cell that has one."""
    for column in TERMS:
        cell_term = getattr(row, column, None)
        if cell_term is not None:
            yield column, cell_term


def tags_of(row: Occasion) -> Iterator[tuple[str, str]]:
    """Yield (column, tag) of every tag that a row names beside its trigger."""
    yield from ((column, cell_term.text) for column, cell_term in terms_of(row) if cell_term.kind == "tag")
    if isinstance(row, Booking) and row.at_rest is not None:
        yield "at_rest", row.at_rest
