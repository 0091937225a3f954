"""What an event of the journal says to a person: a finding as it stands there, and what follows from records, gaps and the clock. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.entries.findings import Severity
from gateway.entries.fold_input import UNVERIFIED

SUBJECTS = (
    "column",
    "uplink",
    "witness",
    "part",
    "unit",
    "certificate",
    "query",
    "gap",
    "notifier",
    "record",
    "batch",
    "equipment",
    "name",
    "pattern",
)
"""Members of the evidence that tell what a finding is about, where its tags do not; the first that is there counts."""
MISSING_MEMBERS = ("equipment", "step", "parameter", "material", "sample", "lot", "status")
MOST_NAMED = 3
"""Missing values of a batch that are named."""
LONGEST_TEXT = 500
LONGEST_SUBJECT = 120
MOST_TAGS = 500
"""Tags of one finding that are kept; one of more is of many, and an end that is told of some of them does not end it."""


class Told(NamedTuple):
    """One thing that was said. subject: what it is about, "" if only its tags tell. of_many: of more tags than are kept."""

    code: str
    severity: Severity
    source: str
    subject: str
    tags: list[str]
    text: str
    of_many: bool = False


def told(event: Mapping[str, Any]) -> Told | None:
    """Tell what an event says to a person; None if nothing."""
    match event["type"]:
        case "finding":
            return _finding(event)
        case "clock" if event.get("status", "unknown") not in UNVERIFIED:
            return Told("clock-verified", "info", "", "", [], "")
        case "gap" if event["transition"] == "close" and "/silent/" in event["gap"]:
            return Told("tag-heard", "info", str(event["source"]), event["gap"][:LONGEST_SUBJECT], [], "")
        case "batch" if event["transition"] == "end":
            return _ended(event)
    return None


def _finding(event: Mapping[str, Any]) -> Told:
    evidence = event.get("evidence") or {}
    subject = next((str(evidence[name]) for name in SUBJECTS if evidence.get(name) is not None), "")
    tags = list(event.get("tags") or ())
    of_many = len(tags) > MOST_TAGS
    source, text = str(event.get("source") or ""), str(event["text"])[:LONGEST_TEXT]
    return Told(event["code"], event["severity"], source, subject[:LONGEST_SUBJECT], [] if of_many else tags, text, of_many)


def _ended(event: Mapping[str, Any]) -> Told:
    batch, done = str(event["batch"]), event["completeness"]
    if event["status"] == "complete":
        return Told("batch-complete", "info", "", batch[:LONGEST_SUBJECT], [], "")
    missing = done.get("missing_count", len(done["missing"]))
    text = f"batch {batch} is incomplete: {missing} of {done['required']} required are missing{_which(done['missing'], missing)}"
    return Told("batch-incomplete", "warning", "", batch[:LONGEST_SUBJECT], [], text)


def _which(items: Sequence[Mapping[str, Any]], count: int) -> str:
    """Name what is missing, each with its place and why, as far as a line holds it."""
    named = [" ".join(str(item[key]) for key in MISSING_MEMBERS if item.get(key)) for item in items[:MOST_NAMED]]
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f": {', '.join(named)}{more}" if any(named) else ""


def without_batch(step: Mapping[str, Any]) -> Told:
    """Tell of a step of production whose record belongs to no batch. step: the event of its end."""
    equipment, name = step["equipment"], step["step"]
    text = f"{equipment}: step {name} ran without a batch, until {step['end']['local']}"
    return Told("step-without-batch", "warning", "", f"{equipment}/{name}"[:LONGEST_SUBJECT], [], text)
