"""Gathers what the events of a line say to people, and what people do about it, as the fold shows them."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.alarms.acknowledging import ACTIONS, act
from gateway.alarms.findings import Heard, started, take
from gateway.alarms.held import Found
from gateway.alarms.stream import Told, told


class Gathering:
    """Shows each event to what has been found so far, which is a part of the fold's state."""

    def __init__(self, found: Found) -> None:
        self.found = found
        """What stands, and the newest of what happened. To be read only."""
        self.heard: Callable[[Told], None] = lambda _: None
        """Called with all that is told. To be set after a replay, whose news is old."""
        self.changed: Heard = lambda _: None
        """Called with each change of what is held. To be set after a replay, too."""

    def take(self, event: Mapping[str, Any], now: int, seq: int) -> None:
        """Take an event, of the line or of the fold. now: ticks of its entry. seq: of the entry, or of the one that caused the event."""
        self.found.began = self.found.began or now
        match event["type"]:
            case "audit" if event["action"] in {"start", "unclean-start"}:
                started(self.found, now)
            case "audit" if event["action"] in ACTIONS:
                act(self.found, event, now, self.changed)
            case "batch" if event.get("equipment") is not None:
                self._batch(event)
        said = told(event)
        if said is not None:
            self.say(said, now, seq, (event.get("evidence") or {}).get("batch"))

    def say(self, said: Told, now: int, seq: int, batch: str | None = None) -> None:
        """Take what no event tells by itself. batch: that it names."""
        take(self.found, said, now, seq=seq, batch=None if batch is None else str(batch), heard=self.changed)
        self.heard(said)

    def _batch(self, event: Mapping[str, Any]) -> None:
        """Note which batch is in an equipment."""
        batches, equipment = self.found.batches, str(event["equipment"])
        if event["transition"] == "start":
            batches[equipment] = str(event["batch"])
        elif event["transition"] == "leave" and batches.get(equipment) == str(event["batch"]):
            del batches[equipment]
            if event.get("superseded_by") is not None:
                batches[equipment] = str(event["superseded_by"])
