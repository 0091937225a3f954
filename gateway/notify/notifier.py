"""Tells one target of alarms, as soon as they are due for it, and says so in the record."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import Notify
from gateway.alarms import Found
from gateway.entries.findings import Announcer, finding
from gateway.notify.messages import due, trial, written
from gateway.notify.undelivered import NotDelivered

LOOK_EVERY_S = 1.0

Told = Callable[[str, list[str]], Awaitable[None]]
"""Appends that a target was told of alarms, by their ids; on disk when the awaitable completes."""


class Notifier:
    """Tells one target. Each alarm once; what fails is tried again by who runs it."""

    def __init__(
        self,
        gateway: str,
        settings: Notify,
        folder: Path,
        zone: ZoneInfo,
        found: Callable[[], Found],
        told: Told,
        event: Callable[[Mapping[str, Any]], object],
        *,
        now: Callable[[], int],
    ) -> None:
        """found: what stands, at each look. told: see `Told`. event: appends a finding. now: ticks."""
        from gateway.notify.targets import target  # its libraries are those of mail and of webhooks: a line without [[notify]] needs none

        self.name = settings.name
        self._gateway, self._settings, self._zone, self._found = gateway, settings, zone, found
        self._told, self._now, self._target = told, now, target(settings, folder)
        self._announcer = Announcer(event)

    async def run(self) -> None:
        """Tell what is due, until cancelled. Raises NotDelivered."""
        while True:
            alarms = due(self._found(), self._settings, self._now())
            if alarms:
                ids = [held.id for held in alarms]
                await self._target.deliver(self._gateway, written(self._gateway, alarms, self._zone, self._settings))
                await self._told(self.name, ids)
                self._works()
            await asyncio.sleep(LOOK_EVERY_S)

    async def test(self) -> None:
        """Send a test message. Raises NotDelivered."""
        await self._target.deliver(self._gateway, trial(self._gateway, self.name))
        self._works()

    async def failed(self, why: str) -> None:
        """Raise an alarm, once until a message arrives. why: what the last attempt ended with."""
        text = f"notify {self.name}: no message arrives: {why}"
        self._announcer.once_until_changed("away", finding("notify-failed", "alarm", text, {"name": self.name}), state=True)

    def _works(self) -> None:
        text = f"notify {self.name}: messages arrive again"
        self._announcer.once_until_changed("away", finding("notify-works", "info", text, {"name": self.name}), state=False)


__all__ = ["NotDelivered", "Notifier"]
