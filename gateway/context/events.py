"""Events as the fold takes them: what starts, gaps and rows tell, and how far each source is proved to have been observed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.alarms import observation, periodic
from gateway.context import configurations, event_bodies, source_rows
from gateway.context.equipment.conditions import CONDITIONS, Conditions
from gateway.context.former_keys import adopt
from gateway.context.plan import FIELDS
from gateway.context.readings import Readings
from gateway.context.records import led_elsewhere
from gateway.context.row_times import begin_look, end_look
from gateway.context.signals.rows import Rows
from gateway.context.signals.settle import Origin
from gateway.context.signals.steps_from_rows import RowSteps
from gateway.context.state import Instant
from gateway.context.texts import text
from gateway.entries.fallback import ACTIONS as FALLBACK
from gateway.entries.fold_input import learn
from gateway.entries.ticks import from_rfc3339

MOST_REVIEWED = 1_000


@dataclass(slots=True)
class Events:
    """Takes events, and tells each of the fold's parts what concerns it."""

    readings: Readings
    rows: Rows
    rowsteps: RowSteps
    conditions: Conditions
    emit: event_bodies.Emit

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event. Those that say nothing of the line are passed over."""
        state = self.readings.state
        state.periodic.began = state.periodic.began or state.now
        match event["type"]:
            case "message":
                self._message(event)
            case "gap":
                self._gap(event)
            case "heartbeat":
                for source, observed in event["observed"].items():
                    self._alive(source, from_rfc3339(observed))
            case "source" if event["state"] == "resumed":
                self._resumed(event)
            case "config":
                if configurations.take(state, event):
                    self._configured_anew()
            case "tagset":
                learn(state.tagsets, event)
            case "context":
                self._pushed(event)
            case "audit" if event["action"] in FALLBACK:
                led_elsewhere.take(state, event, self.readings.plan.zone, self.emit)
            case "document":
                _reviewed(state.reviewed, event)
                periodic.take(state.periodic, event, state.now)
                observation.take(state.observation, event)

    # configuration

    def _configured_anew(self) -> None:
        """Make records whose readings are all still held again under the new configuration; nothing comes of it if nothing differs."""
        state, plan = self.readings.state, self.readings.plan
        for run in state.runs.values():
            tags = plan.gathered(run.equipment, run.kind, run.name).tags
            if run.revision and all(state.tracks[tag].through <= run.start.ticks for tag in tags):
                run.book, run.dirty, run.reason = None, state.now, run.reason or "config-corrected"

    # rows and pushes

    def _message(self, event: Mapping[str, Any]) -> None:
        if event["name"] == CONDITIONS:
            self.conditions.take(event)
            return
        readings = self.readings
        state, plan = readings.state, readings.plan
        begin_look(state, event)
        self._alive(event["source"], state.now)
        readings.contexts.changed()
        adopt(state, plan, event)
        source_rows.compare(state, event, self.rows.telling, self.emit)
        for unit, at, wrong in self.rows.take(event):
            if wrong is not None:
                readings.settling.correct(unit, wrong, at)
            readings.settling.identify(unit, Origin(at, state.seq, None))
        self.rowsteps.take(event)
        readings.bookings.rows(event)
        end_look(state, event)

    def _pushed(self, event: Mapping[str, Any]) -> None:
        readings = self.readings
        state, unit = readings.state, readings.plan.units.get(event["equipment"])
        if unit is None:
            return
        readings.contexts.changed()
        values = {name: text(value) for name, value in event["values"].items() if name in FIELDS}
        state.where[unit.name].pushed.update(values)
        readings.settling.identify(unit, Origin(Instant(state.now, 0), state.seq, None))

    # gaps and life

    def _alive(self, source: str, ticks: int) -> None:
        """Note that a source is proved to have been observed until `ticks`, without a reading."""
        readings = self.readings
        state = readings.state
        state.frontier[source] = max(state.frontier.get(source, 0), ticks)
        state.observed[source] = max(state.observed.get(source, 0), ticks)
        if not readings.plan.names.get(source):
            readings.close(readings.gaps.spoke(source, ticks))

    def _resumed(self, event: Mapping[str, Any]) -> None:
        readings = self.readings
        closed = readings.gaps.resumed(event)
        observed, source = from_rfc3339(event["observed"]), event["source"]
        readings.state.observed[source] = max(readings.state.observed.get(source, 0), observed)
        readings.close(closed)
        readings.silences.resumed(closed.tags, observed)
        for name, (start, end) in closed.tags.items():
            readings.touched([name], start, end, "late-data")

    def _gap(self, event: Mapping[str, Any]) -> None:
        readings, start = self.readings, from_rfc3339(event["start"])
        if event["transition"] == "open":
            tags = readings.plan.names.get(event["source"], []) if event["tags"] == "all" else event["tags"]
            readings.learned(event["source"], tags, start)
            readings.close(readings.gaps.open(event))
            readings.touched(tags, start, None, "late-data")
        elif event["transition"] == "fill":
            readings.touched(readings.gaps.filled(event), start, from_rfc3339(event["end"]), "late-data")
        elif event["transition"] == "close":
            readings.holds.gap(event)
            closed = readings.gaps.closed(event)
            readings.silences.resumed(closed.tags, from_rfc3339(event["end"]))


def _reviewed(reviewed: dict[str, str], event: Mapping[str, Any]) -> None:
    """Remember the review of the audit trail of a batch that had ended, of the newest batches."""
    batch, scope = event.get("batch"), event.get("scope")
    if event.get("document") == "audit-trail-review" and batch is not None and isinstance(scope, dict) and scope.get("batch_had_ended"):
        reviewed.pop(str(batch), None)
        reviewed[str(batch)] = str(event.get("id"))
        while len(reviewed) > MOST_REVIEWED:
            reviewed.pop(next(iter(reviewed)))
