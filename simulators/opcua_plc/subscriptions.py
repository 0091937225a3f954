"""Subscriptions as the specification describes them, in place of asyncua's, which are wrong in several points.

Republish of an unknown message is refused; the value after a lost one carries the Overflow bit; queue size 0 means 1; a transferred
subscription really publishes to its new session; a lifetime counts publishing cycles without a request; messages are cut at
MaxNotificationsPerPublish.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

from asyncua import ua as _ua
from asyncua.common.utils import ServiceError

from simulators.opcua_plc.conditions import Event
from simulators.opcua_plc.encode import UNIX_IN_1601
from simulators.opcua_plc.items import Events, Item, Value
from simulators.opcua_plc.own_clock import OwnClock
from simulators.opcua_plc.switches import Switches

ua: Any = _ua
MOST_PER_MESSAGE = 1000
BASE_EVENT_TYPE = 2041


class Subscription:
    """One subscription: a publishing cycle, the queues, and the messages sent but not acknowledged."""

    def __init__(self, service: "Subscriptions", result: Any, parameters: Any, session_id: Any, processor: Any) -> None:
        self.service, self.data, self.session_id, self.processor = service, result, session_id, processor
        self.items: dict[int, Item] = {}
        self.events: dict[int, Events] = {}
        self.due: dict[int, Item] = {}  # items with something in the queue, oldest first
        self.sent: dict[int, bytes] = {}
        self.sequence = 1
        self.enabled = bool(parameters.PublishingEnabled)
        self.most = min(parameters.MaxNotificationsPerPublish or MOST_PER_MESSAGE, MOST_PER_MESSAGE)
        self.waiting = False  # a cycle is over and found no PublishRequest
        self._first = True
        self._idle = self._unanswered = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the publishing cycle."""
        self._task = asyncio.create_task(self._cycle())

    async def stop(self) -> None:
        """End the cycle and forget the items."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for item in self.items.values():
            self.service.unwatch(self, item)

    async def _cycle(self) -> None:
        """Publish on a fixed grid; late cycles are made up for by shorter sleeps, not by bursts."""
        due = time.monotonic()
        while True:
            due = max(due + max(self.data.RevisedPublishingInterval, 10.0) / 1000, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            if not self._requests():
                self._unanswered += 1
                if self._unanswered > self.data.RevisedLifetimeCount:
                    self.service.subscriptions.pop(self.data.SubscriptionId, None)
                    for item in self.items.values():
                        self.service.unwatch(self, item)
                    return
            else:
                self._unanswered = 0
            self._idle += 1
            self.waiting = True
            self.publish_now()

    def _requests(self) -> Any:
        """The PublishRequests of this subscription's session; none if its connection is gone."""
        processor = self.processor
        return processor.publish_queue if processor is not None and not processor._transport.is_closing() else ()  # noqa: SLF001

    def publish_now(self) -> None:
        """Send the notifications that are due, as long as there are requests."""
        while self.waiting and self._requests():
            if not (self._is_due() and self.enabled) and not self._first and self._idle < self.data.RevisedMaxKeepAliveCount:
                self.waiting = False
                return
            self._send(self._requests().popleft())
            self.waiting = bool(self._is_due() and self.enabled)

    def _is_due(self) -> bool:
        return bool(self.due) or any(item.queue for item in self.events.values())

    def _send(self, request: Any) -> None:
        self._first, self._idle, self._unanswered = False, 0, 0
        parts = self._part() if self._is_due() and self.enabled else b"\x00\x00\x00\x00"
        now = self.service.clock.ticks() + UNIX_IN_1601
        message = struct.pack("<Iq", self.sequence, now) + parts
        switches, dropped = self.service.switches, False
        if len(parts) > 4:
            if self.sequence in switches.garble_messages:
                message = message[:40] + b"\xfe" * (len(message) - 40)
            self.sent[self.sequence] = message
            while len(self.sent) > switches.kept_messages:
                self.sent.pop(next(iter(self.sent)))
            dropped = self.sequence in switches.drop_messages
            self.sequence = 1 if self.sequence == 0xFFFFFFFF else self.sequence + 1
        if dropped:
            request.processor.publish_queue.appendleft(request)
            return
        available = struct.pack(f"<i{len(self.sent)}I", len(self.sent), *self.sent)
        more = b"\x01" if self._is_due() and self.enabled and switches.tells_more else b"\x00"
        results = struct.pack(f"<i{len(request.results)}I", len(request.results), *request.results)
        if 0 < switches.publish_bytes < len(message):
            request.refuse(ua.StatusCodes.BadResponseTooLarge)
            return
        body = struct.pack("<I", self.data.SubscriptionId) + available + more + message + results + b"\xff\xff\xff\xff"
        request.answer(829, body)
        if int.from_bytes(message[:4], "little") in switches.twice_messages and self._requests():
            self._requests().popleft().answer(829, body)

    def end(self, status: int) -> None:
        """Tell a StatusChangeNotification, the last message (Part 4, 7.25.4)."""
        content = struct.pack("<I", status) + b"\x00"
        parts = struct.pack("<i", 1) + b"\x01\x00\x34\x03\x01" + struct.pack("<i", len(content)) + content
        message = struct.pack("<Iq", self.sequence, self.service.clock.ticks() + UNIX_IN_1601) + parts
        body = struct.pack("<I", self.data.SubscriptionId) + b"\xff\xff\xff\xff\x00" + message + b"\xff\xff\xff\xff" * 2
        self._requests().popleft().answer(829, body)

    def _part(self) -> bytes:
        """Make a DataChangeNotification of the queues, item by item, up to the limit; or one of events, if there are some."""
        if not self.due:
            return self._event_part()
        records: list[bytes] = []
        while self.due and len(records) < self.most:
            number = next(iter(self.due))
            item = self.due[number]
            while item.queue and len(records) < self.most:
                records.append(item.take())
            if not item.queue:
                del self.due[number]
        body = struct.pack("<i", len(records)) + b"".join(records) + b"\xff\xff\xff\xff"
        return struct.pack("<i", 1) + b"\x01\x00\x2b\x03\x01" + struct.pack("<i", len(body)) + body

    def _event_part(self) -> bytes:
        records: list[bytes] = []
        for item in self.events.values():
            while item.queue and len(records) < self.most:
                records.append(item.queue.popleft())
        body = struct.pack("<i", len(records)) + b"".join(records)
        return struct.pack("<i", 1) + b"\x01\x00\x94\x03\x01" + struct.pack("<i", len(body)) + body

    def acknowledge(self, number: int) -> int:
        """Acknowledge a message; return the StatusCode."""
        return 0 if self.sent.pop(number, None) is not None else ua.StatusCodes.BadSequenceNumberUnknown


