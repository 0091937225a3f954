"""Says of a pair whether both sides have the same, by the declared rule; and why not, or why nobody can say. Pure.

What the gateway did not cover, or did not see itself, is no match, whatever the numbers say.
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from buffer.times import TICKS_PER_S, from_rfc3339, rfc3339
from config.comparisons import Comparison
from config.sections import ParallelRun
from config.units.units import UnitError
from gateway.validation.parallel_run import numbers
from gateway.validation.parallel_run.numbers import NoNumber, plain
from gateway.validation.parallel_run.pairing import Pair
from gateway.validation.parallel_run.record import Item
from gateway.validation.parallel_run.times import LocalTimes, NoInstant
from gateway.validation.parallel_run.values import Value

MATCH, MISMATCH, ONLY_GATEWAY, ONLY_LEGACY, NOT_COMPARABLE = VERDICTS = (
    *("match", "mismatch", "only-gateway", "only-legacy", "not-comparable"),
)
LIKE_PRESENT = ("present", "gap")
"""Statuses with which a value is judged: of a gap by what was covered."""


class Rules(NamedTuple):
    """How both sides are read: the section, and local times of the legacy record and of manual entries."""

    section: ParallelRun
    times: LocalTimes
    by_hand: LocalTimes

    def ticks(self, value: Value, text: str) -> int:
        """Return the instant that a time of a value names. Raises NoInstant."""
        return (self.by_hand if value.by_hand else self.times).ticks(text)

    def taken(self, value: Value) -> int:
        """Return when a value was taken, that has a time. Raises NoInstant."""
        return self.ticks(value, value.time or "") if value.at is None else value.at


class Judged(NamedTuple):
    """What comes of a pair. difference: gateway less legacy. converted: the legacy value in the gateway's unit, where it was converted."""

    verdict: str
    reason: str = ""
    difference: str | None = None
    tolerance: str | None = None
    converted: str | None = None


def judged(row: Comparison | None, pair: Pair, rules: Rules) -> Judged:
    """Judge one pair. row: its row of compare.csv; None: it has none."""
    if pair.wrong is not None:
        return Judged(NOT_COMPARABLE, pair.wrong)
    item, value = pair.item, pair.value
    if value is None:
        assert item is not None
        return Judged(ONLY_GATEWAY, "the legacy record has no value" if row is not None else "compare.csv has no row for this field")
    if item is None or (item.value is None and item.status != "present"):
        also = "" if value.wrong is None else f"; {value.place}: {value.wrong}"
        return Judged(ONLY_LEGACY, f"the gateway has no {'such record' if item is None else f'value: {item.status}'}{also}")
    if value.wrong is not None:
        return Judged(NOT_COMPARABLE, f"{value.place}: {value.wrong}")
    if row is None:
        return Judged(NOT_COMPARABLE, f"{value.place}: compare.csv has no row for this field, so nothing says within what it is compared")
    found = _RULES[row.rule](row, item, value, rules)
    return _where_told(found, row, item, value, rules)


def _where_told(found: Judged, row: Comparison, item: Item, value: Value, rules: Rules) -> Judged:
    """Let stand what was found only where the gateway observed enough of the step, and the legacy value is of its time."""
    if found.verdict == NOT_COMPARABLE:
        return found
    if (why := _uncovered(row, item)) is not None:
        return found._replace(verdict=NOT_COMPARABLE, reason=why)
    if row.rule == "time" or value.time is None or found.verdict != MATCH:
        return found
    try:
        taken = rules.taken(value)
    except NoInstant as error:
        return found._replace(verdict=NOT_COMPARABLE, reason=f"{value.place}: {error}")
    if away := _outside(row, item, taken, value.width):
        return found._replace(verdict=MISMATCH, reason=f"{value.place}: taken {away}")
    return found


def _uncovered(row: Comparison, item: Item) -> str | None:
    """Say why a value of the gateway is none that is compared: what it rests on was not observed as declared."""
    if item.status not in LIKE_PRESENT:
        return f"the gateway's value is {item.status}"
    least = Decimal(1) if row.min_covered is None else row.min_covered
    if item.covered is not None and Decimal(repr(item.covered)) < least:
        return f"the gateway observed {item.covered:.4g} of the step, less than min_covered {least} of compare.csv:{row.place.line}"
    if item.status == "gap" and item.covered is None:
        return "the gateway did not observe all that the value rests on"
    return None


def inside(row: Comparison, item: Item, value: Value, rules: Rules) -> bool:
    """Return whether a legacy value was taken in the step of an item, give or take the declared tolerance."""
    try:
        return value.time is not None and not _outside(row, item, rules.taken(value), value.width)
    except NoInstant:
        return False


