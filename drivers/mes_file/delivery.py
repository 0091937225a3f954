"""Decides what of a file's content is news, against what was read of the same file before. Pure.

Three ways a file comes: for the first time; grown, when its content goes on where what was read of it ends; or written anew, when it does
not. Of a grown file only what was appended is looked at. With a key, records are compared one by one, and those that are known as they
stand are none; without one, nothing tells two records apart, and a file that was written anew is read anew, whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from drivers.local_time import Zone
from drivers.mes_file.content import Content, Faults, Refused, content_of, digest_of
from drivers.mes_file.formats import Record, records
from drivers.mes_file.ledger import GONE, Entry, Mark, Read, begins_with, row_sum
from drivers.mes_file.settings import LINE_FORMATS, FileSettings, Pattern
from drivers.mes_file.values import row_of
from drivers.row_key import row_key
from drivers.row_settings import zone_of

Way = Literal["first", "grown", "anew"]


@dataclass(frozen=True, slots=True)
class Change:
    """A record that is news. number: its place in the file, from 1; 0 if it was deleted. mark: for the ledger, where there is a key."""

    kind: Literal["new", "changed", "deleted"]
    key: str
    record: Record
    number: int
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One content of one file, and what is known of it. origin: of its entry in the ledger. read: what is in the journal of it already.

    known: key -> sum of the row as it was read last; is_known: False where the ledger could not keep that. keeps: whether it can from now
    on. after: what will have been read. count: changes in all; skip: so many of them are in the journal. columns: that its records have.
    """

    way: Way
    origin: str
    content: Content = field(repr=False)
    read: Read = field(default_factory=Read)
    known: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_known: bool = True
    skip: int = 0
    keeps: bool = False
    after: Read = field(default_factory=Read)
    count: int = 0
    columns: frozenset[str] = frozenset()


def delivery_of(content: Content, entry: Entry | None, marks: list[Mark], pattern: Pattern, settings: FileSettings) -> Delivery:
    """Judge a content of which the ledger has `entry`, and look at every record of it that may be news. Raises Refused."""
    begun = _begun(content, entry, marks, pattern, settings)
    columns: set[str] = set()
    found = 0
    for record in _checked(begun, pattern, settings):
        columns |= record.keys()
        found += 1
    total = begun.read.records + found
    if content.counted is not None and content.counted != total:
        raise Refused(f"{total} records, but its trailer says {content.counted}")
    keeps = bool(pattern.keys) and total <= settings.compared_rows and (begun.is_known or begun.way != "grown")
    after = Read(len(content.body), digest_of(content.body), total) if pattern.format in LINE_FORMATS else Read(0, "", total)
    judged = replace(begun, keeps=keeps, after=after, columns=frozenset(columns))
    count = sum(1 for _ in changes(judged, pattern, settings)) if keeps else found
    return replace(judged, count=count, skip=min(begun.skip, count))


def changes(delivery: Delivery, pattern: Pattern, settings: FileSettings) -> Iterator[Change]:
    """Yield what is news, in the file's order, and then what was deleted. The same each time."""
    if delivery.way == "anew" and delivery.keeps and delivery.is_known:
        yield from _compared(delivery, pattern, settings)
        return
    known = dict(delivery.known) if delivery.keeps else {}
    unknown: Literal["new", "changed"] = "changed" if delivery.way == "anew" and pattern.keys else "new"
    for number, record in _numbered(delivery, pattern, settings):
        if not pattern.keys:
            yield Change("new", f"{delivery.origin[:16]}:{number}", record, number, None)
            continue
        row = row_of(record)
        key = row_key(row, pattern.keys)
        if not delivery.keeps:
            yield Change(unknown, key, record, number, None)
            continue
        before, known[key] = known.get(key, GONE), row_sum(row)
        if before != known[key]:
            yield Change(unknown if before == GONE else "changed", key, record, number, (key, known[key]))


