"""One source's way in: the `Emit` that its driver is given."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import orjson

from config import CodeTable, Source, Tag
from drivers.contract import BAD, Finding, Kind, Loss, Message, Reading
from gateway.clock import Clock, Offset, SourceClock
from gateway.context import Fold
from gateway.entries import bodies
from gateway.entries.fold_input import EARLIEST_TICKS, FUTURE_TICKS, Seen, event_ticks
from gateway.entries.tagset import tagset_of
from gateway.entries.ticks import TICKS_PER_MS, rfc3339
from gateway.intake.drafts import Append, Draft, EventDraft, ReadingsDraft
from gateway.intake.normalise import float64, normaliser, plain

MOST_OPEN_CALLS = 32
MOST_READINGS = 1_000
HELD_BACK_NS = 1_000_000_000
REPEAT_AFTER_S = 60.0
MOST_GAPS_AT_ONCE = 16
LARGEST_ROW_BYTES = 49_152
PIECE_CHARACTERS = 7_000  # JSON in JSON: a control character takes seven bytes
_NEVER = object()
_FINDINGS = {
    "type-differs": "the source sent another type; stored as Bad",
    "value-outside-type": "the value does not fit the type; stored as Bad",
    "not-a-number": "NaN or infinity; stored as Bad",
    "text-too-long": "the text is longer than an entry may hold; stored as Bad",
    "code-unlisted": "a code that its table does not list; stored as Uncertain",
}


def done() -> Awaitable[None]:
    """An awaitable that has completed."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


@dataclass(frozen=True, slots=True)
class WayIn:
    """What all ports of a line share.

    watermark: what was committed last under a source's name. flow: set while the journal takes what sources have. held_back_by: the cause
    for which it did not at some time since a monotonic instant. started_ticks: when this run began.
    """

    append: Append
    clock: Clock
    fold: Fold
    codes: Mapping[str, CodeTable]
    watermark: Callable[[str], Mapping[str, Any]]
    flow: asyncio.Event
    held_back_by: Callable[[int], str]
    started_ticks: int


