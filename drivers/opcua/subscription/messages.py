"""Take the messages of one session's subscriptions: every number accounted for, every loss declared, every value handed over.

How a message is taken (`Messages.take`): numbers before it that are missing are fetched again; a keep-alive proves only that its tags are
observed; one seen before is dropped; otherwise it is decoded, split into first values and changes, and handed over. A message may thus be
emitted in two lists, of which the last alone is acknowledged.
"""

import asyncio
import time
from collections.abc import Sequence

from config import Source, Tag
from drivers.columns import Columns
from drivers.contract import OVERFLOW, Emit, Finding, LinkLost, Loss, Reading
from drivers.contract import Message as Row
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.decoding import publish
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import BROKEN, Decoder, NotificationMessage, ServiceFault, Undecoded
from drivers.opcua.decoding.structures import values_of
from drivers.opcua.plan import HistoryGap, MonitoredItem
from drivers.opcua.session.link import Link, off_loop
from drivers.opcua.session.refusals import SESSION_GONE, TOO_LARGE
from drivers.opcua.session.variant import Budget
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription import alarms, publishing, subscribe
from drivers.opcua.subscription.handover import Handover
from drivers.opcua.subscription.semantics import SEMANTICS_CHANGED
from drivers.opcua.subscription.session_state import SessionState, unrepeated
from drivers.opcua.subscription.subscribe import NODE_GONE, Subscription, sequence_after, sequence_ahead, unusable

MOST_REPUBLISHED = 10_000
"""Missing messages that are asked for one by one; more are declared lost at once."""
MOST_HISTORY_GAPS = 100_000
"""Gaps that wait for the server's history; one more stays the gap that it is."""
_SUBSCRIPTION_UNKNOWN = {ua.StatusCodes.BadSubscriptionIdInvalid, ua.StatusCodes.BadNoSubscription}


class SubscriptionGone(LinkLost):
    """The server no longer has a subscription: it can not be resumed."""

    def __init__(self, which: Subscription, why: str) -> None:
        super().__init__(f"subscription {which.id} has ended: {why}")
        self.which = which


