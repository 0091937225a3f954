"""Chooses what belongs to a batch of what happened on its line: gaps, findings, events of the clock."""

from collections.abc import Mapping
from typing import Any

from simulators.ebr.record.parts import joined
from simulators.ebr.record.readings import ticks_of

_GAP = ("gateway", "gap", "source", "tags", "start", "end", "cause", "detail")


def gaps_of(
    line: list[dict[str, Any]], window: Mapping[str, str | None], facts: Mapping[str, Any], ends: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List the batch's gaps, with end and outcome if known: those that its end lists.

    Of a line that has not ended it (or whose end counts none, as in 0.1 and before): those that touch the batch's time, of its tags and
    of sources of rows alone.
    """
    listed = {end["gateway"]: set(end["gaps"]) for end in ends if end.get("gap_count") is not None}
    found = _told(line)
    return [
        gap
        for (gateway, name), gap in found.items()
        if (name in listed[gateway] if gateway in listed else _concerns(gap, facts) and _touches(gap, window))
    ]


def _told(line: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Put together what was told of each gap; of one that opened before this EBR came, its end says when it began."""
    gaps: dict[tuple[str, str], dict[str, Any]] = {}
    for event in joined(event for event in line if event["type"] == "gap" and event["transition"] in {"open", "close"}):
        is_new: dict[str, Any] = {**{name: event.get(name) for name in _GAP}, "outcome": None, "closed": []}
        gap = gaps.setdefault((event["gateway"], event["gap"]), is_new)
        if event["transition"] == "open":
            gap["outcome"] = "lost" if event.get("end") else None
        else:
            gap["closed"].append({name: event.get(name) for name in ("tags", "start", "end", "outcome")})
    return {key: _settled(gap) for key, gap in gaps.items()}


def gaps_not_received(gaps: list[dict[str, Any]], ends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List what the batch's ends say of gaps that are not here: named and not received, or too many to be named."""
    held = {(gap["gateway"], gap["gap"]) for gap in gaps}
    lacking = [(end["gateway"], name) for end in ends if end.get("gap_count") is not None for name in end["gaps"]]
    named = [{"gateway": gateway, "gap": name, "count": 1} for gateway, name in lacking if (gateway, name) not in held]
    more = [{"gateway": end["gateway"], "gap": None, "count": (end.get("gap_count") or 0) - len(end["gaps"])} for end in ends]
    return named + [one for one in more if one["count"] > 0]


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
    """List the events of a kind from the batch's first entry to its first end, and of before it those since the batch's start.

    By the order of entries: a clock may have been ahead. What an end that is made again weeks later follows is not the batch's.
    """
    if window["start"] is None or window["end"] is None:
        return []
    first, spans = ticks_of(window["start"]), _entries_of(events)
    return [event for event in line if event["type"] == kind and _between(event, spans.get(event["gateway"]), first)]


def _entries_of(events: list[dict[str, Any]]) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Give by line the first entry about the batch, and its first end (its last one while it has none)."""
    spans = {}
    for gateway in {event["gateway"] for event in events}:
        mine = [event for event in events if event["gateway"] == gateway]
        ends = [event for event in mine if event["type"] == "batch" and event["transition"] == "end"]
        spans[gateway] = min(map(_place, mine)), min(map(_place, ends)) if ends else max(map(_place, mine))
    return spans


def _between(event: dict[str, Any], span: tuple[tuple[int, int], tuple[int, int]] | None, first: int) -> bool:
    if span is None or _place(event) > span[1]:
        return False
    return _place(event) >= span[0] or ticks_of(event["entered"]) >= first


def _place(event: dict[str, Any]) -> tuple[int, int]:
    return event["epoch"], event["seq"]


def findings_of(
    line: list[dict[str, Any]], window: Mapping[str, str | None], batch: str, events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List the findings of the batch's time that name no batch (of changed rows of a source none), and all that name it, whenever."""
    mine = [event for event in line if event["type"] == "finding" and _batch_of(event) == batch]
    gone = {event["supersedes"] for event in line if event["type"] == "rebind"}
    told = [event for event in inside(line, "finding", window, events) if _batch_of(event) is None]
    return sorted((event for event in [*told, *mine] if not _went_over(event, gone)), key=lambda one: (one["gateway"], _place(one)))


def _went_over(finding: Mapping[str, Any], gone: set[str]) -> bool:
    """Return whether a finding is about a run that turned out to be another batch's. gone: records whose name a rebind replaced."""
    told = finding.get("evidence") or {}
    run = "/".join(str(told.get(name)) for name in ("batch", "equipment", "step", "run"))
    return any(record.endswith(f"/{run}") for record in gone)


def _batch_of(finding: Mapping[str, Any]) -> Any:
    return (finding.get("evidence") or {}).get("batch")
