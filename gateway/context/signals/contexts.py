"""The context of an entry: what an equipment's signals say at that instant, whether it has settled or not."""

from typing import Any

from gateway.context import event_bodies
from gateway.context.plan import LEVELS, Plan, Unit
from gateway.context.records.run_numbers import next_run
from gateway.context.records.runs import Runs
from gateway.context.state import EquipmentState, State
from gateway.context.texts import text


class Contexts:
    """Puts together what an entry says of each equipment.

    A reading and the signals it came with belong together, so a context does not wait until they stand still; records do.
    """

    def __init__(self, state: State, plan: Plan, runs: Runs) -> None:
        self._state, self._plan, self._runs = state, plan, runs
        self._of_sources: dict[str, dict[str, Any]] = {}

    def of_source(self, source: str) -> dict[str, Any]:
        """Give the `contexts` of an entry of this source: equipment -> context. Made once, until something changes."""
        contexts = self._of_sources.get(source)
        if contexts is None:
            contexts = {unit.name: self.context(unit) for unit in self._plan.concerned.get(source, [])}
            self._of_sources[source] = contexts
        return contexts

    def changed(self) -> None:
        """Note that something may say more or other from here on: contexts are made anew."""
        self._of_sources.clear()

    def context(self, unit: Unit) -> dict[str, Any]:
        """Make the context of an equipment, as it stands in entries."""
        where, equipment = self._state.where[unit.name], unit.equipment
        state, mode, operator = (where.seen.get(tag or "") for tag in (equipment.state, equipment.mode, equipment.operator))
        return {
            "activity": self.activity(unit, batch=where.read.batch is not None),
            **event_bodies.identity(where.read),
            "steps": self._running(unit) if unit.from_rows else self._signalled(unit, where),
            "state": None if state is None else self._plan.state_of(unit, state.value),
            "mode": None if mode is None else self._plan.decoded(equipment.mode, None, mode.value, state=True),
            "operator": None if operator is None else text(operator.value),
        }

    def activity(self, unit: Unit, *, batch: bool) -> str:
        """Say what the equipment does: by its tag, else by its steps; by default production inside a batch, else idle."""
        seen = self._state.where[unit.name].seen.get(unit.equipment.activity or "")
        told = None if seen is None else self._plan.decoded(unit.equipment.activity, None, seen.value, state=True)
        return (told or "").lower() or self._of_steps(unit) or ("production" if batch else "idle")

    def _of_steps(self, unit: Unit) -> str | None:
        """Say what the running steps do by their column `activity`; the innermost one that says anything."""
        if not unit.active_steps:
            return None
        running = {run.step for run in self._runs.running(unit)}
        return next((word for step, word in reversed(unit.active_steps) if step in running), None)

    def _running(self, unit: Unit) -> list[list[str | int]]:
        return [[run.level, run.step, run.run] for run in self._runs.running(unit)]

    def _signalled(self, unit: Unit, where: EquipmentState) -> list[list[str | int]]:
        """List the steps that are on. One that has not settled yet has the number that its run will get if it does."""
        running = {run.step: run for run in self._runs.running(unit)}
        found: list[list[str | int]] = []
        for row in unit.steps_of(where.read):
            seen, key = where.seen.get(row.row.signal), where.seen.get(row.row.key or "")
            if seen is None or not row.runs(seen.value):
                continue
            run = running.get(row.row.step)
            same = run is not None and run.key == (None if key is None else key.value) and run.identity.batch == where.read.batch
            number = run.run if run is not None and same else next_run(self._state, where.read.batch, unit.name, row.row.step)
            found.append([row.row.level, row.row.step, number])
        return sorted(found, key=lambda step: LEVELS.index(str(step[0])))
