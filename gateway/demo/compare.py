"""Compares the ground truth of the devices with the readings and rows that a receiver holds. Pure.

A source that reports changes itself (OPC UA) is compared by (tag, source time, value). A polled source is compared in order: an answer
counts as received if a reading of its value was requested before and received after it. Rows are compared by key.

Every item of the truth ends in exactly one count: received, left out by the map's own deadband, in a gap, or lost.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from config import Line, Source, Tag
from drivers.silence import silence
from gateway.demo.received import Gap, Got, Received, Row
from gateway.demo.truth import Item, Truth
from gateway.entries.ticks import TICKS_PER_MS, TICKS_PER_S, from_rfc3339

BAD = 0x8000_0000
SLACK_TICKS = 100_000
"""10 ms: a device stamps an answer a moment before or after the instants that the gateway's clock gives to the same exchange."""
EXAMPLES = 5
FLOAT_DIGITS = 12


@dataclass
class Counts:
    """Counts of the items of one source, or of one tag, by how each ended."""

    read: int = 0
    received: int = 0
    left_out: int = 0
    in_gaps: int = 0
    lost: int = 0
    doubled: int = 0
    foreign: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        """Add other counts, and keep a few of their examples of errors."""
        for each in fields(self):
            if each.name != "examples":
                setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        self.examples = (self.examples + other.examples)[:EXAMPLES]

    @property
    def good(self) -> bool:
        """True if nothing was lost, doubled or made up."""
        return not (self.lost or self.doubled or self.foreign)

    def wrong(self, text: str) -> None:
        """Keep an example of an error."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(text)


def compare(line: Line, truths: Mapping[str, Truth], received: Received) -> dict[str, Counts]:
    """Compare the truth with the received, and return counts per source, in the line's order."""
    return {source.name: _source(line, source, truths.get(source.name, Truth()), received) for source in line.sources}


def _source(line: Line, source: Source, truth: Truth, received: Received) -> Counts:
    total, zone = Counts(), ZoneInfo(line.line.timezone)
    got, gaps = received.readings.get(source.name, {}), received.gaps_of(source.name)
    began = min((each[0].received for each in got.values()), default=None)
    for tag in line.tags_of(source.name) if not source.driver.startswith("mes_") else ():
        readings = got.get(tag.tag, [])
        if source.driver == "opcua":
            total.add(of_changes(tag, truth.made.get(tag.tag, []), readings, gaps, began, zone))
        else:
            period_ticks = (tag.rate_ms or source.rate_ms) * TICKS_PER_MS
            is_answered_along = (tag.rate_ms or source.rate_ms) > source.rate_ms
            served = truth.served.get(tag.tag, [])
            total.add(of_polls(tag, served, readings, gaps, period_ticks, zone, is_answered_along=is_answered_along))
            total.add(unasked(tag, truth.made.get(tag.tag, []), truth.served.get(tag.tag, []), gaps))
    rows = {(name, key): each for (by, name, key), each in received.rows.items() if by == source.name}
    total.add(of_rows({key: [row for _, row in versions] for key, versions in truth.rows.items()}, rows, source.name))
    return total


def of_changes(tag: Tag, made: Sequence[Item], got: Sequence[Got], gaps: Sequence[Gap], began: int | None, zone: tzinfo = UTC) -> Counts:
    """Compare a source that sends each change once, with its own time.

    A value that the device had before the source was first read (at `began`) only counts if it was received.
    """
    counts = Counts()
    pending: dict[tuple[int, Any], int] = {}
    for each in got:
        key = (each.source_ticks or 0, _told(tag, each.value, each.status))
        again = key in pending
        if again and each.kind in ("change", "backfill"):
            counts.doubled += 1
            counts.wrong(f"{_named(tag, each.value, each.source_ticks or 0, zone)} stands twice; see entry {each.seq}")
        pending[key] = pending.get(key, 0) + 1
    known = {(item.ticks, _told(tag, item.value, item.status)) for item in made}
    for ticks, value in pending.keys() - known:
        counts.foreign += 1
        counts.wrong(f"{_named(tag, value, ticks, zone)} was never made by the device; see the readings of {tag.tag} then")
    stored = None
    for item in made:
        key = (item.ticks, _told(tag, item.value, item.status))
        if key in pending:
            counts.read += 1
            counts.received += 1
            stored = item
        elif began is None or item.ticks >= began:
            counts.read += 1
            _missing(counts, tag, item, stored, gaps, zone)
    return counts


