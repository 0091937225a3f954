"""The end record of a batch: its stays, its records with their Merkle root, its configurations, and what of it is complete."""

from dataclasses import replace
from typing import Any

from buffer.chain import leaf, root
from gateway.context import configurations, event_bodies
from gateway.context.equipment.late_alarms import said
from gateway.context.gaps import belonging
from gateway.context.materials.batch_materials import Ledgers
from gateway.context.plan import Plan, Unit
from gateway.context.records import hybrid, led_elsewhere
from gateway.context.records.absent_steps import absent, doubtful
from gateway.context.records.run_numbers import has_begun
from gateway.context.standing import known
from gateway.context.state import Batch, Instant, Member, State, stored_step
from gateway.parameters import completeness

MOST_MISSING = 100
"""Named in a batch's end record; each step's own record names all of its."""

_UNSEEN = "the step was not seen to run, and need not; nobody saw its signal throughout"


class BatchEnd:
    """Makes end records of the state as it stands."""

    def __init__(self, state: State, plan: Plan, ledgers: Ledgers) -> None:
        self._state, self._plan, self._ledgers = state, plan, ledgers

    def event(self, name: str, batch: Batch, cause: str, members: list[Member], superseded_by: str | None = None) -> dict[str, Any]:
        """Give the event of the next revision. members: the stays it names; superseded_by: the right batch, if this number was wrong."""
        record = f"{self._plan.line.gateway}/{name}"
        configurations.note(batch.configs, self._state)
        stated = self._completeness(name, batch)
        belonging.judge(self._state, self._plan, self._state.blind, [replace(batch, members=members)])
        start = min((m.start for m in members), key=lambda at: at.ticks)
        end = max((m.end for m in members if m.end is not None), key=lambda at: at.ticks)
        return {
            "type": "batch",
            "transition": "end",
            "record": record,
            "revision": batch.revision + 1,
            "supersedes": f"{record}#{batch.revision}" if batch.revision else None,
            "reason": (batch.reason or "late-data") if batch.revision else None,
            "cause": _cause(cause, members),
            **({} if superseded_by is None else {"superseded_by": superseded_by}),
            **event_bodies.identity(batch.identity),
            "start": self._instant(start),
            "end": self._instant(end),
            "equipments": [self._stay(member) for member in members],
            **_records(batch),
            **self._ledgers.account(name, batch),
            "configurations": configurations.listed(self._state, batch.configs),
            **_gaps(batch, members),
            "alarms": said(batch.alarms),
            "alarm_count": batch.alarm_count,
            **led_elsewhere.stated(self._state, members),
            **hybrid.phases(self._plan, known(self._state, self._plan, start), known(self._state, self._plan, end)),
            "status": "complete" if superseded_by is None and not stated["missing"] else "incomplete",
            "completeness": stated,
        }

    def _instant(self, at: Instant | None) -> dict[str, Any] | None:
        """Write an instant as it is known by now."""
        return event_bodies.instant(None if at is None else known(self._state, self._plan, at), self._plan.zone)

    def _stay(self, member: Member) -> dict[str, Any]:
        unit = self._plan.units.get(member.equipment)
        return {
            "equipment": member.equipment,
            "unit_id": member.unit_id if unit is None else unit.equipment.unit_id,
            "start": self._instant(member.start),
            "end": self._instant(member.end),
            "parameters": [*member.parameters, *(p for taken in member.events.values() for p in taken)],
        }

    def _completeness(self, name: str, batch: Batch) -> dict[str, Any]:
        """Count what the map asks of this batch, and name what is missing, open, or not asked."""
        required, missing, not_ours = _stated(batch)
        whole = self._not_run(batch)
        asked, unbooked = self._ledgers.missing(name, batch)
        present = required + asked - len(missing) - len(unbooked)
        missing = [*whole, *missing, *unbooked]
        counted = {"required": required + asked + len(whole), "present": present, "missing": missing[:MOST_MISSING]}
        if len(missing) > MOST_MISSING:
            counted["missing_count"] = len(missing)
        if not_ours:
            counted |= {"open": not_ours[:MOST_MISSING], "open_count": len(not_ours)}
        idle = [item for unit in self._units(batch) for item in self._idle(unit, batch, name)]
        counted |= {"not_applicable": idle[:MOST_MISSING]} if idle else {}
        return counted if len(idle) <= MOST_MISSING else {**counted, "not_applicable_count": len(idle)}

    def _units(self, batch: Batch) -> list[Unit]:
        """List the equipments that a batch was in, as far as they are still declared."""
        names = dict.fromkeys(m.equipment for m in batch.members)
        return [self._plan.units[name] for name in names if name in self._plan.units]

    def _not_run(self, batch: Batch) -> list[dict[str, Any]]:
        """Steps that must occur and equipments of the route that the batch did not have."""
        unseen = {(member.equipment, step) for member in batch.members for step in member.unseen}
        steps = [(unit.name, step) for unit in self._units(batch) for step in absent(self._state, unit, batch.identity)]
        begun = [(unit.name, step) for unit in self._units(batch) for step in doubtful(unit, batch)]
        unseen.update(begun)
        steps += begun
        steps += [(m.equipment, step) for m in batch.members if m.equipment not in self._plan.units for step in m.absent or ()]
        passed = {m.equipment for m in batch.members}
        route = self._plan.route(batch.identity.recipe)
        skipped = [] if route is None or not passed else [e for e in route.equipments if e not in passed]
        lacks: list[tuple[str, str | None, str]] = [(e, s, "not-observed" if (e, s) in unseen else "missing") for e, s in steps]
        lacks += [(e, None, "missing") for e in skipped]
        return [{"equipment": e, "step": step, "run": None, "parameter": None, "status": status} for e, step, status in lacks]

    def _idle(self, unit: Unit, batch: Batch, name: str) -> list[dict[str, Any]]:
        """Required parameters of the map that this batch did not call for, each with the reason."""
        who, counts = batch.identity, self._state.counts.get(name, {})
        optional = {r.row.step for r in unit.steps_of(who) if r.row.occurs in {"0..1", "0..n"}}
        found: dict[tuple[str | None, str], str] = {}
        rows = [row for row in self._plan.line.parameters if row.equipment == unit.name and row.required]
        fits = {id(row) for row in rows if row.recipe in {None, who.recipe} and row.recipe_version in {None, who.recipe_version}}
        for row in sorted(rows, key=lambda row: id(row) in fits):  # a row that fits has the last word
            found[row.step, row.parameter] = "of another recipe"
            if id(row) in fits:
                del found[row.step, row.parameter]
                if row.step in optional and not has_begun(counts, unit.name, row.step):
                    unseen = any(member.equipment == unit.name and row.step in member.unseen for member in batch.members)
                    found[row.step, row.parameter] = _UNSEEN if unseen else "the step did not run, and need not"
                if row.when == "event" and not has_begun(counts, unit.name, stored_step("event", row.event or "")):
                    found[row.step, row.parameter] = "the event did not happen"
        head = {"equipment": unit.name, "status": "not-applicable"}
        return [{**head, "step": step, "parameter": p, "reason": why} for (step, p), why in sorted(found.items(), key=str)]