class Subscriptions:
    """Replaces asyncua's SubscriptionService, for all sessions."""

    def __init__(self, switches: Switches, value_of: Callable[[Any], Value | None], clock: OwnClock) -> None:
        self.switches, self._value_of, self.clock = switches, value_of, clock
        self.subscriptions: dict[int, Subscription] = {}
        self.watchers: dict[Any, list[tuple[Subscription, Item]]] = {}
        self.standard_events: dict[int, Any] = {}
        self.closed_sessions = 0  # that a client closed, not those whose connection ended
        self._next_id = int(time.time()) & 0xFFFFFF
        self._next_item = 1

    async def create_subscription(self, params: Any, callback: Any, session_id: Any, request_callback: Any = None) -> Any:
        """Create a subscription as asked, within the limits of `switches`."""
        del request_callback
        if len(self.subscriptions) >= self.switches.most_subscriptions:
            raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
        self._next_id += 1
        result = ua.CreateSubscriptionResult(self._next_id, *self._revised(params))
        subscription = Subscription(self, result, params, session_id, getattr(callback, "__self__", None))
        self.subscriptions[self._next_id] = subscription
        subscription.start()
        return result

    def modify_subscription(self, params: Any) -> Any:
        """Take another interval, other counts and another MaxNotificationsPerPublish, from the next publishing cycle on."""
        subscription = self._of(params.SubscriptionId)
        if not self.switches.modifies:
            raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
        subscription.most = min(params.MaxNotificationsPerPublish or MOST_PER_MESSAGE, MOST_PER_MESSAGE)
        revised = self._revised(params)
        subscription.data = ua.CreateSubscriptionResult(params.SubscriptionId, *revised)
        return ua.ModifySubscriptionResult(*revised)

    def _revised(self, params: Any) -> tuple[float, int, int]:
        """Give interval, lifetime and keep-alive of a request, within the limits of `switches`."""
        interval = max(params.RequestedPublishingInterval, self.switches.least_publish_ms)
        lifetime = min(params.RequestedLifetimeCount, int(self.switches.most_lifetime_s * 1000 / interval))
        return interval, max(lifetime, 3), max(params.RequestedMaxKeepAliveCount, self.switches.least_keep_alive)

    async def create_monitored_items(self, params: Any) -> list[Any]:
        """Create items on data; an unknown node is refused, its neighbours are not."""
        subscription = self._of(params.SubscriptionId)
        if self.switches.items_fault:
            raise ServiceError(self.switches.items_fault)
        if len(subscription.items) + len(params.ItemsToCreate) > self.switches.most_items:
            raise ServiceError(ua.StatusCodes.BadTooManyMonitoredItems)
        return [self._created(subscription, asked) for asked in params.ItemsToCreate]

    def _created(self, subscription: Subscription, asked: Any) -> Any:
        result = ua.MonitoredItemCreateResult()
        if asked.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier:
            return self._listened(subscription, asked, result)
        value = self._value_of(asked.ItemToMonitor.NodeId)
        parameters = asked.RequestedParameters
        if value is None:
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
            return result
        data_filter = parameters.Filter if isinstance(parameters.Filter, _ua.DataChangeFilter) else None
        if data_filter is not None and not self.switches.filters:
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadMonitoredItemFilterUnsupported)
            return result
        self._next_item += 1
        size = max(1, min(parameters.QueueSize, self.switches.most_queue))
        with_time = data_filter is not None and data_filter.Trigger == ua.DataChangeTrigger.StatusValueTimestamp
        item = Item(self._next_item, parameters.ClientHandle, asked.ItemToMonitor.NodeId, size, with_time)
        result.MonitoredItemId, result.RevisedQueueSize = item.id, size
        result.RevisedSamplingInterval = max(parameters.SamplingInterval, self.switches.least_sampling_ms)
        subscription.items[item.id] = item
        self.watchers.setdefault(item.node, []).append((subscription, item))
        if item.push(value):
            subscription.due[item.id] = item
        return result

    def _listened(self, subscription: Subscription, asked: Any, result: Any) -> Any:
        """Create an item of events, of the one notifier that a simulated PLC has: the Server object."""
        if asked.ItemToMonitor.NodeId != ua.NodeId(ua.ObjectIds.Server):
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
            return result
        parameters, refused = asked.RequestedParameters, self.switches.clauses_refused
        clauses = [
            (clause.TypeDefinitionId.Identifier, tuple(name.Name for name in clause.BrowsePath))
            for clause in parameters.Filter.SelectClauses
        ]
        if not self.switches.condition_types and any(kind != BASE_EVENT_TYPE for kind, _ in clauses):
            result.StatusCode = ua.StatusCode(ua.StatusCodes.BadEventFilterInvalid)
            return result
        self._next_item += 1
        codes = [ua.StatusCodes.BadNodeIdUnknown if refused.intersection(path or ("NodeId",)) else 0 for _, path in clauses]
        result.FilterResult = ua.EventFilterResult(SelectClauseResults=[ua.StatusCode(code) for code in codes])
        clauses = [(kind, ("",) if code else path) for (kind, path), code in zip(clauses, codes, strict=True)]
        size = max(1, min(parameters.QueueSize, self.switches.most_queue))
        item = Events(self._next_item, parameters.ClientHandle, asked.ItemToMonitor.NodeId, size, clauses)
        subscription.events[item.id] = item
        result.MonitoredItemId, result.RevisedQueueSize, result.RevisedSamplingInterval = item.id, size, 0.0
        return result

    def happened(self, event: Event, only: int | None = None) -> None:
        """Queue an event for all its items, or for those of one subscription."""
        for number, subscription in self.subscriptions.items():
            if only is None or only == number:
                for item in subscription.events.values():
                    item.push(event)

    def changed(self, node: Any, value: Value) -> None:
        """Queue a node's new value for every item on it."""
        for subscription, item in self.watchers.get(node, ()):
            if item.push(value):
                subscription.due[item.id] = item

    def unwatch(self, subscription: Subscription, item: Item) -> None:
        """Forget an item."""
        watching = self.watchers.get(item.node, [])
        if (subscription, item) in watching:
            watching.remove((subscription, item))

    def delete_monitored_items(self, params: Any) -> list[Any]:
        """Delete items by id."""
        subscription = self._of(params.SubscriptionId)
        codes = []
        for number in params.MonitoredItemIds:
            item: Any = subscription.items.pop(number, None) or subscription.events.pop(number, None)
            subscription.due.pop(number, None)
            if isinstance(item, Item):
                self.unwatch(subscription, item)
            codes.append(ua.StatusCode(0 if item is not None else ua.StatusCodes.BadMonitoredItemIdInvalid))
        return codes

    async def delete_subscriptions(self, ids: Iterable[int]) -> list[Any]:
        """Delete subscriptions by id."""
        gone = [self.subscriptions.pop(number, None) for number in ids]
        for subscription in gone:
            if subscription is not None:
                await subscription.stop()
        return [ua.StatusCode(0 if subscription is not None else ua.StatusCodes.BadSubscriptionIdInvalid) for subscription in gone]

    def transfer(self, params: Any, session_id: Any, processor: Any) -> list[Any]:
        """Transfer subscriptions to another session, or refuse."""
        if not self.switches.transfer:
            raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
        results = []
        for number in params.SubscriptionIds:
            subscription, result = self.subscriptions.get(number), ua.TransferResult()
            if subscription is None:
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
            else:
                subscription.session_id, subscription.processor = session_id, processor
                result.AvailableSequenceNumbers = list(subscription.sent)
                if params.SendInitialValues:
                    self.resend(subscription)
            results.append(result)
        return results

    async def end(self, status: int) -> None:
        """End every subscription with a StatusChangeNotification."""
        for subscription in self.subscriptions.values():
            subscription.end(status)
        await self.delete_subscriptions(list(self.subscriptions))

    def resend(self, subscription: Subscription) -> None:
        """Queue the present value of every item (ResendData)."""
        for item in subscription.items.values():
            value = self._value_of(item.node)
            item.last = None
            if value is not None and item.push(value):
                subscription.due[item.id] = item

    def attach(self, session_id: Any, processor: Any) -> None:
        """Let a session's subscriptions follow it to another connection."""
        for subscription in self.subscriptions.values():
            if subscription.session_id == session_id:
                subscription.processor = processor

    def republished(self, number: int, sequence: int) -> bytes:
        """Return the message as it was sent. Raises the fault that the specification names."""
        subscription = self._of(number)
        message = subscription.sent.get(sequence) if self.switches.republish else None
        if message is None:
            raise ServiceError(ua.StatusCodes.BadMessageNotAvailable)
        if 0 < self.switches.publish_bytes < len(message):
            raise ServiceError(ua.StatusCodes.BadResponseTooLarge)
        return message

    def _of(self, number: int) -> Subscription:
        subscription = self.subscriptions.get(number)
        if subscription is None:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        return subscription
