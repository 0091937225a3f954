"""Subscriptions and monitored items: created in the server's portions, compared with what was asked, or taken over from before."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config import Tag
from drivers.contract import Finding, Reading
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.plan import ItemGroup, MonitoredItem
from drivers.opcua.session.link import Link, in_chunks, names_of
from drivers.opcua.settings import MOST_ITEMS
from drivers.opcua.subscription.alarms import event_filter, fields_refused
from drivers.opcua.subscription.bridging import untold

SENT_AGAIN_WITHIN_S = 30.0
"""Time in which a value that was asked for comes, or one that waited in its queue meanwhile."""
_FILTER_REFUSED = {
    ua.StatusCodes.BadMonitoredItemFilterUnsupported,
    ua.StatusCodes.BadMonitoredItemFilterInvalid,
    ua.StatusCodes.BadFilterNotAllowed,
    ua.StatusCodes.BadDeadbandFilterInvalid,
    ua.StatusCodes.BadEventFilterInvalid,
}
NO_ROOM = ua.StatusCodes.BadTooManyMonitoredItems
"""Fault of a server that has no room for so many items; or the status of each that it has no room for."""
NODE_UNKNOWN = ua.StatusCodes.BadNodeIdUnknown
NODE_GONE = {NODE_UNKNOWN, ua.StatusCodes.BadNodeIdInvalid}
"""A notification with one of these: the item watches a node that is not there any more, and will not notice when it is back."""


@dataclass(slots=True)
class Subscription:
    """One subscription of this session. All times are of the event loop."""

    id: int
    group: ItemGroup
    keep_alive_s: float
    expected: int  # the number of the next message
    tags: tuple[int, ...]
    handles: frozenset[int]
    seen_s: float
    fresh: set[int] = field(default_factory=set)  # tags whose first value has not arrived yet
    missing: dict[int, int] = field(default_factory=dict)  # handle -> status: items that the server refused
    item_ids: dict[int, int] = field(default_factory=dict)  # handle -> MonitoredItemId
    resumed: bool = False  # its first message goes on where the journal ended
    catches_up: bool = False  # since it was resumed no message has come that left nothing behind in the server's queues
    is_behind: bool = False  # its newest message left something behind there
    through_ticks: int | None = None  # publish time of the newest message that left nothing behind
    repeats: set[int] = field(default_factory=set)  # tags whose next value may be the last one again
    resent: dict[int, Reading | None] = field(default_factory=dict)  # tag -> what the server may send once more, see `unrepeated`
    resent_until_s: float = 0.0
    retained: tuple[int, frozenset[int]] = (0, frozenset())  # the newest message's number, and those that the server then still held
    is_new: bool = True  # not yet in the watermark
    hurries: bool = False  # it may still publish as for its first values, see `publishing`
    untold: set[int] = field(default_factory=set)  # tags of whose losses the server's queue does not tell
    refresh_due: bool = False  # of events: the present conditions must be asked for
    values_due: bool = False  # the present values must be read
    broken: int = 0  # how often in a row the link was lost over what was due
    newest_ticks: int = 0  # publish time of the newest message
    most_notifications: int = MOST_ITEMS  # per message
    since: dict[int, int] = field(default_factory=dict)  # tag -> ticks through which it is known, where this one follows a lost one

    def item_of(self, tag: int) -> MonitoredItem:
        """Return the item that feeds a tag."""
        return next(item for item in self.group.items for binding in item.bindings if binding.tag == tag)

    def untold_items(self) -> list[MonitoredItem]:
        """Return the items of whose losses the server does not tell, of those that it has accepted."""
        items = [item for item in self.group.items if item.handle not in self.missing]
        return [item for item in items if any(binding.tag in self.untold for binding in item.bindings)]

    def is_later(self, publish_ticks: int | None) -> bool:
        """Whether a message was made after every one that was taken: by its time, which a message that is sent again keeps."""
        return publish_ticks is not None and 0 < self.newest_ticks < publish_ticks

    def take_in(self, whole: ItemGroup) -> None:
        """Have the items of more groups. It is in the watermark when all of them have sent a first value."""
        self.group, self.tags, self.is_new = whole, whole.tags, True
        self.handles = frozenset(item.handle for item in whole.items)

    def sends_again(self, tags: Mapping[int, Reading | None], now_s: float) -> None:
        """Note what the server was made to send, or may have in its queues, once more."""
        self.resent |= tags
        self.resent_until_s = now_s + SENT_AGAIN_WITHIN_S

    def holds(self, sequence: int) -> bool:
        """Whether the server may still hold a message. Some list none, or not the one that the list comes with."""
        newest, numbers = self.retained
        return not numbers or sequence in numbers or sequence_ahead(sequence, newest) >= 0

    def may_send_again(self, now_s: float) -> bool:
        """Return True while something of `resent` may still come."""
        if self.resent and now_s > self.resent_until_s:
            self.resent.clear()
        return bool(self.resent)

    def observed_tags(self) -> tuple[int, ...]:
        """Return the tags that a message of this subscription proves to be observed: not those refused, or without a first value."""
        if not self.missing and not self.fresh:
            return self.tags
        absent = {binding.tag for item in self.group.items if item.handle in self.missing for binding in item.bindings}
        return tuple(tag for tag in self.tags if tag not in absent and tag not in self.fresh)


def sequence_after(number: int) -> int:
    """Return the next sequence number: they go from 1 to 2^32-1 and begin again with 1 (Part 4, 7.8)."""
    return 1 if number >= 0xFFFF_FFFF else number + 1


def sequence_ahead(number: int, expected: int) -> int:
    """Count the numbers from the expected one to this: 0 as expected, positive if some are missing, negative if seen before."""
    ahead = (number - expected) % 0xFFFF_FFFF
    return ahead if ahead < 0x7FFF_FFFF else ahead - 0xFFFF_FFFF


async def add_items(
    link: Link, subscription: Subscription, items: Sequence[MonitoredItem], nodes: Sequence[Any | None]
) -> list[tuple[MonitoredItem, Any]]:
    """Create monitored items; return (item, result) of those the server accepted. The others are in `subscription.missing`."""
    existing = [(item, node) for item, node in zip(items, nodes, strict=True) if node is not None]
    for item, node in zip(items, nodes, strict=True):
        if node is None:
            refused = link.paths.get(item.address)
            subscription.missing[item.handle] = refused if isinstance(refused, int) else NODE_UNKNOWN
    results = await _created(link, subscription, existing, filtered=True)
    refused = [index for index, result in enumerate(results) if result.StatusCode.value in _FILTER_REFUSED]
    # Some servers refuse every filter: without one the item reports status and value, as trigger 1 does; of events, what every event has.
    if refused:
        again = await _created(link, subscription, [existing[index] for index in refused], filtered=False)
        for index, result in zip(refused, again, strict=True):
            results[index] = result
    created: list[tuple[MonitoredItem, Any]] = []
    for (item, _), result in zip(existing, results, strict=True):
        if result.StatusCode.value & 0x80000000:
            subscription.missing[item.handle] = result.StatusCode.value
            continue
        subscription.missing.pop(item.handle, None)
        subscription.item_ids[item.handle] = result.MonitoredItemId
        subscription.fresh.update(binding.tag for binding in item.bindings)
        created.append((item, result))
    subscription.untold |= untold(created)
    return created


async def _created(link: Link, subscription: Subscription, existing: Sequence[tuple[MonitoredItem, Any]], *, filtered: bool) -> list[Any]:
    is_full = False

    async def some(part: Sequence[tuple[MonitoredItem, Any]]) -> list[Any]:
        nonlocal is_full
        if is_full:
            return [_no_room() for _ in part]
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = subscription.id
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [_create_request(item, node, filtered=filtered) for item, node in part]
        try:
            return list((await link.ask(request, ua.CreateMonitoredItemsResponse)).Results)
        except ua.UaStatusCodeError as error:
            if error.code != NO_ROOM:
                raise
            if len(part) > 1:  # some of them may have room
                raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations) from error
            is_full = True
            return [_no_room()]

    return await in_chunks(existing, link.limits["items"], some)


def _no_room() -> Any:
    return ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(NO_ROOM))


def _create_request(item: MonitoredItem, node: Any, *, filtered: bool) -> Any:
    parameters = ua.MonitoringParameters()
    parameters.ClientHandle = item.handle
    parameters.SamplingInterval = float(item.rate_ms)
    parameters.QueueSize = item.queue
    parameters.DiscardOldest = True
    if item.alarms is not None:
        parameters.Filter = event_filter(conditions=filtered)
    elif filtered and (item.trigger != 1 or item.deadband > 0):
        kind = ua.DeadbandType.Absolute if item.deadband > 0 else ua.DeadbandType.None_
        parameters.Filter = ua.DataChangeFilter(ua.DataChangeTrigger(item.trigger), kind, item.deadband)
    request = ua.MonitoredItemCreateRequest()
    attribute = ua.AttributeIds.Value if item.alarms is None else ua.AttributeIds.EventNotifier
    request.ItemToMonitor = ua.ReadValueId(node, attribute)
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters = parameters
    return request


def granted(created: Sequence[tuple[MonitoredItem, Any]]) -> dict[int, int | None]:
    """Return how often the server looks at each tag, ms; None where it reports changes as they come (Part 4, 7.21: 0), or of alarms."""
    revised = {
        binding.tag: None if item.alarms is not None else result.RevisedSamplingInterval
        for item, result in created
        for binding in item.bindings
    }
    return {tag: max(round(ms), 1) if ms is not None and 0 < ms < math.inf else None for tag, ms in revised.items()}


def revisions(
    group: ItemGroup,
    subscription: Any | None,
    created: Sequence[tuple[MonitoredItem, Any]],
    tags: Sequence[Tag],
    tolerance_s: float,
    keep_alive_asked_s: float,
) -> list[Finding]:
    """Compare what the server promises with what was asked; return a finding for each difference, because each can lose values.

    subscription: its revised parameters; None if they are not known.
    """
    findings = []
    slower: dict[tuple[float, float], list[int]] = {}
    shorter: dict[tuple[int, int], list[int]] = {}
    for item, result in created:
        if item.alarms is None and result.RevisedSamplingInterval > max(item.rate_ms, group.publish_ms if item.rate_ms == 0 else 0) * 1.01:
            slower.setdefault((float(item.rate_ms), result.RevisedSamplingInterval), []).extend(binding.tag for binding in item.bindings)
        if item.alarms is not None and (absent := fields_refused(result.FilterResult)):
            text = f"alarms of {item.alarms.notifier}: the server does not tell {', '.join(absent)} of them; they can not be followed"
            findings.append(Finding("alarms-not-heard", text, severity="alarm", evidence={"notifier": item.alarms.notifier}))
        if result.RevisedQueueSize < item.queue:
            shorter.setdefault((item.queue, result.RevisedQueueSize), []).extend(binding.tag for binding in item.bindings)
    for (requested, revised), tag_indexes in slower.items():
        text = f"the server samples every {revised:g} ms instead of {requested:g} ms: {names_of(tags, tag_indexes)}"
        findings.append(Finding("sampling-revised", text, tuple(tag_indexes), evidence={"requested_ms": requested, "revised_ms": revised}))
    for (size, short), tag_indexes in shorter.items():
        silent = " and does not tell when one is lost" if short <= 1 else ""
        whose = names_of(tags, tag_indexes) if group.alarms is None else f"alarms of {group.alarms.notifier}"
        text = f"the server queues {short} values instead of {size}{silent}: {whose}"
        severity = "alarm" if short <= 1 else "warning"
        findings.append(Finding("queue-revised", text, tuple(tag_indexes), severity, {"requested": size, "revised": short}))  # type: ignore[arg-type]
    if subscription is None:
        return findings
    lifetime_s = subscription.RevisedPublishingInterval * subscription.RevisedLifetimeCount / 1000
    if lifetime_s < tolerance_s:
        text = f"the server keeps a subscription for {lifetime_s:g} s, shorter than outage_tolerance_s = {tolerance_s:g}"
        findings.append(Finding("lifetime-revised", text, subscription_tags(group), evidence={"revised_s": lifetime_s}))
    keep_alive_s = subscription.RevisedPublishingInterval * subscription.RevisedMaxKeepAliveCount / 1000
    if keep_alive_s > 2 * keep_alive_asked_s:
        text = f"a silent link is found late: the server gives a sign every {keep_alive_s:g} s instead of {keep_alive_asked_s:g} s"
        findings.append(Finding("publishing-revised", text, subscription_tags(group)))
    if subscription.RevisedPublishingInterval > group.publish_ms * 2:
        text = f"the server publishes every {subscription.RevisedPublishingInterval:g} ms instead of {group.publish_ms} ms"
        findings.append(Finding("publishing-revised", text, subscription_tags(group), "info"))
    return findings


def subscription_tags(group: ItemGroup) -> tuple[int, ...]:
    """Return all tags of a group, for a finding."""
    return group.tags


def unusable(subscription: Subscription, items: Sequence[MonitoredItem], tags: Sequence[Tag]) -> list[tuple[Finding, tuple[int, ...]]]:
    """Return a finding for each of these items that the server refused, with its tags; one for all for which it has no room."""
    findings: list[tuple[Finding, tuple[int, ...]]] = []
    without_room: list[int] = []
    for item in items:
        status = subscription.missing.get(item.handle)
        if status is not None and item.alarms is not None:
            text = f"alarms of {item.alarms.notifier}: {status_name(status)}; tried again from time to time"
            findings.append((Finding("alarms-not-heard", text, severity="alarm", evidence={"notifier": item.alarms.notifier}), ()))
        elif status == NO_ROOM:
            without_room += [binding.tag for binding in item.bindings]
        elif status is not None:
            tag_indexes = tuple(binding.tag for binding in item.bindings)
            text = f"{names_of(tags, tag_indexes)}: {status_name(status)} at {tags[tag_indexes[0]].address}; tried again from time to time"
            findings.append((Finding("node-unusable", text, tag_indexes, evidence={"status": f"0x{status:08X}"}), tag_indexes))
    if without_room:
        text = f"the server has no room for more items ({status_name(NO_ROOM)}): {len(without_room)} tags are not read, "
        text += f"{names_of(tags, without_room)}; tried again from time to time"
        evidence = {"status": f"0x{NO_ROOM:08X}"}
        findings.append((Finding("not-subscribed", text, tuple(without_room), "alarm", evidence), tuple(without_room)))
    return findings


async def transfer(link: Link, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """Take subscriptions over into this session (Part 4, 5.13.7); return those handed over: {id: messages that the server still holds}."""
    request = ua.TransferSubscriptionsRequest()
    request.Parameters = ua.TransferSubscriptionsParameters(list(ids), False)  # noqa: FBT003 - SendInitialValues
    try:
        results = (await link.ask(request, ua.TransferSubscriptionsResponse)).Parameters.Results
    except ua.UaStatusCodeError:
        return {}
    return {
        id_: tuple(result.AvailableSequenceNumbers or ())
        for id_, result in zip(ids, results, strict=False)
        if not result.StatusCode.value & 0x80000000
    }


_NOT_OURS = {ua.StatusCodes.BadSubscriptionIdInvalid, ua.StatusCodes.BadUserAccessDenied}
"""What GetMonitoredItems answers of a subscription that is not this session's (Part 5, 9.1); anything else: it has no such method."""


