"""What triggers a booking or a sample: a tag that changes to what is declared, a row of a query. Each trigger is one pending booking."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.context import event_bodies
from gateway.context.materials.declared import Declared
from gateway.context.plan import Plan
from gateway.context.row_times import row_instant
from gateway.context.state import Instant, PendingBooking, State
from gateway.context.texts import key_text, short, text
from gateway.context.throttle import say_once
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_S
from gateway.parameters import usable

BEFORE_START_TICKS = 86_400 * TICKS_PER_S
"""Rows older than this before the journal's beginning tell the plant's past, not what this gateway witnessed."""


class Triggers:
    """Reads triggers out of readings and rows. wait: takes each pending booking."""

    def __init__(
        self, state: State, plan: Plan, emit: event_bodies.Emit, declared: Declared, wait: Callable[[PendingBooking], None]
    ) -> None:
        self._state, self._plan, self._emit, self._declared, self._wait = state, plan, emit, declared, wait

    def seen(self, tag: str, point: tuple[int, Json, int, int], at: Instant) -> None:
        """Take a new usable reading (ticks, value, status, seq) of a tag that triggers."""
        before = self._before(tag, point[0])
        last = self._state.triggers.get(tag)
        if last is None or point[0] >= last[0]:
            self._state.triggers[tag] = (point[0], short(point[1]))
        for key, active in self._declared.triggers[tag]:
            if not self._declared.means(tag, active, point[1]) or (before is not None and self._stood(tag, active, before[1], point[1])):
                continue
            if before is None:
                self._found(tag, key[1], key[2])
                continue
            pending = PendingBooking(*key, tag, active, at, point[3], self._state.now, short(point[1]))
            if not self._known(pending):
                self._wait(pending)

    def _found(self, tag: str, name: str, equipment: str) -> None:
        if say_once(self._state.late, f"first/{tag}", self._state.now):
            message = f"{name}: {tag} stood so when it was first seen; nobody saw it happen, nothing is booked"
            self._emit(event_bodies.finding("booking-found-at-start", "info", message, {"equipment": equipment}, tags=[tag]))

    def _known(self, pending: PendingBooking) -> bool:
        """Return whether this very change is known: seen first after a gap, history tells it once more, and knows when it was."""
        for booked in self._state.booked.values():
            if _same(booked.occurred, pending):
                if booked.occurred.at.basis != "observed":
                    booked.occurred = pending
                    booked.dirty, booked.reason = self._state.now, "late-data"
                return True
        waiting = next((n for n, other in enumerate(self._state.occurred) if _same(other, pending)), None)
        if waiting is not None and self._state.occurred[waiting].at.basis != "observed":
            self._state.occurred[waiting] = pending
        return waiting is not None

    def _before(self, tag: str, ticks: int) -> tuple[int, Json] | None:
        """Find the usable reading before an instant."""
        track = self._state.tracks[tag]
        point = track.before(ticks)
        while point is not None and (point[1] is None or not usable(point[2])):
            point = track.before(point[0])
        if point is not None:
            return point[0], point[1]
        last = self._state.triggers.get(tag)
        return last if last is not None and last[0] < ticks else None

    def _stood(self, tag: str, active: str | None, before: Json, value: Json) -> bool:
        """Return whether it is nothing new: the tag had this value, or another that means the same."""
        return short(before) == short(value) if active is None else self._declared.means(tag, active, before)

    def rows(self, event: Mapping[str, Any]) -> None:
        """Take the rows of a `message` event that trigger."""
        query = f"{event['source']}.{event['name']}"
        if query in self._declared.queries:
            for row in event["rows"]:
                self._row(query, row, row_instant(self._state, self._plan, event, row))

    def _row(self, query: str, source_row: Mapping[str, Any], at: Instant) -> None:
        now, row = self._state.now, {column: text(value) for column, value in source_row["row"].items()}
        for key, rows in self._declared.rows.items():
            for where in dict.fromkeys(occasion.where for occasion in rows if occasion.trigger == query):
                if any(row.get(column) != value for column, value in where):
                    continue
                if at.ticks < self._state.began - BEFORE_START_TICKS:
                    self.past(query)
                    continue
                row_key, gone = key_text(str(source_row["key"])), source_row["change"] == "deleted"
                self._wait(PendingBooking(*key, query, None, at, self._state.seq, now, None, row, row_key, gone))

    def past(self, query: str) -> None:
        """Say, once in a while, that a query tells of before this journal."""
        if say_once(self._state.late, f"old/{query}", self._state.now):
            message = f"{query}: rows from before this journal are not booked"
            self._emit(event_bodies.finding("booking-before-start", "info", message, {}))


def _same(one: PendingBooking, other: PendingBooking) -> bool:
    names = ("table", "name", "equipment", "trigger", "value")
    return one.row is None and one.at.ticks == other.at.ticks and all(getattr(one, n) == getattr(other, n) for n in names)
