"""Says which phase of a transition it is when that changes, and each month that the sunset has passed: by the gateway's clock.

What a clock says that is not verified is told with that word, and ends nothing: a board whose battery is flat wakes up in 1970, and is no
proof that the sunset is still to come. That another date was approved needs no clock.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from config.sections import Transition
from gateway.alarms import Found
from gateway.alarms.transition import by_clock, day_of, is_of, month_name, months_after, phase_text, sunset_text
from gateway.clock import Stamp
from gateway.entries.findings import finding
from gateway.entries.fold_input import UNVERIFIED

LOOK_EVERY_S = 60.0


class TransitionWatch:
    """Looks each minute. A day is one of the wall clock of the line."""

    def __init__(self, told: Transition, zone: ZoneInfo, found: Callable[[], Found], event: Callable[[Mapping[str, Any]], object]) -> None:
        """found: findings of the fold as they are now. event: appends to the journal."""
        self._told, self._zone, self._found, self._event = told, zone, found, event
        self._said: dict[str, tuple[str, bool]] = {}

    async def run(self, stamp: Callable[[], Stamp], done: Callable[[], object], every_s: float = LOOK_EVERY_S) -> None:
        """Look, until cancelled. done: called after each look."""
        while True:
            now = stamp()
            self.look(day_of(now.ticks, self._zone), now.status)
            done()
            await asyncio.sleep(every_s)

    def look(self, day: date, clock: str) -> None:
        """Tell what is news on a day: once while it says the same, and once more when the clock has come to be verified.

        clock: its status.
        """
        verified = clock not in UNVERIFIED
        phase, name = phase_text(self._told, day), month_name(self._told, day)
        if self._is_news("phase", phase, verified=verified):
            self._event(finding("transition-phase", "info", f"{phase}{by_clock(clock)}", {"clock": clock}))
        for standing in self._standing() - {name}:
            if verified or not is_of(self._told, standing):
                why = f"it is {name}" if name and is_of(self._told, standing) else f"the sunset is {self._told.sunset}"
                self._event(finding("sunset-passed", "info", f"{standing} is over: {why}", {"name": standing}))
        if name is not None and self._is_news("sunset", name, verified=verified):
            text = sunset_text(self._told, months_after(self._told.sunset, day), clock)
            self._event(finding("sunset-passed", "alarm", text, {"name": name, "sunset": str(self._told.sunset), "clock": clock}))

    def _is_news(self, of: str, text: str, *, verified: bool) -> bool:
        """Note what is said. A clock that is not verified any more takes nothing from what a verified one said."""
        was, proved = self._said.get(of, ("", False))
        self._said[of] = text, verified or (proved and text == was)
        return text != was or (verified and not proved)

    def _standing(self) -> set[str]:
        return {held.subject for held in self._found().standing if held.code == "sunset-passed"}
