"""Chooses what belongs to a batch of what happened on its line: gaps, findings, events of the clock."""

from collections.abc import Mapping
from typing import Any

from simulators.ebr.entry import ROW_CHANGES
from simulators.ebr.record.parts import joined
from simulators.ebr.record.readings import ticks_of


def gaps_of(line: list[dict[str, Any]], window: Mapping[str, str | None], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the gaps that touch the batch's time, of its tags and of sources of rows alone, with end and outcome if known."""
    gaps: dict[tuple[str, str], dict[str, Any]] = {}
    for event in joined(event for event in line if event["type"] == "gap" and _concerns(event, facts)):
        if event["transition"] == "open":
            opened = {name: event.get(name) for name in ("gateway", "gap", "source", "tags", "start", "end", "cause", "detail")}
            gaps[event["gateway"], event["gap"]] = {**opened, "outcome": "lost" if event.get("end") else None, "closed": []}
        elif event["transition"] == "close" and (gap := gaps.get((event["gateway"], event["gap"]))) is not None:
            gap["closed"].append({name: event.get(name) for name in ("tags", "start", "end", "outcome")})
    return [gap for gap in map(_settled, gaps.values()) if _touches(gap, window)]


def _concerns(gap: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    gateway, source = gap["gateway"], gap["source"]
    if (gateway, source) not in facts["tables"]:
        return True
    own = {tag for (line, tag), tag_facts in facts["tags"].items() if (line, tag_facts["source"]) == (gateway, source)}
    return bool(own) if gap["tags"] == "all" else not own.isdisjoint(gap["tags"])


def _settled(gap: dict[str, Any]) -> dict[str, Any]:
    closed = gap["closed"]
    if closed:
        # by the clock as it is when the gap closes: the one that opened it may have been ahead
        gap["start"] = min((closure["start"] or gap["start"] for closure in closed), key=ticks_of)
        gap["end"] = max((closure["end"] for closure in closed), key=ticks_of)
        gap["outcome"] = "filled" if all(closure["outcome"] == "filled" for closure in closed) else "lost"
    return gap


def _touches(gap: dict[str, Any], window: Mapping[str, str | None]) -> bool:
    if window["start"] is None or window["end"] is None:
        return False
    ends = [closure["end"] for closure in gap["closed"]] or ([gap["end"]] if gap["end"] else [])
    end = max((ticks_of(time) for time in ends), default=None)
    return ticks_of(gap["start"]) <= ticks_of(window["end"]) and (end is None or end >= ticks_of(window["start"]))


def inside(line: list[dict[str, Any]], kind: str, window: Mapping[str, str | None], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the events of a kind in the batch's time, and those between its first entry and its first end: a clock may have been ahead."""
    if window["start"] is None or window["end"] is None:
        return []
    first, last = ticks_of(window["start"]), ticks_of(window["end"])
    spans = _entries_of(events)
    return [
        event
        for event in line
        if event["type"] == kind and (first <= ticks_of(event["entered"]) <= last or _between(event, spans.get(event["gateway"])))
    ]


def _entries_of(events: list[dict[str, Any]]) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Give by line the first entry about the batch, and its first end (its last one while it has none)."""
    spans = {}
    for gateway in {event["gateway"] for event in events}:
        mine = [event for event in events if event["gateway"] == gateway]
        ends = [event for event in mine if event["type"] == "batch" and event["transition"] == "end"]
        spans[gateway] = min(map(_place, mine)), min(map(_place, ends)) if ends else max(map(_place, mine))
    return spans


def _between(event: dict[str, Any], span: tuple[tuple[int, int], tuple[int, int]] | None) -> bool:
    return span is not None and span[0] <= _place(event) <= span[1]


def _place(event: dict[str, Any]) -> tuple[int, int]:
    return event["epoch"], event["seq"]


def findings_of(
    line: list[dict[str, Any]], window: Mapping[str, str | None], batch: str, events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List the findings of the batch's time that name no other batch; of a source's row that was changed later those that name it, ever."""
    rows = [event for event in line if event["type"] == "finding" and event["code"] in ROW_CHANGES and _batch_of(event) == batch]
    gone = {event["supersedes"] for event in line if event["type"] == "rebind"}
    told = [event for event in inside(line, "finding", window, events) if event["code"] not in ROW_CHANGES or _batch_of(event) is None]
    return [event for event in told if _batch_of(event) in {None, batch} and not _went_over(event, gone)] + rows


def _went_over(finding: Mapping[str, Any], gone: set[str]) -> bool:
    """Return whether a finding is about a run that turned out to be another batch's. gone: records whose name a rebind replaced."""
    told = finding.get("evidence") or {}
    run = "/".join(str(told.get(name)) for name in ("batch", "equipment", "step", "run"))
    return any(record.endswith(f"/{run}") for record in gone)


def _batch_of(finding: Mapping[str, Any]) -> Any:
    return (finding.get("evidence") or {}).get("batch")
