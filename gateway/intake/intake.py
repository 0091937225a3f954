"""Drafts in, durable entries out: the one way into the journal.

All of it happens at the call of `append`, so the order of calls is the order of entries; only the commit is waited for.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from buffer import Body, Journal, Pressure, StorageError, segment_of
from config import Line, exceptions
from drivers.contract import Loss
from drivers.registry import row_tags
from drivers.restored_rows import MARK, merged
from gateway.clock import Clock
from gateway.context import Fold
from gateway.entries.bodies import event_body
from gateway.entries.registered import Registered
from gateway.entries.set_back import step_of
from gateway.entries.tagset import tagset_of
from gateway.entries.ticks import rfc3339
from gateway.intake.configuration_change import change_of
from gateway.intake.drafts import (
    Draft,
    EventDraft,
    Watermark,
    event_entry,
    event_input,
    head,
    numbered,
    readings_entry,
    readings_input,
)
from gateway.intake.flow import Flow, flow_event
from gateway.intake.port import Port
from gateway.intake.preamble import config_events, tagset_events
from gateway.intake.recent import share
from gateway.intake.retold import standing
from gateway.intake.simulators import Simulators
from gateway.intake.standing_rows import standing_rows, told
from gateway.intake.unmapped import Mapped
from gateway.intake.way_in import WayIn
from gateway.interfaces import digests, whole

STATE_EVERY_S = 60.0


class Intake:
    """What all sources of a line share: journal, clock, fold, and the end of every entry's head."""

    def __init__(
        self,
        line: Line,
        journal: Journal,
        clock: Clock,
        fold: Fold,
        *,
        on_fault: Callable[[BaseException], None],
        on_caused: Callable[[int, Mapping[str, Any]], None] = lambda _seq, _event: None,
        registered: Registered | None = None,
    ) -> None:
        """registered: the number and the approval of the configuration, where its versions are controlled.

        on_fault: called when the journal failed, or refused what the fold has seen: the process must end.

        on_caused: called with the seq and the event of each that the fold makes, before it is appended.
        """
        self.line, self.journal, self.clock, self.fold = line, journal, clock, fold
        self._on_fault, self._on_caused = on_fault, on_caused
        self._registered = registered or Registered()
        self.interfaces = digests(line)
        self._fixed: dict[str, Any] = {}  # what ends the head of every entry of this run
        self._fixed_simulated: dict[str, Any] = {}  # the same, of a simulator
        self._tables = {source.name: tagset_of(source, line.tags_of(source.name)) for source in line.sources}
        self._change: dict[str, Any] | None = None  # what this configuration changes, while it begins
        self._stated = 0  # first seq of the segment in which the configuration and the tag tables stand; 0 before `begin`
        self._state_due_s = time.monotonic()  # at once: what a start has folded, the next one need not
        self._fold_is_ahead = False  # of the journal: in `append`, and for ever after one that failed
        self.entries = 0
        self.last_append_s = self.last_heartbeat_s = time.monotonic()
        self._waiting: deque[float] = deque()
        self.flow = Flow(journal, self._flow_turned)
        stands = standing(journal, {source: digest for source, (digest, _) in self._tables.items()})
        of_line = (clock.stamp().ticks, share(len(line.sources)), Simulators(line), Mapped(line), stands)
        self._rows: dict[str, dict[str, Any]] = {}  # by source, of rows behind its watermark, until that stands in it
        way = WayIn(self.append, clock, fold, self.flow, line.codes, self._watermark, *of_line)
        self.ports = {source.name: Port(source, line.tags_of(source.name), self._tables[source.name][0], way) for source in line.sources}

    def begin(self) -> None:
        """Write what must stand before the first reading: the epoch; configuration and tag tables, if they are new or the epoch is."""
        stands = self.journal.watermark("gateway")
        epoch = self.journal.opened.epoch
        known = stands.get("config", [0, "", 0])
        version = self._registered.number(known[0], is_same=known[1] == self.line.sha256)
        if known[:2] != [version, self.line.sha256]:
            self._change = {**change_of(self.journal, known[0], known[1], self.line), **self._registered.stated}
        self._fixed = {"config": {"version": version, "sha256": self.line.sha256}, "environment": self.line.line.environment}
        if accepted := exceptions.accepted(self.line):
            self._fixed["exceptions"] = [each.deviation.name for each in accepted]
        self._fixed_simulated = {**self._fixed, "simulated": True}
        self._stated = segment_of(max(self.journal.next_seq - 1, 1))
        if self.journal.opened.epoch_event is not None:
            self.happened({"type": "epoch", **self.journal.opened.epoch_event})
        if known != [version, self.line.sha256, epoch]:
            self.append(list(self._configuration()), ("gateway", {"config": [version, self.line.sha256, epoch]}))
        for source, (tagset, _) in self._tables.items():
            if stands.get(f"tagset:{source}") != [tagset, epoch]:
                self.append(list(self._table(source)), ("gateway", {f"tagset:{source}": [tagset, epoch]}))
        self._change = None
        self._take_over_rows()

    def _take_over_rows(self) -> None:
        """Put into the watermarks what the journal says of rows behind them."""
        asked = {source.name: row_tags(source, self.line.tags_of(source.name)) for source in self.line.sources}
        tags = {name: (self._tables[name][0], its) for name, its in asked.items() if its is not None}
        for name, tail in standing_rows(self.journal, tags).items():
            self._rows[name] = merged(self.journal.watermark(name), tail.told, tail.until_ns, tail.unsure)
            event = {"type": "source", "source": name, "state": "watermark", "detail": told(tail.rows)}
            stored = self.append([EventDraft(event, name)], (name, {MARK: self._rows[name]}), urgent=True)
            asyncio.ensure_future(stored).add_done_callback(partial(self._taken_over, name))

    def _taken_over(self, source: str, _: object) -> None:
        """Hear that it stands in the watermark; or that it does not, which the runtime hears as well, and the process ends."""
        self._rows.pop(source, None)

    def _watermark(self, source: str) -> Mapping[str, Any]:
        """Return the watermark of a source as it is committed, or is on its way since the start."""
        known = self.journal.watermark(source)
        return {**known, MARK: self._rows[source]} if source in self._rows else known

    @property
    def version(self) -> int:
        """The number of the configuration under which entries are made."""
        return int(self._fixed["config"]["version"])

    def happened(self, event: Mapping[str, Any], *, watermark: Watermark | None = None) -> Awaitable[None]:
        """Append an event that the fold takes as its input, with what it causes. On disk when the awaitable completes."""
        step = step_of(event)
        if step is not None:
            for port in self.ports.values():
                port.clock_set(self.clock.stamp().ticks, step)
        stored = self.append([EventDraft(event)], watermark, urgent=True)
        if event["type"] == "clock" and event["kind"] == "suspend":
            for port in self.ports.values():
                port.stood_still()
        return stored

    def heartbeat(self) -> Awaitable[None]:
        """Write down through when each source has been observed, so that a crash leaves no longer a gap than it must."""
        observed = {name: rfc3339(port.observed) for name, port in self.ports.items() if port.observed}
        for port in self.ports.values():
            port.undocumented = False
        self.last_heartbeat_s = time.monotonic()
        return self.happened({"type": "heartbeat", "observed": observed})

    def look_after(self) -> None:
        """Look whether each source that is polled is still asked; called each second."""
        for port in self.ports.values():
            port.look_after()

    def waiting_s(self) -> float:
        """How long the oldest append has been waiting for the disk; 0 if none is."""
        return time.monotonic() - self._waiting[0] if self._waiting else 0.0

    def append(self, drafts: Sequence[Draft], watermark: Watermark | None = None, *, urgent: bool = False) -> Awaitable[None]:
        """Number, decide and encode in one go, then append all or none. The sequence numbers are known because order is fixed here.

        Raises EventTooLarge, and what the journal raises. An error after the fold has seen a draft ends the process (`on_fault`), and
        nothing is taken any more: the fold would go on from an entry that nobody has.
        """
        if self._fold_is_ahead:
            raise StorageError("the journal lacks what the fold has seen; a new start puts this right")
        if not drafts:
            return _done()
        try:
            bodies, is_caused = self._entries(drafts)
            state = self._state_if_due()
            appended = self.journal.append(bodies, watermark=watermark, state=state, urgent=urgent or is_caused)
        except Exception as error:
            if self._fold_is_ahead:
                self._on_fault(error)
            raise
        self._fold_is_ahead = False
        self.entries += len(bodies)
        self.last_append_s = time.monotonic()
        return self._watched(appended)

    def _entries(self, drafts: Sequence[Draft]) -> tuple[list[Body], bool]:
        """Encode drafts, each followed by what the fold answers; and whether it answered anything."""
        first, is_caused = self.journal.next_seq, False
        bodies: list[Body] = []
        for draft in (one for each in drafts for one in (*self._restated(first + len(bodies)), each)):
            body, caused = self._decide(draft, first + len(bodies))
            bodies.append(body)
            if caused:
                is_caused = True
                bodies += self._caused(caused, first + len(bodies))
        return bodies, is_caused

    def _decide(self, draft: Draft, seq: int) -> tuple[Body, list[dict[str, Any]]]:
        """Give a draft its place: the entry that it becomes, and the events that the fold answers with."""
        stamp = self.clock.stamp()
        if isinstance(draft, EventDraft):
            draft = numbered(draft, seq)
            body = event_entry(draft, stamp, self._fixed_of(draft.source))  # before the fold: what can not be stored has changed nothing
            self._fold_is_ahead = True
            return body, self.fold.decide(event_input(draft, seq, stamp))
        self._fold_is_ahead = True
        caused = self.fold.decide(readings_input(draft, seq, stamp))
        return readings_entry(draft, stamp, self._fixed_of(draft.source), self.fold.contexts(draft.source)), caused

    def _fixed_of(self, source: str | None) -> Mapping[str, Any]:
        """Give what ends the head of an entry: with a mark where its source is a simulator, or, of the line's own, where any source is."""
        ports = self.ports.values() if source is None else [self.ports[source]]
        return self._fixed_simulated if any(port.is_simulated for port in ports) else self._fixed

    def _caused(self, events: Iterable[dict[str, Any]], seq: int) -> Iterator[Body]:
        """Encode what the fold answered, and hand it on to who acts on it. seq: of the first."""
        begun = head(self.clock.stamp(), self._fixed_of(None))
        for place, event in enumerate(events, seq):
            self._on_caused(place, event)
            yield event_body(begun, event)

    def _restated(self, seq: int) -> Iterable[Draft]:
        """Configuration and tag tables once more if `seq` is in another segment: each is read by itself, when those before it are gone."""
        first = segment_of(seq)
        if self._stated in {0, first}:
            return ()
        self._stated = first
        return [*self._configuration(), *(draft for source in self._tables for draft in self._table(source))]

    def _configuration(self) -> Iterator[Draft]:
        version = {**self._fixed["config"], "interface_sha256": whole(self.interfaces)}
        return (EventDraft(event) for event in config_events(self.line, version, self._change))

    def _table(self, source: str) -> Iterator[Draft]:
        return (EventDraft(event) for event in tagset_events(source, *self._tables[source]))

    def _state_if_due(self) -> bytes | None:
        if time.monotonic() < self._state_due_s:
            return None
        self._state_due_s = time.monotonic() + STATE_EVERY_S
        return self.fold.dump()

    def _flow_turned(self, before: Pressure | None, now: Pressure | None) -> None:
        """Sources are held back, or read again; those that are asked have a gap, for nobody queues for them what they had meanwhile."""
        self.happened(flow_event(before, now))
        if now is None:
            return
        for port in self.ports.values():
            if port.polled:
                port.lost(Loss(now.cause, detail=now.text))

    def _watched(self, appended: "Future[int]") -> Awaitable[None]:
        """Turn the writer's future into one of the loop; a storage error also reaches the runtime, in case a driver swallows it."""
        loop = asyncio.get_running_loop()
        ours: asyncio.Future[None] = loop.create_future()

        self._waiting.append(time.monotonic())

        def settle() -> None:
            self._waiting.popleft()
            error = appended.exception()
            if error is not None:
                self._on_fault(error)
            if ours.done():
                return
            if error is None:
                ours.set_result(None)
            else:
                ours.set_exception(error)
                ours.exception()  # seen by the runtime already: no warning if the driver is gone

        appended.add_done_callback(lambda _: loop.call_soon_threadsafe(settle))
        return ours


def _done() -> Awaitable[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
