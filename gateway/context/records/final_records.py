"""Records that are final, and of another batch than was thought: nothing can make them again, and they must not stay where they were.

An event `rebind` with the member `final` says so: the record that was made under the name in `supersedes` counts under `record` from now
on, as it stands, by its revision and digest. The right batch lists it, the wrong one does no longer.
"""

from dataclasses import replace

from gateway.context import event_bodies
from gateway.context.plan import Plan, Unit
from gateway.context.records.run_numbers import go_over
from gateway.context.records.runs import Runs
from gateway.context.state import Batch, Listed, State


class FinalRecords:
    """Gives final records of an equipment to another batch."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, runs: Runs) -> None:
        self._state, self._plan, self._emit, self._runs = state, plan, emit, runs

    def of(self, unit: Unit, batch: Batch, since: int | None) -> list[str]:
        """List the final records of an equipment in a batch whose steps began at `since` or after, in the order in which they began.

        since None: all. One that began in the future was stamped by a clock that has been set back since: nobody knows what it was after.
        """
        live = {run.record for run in self._state.runs.values()}
        mine = ((r, listed) for r, listed in batch.records.items() if listed.equipment == unit.name and r not in live)
        known = [(listed.start.ticks, r) for r, listed in mine if listed.start is not None]
        return [record for ticks, record in sorted(known) if since is None or since <= ticks <= self._state.now]

    def go_over(self, unit: Unit, batch: Batch, right: Batch, records: list[str], reason: str) -> None:
        """Let records be of the right batch. Ends of batches that were made are made again."""
        for record in records:
            listed, run = batch.records.pop(record), self._state.awaiting.pop(record, None)
            if run is None:
                name, number = self._rebind(unit, batch, right, record, listed, reason)
            else:  # it is held until the laboratory has spoken, so it can be made again
                self._runs.rebind(run, right.identity, reason)
                self._runs.rename(run)
                self._state.awaiting[run.record], name, number = run, run.record, run.run
                assert run.last is not None
                listed = replace(listed, revision=run.revision, sha256=run.last["content_sha256"])
            missing, not_ours = ([{**item, "run": number} for item in items] for items in (listed.missing, listed.open))
            right.records[name] = replace(listed, missing=missing, open=not_ours)
            right.configs = sorted({*right.configs, *listed.configs})
            if (ran := batch.ran.pop(record, None)) is not None:
                right.ran[name] = [*ran[:2], number, *ran[3:]]
            for one in (batch, right):
                if one.revision:
                    one.revise(self._state.now, "re-bound")

    def _rebind(self, unit: Unit, batch: Batch, right: Batch, record: str, listed: Listed, reason: str) -> tuple[str, int]:
        """Say that a record goes over as it stands. Returns its new name and number."""
        number = go_over(self._state, batch.identity.batch, right.identity.batch, unit.name, listed.step)
        name = event_bodies.record_name(self._runs.gateway, right.identity.batch, unit.name, listed.step, number)
        event = {
            "type": "rebind",
            "record": name,
            "supersedes": record,
            "reason": reason,
            "equipment": unit.name,
            "step": listed.step,
            "run": number,
            "from": event_bodies.identity(batch.identity),
            "to": event_bodies.identity(right.identity),
            "start": event_bodies.instant(listed.start, self._plan.zone),
            "final": {"revision": listed.revision, "content_sha256": listed.sha256},
            "evidence": dict(zip(("from_seq", "to_seq"), listed.seqs, strict=True)),
        }
        self._emit(event)
        return name, number
