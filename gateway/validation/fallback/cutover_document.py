"""Lays out a cut-over as a document: decision, checks, open points, both ends of the overlap, and each batch that was compared. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft, local_time
from gateway.validation.fallback.cutover import CutOver, First
from gateway.validation.fallback.drill import PASSED, Check, result

KIND = "cut-over"


def drafted(
    told: CutOver, first: First | None, trend: Mapping[str, Any] | None, checks: Sequence[Check], zone: str, wrong: Sequence[str]
) -> dict[str, Any]:
    """Make the draft of the document. wrong: files of comparisons that could not be read."""
    facts = {
        "decision": told.decision,
        "decided_by": told.decided_by,
        "at": local_time(told.at, zone),
        "last_legacy_record": told.last_legacy_record,
        "first_record": None if first is None else first.record,
        "checks": [one._asdict() for one in checks],
        "open": [{"what": one.what, "who": one.who, "due": str(one.due)} for one in told.open],
        "batches": [] if trend is None else [{name: one[name] for name in ("batch", "document", "why_not")} for one in trend["batches"]],
    }
    blocks = _blocks(told, first, trend, checks, zone, wrong)
    return draft(KIND, f"Cut-over: {told.title}", blocks, facts, result=result(checks))


def _blocks(
    told: CutOver, first: First | None, trend: Mapping[str, Any] | None, checks: Sequence[Check], zone: str, wrong: Sequence[str]
) -> Iterator[Block]:
    yield NamedValues(
        [
            ("Decision", f"{told.decision}, by {told.decided_by}, {local_time(told.decided_at, zone)}"),
            ("Why", told.why),
            ("Cut-over", local_time(told.at, zone)),
            ("Last record of the legacy system", f"{told.last_legacy_record}, {local_time(told.last_legacy_at, zone)}"),
            ("First record of the gateway", "none is held" if first is None else f"{first.record}, {local_time(first.start, zone)}"),
        ]
    )
    yield Heading(1, "Verdict")
    rows = [[one.what, one.expected, one.found, one.verdict] for one in checks]
    marked = frozenset(place for place, one in enumerate(checks) if one.verdict != PASSED)
    yield Table(("Check", "Expected", "Found", "Verdict"), (3, 3, 4, 1.4), rows, marked)
    yield Heading(1, "Open points")
    points = [[one.what, one.who, str(one.due)] for one in told.open]
    yield Table(("What", "Who", "By"), (5, 2, 1.4), points) if points else Text("None was named.")
    yield Heading(1, "The overlap")
    yield from _overlap(trend, wrong)


def _overlap(trend: Mapping[str, Any] | None, wrong: Sequence[str]) -> Iterator[Block]:
    if trend is None:
        yield Text("No comparison was given: nothing says that both records were the same.", marked=True)
    else:
        rows = [[one["batch"], one["file"] or "", one["result"] or "", one["why_not"] or "counts"] for one in trend["batches"]]
        marked = frozenset(place for place, one in enumerate(trend["batches"]) if one["why_not"] is not None)
        titles = ("Batch", "Comparison", "Result", "Counts for the criterion")
        yield Table(titles, (2, 3, 1.6, 3), rows, marked) if rows else Text("No batch was compared.", marked=True)
    yield from (Text(f"not read: {one}", marked=True) for one in wrong)
