"""Hands what the fold decided to those who act on it, each kept apart from the others and from the entry itself."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from drivers.contract import UNFORESEEN
from gateway.operation.parts import Parts
from gateway.operation.status import Status
from gateway.runtime.broken import Broken
from gateway.runtime.isolate import plain

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
SIGNING, PAGE, HOLDS = "signing of batches", "batches on the page", "holds of batches"


class Followers:
    """The end of a batch is signed and shown, and holds follow records."""

    def __init__(self, parts: Parts, status: Status, broken: Broken) -> None:
        """broken: where one that failed is noted, until it has been seen at work."""
        self._parts, self._status, self._broken = parts, status, broken

    def caused(self, seq: int, event: Event) -> None:
        """Take an event that the fold made, entry `seq`, before it is appended. Never raises: the entry stands all the same."""
        if event["type"] == "batch" and event["transition"] == "end":
            self._follow(SIGNING, self._parts.checkpoints.batch_ended, seq, event)
            self._follow(PAGE, lambda _, ended: self._status.batch_ended(ended), seq, event)
        self._follow(HOLDS, self._hold, seq, event)

    def _hold(self, seq: int, event: Event) -> None:
        if HOLDS in self._broken:
            self._parts.holds.resume()  # what failed is made good: nothing of a batch may go before QA lets it
        self._parts.holds.caused(seq, event)

    def _follow(self, name: str, act: Callable[[int, Event], None], seq: int, event: Event) -> None:
        # Told after the entry: the journal is in the middle of it.
        later = asyncio.get_running_loop().call_soon
        try:
            act(seq, event)
        except UNFORESEEN as error:
            level = logging.DEBUG if name in self._broken else logging.ERROR
            log.log(level, "%s: entry %d could not be acted on", name, seq, exc_info=True)
            later(self._broken.failed, name, f"entry {seq} could not be acted on: {type(error).__name__}: {plain(error)}")
        else:
            if name in self._broken:
                later(self._broken.works, name)
