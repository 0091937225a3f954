"""Gathers what a journal holds of an interval, equipment by equipment: readings, steps, alarms, and what was not observed."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from buffer import event_type
from gateway.entries.status_names import status_name
from gateway.entries.stored_rows import StoredColumns
from gateway.entries.ticks import from_rfc3339
from gateway.validation.fallback.captured_gaps import GapRows
from gateway.validation.fallback.course import Course
from gateway.validation.fallback.reach import Reach
from gateway.validation.fallback.rows import OF_LINE, Row, ticks_of
from gateway.validation.fallback.stood import Stood

UNCERTAIN = 0x40000000
_HEAD = re.compile(rb'"epoch":(\d+),"seq":(\d+)')
_TIME = re.compile(rb'"time":"([^"]+)"')


@dataclass(slots=True)
class TagSeen:
    """What was read of a tag in the interval. low, high: of its good numbers."""

    tag: str
    unit: str | None
    source: str
    readings: int = 0
    good: int = 0
    low: Decimal | None = None
    high: Decimal | None = None
    last: Any = None
    last_at: int | None = None


@dataclass(slots=True)
class Captured:
    """What was captured of one equipment. tags: by name, also those of which nothing came. gaps: as rows."""

    equipment: str
    tags: dict[str, TagSeen] = field(default_factory=dict)
    gaps: list[Row] = field(default_factory=list)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    rows: int = 0


_FOLLOWED = frozenset({"tagset", "gap", "step", "rebind", "batch", "epoch"})
"""Events that are read whenever they were made: they tell of an interval before or behind them."""
Sink = Callable[[str, Row], None]


class Gathering:
    """Goes through a journal once. sink: takes (equipment, row of a reading), as they come; gaps are known at the end."""

    def __init__(self, begin: int, end: int, equipments: Iterable[str], sink: Sink, stood: Stood | None = None) -> None:
        """begin, end: ticks, by when entries were made. equipments: of which alone; none: of all. stood: what no entry may tell of."""
        self._begin, self._end, self._wanted, self._sink = begin, end, frozenset(equipments), sink
        self._tables: dict[str, dict[int, dict[str, Any]]] = {}
        self._of_source: dict[str, dict[str, tuple[str, ...]]] = {}
        self._gaps, self._course = GapRows(begin, end, self._of_source), Course(begin, end)
        self._reach = Reach(begin, end, None if stood is None else stood.at)
        self.found: dict[str, Captured] = {}
        if stood is not None:
            self._stood(stood)

    @property
    def gaps_kept(self) -> int:
        """Return how many gaps are remembered, which is what the memory of a long journal goes into."""
        return len(self._gaps)

    def _stood(self, stood: Stood) -> None:
        self._gaps.stood(stood.gaps)
        for step in stood.steps:
            self._course.step(step, "")
        for stay in stood.stays:
            self._course.batch(stay)

    def of(self, payloads: Iterable[bytes]) -> dict[str, Captured]:
        """Take the entries of a journal, in order, and return what was captured, by equipment."""
        for name in self._wanted:
            self._captured(name)
        for payload in payloads:
            self._take(event_type(payload), payload)
        self._ran()
        if not self.found:
            self._captured(OF_LINE)
        for row in (*self._gaps.reaching(), *self._reach.rows()):
            for equipment in self._equipments_of(row.source, row.tag):
                self._captured(equipment).gaps.append(row._replace(tag=row.tag or "all"))
        return dict(sorted(self.found.items()))

    def _take(self, kind: str, payload: bytes) -> None:
        told, place = _TIME.search(payload), _HEAD.search(payload)
        ticks = 0 if told is None else from_rfc3339(told[1].decode())
        is_inside = self._begin <= ticks < self._end
        event: dict[str, Any] | None = None
        if not kind:
            if is_inside:
                self._readings(orjson.loads(payload), ticks)
        elif kind in _FOLLOWED or (kind == "alarm" and is_inside):
            entry = orjson.loads(payload)
            event = entry["event"]
            self._event(kind, entry["event"], f"{entry['epoch']}/{entry['seq']}")
        if place is not None:
            self._reach.take(int(place[1]), int(place[2]), ticks, event if kind == "epoch" else None)

    def _event(self, kind: str, event: dict[str, Any], entry: str) -> None:
        match kind:
            case "tagset":
                self._tagset(event)
            case "gap":
                self._gaps.take(event, entry)
            case "step":
                self._course.step(event, entry)
            case "rebind":
                self._course.rebind(event)
            case "batch":
                self._course.batch(event)
            case "alarm":
                self._alarm(event, entry)

    # readings

    def _tagset(self, event: Mapping[str, Any]) -> None:
        self._tables.setdefault(event["tagset"], {}).update(enumerate(event["tags"], event["first"]))
        mine = self._of_source.setdefault(str(event.get("source") or ""), {})
        for tag in event["tags"]:
            mine[tag["tag"]] = places = _places(tag)
            for equipment in self._of_these(places):
                seen = self._captured(equipment).tags
                seen.setdefault(tag["tag"], TagSeen(tag["tag"], tag.get("unit"), str(event.get("source") or "")))

    def _readings(self, entry: Mapping[str, Any], ticks: int) -> None:
        stored, table, place = StoredColumns(entry), self._tables.get(entry["tagset"], {}), f"{entry['epoch']}/{entry['seq']}"
        columns = (*map(stored.column, ("tag", "value", "status")), stored.times("received"))
        for index, value, status, received in zip(*columns, strict=True):
            tag = table.get(index) or {"tag": f"{entry['tagset']}[{index}]"}
            for equipment in self._of_these(_places(tag)):
                context = entry["contexts"].get(equipment) or {}
                steps = ">".join(f"{step[1]}/{step[2]}" for step in context.get("steps", []))
                at = ticks if received is None else received
                told = (tag["tag"], value, tag.get("unit"), status_name(status), at, at, entry["source"])
                self._seen(equipment, Row("reading", *told, context.get("batch"), steps, place, ""), is_good=status < UNCERTAIN)

    def _seen(self, equipment: str, row: Row, *, is_good: bool) -> None:
        captured = self._captured(equipment)
        seen = captured.tags.setdefault(row.tag, TagSeen(row.tag, row.unit, row.source))
        seen.readings, seen.good, captured.rows = seen.readings + 1, seen.good + is_good, captured.rows + 1
        seen.last, seen.last_at = row.value if is_good else row.status, row.begin
        self._batch(equipment, row.batch)
        if is_good and (number := _number(row.value)) is not None:
            seen.low = number if seen.low is None else min(seen.low, number)
            seen.high = number if seen.high is None else max(seen.high, number)
        self._sink(equipment, row)

    # what happened

    def _ran(self) -> None:
        """Give each equipment the steps and batches that may have been in it."""
        for record, step in sorted(self._course.steps.items(), key=lambda told: (ticks_of(told[1].get("start")) or 0, told[0])):
            if self._of_these((step["equipment"],)):
                self._captured(step["equipment"]).steps[record] = step
                self._batch(step["equipment"], step.get("batch"))
        for equipment, batch in self._course.batches():
            if self._of_these((equipment,)):
                self._batch(equipment, batch)

    def _batch(self, equipment: str, batch: str | None) -> None:
        captured = self._captured(equipment)
        if batch and batch not in captured.batches:
            captured.batches.append(batch)

    def _alarm(self, event: Mapping[str, Any], entry: str) -> None:
        for equipment in self._of_these((event.get("equipment") or OF_LINE,)):
            self._captured(equipment).alarms.append({**event, "entry": entry})

    # of which equipment

    def _equipments_of(self, source: str, tag: str) -> list[str]:
        """Name the equipments that a gap is of: those of its tag; of all tags of its source; all, where no table has it."""
        of = self._of_source.get(source, {})
        if not of or (tag and tag not in of):  # of a tag of a former map: whose it was is not held
            return list(self.found)
        places = of.get(tag, ()) if tag else tuple(sorted({place for places in of.values() for place in places}))
        return self._of_these(places)

    def _of_these(self, places: Iterable[str]) -> list[str]:
        return [place for place in places if not self._wanted or place in self._wanted]

    def _captured(self, equipment: str) -> Captured:
        return self.found.setdefault(equipment, Captured(equipment))


def _places(tag: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the equipments of a tag of a stored table."""
    return tuple(name for name in str(tag.get("equipment") or "").split(";") if name) or (OF_LINE,)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
