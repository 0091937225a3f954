"""Gathers the days of a period from the journal, entry by entry. Readings are not parsed: what is asked stands in their bytes."""

import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from buffer import Entry, event_type
from gateway.alarms.observation import Observed, take
from gateway.entries.fold_input import UNVERIFIED
from gateway.entries.held import Held, Span
from gateway.entries.ticks import from_rfc3339
from gateway.observation.day import MOST_BATCHES, MOST_ROWS, Day, day_span
from gateway.observation.gap_events import GapEvents, Open

Position = tuple[int, int]
OWN = "observation-"
"""Codes of findings about the observation itself: a limit that was exceeded is not one more alarm of the next day."""
LATE = "late-cycle"
RECONCILIATION, COMPARISON = "reconciliation", "parallel-run-comparison"
_OTHERS = frozenset({"stamps", "audit", "step", "material", "sample", "context", "clock", "epoch", "message", "checkpoint"})
"""Types of events of which only time and clock are asked: not parsed, as readings."""
_TIME, _SOURCE, _STATUS, _BOUND = b'"time":"', b'"source":"', b'"clock":{"status":"', b'"bound_s":'


class Gathered:
    """The days of a period, as far as the journal was read."""

    def __init__(
        self, begin: date, until: date, zone: ZoneInfo, before: Iterable[tuple[str, Open]] = (), through: Position | None = None
    ) -> None:
        """before: gaps that opened earlier and are open now. through: the last entry that is looked at; None: all that come."""
        days = [begin + timedelta(days=at) for at in range((until - begin).days + 1)]
        self.days = [Day(day, day_span(day, zone)) for day in days]
        self.by_day = {one.day: one for one in self.days}
        self.period = Span(self.days[0].span.begin, self.days[-1].span.end)
        self.held = Held(self.period)
        self.gaps = GapEvents(self.days, before)
        self.ranges: list[tuple[int, int, int]] = []
        """Of each epoch that was read: it, its first and its last entry."""
        self.read_to = 0
        self.kept = Observed()
        """Of the documents that were read: reports of days, and the end."""
        self.comparisons: dict[str, tuple[str, str]] = {}
        self._through = through
        self._begins = [f"{_utc(one.span.begin):%Y-%m-%dT%H:%M:%S}" for one in self.days]
        self._end = f"{_utc(self.period.end):%Y-%m-%dT%H:%M:%S}"
        self._batch_day: dict[str, Day | None] = {}
        self._asked: set[str] = set()
        self._line = ""

    def take(self, held: Entry) -> None:
        """Take the next entry of the journal."""
        kind, payload = event_type(held.payload), held.payload
        if self._through is not None and (held.epoch, held.seq) > self._through:
            if kind == "gap":
                self.gaps.later(orjson.loads(payload)["event"], self.read_to)
            return
        text = _after(payload, _TIME)
        ticks, day = from_rfc3339(text), self._day_of(text)
        epoch, first, _ = self.ranges.pop() if self.ranges and self.ranges[-1][0] == held.epoch else (held.epoch, held.seq, held.seq)
        self.ranges.append((epoch, first, held.seq))
        self.read_to = max(self.read_to, ticks)
        is_readings = not kind
        event = None if is_readings or kind in _OTHERS - {"epoch"} else orjson.loads(payload)["event"]
        self.held.take(held.epoch, held.seq, ticks, event if kind == "epoch" else None)
        if day is not None:
            self._count(day, payload)
            if is_readings:
                day.heard.add(_after(payload, _SOURCE))
        if event is not None:
            self._event(kind, event, day, text)

    def whole(self, day: Day) -> bool:
        """Return whether the journal holds the day, and was read to its end."""
        return (
            self.read_to >= day.span.end and not self.held.more_holes and all(hole.clipped(*day.span) is None for hole in self.held.holes)
        )

    def _day_of(self, text: str) -> Day | None:
        if text[:19] >= self._end:
            return None
        at = bisect_right(self._begins, text[:19]) - 1
        return self.days[at] if at >= 0 else None

    def _count(self, day: Day, payload: bytes) -> None:
        """Take the clock of an entry."""
        if not day.entries:
            day.asked |= self._asked
        day.entries += 1
        at = payload.find(_STATUS)
        if at < 0:
            return
        day.verified += _after(payload[at : at + 60], _STATUS) not in UNVERIFIED
        begin = payload.find(_BOUND, at, at + 80)
        bound = payload[begin + len(_BOUND) : begin + len(_BOUND) + 24].partition(b",")[0] if begin >= 0 else b"null"
        if bound != b"null":
            day.bounded += 1
            day.worst_bound_s = max(float(bound), day.worst_bound_s or 0.0)

    def _event(self, kind: str, event: Mapping[str, Any], day: Day | None, text: str) -> None:
        match kind:
            case "gap":
                self.gaps.take(event, day)
            case "tagset":
                self.gaps.table(event)
            case "config":
                self._config(event, day)
            case "source" if day is not None and event["state"] in ("connected", "resumed"):
                day.heard.add(str(event["source"]))
            case "heartbeat":
                for source, observed in event["observed"].items():
                    if (seen := self._day_of(str(observed))) is not None:
                        seen.heard.add(source)
            case "finding" if day is not None:
                _told(day, event)
            case "batch" if event["transition"] == "end" and event.get("batch"):
                self._ended(str(event["batch"]), event, day)
            case "document":
                self._document(event, day, text)

    def _config(self, event: Mapping[str, Any], day: Day | None) -> None:
        """Take which sources the configuration has: one that never spoke is told of by nothing else."""
        if event.get("part", 1) == 1:
            self._line = ""
        self._line += "".join(piece["text"] for piece in event.get("files", ()) if piece["name"] == "line.toml")
        if event.get("part", 1) != event.get("of", 1) or not self._line:
            return
        try:
            told = tomllib.loads(self._line).get("source", [])
        except tomllib.TOMLDecodeError:
            return
        self._asked = {str(one["name"]) for one in told if isinstance(one, Mapping) and "name" in one}
        if day is not None:
            day.asked |= self._asked

    def _ended(self, batch: str, event: Mapping[str, Any], day: Day | None) -> None:
        """Take the end record of a batch, or a revision: it belongs to the day on which the first was made."""
        if batch not in self._batch_day:
            is_first = event.get("revision", 1) == 1
            if day is not None and is_first and len(day.batches) >= MOST_BATCHES:
                day.more_batches += 1
                return
            if day is None or not is_first:
                return
            self._batch_day[batch] = day
        its = self._batch_day[batch]
        if its is not None and event.get("superseded_by"):
            its.batches.pop(batch, None)
        elif its is not None:
            its.batches[batch] = str(event.get("status"))

    def _document(self, event: Mapping[str, Any], day: Day | None, text: str) -> None:
        kind = str(event.get("document"))
        take(self.kept, event)
        if kind.startswith(RECONCILIATION) and day is not None and event.get("part", 1) == 1:
            _reconciled(day, kind, event, text)
        elif kind == COMPARISON and event.get("batch") in self._batch_day:
            made = (str(event["made_at"]["time"]), str(event.get("result")))
            self.comparisons[event["batch"]] = max(made, self.comparisons.get(event["batch"], made))


def _reconciled(day: Day, kind: str, event: Mapping[str, Any], text: str) -> None:
    """Take a comparison with a receiver. Only one of all that is held says that nothing differs."""
    day.differing += event.get("result") == "finding"
    if kind == RECONCILIATION:
        day.compared[str(event.get("title"))] = (from_rfc3339(text), str(event.get("result")))
    if len(day.reconciliations) < MOST_ROWS:
        told = {name: event.get(name) for name in ("id", "title", "result", "batch")}
        day.reconciliations.append({"time": text, "kind": kind, **told})
    else:
        day.more_reconciliations += 1


def _told(day: Day, event: Mapping[str, Any]) -> None:
    code, severity = str(event["code"]), str(event["severity"])
    if code.startswith(OWN):
        return
    day.late += code == LATE
    if severity == "info":
        day.over[code] += 1
    else:
        day.raised[code, severity] += 1


def _utc(ticks: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)


def _after(payload: bytes, mark: bytes) -> str:
    """Return the text behind the first mark, to its quote; "" if it is not there."""
    begin = payload.find(mark)
    return "" if begin < 0 else payload[begin + len(mark) : payload.index(b'"', begin + len(mark))].decode()
