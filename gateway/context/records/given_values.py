"""Parameters whose value the laboratory gives: filled in from the results of the batch's samples, in a record and long after it."""

from collections.abc import Mapping
from typing import Any

from config import Parameter
from gateway.context.plan import Plan
from gateway.context.state import PostedBooking, Run, State
from gateway.context.texts import text
from gateway.parameters import LabResult, given


class GivenValues:
    """Knows which parameters of a run the laboratory gives, and what it has said so far."""

    def __init__(self, state: State, plan: Plan) -> None:
        self._state, self._plan = state, plan
        self._has_any = any(row.given_by is not None for row in plan.line.parameters)

    def rows(self, run: Run) -> dict[str, Parameter]:
        """Name the parameters of a run that the laboratory gives: parameter -> its row."""
        if not self._has_any:
            return {}
        gathered = self._plan.gathered(run.equipment, run.kind, run.name)
        rows = self._plan.chosen(gathered.parameters, run.identity.recipe, run.identity.recipe_version)
        return {row.parameter: row for row in rows if row.given_by is not None}

    def filled(self, run: Run, parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Fill in what the laboratory has said; what can not be known any more stays as the run's last record has it."""
        rows = self.rows(run)
        if not rows:
            return parameters
        before = {element["parameter"]: element for element in (run.last or {}).get("parameters", ())}
        return [self._filled(run, rows.get(element["parameter"]), element, before) for element in parameters]

    def _filled(self, run: Run, row: Parameter | None, element: dict[str, Any], before: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        if row is None:
            return element
        results = self._results(run.identity.batch, row)
        if results is None and row.parameter in before:
            return before[row.parameter]
        return given(row, element, results or [], self._plan.origin_of(row))

    def _results(self, batch: str | None, row: Parameter) -> list[LabResult] | None:
        """List what the laboratory says of each sample of the batch, in the order taken; None: a sample is not remembered any more."""
        ledger = self._state.ledgers.get(batch or "")
        if ledger is None or row.given_by is None:
            return []
        sampling, _, column = row.given_by.rpartition(".")
        held = [self._state.booked.get(name) for name, line in ledger.samples.items() if line["sampling"] == sampling]
        if None in held:
            return None
        samples = [booked for booked in held if booked is not None and "row-withdrawn" not in booked.event["problems"]]
        return [_result(sample, column) for sample in sorted(samples, key=lambda sample: sample.occurred.at.ticks)]


def _result(sample: PostedBooking, column: str) -> LabResult:
    """Take the newest row of the laboratory that says something in this column."""
    rows = [row for row in sample.event["results"] if text(row["values"].get(column)) is not None and row["change"] != "deleted"]
    if not rows:
        return LabResult(sample.event["sample"])
    row = max(rows, key=lambda row: row["seq"])
    return LabResult(sample.event["sample"], text(row["values"][column]), row["source"], row["name"], row["key"], row["time"], row["seq"])
