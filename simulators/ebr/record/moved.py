"""Finds the step records that went over to a batch as they stand: made for another one, and nothing could make them again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Event = dict[str, Any]
Of = Callable[[str], Sequence[Event]]
"""batch -> its steps and rebinds, steps joined."""


def moved(batch: str, events: Sequence[Event], of: Of) -> Iterator[Event]:
    """Yield the records that `rebind` events give to a batch, under their new names; `made_as` is the name they were made under."""
    for rebind in events:
        if rebind["type"] == "rebind" and rebind.get("final") and _side(rebind, "to") == batch:
            record = _made(rebind, of)
            if record is not None:
                yield {**record, **rebind["to"], "record": rebind["record"], "run": rebind["run"], "made_as": record["record"]}


def _made(rebind: Mapping[str, Any], of: Of) -> Event | None:
    """Find the record by its name, revision and digest, back through every batch that it was given to."""
    name, batch, final = rebind["supersedes"], _side(rebind, "from"), rebind["final"]
    passed: set[str] = set()
    while batch is not None and name not in passed:
        passed.add(name)
        events = of(batch)
        for event in events:
            made = event["type"] == "step" and event["transition"] == "end" and event["record"] == name
            if made and (event["revision"], event["content_sha256"]) == (final["revision"], final["content_sha256"]):
                return event
        before = (event for event in events if event["type"] == "rebind" and event["record"] == name and event.get("final"))
        earlier = next(before, None)
        name, batch = ("", None) if earlier is None else (earlier["supersedes"], _side(earlier, "from"))
    return None


def _side(rebind: Mapping[str, Any], side: str) -> str | None:
    return (rebind.get(side) or {}).get("batch")