class Port:
    """One source's way in: the `Emit` that its driver is given."""

    def __init__(self, source: Source, tags: tuple[Tag, ...], way: WayIn) -> None:
        self.source, self.tags = source, tags
        self._way, self._clock, self._append = way, way.clock, way.append
        self._signals = way.fold.signals(source.name)
        self._norms = [normaliser(tag, way.codes) for tag in tags]
        self._authorities = [tag.time_authority or source.time_authority for tag in tags]
        self._all = [tag.store == "all" for tag in tags]
        self._deadbands = [_deadband(tag) for tag in tags]
        self._last: list[tuple[Any, int] | None] = [None] * len(tags)
        self._stored_s = [0.0] * len(tags)
        self._signal_last: dict[int, Any] = {}
        self._found: dict[tuple[str, tuple[int, ...]], str] = {}
        self.tagset, self._table = tagset_of(tags)
        self._open = 0
        self._held_back_ns = 0  # when a wait for room ended last: a poll from before it is followed by a time that nobody observed
        self._held_back_by = ""
        self._room = asyncio.Event()
        self._room.set()
        self.clock = SourceClock(source.max_offset_s, _longest_delay_s(source, tags))
        self._judges_stamps = source.time_authority == "device"
        self.polled = False
        self.observed: int | None = way.fold.last_observed(source.name)
        self._seen: list[int] = [self.observed or 0] * len(tags)
        self.undocumented = False
        self.state, self.detail, self.since_s = "starting", "", time.monotonic()
        self.readings = self.unchanged = self.lists = 0

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
        kind: Kind = "change",
        messages: Sequence[Message] = (),
        watermark: Mapping[str, Any] | None = None,
        alive: Sequence[int] | None = None,
        observed_ticks: int | None = None,
        resumed: bool = False,
    ) -> Awaitable[None]:
        """See Emit."""
        if self._open >= MOST_OPEN_CALLS:
            raise RuntimeError(f"{self.source.name}: more than {MOST_OPEN_CALLS} lists open; the driver must wait for room()")
        received = self._clock.ticks(received_ns)
        requested = None if requested_ns is None else self._clock.ticks(requested_ns)
        self.lists += 1
        self.polled = kind == "poll"
        self.readings += len(readings)
        drafts: list[Draft] = [self._resumed(alive, observed_ticks or received)] if resumed else []
        drafts += self._messages(messages)
        if kind == "change" and self._judges_stamps and not resumed and self.clock.is_due(received):
            self._take_stamps(readings, received)
        rows, turns, found = self._rows(self._in_time(readings), kind)
        drafts += self._readings(rows, turns, requested, received)
        self._observe(readings, alive, self._instant(rows, observed_ticks, requested, received))
        self.undocumented = not drafts
        drafts += found
        marked = None if watermark is None else (self.source.name, watermark)
        if marked is not None and not drafts:
            drafts = [self._event({"type": "source", "source": self.source.name, "state": "watermark"})]
        opened = self._opened(self._append(drafts, marked))
        if self.polled and received_ns < self._held_back_ns:
            self.lost(Loss(self._held_back_by, detail="the journal took nothing for a while: the polls after this one were held back"))
        return opened

    async def room(self) -> None:
        """See Emit."""
        begun_ns = time.monotonic_ns()
        await self._way.flow.wait()
        await self._room.wait()
        if time.monotonic_ns() - begun_ns > HELD_BACK_NS:
            self._held_back_ns, self._held_back_by = time.monotonic_ns(), self._way.held_back_by(begun_ns)

    def lost(self, loss: Loss) -> Awaitable[None]:
        """See Emit."""
        covered = self._covered()
        indexes = range(len(self.tags)) if loss.tags is None else loss.tags
        for index in indexes:
            self._last[index] = None  # the first value after a gap is stored, changed or not
        if not self.tags and "all" not in covered:
            return self._happened(self._gap(loss, [], loss.since_ticks or self.observed))
        begun: dict[int, list[int]] = {}
        for index in indexes:
            if self.tags[index].tag not in covered:
                begun.setdefault(loss.since_ticks or self._seen[index], []).append(index)
        if len(begun) > MOST_GAPS_AT_ONCE:  # no common rhythm: one gap from the earliest, rather too long than too short
            begun = {min(begun): [index for part in begun.values() for index in part]}
        return self._happened(*(self._gap(loss, part, start or None) for start, part in begun.items()))

    def _gap(self, loss: Loss, indexes: Sequence[int], start: int | None) -> EventDraft:
        begin = start or self._way.started_ticks
        event: dict[str, Any] = {
            "type": "gap",
            "transition": "open",
            "source": self.source.name,
            "tags": "all" if len(indexes) == len(self.tags) else [self.tags[index].tag for index in indexes],
            "start": rfc3339(begin),
            "detected": rfc3339(self._clock.stamp().ticks),
            "cause": loss.cause,
            "detail": loss.detail,
        }
        if loss.until_ticks is not None:
            event["end"] = rfc3339(max(loss.until_ticks, begin))
        return self._event(event)

    def filled(self, tags: Sequence[int] | None, since_ticks: int, until_ticks: int, detail: str = "") -> Awaitable[None]:
        """See Emit."""
        names: Any = "all" if tags is None else [self.tags[i].tag for i in tags]
        event = {"type": "gap", "transition": "fill", "source": self.source.name, "tags": names}
        event |= {"start": rfc3339(since_ticks), "end": rfc3339(until_ticks), "detail": detail}
        return self._happened(self._event(event))

    def found(self, finding: Finding) -> Awaitable[None]:
        """See Emit."""
        key, text = (finding.code, finding.tags), finding.text
        if self._found.get(key) == text:
            return done()
        self._found[key] = text
        return self._happened(self._finding(finding))

    def connected(self, detail: str = "") -> None:
        """See Emit."""
        self._turn("connected", detail)

    def source_offset(self, offset_s: float, bound_s: float) -> None:
        """See Emit."""
        self.clock.measured(offset_s, bound_s, self._clock.stamp().ticks)
        self._tell_clock()

    def _take_stamps(self, readings: Sequence[Reading], received: int) -> None:
        """Whether the stamps of changes can come from a clock within the limit (URS-TIME-12)."""
        stamps = sorted(source for _, _, _, source, _ in readings if source is not None)
        if stamps:
            self.clock.stamped(stamps[len(stamps) // 2], received)  # the middle: one tag with an absurd stamp is no clock
            self._tell_clock()

    def _tell_clock(self) -> None:
        """The source's clock left its limit, or came back: an alarm, or its end, once until it turns."""
        found = self.clock.turned()
        if found is not None:
            self._happened(self._finding(_clock_finding(self.source, found)))

    # what the runtime calls

    async def failed(self, why: str) -> None:
        """The driver raised: open the gap and say so."""
        self._turn("lost", why)
        await self.lost(Loss("link-lost", detail=why))

    def stopped(self, cause: str, detail: str) -> Awaitable[None]:
        """The gateway was not observing: open the gap at what the journal proves.

        It proves through when the source was observed, not each tag: a tag's own last poll, or the last notification of its subscription,
        is older by up to its rate and a late cycle. Rather a little too long than a change that is neither held nor in the gap.
        """
        proved = self._way.fold.last_observed(self.source.name)
        if proved is None:
            return done()
        for index, tag in enumerate(self.tags):
            rate_ms = self.source.rate_ms if tag.rate_ms is None else tag.rate_ms
            self._seen[index] = proved - TICKS_PER_MS * (200 + max(rate_ms, 200) * 3 // 2)
        self.observed = proved
        return self.lost(Loss(cause, detail=detail))

    def tagset_events(self) -> Iterable[dict[str, Any]]:
        """The tag table in slices that fit an entry."""
        for first, part in bodies.slices(self._table, bodies.LARGEST_BODY_BYTES - 2_048):
            yield {
                "type": "tagset",
                "tagset": self.tagset,
                "source": self.source.name,
                "first": first,
                "of": len(self._table),
                "tags": list(part),
            }

    # the way of a list

    def _rows(self, readings: Sequence[Reading], kind: Kind) -> tuple[list[bodies.Row], list[int], list[Draft]]:
        """Normalise; leave out unchanged polls. Rows, where a context signal changes among them, and what was found."""
        norms, last, now_s = self._norms, self._last, time.monotonic()
        signals = self._signals
        poll = kind == "poll"
        told: str = kind
        rows: list[bodies.Row] = []
        turns: list[int] = []
        found: list[Draft] = []
        for index, value, status, source, server in readings:
            raw: Any = None
            normal: Any = None
            if status < BAD:
                norm = norms[index]
                if norm is None and value.__class__ is float and value - value == 0.0:
                    normal = value  # a plain finite float: most of what a line has
                else:
                    normal, raw, status, code = (norm or float64)(value, status)  # noqa: PLW2901 - the status of what is stored
                    if code is not None:
                        found += self._finding_of(code, index, value)
            if poll:
                told = self._of_poll(index, normal, status, now_s)
                if not told:
                    self.unchanged += 1
                    continue
                last[index] = (normal, status)
                self._stored_s[index] = now_s
            if index in signals and self._turns(index, normal, status):
                turns.append(len(rows))
            rows.append((index, normal, raw, status, told, source, server))
        return rows, turns, found

    def _of_poll(self, index: int, value: Any, status: int, now_s: float) -> str:
        """What a polled value is: periodic, initial, change, repeat, or "" where nothing need be stored."""
        before = self._last[index]
        if self._all[index]:
            return "periodic"
        if before is None:
            return "initial"
        if status == before[1] and (value == before[0] or self._within_deadband(index, value, before[0])):
            return "repeat" if now_s - self._stored_s[index] >= REPEAT_AFTER_S else ""
        return "change"

    def _within_deadband(self, index: int, value: Any, before: Any) -> bool:
        band = self._deadbands[index]
        if band is None or not isinstance(value, int | float) or not isinstance(before, int | float):
            return False
        return abs(value - before) < band

    def _in_time(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Sort by the source's time where a context signal is among readings that all have one. Each tag's own order stays.

        Queued changes come tag by tag: what came later than a signal's change would else stand in an entry before it. Where a tag's times
        go back (its clock was set), the list stays as it came.
        """
        signals = self._signals
        if len(readings) < 2 or not signals or not any(each[0] in signals for each in readings):
            return readings
        latest: dict[int, int] = {}
        for index, _, _, source, _ in readings:
            if source is None or source < latest.get(index, source):
                return readings
            latest[index] = source
        return sorted(readings, key=lambda each: each[3] or 0)

    def _turns(self, index: int, value: Any, status: int) -> bool:
        told = (value, status >= BAD)
        changed: bool = self._signal_last.get(index, _NEVER) != told
        self._signal_last[index] = told
        return changed

    def _readings(self, rows: Sequence[bodies.Row], turns: Sequence[int], requested: int | None, received: int) -> Iterable[Draft]:
        """Cut before each row at which a signal changes, and at what one entry may hold."""
        clock = self._told_clock()
        trusted = abs(clock.get("offset_s", 0.0)) <= self.source.max_offset_s
        for begin, end in pairwise([0, *(turn for turn in turns if turn), len(rows)]):
            for first in range(begin, end, MOST_READINGS):
                chunk = rows[first : min(first + MOST_READINGS, end)]
                for part, table in bodies.tables(chunk, requested, received):
                    seen = self._seen_by_fold(part, requested, received, trusted=trusted)
                    yield ReadingsDraft(self.source.name, clock, self.tagset, seen, table)

    def _told_clock(self) -> dict[str, Any]:
        """`source_clock` of an entry: whose clock stamps, and how far it is off as now estimated."""
        found = self.clock.now
        told: dict[str, Any] = {"authority": self.source.time_authority}
        return told if found is None else told | {"offset_s": found.offset_s, "bound_s": found.bound_s}

    def _seen_by_fold(self, rows: Sequence[bodies.Row], requested: int | None, received: int, *, trusted: bool) -> list[Seen]:
        """The rows with their event times. The common cases of `event_ticks`, a device's sane time and our own, stand here."""
        authorities, latest = self._authorities, received + FUTURE_TICKS
        ours = event_ticks("gateway", None, None, requested, received, trusted=True)
        seen: list[Seen] = []
        for index, value, _, status, kind, source, server in rows:
            authority = authorities[index]
            if trusted and authority == "device" and source is not None and EARLIEST_TICKS <= source <= latest:
                seen.append((index, value, status, source, kind))
            elif authority == "gateway":
                seen.append((index, value, status, ours, kind))
            else:
                event = event_ticks(authority, source, server, requested, received, trusted=trusted)
                seen.append((index, value, status, event, kind))
        return seen

    def _messages(self, messages: Sequence[Message]) -> Iterable[Draft]:
        by_name: dict[str, list[dict[str, Any]]] = {}
        for message in messages:
            time_text = None if message.ticks is None else rfc3339(message.ticks)
            row = {"key": message.key, "change": message.change, "time": time_text, "text": message.text, "row": plain(message.row)}
            by_name.setdefault(message.name, []).append(row)
        for name, rows in by_name.items():
            for _, part in bodies.slices(rows, LARGEST_ROW_BYTES):
                long = len(part) == 1 and len(orjson.dumps(part[0])) > LARGEST_ROW_BYTES
                for piece in self._pieces(name, part[0]) if long else [{"rows": list(part)}]:
                    event = {"type": "message", "source": self.source.name, "name": name, **piece}
                    told = self._told_clock() if self.clock.now is not None else None
                    yield EventDraft(event if "rows" in piece else piece, self.source.name, told)

    def _pieces(self, name: str, row: dict[str, Any]) -> Iterable[Mapping[str, Any]]:
        """A row longer than an entry, as JSON text cut into pieces; nothing can be decided by it, so a person is told."""
        text = orjson.dumps(row.pop("row")).decode()
        pieces = [text[i : i + PIECE_CHARACTERS] for i in range(0, len(text), PIECE_CHARACTERS)]
        for number, piece in enumerate(pieces, 1):
            yield {"rows": [{**row, "row": {}, "piece": piece, "part": number, "of": len(pieces)}]}
        said = f"{name}: row {row['key']} is longer than an entry may hold; kept in {len(pieces)} pieces, not used for the context"
        yield self._finding(Finding("row-too-long", said[:500])).event

    def _resumed(self, alive: Sequence[int] | None, observed: int) -> Draft:
        tags: Any = "all" if alive is None or len(alive) == len(self.tags) else [self.tags[i].tag for i in alive]
        event = {"type": "source", "source": self.source.name, "state": "resumed", "tags": tags, "observed": rfc3339(observed)}
        return self._event(event)

    def _instant(self, rows: list[Any], told: int | None, requested: int | None, received: int) -> int:
        """Through which instant this I/O proves observation."""
        if told is not None:
            return told
        if requested is not None:
            return (requested + received) // 2
        authority = self.source.time_authority
        return max((event_ticks(authority, r[5], r[6], None, received, trusted=True) for r in rows), default=received)

    def _observe(self, readings: Sequence[Reading], alive: Sequence[int] | None, ticks: int) -> None:
        seen = self._seen
        if alive is not None and len(alive) == len(seen):
            self._seen = [ticks] * len(seen)
        else:
            for reading in readings:
                seen[reading[0]] = ticks
            for index in alive or ():
                seen[index] = ticks
        self.observed = max(self.observed or 0, ticks)

    def _opened(self, stored: Awaitable[None]) -> Awaitable[None]:
        future = asyncio.ensure_future(stored)
        if future.done():
            return future
        self._open += 1
        if self._open >= MOST_OPEN_CALLS:
            self._room.clear()
        future.add_done_callback(self._closed)
        return future

    def _closed(self, _: object) -> None:
        self._open -= 1
        self._room.set()

    def _covered(self) -> set[str]:
        names: set[str] = set()
        for gap in self._way.fold.open_gaps(self.source.name):
            names |= {"all", *(tag.tag for tag in self.tags)} if gap.tags == "all" else set(gap.tags)
        return names

    def _turn(self, state: str, detail: str) -> None:
        if state == self.state and (state == "connected" or detail == self.detail):
            return
        changed, self.state, self.detail, self.since_s = state != self.state, state, detail, time.monotonic()
        if changed:
            self._happened(self._event({"type": "source", "source": self.source.name, "state": state, "detail": detail}))

    def _finding_of(self, code: str, index: int, value: Any) -> list[Draft]:
        text = f"{self.tags[index].tag}: {_FINDINGS[code]} (declared {self.tags[index].type})"
        key = (code, (index,))
        if self._found.get(key) == text:
            return []
        self._found[key] = text
        return [self._finding(Finding(code, text, (index,), evidence={"value": repr(value)[:200]}))]

    def _finding(self, finding: Finding) -> EventDraft:
        event = asdict(finding)
        event["tags"] = [self.tags[i].tag for i in finding.tags]
        return self._event({"type": "finding", "source": self.source.name, **event})

    def _event(self, event: Mapping[str, Any]) -> EventDraft:
        return EventDraft(event, self.source.name)

    def _happened(self, *events: EventDraft) -> Awaitable[None]:
        return self._append(events, urgent=True)


def _clock_finding(source: Source, found: Offset) -> Finding:
    how = "asked for its time" if found.by == "question" else "by the stamps of its values"
    told = f"{found.offset_s:+.3f} s (+-{found.bound_s:.3f} s) against ours, limit {source.max_offset_s:g} s"
    evidence = {"offset_s": found.offset_s, "bound_s": found.bound_s, "limit_s": source.max_offset_s, "by": found.by}
    text = f"{source.name}: its clock, {how}, is {told}"
    return Finding("source-clock-off", text, severity="alarm" if found.above else "info", evidence=evidence)


def _longest_delay_s(source: Source, tags: Iterable[Tag]) -> float:
    """How long a fresh change may be under way: sampled, queued for publishing, sent."""
    rate_ms = max((source.rate_ms if tag.rate_ms is None else tag.rate_ms for tag in tags), default=source.rate_ms)
    publish_ms = source.options.get("publish_ms", 1000)
    return (rate_ms + (publish_ms if isinstance(publish_ms, int | float) else 1000)) / 1000 + 1.0


def _deadband(tag: Tag) -> float | None:
    if tag.deadband is None:
        return None
    if not tag.deadband.endswith("%"):
        return float(tag.deadband)
    assert tag.eu_low is not None, "the map's check asks for a range"
    assert tag.eu_high is not None, "the map's check asks for a range"
    return float(tag.deadband[:-1]) / 100 * float(tag.eu_high - tag.eu_low)
