"""Gathers what a journal holds of an interval, equipment by equipment: readings, steps, alarms, and what was not observed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import orjson

from buffer import event_type
from gateway.entries.status_names import status_name
from gateway.entries.stored_rows import StoredColumns
from gateway.entries.ticks import from_rfc3339

OF_LINE = "line"
"""What no equipment of the map has."""
UNCERTAIN = 0x40000000
_TIME = re.compile(rb'"time":"([^"]+)"')


class Row(NamedTuple):
    """One row of the file of an equipment: a reading, or something that was not observed. begin, end: ticks; end None: it lasts."""

    what: str
    tag: str
    value: Any
    unit: str | None
    status: str
    begin: int
    end: int | None
    source: str
    batch: str | None
    steps: str
    entry: str
    detail: str


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


Sink = Callable[[str, Row], None]


class Gathering:
    """Goes through a journal once. sink: takes (equipment, row of a reading), as they come; gaps are known at the end."""

    def __init__(self, begin: int, end: int, equipments: Iterable[str], sink: Sink) -> None:
        """begin, end: ticks, by when entries were made. equipments: of which alone; none: of all."""
        self._begin, self._end, self._wanted, self._sink = begin, end, frozenset(equipments), sink
        self._tables: dict[str, dict[int, dict[str, Any]]] = {}
        self._of_source: dict[str, dict[str, tuple[str, ...]]] = {}
        self._gaps: dict[tuple[str, str], Row] = {}
        self.found: dict[str, Captured] = {}
        self.first: int | None = None
        self.last: int | None = None

    def of(self, payloads: Iterable[bytes]) -> dict[str, Captured]:
        """Take the entries of a journal, in order, and return what was captured, by equipment."""
        for name in self._wanted:
            self._captured(name)
        for payload in payloads:
            self._take(event_type(payload), payload)
        if not self.found:
            self._captured(OF_LINE)
        for row in (*self._reaching(), *self._not_held()):
            for equipment in self._equipments_of(row.source, row.tag):
                self._captured(equipment).gaps.append(row._replace(tag=row.tag or "all"))
        return dict(sorted(self.found.items()))

    def _take(self, kind: str, payload: bytes) -> None:
        told = _TIME.search(payload)
        ticks = 0 if told is None else from_rfc3339(told[1].decode())
        self.first = ticks if self.first is None else min(self.first, ticks)
        self.last = ticks if self.last is None else max(self.last, ticks)
        is_inside = self._begin <= ticks < self._end
        if not kind:
            if is_inside:
                self._readings(orjson.loads(payload), ticks)
        elif kind in {"tagset", "gap", "step"} or (kind in {"alarm", "batch"} and is_inside):
            entry = orjson.loads(payload)
            getattr(self, f"_{kind}")(entry["event"], f"{entry['epoch']}/{entry['seq']}")

    # readings

    def _tagset(self, event: Mapping[str, Any], _entry: str) -> None:
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
        if row.batch and row.batch not in captured.batches:
            captured.batches.append(row.batch)
        if is_good and (number := _number(row.value)) is not None:
            seen.low = number if seen.low is None else min(seen.low, number)
            seen.high = number if seen.high is None else max(seen.high, number)
        self._sink(equipment, row)

    # what happened

    def _step(self, event: Mapping[str, Any], entry: str) -> None:
        """Keep the newest revision of each step that ran in the interval, whenever it was written."""
        start, end = _ticks(event.get("start")), _ticks(event.get("end"))
        if event["transition"] != "end" or start is None or end is None or start >= self._end or end <= self._begin:
            return
        if not self._wanted or event["equipment"] in self._wanted:
            self._captured(event["equipment"]).steps[event["record"]] = {**event, "entry": entry}

    def _alarm(self, event: Mapping[str, Any], entry: str) -> None:
        for equipment in self._of_these((event.get("equipment") or OF_LINE,)):
            self._captured(equipment).alarms.append({**event, "entry": entry})

    def _batch(self, event: Mapping[str, Any], _entry: str) -> None:
        equipment, batch = event.get("equipment"), event.get("batch")
        if equipment and batch and self._of_these((equipment,)) and batch not in self._captured(equipment).batches:
            self._captured(equipment).batches.append(batch)

    # what was not observed

    def _gap(self, event: Mapping[str, Any], entry: str) -> None:
        """Note a gap, tag by tag; a later event of it says more of these tags. What history gave in part is a gap still."""
        begin = from_rfc3339(event["start"])
        end = None if event.get("end") is None else from_rfc3339(event["end"])
        name, source = str(event["gap"]), str(event["source"])
        tags = [""] if event["tags"] == "all" else [str(tag) for tag in event["tags"]]
        if tags != [""] and (name, "") in self._gaps:
            self._split(name, source)
        for tag in tags:
            for key in [key for key in self._gaps if key[0] == name and (not tag or key[1] == tag)] or [(name, tag)]:
                known = self._gaps.get(key)
                if event["transition"] == "fill":
                    self._filled(key, known, begin, end)
                elif event.get("outcome") == "filled":
                    self._gaps.pop(key, None)
                else:
                    detail = f"gap {name}, {event.get('cause') or 'cause not told'}"
                    self._gaps[key] = Row("gap", key[1], None, None, "not observed", begin, end, source, None, "", entry, detail)

    def _filled(self, key: tuple[str, str], known: Row | None, begin: int, end: int | None) -> None:
        """Take what a server's history gave of a gap afterwards."""
        if known is None or end is None:
            return
        if known.end is not None and begin <= known.begin and end >= known.end:
            del self._gaps[key]
        else:
            self._gaps[key] = known._replace(detail=f"{known.detail}; of a part of it history gave values afterwards")

    def _split(self, name: str, source: str) -> None:
        """Turn a gap of all tags of a source into one for each, which end one by one."""
        whole = self._gaps.pop((name, ""))
        for tag in self._of_source.get(source, {}):
            self._gaps[name, tag] = whole._replace(tag=tag)

    def _reaching(self) -> Iterator[Row]:
        """Yield the gaps that reach into the interval."""
        for row in self._gaps.values():
            if row.begin < self._end and (row.end is None or row.end > self._begin):
                yield row

    def _not_held(self) -> Iterator[Row]:
        """Say what of the interval the journal does not reach: before its first entry, after its newest."""
        if self.first is None or self.first > self._begin:
            until, why = self.first, "the journal holds nothing of before this: not begun, or removed by retention"
            yield Row("gap", "", None, None, "not held", self._begin, until, "", None, "", "", why)
        if self.last is not None and self.last < self._end:
            why = "the journal holds nothing of after this: no gateway wrote"
            yield Row("gap", "", None, None, "not held", max(self.last, self._begin), self._end, "", None, "", "", why)

    # of which equipment

    def _equipments_of(self, source: str, tag: str) -> list[str]:
        """Name the equipments that a gap is of: those of its tag; of all tags of its source; all, where the map has no tags of that."""
        of = self._of_source.get(source, {})
        if not of:
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


def _ticks(at: Mapping[str, Any] | None) -> int | None:
    return None if not at else from_rfc3339(at["time"])


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
