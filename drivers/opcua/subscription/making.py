"""Make the subscriptions of a plan, of a server that may have room for fewer than it asks for: what it gives is used for all.

A group of values for which there is no subscription any more joins the quickest one that there is; each item keeps its own sampling. Items
for which there is no room are a gap and a finding, and are asked for again from time to time.
"""

import asyncio
from collections.abc import Mapping, Sequence

from config import Source, Tag
from drivers.contract import Emit, Finding, Loss
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.plan import ItemGroup, joined
from drivers.opcua.session.link import Link
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription import publishing, subscribe
from drivers.opcua.subscription.session_state import SessionState
from drivers.opcua.subscription.subscribe import Subscription


class Making:
    """Makes subscriptions in one session."""

    def __init__(self, source: Source, settings: OpcUaSettings, tags: Sequence[Tag], emit: Emit, link: Link, state: SessionState) -> None:
        self._source, self._settings, self._tags = source, settings, tags
        self._emit, self._link, self._state = emit, link, state

    async def delete_unfinished(self) -> None:
        """Delete what earlier attempts left in this session: a subscription whose items could not all be made. A new session has none."""
        unfinished, self._state.unfinished = self._state.unfinished, []
        if self._link.reused and unfinished:
            await subscribe.delete(self._link, unfinished)

    async def make(self, groups: Sequence[ItemGroup], since: Mapping[int, int]) -> None:
        """Make subscriptions for groups, and add them to the state. since: by tag, the ticks through which it is known.

        Events come second: they can not join others, and one subscription of values is enough for all values. Raises what Link.ask raises.
        """
        in_order = sorted(groups, key=lambda group: (group.slots[0] > 0 and group.alarms is None, group.slots))
        for group in in_order:
            try:
                subscription = await self._made(group)
            except ua.UaStatusCodeError as error:
                if error.code != ua.StatusCodes.BadTooManySubscriptions or not self._state.subscriptions:
                    raise
                host = self._quickest() if group.alarms is None else None
                if host is None:
                    await self._refused(group, error.code)
                    continue
                subscription = await self._joining(host, group)
            subscription.since |= {tag: ticks for tag, ticks in since.items() if tag in subscription.tags}

    async def _made(self, group: ItemGroup) -> Subscription:
        """Create a subscription with its items; report what the server refuses or revises."""
        now_s = asyncio.get_running_loop().time()
        subscription, answer = await publishing.create(self._link, self._source, self._settings, group, now_s)
        self._state.unfinished.append(subscription.id)
        await self._fill(subscription, group, answer)
        self._state.unfinished.remove(subscription.id)
        subscription.refresh_due = group.alarms is not None
        self._state.subscriptions.append(subscription)
        return subscription

    async def _joining(self, host: Subscription, group: ItemGroup) -> Subscription:
        """Add a group's items to a subscription that there is.

        One that hurries still publishes as first values want; what the server makes of the pace of all of them is asked and told then.
        """
        self._state.count("subscriptions-joined")
        whole = joined([host.group, group])
        answer = None if host.hurries else await publishing.modify(self._link, self._source, self._settings, host, whole)
        await self._fill(host, group, answer)
        host.take_in(whole)
        return host

    async def _fill(self, subscription: Subscription, group: ItemGroup, answer: object | None) -> None:
        """Create the items of a group. answer: what the server made of the subscription's parameters; None if it did not say."""
        nodes = [self._link.node(item.address, self._settings.namespaces) for item in group.items]
        created = await subscribe.add_items(self._link, subscription, group.items, nodes)
        self._emit.samples(subscribe.granted(created))
        asked_s = self._settings.keep_alive_s
        settled = None if subscription.hurries else answer  # what it makes of the usual pace is told then: `publishing`
        for finding in subscribe.revisions(group, settled, created, self._tags, self._source.outage_tolerance_s, asked_s):
            await self._emit.found(finding)
        for finding, which in subscribe.unusable(subscription, group.items, self._tags):
            await self._emit.found(finding)
            if which:
                await self._emit.lost(Loss("not-subscribed", which, detail=finding.text))

    def _quickest(self) -> Subscription | None:
        return min((s for s in self._state.subscriptions if s.group.alarms is None), key=lambda s: s.group.publish_ms, default=None)

    async def _refused(self, group: ItemGroup, status: int) -> None:
        """Tell that the server has no room for events."""
        assert group.alarms is not None
        text = f"alarms of {group.alarms.notifier}: no more subscriptions ({status_name(status)}); not heard in this session"
        await self._emit.found(Finding("alarms-not-heard", text, severity="alarm", evidence={"notifier": group.alarms.notifier}))