async def is_ours(link: Link, subscription: Subscription, *, is_same_start: bool) -> bool:
    """Whether a subscription has no other client handles than ours, as the server lists them (GetMonitoredItems, Part 5, 9.1).

    is_same_start: the server is known not to have been started anew; where it has no such method, that must do.
    """
    number = ua.Variant(subscription.id, ua.VariantType.UInt32)
    try:
        outputs = await link.call(ua.NodeId(ua.ObjectIds.Server), ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), number)
    except ua.UaStatusCodeError as error:
        return is_same_start and error.code not in _NOT_OURS
    return len(outputs) == 2 and subscription.handles.issuperset(outputs[1] or ())


async def resend_data(link: Link, subscription_id: int) -> bool:
    """Make the server send each item's present value as a message of the subscription (ResendData, Part 5, 9.2).

    It comes in order with what follows. Returns False if it has no such method, or refuses.
    """
    number = ua.Variant(subscription_id, ua.VariantType.UInt32)
    try:
        await link.call(ua.NodeId(ua.ObjectIds.Server), ua.NodeId(ua.ObjectIds.Server_ResendData), number)
    except ua.UaStatusCodeError:
        return False
    return True


async def delete_items(link: Link, subscription: Subscription, items: Sequence[MonitoredItem]) -> None:
    """Delete what is left of items, whatever the server answers."""
    ids = [subscription.item_ids.pop(item.handle) for item in items if item.handle in subscription.item_ids]
    if not ids:
        return
    request = ua.DeleteMonitoredItemsRequest()
    request.Parameters.SubscriptionId, request.Parameters.MonitoredItemIds = subscription.id, ids
    try:
        await link.ask(request, ua.DeleteMonitoredItemsResponse)
    except ua.UaStatusCodeError:
        return


async def delete(link: Link, ids: Sequence[int]) -> None:
    """Delete subscriptions, whatever the server answers."""
    request = ua.DeleteSubscriptionsRequest()
    request.Parameters.SubscriptionIds = list(ids)
    try:
        await link.ask(request, ua.DeleteSubscriptionsResponse)
    except ua.UaStatusCodeError:
        return
