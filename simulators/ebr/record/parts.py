"""Joins events that arrived in numbered parts: one that is too large for an entry."""

from collections.abc import Iterable
from typing import Any

from simulators.ebr.record.batch_seal import content_sha256, event_bytes


def joined(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join events that arrived in numbered parts; those with a missing part are left out."""
    whole: list[dict[str, Any]] = []
    waiting: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for event in events:
        if event.get("of", 1) == 1 or "part" not in event:
            whole.append(event)
            continue
        name = event.get("record") or event.get("gap") or event.get("id")
        parts = waiting.setdefault((event["gateway"], event["type"], name, event.get("revision"), event.get("transition"), event["of"]), {})
        parts[event["part"]] = event
        if len(parts) == event["of"]:
            whole.append(_join([parts[number] for number in sorted(parts)]))
    return whole


def _join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    first = parts[0]
    differing = [name for name, value in first.items() if isinstance(value, list) and any(part[name] != value for part in parts)]
    cut = first.get("sliced") or differing
    lists = {name: [item for part in parts for item in part[name]] for name in cut}
    return {**first, **lists, "content_sha256": content_sha256(event_bytes(part["payload"]) for part in parts), "part": 1, "of": 1}
