"""OPC UA: connect, take the subscriptions over or make them, then publish until the link is gone."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from config import Problem, Source, Tag
from drivers.contract import Driver, DriverError, Emit, Finding, Loss
from drivers.opcua.commissioning.browse import Browsed, browse
from drivers.opcua.commissioning.probe import Report, probe
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import Decoder
from drivers.opcua.decoding.structures import known as known_structures
from drivers.opcua.plan import Group, Plan, decoding, plan_of
from drivers.opcua.session import paths
from drivers.opcua.session.link import KeptSession, Link, connected, plain_errors
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription import subscribe
from drivers.opcua.subscription.history import keep_filling
from drivers.opcua.subscription.stream import SessionState, Stream, SubscriptionGone
from drivers.opcua.subscription.subscribe import Subscription
from drivers.opcua.subscription.upkeep import Upkeep


class OpcUaDriver(Driver):
    """One OPC UA server."""

    Settings = OpcUaSettings
    settings: OpcUaSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._plan: Plan = plan_of(source, self.settings, self.tags)
        self._memory = SessionState(last=[None] * len(self.tags))
        self._kept: KeptSession | None = None
        self._turn = 0
        self.leaves_nothing = False  # a probe deletes its subscriptions; a gateway that stops leaves them for its next start

    @property
    def counts(self) -> dict[str, int]:
        """How often what happened since the start: sequence-gaps, republished, overflows, ..."""
        return self._memory.counts

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """See `drivers.opcua.commissioning.checks`."""
        from drivers.opcua.commissioning.checks import problems

        return problems(source, tags)

    async def run(self, emit: Emit) -> None:
        """See Driver. Redundant endpoints are tried in turn; one that worked is tried first when its link is lost."""
        endpoint = self.source.endpoints[self._turn % len(self.source.endpoints)]
        async with contextlib.AsyncExitStack() as stack:
            try:
                link = await stack.enter_async_context(connected(self.source, self.settings, endpoint, self._kept))
            except DriverError:
                self._kept = None
                self._turn += 1
                raise
            self._kept = link.keep()
            await self._session(link, emit)

    async def _session(self, link: Link, emit: Emit) -> None:
        findings: list[Finding] = []
        with plain_errors("subscribing"):
            await paths.resolve(link, [item.address for group in self._plan.groups for item in group.items], self.settings.namespaces)
            structures = await known_structures(link, self._plan, self.settings.namespaces)
            converter = Converter(self._plan, self.tags, findings.append, structures)
            decoder = Decoder(*decoding(self._plan, self.tags), converter)
            await self._tell_server(link, emit)
            stream = await self._subscribed(link, emit, decoder, converter)
        emit.connected(f"{link.endpoint} {link.server.get('product') or ''} {link.server.get('version') or ''}".strip())
        upkeep = Upkeep(self.source, self.settings, self.tags, emit, link, stream, self._memory, findings, structures)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(stream.settle())
                group.create_task(stream.receive())
                group.create_task(upkeep.run())
                group.create_task(keep_filling(link, emit, converter, self._memory.holes, self.settings.namespaces, self.tags))
        except* SubscriptionGone as gone:
            self._forget([error.which for error in gone.exceptions if isinstance(error, SubscriptionGone)])
            raise
        finally:
            self._kept = link.keep()
            if self.leaves_nothing:
                with contextlib.suppress(DriverError, OSError):
                    await subscribe.delete(link, [subscription.id for subscription in self._memory.subscriptions])

    async def _tell_server(self, link: Link, emit: Emit) -> None:
        """Who the server is: a change of product or version is a change of the validated system."""
        told = {name: str(value) for name, value in link.server.items() if name not in {"state", "start_time"}}
        text = " ".join(told[name] for name in ("manufacturer", "product", "version"))
        await emit.found(Finding("server-identity", text, severity="info", evidence=told))
        if link.offset is not None:
            emit.source_offset(*link.offset)

    async def _subscribed(self, link: Link, emit: Emit, decoder: Decoder, converter: Converter) -> Stream:
        """Resume what can be resumed; make the rest anew, its gap stays and is closed as lost by the first values."""
        started = str(link.server.get("start_time"))
        known = self._remembered(emit, link.endpoint, started)
        self._memory.endpoint, self._memory.started = link.endpoint, started
        standing = await self._taken_over(link, known)
        self._memory.subscriptions = list(standing)
        stream = Stream(self.source, self.tags, emit, link, decoder, converter, self._memory, self._plan.name)
        for subscription in standing:
            try:
                await self._caught_up(stream, subscription)
            except SubscriptionGone as gone:
                self._forget([gone.which])
        have = {subscription.group.slot for subscription in self._memory.subscriptions}
        for group in self._plan.groups:
            if group.slot not in have:
                subscription = await self._new(link, emit, group)
                subscription.since = self._known_through(emit, group)
                self._memory.subscriptions.append(subscription)
        return Stream(self.source, self.tags, emit, link, decoder, converter, self._memory, self._plan.name)

    def _remembered(self, emit: Emit, endpoint: str, started: str) -> list[Subscription]:
        """Subscriptions of before: from memory, after a restart from the journal. None if the server has been started anew since."""
        memory = self._memory
        if memory.subscriptions:
            return memory.subscriptions if (memory.endpoint, memory.started) == (endpoint, started) else []
        mark = emit.watermark
        if (mark.get("endpoint"), mark.get("started"), mark.get("plan")) != (endpoint, started, self._plan.name):
            return []
        if mark.get("through") is not None:
            for group in self._plan.groups:
                self._memory.before.update(self._proved(mark["through"], group))
        now_s = asyncio.get_running_loop().time()
        groups = {str(group.slot): group for group in self._plan.groups}
        return [_restored(groups[slot], told, now_s) for slot, told in mark.get("slots", {}).items() if slot in groups]

    async def _taken_over(self, link: Link, known: Sequence[Subscription]) -> list[Subscription]:
        """Those of `known` that are in this session now, and ours beyond doubt."""
        if not known:
            return []
        if link.reused:
            held: dict[int, tuple[int, ...]] = {subscription.id: () for subscription in known}
        else:
            held = await subscribe.transfer(link, [subscription.id for subscription in known])
        ours = []
        for subscription in known:
            if subscription.id not in held:
                continue
            handles = await subscribe.client_handles(link, subscription.id)
            if handles is None or handles <= subscription.handles:
                ours.append(subscription)
        return ours

    async def _caught_up(self, stream: Stream, subscription: Subscription) -> None:
        """Fetch again, in order, what was sent but never committed. No PublishRequest is out before this is done, or order would break."""
        subscription.seen_s = asyncio.get_running_loop().time()
        subscription.resumed = True
        while await stream.republish(subscription):
            pass
        subscription.repeats = set(subscription.tags)  # not before: what is republished is new

    async def _new(self, link: Link, emit: Emit, group: Group) -> Subscription:
        """A new subscription with its items; what the server refuses or revises is said."""
        now_s = asyncio.get_running_loop().time()
        subscription, answer = await subscribe.create(link, self.source, self.settings, group, now_s)
        nodes = [link.node(item.address, self.settings.namespaces) for item in group.items]
        standing = await subscribe.add_items(link, subscription, group.items, nodes)
        for finding in subscribe.revisions(group, answer, standing, self.tags, self.source.outage_tolerance_s):
            await emit.found(finding)
        for finding, which in subscribe.unusable(subscription, self.tags):
            await emit.found(finding)
            if which:
                await emit.lost(Loss("not-subscribed", which, detail=finding.text))
        subscription.refresh_due = group.alarms is not None
        return subscription

    def _proved(self, through: int, group: Group) -> dict[int, int]:
        """Through when each tag certainly stands in the journal, from its newest publish time: what was under way then may not."""
        return dict.fromkeys(group.tags, through - (2 * group.publish_ms + group.rate_ms) * 10_000)

    def _known_through(self, emit: Emit, group: Group) -> dict[int, int]:
        """Through when each tag is known. After a restart only the last publish time is: what was under way then is left to the gap."""
        if not self.settings.history:
            return {}
        last = self._memory.last
        if any(reading is not None for reading in last):
            return {tag: reading[3] for tag in group.tags if (reading := last[tag]) is not None and reading[3] is not None}
        through = emit.watermark.get("through")
        if through is None:
            return {}
        return dict.fromkeys(group.tags, through + (2 * group.publish_ms + group.rate_ms) * 10_000)

    async def browse(
        self,
        under: str | None = None,
        match: str | None = None,
        known: Collection[str] = (),
        progress: Callable[[str], None] = lambda _: None,
    ) -> Browsed:
        """Rows for tags.csv: see `drivers.opcua.commissioning.browse`. Raises DriverError."""
        return await browse(self.source, self.settings, under=under, match=match, known=known, progress=progress)

    async def probe(self, seconds: float = 5.0) -> Report:
        """Compare the map with the server: see `drivers.opcua.commissioning.probe`. Raises DriverError."""
        trial = OpcUaDriver(self.source, self.tags)
        trial.leaves_nothing = True
        return await probe(self.source, self.settings, self.tags, trial.run, seconds)

    def _forget(self, gone: Sequence[Subscription]) -> None:
        ids = {subscription.id for subscription in gone}
        self._memory.subscriptions = [s for s in self._memory.subscriptions if s.id not in ids]


def _restored(group: Group, told: Sequence[Any], now_s: float) -> Subscription:
    """A subscription from the journal's watermark."""
    number, expected, keep_alive_s, missing = told
    handles = frozenset(item.handle for item in group.items)
    return Subscription(number, group, keep_alive_s, expected, group.tags, handles, now_s, missing=dict(missing), is_new=False)
