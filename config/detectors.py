"""What the tag map expects of a tag, for the detectors of silent errors (URS-OBS-01): limits in the tag's own unit, None for none."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class UnitJump:
    """What becomes of a value when its device goes over to another unit: value x scale + offset, or the other way round.

    name: as the map names it, a factor (`10`) or a unit (`[degF]`).
    """

    name: str
    scale: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one tag. Times in seconds, shares from 0 to 1; see docs/detectors.md."""

    flat_after_s: float | None = None
    stamp_after_s: float | None = None
    counter_after_s: float | None = None
    zero_after_s: float | None = None
    max_rate_per_s: float | None = None
    unit_jumps: tuple[UnitJump, ...] = ()
    unit_jump_min: float | None = None
    late_after_s: float | None = None
    max_late_share: float | None = None
    max_duplicate_share: float | None = None
    min_good_share: float | None = None
    share_over_s: float = 600.0

    @property
    def named(self) -> tuple[str, ...]:
        """The columns that set one of these, `unit_jump_min` and `share_over_s` apart: those only say how."""
        return tuple(name for name in DETECTING if getattr(self, name))

    @property
    def needs_stamps(self) -> tuple[str, ...]:
        """Those columns that judge by the time that the source gives to its values."""
        return tuple(name for name in self.named if name in STAMPED)


DETECTING = (
    *("flat_after_s", "stamp_after_s", "counter_after_s", "zero_after_s", "max_rate_per_s", "unit_jumps"),
    *("max_late_share", "max_duplicate_share", "min_good_share"),
)
STAMPED = frozenset({"stamp_after_s", "max_late_share", "max_duplicate_share"})
STANDING = frozenset({"flat_after_s", "counter_after_s", "min_good_share"})
"""Columns that judge by how long something stands."""
NUMERIC = frozenset({"counter_after_s", "zero_after_s", "max_rate_per_s", "unit_jumps"})
"""Columns for numbers alone."""
COLUMNS = (*DETECTING, "unit_jump_min", "late_after_s", "share_over_s")
