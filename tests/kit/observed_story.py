"""A line in the thirty days after go-live, written by a real journal with the stamps of those days, and watched as a gateway does."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kit.audited_journal import GATEWAY, ended

import config
from buffer import Body, Journal
from buffer.times import TICKS_PER_S, rfc3339
from gateway.access import of_the_gateway
from gateway.alarms import Found
from gateway.alarms.findings import take as take_finding
from gateway.alarms.observation import Observed, take
from gateway.alarms.stream import told as told_of
from gateway.clock import Stamp
from gateway.documents import event_of, head, unsigned
from gateway.observation.day import day_span
from gateway.runtime.observation_parts import Observing
from gateway.runtime.observation_watch import ObservationWatch

PARIS = ZoneInfo("Europe/Paris")
BEGIN, UNTIL = date(2026, 10, 1), date(2026, 10, 30)
HOUR = 3_600 * TICKS_PER_S


def at(day: date, hours: float = 0.0) -> int:
    """Ticks so long after midnight of a day."""
    return day_span(day, PARIS).begin + round(hours * HOUR)


class Story:
    """The journal, what the fold would keep, and the watch of the run that goes on."""

    def __init__(self, folder: Path) -> None:
        """folder: a line with [observation] from BEGIN until UNTIL."""
        observation = config.load(folder).observation
        assert observation is not None
        self.line, self.told = folder, observation
        self.data = folder / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.open()
        self.kept, self.found, self.now = Observed(), Found(), 0
        self.status, self.bound_s = "synchronised", 0.002
        self.start()
        self.beat(at(observation.begin - timedelta(days=4)))

    def open(self) -> None:
        """Open the journal, anew after it was closed for a command that works without a gateway."""
        self.journal = Journal.open(self.data, GATEWAY, commit_interval_s=0.001, retain_s=1e12, max_bytes=1 << 30)

    def start(self) -> None:
        """Begin a run: a watch that knows nothing but the journal."""
        self.watch = ObservationWatch(
            Observing(
                gateway=GATEWAY,
                zone=PARIS,
                told=self.told,
                uplinks=[],
                data=self.data,
                read=lambda after: self.journal.read(after, max_bytes=1 << 20),
                gaps=lambda: (),
                kept=lambda: self.kept,
                found=lambda: self.found,
                record=self._record,
                event=self.tell,
            )
        )

    def tell(self, event: Mapping[str, Any], ticks: int | None = None) -> None:
        """Append an event, now or at a time."""
        self.now = self.now if ticks is None else ticks
        clock = {"status": self.status, "bound_s": self.bound_s, "boot": "b", "monotonic_s": 1.0}
        text = json.dumps({"time": rfc3339(self.now), "clock": clock, "event": event}, separators=(",", ":"))
        self.journal.append([Body("ebr-gateway/event/1", text[1:].encode())]).result()
        if event["type"] == "document":
            take(self.kept, event)
        if (said := told_of(event)) is not None:
            take_finding(self.found, said, self.now)

    def beat(self, ticks: int) -> None:
        """The LIMS was observed until now."""
        self.tell({"type": "heartbeat", "observed": {"lims": rfc3339(ticks)}}, ticks)

    def day(self, day: date) -> None:
        """Twenty-four hours in which the LIMS was observed."""
        for hour in range(24):
            self.beat(at(day, hour + 0.5))

    def gap(self, name: str, start: int, end: int, cause: str = "link-lost") -> None:
        """A gap of the LIMS, told when it is over."""
        gap = {"type": "gap", "gap": name, "source": "lims", "tags": "all", "cause": cause, "start": rfc3339(start)}
        self.tell({**gap, "transition": "open", "detected": rfc3339(end)}, end)
        self.tell({**gap, "transition": "close", "end": rfc3339(end), "outcome": "lost", "caused_by": 1}, end)

    def alarm(self, ticks: int, text: str) -> None:
        """A finding of severity alarm."""
        told: dict[str, Any] = {
            "code": "disk-slow",
            "severity": "alarm",
            "source": None,
            "tags": [],
            "text": text,
            "evidence": {"name": text},
        }
        self.tell({"type": "finding", **told}, ticks)

    def batch(self, ticks: int, name: str, **more: Any) -> None:
        """The end record of a batch."""
        self.tell({**ended(name), "caused_by": 1, **more}, ticks)

    async def midnight(self, day: date, status: str = "synchronised", hours: float = 0.4) -> None:
        """A gateway that runs looks, early on a day."""
        self.beat(at(day, hours))
        await self.watch.look(lambda: Stamp(self.now, status, 0.002, "b", 1.0))  # type: ignore[arg-type]

    async def _record(self, drafted: Mapping[str, Any]) -> Mapping[str, Any]:
        by = of_the_gateway(GATEWAY)
        clock = {"status": self.status, "bound_s": self.bound_s}
        made = head(
            drafted,
            line="test-1",
            gateway=GATEWAY,
            environment="validation",
            software={"version": "1", "sha256": "a" * 64},
            configuration=None,
            journal=[],
            clock=clock,
            ticks=self.now,
            zone=PARIS.key,
            who=by.who,
            station="panel",
        )
        document = unsigned(made)
        self.tell({**event_of(document), "who": by.who, "where": by.where, "site_zone": PARIS.key})
        return document

    def findings(self, code: str) -> list[tuple[str, str]]:
        """Severity and text of what was told of a code."""
        entries = [json.loads(entry.payload)["event"] for entry in self.journal.read((0, 0), max_bytes=1 << 28, max_entries=100_000)]
        return [(one["severity"], one["text"]) for one in entries if one["type"] == "finding" and one["code"] == code]


async def thirty_days(story: Story) -> None:
    """Days 5, 8 to 10, 14 and 22 exceed a limit, of day 20 the clock is not known; day 9 the gateway was down."""
    for number, day in enumerate((BEGIN + timedelta(days=at) for at in range(30)), 1):
        if number == 9:
            continue
        if number == 10:
            story.start()
            story.gap("lims/2", at(day - timedelta(days=2), 23.5), at(day, 0.2), "gateway-crashed")
            await story.midnight(day)
        story.day(day)
        if number == 5:
            story.gap("lims/1", at(day, 23.6), at(day, 23.6) + 400 * TICKS_PER_S)
        if number in (6, 22):
            story.batch(at(day, 23.7), f"B{number}", status="complete" if number == 6 else "incomplete")
        for alarm in range(3 if number == 14 else 1):
            story.alarm(at(day, 23.8), f"alarm {number}-{alarm}")
        if number == 20:
            story.status, story.bound_s = "unsynchronised", None  # type: ignore[assignment]
            story.beat(at(day, 23.9))
            story.status, story.bound_s = "synchronised", 0.002
        if number != 8:
            await story.midnight(day + timedelta(days=1))