def of_polls(
    tag: Tag,
    served: Sequence[Item],
    got: Sequence[Got],
    gaps: Sequence[Gap],
    period_ticks: int = 0,
    zone: tzinfo = UTC,
    *,
    is_answered_along: bool = False,
) -> Counts:
    """Compare a polled source: each change among its answers must be in a reading whose window holds that answer.

    An answer that was not taken is no loss in two cases. The driver asked again to prove it: then it lies in the window of the reading
    before or after it, from the first question to the last answer; or, within a period, the tag's stored value came back, and there was
    no change to store. Or nobody asked for it (is_answered_along: the device answers the tag with neighbours that are polled more often):
    then the tag's own question must have followed in time, by the rule that makes a silence a gap.
    """
    counts = Counts(read=len(served))
    claims: list[Got | None] = [None] * len(served)
    after, before = 0, None
    for each in got:
        while after < len(served) and served[after].ticks <= each.received + SLACK_TICKS:
            after += 1
        # the same value with another status is news
        again = before is not None and (before.value, before.status) == (each.value, each.status) and each.kind == "change"
        _claim(counts, tag, served, claims, after, each, again=again, zone=zone)
        before = each
    stored, returned, proved = None, -1, 0
    for index, (item, claimed) in enumerate(zip(served, claims, strict=True)):
        following = next((later for later in claims[index + 1 :] if later), None)
        returned = max(returned, _returns(tag, served, claims, index, stored, 2 * period_ticks if is_answered_along else period_ticks))
        if claimed:
            counts.received += 1
            stored, proved = item, claimed.received
        elif (
            index <= returned
            or item.ticks <= proved
            or (following and _replaced(item, following, period_ticks if is_answered_along else None))
        ):
            counts.left_out += 1
        else:
            _missing(counts, tag, item, stored, gaps, zone)
    return counts


def _replaced(item: Item, following: Got, period_ticks: int | None) -> bool:
    """True if the next reading replaced this answer: by a second question of its poll, or, of a tag with a period, by its own in time."""
    requested = following.received if following.requested is None else following.requested
    if requested - SLACK_TICKS <= item.ticks:
        return True
    return period_ticks is not None and silence(item.ticks * 100, requested * 100, period_ticks * 100) is None


def _returns(tag: Tag, served: Sequence[Item], claims: Sequence[Got | None], index: int, stored: Item | None, within_ticks: int) -> int:
    """Index of the answer, soon after this one, at which the value stored before is back; -1 if there is none."""
    if stored is None or claims[index]:
        return -1
    for later in range(index + 1, len(served)):
        if claims[later] or served[later].ticks - served[index].ticks >= within_ticks:
            return -1
        if normal(tag, served[later].value) == normal(tag, stored.value):
            return later
    return -1


def unasked(tag: Tag, made: Sequence[Item], served: Sequence[Item], gaps: Sequence[Gap]) -> Counts:
    """Count what a polled device had while it was not asked, and thus lies in a gap. A value between two polls may go unseen."""
    told = {(item.ticks, normal(tag, item.value)) for item in made if any(gap.covers(tag.tag, item.ticks) for gap in gaps)}
    answered = {normal(tag, item.value) for item in served if any(gap.covers(tag.tag, item.ticks) for gap in gaps)}
    missed = sum(value not in answered for _, value in told)
    return Counts(read=missed, in_gaps=missed)


def _claim(
    counts: Counts, tag: Tag, served: Sequence[Item], claims: list[Got | None], after: int, got: Got, *, again: bool, zone: tzinfo
) -> None:
    """Find the answer that a reading holds: made within the reading's window, or valid since before it."""
    if got.status >= BAD:
        return
    value = normal(tag, got.value)
    requested = (got.requested if got.requested is not None else got.received) - SLACK_TICKS
    for index in range(after - 1, -1, -1):
        item = served[index]
        if normal(tag, item.value) == value:
            if claims[index] and again:
                counts.doubled += 1
                counts.wrong(f"{_named(tag, got.value, item.ticks, zone)} stands twice; see entry {got.seq}")
            claims[index] = claims[index] or got
            return
        if item.ticks < requested:
            break
    counts.foreign += 1
    counts.wrong(f"{_named(tag, got.value, got.received, zone)} was not what the device answered; see entry {got.seq}")


def _missing(counts: Counts, tag: Tag, item: Item, stored: Item | None, gaps: Sequence[Gap], zone: tzinfo) -> None:
    if any(gap.covers(tag.tag, item.ticks) for gap in gaps):
        counts.in_gaps += 1
    elif _within_deadband(tag, item, stored):
        counts.left_out += 1
    else:
        counts.lost += 1
        counts.wrong(f"{_named(tag, item.value, item.ticks, zone)} is lost: in no reading and in no gap; {_look(tag, item.ticks)}")