def _gaps(batch: Batch, members: list[Member]) -> dict[str, Any]:
    """List the gaps that belong to a batch, and those that a value of its records names."""
    of_values = [p for m in members for p in (*m.parameters, *(p for taken in m.events.values() for p in taken))]
    named = [gap for x in batch.records.values() for gap in x.gaps] + [gap for p in of_values for gap in p.get("gaps", ())]
    gaps = sorted({*named, *(gap for m in members for gap in m.gaps)})
    return {"gaps": gaps, "gap_count": len(gaps) + sum(m.gaps_dropped for m in members)}


def _cause(cause: str, members: list[Member]) -> str:
    """Nobody saw it end where a row alone says that it is over."""
    told_by_row = any(m.end is not None and m.end.basis == "told-by-row" for m in members)
    return "unknown" if cause == "completed" and told_by_row else cause


def _records(batch: Batch) -> dict[str, Any]:
    """List the newest revision of each record, and the Merkle root over their digests in the order of their names."""
    of_steps = sorted(batch.records.items())
    return {
        "records": [{"record": r, "revision": x.revision, "content_sha256": x.sha256} for r, x in of_steps],
        "merkle_root": root([leaf(bytes.fromhex(x.sha256)) for _, x in of_steps]).hex(),
    }


def _stated(batch: Batch) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return how many values are required of steps, stays and events, which are missing, and which others have to give."""
    of_steps = [x for _, x in sorted(batch.records.items())]
    required = sum(x.required for x in of_steps)
    missing = [item for x in of_steps for item in x.missing]
    not_ours = [item for x in of_steps for item in x.open]
    for member in batch.members:
        stated = completeness([*member.parameters, *(p for taken in member.events.values() for p in taken)])
        head = {"equipment": member.equipment, "step": None, "run": None}
        required += stated["required"]
        missing += [{**head, **item} for item in stated["missing"]]
        not_ours += [{**head, **item} for item in stated.get("open", ())]
    return required, missing, not_ours
