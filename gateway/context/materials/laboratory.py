"""The laboratory's rows: each is linked to the sample that it is about, which gets a new revision; a row may come before its sample."""

from collections.abc import Mapping
from typing import Any

from config.materials import Sampling
from gateway.context import event_bodies
from gateway.context.materials.declared import Declared
from gateway.context.materials.posting import Posting
from gateway.context.materials.results import is_same_row, merged
from gateway.context.plan import Plan
from gateway.context.state import State
from gateway.context.texts import short, text

MOST_UNLINKED = 200
"""Results kept for a sample that is told after them."""


class Laboratory:
    """Links results to samples."""

    def __init__(self, state: State, plan: Plan, emit: event_bodies.Emit, declared: Declared, posting: Posting) -> None:
        self._state, self._plan, self._emit, self._declared, self._posting = state, plan, emit, declared, posting

    def take(self, event: Mapping[str, Any]) -> None:
        """Take the rows of a `message` event, if it is a laboratory's."""
        sampling = self._declared.samplings.get(f"{event['source']}.{event['name']}")
        if sampling is not None:
            for row in event["rows"]:
                self._result(sampling, event, row)

    def _result(self, row: Sampling, message: Mapping[str, Any], result_row: Mapping[str, Any]) -> None:
        result = {
            "source": message["source"],
            "name": message["name"],
            "key": result_row["key"],
            "change": result_row["change"],
            "time": result_row.get("time"),
            "seq": self._state.seq,
            "values": {column: short(value) for column, value in result_row["row"].items()},
        }
        sample = text(result_row["row"].get(row.results_key or "")) or self._sample_of(result)
        if sample is None:
            return
        if result["change"] == "deleted":
            result["values"] = {}
        if not self._linked(sample, row.results or "", result):
            self._state.unlinked = [*self._state.unlinked, {"sample": sample, "query": row.results, "result": result}][-MOST_UNLINKED:]
            if not self._sample_waits():
                self._unknown(self._state.unlinked[-1])

    def _sample_of(self, result: dict[str, Any]) -> str | None:
        """Find the sample that a row was about, where it does not say so any more: of a deleted row nothing is told but its key."""
        for booked in self._state.booked.values():
            if any(is_same_row(known, result) for known in booked.event.get("results", ())):
                sample: str | None = booked.event["sample"]
                return sample
        return next((unlinked["sample"] for unlinked in self._state.unlinked if is_same_row(unlinked["result"], result)), None)

    def _sample_waits(self) -> bool:
        return any(pending.table == "sample" for pending in self._state.occurred)

    def _linked(self, sample: str, query: str, result: dict[str, Any]) -> bool:
        """Make a new revision of the sample that this result is about; False if it is not known."""
        mine = {row.name for row in self._plan.line.samples if row.results == query}
        same = [b for b in self._state.booked.values() if b.event["type"] == "sample" and b.event["sample"] == sample]
        booked = next((b for b in reversed(same) if b.event["sampling"] in mine), None)
        if booked is None:
            return False
        results, reason = merged(booked.event["results"], result)
        evidence = booked.event["evidence"]
        item = {"of": "result", **{k: result[k] for k in ("source", "name", "key", "seq")}}
        rests = {**evidence, "to_seq": max(evidence["to_seq"], result["seq"]), "items": [*evidence["items"], item]}
        self._posting.publish(booked, {**booked.event, "results": results, "evidence": rests}, reason)
        return True

    def link(self) -> None:
        """Link results that came before their sample was said; where none is awaited any more, they are of nobody's sample."""
        for unlinked in list(self._state.unlinked):
            if self._linked(unlinked["sample"], unlinked["query"], unlinked["result"]):
                self._state.unlinked.remove(unlinked)
            elif not self._sample_waits() and "told" not in unlinked:
                self._unknown(unlinked)

    def _unknown(self, unlinked: dict[str, Any]) -> None:
        unlinked["told"], result, sample = True, unlinked["result"], unlinked["sample"]
        evidence = {"sample": sample, **{k: result[k] for k in ("source", "name", "key", "seq")}}
        self._emit(event_bodies.finding("sample-unknown", "warning", f"a result for sample {sample}, which nobody took here", evidence))