def _named(tag: Tag, value: Any, ticks: int, zone: tzinfo) -> str:
    """Name a value by source, tag and local time, whose offset tells the two hours of an autumn night apart."""
    local = datetime.fromtimestamp(ticks / TICKS_PER_S, zone)
    return f"source {tag.source}, tag {tag.tag}: {value} of {local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%z}"


def _look(tag: Tag, ticks: int) -> str:
    """Say what to look at: the entries around an instant, and whether the gateway asked then."""
    begin, end = (datetime.fromtimestamp(ticks / TICKS_PER_S + seconds, UTC) for seconds in (-2, 3))
    return (
        f"look at `ebr-gateway log LINE --from {begin:%Y-%m-%dT%H:%M:%SZ} --to {end:%Y-%m-%dT%H:%M:%SZ}` and `Asked late` of {tag.source}"
    )


def _within_deadband(tag: Tag, item: Item, stored: Item | None) -> bool:
    """True if the map itself asks to leave this change out (deadband 0.5, or 1% of the instrument's range)."""
    if tag.deadband is None or stored is None or not all(isinstance(each.value, int | float) for each in (item, stored)):
        return False
    percent = tag.deadband.endswith("%")
    band = float(tag.deadband.rstrip("%"))
    if percent:
        band *= float((tag.eu_high or 0) - (tag.eu_low or 0)) / 100
    return abs(float(item.value) - float(stored.value)) <= band * (1 + 1e-6)


def of_rows(
    truth: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], got: Mapping[tuple[str, str], Sequence[Row]], source: str = ""
) -> Counts:
    """Compare rows of a MES or of files: each version of a row once. A row persists, so no gap excuses its absence."""
    counts = Counts(read=sum(sum(map(bool, rows)) for rows in truth.values()))
    for key, written in truth.items():
        seen, versions = got.get(key, []), [version for version in written if version]  # an empty one: the row was deleted
        told = [sum(_same_row(version, row.columns) for row in seen) for version in versions]
        counts.received += sum(1 for count in told if count)
        # a version overwritten before it could be read is no loss; the last one must be there
        counts.left_out += sum(1 for count in told[:-1] if not count)
        if told and not told[-1] and not written[-1]:
            counts.left_out += 1  # it was deleted before anybody could be told of it
        elif told and not told[-1]:
            counts.lost += 1
            counts.wrong(
                f"source {source}, {key[0]} {key[1]}: {dict(versions[-1])} is lost: in no message; look at the rows of this key in the log"
            )
        again = sum(row.change in ("new", "late") for row in seen) - 1
        if again > 0:
            counts.doubled += again
            counts.wrong(f"source {source}, {key[0]} {key[1]}: new {again + 1} times; look at the rows of this key in the log")
    for key in got.keys() - truth.keys():
        counts.foreign += 1
        counts.wrong(f"source {source}, {key[0]} {key[1]}: was never written; look at the rows of this key in the log")
    return counts


def _same_row(written: Mapping[str, Any], read: Mapping[str, Any]) -> bool:
    common = written.keys() & read.keys()
    return bool(common) and all(_plain(written[name]) == _plain(read[name]) for name in common)


def _plain(value: Any) -> Any:
    """Return numbers by their value, everything else by its text, None for an empty text."""
    if value is None or value == "":
        return None
    try:
        return Decimal(str(value)).normalize()
    except InvalidOperation:
        return str(value)


def _told(tag: Tag, value: Any, status: int) -> Any:
    return None if status >= BAD else normal(tag, value)


def normal(tag: Tag, value: Any) -> Any:
    """Return one form for a value, however its number was written, so that equal values compare equal and others do not."""
    if value is None or tag.type in ("bool", "string", "bytes"):
        return value
    if tag.type == "datetime":
        return from_rfc3339(value)
    if tag.type == "float32" and tag.scaling is None:
        return struct.pack("<f", float(value))
    if tag.type == "float64" and tag.scaling is None:
        return float(value)
    if tag.type in ("float32", "float64"):
        return f"{float(value):.{FLOAT_DIGITS if tag.type == 'float64' else 6}g}"
    return Decimal(str(value)).normalize()


def total(counts: Iterable[Counts]) -> Counts:
    """Return the sum of the counts of all sources."""
    result = Counts()
    for each in counts:
        result.add(each)
    return result
