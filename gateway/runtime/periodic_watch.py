"""Says that something that has to be done from time to time is overdue, and that it was done: from what the fold has gathered."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from config.sections import Periodic
from gateway.alarms import Found
from gateway.alarms.periodic import CODE, Kept, Overdue, code, overdue
from gateway.entries.findings import finding

LOOK_EVERY_S = 60.0


class PeriodicWatch:
    """Looks each minute. Nothing is read from the journal: what a document tells was gathered when it was recorded."""

    def __init__(
        self, settings: Periodic, kept: Callable[[], Kept], found: Callable[[], Found], event: Callable[[Mapping[str, Any]], object]
    ) -> None:
        """kept, found: of the fold as it is now. event: appends to the journal."""
        self._days, self._kept, self._found, self._event = settings.days(), kept, found, event
        self._told: dict[str, str] = {}

    async def run(self, now: Callable[[], int], done: Callable[[], object], every_s: float = LOOK_EVERY_S) -> None:
        """Look, until cancelled. now: ticks. done: called after each look."""
        while True:
            self.look(now())
            done()
            await asyncio.sleep(every_s)

    def look(self, now: int) -> None:
        """Tell what is overdue, once while it says the same, and the end of what is not any more, of a former run's finding as well."""
        late = {one.what: one for one in overdue(self._kept(), self._days, now)}
        for what, one in late.items():
            if self._told.get(what) != one.text:
                self._event(_overdue(one))
        for what in {*self._told, *self._standing()} - late.keys():
            says = "was done" if self._days.get(what) else "is no longer asked for"
            self._event(finding(code(what), "info", f"{what} {says}", {"name": what}))
        self._told = {what: one.text for what, one in late.items()}

    def _standing(self) -> list[str]:
        """Name what stands of a former run."""
        codes = {*CODE.values(), code("")}
        return [held.subject for held in self._found().standing if held.code in codes]


def _overdue(one: Overdue) -> dict[str, Any]:
    evidence = {"name": one.what, "days": one.days, "ever": one.ever}
    match one.what:
        case "verification":
            return finding("verification-overdue", "alarm", one.text, evidence)
        case "restore-test":
            return finding("restore-test-overdue", "alarm", one.text, evidence)
    return finding("review-overdue", "alarm", one.text, evidence)
