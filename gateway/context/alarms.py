"""Alarms that tags tell: raised and cleared by alarms.csv, each at the time of its reading, and kept for the batch's exception list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config import Alarm
from config.active import Active, parse
from gateway.context import records
from gateway.context.identity import LONGEST_TEXT
from gateway.context.plan import Plan
from gateway.context.state import Instant, Raised, State
from gateway.observed import Json

MOST_LISTED = 1_000
"""Alarms in a batch's end record; all of them stand in the journal, and their number in the record."""


@dataclass(frozen=True, slots=True)
class Bell:
    """One row of alarms.csv, ready to be asked."""

    alarm: Alarm
    active: Active
    names: Mapping[str, int]

    def rings(self, value: Json) -> bool:
        """Whether this value of the tag (or its bit) means the alarm."""
        if self.alarm.bit is None:
            return self.active.matches(value, self.names)
        number = int(value) if isinstance(value, int | str) else 0
        return self.active.matches(bool(number >> self.alarm.bit & 1), self.names)


def bells(plan: Plan) -> dict[str, list[Bell]]:
    """Tag -> the alarms it tells."""
    found: dict[str, list[Bell]] = {}
    for alarm in plan.line.alarms:
        if alarm.tag in plan.places:
            found.setdefault(alarm.tag, []).append(Bell(alarm, parse(alarm.active), plan.codes(alarm.tag)))
    return found


class Alarms:
    """Which alarms stand."""

    def __init__(self, state: State, plan: Plan, emit: Callable[[dict[str, Any]], str]) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self.bells = bells(plan)

    def seen(self, tag: str, value: Json, at: Instant) -> None:
        """A usable reading of a tag that tells alarms."""
        for bell in self.bells[tag]:
            name, rings = bell.alarm.alarm, bell.rings(value)
            raised = self._state.alarms.get(name)
            if rings == (raised is not None):
                continue
            if raised is None:
                first = tag not in self._state.alarm_tags
                when = Instant(at.ticks, None, "found-at-start") if first else at
                self._state.alarms[name] = Raised(when, self._state.seq)
                self._say(bell.alarm, "raised", when, value)
            else:
                del self._state.alarms[name]
                self._say(bell.alarm, "cleared", Instant(max(at.ticks, raised.at.ticks), at.window, at.basis), value, raised)
        if tag not in self._state.alarm_tags:
            self._state.alarm_tags.append(tag)

    def _say(self, alarm: Alarm, state: str, at: Instant, value: Json, raised: Raised | None = None) -> None:
        zone, place = self._plan.zone, self._plan.places[alarm.tag]
        units = [alarm.equipment] if alarm.equipment is not None else [e for e in place.tag.equipment if e in self._plan.units]
        batches = sorted({b for e in units if e in self._state.where and (b := self._state.where[e].bound.batch) is not None})
        event: dict[str, Any] = {
            "type": "alarm",
            "alarm": alarm.alarm,
            "state": state,
            "source": place.source.name,
            "tag": alarm.tag,
            "value": value[:LONGEST_TEXT] if isinstance(value, str) else value,
            "severity": alarm.severity,
            "text": alarm.text,
            "equipment": units[0] if len(units) == 1 else None,
            "batch": batches[0] if len(batches) == 1 else None,
            "steps": [[r.level, r.step, r.run] for r in self._state.runs.values() if r.equipment in units and r.end is None and r.step],
            "at": records.instant(at, zone),
            "raised": None if raised is None else records.instant(raised.at, zone),
        }
        self._emit(event)
        for name in batches:
            self._list(name, alarm, state, event)

    def _list(self, name: str, alarm: Alarm, state: str, event: dict[str, Any]) -> None:
        batch = self._state.batches.get(name)
        if batch is None:
            return
        if state == "cleared":
            standing = next((a for a in reversed(batch.alarms) if a["alarm"] == alarm.alarm and a["cleared"] is None), None)
            if standing is not None:
                standing["cleared"] = event["at"]["time"]
            return
        batch.alarm_count += 1
        if len(batch.alarms) < MOST_LISTED:
            told = {k: event[k] for k in ("alarm", "severity", "text", "equipment", "steps")}
            batch.alarms.append({**told, "raised": event["at"]["time"], "cleared": None, "seq": self._state.seq})
