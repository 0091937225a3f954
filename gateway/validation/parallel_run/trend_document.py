"""The trend of a parallel run for people: as blocks of a document, and as text for a terminal. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buffer.pages.blocks import Block, Heading, NamedValues, Table, Text
from gateway.documents import draft

KIND = "parallel-run-trend"
NONE = "-"
MOST_BATCHES = 8
"""Newest batches whose differences stand beside each other on paper."""


def drafted(found: Mapping[str, Any], gateway: str) -> dict[str, Any]:
    """Make the draft of a document. gateway: whose."""
    result = "passed" if found["may_end"] else "not-complete"
    return draft(KIND, f"Parallel run of {gateway}: batch by batch, field by field", blocks(found), found, result=result)


def verdict(found: Mapping[str, Any]) -> str:
    """Say whether the run may end by the criterion."""
    needed, last = found["needed"], found["last"]
    told = f"{last} of {needed} batches in a row, up to the newest one, have nothing open"
    return f"The criterion is met: {told}." if found["may_end"] else f"The criterion is not met: {told}."


def blocks(found: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what people read: whether the criterion is met, each batch, each field, the differences of the newest batches."""
    yield Text(verdict(found), marked=not found["may_end"])
    yield NamedValues(
        [
            ("Criterion, of line.toml", f"{found['needed']} batches, one after the other"),
            ("In a row up to the newest batch", str(found["last"])),
            ("Longest row", str(found["longest"])),
            ("Rules in force, SHA-256", str(found["rules"])),
        ]
    )
    yield Text(
        "A batch counts if its newest comparison stands in the journal, by the rules in force, which were declared before it began, with"
        " nothing open, signed by QA. A batch that was not compared breaks the row."
    )
    yield Heading(1, "Batches")
    rows = [_batch(one) for one in found["batches"]]
    marked = frozenset(at for at, one in enumerate(found["batches"]) if one["why_not"] is not None)
    titles = ("Batch", "Rows", "Match", "Mismatch", "One side", "Not comparable", "Explained", "Open", "Signed", "Counts")
    yield Table(titles, (5, 2, 2, 3, 3, 3, 3, 2, 6, 7), rows, marked) if rows else Text("None was compared.", marked=True)
    if found["unknown"]:
        yield Text(f"Comparisons of batches that the journal does not hold any more: {', '.join(found['unknown'])}", marked=True)
    yield Heading(1, "Fields")
    yield Text("Difference: gateway less legacy. A mean that is not near zero is a bias: one side reads higher than the other, always.")
    yield from _fields(found["fields"])


def _batch(one: Mapping[str, Any]) -> list[str]:
    counts = one["counts"] or {}
    sided = None if not counts else counts["only-gateway"] + counts["only-legacy"]
    numbers = [counts.get("rows"), counts.get("match"), counts.get("mismatch"), sided, counts.get("not-comparable")]
    told = [NONE if number is None else str(number) for number in (*numbers, counts.get("explained"), counts.get("open"))]
    return [one["batch"], *told, "; ".join(one["signed"]) or NONE, "yes" if one["why_not"] is None else f"no: {one['why_not']}"]


def _fields(fields: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    titles = ("Field", "Name", "Batches", "Match", "Mismatch", "One side", "Not comparable", "Explained", "Largest difference", "Mean")
    rows = []
    for one in fields:
        counts = [str(one[name]) for name in ("batches", "match", "mismatch", "one_sided", "not_comparable", "explained")]
        unit = f" {one['unit']}" if one["unit"] else ""
        rows.append(
            [one["field"], one["name"] or NONE, *counts, *(NONE if one[n] is None else f"{one[n]}{unit}" for n in ("largest", "mean"))]
        )
    marked = frozenset(at for at, one in enumerate(fields) if one["match"] + one["explained"] < len(one["by_batch"]))
    yield Table(titles, (5, 6, 2, 2, 3, 3, 3, 3, 4, 4), rows, marked)
    batches = list(dict.fromkeys(told["batch"] for one in fields for told in one["by_batch"]))[-MOST_BATCHES:]
    yield Heading(1, f"Differences of the newest {len(batches)} batches" if len(batches) > 1 else "Differences")
    cells = [[one["field"], *(_of_batch(one, batch) for batch in batches)] for one in fields]
    yield Table(("Field", *batches), (4, *[4] * len(batches)), cells)


def _of_batch(one: Mapping[str, Any], batch: str) -> str:
    told = [each for each in one["by_batch"] if each["batch"] == batch]
    return "; ".join(each["verdict"] if each["difference"] is None else f"{each['difference']} {each['verdict']}" for each in told) or NONE


def text(found: Mapping[str, Any]) -> str:
    """Write it for a terminal."""
    lines = []
    for one in found["batches"]:
        counts = one["counts"]
        told = (
            ""
            if counts is None
            else f"{counts['match']} of {counts['rows']} match, {counts['explained']} explained, {counts['open']} open; "
        )
        lines.append(f"{one['batch']}: {told}{'counts' if one['why_not'] is None else 'does not count: ' + one['why_not']}")
    for one in found["fields"]:
        left = len(one["by_batch"]) - one["match"]
        if left or one["largest"] not in (None, "0"):
            unit = f" {one['unit']}" if one["unit"] else ""
            apart = "" if one["largest"] is None else f"; largest difference {one['largest']}{unit}, mean {one['mean']}{unit}"
            lines.append(f"  {one['field']} {one['name'] or ''}: {one['match']} of {len(one['by_batch'])} match{apart}")
    return "\n".join([*lines, verdict(found)])
