"""Makes the report of each day of [observation] after that day, and says what exceeded a limit, and that a period is over and not ended.

The journal is read on as it grows, a page at a time and at most half of the time; a start reads again what is held of the period. So a
report needs nothing that only a gateway which ran all the time would know. A day is reported when ten minutes of the next have passed, or
at the next start. By a clock that is not verified, only a day is that has entries, none of them by a verified one: a clock that woke up
years ahead makes no reports of days that nobody has seen.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from buffer import Entry
from gateway.alarms.observation import missing, period_name, state_of
from gateway.alarms.transition import by_clock
from gateway.clock import Stamp
from gateway.entries.findings import finding
from gateway.entries.fold_input import UNVERIFIED
from gateway.entries.ticks import TICKS_PER_S
from gateway.observation.day import Day, today
from gateway.observation.document import day_draft, shown
from gateway.observation.gathering import Gathered, Position
from gateway.observation.judging import EXCEEDED, UNITS, Judged, judged, reasons
from gateway.observation.reading import open_before, place_before
from gateway.runtime.observation_files import ReportFiles
from gateway.runtime.observation_parts import Observing

LOOK_EVERY_S = 60.0
SETTLES_S = 600.0
"""After a day: so long what happened in its last seconds may still be told."""


class ObservationWatch:
    """The reports of one period. What was reported is told by the journal: a restart forgets nothing. No run reports a day twice."""

    def __init__(self, its: Observing) -> None:
        self._its, self._files = its, ReportFiles(its)
        self._made: Gathered | None = None
        self._after: Position = (0, 0)
        self._said = ("", False)
        self._reported: set[str] = set()

    async def run(self, stamp: Callable[[], Stamp], done: Callable[[], object], every_s: float = LOOK_EVERY_S) -> None:
        """Look each minute, until cancelled. done: called after each look."""
        while True:
            await self.look(stamp)
            done()
            await asyncio.sleep(every_s)

    async def look(self, stamp: Callable[[], Stamp]) -> None:
        """Report the days that are over, and say what has to be said of the period."""
        its, now = self._its, stamp()
        day = today(now.ticks, its.zone)
        state = state_of(its.told, its.kept(), day)
        if state in ("runs", "over") and any(str(one) not in self._reported for one in missing(its.told, its.kept(), day)):
            await self._read()
            for one in self._due(now):
                await self._report(one, now)
        self._tell(state_of(its.told, its.kept(), day), now.status)
        await self._files.look(now.ticks)

    async def _read(self) -> None:
        """Read on to the journal's end; half of the time is for others."""
        if self._made is None:
            self._made, self._after = await asyncio.to_thread(self._begin)
        made = self._made
        assert made is not None
        while page := await asyncio.to_thread(self._its.read, self._after):
            began = time.monotonic()
            await asyncio.to_thread(_taken, made, page)
            self._after = page[-1].epoch, page[-1].seq
            await asyncio.sleep(time.monotonic() - began)

    def _begin(self) -> tuple[Gathered, Position]:
        its = self._its
        made = Gathered(its.told.begin, its.told.until, its.zone)
        begin = made.period.begin
        return Gathered(its.told.begin, its.told.until, its.zone, open_before(its.gaps(), begin)), place_before(its.data, begin)

    def _due(self, now: Stamp) -> list[Day]:
        """List the days without a report that are over, as far as the clock can be trusted to say so."""
        made = self._made
        if made is None:
            return []
        reported, verified = {*self._its.kept().days, *self._reported}, now.status not in UNVERIFIED
        over = [day for day in made.days if day.span.end + SETTLES_S * TICKS_PER_S <= now.ticks and day.span.end <= made.read_to]
        return [day for day in over if str(day.day) not in reported and (verified or (day.entries and not day.verified))]

    async def _report(self, day: Day, now: Stamp) -> None:
        """Make the report of a day. What it exceeds is said before: told twice after a crash is better than not at all."""
        its, made = self._its, self._made
        assert made is not None
        one = await asyncio.to_thread(judged, made, day, its.told.limits, its.uplinks)
        self._tell_day(one)
        document = await its.record(day_draft(its.gateway, its.told, made, one, its.kept()))
        self._reported.add(str(day.day))
        await self._files.write(document, now.ticks)

    def _tell_day(self, one: Judged) -> None:
        day, evidence = str(one.day.day), {"name": str(one.day.day)}
        exceeded, unknown = [row for row in one.rows if row.verdict == EXCEEDED], reasons(one.rows)
        if exceeded:
            told = "; ".join(f"{row.limit} {shown(row)}, limit {row.allowed}{UNITS.get(row.limit, '')}" for row in exceeded)
            self._its.event(finding("observation-exceeded", "alarm", f"{day}: {told}", evidence))
        if unknown:
            self._its.event(finding("observation-not-known", "warning", f"{day}: {'; '.join(unknown)[:2_000]}", evidence))

    def _tell(self, state: str, clock: str) -> None:
        """Say that the period is over and not ended, once, and once more by a clock that has come to be verified; or its end."""
        its, name = self._its, period_name(self._its.told)
        verified = clock not in UNVERIFIED
        for standing in {held.subject for held in its.found().standing if held.code == "observation-open"}:
            if standing != name or state == "ended" or (verified and state != "over"):
                self._said = ("", False)
                why = "QA has ended it" if standing == name and state == "ended" else f"the period is {name}"
                its.event(finding("observation-open", "info", f"{standing}: {why}", {"name": standing}))
        was, proved = self._said
        if state == "over" and (was != name or (verified and not proved)):
            self._said = (name, verified)
            says = "and goes on until somebody of role qa signs its summary: observation summary, observation end"
            its.event(
                finding(
                    "observation-open", "alarm", f"the observation lasted until {its.told.until}{by_clock(clock)}, {says}", {"name": name}
                )
            )


def _taken(made: Gathered, page: Sequence[Entry]) -> None:
    for entry in page:
        made.take(entry)
