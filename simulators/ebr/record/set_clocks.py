"""Tells what ran when a clock was set. By the order of entries: the times before and after are of two clocks."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simulators.ebr.record.readings import TICKS_PER_S, ticks_of

Place = tuple[int, int]


def with_running(happened: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add `running` to each clock event that set the clock: the batch's steps that had begun and not ended in the entries before it."""
    spans = _spans(events)
    return [{**event, "running": list(_over(event, spans))} if event.get("step_s") is not None else dict(event) for event in happened]


def _over(event: Mapping[str, Any], spans: Mapping[tuple[str, str], dict[str, Any]]) -> Iterator[str]:
    now = ticks_of(event["entered"])
    by_either = min(now, now - round(event["step_s"] * TICKS_PER_S))
    for (gateway, _), span in spans.items():
        begun, ended = span.get("start"), span.get("end")
        has_begun = (begun is not None and begun < _place(event)) or span["began"] <= by_either
        if gateway == event["gateway"] and has_begun and (ended is None or ended > _place(event)):
            yield str(span["name"])


def _spans(events: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Give by record of a step its name, and the entries with its start and its first end.

    The start of one may be told after it was seen to stand, and that of one that went over to this batch stands under another name: it
    has begun too if its time is over by either clock.
    """
    spans: dict[tuple[str, str], dict[str, Any]] = {}
    for event in sorted((event for event in events if event["type"] == "step"), key=_place):
        told = {"name": f"{event['equipment']}: {event['step']}/{event['run']}", "began": ticks_of(event["start"]["time"])}
        span = spans.setdefault((event["gateway"], event["record"]), told)
        span.setdefault(event["transition"], _place(event))
    return spans


def _place(event: Mapping[str, Any]) -> Place:
    return event["epoch"], event["seq"]
