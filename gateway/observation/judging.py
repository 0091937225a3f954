"""Holds a day against its limits: for each the value, the limit, and a verdict. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from config.sections import ObservationLimits
from gateway.entries.held import merged
from gateway.entries.ticks import TICKS_PER_S
from gateway.observation.day import Day, SourceGaps
from gateway.observation.gathering import Gathered

WITHIN, EXCEEDED, NOT_KNOWN, NOT_JUDGED = "within", "exceeded", "not known", "not judged"
COMPARED_WITHIN_TICKS = 26 * 3_600 * TICKS_PER_S
"""A comparison of all that is held is made each 24 h: the newest one of a day is of that day, or of the evening before."""
DUPLICATES = "duplicate-share"
TOO_MANY = "too many gaps to add up"
GOOD = ("passed", "passed-with-dispositions")
UNITS = {"coverage": "", "gap_s": " s", "longest_gap_s": " s", "clock_bound_s": " s"}
SAYS = {
    "incomplete_batches": "batches whose record is incomplete",
    "coverage": "share of the day in which every tag of a source was observed, of the worst source",
    "gaps": "gaps that touch the day",
    "gap_s": "time in gaps, all sources together",
    "longest_gap_s": "longest gap, as far as it lies in the day",
    "late_cycles": "polls that came too late",
    "duplicates": "tags of which more came twice than max_duplicate_share",
    "reconciliation_differences": "comparisons with the receiver that found a difference",
    "comparison_mismatches": "batches that differ from the legacy record, unexplained",
    "clock_bound_s": "widest bound of the clock in an entry",
    "alarms": "findings of severity alarm",
}


class Row(NamedTuple):
    """One limit of a day. value, allowed: as text, None: not known, no limit. why: of what is not known or not judged."""

    limit: str
    value: str | None
    allowed: str | None
    verdict: str
    why: str = ""


class SourceDay(NamedTuple):
    """One source on a day. coverage None: nothing tells of it. crowded: so many gaps that gap_ticks is a lower bound."""

    source: str
    gaps: int
    filled: int
    gap_ticks: int
    longest_ticks: int
    coverage: Decimal | None
    is_crowded: bool


class Judged(NamedTuple):
    """A day, judged. result: of a document."""

    day: Day
    rows: Sequence[Row]
    sources: Sequence[SourceDay]
    down_ticks: int
    is_whole: bool
    result: str


def judged(made: Gathered, day: Day, limits: ObservationLimits, uplinks: Sequence[str]) -> Judged:
    """Judge a day. uplinks: those whose receiver is compared with."""
    gaps, down = made.gaps.of(day, made.read_to)
    sources = [_source(name, gaps.get(name), day) for name in sorted({*day.asked, *day.heard, *gaps})]
    down_ticks = _down_ticks(down.values())
    is_whole = made.whole(day)
    rows = [*_rows(made, day, sources, limits, uplinks, _unseen(day, down.values(), limits, is_whole=is_whole))]
    verdicts = {row.verdict for row in rows}
    result = "finding" if EXCEEDED in verdicts else "not-complete" if NOT_KNOWN in verdicts else "passed"
    return Judged(day, rows, sources, down_ticks, is_whole, result)


def _source(name: str, gaps: SourceGaps | None, day: Day) -> SourceDay:
    one = gaps or SourceGaps()
    lost, length = _ticks(one), day.span.end - day.span.begin
    coverage = (1 - Decimal(lost) / Decimal(length)) if name in day.heard or lost > 0 else None
    return SourceDay(name, one.count, one.filled, lost, one.longest, coverage, one.is_crowded)


def _down_ticks(down: Iterable[SourceGaps]) -> int:
    return max(map(_ticks, down), default=0)


def _ticks(gaps: SourceGaps) -> int:
    return sum(span.end - span.begin for span in merged(gaps.spans))


def _unseen(day: Day, down: Collection[SourceGaps], limits: ObservationLimits, *, is_whole: bool) -> str:
    """Say why what was counted on a day is not all that happened; "" if it is."""
    if not day.entries:
        return "the journal holds no entry of this day"
    if not is_whole:
        return "entries of this day are missing, or it was not read to its end"
    down_ticks = _down_ticks(down)
    if Decimal(down_ticks) > (1 - Decimal(str(limits.coverage))) * (day.span.end - day.span.begin):
        return f"the gateway did not run for {seconds(down_ticks)} s of it"
    if any(one.is_crowded for one in down):
        return f"the gateway did not run for at least {seconds(down_ticks)} s of it, {TOO_MANY}"
    return ""


def _rows(
    made: Gathered, day: Day, sources: Sequence[SourceDay], limits: ObservationLimits, uplinks: Sequence[str], unseen: str
) -> Iterator[Row]:
    untold = [one.source for one in sources if one.coverage is None]
    of_gaps = unseen if not day.entries or "missing" in unseen else f"nothing tells of {', '.join(untold[:10])}" if untold else ""
    of_gaps = of_gaps or ("" if sources else "no source is known of this day")
    crowded = [one.source for one in sources if one.is_crowded]
    of_time = of_gaps or (f"at least so much is lost of {', '.join(crowded[:10])}: {TOO_MANY}" if crowded else "")
    incomplete = sum(status != "complete" for status in day.batches.values())
    more = f"{day.more_batches} batches more than are looked at" if day.more_batches else ""
    yield _most("incomplete_batches", Decimal(incomplete), limits.incomplete_batches, unseen or more)
    yield _least(min((one.coverage for one in sources if one.coverage is not None), default=None), limits.coverage, of_time)
    yield _most("gaps", Decimal(sum(one.gaps for one in sources)), limits.gaps, of_gaps)
    yield _most("gap_s", _s(sum(one.gap_ticks for one in sources)), limits.gap_s, of_time)
    yield _most("longest_gap_s", _s(max((one.longest_ticks for one in sources), default=0)), limits.longest_gap_s, of_gaps)
    yield _most("late_cycles", Decimal(day.late), limits.late_cycles, unseen)
    twice = sum(count for (code, _), count in day.raised.items() if code == DUPLICATES)
    yield _most("duplicates", Decimal(twice), limits.duplicates, unseen)
    yield _most("reconciliation_differences", Decimal(day.differing), limits.reconciliation_differences, _uncompared(made, day, uplinks))
    yield _mismatches(made, day, limits, unseen)
    yield _clock(day, limits, unseen if not day.entries or "missing" in unseen else "")
    alarms = sum(count for (_, severity), count in day.raised.items() if severity == "alarm")
    yield _most("alarms", Decimal(alarms), limits.alarms, unseen)


def _most(name: str, value: Decimal, allowed: float | None, unknown: str) -> Row:
    """Judge what may be so much at most: what is known already may be too much, whatever is not."""
    if allowed is None:
        return Row(name, None, None, NOT_JUDGED, "no limit is declared")
    limit = Decimal(str(allowed))
    if value > limit:
        return Row(name, plain(value, up=True), plain(limit), EXCEEDED)
    return Row(name, plain(value, up=True), plain(limit), NOT_KNOWN if unknown else WITHIN, unknown)


def _least(value: Decimal | None, allowed: float, unknown: str) -> Row:
    limit = Decimal(str(allowed))
    shown = None if value is None else plain(value, up=False)
    if value is not None and value < limit:
        return Row("coverage", shown, plain(limit), EXCEEDED)
    return Row(
        "coverage", shown, plain(limit), NOT_KNOWN if unknown or value is None else WITHIN, unknown or ("" if value else "no source")
    )


def _uncompared(made: Gathered, day: Day, uplinks: Sequence[str]) -> str:
    """Say which receiver was not compared with, of all that is held."""
    before = made.days[made.days.index(day) - 1].compared if day is not made.days[0] else {}
    left = []
    for name in uplinks:
        told = [one for title, one in [*before.items(), *day.compared.items()] if title.endswith(f" with {name}")]
        newest = max((one for one in told if one[0] >= day.span.end - COMPARED_WITHIN_TICKS), default=(0, ""))
        if newest[1] not in ("passed", "finding"):
            left.append(name)
    return f"all that {', '.join(left)} holds was not compared on this day" if left else ""


def _mismatches(made: Gathered, day: Day, limits: ObservationLimits, unseen: str) -> Row:
    newest = {batch: made.comparisons.get(batch, ("", "not compared"))[1] for batch in day.batches}
    left = [batch for batch, result in newest.items() if result not in (*GOOD, "finding")]
    unknown = unseen or (f"not compared, or not to the end: {', '.join(left[:10])}" if left else "")
    return _most("comparison_mismatches", Decimal(sum(one == "finding" for one in newest.values())), limits.comparison_mismatches, unknown)


def _clock(day: Day, limits: ObservationLimits, unseen: str) -> Row:
    unbounded = day.entries - day.bounded
    unknown = unseen or (f"of {unbounded} of {day.entries} entries nobody knows how far the clock was off" if unbounded else "")
    limit = Decimal(str(limits.clock_bound_s))
    if day.worst_bound_s is None:
        return Row("clock_bound_s", None, plain(limit), NOT_KNOWN, unknown or "no entry tells it")
    return _most("clock_bound_s", Decimal(str(day.worst_bound_s)), limits.clock_bound_s, unknown)


def reasons(rows: Sequence[Row]) -> list[str]:
    """Say what is not known and why, limits with the same reason together."""
    by_why: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict == NOT_KNOWN:
            by_why.setdefault(row.why, []).append(row.limit)
    return [f"{', '.join(names)}: {why}" for why, names in by_why.items()]


def _s(ticks: int) -> Decimal:
    return Decimal(ticks) / TICKS_PER_S


def seconds(ticks: int) -> str:
    """Write a duration in seconds."""
    return plain(_s(ticks), up=True)


def plain(value: Decimal, *, up: bool = True) -> str:
    """Write a number with six decimals at most, rounded away from what is good: what is written is never better than what is."""
    rounded = value.quantize(Decimal("0.000001"), ROUND_CEILING if up else ROUND_FLOOR)
    return f"{rounded:f}".rstrip("0").rstrip(".") if "." in f"{rounded:f}" else f"{rounded:f}"
