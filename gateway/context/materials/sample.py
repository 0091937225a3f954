"""One sample as an event: its id, when and where it was taken; the laboratory's rows come later, as revisions."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.materials import Sampling
from gateway.context import event_bodies
from gateway.context.materials.booking_terms import Facts, performers


def sample_event(
    facts: Facts, row: Sampling, head: Mapping[str, Any], operator: str | None, results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The `sample` event, without its name and revision. head: unit_id, identity and steps. results: as linked so far."""
    sample, origin = facts.word("sample", row.sample), facts.plan.origin_of_results(row.name)
    return {
        "type": "sample",
        "record": None,
        "revision": 1,
        "supersedes": None,
        "reason": None,
        "sampling": row.name,
        "ebr_field": row.ebr_field,
        "sample": sample,
        "equipment": row.equipment,
        **head,
        "taken": event_bodies.instant(facts.occurred.at, facts.plan.zone),
        "status": facts.status,
        "problems": list(facts.problems),
        **({} if origin is None else {"value_origin": origin}),
        "results": list(results),
        **performers(facts, row.performed_by, operator, facts.plan.line.gateway),
        "evidence": facts.evidence(),
    }
