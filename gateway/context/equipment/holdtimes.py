"""The equipment log between batches: when it was cleaned, and how long it stood dirty before and clean after that."""

from collections.abc import Mapping
from typing import Any

from gateway.context import event_bodies
from gateway.context.plan import Plan, Unit
from gateway.context.standing import known
from gateway.context.state import Instant, Log, State
from gateway.entries.findings import Severity
from gateway.entries.ticks import TICKS_PER_S, from_rfc3339

CLEANING = "cleaning"
BY_TAG = "activity"
"""What cleans, where the equipment's own tag says so; else the name of a step."""
MOST_GAPS = 32


class HoldTimes:
    """What the next batch's start says of the time before it. Cleaning is told by the `activity` tag, or by steps whose activity it is."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit) -> None:
        self._state, self._plan, self._emit = state, plan, emit
        self._steps = {(s.equipment, s.step) for s in plan.line.steps if s.activity == CLEANING}
        self._told = [name for name, unit in plan.units.items() if self._sources(unit)]  # in the order of the line: the state is in it too

    def _sources(self, unit: Unit) -> set[str]:
        """Tags that tell of cleaning."""
        steps = {s.signal for s in self._plan.line.steps if (s.equipment, s.step) in self._steps and s.equipment == unit.name}
        return (steps | ({unit.equipment.activity} if unit.equipment.activity is not None else set())) & self._plan.places.keys()

    def _log(self, unit: str) -> Log:
        return self._state.logs.setdefault(unit, Log())

    # what happens

    def activity(self, unit: str, word: str | None, at: Instant) -> None:
        """The equipment's tag says what it does now."""
        self._cleans(unit, BY_TAG, at, on=(word or "").lower() == CLEANING)

    def step_began(self, unit: str, step: str, at: Instant) -> None:
        """A step began: perhaps one that cleans."""
        if (unit, step) in self._steps:
            self._cleans(unit, step, at, on=True)

    def step_ended(self, unit: str, step: str, at: Instant) -> None:
        """A step ended."""
        self._cleans(unit, step, at, on=False)

    def _cleans(self, unit: str, by: str, at: Instant, *, on: bool) -> None:
        log = self._log(unit)
        if on and by not in log.going:
            if log.first is None and (log.left is None or at.ticks >= log.left.ticks):
                log.first, log.first_by = at, by
            log.going.append(by)
        elif not on and by in log.going:
            log.going.remove(by)
            if not log.going:
                log.last, log.last_by = at, by

    def left(self, unit: str, batch: str, at: Instant) -> None:
        """A batch ended in an equipment: from now on it stands dirty."""
        log = self._log(unit)
        log.batch, log.left = batch, at
        log.first, log.first_by = (at, log.going[0]) if log.going else (None, None)
        log.last = log.last_by = None
        log.gaps = [gap for gap in log.gaps if gap[2] > at.ticks]

    def gap(self, event: Mapping[str, Any]) -> None:
        """A lost gap closed."""
        if event["outcome"] != "lost":
            return
        start, end = from_rfc3339(event["start"]), from_rfc3339(event["end"])
        for name in self._told:
            if self._concerns(name, event["source"], event["tags"]):
                log = self._log(name)
                log.gaps = [*log.gaps, (event["gap"], start, end)][-MOST_GAPS:]

    def _concerns(self, unit: str, source: str, tags: list[str] | str) -> bool:
        names = {name for name in self._sources(self._plan.units[unit]) if self._plan.places[name].source.name == source}
        return bool(names) if tags == "all" else not names.isdisjoint(tags)

    # what the next batch's start says

    def entered(self, unit: Unit, batch: str, at: Instant) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(the hold times, the findings about them), at the start of a batch."""
        if unit.name not in self._told:
            return [], []
        log, equipment = self._log(unit.name), unit.equipment
        over = not log.going and log.last is not None and log.last.ticks <= at.ticks
        first = log.first if log.first is not None and log.first.ticks <= at.ticks else None
        names = (log.batch, log.first_by, log.last_by)
        dirty = self._hold(unit, "dirty", log.left, first, (names[0], names[1]), equipment.dirty_hold_h)
        clean = self._hold(unit, "clean", log.last if over else None, at, (names[2], batch), equipment.clean_hold_h)
        return [dirty, clean], list(self._findings(unit, batch, log, dirty, clean))

    def _hold(
        self, unit: Unit, hold: str, start: Instant | None, end: Instant | None, names: tuple[str | None, str | None], limit_h: float | None
    ) -> dict[str, Any]:
        zone = self._plan.zone
        start, end = (None if at is None else known(self._state, self._plan, at) for at in (start, end))
        seconds = None if start is None or end is None else max(end.ticks - start.ticks, 0) / TICKS_PER_S
        limit_s = None if limit_h is None else limit_h * 3_600
        gaps = self._unseen(unit, start, end)
        unseen = bool(gaps) or any(at is not None and at.basis != "observed" for at in (start, end))
        status = "gap" if unseen else "missing" if seconds is None else "present"
        return {
            "hold": hold,
            "start": event_bodies.instant(start, zone),
            "end": event_bodies.instant(end, zone),
            "after": names[0] if start is not None else None,
            "before": names[1] if end is not None else None,
            "seconds": seconds,
            "limit_s": limit_s,
            "result": _judged(seconds, limit_s, status),
            "status": status,
            "gaps": gaps,
        }

    def _unseen(self, unit: Unit, start: Instant | None, end: Instant | None) -> list[str]:
        """Gaps in which a cleaning, or its end, may have happened unseen."""
        begin, until = start.ticks if start is not None else 0, end.ticks if end is not None else self._state.now
        closed = [gap for gap, since, to in self._log(unit.name).gaps if since < until and to > begin]
        lost = [g for g in self._state.gaps if g.start < until and self._concerns(unit.name, g.source, "all" if g.left is None else g.left)]
        return list(dict.fromkeys([*closed, *(gap.id for gap in lost)]))

    def _findings(self, unit: Unit, batch: str, log: Log, *holds: Mapping[str, Any]) -> Any:
        evidence = {"equipment": unit.name, "batch": batch, "after": log.batch}
        if log.going:
            text = f"{unit.name}: batch {batch} began while it was being cleaned ({', '.join(log.going)})"
            yield event_bodies.finding("cleaning-not-over", "warning", text, evidence)
        elif log.left is not None and log.first is None and not any(hold["gaps"] for hold in holds):
            text = f"{unit.name}: no cleaning was seen between batch {log.batch} and batch {batch}"
            yield event_bodies.finding("not-cleaned", "warning", text, evidence)
        for hold in holds:
            told = {**evidence, "hold": hold["hold"], "seconds": hold["seconds"], "limit_s": hold["limit_s"], "gaps": hold["gaps"]}
            if hold["result"] == "above":
                text = (
                    f"{unit.name}: {hold['hold']} hold time {hold['seconds']:.0f} s before batch {batch}, at most {hold['limit_s']:.0f} s"
                )
                yield event_bodies.finding("hold-time-exceeded", "warning", text, told)
            elif hold["status"] == "missing" and hold["limit_s"] is not None:
                text = f"{unit.name}: the {hold['hold']} hold time before batch {batch} is not known"
                severity: Severity = "info" if log.left is None and hold["hold"] == "dirty" else "warning"  # nobody saw a batch before
                yield event_bodies.finding("hold-time-unknown", severity, text, told)
            if hold["status"] == "gap":
                text = f"{unit.name}: its {hold['hold']} hold time before batch {batch} was not observed throughout"
                yield event_bodies.finding("hold-time-unseen", "warning", text, told)


def _judged(seconds: float | None, limit_s: float | None, status: str) -> str:
    """Judge a hold time. Nobody can say `within` of one that was not observed; one that is too long as far as it was seen is a fact."""
    if seconds is None or limit_s is None:
        return "not-judged"
    return "above" if seconds > limit_s else "within" if status == "present" else "not-judged"
