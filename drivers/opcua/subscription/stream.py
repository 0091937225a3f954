"""The publish loop of one session: several requests outstanding, an acknowledgement only after the commit, every number accounted for.

asyncua keeps one request outstanding and acknowledges before the data are safe; its loop never starts here. Answers are taken in the order
in which they arrive, one after the other; each becomes one list for `emit`, with the watermark that makes it safe to acknowledge.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

from config import Source, Tag
from drivers.contract import OVERFLOW, Emit, Finding, LinkLost, Loss, Reading
from drivers.contract import Message as Row
from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding import fallback, publish
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import BROKEN, Decoder, NotificationMessage, ServiceFault, Undecoded
from drivers.opcua.decoding.structures import values_of
from drivers.opcua.plan import HistoryGap, MonitoredItem
from drivers.opcua.session.link import Link, plain_errors, status_name
from drivers.opcua.subscription import alarms
from drivers.opcua.subscription.subscribe import NODE_GONE, Subscription, sequence_after, sequence_ahead

OUTSTANDING = 8
SEMANTICS_CHANGED = 0x4000
"""The server says that unit, range or texts of the item are others now (Part 4, 7.39.1; Part 8, 5.2)."""
MOST_REPUBLISHED = 10_000
MOST_HISTORY_GAPS = 100_000
"""Holes that wait for the server's history; one more stays the gap that it is."""
_MESSAGE_NOT_AVAILABLE = ua.StatusCodes.BadMessageNotAvailable
_ASK_AGAIN = {ua.StatusCodes.BadTimeout, ua.StatusCodes.BadRequestTimeout}


class SubscriptionGone(LinkLost):
    """The server no longer has a subscription: it can not be resumed."""

    def __init__(self, which: Subscription, why: str) -> None:
        super().__init__(f"subscription {which.id} has ended: {why}")
        self.which = which


@dataclass(slots=True)
class SessionState:
    """What outlives a lost connection within one process: an emitted list will be committed, in order, or the process ends."""

    endpoint: str = ""
    started: str = ""  # the server's own start time: after its restart subscription ids mean others
    subscriptions: list[Subscription] = field(default_factory=list)
    unsettled: deque[tuple[Awaitable[None], int, int]] = field(default_factory=deque)
    last: list[Reading | None] = field(default_factory=list)  # of each tag, the newest that had a source time
    history_gaps: list[HistoryGap] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)  # after a restart: ticks through which a tag is certainly in the journal
    through_ticks: int | None = None  # the newest publish time
    changed: set[int] = field(default_factory=set)  # tags whose unit or range the server says to have changed
    counts: dict[str, int] = field(default_factory=dict)


def unrepeated(readings: Sequence[Reading], last: Sequence[Reading | None], repeats: set[int]) -> list[Reading]:
    """Without the values that stand already. repeats: tags of which the next value may be one; taken out as it comes.

    A server may send what each item holds once more, under a new number, when a session is activated over a new connection (node-opcua
    does). The same value, status and source time is the same observation; in the record it would stand twice.
    """
    new: list[Reading] = []
    for reading in readings:
        previous = last[reading[0]] if reading[0] in repeats else None
        repeats.discard(reading[0])
        if previous is None or previous[1:4] != reading[1:4]:
            new.append(reading)
    return new


