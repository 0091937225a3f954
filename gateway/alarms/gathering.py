"""Gathers what the events of a line say to people, as the fold shows them."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.alarms.findings import Found, started, take
from gateway.alarms.stream import Told, told


class Gathering:
    """Shows each event to what has been found so far, which is a part of the fold's state."""

    def __init__(self, found: Found) -> None:
        self.found = found
        """What stands, and the newest of what happened. To be read only."""
        self.heard: Callable[[Told], None] = lambda _: None
        """Called with all that is told. To be set after a replay, whose news is old."""

    def take(self, event: Mapping[str, Any], now: int) -> None:
        """Take an event, of the line or of the fold. now: ticks of its entry."""
        self.found.began = self.found.began or now
        if event["type"] == "audit" and event["action"] in {"start", "unclean-start"}:
            started(self.found, now)
        said = told(event)
        if said is not None:
            self.say(said, now)

    def say(self, said: Told, now: int) -> None:
        """Take what no event tells by itself."""
        take(self.found, said, now)
        self.heard(said)