def _outside(row: Comparison, item: Item, taken: int, width: int) -> str:
    """Say how far outside of its step a value was taken; "" if it was, or may have been, inside. width: ticks for which its time stands."""
    allowed = _ticks(row.time_tolerance_s)
    last = taken + max(width - 1, 0)
    for at, edge, beyond, word in ((last, item.begin, -1, "before it began"), (taken, item.end, 1, "after it ended")):
        if edge is not None and (at - edge) * beyond > allowed:
            return f"{plain(Fraction(abs(at - edge), TICKS_PER_S))} s {word} (tolerance {plain(Fraction(allowed, TICKS_PER_S))} s)"
    return ""


def _ticks(seconds: Decimal | None) -> int:
    return 0 if seconds is None else int(Fraction(seconds) * TICKS_PER_S)


def _number(row: Comparison, item: Item, value: Value, rules: Rules) -> Judged:
    ours = numbers.given(item.value)
    if ours is None:
        what = "no single value (a curve)" if item.value is None else f"`{item.value[:40]}`, which is no number"
        return Judged(NOT_COMPARABLE, f"the gateway has {what}; compare it with rule text, or not at all")
    try:
        theirs, converted = _theirs(item, value, rules.section)
    except (NoNumber, UnitError) as error:
        return Judged(NOT_COMPARABLE, f"{value.place}: {error}")
    difference, allowed = ours - theirs, _allowed(row, theirs)
    verdict = MATCH if abs(difference) <= allowed else MISMATCH
    return Judged(verdict, "", plain(difference), _tolerance(row, allowed), converted)


def _theirs(item: Item, value: Value, section: ParallelRun) -> tuple[Fraction, str | None]:
    """Read the other side's number in the gateway's unit; return it, and as text where it was converted. Raises NoNumber, UnitError."""
    number = (
        numbers.number_of(value.text)
        if value.by_hand
        else numbers.number_of(value.text, section.decimal, section.thousands, _declare(section.decimal))
    )
    if item.unit is None or value.unit is None:
        if item.unit not in (None, "1") or value.unit is not None:
            raise UnitError(f"the gateway has it in {item.unit or 'no unit'}, the legacy record in {value.unit or 'no unit that is told'}")
        return number, None
    made = numbers.converted(number, value.unit, item.unit, is_difference=item.statistic in numbers.DIFFERENCES)
    return made, None if made == number and value.unit == item.unit else plain(made)


def _declare(decimal: str) -> str:
    return f'declare decimal = "{"," if decimal == "." else "."}" in line.toml [parallel_run]'


def _allowed(row: Comparison, theirs: Fraction) -> Fraction:
    """Return the difference that is allowed: absolute, or a share of the legacy value."""
    text = row.tolerance or "0"
    return abs(theirs) * Fraction(Decimal(text[:-1])) / 100 if text.endswith("%") else Fraction(Decimal(text))


def _tolerance(row: Comparison, allowed: Fraction) -> str:
    text = row.tolerance or "0"
    return f"{text} ({plain(allowed)})" if text.endswith("%") else text


def _text(row: Comparison, item: Item, value: Value, rules: Rules) -> Judged:
    del row, rules
    if item.value is None:
        return Judged(NOT_COMPARABLE, "the gateway has no single value (a curve)")
    same = item.value.strip() == value.text.strip()
    return Judged(MATCH if same else MISMATCH, tolerance="same text")


def _time(row: Comparison, item: Item, value: Value, rules: Rules) -> Judged:
    """Compare two instants. The gateway's may lie up to its window earlier: what this leaves open is no match and no mismatch."""
    instant = item.instant or {}
    if instant.get("basis") != "observed":
        how = {"told-by-row": "the legacy system told it to the gateway: it would be compared with itself"}
        basis = str(instant.get("basis"))
        return Judged(NOT_COMPARABLE, f"the gateway did not see it: {how.get(basis, basis)}")
    try:
        theirs = rules.ticks(value, value.text)
    except NoInstant as error:
        return Judged(NOT_COMPARABLE, f"{value.place}: {error}")
    latest = from_rfc3339(instant["time"])
    window = instant.get("window_s")
    allowed = _ticks(row.time_tolerance_s)
    difference, tolerance = plain(Fraction(latest - theirs, TICKS_PER_S)), f"{row.time_tolerance_s or 0} s"
    made = Judged(MATCH, "", f"{difference} s", tolerance, rfc3339(theirs))
    if window is None:
        return made._replace(verdict=NOT_COMPARABLE, reason="nobody knows how much earlier the gateway's instant may have been")
    earliest = latest - int(Fraction(repr(window)) * TICKS_PER_S)
    away = [theirs - earliest, theirs - latest]
    if all(abs(each) <= allowed for each in away):
        return made
    nearest = 0 if away[1] <= 0 <= away[0] else min(map(abs, away))
    if nearest > allowed:
        return made._replace(verdict=MISMATCH)
    why = f"the gateway saw it within {plain(Fraction(repr(window)))} s, which is too wide for this tolerance"
    return made._replace(verdict=NOT_COMPARABLE, reason=why)


_RULES = {"number": _number, "text": _text, "time": _time}
