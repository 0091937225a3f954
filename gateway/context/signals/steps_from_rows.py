"""Steps as MES rows tell them: made into runs where they count (`steps_from = "mes"`), else kept to be compared with the signals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import MesSteps
from gateway.context import event_bodies
from gateway.context.plan import Plan, Unit
from gateway.context.records.runs import Runs
from gateway.context.row_times import basis_of
from gateway.context.signals.occupancy import Occupancy
from gateway.context.state import IDENTITY, Basis, EquipmentState, Heard, Instant, Run, State, Told
from gateway.context.texts import text
from gateway.context.throttle import say_once
from gateway.context.waits import lasts
from gateway.entries.findings import Severity
from gateway.entries.ticks import TICKS_PER_S, from_datetime, from_rfc3339, rfc3339

MOST_HEARD = 1_000
"""Rows that wait for the identity of their equipment."""


class RowSteps:
    """What the rows of `mes_steps` say of each equipment's steps."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, occupancy: Occupancy) -> None:
        self._state, self._plan, self._emit, self._runs, self._occupancy = state, plan, emit, runs, occupancy

    def take(self, event: Mapping[str, Any]) -> None:
        """Take a `message` event: the rows that tell steps of an equipment."""
        query = f"{event['source']}.{event['name']}"
        for unit in self._plan.units.values():
            how = unit.equipment.mes_steps
            if how is None or how.row != query:
                continue
            for told in event["rows"]:
                if text(told["row"].get(how.key)) == unit.equipment.unit_id:
                    self._row(unit, how, event, told)

    def settle(self) -> None:
        """Let the rows count whose equipment knows for whom it works."""
        for name, where in self._state.where.items():
            if where.heard and IDENTITY not in where.pending and not self._waits(name, where):
                heard, where.heard = where.heard, []
                for one in heard:
                    self._count(self._plan.units[name], one)

    # rows

    def _waits(self, name: str, where: EquipmentState) -> bool:
        """Return whether rows of before anybody looked wait for those of the orders, which may be read after them."""
        unit, now = self._plan.units[name], self._state.now
        return any("told-by-row" in {h.start_basis, h.end_basis} and lasts(now, h.entered, unit.settle_s_ticks) for h in where.heard)

    def _row(self, unit: Unit, how: MesSteps, event: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        where = self._state.where[unit.name]
        heard = self._read(unit, how, told)
        if isinstance(heard, Heard):
            bases = [basis_of(self._state, self._plan, event, ticks or self._state.now) for ticks in (heard.start, heard.end)]
            heard.start_basis, heard.end_basis = bases
        if isinstance(heard, str):
            self._say(unit, "mes-step-unreadable", f"row {told['key']} of {how.row}: {heard}", {"key": told["key"]})
        elif unit.equipment.steps_from == "mes":
            where.heard = [*where.heard, heard][-MOST_HEARD:]
        else:
            note(where, heard)

    def _read(self, unit: Unit, how: MesSteps, told: Mapping[str, Any]) -> Heard | str:
        """What a row says, or why nobody can tell."""
        row = told["row"]
        step, run = text(row.get(how.step)), text(row.get(how.run)) if how.run is not None else None
        if step is None or all(known.row.step != step for known in unit.steps):
            return f"{step!r} is no step of {unit.name} in steps.csv"
        if told["change"] == "deleted":
            return "deleted; what it told stays"
        heard = Heard(str(told["key"]), step, run, None, None, self._state.seq, told["change"], entered=self._state.now)
        if how.state is None:
            zone = ZoneInfo(how.zone) if how.zone is not None else self._plan.zone
            try:
                heard.start, heard.end = (_moment(row.get(column or ""), zone) for column in (how.start, how.end))
            except ValueError as error:
                return str(error)
        elif told.get("time") is None:
            return "it has no time"
        elif (word := text(row.get(how.state))) == how.started:
            heard.start = from_rfc3339(told["time"])
        elif word == how.ended:
            heard.end = from_rfc3339(told["time"])
        else:
            return f"{how.state} is {word!r}, neither {how.started} nor {how.ended}"
        if heard.start is not None and heard.end is not None and heard.end < heard.start:
            return "it ends before it starts"
        return heard

    # runs

    def _count(self, unit: Unit, heard: Heard) -> None:
        """A row makes, ends or corrects a run."""
        mine = [r for r in self._state.runs.values() if r.equipment == unit.name and (r.kind, r.name) == ("step", heard.step)]
        known = next((r for r in mine if heard.key in r.rows), None)
        if known is None and self._is_past(unit, heard):
            return
        if known is not None:
            self._again(unit, known, heard)
        elif heard.change == "changed":
            self._say(unit, "late-correction", f"row {heard.key} was changed after its record was final", {"key": heard.key})
        elif heard.start is not None:
            self._begin(unit, mine, heard)
        elif heard.end is not None:
            self._end(unit, mine, heard)

    def _is_past(self, unit: Unit, heard: Heard) -> bool:
        """Return whether a row tells of before this journal, and of no batch that is here: nobody asks for the plant's past."""
        first = min(ticks for ticks in (heard.start, heard.end) if ticks is not None) if heard.start or heard.end else self._state.now
        bases = {heard.start_basis, heard.end_basis}
        if "told-by-row" not in bases or first >= self._state.began or self._occupancy.who(unit, first).batch in self._state.batches:
            return False
        self._say(
            unit, "step-before-start", "rows tell steps of before this journal; no records are made of them", {"key": heard.key}, "info"
        )
        return True

    def _begin(self, unit: Unit, mine: list[Run], heard: Heard) -> None:
        assert heard.start is not None
        at = _instant(heard.start, heard.start_basis)
        for run in mine:
            if run.end is None and run.key == heard.run:
                self._runs.end(run, at, heard.seq, "unknown")
        who = self._occupancy.who(unit, at.ticks)
        row = unit.row_of(heard.step, who)
        if row is None:
            return
        self._occupancy.witness(unit, who, heard.seq)
        begun = self._runs.begin(unit, row, heard.run, who, at, heard.seq)
        begun.rows.append(heard.key)
        if heard.end is not None:
            self._runs.end(begun, _instant(heard.end, heard.end_basis), heard.seq, None)

    def _end(self, unit: Unit, mine: list[Run], heard: Heard) -> None:
        assert heard.end is not None
        end = heard.end
        going = [r for r in mine if r.start.ticks <= end and (heard.run is None or r.key == heard.run)]
        run = next((r for r in reversed(going) if r.end is None), None)
        if run is not None:
            run.rows.append(heard.key)
            self._runs.end(run, _instant(end, heard.end_basis), heard.seq, None)
            return
        cut = next((r for r in reversed(going) if r.end is not None and r.cause == "batch-changed" and end <= r.end.ticks), None)
        if cut is None:
            text_ = f"row {heard.key}: {heard.step} ends, and did not start"
            self._say(unit, "mes-step-unreadable", text_, {"key": heard.key, "at": rfc3339(end)})
            return
        cut.rows.append(heard.key)
        cut.end, cut.cause = _instant(end, heard.end_basis), "unknown" if heard.end_basis == "told-by-row" else None
        self._revise(cut, "late-data")

    def _again(self, unit: Unit, run: Run, heard: Heard) -> None:
        """A row that made this run says something else now, or says its end."""
        start = run.start.ticks if heard.start is None else heard.start
        if run.end is None:
            if heard.end is not None and start == run.start.ticks:
                self._runs.end(run, _instant(heard.end, heard.end_basis), heard.seq, None)
                return
            end = None
        else:
            end = run.end.ticks if heard.end is None else heard.end
        if (start, end) == (run.start.ticks, None if run.end is None else run.end.ticks):
            return
        self._correct(unit, run, start, end, heard)
        if run.end is None and heard.end is not None:
            self._runs.end(run, _instant(heard.end, heard.end_basis), heard.seq, None)

    def _correct(self, unit: Unit, run: Run, start: int, end: int | None, heard: Heard) -> None:
        """The source corrected a time that stood already: the record is made again if its series is still held."""
        old = {"start": rfc3339(run.start.ticks), "end": None if run.end is None else rfc3339(run.end.ticks)}
        new = {"start": rfc3339(start), "end": None if end is None else rfc3339(end)}
        evidence = {"equipment": unit.name, "batch": run.identity.batch, "record": run.record, "key": heard.key, "old": old, "new": new}
        if not self._runs.values.held(run, start, end):
            told = f"{run.record}: row {heard.key} was corrected too late; the closed record does not change"
            self._emit(event_bodies.finding("late-correction", "warning", told, evidence))
            return
        self._emit(event_bodies.finding("source-corrected", "info", f"{run.record}: row {heard.key} was corrected", evidence))
        if start != run.start.ticks:
            run.start, run.book = _instant(start, heard.start_basis), None
            run.record = event_bodies.record_id(self._runs.gateway, run)
        if end is not None:
            run.end = _instant(end, run.end.basis if run.end is not None and end == run.end.ticks else heard.end_basis)
        self._revise(run, "source-corrected")

    def _revise(self, run: Run, reason: str) -> None:
        if run.revision:
            run.dirty, run.reason = self._state.now, run.reason or reason

    def _say(self, unit: Unit, code: str, message: str, evidence: dict[str, Any], severity: Severity = "warning") -> None:
        if say_once(self._state.where[unit.name].noted, code, self._state.now):
            self._emit(event_bodies.finding(code, severity, f"{unit.name}: {message}", {"equipment": unit.name, **evidence}))


def note(where: EquipmentState, heard: Heard) -> None:
    """Keep what a row tells, for the comparison."""
    known = next((told for told in where.told if heard.key in told.rows), None)
    if known is not None:
        known.start = known.start if heard.start is None else heard.start
        if known.rows[-1] == heard.key or heard.start is None:
            known.end = known.end if heard.end is None else heard.end
        return
    if heard.start is not None:
        where.tell(Told(heard.step, heard.start, heard.end, [heard.key]))
    elif heard.end is not None:
        end = heard.end
        going = (told for told in reversed(where.told) if told.step == heard.step and told.end is None and told.start <= end)
        told = next(going, None)
        if told is not None:
            told.end = end
            told.rows.append(heard.key)


def _instant(ticks: int, basis: Basis) -> Instant:
    """A time of a row: one in whole seconds may be up to a second older."""
    return Instant(ticks, TICKS_PER_S if ticks % TICKS_PER_S == 0 else 0, basis)


def _moment(written: Any, zone: ZoneInfo) -> int | None:
    """Ticks of a time in a column; empty is none. Raises ValueError for what is no time, or two."""
    value = text(written)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is no time") from None
    if moment.tzinfo is None:
        local = moment.replace(tzinfo=zone)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise ValueError(f"{value[:40]!r} happened twice, or never, in {zone.key}")
        moment = local
    return from_datetime(moment.astimezone(UTC))
