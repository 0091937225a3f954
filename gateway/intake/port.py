"""One source's way in: the `Emit` that its driver is given. The modules below decide; here is the order in which it is done."""

import time
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from config import Source, Tag
from drivers.columns import Columns
from drivers.contract import BEHIND, AsRead, Finding, Kind, Look, Loss, Message, Reading, Window
from gateway.clock import SourceClock
from gateway.entries.bodies import Row
from gateway.entries.fold_input import FUTURE_TICKS
from gateway.entries.printable import printable
from gateway.entries.set_back import SetBack
from gateway.entries.ticks import TICKS_PER_S
from gateway.intake.asking import IN_TIME, Asked, Asking, LateCycles
from gateway.intake.beside import in_order, of_columns, of_rows
from gateway.intake.by_column import Stored
from gateway.intake.detectors import Detectors, Taking
from gateway.intake.drafts import Draft, EventDraft, ReadingsDraft
from gateway.intake.due import Due
from gateway.intake.findings import Findings, NotAsked
from gateway.intake.observation import Observation, observed_through
from gateway.intake.poll_filter import PollFilter
from gateway.intake.range_watch import RangeWatch
from gateway.intake.readings import Instants, Origin, column_drafts, in_time, readings_drafts
from gateway.intake.recent import Recent
from gateway.intake.retold import NO_ROWS, Retold, told
from gateway.intake.room import MOST_OPEN_CALLS, Room
from gateway.intake.row_events import found_by, row_drafts
from gateway.intake.source_clock import ClockWatch
from gateway.intake.unmapped import Unmapped
from gateway.intake.way_in import WayIn

LONGEST_ERROR = 4_000
_SIMULATED = {True: "it says of itself that it is a simulator", False: "it does not say any more that it is a simulator"}
LINES = "lines that are no answer"
_HELD_BACK = "the journal took nothing for a while: the polls after this one were held back"