class Messages:
    """Takes the messages of one session."""

    def __init__(
        self,
        source: Source,
        settings: OpcUaSettings,
        tags: Sequence[Tag],
        emit: Emit,
        link: Link,
        decoder: Decoder,
        converter: Converter,
        state: SessionState,
        plan: str,
    ) -> None:
        self._source, self._settings, self._tags, self._emit, self._link = source, settings, tags, emit, link
        self._decoder, self._converter, self._state = decoder, converter, state
        self.handover = Handover(source, emit, link, state, plan)
        self._lost_events = 0

    async def take(
        self, subscription: Subscription, message: NotificationMessage, body: bytes, arrived_ns: int, *, follows: bool = True
    ) -> None:
        """Take one NotificationMessage, published or republished: fetch what is missing before it, decode it, hand it over.

        follows: more had to be sent when it was (MoreNotifications, Part 4, 5.14.5). Of one that is fetched again nobody knows.
        """
        was_resumed = subscription.resumed
        await self._take(subscription, message, body, arrived_ns, follows=follows)
        if was_resumed and not subscription.resumed and subscription.untold:
            await self.read(subscription.untold_items())

    async def _take(self, subscription: Subscription, message: NotificationMessage, body: bytes, arrived_ns: int, *, follows: bool) -> None:
        ahead = sequence_ahead(message.sequence, subscription.expected)
        if ahead < 0 and message.parts and subscription.is_later(message.publish_ticks):
            await self._renumbered(subscription, message)
            ahead = 0
        if ahead > 0:
            await self._recover(subscription, message.sequence, ahead)
        # A keep-alive names the number of the next message and does not use it: there is nothing to acknowledge.
        if not message.parts:
            subscription.catches_up = False
            self.handover(subscription, [], message, arrived_ns, 0)
            return
        # Republished or transferred while it was under way: its values are in the journal already.
        if ahead < 0:
            self._state.count("messages-seen-before")
            return
        subscription.newest_ticks = max(subscription.newest_ticks, message.publish_ticks or 0)
        if subscription.group.alarms is not None:
            await self._events(subscription, message, body, arrived_ns, follows=follows)
            return
        try:
            self._state.must_not_be_spoiled(subscription.id, message.sequence)
            readings = await off_loop(publish.readable(self._decoded), subscription, message, body, size=len(body))
        except BROKEN as error:
            await self._unreadable(subscription, message, error)
            readings = ()
        with self._state.spoiling(subscription.id, message.sequence):
            follows = follows or (subscription.catches_up and _is_full(subscription, readings))
            subscription.catches_up = subscription.catches_up and follows
            await self._hand_over_data(subscription, readings, message, arrived_ns, follows=follows)

    async def _renumbered(self, subscription: Subscription, message: NotificationMessage) -> None:
        """Go on with numbers that begin anew: a message with an earlier number and a later time is none of before.

        Servers that take over from each other do so (Part 4, 6.6.2); what was sent between is not known.
        """
        self._state.count("renumbered")
        await self._report_loss(
            subscription, "message-lost", f"message {subscription.expected} is due, a later one came as {message.sequence}"
        )
        subscription.expected = message.sequence
        await self.refresh(subscription)

    async def _events(
        self, subscription: Subscription, message: NotificationMessage, body: bytes, arrived_ns: int, *, follows: bool
    ) -> None:
        """Hand conditions over as they are, in the message's order. Report what was lost, and have present conditions asked for."""
        heard_from = subscription.group.alarms
        assert heard_from is not None
        rows: list[Row] = []
        for kind, at, end in message.parts:
            if kind == publish.STATUS_CHANGE:
                raise SubscriptionGone(subscription, status_name(publish.status_change(body, at, end)))
            if kind != publish.EVENTS:
                continue
            try:
                events = await off_loop(alarms.read_events, body, at, end, heard_from, self._link.namespaces)
            except BROKEN:
                self._state.count("unreadable-messages")
                await self._report_loss(subscription, "events-unreadable", f"message {message.sequence} can not be read")
                subscription.refresh_due = True
                continue
            rows += events.rows
            subscription.refresh_due = subscription.refresh_due or events.ask_again
            if events.lost:
                self._state.count("event-overflows")
                await self._report_loss(subscription, "events-lost", "the server's queue ran over")
        subscription.expected = sequence_after(message.sequence)
        self.handover(subscription, [], message, arrived_ns, message.sequence, rows=rows, follows=follows)

    def _decoded(self, subscription: Subscription, message: NotificationMessage, body: bytes) -> Sequence[Reading]:
        """Decode a message's data changes, by column where they are as before. Raises one of BROKEN, SubscriptionGone."""
        if len(message.parts) == 1 and message.parts[0][0] == publish.DATA_CHANGE:
            remembered = self._decoder.remembered(body, *message.parts[0][1:])
            if remembered is not None:
                return remembered
        readings: list[Reading] = []
        budget = Budget()
        for kind, at, end in message.parts:
            if kind == publish.STATUS_CHANGE:
                raise SubscriptionGone(subscription, status_name(publish.status_change(body, at, end)))
            if kind == publish.DATA_CHANGE:
                self._decoder.data_change(body, at, end, readings, budget)
        return readings

    async def _unreadable(self, subscription: Subscription, message: NotificationMessage, error: Exception) -> None:
        """Declare a loss, and have the present values read, node by node: in a message of the subscription the same one would spoil all."""
        self._state.count("unreadable-messages")
        text = f"a message of subscription {subscription.id} can not be read: {error}"
        await self._emit.found(Finding("message-unreadable", text, severity="alarm", evidence={"sequence": message.sequence}))
        await self._report_loss(subscription, "message-unreadable", text)
        subscription.values_due = True

    async def _hand_over_data(
        self, subscription: Subscription, readings: Sequence[Reading], message: NotificationMessage, arrived_ns: int, *, follows: bool
    ) -> None:
        """Hand first values over apart from changes, and declare overflows for exactly their tag and time."""
        is_plain = readings.__class__ is Columns
        if (
            subscription.resumed
            and not is_plain
            and any(status & OVERFLOW == OVERFLOW or status in NODE_GONE for _, _, status, _, _ in readings)
        ):
            await self._resume_first(subscription, message, arrived_ns)
        if subscription.repeats or subscription.may_send_again(asyncio.get_running_loop().time()):
            new = unrepeated(readings, self._state.last, subscription.repeats, subscription.resent, subscription.fresh)
            if len(new) < len(readings):
                self._state.count("repeated-values", len(readings) - len(new))
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
                self._note_history_gap(subscription, subscription.since.pop(reading[0], None), reading)
            gone = self._note_status(subscription, first)
            if not rest:
                subscription.expected = sequence_after(message.sequence)
            self.handover(
                subscription,
                self._state.semantics.judged(first),
                message,
                arrived_ns,
                0 if rest else message.sequence,
                kind="initial",
                follows=follows or bool(rest),
            )
            self._declare_gone(subscription, gone)
            if not rest:
                return
            # Cut here, the message is fetched again, and these with it.
            subscription.sends_again({reading[0]: reading for reading in first}, asyncio.get_running_loop().time())
            await self._emit.room()
            readings = rest
        gone = self._note_status(subscription, readings)
        readings = self._state.semantics.judged(readings)
        # Not before: a message that is cut or spoiled on its way here has not been taken.
        subscription.expected = sequence_after(message.sequence)
        self.handover(subscription, readings, message, arrived_ns, message.sequence, follows=follows)
        self._declare_gone(subscription, gone)

    async def _resume_first(self, subscription: Subscription, message: NotificationMessage, arrived_ns: int) -> None:
        """Close the gap of before, so that what this message reports as lost is a gap of its own: within an open one it would vanish."""
        self.handover(subscription, [], message, arrived_ns, 0, follows=True)
        await self._emit.room()

    def _note_status(self, subscription: Subscription, readings: Sequence[Reading]) -> list[Reading]:
        """Act on status bits: an overflow is a gap of just this tag. Returns the readings that say that their node has vanished."""
        last = self._state.last
        if isinstance(readings, Columns):
            last.note_all(readings)
            return []
        gone = [reading for reading in readings if reading[2] in NODE_GONE]
        # Losses are declared here, before the list with these readings is emitted: their gaps end with the readings that follow.
        overrun: dict[tuple[int | None, int | None], list[int]] = {}
        for reading in readings:
            tag, _, status, source, server = reading
            if status & OVERFLOW == OVERFLOW:
                before = last[tag]
                since, until = self._state.before.get(tag) if before is None else before[3], source if source is not None else server
                self._state.count("overflows")
                overrun.setdefault((since, until), []).append(tag)
                self._note_history_gap(subscription, since, reading)
            if status & SEMANTICS_CHANGED:
                self._state.semantics.doubt(tag)
            if source is not None:
                last.note(reading)
        for (since, until), tags in overrun.items():
            self.handover.add(self._emit.lost(Loss("queue-overflow", tuple(tags), since, until, "the server's queue ran over")))
        return gone

    def _declare_gone(self, subscription: Subscription, gone: Sequence[Reading]) -> None:
        """Open the gap of nodes that have vanished, and have them asked for again.

        Behind the list that says it: that is a reading, too, and would end their gap where it begins.
        """
        for tag, _, status, source, _ in gone:
            item = subscription.item_of(tag)
            subscription.missing[item.handle] = status
            self.handover.add(self._emit.lost(Loss("not-subscribed", (tag,), source, detail=status_name(status))))
        items = {id(item): item for item in (subscription.item_of(reading[0]) for reading in gone)}
        for finding, _ in unusable(subscription, [*items.values()], self._tags):
            self.handover.add(self._emit.found(finding))

    def _note_history_gap(self, subscription: Subscription, since: int | None, first: Reading) -> None:
        """Note an interval, up to the first reading after it, that the server's history may fill. One is enough for all tags of an item."""
        tag, _, _, source, server = first
        until, gaps = source if source is not None else server, self._state.history_gaps
        if since is None or until is None or since >= until or len(gaps) >= MOST_HISTORY_GAPS:
            return
        item, last = subscription.item_of(tag), self._state.last[tag]
        if len(item.bindings) > 1 and any(gap.item is item and gap.until_ticks == until for gap in gaps[-2 * len(item.bindings) :]):
            return
        before = self._state.last.of_its_time(tag) if last is not None and last[3] == since else None
        gaps.append(HistoryGap(item, since, until, tag, before, first))

    async def _report_loss(self, subscription: Subscription, cause: str, detail: str) -> None:
        """Declare a loss of all tags that this subscription observes; of a group of events, as a finding."""
        subscription.resumed = False  # no more without loss: a gap that is still open ends as lost
        if subscription.group.alarms is not None:
            self._lost_events += 1  # each loss is its own finding
            text = f"alarms of {subscription.group.alarms.notifier}: {detail} (loss {self._lost_events} of this session)"
            await self._emit.found(Finding("alarms-lost", text, severity="alarm", evidence={"cause": cause}))
            return
        self.handover.add(self._emit.lost(Loss(cause, subscription.observed_tags() or subscription.tags, detail=detail)))

    async def _recover(self, subscription: Subscription, until: int, count: int) -> None:
        """Republish the messages from the expected one up to `until`; one that is no longer there is a loss of this subscription's tags."""
        self._state.count("sequence-gaps")
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
            self._state.count("messages-lost", lost)
            await self.refresh(subscription)

    async def republish(self, subscription: Subscription) -> bool:
        """Fetch and take the expected message once more. Returns False if the server does not have it. Raises SubscriptionGone."""
        request = ua.RepublishRequest()
        request.Parameters = ua.RepublishParameters(subscription.id, subscription.expected)
        try:
            body = await self._link.raw(request)
            message = await off_loop(publish.republished, body)
        except ua.UaStatusCodeError:
            return False  # aborted, or too large for us
        except ServiceFault as fault:
            if fault.status in _SUBSCRIPTION_UNKNOWN:
                raise SubscriptionGone(subscription, status_name(fault.status)) from None
            if fault.status in SESSION_GONE:
                raise LinkLost(f"Republish: {status_name(fault.status)}") from None
            return False  # not there any more, or a server without Republish: the message is lost either way
        except BROKEN:
            return False
        if message.sequence != subscription.expected or not message.parts:
            return False  # an empty Good answer is what some servers give instead of BadMessageNotAvailable
        self._state.count("republished")
        await self._emit.room()
        await self.take(subscription, message, body, time.monotonic_ns())
        return True

    async def refresh(self, subscription: Subscription) -> None:
        """Ask for every tag's present value after a loss, so that a value that no longer changes does not stay unknown."""
        if subscription.group.alarms is not None:
            subscription.refresh_due = True
            return
        if await subscribe.resend_data(self._link, subscription.id):
            observed = subscription.observed_tags()
            subscription.fresh |= set(observed)
            subscription.sends_again(dict.fromkeys(observed), asyncio.get_running_loop().time())
            return
        await self.read([item for item in subscription.group.items if item.handle not in subscription.missing])

    async def have_smaller_ones(self) -> None:
        """Have fewer values in each message, because one was too large for the server or for us; look for a value that fills one alone.

        What the message held is missing in the numbers, and told then.
        """
        self._state.count("smaller-messages")
        for subscription in self._state.subscriptions:
            if not await publishing.publish_fewer(self._link, self._source, self._settings, subscription):
                subscription.values_due = subscription.group.alarms is None

    async def _take_out(self, too_large: Sequence[tuple[MonitoredItem, int]]) -> None:
        """Delete items of values that no message can hold, so that they stop no other; they are asked for again from time to time."""
        for subscription in self._state.subscriptions:
            ours = [(item, status) for item, status in too_large if item in subscription.group.items]
            if not ours:
                continue
            await subscribe.delete_items(self._link, subscription, [item for item, _ in ours])
            subscription.missing |= {item.handle: status for item, status in ours}
            for finding, tags in subscribe.unusable(subscription, [item for item, _ in ours], self._tags):
                await self._emit.found(finding)
                self.handover.add(self._emit.lost(Loss("not-subscribed", tags, detail=finding.text)))

    async def read(self, items: Sequence[MonitoredItem]) -> None:
        """Read the present values of items, and emit them as first values."""
        nodes = [(item, node) for item in items if (node := self._link.node(item.address, self._settings.namespaces)) is not None]
        readings: list[Reading] = []
        values = await values_of(self._link, [node for _, node in nodes])
        for (item, _), value in zip(nodes, values, strict=True):
            self._converter(Undecoded(item.handle, *value), readings)
        await self._take_out([(item, value[2]) for (item, _), value in zip(nodes, values, strict=True) if value[2] in TOO_LARGE])
        now_s = asyncio.get_running_loop().time()
        for subscription in self._state.subscriptions:
            tags = set(subscription.tags)
            subscription.sends_again({reading[0]: reading for reading in readings if reading[0] in tags}, now_s)
        await self._emit.room()
        self.handover.add(self._emit(self._state.semantics.judged(readings), received_ns=time.monotonic_ns(), kind="initial"))


def _is_full(subscription: Subscription, readings: Sequence[Reading]) -> bool:
    """Whether a message may be one of several, whatever the server says of it: some never say that more follow.

    One that has each item once, and all items, left none behind.
    """
    if len(readings) < subscription.most_notifications:
        return False
    return not isinstance(readings, Columns) or len(readings) < len(subscription.group.items)
