"""The rows of compare.csv as objects: what is compared with the record of the legacy system, and within what (URS-OBS-05)."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from config.grammars.row_condition import RowCondition
from config.problem import Place


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of compare.csv.

    ebr_field: a field of the EBR, or `start:EQUIPMENT/STEP` and `end:EQUIPMENT/STEP` for the instant of a step. legacy: the column of the
    legacy record. where: which of its rows hold it. run: the column that tells several values apart, by run, lot or sample; None: that of
    [parallel_run], for runs of steps. unit: as written there. tolerance: in the field's unit, or a share of the legacy value
    as in 1%; None: none. time: the column that says when the legacy value was taken. min_covered: the least share of the step that the
    gateway has to have observed; None: all of it.
    """

    ebr_field: str
    legacy: str | None = None
    where: tuple[RowCondition, ...] = ()
    run: str | None = None
    unit: str | None = None
    tolerance: str | None = None
    time: str | None = None
    time_tolerance_s: Decimal | None = None
    rule: Literal["number", "text", "time", "not-compared"] = "number"
    min_covered: Decimal | None = None
    legacy_origin: Literal["automatic", "manual", "transcribed"] = "automatic"
    description: str | None = None
    place: Place = field(default_factory=lambda: Place("compare.csv"), compare=False)

    @property
    def edge(self) -> tuple[str, str, str] | None:
        """(start or end, equipment, step) of the instant of a step; None of a field."""
        which, colon, step = self.ebr_field.partition(":")
        if not colon or which not in ("start", "end"):
            return None
        equipment, _, name = step.partition("/")
        return which, equipment, name
