"""What a site's line has to carry at its peak: by its map, or as its own journal measured it (URS-VAL-05)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from buffer import read_journal
from config import Line
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339
from simulators.line.load import movable

MINUTE_TICKS = 60 * TICKS_PER_S


class NoProfile(Exception):
    """The journal holds nothing that a profile could be made of; the text says what to do."""


class Profile(NamedTuple):
    """Changes per second by tag, at the peak. basis: where it comes from, in words. sources: name -> what a table shows of it."""

    rates: Mapping[str, float]
    basis: str
    sources: Mapping[str, Mapping[str, str]]

    def of(self, line: Line, source: str) -> float:
        """Return the changes per second of a source."""
        return sum(self.rates.get(tag.tag, 0.0) for tag in line.tags_of(source))


def from_map(line: Line) -> Profile:
    """Return the most that the map lets come: every measured number changes at each of its periods. Switches move as they would."""
    rates_ms = {source.name: source.rate_ms for source in line.sources}
    periods = {
        name: rates_ms[tag.source] if tag.rate_ms is None else tag.rate_ms for name, tag in movable(line).items() if tag.type != "bool"
    }
    rates = {name: 1000 / (period_ms or 100) for name, period_ms in periods.items()}
    return _profile(
        line, rates, "the line's tag map: each measured number changes at each of its periods, the most that the map lets come", {}
    )


def from_journal(line: Line, data: Path, begin: datetime, end: datetime) -> Profile:
    """Measure a period of the line's own journal: how often each tag changed, at the line's busiest minute. Raises NoProfile, OSError."""
    first, last = (int(time.timestamp() * TICKS_PER_S) for time in (begin, end))
    told, minutes, seen = Counter[str](), Counter[int](), list[int]()
    for names, ticks in _changes(data, first, last):
        told.update(names)
        minutes[ticks // MINUTE_TICKS] += len(names)
        seen.append(ticks)
    if not told:
        raise NoProfile(f"{data}: no value changed between {begin.isoformat()} and {end.isoformat()}; name a period in which the line ran")
    seconds = max((seen[-1] - seen[0]) / TICKS_PER_S, 60.0)
    mean, peak = told.total() / seconds, max(minutes.values()) / 60
    can = movable(line)
    rates = {name: count / seconds * max(peak / mean, 1.0) for name, count in told.items() if name in can}
    basis = (
        f"the line's own journal from {begin.isoformat()} to {end.isoformat()}: {told.total()} changes of {len(told)} tags,"
        f" {mean:.1f} each second on the mean, {peak:.1f} in the busiest minute, which is replayed"
    )
    return _profile(line, rates, basis, told)


def _changes(data: Path, first: int, last: int) -> Iterator[tuple[Sequence[str], int]]:
    """Yield (tags that changed, when) of each entry of readings in the period, list by list."""
    tables: dict[tuple[int, str], list[str]] = {}
    for held in read_journal(data):
        is_table = b'"type":"tagset"' in held.payload
        if not is_table and b'"schema":"ebr-gateway/readings/' not in held.payload[:60]:
            continue
        entry = orjson.loads(held.payload)
        if is_table and "event" in entry:
            event = entry["event"]
            table = tables.setdefault((held.epoch, event["tagset"]), [])
            table[event["first"] : event["first"] + len(event["tags"])] = [tag["tag"] for tag in event["tags"]]
        elif "readings" in entry and first <= (ticks := from_rfc3339(entry["time"])) <= last:
            if (names := tables.get((held.epoch, entry["tagset"]))) is None:
                raise NoProfile(f"{data}: the tag table of entry {held.epoch}/{held.seq} is no longer held; name a later period")
            yield _changed(entry, names), ticks


def _changed(entry: Mapping[str, Any], table: Sequence[str]) -> list[str]:
    columns, constant = entry["columns"], entry["constant"]
    tags, kinds = (columns.index(name) if name in columns else None for name in ("tag", "kind"))
    result = []
    for row in entry["readings"]:
        tag = constant["tag"] if tags is None else row[tags]
        if (constant["kind"] if kinds is None else row[kinds]) == "change" and tag < len(table):
            result.append(table[tag])
    return result


def _profile(line: Line, rates: Mapping[str, float], basis: str, told: Mapping[str, int]) -> Profile:
    sources = {}
    for source in line.sources:
        tags = line.tags_of(source.name)
        moved = [tag.tag for tag in tags if rates.get(tag.tag)]
        sources[source.name] = {
            "driver": source.driver,
            "tags": str(len(tags)),
            "moved": str(len(moved)),
            "target": f"{sum(rates[name] for name in moved):.2f}" if moved else "as the process",
            "measured": str(sum(told.get(tag.tag, 0) for tag in tags)) if told else "",
        }
    return Profile(rates, basis, sources)
