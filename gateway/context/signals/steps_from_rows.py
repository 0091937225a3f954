"""Steps as MES rows tell them: made into runs where they count (`steps_from = "mes"`), else kept to be compared with the signals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import MesSteps
from drivers.local_time import ticks_of
from gateway.context import event_bodies
from gateway.context.plan import Plan, Unit
from gateway.context.records.runs import Runs
from gateway.context.row_times import told_at
from gateway.context.signals.occupancy import Occupancy
from gateway.context.state import IDENTITY, Basis, EquipmentState, Heard, Instant, Run, State, Told
from gateway.context.texts import text
from gateway.context.throttle import say_once
from gateway.context.waits import lasts
from gateway.entries.findings import Severity
from gateway.entries.ticks import from_rfc3339, rfc3339

MOST_HEARD = 1_000
"""Rows that wait for the identity of their equipment."""
MOST_TOLD = 5
"""Rows that a finding names, with the reason; and how many more there are."""
MOST_KEYS = 50


class RowSteps:
    """What the rows of `mes_steps` say of each equipment's steps."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs, occupancy: Occupancy) -> None:
        self._state, self._plan, self._emit, self._runs, self._occupancy = state, plan, emit, runs, occupancy
        self._rows: dict[tuple[str, str], list[tuple[str, str]]] = {}  # (equipment, code) -> (key, why) of rows, until they are told

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
        self._tell()

    def settle(self) -> None:
        """Let the rows count whose equipment knows for whom it works."""
        for name, where in self._state.where.items():
            if where.heard and IDENTITY not in where.pending and not self._waits(name, where):
                heard, where.heard = where.heard, []
                for one in heard:
                    self._count(self._plan.units[name], one)
        self._tell()

    # rows

    def _waits(self, name: str, where: EquipmentState) -> bool:
        """Return whether rows of before anybody looked wait for those of the orders, which may be read after them."""
        unit, now = self._plan.units[name], self._state.now
        return any("told-by-row" in _bases(h) and lasts(now, h.entered, unit.settle_s_ticks) for h in where.heard)

    def _row(self, unit: Unit, how: MesSteps, event: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        where = self._state.where[unit.name]
        heard = self._read(unit, how, event, told)
        if isinstance(heard, str):
            self._note(unit, "mes-step-unreadable", str(told["key"]), f"row {told['key']} of {how.row}: {heard}")
        elif unit.equipment.steps_from == "mes":
            where.heard = [*where.heard, heard][-MOST_HEARD:]
        else:
            note(where, heard)

    def _read(self, unit: Unit, how: MesSteps, event: Mapping[str, Any], told: Mapping[str, Any]) -> Heard | str:
        """What a row says, or why nobody can tell."""
        row = told["row"]
        step, run = text(row.get(how.step)), text(row.get(how.run)) if how.run is not None else None
        if step is None or all(known.row.step != step for known in unit.steps):
            return f"{step!r} is no step of {unit.name} in steps.csv"
        if told["change"] == "deleted":
            return "deleted; what it told stays"
        edges = edges_of(how, told, self._plan.zone)
        if isinstance(edges, str):
            return edges
        start, end = (None if ticks is None else told_at(self._state, self._plan, event, ticks) for ticks in edges)
        if start is not None and end is not None and end.ticks < start.ticks:
            return "it ends before it starts"
        return Heard(str(told["key"]), step, run, start, end, self._state.seq, told["change"], self._state.now)

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
            self._note(unit, "late-correction", heard.key, f"row {heard.key} was changed after its record was final")
        elif heard.start is not None:
            self._begin(unit, mine, heard)
        elif heard.end is not None:
            self._end(unit, mine, heard)

    def _is_past(self, unit: Unit, heard: Heard) -> bool:
        """Return whether a row tells of before this journal, and of no batch that is here: nobody asks for the plant's past."""
        first = min((at.ticks for at in (heard.start, heard.end) if at is not None), default=self._state.now)
        if (
            "told-by-row" not in _bases(heard)
            or first >= self._state.began
            or self._occupancy.who(unit, first).batch in self._state.batches
        ):
            return False
        self._say(
            unit, "step-before-start", "rows tell steps of before this journal; no records are made of them", {"key": heard.key}, "info"
        )
        return True

    def _begin(self, unit: Unit, mine: list[Run], heard: Heard) -> None:
        assert heard.start is not None
        at = heard.start
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
            self._runs.end(begun, heard.end, heard.seq, None)

    def _end(self, unit: Unit, mine: list[Run], heard: Heard) -> None:
        assert heard.end is not None
        end = heard.end
        going = [r for r in mine if r.start.ticks <= end.ticks and (heard.run is None or r.key == heard.run)]
        run = next((r for r in reversed(going) if r.end is None), None)
        if run is not None:
            run.rows.append(heard.key)
            self._runs.end(run, end, heard.seq, None)
            return
        cut = next((r for r in reversed(going) if r.end is not None and r.cause == "batch-changed" and end.ticks <= r.end.ticks), None)
        if cut is None:
            text_ = f"row {heard.key}: {heard.step} ends at {rfc3339(end.ticks)}, and did not start"
            self._note(unit, "mes-step-unreadable", heard.key, text_)
            return
        cut.rows.append(heard.key)
        cut.end, cut.cause = end, "unknown" if end.basis == "told-by-row" else None
        self._revise(cut, "late-data")

    def _again(self, unit: Unit, run: Run, heard: Heard) -> None:
        """A row that made this run says something else now, or says its end."""
        start = run.start if heard.start is None or heard.start.ticks == run.start.ticks else heard.start
        if run.end is None:
            if heard.end is not None and start is run.start:
                self._runs.end(run, heard.end, heard.seq, None)
                return
            end = None
        else:
            end = run.end if heard.end is None or heard.end.ticks == run.end.ticks else heard.end
        if (start, end) == (run.start, run.end):
            return
        self._correct(unit, run, start, end, heard)
        if run.end is None and heard.end is not None:
            self._runs.end(run, heard.end, heard.seq, None)

    def _correct(self, unit: Unit, run: Run, start: Instant, end: Instant | None, heard: Heard) -> None:
        """The source corrected a time that stood already: the record is made again if its series is still held."""
        old = {"start": rfc3339(run.start.ticks), "end": None if run.end is None else rfc3339(run.end.ticks)}
        new = {"start": rfc3339(start.ticks), "end": None if end is None else rfc3339(end.ticks)}
        evidence = {"equipment": unit.name, "batch": run.identity.batch, "record": run.record, "key": heard.key, "old": old, "new": new}
        if not self._runs.values.held(run, start.ticks, None if end is None else end.ticks):
            told = f"{run.record}: row {heard.key} was corrected too late; the closed record does not change"
            self._emit(event_bodies.finding("late-correction", "warning", told, evidence))
            return
        self._emit(event_bodies.finding("source-corrected", "info", f"{run.record}: row {heard.key} was corrected", evidence))
        if start.ticks != run.start.ticks:
            run.start, run.book = start, None
            run.record = event_bodies.record_id(self._runs.gateway, run)
        run.end = end
        self._revise(run, "source-corrected")

    def _revise(self, run: Run, reason: str) -> None:
        if run.revision:
            run.dirty, run.reason = self._state.now, run.reason or reason

    def _note(self, unit: Unit, code: str, key: str, why: str) -> None:
        """Keep what is wrong with a row until all that came with it were looked at."""
        self._rows.setdefault((unit.name, code), []).append((key, why))

    def _tell(self) -> None:
        """Tell every row of which no record is made, those that came together at once: a row comes once, so none is told again."""
        rows, self._rows = self._rows, {}
        for (name, code), found in rows.items():
            more = f"; and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
            message = f"{name}: {'; '.join(why for _, why in found[:MOST_TOLD])}{more}"
            several = {"count": len(found), "keys": [key for key, _ in found[:MOST_KEYS]]} if len(found) > 1 else {}
            self._emit(event_bodies.finding(code, "warning", message, {"equipment": name, "key": found[0][0], **several}))

    def _say(self, unit: Unit, code: str, message: str, evidence: dict[str, Any], severity: Severity = "warning") -> None:
        if say_once(self._state.where[unit.name].noted, code, self._state.now):
            self._emit(event_bodies.finding(code, severity, f"{unit.name}: {message}", {"equipment": unit.name, **evidence}))


def note(where: EquipmentState, heard: Heard) -> None:
    """Keep what a row tells, for the comparison."""
    start, end = (None if at is None else at.ticks for at in (heard.start, heard.end))
    known = next((told for told in where.told if heard.key in told.rows), None)
    if known is not None:
        known.start = known.start if start is None else start
        if known.rows[-1] == heard.key or start is None:
            known.end = known.end if end is None else end
        return
    if start is not None:
        where.tell(Told(heard.step, start, end, [heard.key]))
    elif end is not None:
        going = (told for told in reversed(where.told) if told.step == heard.step and told.end is None and told.start <= end)
        told = next(going, None)
        if told is not None:
            told.end = end
            told.rows.append(heard.key)


def edges_of(how: MesSteps, told: Mapping[str, Any], zone: ZoneInfo) -> tuple[int | None, int | None] | str:
    """Give the start and the end (ticks) that a row names, or why nobody can tell. zone: the line's."""
    row = told["row"]
    if how.state is None:
        zone = ZoneInfo(how.zone) if how.zone is not None else zone
        try:
            return _moment(row.get(how.start or ""), zone), _moment(row.get(how.end or ""), zone)
        except ValueError as error:
            return str(error)
    if told.get("time") is None:
        return "it has no time"
    ticks, word = from_rfc3339(told["time"]), text(row.get(how.state))
    if word == how.started:
        return ticks, None
    return (None, ticks) if word == how.ended else f"{how.state} is {word!r}, neither {how.started} nor {how.ended}"


def _bases(heard: Heard) -> set[Basis]:
    return {at.basis for at in (heard.start, heard.end) if at is not None}


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
    return ticks_of(moment.astimezone(UTC))