def _compared(delivery: Delivery, pattern: Pattern, settings: FileSettings) -> Iterator[Change]:
    """Compare a file that was written anew with what was read of it: of a key that stands in it twice the last record counts."""
    last = {row_key(row_of(record), pattern.keys): number for number, record in _numbered(delivery, pattern, settings)}
    for number, record in _numbered(delivery, pattern, settings):
        row = row_of(record)
        key = row_key(row, pattern.keys)
        before, total = delivery.known.get(key, GONE), row_sum(row)
        if last[key] == number and before != total:
            yield Change("new" if before == GONE else "changed", key, record, number, (key, total))
    if pattern.snapshot:
        for key in [key for key, total in delivery.known.items() if total != GONE and key not in last]:
            yield Change("deleted", key, {}, 0, (key, GONE))


def _begun(content: Content, entry: Entry | None, marks: list[Mark], pattern: Pattern, settings: FileSettings) -> Delivery:
    """Find out in which way the file comes."""
    if entry is None:
        return Delivery("first", content.digest, content)
    if entry.read.chars is None:
        return _begun_by_an_earlier_version(content, entry, pattern, settings)
    goes_on = begins_with(content, entry.read)
    if not entry.is_done and (entry.digest == content.digest or begins_with(content, entry.begun)):
        way: Way = "grown" if goes_on else "anew" if entry.base or entry.read.records else "first"
        read, base = entry.read if goes_on else Read(), dict(marks[: entry.base])
        # What is handed over first of a file that was written anew depends on its end, where the same key may come again.
        if way != "anew" or entry.digest == content.digest or not entry.is_compared:
            return Delivery(way, entry.origin, content, read, base, entry.is_compared, entry.handed or 0)
    if entry.is_done and goes_on:
        return Delivery("grown", entry.origin, content, entry.read, dict(marks), entry.is_compared)
    return Delivery("anew", entry.origin if pattern.keys else content.digest, content, Read(), dict(marks), entry.is_compared)


def _begun_by_an_earlier_version(content: Content, entry: Entry, pattern: Pattern, settings: FileSettings) -> Delivery:
    """Find out what an earlier version read of a file that has grown since: it noted the digest and the size alone."""
    former = content.data[: entry.size_bytes]
    if pattern.format not in LINE_FORMATS or digest_of(former) != entry.digest:
        return Delivery("anew", entry.origin if pattern.keys else content.digest, content, is_known=False)
    before = content_of(former, pattern, settings)
    rows = [row_of(record) for record in records(before, pattern, settings)]
    known = {row_key(row, pattern.keys): row_sum(row) for row in rows} if pattern.keys else {}
    return Delivery("grown", entry.origin, content, Read(len(before.body), digest_of(before.body), len(rows)), known)


def _numbered(delivery: Delivery, pattern: Pattern, settings: FileSettings) -> Iterator[tuple[int, Record]]:
    """Yield the records after those that were read, with their place in the file."""
    return enumerate(records(delivery.content, pattern, settings, delivery.read.chars or 0), delivery.read.records + 1)


def _checked(delivery: Delivery, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:
    """Yield the records, each of which can be used. Raises Refused."""
    zone, faults = zone_of(pattern.time), Faults()
    try:
        for number, record in _numbered(delivery, pattern, settings):
            if (why := _unusable(record, zone, pattern)) is None:
                yield record
            else:
                faults.add(f"record {number}: {why}")
    except Refused as error:
        faults.refuse(f"; {error}")
        raise
    faults.refuse()


def _unusable(record: Record, zone: Zone | None, pattern: Pattern) -> str | None:
    """Say why nobody can tell what a record is about, or when; None if it can be used."""
    for column in pattern.keys:
        if record.get(column) in (None, ""):
            return f"no value in the key column {column!r}"
    if zone is not None and pattern.time is not None:
        column = pattern.time.column
        try:
            zone.moments([record.get(column)])
        except (ValueError, OverflowError) as error:
            return f"{str(record.get(column))[:60]!r} in column {column!r} is no time: {error}"
    return None


def handed_before(delivery: Delivery, pattern: Pattern, settings: FileSettings, count: int) -> list[Mark]:
    """Return the marks of the first changes, which stand in the journal although the ledger has none of them: after a restore."""
    return [change.mark for change in islice(changes(delivery, pattern, settings), count) if change.mark is not None]
