"""Alarms: what raised, acknowledged and cleared them, with the context of that instant, kept for the batch's exception list.

Those of alarms.csv follow the readings of their tags; those that a source tells by itself come through `occurred`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from config import Alarm
from config.grammars.step_condition import Active, parse
from gateway.context import event_bodies
from gateway.context.equipment import late_alarms
from gateway.context.equipment.late_alarms import NUMBER, UNITS
from gateway.context.plan import Plan, compared
from gateway.context.standing import unknown
from gateway.context.state import Instant, Raised, State
from gateway.context.texts import LONGEST_TEXT
from gateway.entries.fold_input import Json
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339, rfc3339

Transition = Literal["raised", "cleared", "acknowledged", "confirmed"]


@dataclass(frozen=True, slots=True)
class Bell:
    """One row of alarms.csv, ready to be asked."""

    alarm: Alarm
    active: Active
    names: Mapping[str, int]
    type: str  # of the tag

    def rings(self, value: Json) -> bool:
        """Whether this value of the tag (or its bit) means the alarm."""
        if self.alarm.bit is None:
            return self.active.matches(compared(value, self.type), self.names)
        number = int(value) if isinstance(value, int | str) else 0
        return self.active.matches(bool(number >> self.alarm.bit & 1), self.names)


def bells(plan: Plan) -> dict[str, list[Bell]]:
    """Tag -> the alarms it tells."""
    found: dict[str, list[Bell]] = {}
    for alarm in plan.line.alarms:
        if alarm.tag in plan.places:
            found.setdefault(alarm.tag, []).append(Bell(alarm, parse(alarm.active), plan.codes(alarm.tag), plan.tags[alarm.tag].type))
    return found


class Alarms:
    """Which alarms stand, and in which batches they are listed."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self.bells = bells(plan)

    def seen(self, tag: str, value: Json, at: Instant) -> None:
        """A usable reading of a tag that tells alarms."""
        for bell in self.bells[tag]:
            name, rings = bell.alarm.alarm, bell.rings(value)
            if rings == (name in self._state.alarms):
                continue
            first = tag not in self._state.alarm_tags
            when = at if not first else Instant(at.ticks, None, "found-at-start") if rings else unknown(at)
            self.occurred(name, "raised" if rings else "cleared", when, self._units(bell.alarm), self._told(bell.alarm, value), key=name)
        if tag not in self._state.alarm_tags:
            self._state.alarm_tags.append(tag)

    def _units(self, alarm: Alarm) -> list[str]:
        if alarm.equipment is not None:
            return [alarm.equipment]
        named = self._plan.tags[alarm.tag].equipment
        return list(self._plan.units) if "line" in named else [e for e in named if e in self._plan.units]

    def _told(self, alarm: Alarm, value: Json) -> dict[str, Any]:
        source = self._plan.places[alarm.tag].source.name
        short = value[:LONGEST_TEXT] if isinstance(value, str) else value
        return {"source": source, "tag": alarm.tag, "value": short, "severity": alarm.severity, "text": alarm.text}

    def occurred(
        self,
        name: str,
        state: Transition,
        at: Instant,
        units: Sequence[str],
        told: Mapping[str, Any],
        *,
        key: str | None = None,
        of: Raised | None = None,
    ) -> None:
        """An alarm was raised, acknowledged, confirmed or cleared: say so, and list it in the batches concerned.

        units: names of the equipments that it concerns. told: source, severity, text, perhaps `by` (who acknowledged), and more for the
        event. key: what tells two standing alarms of one name apart. of: the occurrence that was acknowledged or confirmed, where it need
        not be the one that stands.
        """
        key = key or f"{told.get('source')}/{name}"
        raised = of or self._state.alarms.get(key)
        if raised is not None and at.ticks < raised.at.ticks:
            at = replace(at, ticks=raised.at.ticks)
        batches = sorted({b for e in units if e in self._state.where and (b := self._state.where[e].bound.batch) is not None})
        self._emit(self._event(name, state, at, units, batches, told, raised))
        if state == "raised":
            stands = {"alarm": name, "severity": told.get("severity"), "text": told.get("text")}
            occurrence = Raised(at, self._state.seq, list(units), stands, self._state.next_alarm)
            self._state.next_alarm += 1
            self._state.alarms.setdefault(key, occurrence)
            for batch in batches:
                self._list(batch, key, self._state.alarms[key], units)
            if not batches:
                late_alarms.wait(self._state, self._listing(key, self._state.alarms[key], units))
            return
        if state == "cleared":
            self._state.alarms.pop(key, None)
        for listed in (self._state.unlisted, *(batch.alarms for batch in self._state.batches.values())):
            _noted(listed, key, state, at, told.get("by"), None if of is None else of.number)

    def _event(
        self,
        name: str,
        state: Transition,
        at: Instant,
        units: Sequence[str],
        batches: Sequence[str],
        told: Mapping[str, Any],
        raised: Raised | None,
    ) -> dict[str, Any]:
        ended = raised is not None and state == "cleared"
        return {
            "type": "alarm",
            "alarm": name,
            "state": state,
            **told,
            "equipment": units[0] if len(units) == 1 else None,
            "batch": batches[0] if len(batches) == 1 else None,
            "steps": self._steps(units),
            "at": event_bodies.instant(at, self._plan.zone),
            "raised": None if raised is None else event_bodies.instant(raised.at, self._plan.zone),
            "duration_s": (at.ticks - raised.at.ticks) / TICKS_PER_S if ended and raised is not None else None,
        }

    def _steps(self, units: Sequence[str]) -> list[list[str | int]]:
        """List the steps that run in these equipments now."""
        runs = self._state.runs.values()
        return [[r.level, r.step, r.run] for r in runs if r.equipment in units and r.end is None and r.kind == "step"]

    def entered(self, unit: str, batch: str) -> None:
        """A batch comes into an equipment: what stands there belongs into its list too."""
        for key, raised in self._state.alarms.items():
            if unit in raised.units:
                self._list(batch, key, raised, raised.units)

    def _list(self, name: str, key: str, raised: Raised, units: Sequence[str]) -> None:
        batch = self._state.batches.get(name)
        if batch is None or any(a["key"] == key and a["cleared"] is None for a in batch.alarms):
            return
        late_alarms.put(batch, self._listing(key, raised, units))

    def _listing(self, key: str, raised: Raised, units: Sequence[str]) -> dict[str, Any]:
        """Give an alarm as a list has it."""
        where = {"equipment": units[0] if len(units) == 1 else None, "steps": self._steps(units)}
        times = {"raised": rfc3339(raised.at.ticks), "acknowledged": None, "acknowledged_by": None, "cleared": None, "duration_s": None}
        return {"key": key, **raised.told, **where, **times, "seq": raised.seq, NUMBER: raised.number, UNITS: list(units)}


def _noted(listed: list[dict[str, Any]], key: str, state: Transition, at: Instant, by: str | None, number: int | None) -> None:
    """What became of an alarm that a batch lists: the occurrence of this number, or the last to which it has not happened yet."""
    member = "cleared" if state == "cleared" else "acknowledged" if state == "acknowledged" else "confirmed"
    same = (a for a in reversed(listed) if a["key"] == key and number in (None, a.get(NUMBER, 0)))
    stands = next((a for a in same if a.get(member) is None), None)
    if stands is None:
        return
    stands[member] = rfc3339(at.ticks)
    if member != "cleared":
        stands[f"{member}_by"] = by
    else:
        stands["duration_s"] = (at.ticks - from_rfc3339(stands["raised"])) / TICKS_PER_S
