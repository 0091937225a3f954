"""Records that still wait for the laboratory after they are final: revised when a result comes, hours or days later."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.context import event_bodies
from gateway.context.records.runs import Runs
from gateway.context.state import Run, State

MOST_AWAITING = 256
"""Records kept for a result that may come, the newest."""


class LateResults:
    """Revises what rests on a sample, in runs that are live and in those that wait for nothing else any more."""

    def __init__(self, state: State, runs: Runs, emit: event_bodies.Emit) -> None:
        self._state, self._runs, self._values, self._emit = state, runs, runs.given, emit
        self._heard: dict[str, str] = {}
        """sampling -> reason of the newest event about one of its samples; only while an entry is decided"""

    def heard(self, sample: Mapping[str, Any]) -> None:
        """Take a `sample` event that was made just now."""
        if sample["sampling"] is not None:
            self._heard[sample["sampling"]] = sample["reason"] or "result"

    def due(self) -> Iterator[Run]:
        """Make the revisions that are due now; yield the runs whose record is revised. Those of live runs are made with their others."""
        heard, self._heard = self._heard, {}
        if heard:
            for run in self._state.runs.values():
                if run.revision and (reason := self._reason(run, heard)) is not None:
                    run.dirty = self._state.now if run.dirty is None else run.dirty
                    run.reason = run.reason or reason
            for run in list(self._state.awaiting.values()):
                if (reason := self._reason(run, heard)) is not None and self._revised(run, reason):
                    yield run
        self._give_up()

    def _reason(self, run: Run, heard: Mapping[str, str]) -> str | None:
        samplings = [(row.given_by or "").rpartition(".")[0] for row in self._values.rows(run).values()]
        return next((heard[sampling] for sampling in samplings if sampling in heard), None)

    def _revised(self, run: Run, reason: str) -> bool:
        assert run.last is not None
        parameters = self._values.filled(run, run.last["parameters"])
        if parameters == run.last["parameters"]:
            return False
        run.reason = reason
        return self._runs.revise(run, parameters)

    def _give_up(self) -> None:
        """Let the oldest go where too many wait; one that still lacks its value is said, because nothing will revise it any more."""
        awaiting = self._state.awaiting
        for record in list(awaiting)[: max(len(awaiting) - MOST_AWAITING, 0)]:
            run = awaiting.pop(record)
            rows, elements = self._values.rows(run), (run.last or {}).get("parameters", ())
            lacking = [element["parameter"] for element in elements if element["parameter"] in rows and element["status"] == "missing"]
            if lacking:
                names = ", ".join(rows[parameter].name or parameter for parameter in lacking)
                message = f"{record}: nothing came for {names}, and {MOST_AWAITING} younger records wait; what comes now revises nothing"
                evidence = {"record": record, "batch": run.identity.batch, "equipment": run.equipment}
                self._emit(event_bodies.finding("late-correction", "warning", message, evidence))
