"""How often a subscription publishes, how much at once, and how long the server keeps it: asked for, and changed later.

A new one publishes sooner at first than its group wants: a server sends first values with the end of the first publishing interval
(Part 4, 5.13.1.2), which nobody shall wait for at a start (docs/decisions/0166).
"""

import math
from collections.abc import Sequence
from typing import Any

from config import Source, Tag
from drivers.contract import Finding
from drivers.opcua.asyncua_types import ua
from drivers.opcua.plan import ItemGroup
from drivers.opcua.session.link import Link
from drivers.opcua.settings import MOST_ITEMS, OpcUaSettings
from drivers.opcua.subscription.subscribe import Subscription, revisions, subscription_tags

FIRST_PUBLISH_MS = 50
"""Interval at which a new subscription publishes at first."""
LIFETIME_S = 60.0
"""Least time that a server shall keep a subscription without a sign of life from us."""


async def create(link: Link, source: Source, settings: OpcUaSettings, group: ItemGroup, now_s: float) -> tuple[Subscription, Any]:
    """Create a subscription without items; also return what the server made of the request.

    Publishing starts with the first PublishRequest. It `hurries`, so that first values do not wait, until `to_usual_pace`.
    """
    interval_ms, lifetime, keep_alive = _cycles(source, settings, FIRST_PUBLISH_MS if hurries_at_first(group) else group.publish_ms)
    request = ua.CreateSubscriptionRequest()
    request.Parameters = ua.CreateSubscriptionParameters(
        RequestedPublishingInterval=interval_ms,
        RequestedLifetimeCount=lifetime,
        RequestedMaxKeepAliveCount=keep_alive,
        MaxNotificationsPerPublish=MOST_ITEMS,
        PublishingEnabled=True,
        Priority=0,
    )
    answer = (await link.ask(request, ua.CreateSubscriptionResponse)).Parameters
    revised_s = answer.RevisedPublishingInterval * answer.RevisedMaxKeepAliveCount / 1000
    handles = frozenset(item.handle for item in group.items)
    created = Subscription(answer.SubscriptionId, group, max(revised_s, 0.1), 1, group.tags, handles, now_s)
    created.hurries = hurries_at_first(group)
    return created, answer


def hurries_at_first(group: ItemGroup) -> bool:
    """Whether a group's subscription publishes sooner at first than later: one of values does, at a longer interval."""
    return group.alarms is None and group.publish_ms > FIRST_PUBLISH_MS


def _cycles(source: Source, settings: OpcUaSettings, publish_ms: int) -> tuple[float, int, int]:
    """Return publishing interval in ms, and lifetime and longest keep-alive in intervals."""
    interval_s = publish_ms / 1000
    keep_alive = max(1, math.ceil(settings.keep_alive_s / interval_s))
    lifetime_s = max(LIFETIME_S, 3 * settings.keep_alive_s, 2 * source.outage_tolerance_s)
    return float(publish_ms), max(3 * keep_alive, math.ceil(lifetime_s / interval_s)), keep_alive


async def modify(link: Link, source: Source, settings: OpcUaSettings, subscription: Subscription, group: ItemGroup) -> Any | None:
    """Have a subscription publish as a group wants, and with its `most_notifications` per message (ModifySubscription, Part 4, 5.13.3).

    Return what the server makes of it; None if it refuses. One that hurries is not over with it: `to_usual_pace` alone tells what the
    server makes of that pace.
    """
    interval_ms, lifetime, keep_alive = _cycles(source, settings, group.publish_ms)
    request = ua.ModifySubscriptionRequest()
    request.Parameters = ua.ModifySubscriptionParameters(
        subscription.id, interval_ms, lifetime, keep_alive, subscription.most_notifications, 0
    )
    try:
        answer = (await link.ask(request, ua.ModifySubscriptionResponse)).Parameters
    except ua.UaStatusCodeError:
        return None
    subscription.keep_alive_s = max(answer.RevisedPublishingInterval * answer.RevisedMaxKeepAliveCount / 1000, 0.1)
    return answer


async def to_usual_pace(
    link: Link, source: Source, settings: OpcUaSettings, subscription: Subscription, tags: Sequence[Tag]
) -> list[Finding]:
    """Have a subscription that hurries publish as its group wants; return what the server makes of it otherwise."""
    group = subscription.group
    answer = await modify(link, source, settings, subscription, group)
    subscription.hurries = False  # one that refuses is not asked again: more messages than are wanted lose nothing
    if answer is not None:
        return revisions(group, answer, (), tags, source.outage_tolerance_s, settings.keep_alive_s)
    text = f"the server refuses ModifySubscription: it may publish every {FIRST_PUBLISH_MS} ms instead of {group.publish_ms} ms"
    return [Finding("publishing-revised", text, subscription_tags(group), "info")]


async def publish_fewer(link: Link, source: Source, settings: OpcUaSettings, subscription: Subscription) -> bool:
    """Have half as many notifications in each message; return False if there is one in each already, or the server refuses."""
    if subscription.most_notifications <= 1:
        return False
    subscription.most_notifications //= 2
    return await modify(link, source, settings, subscription, subscription.group) is not None
