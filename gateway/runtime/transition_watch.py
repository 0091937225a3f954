"""Says which phase of a transition it is when that changes, and each month that the sunset has passed: by the gateway's clock."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import Transition
from gateway.alarms import Found
from gateway.alarms.transition import months_after, phase_text, sunset_text
from gateway.clock import Stamp
from gateway.entries.findings import finding

LOOK_EVERY_S = 60.0


class TransitionWatch:
    """Looks each minute. A day is one of the wall clock of the line."""

    def __init__(self, told: Transition, zone: ZoneInfo, found: Callable[[], Found], event: Callable[[Mapping[str, Any]], object]) -> None:
        """found: findings of the fold as they are now. event: appends to the journal."""
        self._told, self._zone, self._found, self._event = told, zone, found, event
        self._phase: str | None = None
        self._alarm: str | None = None

    async def run(self, stamp: Callable[[], Stamp], done: Callable[[], object], every_s: float = LOOK_EVERY_S) -> None:
        """Look, until cancelled. done: called after each look."""
        while True:
            now = stamp()
            self.look(_day(now.ticks, self._zone), now.status)
            done()
            await asyncio.sleep(every_s)

    def look(self, day: date, clock: str) -> None:
        """Tell what is news on a day: once while it says the same. clock: its status."""
        phase, month = phase_text(self._told, day), months_after(self._told.sunset, day)
        if phase != self._phase:
            self._event(finding("transition-phase", "info", phase, {"clock": clock}))
        alarm = sunset_text(self._told, month, clock) if month else None
        subject = f"month {month}" if month else None
        for standing in self._standing() - {subject}:
            why = f"it is {subject}" if subject else f"the sunset is {self._told.sunset}"
            self._event(finding("sunset-passed", "info", f"{standing} after the sunset is over: {why}", {"name": standing}))
        if alarm is not None and alarm != self._alarm:
            self._event(finding("sunset-passed", "alarm", alarm, {"name": subject, "sunset": str(self._told.sunset), "clock": clock}))
        self._phase, self._alarm = phase, alarm

    def _standing(self) -> set[str | None]:
        return {held.subject for held in self._found().standing if held.code == "sunset-passed"}


def _day(ticks: int, zone: ZoneInfo) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).astimezone(zone).date()
