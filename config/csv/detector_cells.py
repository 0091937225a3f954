"""Reads the cells of a row of the tag map that set a detector."""

from decimal import Decimal
from fractions import Fraction

from config.csv.cells import Cells
from config.csv.columns import INTEGERS, NUMBERS
from config.detectors import COLUMNS, NUMERIC, Limits, UnitJump
from config.units import units

LONGEST_S = 31_536_000.0
LEAST_FACTOR = Fraction(3, 2)
"""Below it a jump can not be told from what a process does."""
OF_RANGE = Decimal("0.01")
"""unit_jump_min where the map does not say it, of the instrument's range."""
_COLUMNS = frozenset(COLUMNS)


def limits(row: Cells, type_name: str, unit: str | None, low: Decimal | None, high: Decimal | None) -> Limits | None:
    """Read the limits of a tag's detectors; None if it has none. low, high: of its instrument, in `unit`."""
    if not _COLUMNS & row.row.cells.keys():
        return None
    jumps, is_number = _jumps(row, unit), not type_name or type_name in NUMBERS
    found = Limits(
        flat_after_s=row.number("flat_after_s", 0.001, LONGEST_S),
        stamp_after_s=row.number("stamp_after_s", 0.001, LONGEST_S),
        counter_after_s=row.number("counter_after_s", 0.001, LONGEST_S),
        zero_after_s=row.number("zero_after_s", 0.001, LONGEST_S),
        max_rate_per_s=row.number("max_rate_per_s", 1e-12, 1e12),
        unit_jumps=jumps,
        unit_jump_min=_least_jump(row, low, high) if jumps and is_number else None,
        late_after_s=row.number("late_after_s", 0.001, LONGEST_S),
        max_late_share=row.number("max_late_share", 0.0001, 0.9999),
        max_duplicate_share=row.number("max_duplicate_share", 0.0001, 0.9999),
        min_good_share=row.number("min_good_share", 0.0001, 1.0),
        share_over_s=row.number("share_over_s", 10.0, 86_400.0) or 600.0,
    )
    _belong_together(row, found)
    for name in found.named if not is_number or (type_name and row.text("codes")) else ():
        if name in NUMERIC:
            row.error(name, f"needs a number, but type is {type_name}{' with a code table' if type_name in INTEGERS else ''}")
    return found


def _belong_together(row: Cells, found: Limits) -> None:
    if (found.late_after_s is None) is not (found.max_late_share is None):
        row.error("late_after_s", "belongs together with max_late_share: how late a reading is late, and how many may be")
    if row.decimal("unit_jump_min") is not None and not found.unit_jumps and row.text("unit_jumps") is None:
        row.error("unit_jump_min", "says from which step on a jump is one; unit_jumps says which jumps are meant")
    if row.decimal("share_over_s") is not None and not any((found.max_late_share, found.max_duplicate_share, found.min_good_share)):
        row.error("share_over_s", "is the time over which max_late_share, max_duplicate_share and min_good_share are taken; none is set")


def _least_jump(row: Cells, low: Decimal | None, high: Decimal | None) -> float | None:
    """Read the least step that is taken for a jump: noise around zero has every factor."""
    written = row.number("unit_jump_min", 1e-12, 1e12)
    if written is None and "unit_jump_min" not in row.row.cells:
        if low is None or high is None:
            row.error("unit_jump_min", "is needed where the tag has no eu_low and eu_high, of whose range it would be 1 %")
        else:
            return float((high - low) * OF_RANGE)
    return written


def _jumps(row: Cells, unit: str | None) -> tuple[UnitJump, ...]:
    """Read factors and units, several with `;`."""
    names = [name.strip() for name in (row.text("unit_jumps") or "").split(";")]
    found = [jump for name in names if name and (jump := _jump(row, name, unit)) is not None]
    return tuple(found)


def _jump(row: Cells, name: str, unit: str | None) -> UnitJump | None:
    if name[0].isdigit():
        factor = row.factor("unit_jumps", name)
        if factor is not None and not LEAST_FACTOR <= factor <= 1_000_000_000:
            row.error("unit_jumps", f"{name}: a factor from 1.5 to 1000000000 is meant; the jump back is known by itself")
            return None
        return None if factor is None else UnitJump(name, Fraction(factor))
    try:
        scale, offset = units.conversion(unit, name) if unit is not None else (Fraction(1), Fraction(0))
    except units.UnitError as error:
        row.error("unit_jumps", f"`{name[:60]}` is neither a factor nor a unit that {unit} converts to: {error}")
        return None
    if unit is None:
        row.error("unit_jumps", f"`{name[:60]}`: the tag has no unit from which it could jump to another")
        return None
    if offset == 0 and 1 / LEAST_FACTOR < scale < LEAST_FACTOR:
        row.error("unit_jumps", f"`{name[:60]}` is {unit} times {float(scale):g}: too near to 1 to be told from what a process does")
        return None
    return UnitJump(name, scale, offset)