class Stream:
    """One session's publishing."""

    def __init__(
        self,
        source: Source,
        tags: Sequence[Tag],
        emit: Emit,
        link: Link,
        decoder: Decoder,
        converter: Converter,
        state: SessionState,
        plan: str,
    ) -> None:
        self._source, self._tags, self._emit, self._link = source, tags, emit, link
        self._decoder, self._converter, self._state, self._plan = decoder, converter, state, plan
        self._by_id = {subscription.id: subscription for subscription in state.subscriptions}
        self._ready: list[tuple[int, int]] = []
        self._arrived: deque[tuple[int, asyncio.Future[Any]]] = deque()
        self._awake, self._settle_more = asyncio.Event(), asyncio.Event()
        self._lost_events = 0
        self._outstanding, self._most_outstanding = 0, max(OUTSTANDING, len(state.subscriptions) + 2)
        self._listening_s = asyncio.get_running_loop().time()

    async def settle(self) -> None:
        """Wait for each list, in order, to be on disk; then its message may be acknowledged. Storage errors pass through."""
        unsettled = self._state.unsettled
        while True:
            while unsettled:
                stored, subscription, sequence = unsettled[0]
                await asyncio.shield(stored)
                unsettled.popleft()
                if sequence:
                    self._ready.append((subscription, sequence))
            self._settle_more.clear()
            await self._settle_more.wait()

    async def receive(self) -> None:
        """Take answers for ever. Raises LinkLost, BadReply, SubscriptionGone."""
        loop = asyncio.get_running_loop()
        self._listening_s = loop.time()
        with plain_errors("publishing"):
            while True:
                before = loop.time()
                await self._emit.room()
                if loop.time() - before > 0.1:
                    self._listening_s = loop.time()  # it was the disk that kept us, not the server
                self._send_requests()
                arrived_ns, future = await self._next_answer()
                await self._take_answer(arrived_ns, future)

    def _send_requests(self) -> None:
        protocol = self._link.protocol
        while self._outstanding + len(self._arrived) < self._most_outstanding:
            acknowledged, self._ready = self._ready[:MOST_REPUBLISHED], self._ready[MOST_REPUBLISHED:]
            protocol.publish(acknowledged).add_done_callback(self._on_answer)
            self._outstanding += 1

    def _on_answer(self, future: "asyncio.Future[Any]") -> None:
        self._outstanding -= 1
        if not future.cancelled():
            future.exception()  # seen: nobody may be there any more to take it
        self._arrived.append((time.monotonic_ns(), future))
        self._awake.set()

    async def _next_answer(self) -> tuple[int, "asyncio.Future[Any]"]:
        """The next answer. Raises LinkLost once a subscription has been silent for 1.5 of its keep-alives."""
        while not self._arrived:
            self._awake.clear()
            due = min(max(s.seen_s, self._listening_s) + 1.5 * s.keep_alive_s for s in self._by_id.values())
            try:
                async with asyncio.timeout_at(due):
                    await self._awake.wait()
            except TimeoutError:
                for _ in range(3):  # bytes that came in this very moment are callbacks that have not run yet
                    await asyncio.sleep(0)
                if not self._arrived:
                    late = [s for s in self._by_id.values() if max(s.seen_s, self._listening_s) + 1.5 * s.keep_alive_s <= due]
                    silence = f"nothing for {1.5 * late[0].keep_alive_s:g} s, 1.5 keep-alives" if late else "silence"
                    raise LinkLost(f"{silence} (subscription {late[0].id if late else '?'})") from None
        return self._arrived.popleft()

    async def _take_answer(self, arrived_ns: int, future: "asyncio.Future[Any]") -> None:
        data = future.result()  # OSError where the connection was lost
        body = bytes(data._data[data.cur_pos : data.cur_pos + len(data)])  # noqa: SLF001
        try:
            published = publish.published(body)
        except ServiceFault as fault:
            self._fault(fault.status)
            return
        except BROKEN as error:
            self._count("unreadable-answers")  # which message it was shows as a hole in the numbers of its subscription
            await self._emit.found(Finding("answer-unreadable", f"a PublishResponse can not be read: {error}", severity="alarm"))
            return
        if any(result & 0x80000000 for result in published.results):
            self._count("refused-acknowledgements")
        subscription = self._by_id.get(published.subscription)
        if subscription is None:
            self._count("foreign-answers")  # what an old life of this session left on the server
            return
        subscription.seen_s = asyncio.get_running_loop().time()
        await self.take(subscription, published.message, body, arrived_ns)

    def _fault(self, status: int) -> None:
        if status == ua.StatusCodes.BadTooManyPublishRequests:
            self._most_outstanding = max(1, self._most_outstanding - 1)
        elif status not in _ASK_AGAIN:
            raise LinkLost(f"publishing: {status_name(status)}")

    async def take(self, subscription: Subscription, message: NotificationMessage, body: bytes, arrived_ns: int) -> None:
        """One NotificationMessage, published or republished: fill the hole before it, decode it, hand it over."""
        ahead = sequence_ahead(message.sequence, subscription.expected)
        if ahead > 0:
            await self._recover(subscription, message.sequence, ahead)
        if not message.parts:
            self._hand_over(subscription, [], message, arrived_ns, 0)
            return
        if ahead < 0:
            self._count("messages-seen-before")
            return
        if subscription.group.alarms is not None:
            await self._events(subscription, message, body, arrived_ns)
            return
        readings = self._decoded(subscription, message, body)
        subscription.expected = sequence_after(message.sequence)
        if readings is None:
            await self._unreadable(subscription, message)
            readings = []
        await self._hand_over_data(subscription, readings, message, arrived_ns)

    async def _events(self, subscription: Subscription, message: NotificationMessage, body: bytes, arrived_ns: int) -> None:
        """Conditions: handed over as they are, in the message's order. What was lost is told, and what stands is asked for."""
        heard_from = subscription.group.alarms
        assert heard_from is not None
        rows: list[Row] = []
        for kind, at, end in message.parts:
            if kind == publish.STATUS_CHANGE:
                raise SubscriptionGone(subscription, status_name(int.from_bytes(body[at : at + 4], "little")))
            if kind != publish.EVENTS:
                continue
            try:
                events = alarms.read_events(body, at, end, heard_from, self._link.namespaces)
            except BROKEN:
                self._count("unreadable-messages")
                await self._report_loss(subscription, "events-unreadable", f"message {message.sequence} can not be read")
                subscription.refresh_due = True
                continue
            rows += events.rows
            subscription.refresh_due = subscription.refresh_due or events.ask_again
            if events.lost:
                self._count("event-overflows")
                await self._report_loss(subscription, "events-lost", "the server's queue ran over")
        subscription.expected = sequence_after(message.sequence)
        self._hand_over(subscription, [], message, arrived_ns, message.sequence, messages=rows)

    def _decoded(self, subscription: Subscription, message: NotificationMessage, body: bytes) -> list[Reading] | None:
        """Readings, or None where neither decoder can read them."""
        readings: list[Reading] = []
        for kind, at, end in message.parts:
            if kind == publish.STATUS_CHANGE:
                status = int.from_bytes(body[at : at + 4], "little")
                raise SubscriptionGone(subscription, status_name(status))
            if kind != publish.DATA_CHANGE:
                continue
            done = len(readings)
            try:
                self._decoder.data_change(body, at, end, readings)
            except BROKEN:
                del readings[done:]
                self._count("slowly-decoded")
                try:
                    fallback.data_change(body, at, end, self._converter, readings)
                except (*BROKEN, AttributeError, TypeError):
                    return None
        return readings

    async def _unreadable(self, subscription: Subscription, message: NotificationMessage) -> None:
        self._count("unreadable-messages")
        text = f"message {message.sequence} of subscription {subscription.id} can not be read"
        await self._emit.found(Finding("message-unreadable", text, severity="alarm", evidence={"sequence": message.sequence}))
        await self._report_loss(subscription, "message-unreadable", text)
        await self.refresh(subscription)

    async def _hand_over_data(
        self, subscription: Subscription, readings: list[Reading], message: NotificationMessage, arrived_ns: int
    ) -> None:
        """First values apart from changes; overflows declared for exactly their tag and time."""
        if subscription.resumed and any(status & OVERFLOW == OVERFLOW or status in NODE_GONE for _, _, status, _, _ in readings):
            await self._resume_first(subscription, message, arrived_ns)
        if subscription.repeats:
            new = unrepeated(readings, self._state.last, subscription.repeats)
            if len(new) < len(readings):
                self._count("repeated-values", len(readings) - len(new))
            readings = new
        first = [reading for reading in readings if reading[0] in subscription.fresh] if subscription.fresh else []
        if first:
            seen: set[int] = set()
            first, rest = [], list[Reading]()
            for reading in readings:
                is_first = reading[0] in subscription.fresh and reading[0] not in seen
                (first if is_first else rest).append(reading)
                seen.add(reading[0])
            subscription.fresh -= seen
            for reading in first:
                self._note_history_gap(subscription, reading[0], subscription.since.pop(reading[0], None), reading[3])
            self._note_status(subscription, first)
            self._hand_over(subscription, first, message, arrived_ns, 0 if rest else message.sequence, kind="initial")
            if not rest:
                return
            await self._emit.room()
            readings = rest
        self._note_status(subscription, readings)
        self._hand_over(subscription, readings, message, arrived_ns, message.sequence)

    async def _resume_first(self, subscription: Subscription, message: NotificationMessage, arrived_ns: int) -> None:
        """Close the gap of before, so that what this message tells as lost is a gap of its own: within an open one it would vanish."""
        self._hand_over(subscription, [], message, arrived_ns, 0)
        await self._emit.room()

    def _note_status(self, subscription: Subscription, readings: list[Reading]) -> None:
        """What a status says beside the value: an overflow is a gap of just this tag, a vanished node is asked for again."""
        last = self._state.last
        overrun: dict[tuple[int | None, int | None], list[int]] = {}
        for reading in readings:
            tag, _, status, source, server = reading
            if status & OVERFLOW == OVERFLOW:
                before = last[tag]
                since, until = self._state.before.get(tag) if before is None else before[3], source if source is not None else server
                self._count("overflows")
                overrun.setdefault((since, until), []).append(tag)
                self._note_history_gap(subscription, tag, since, until)
            elif status & SEMANTICS_CHANGED:
                self._state.changed.add(tag)
            elif status in NODE_GONE:
                subscription.missing[subscription.item_of(tag).handle] = status
                self._add_unsettled(self._emit.lost(Loss("not-subscribed", (tag,), source, detail=status_name(status))))
            if source is not None:
                last[tag] = reading
        for (since, until), tags in overrun.items():
            self._add_unsettled(self._emit.lost(Loss("queue-overflow", tuple(tags), since, until, "the server's queue ran over")))

    def _note_history_gap(self, subscription: Subscription, tag: int, since: int | None, until: int | None) -> None:
        """Remember what the server's history may know."""
        if since is not None and until is not None and since < until and len(self._state.history_gaps) < MOST_HISTORY_GAPS:
            self._state.history_gaps.append(HistoryGap(subscription.item_of(tag), since, until))

    def _hand_over(
        self,
        subscription: Subscription,
        readings: list[Reading],
        message: NotificationMessage,
        arrived_ns: int,
        sequence: int,
        kind: Any = "change",
        messages: Sequence[Row] = (),
    ) -> None:
        """Call emit. sequence 0: nothing to acknowledge (a keep-alive, or the first half of a message)."""
        self._state.through_ticks = message.publish_ticks
        if sequence:
            subscription.is_new = subscription.is_new and bool(subscription.fresh)
        stored = self._emit(
            readings,
            received_ns=arrived_ns,
            kind=kind,
            messages=messages,
            watermark=self._watermark() if sequence else None,
            alive=self.alive(subscription),
            observed_ticks=self._observed(message.publish_ticks),
            resumed=subscription.resumed and bool(subscription.tags),
        )
        subscription.resumed = False
        self._add_unsettled(stored, subscription.id, sequence)

    def _add_unsettled(self, stored: Awaitable[None], subscription: int = 0, sequence: int = 0) -> None:
        self._state.unsettled.append((stored, subscription, sequence))
        self._settle_more.set()

    @staticmethod
    def alive(subscription: Subscription) -> tuple[int, ...]:
        """The tags that a message of this subscription observes."""
        if not subscription.missing and not subscription.fresh:
            return subscription.tags
        absent = {binding.tag for item in subscription.group.items if item.handle in subscription.missing for binding in item.bindings}
        return tuple(tag for tag in subscription.tags if tag not in absent and tag not in subscription.fresh)

    def _observed(self, publish_ticks: int | None) -> int | None:
        """The server's publish time, if its clock is fit to be believed here."""
        if publish_ticks is None or self._source.time_authority == "gateway":
            return None
        offset = self._link.offset
        return publish_ticks if offset is not None and abs(offset[0]) <= self._source.max_offset_s else None

    def _watermark(self) -> dict[str, Any]:
        """What a restart needs to go on without loss; only subscriptions of which every first value has been handed over."""
        slots = {
            str(s.group.slot): [s.id, s.expected, round(s.keep_alive_s, 3), sorted(s.missing.items())]
            for s in self._state.subscriptions
            if not s.is_new
        }
        watermark = {"endpoint": self._state.endpoint, "started": self._state.started, "plan": self._plan, "slots": slots}
        return watermark | {"through": self._state.through_ticks}

    async def _report_loss(self, subscription: Subscription, cause: str, detail: str) -> None:
        subscription.resumed = False  # no more without loss: a gap that is still open ends as lost
        if subscription.group.alarms is not None:
            self._lost_events += 1  # each loss is its own finding
            text = f"alarms of {subscription.group.alarms.notifier}: {detail} (loss {self._lost_events} of this session)"
            await self._emit.found(Finding("alarms-lost", text, severity="alarm", evidence={"cause": cause}))
            return
        self._add_unsettled(self._emit.lost(Loss(cause, self.alive(subscription) or subscription.tags, detail=detail)))

    async def _recover(self, subscription: Subscription, until: int, count: int) -> None:
        """Republish the messages from the expected one up to `until`; what is no longer there is a loss of this subscription's tags."""
        self._count("sequence-gaps")
        if count > MOST_REPUBLISHED:
            subscription.expected = until
            await self._report_loss(subscription, "message-lost", f"{count} messages before {until} are missing")
            await self.refresh(subscription)
            return
        lost, reported = 0, False
        while sequence_ahead(until, subscription.expected) > 0:
            if await self.republish(subscription):
                reported = False  # the message that was there has closed the gap
                continue
            if not reported:  # before a later message is taken: the gap begins where the last one before it ended
                await self._report_loss(subscription, "message-lost", f"message {subscription.expected} is no longer there, {until} came")
            lost, reported = lost + 1, True
            subscription.expected = sequence_after(subscription.expected)
        if lost:
            self._count("messages-lost", lost)
            await self.refresh(subscription)

    async def republish(self, subscription: Subscription) -> bool:
        """Fetch and take the expected message once more. False: the server does not have it. Raises SubscriptionGone."""
        request = ua.RepublishRequest()
        request.Parameters = ua.RepublishParameters(subscription.id, subscription.expected)
        body = await self._link.raw(request)
        try:
            message = publish.republished(body)
        except ServiceFault as fault:
            if fault.status == _MESSAGE_NOT_AVAILABLE:
                return False
            raise SubscriptionGone(subscription, status_name(fault.status)) from None
        except BROKEN:
            return False
        if message.sequence != subscription.expected or not message.parts:
            return False  # an empty Good answer is what some servers give instead of BadMessageNotAvailable
        self._count("republished")
        await self._emit.room()
        await self.take(subscription, message, body, time.monotonic_ns())
        return True

    async def refresh(self, subscription: Subscription) -> None:
        """After a loss: every tag's present value, so that a value that no longer changes does not stay unknown."""
        if subscription.group.alarms is not None:
            subscription.refresh_due = True
            return
        request = ua.CallRequest()
        call = ua.CallMethodRequest(ua.NodeId(ua.ObjectIds.Server), ua.NodeId(ua.ObjectIds.Server_ResendData))
        call.InputArguments = [ua.Variant(subscription.id, ua.VariantType.UInt32)]
        request.Parameters.MethodsToCall = [call]
        try:
            (result,) = (await self._link.ask(request, ua.CallResponse)).Results
            if not result.StatusCode.value & 0x80000000:
                subscription.fresh |= set(self.alive(subscription))
                return
        except ua.UaStatusCodeError:
            pass  # no such method: read instead
        await self.read([item for item in subscription.group.items if item.handle not in subscription.missing])

    async def read(self, items: Sequence[MonitoredItem]) -> None:
        """The present values of items, as first values."""
        nodes = [(item, node) for item in items if (node := self._link.node(item.address, self._namespaces())) is not None]
        readings: list[Reading] = []
        for (item, _), value in zip(nodes, await values_of(self._link, [node for _, node in nodes]), strict=True):
            self._converter(Undecoded(item.handle, *value), readings)
        await self._emit.room()
        self._add_unsettled(self._emit(readings, received_ns=time.monotonic_ns(), kind="initial"))

    def _namespaces(self) -> dict[str, str]:
        return dict(self._source.options.get("namespaces", {}))

    def _count(self, what: str, times: int = 1) -> None:
        self._state.counts[what] = self._state.counts.get(what, 0) + times