class Port:
    """One source's `Emit`. What always holds, and the order of a call, stand in the header of the room, `gateway.intake`."""

    def __init__(self, source: Source, tags: tuple[Tag, ...], tagset: str, way: WayIn) -> None:
        """tagset: digest of the tags' table."""
        self.source, self.tags, self.tagset = source, tags, tagset
        self._way, self._append = way, way.append
        self._index = {tag.tag: index for index, tag in enumerate(tags)}
        self._signals = way.fold.signals(source.name)
        authorities = [tag.time_authority or source.time_authority for tag in tags]
        self._origin = Origin(source.name, tagset, authorities, source.max_offset_s)
        self._authority = authorities[0] if authorities and authorities.count(authorities[0]) == len(authorities) else None  # of all tags
        self.recent = Recent(authorities, way.remembered)
        self._detectors = Detectors(source, tags, self._where)
        self._watches = bool(self._detectors.watched)
        self._filter = PollFilter(tags, self._signals, way.codes, self._detectors.watched)
        stands = way.standing.get(source.name)
        self._retold = None if stands is None else Retold(stands, self._filter.as_stored)
        self._due = Due(source, tags, tagset, way.watermark("gateway").get(f"sampled:{source.name}"))
        self._observation = Observation(source, tags, way.fold.last_observed(source.name), way.started, self._due)
        asked = Asked(source, tags)
        self._shortest_ns = asked.shortest_ns
        gaps = partial(way.fold.open_gaps, source.name)
        self._asking = Asking(asked, self._observation, self._filter, way.clock, gaps, tells_rows=source.tells_rows)
        self._findings = Findings(source.name, tags)
        self._not_asked = NotAsked(source)
        self._ranges = RangeWatch(tags)
        self._clock_watch = ClockWatch(source, tags)
        self.unmapped = Unmapped(source.name, lambda message: way.mapped.kind(source.name, message))
        self._room = Room(way.flow)
        self.polled = self.undocumented = False
        self._has_rows = False
        self.state, self.detail, self.since_s = "starting", "", time.monotonic()
        self._said_simulated = bool(way.watermark("gateway").get(f"simulated:{source.name}"))
        self.is_simulated = self._said_simulated  # as it said of itself when it was connected last
        self.unread = ""  # what the source has and is not read, in words
        self.readings = self.rows = self.unchanged = self.lists = 0

    @property
    def observed(self) -> int | None:
        """Ticks through which the source has been observed; None if it never was."""
        return self._observation.through

    def observed_of(self, tag: int) -> int | None:
        """Return the ticks through which one tag has been observed; None if it never was."""
        return self._observation.of(tag)

    @property
    def late(self) -> LateCycles:
        """Polls that came after a silence."""
        return self._asking.late

    @property
    def clock(self) -> SourceClock:
        """The source's clock as now estimated."""
        return self._clock_watch.estimate

    # what the driver calls

    @property
    def watermark(self) -> Mapping[str, Any]:
        """See Emit."""
        return self._way.watermark(self.source.name)

    def __call__(
        self,
        readings: Sequence[Reading],
        *,
        received_ns: int,
        requested_ns: int | None = None,
        waited_since_ns: int | None = None,
        kind: Kind = "change",
        messages: Sequence[Message] = (),
        watermark: Mapping[str, Any] | None = None,
        alive: Sequence[int] | None = None,
        observed_ticks: int | None = None,
        owed_ticks: int | None = None,
        resumed: bool = False,
        kept: Collection[int] = (),
        look: Look | None = None,
        said: Sequence[bytes] = (),
        as_read: AsRead | None = None,
        windows: Sequence[Window | None] = (),
    ) -> Awaitable[None]:
        """See Emit."""
        self._check(readings, kind, windows)
        poll = None if requested_ns is None else self._asking.poll(readings, alive, requested_ns, received_ns)
        ticks = self._way.clock.ticks
        begun_ns = waited_since_ns if requested_ns is None else requested_ns
        io = Instants(None if begun_ns is None else ticks(begun_ns), ticks(received_ns))
        before = self._asking.before(poll, io.middle, time.monotonic(), kept, resumed=resumed) if poll else IN_TIME
        drafts: list[Draft] = [*before.drafts]
        given, standing = len(readings), NO_ROWS
        if self._retold is not None and kind == "change" and look is None:  # equal readings of rows may be of two rows
            readings, alive, windows, standing = self._retold.left(readings, alive, windows, resumed=resumed)
        self._unobserved(before.drafts)
        if resumed:
            drafts.append(self._observation.resumed(alive, observed_ticks or io.received))
        found = None if look is None else found_by(look, ticks)
        self._has_rows = self._has_rows or look is not None or bool(kept)
        drafts += row_drafts(messages, self.source.name, None if self.clock.now is None else self._clock_watch.member(), found)
        if kind == "change" and not resumed:
            self._tell(self._clock_watch.changed(readings, io.received))
        rows, unchanged, undocumented = self._readings(readings, kind, io, before.rows, drafts, as_read, windows)
        if said:
            drafts = [replace(draft, said=tuple(said)) if isinstance(draft, ReadingsDraft) else draft for draft in drafts]
        drafts += map(self._findings.draft, self.unmapped.rows(messages))
        if standing:
            drafts.append(self._moved(told(len(standing))))
            assert not isinstance(rows, Stored), "a list of which something was left out is no list by column"
            rows = [*standing, *rows]
        if watermark is not None and not drafts:
            drafts.append(self._moved())
        stored = self._append(drafts, None if watermark is None else (self.source.name, watermark))
        if kind == "change":
            self._retold = None if self._retold is None else self._retold.appended()
        self.recent.take(rows, io, kind, is_trusted=self._origin.trusts(self._clock_watch.member()))
        through = observed_through(rows, observed_ticks, io, self.source, self._shortest_ns)
        self._observation.saw(readings, alive, through, owed_ticks)
        if poll:
            self._asking.answered(poll)
        self.polled, self.undocumented = kind == "poll", undocumented
        self.rows += len(messages)
        self._count(given, unchanged)
        return self._opened(stored, received_ns)

    def _check(self, readings: Sequence[Reading], kind: Kind, windows: Sequence[Window | None]) -> None:
        """Refuse a list that a driver may not hand over. Raises RuntimeError or ValueError, before anything is changed."""
        if self._room.is_full:
            raise RuntimeError(f"{self.source.name}: more than {MOST_OPEN_CALLS} lists open; the driver must wait for room()")
        if windows and (kind == "poll" or len(windows) != len(readings)):
            raise ValueError(f"{self.source.name}: {len(windows)} windows of {len(readings)} readings of kind {kind}")

    def _readings(
        self,
        readings: Sequence[Reading],
        kind: Kind,
        io: Instants,
        again: Sequence[Row],
        drafts: list[Draft],
        as_read: AsRead | None,
        windows: Sequence[Window | None],
    ) -> tuple[Sequence[Row] | Stored, int, bool]:
        """Draft what of a list is stored, by column where no value of it asks to be looked at, and what was found among its values.

        again: rows that are stored once more behind it. Returns what is stored, how many readings are not, and whether nothing was drafted.
        """
        now_s = time.monotonic()
        if not readings and not again:  # most of what is polled: all there may be to say is that a value is in its range again
            undocumented = not drafts
            drafts += map(self._findings.draft, self._ranges.findings((), (), now_s))
            return (), 0, undocumented
        columns = readings if isinstance(readings, Columns) and not again and not windows else None
        whole = None if columns is None else self._filter.by_column(columns, kind, now_s)
        if whole is not None:
            stored_as = "change" if kind == "poll" else kind
            member, beside = self._clock_watch.member(), of_columns(as_read, whole)
            drafts += column_drafts(whole, stored_as, io, self._origin, member, self._authority, beside)
            undocumented = not drafts
            drafts += map(self._findings.draft, self._ranges.findings((), (), now_s))
            if self._watches and self._filter.listed is not None:
                drafts += map(self._findings.draft, self._detectors.by_column(self._filter.listed, self._taking(kind, io)))
            return whole, len(readings) - len(whole.tags), undocumented
        ordered = in_time(readings, self._signals)
        taken = self._filter.rows(ordered, kind, now_s)
        rows = [*taken.rows, *again]
        if windows:
            windows = in_order(windows, [reading[3] for reading in readings], is_sorted=ordered is not readings)
        beside = of_rows(as_read, rows, windows)
        drafts += readings_drafts(rows, taken.turns, io, self._origin, self._clock_watch.member(), beside)
        undocumented = not drafts
        drafts += self._findings.of_misfits(taken.misfits)
        drafts += map(self._findings.draft, self._ranges.findings(taken.outside, taken.inside, now_s))
        if taken.watched:
            drafts += map(self._findings.draft, self._detectors.by_row(taken.watched, self._taking(kind, io)))
        return taken.rows, taken.unchanged, undocumented

    def _opened(self, stored: Awaitable[None], received_ns: int) -> Awaitable[None]:
        """Count a list that is on its way to the journal; a poll that was held back before it has lost what it did not ask."""
        opened = self._room.opened(stored)
        held_back_by = self._room.held_back_since(received_ns) if self.polled else None
        if held_back_by is not None:
            self.lost(Loss(held_back_by, detail=_HELD_BACK))
        return opened

    async def room(self) -> None:
        """See Emit."""
        await self._room.wait()

    def lost(self, loss: Loss) -> Awaitable[None]:
        """See Emit."""
        tags = range(len(self.tags)) if loss.tags is None else loss.tags
        self._filter.forget(tags)
        self._asking.lost(tags)
        open_gaps = self._way.fold.open_gaps(self.source.name)
        gaps = self._observation.gaps(loss, open_gaps, self._way.clock.stamp().ticks)
        self._unobserved(gaps)
        return self._append(gaps, urgent=True)

    def filled(
        self, tags: Sequence[int] | None, since_ticks: int, until_ticks: int, detail: str = "", received: int | None = None
    ) -> Awaitable[None]:
        """See Emit."""
        return self._append([self._observation.filled(tags, since_ticks, until_ticks, detail, received)], urgent=True)

    def found(self, finding: Finding) -> Awaitable[None]:
        """See Emit."""
        if not self._findings.is_news(finding):
            return self._append([])
        stored = self._append([self._findings.draft(finding)], urgent=True)
        self._findings.note(finding)
        return stored

    def connected(self, detail: str = "", unread: str = "") -> None:
        """See Emit."""
        self.unread = printable(unread)
        self._way.simulators.look_again(self.source)
        self._way.simulators.check(self.source)
        self.is_simulated = self._way.simulators.is_one(self.source)
        self._turn("connected", detail)
        self.identify()

    def not_taken(self) -> None:
        """See Emit."""
        self.unmapped.take(LINES)

    def samples(self, every_ms: Mapping[int, int | None]) -> None:
        """See Emit. It is kept with the watermarks: a gap of the time until the source grants it anew is counted by it."""
        kept = self._due.granted(every_ms)
        if kept is not None:
            self._append([self._moved()], ("gateway", {f"sampled:{self.source.name}": kept}))

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        """See Emit."""
        self._tell(self._clock_watch.asked(offset_s, bound_s, self._way.clock.stamp().ticks))

    # what the runtime calls

    async def failed(self, why: str, *, needs_person: bool = False) -> None:
        """Say that the driver raised, and open the gap. needs_person: waiting alone will not help."""
        for its_name in (f"source {self.source.name}: ", f"{self.source.name}: "):  # of whom it is stands beside it
            why = why.removeprefix(its_name)
        why = printable(why[:LONGEST_ERROR])[:LONGEST_ERROR]  # it may quote what a source sent: long, and no text
        if needs_person:
            self._turn("misconfigured", why)
            why = f"misconfigured: {why}"
        else:
            self._turn("lost", why)
        await self.lost(Loss("misconfigured" if needs_person else "link-lost", detail=why))

    def clock_set(self, now: int, step: int) -> None:
        """Go on by the gateway's clock as it is now. Both in ticks."""
        self._clock_watch.estimate.restart()
        self._detectors.forget()
        if step < 0:
            self._observation.set_back(SetBack(now, step))

    def stopped(self, cause: str, detail: str) -> Awaitable[None]:
        """Open the gap of a time in which the gateway was not observing, from what the journal proves."""
        proved = self._way.fold.last_observed(self.source.name)
        if proved is None:
            return self._append([])
        behind = self.watermark.get(BEHIND)
        self._observation.stopped(proved if behind is None else min(proved, behind))
        return self.lost(Loss(cause, detail=detail))

    def stood_still(self) -> None:
        """Hear that process or machine stood still until now."""
        self._asking.stood_still()

    def look_after(self) -> None:
        """Open the gap of polled tags that nobody asks for, and say so; called each second.

        While the journal takes nothing, no source is asked; that has its own gap. A driver that is lost has said so.
        """
        if self.state != "connected" or not self._way.flow.is_set():
            return
        drafts = self._asking.overdue()
        self._unobserved(drafts)
        if self._watches:
            now = self._way.clock.stamp().ticks + FUTURE_TICKS
            drafts += map(self._findings.draft, self._detectors.look(now, self._observation.of))
        news = self._not_asked.news(self._asking.unasked, self._way.clock.stamp().monotonic_s, tagged=bool(self.tags))
        if news is not None:
            drafts.append(self._findings.draft(news))
        if drafts:
            self._append(drafts, urgent=True)

    def is_hung(self) -> bool:
        """Return whether the driver does not ask any more for what it asked before, though it neither failed nor said why.

        Not of a source of rows: one question to a database, or one look at a folder, may take minutes, and has its own time-out.
        """
        return self.state == "connected" and not self._has_rows and self._asking.is_hung()

    def begins(self) -> None:
        """Hear that the driver begins anew. Raises DriverMisconfigured for a simulator in production."""
        self._way.simulators.check(self.source)
        self.is_simulated = self.is_simulated or self._way.simulators.is_one(self.source)
        self._asking.begins()

    def identify(self) -> None:
        """Note whether a connected source says now that it is a simulator, and have it stand in the record when that is news.

        Raises DriverMisconfigured for one in production.
        """
        if self.state != "connected":
            return
        self._way.simulators.check(self.source)
        self.is_simulated = self._way.simulators.is_one(self.source)
        if self.is_simulated != self._said_simulated:
            self._said_simulated = self.is_simulated
            event = {"type": "source", "source": self.source.name, "state": "connected", "detail": _SIMULATED[self.is_simulated]}
            self._append([self._event(event)], ("gateway", {f"simulated:{self.source.name}": self.is_simulated or None}), urgent=True)

    # inside

    def _taking(self, kind: Kind, io: Instants) -> Taking:
        """Say how a list came, for detectors."""
        member = self._clock_watch.member()
        offset = round(member.get("offset_s", 0.0) * TICKS_PER_S)
        return Taking(kind, io, self._origin.trusts(member), offset, self._observation.of)

    def _unobserved(self, gaps: Sequence[EventDraft]) -> None:
        """Have detectors forget tags whose gap begins: what was not observed proves nothing."""
        for gap in gaps if self._watches else ():
            if gap.event["type"] == "gap" and gap.event["transition"] == "open":
                names = gap.event["tags"]
                self._detectors.forget(None if names == "all" else [self._index[name] for name in names])

    def _where(self, tag: Tag) -> dict[str, str]:
        """Tell of which equipment a tag is, and which batch is there, where that is one."""
        contexts = self._way.fold.contexts(self.source.name)
        mine = {name: its for name, its in contexts.items() if not tag.equipment or name in tag.equipment or "line" in tag.equipment}
        batches = {str(its["batch"]) for its in mine.values() if its.get("batch")}
        place = {"equipment": next(iter(mine))} if len(mine) == 1 else {}
        return place | ({"batch": next(iter(batches))} if len(batches) == 1 else {})

    def _tell(self, finding: Finding | None) -> None:
        if finding is not None:
            self._append([self._findings.draft(finding)], urgent=True)

    def _turn(self, state: str, detail: str) -> None:
        detail = printable(detail)
        if state == self.state and (state == "connected" or detail == self.detail):
            return
        changed, self.state, self.detail, self.since_s = state != self.state, state, detail, time.monotonic()
        if changed:
            told = ("lost", f"misconfigured: {detail}") if state == "misconfigured" else (state, detail)  # a receiver knows two states
            event = {"type": "source", "source": self.source.name, "state": told[0], "detail": told[1]}
            self._append([self._event(event)], urgent=True)

    def _count(self, readings: int, unchanged: int) -> None:
        self.lists += 1
        self.readings += readings
        self.unchanged += unchanged

    def _moved(self, detail: str = "") -> EventDraft:
        """Draft the event of a watermark that moves without an entry of its own."""
        event = {"type": "source", "source": self.source.name, "state": "watermark"}
        return self._event({**event, "detail": detail} if detail else event)

    def _event(self, event: Mapping[str, Any]) -> EventDraft:
        return EventDraft(event, self.source.name)
