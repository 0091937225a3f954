"""Connect to one OPC UA server, take its subscriptions over or make them, then publish until the link is gone."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from config import Problem, Source, Tag
from drivers.contract import Driver, DriverError, Emit, Finding
from drivers.lasting import lasting
from drivers.opcua.asyncua_types import ua
from drivers.opcua.decoding.convert import Converter
from drivers.opcua.decoding.publish import Decoder
from drivers.opcua.decoding.structures import Structures, read_structures
from drivers.opcua.plan import ItemGroup, MonitoringPlan, decoding, joined, plan_of
from drivers.opcua.session import paths, server_limits
from drivers.opcua.session.link import KeptSession, Link, connected, plain_errors
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription import publishing, subscribe
from drivers.opcua.subscription.history import keep_filling
from drivers.opcua.subscription.making import Making
from drivers.opcua.subscription.messages import Messages, SubscriptionGone
from drivers.opcua.subscription.newest import Newest
from drivers.opcua.subscription.semantics import Semantics
from drivers.opcua.subscription.session_state import SessionState
from drivers.opcua.subscription.stream import Stream
from drivers.opcua.subscription.subscribe import Subscription
from drivers.opcua.subscription.upkeep import Upkeep

if TYPE_CHECKING:
    from drivers.opcua.commissioning.browse import BrowseResult
    from drivers.opcua.commissioning.probe import ProbeReport

LEAVE_WITHIN_S = 2.0
"""Time in which subscriptions that nobody needs are deleted at the end of a session."""


class OpcUaDriver(Driver):
    """Reads one OPC UA server.

    deletes_subscriptions: a probe deletes its subscriptions; a gateway that stops leaves them on the server for its next start.
    """

    Settings = OpcUaSettings
    settings: OpcUaSettings

    def __init__(self, source: Source, tags: Sequence[Tag]) -> None:
        super().__init__(source, tags)
        self._plan: MonitoringPlan = plan_of(source, self.settings, self.tags)
        self._state = SessionState(Semantics(self.tags), last=Newest(len(self.tags)))
        self._kept: KeptSession | None = None
        self._next_endpoint = 0
        self._most_sent_bytes = 0  # of one message, where the server refused a larger one
        self.deletes_subscriptions = False  # a probe deletes its subscriptions; a gateway that stops leaves them for its next start

    @property
    def counts(self) -> dict[str, int]:
        """Counters of link events since start, by name: sequence-gaps, republished, overflows, ..."""
        return self._state.counts

    @classmethod
    def check(cls, source: Source, tags: Sequence[Tag]) -> list[Problem]:
        """Return problems of settings and map, see `drivers.opcua.commissioning.checks`."""
        from drivers.opcua.commissioning.checks import problems

        return problems(source, tags)

    async def run(self, emit: Emit) -> None:
        """Connect and emit until cancelled, see Driver.

        Redundant endpoints are tried in turn; one that worked is tried first when its link is lost.
        """
        endpoint = self.source.endpoints[self._next_endpoint % len(self.source.endpoints)]
        if self._kept is not None and asyncio.get_running_loop().time() > self._kept.until_s:
            self._kept = None
        async with contextlib.AsyncExitStack() as stack:
            try:
                link = await stack.enter_async_context(connected(self.source, self.settings, endpoint, self._kept, self._most_sent_bytes))
            except DriverError:
                # The session is kept all the same: one attempt fails with every pulled cable, while the server holds queues and session.
                self._next_endpoint += 1
                raise
            self._kept = link.keep()
            try:
                await self._session(link, emit)
            finally:
                self._most_sent_bytes = link.most_sent_bytes()

    async def _session(self, link: Link, emit: Emit) -> None:
        """Run one session: subscribe, then publish with upkeep and history beside it, until the first of them fails."""
        findings: list[Finding] = self._state.semantics.restore(emit.watermark)
        try:
            with plain_errors("subscribing"):
                structures = await self._structures(link)
                converter = Converter(self._plan, self.tags, findings.append, structures, self._state.misfits.told)
                decoder = Decoder(*decoding(self._plan, self.tags), converter)
                await self._report_server(link, emit)
                messages = Messages(self.source, self.settings, self.tags, emit, link, decoder, converter, self._state, self._plan.name)
                await self._subscribe(link, emit, messages)
            emit.connected(f"{link.endpoint} {link.server.get('product') or ''} {link.server.get('version') or ''}".strip())
            upkeep = Upkeep(self.source, self.settings, self.tags, emit, link, messages, self._state, findings, structures)
            async with asyncio.TaskGroup() as group:
                group.create_task(lasting(messages.handover.settle()))
                group.create_task(lasting(Stream(emit, link, messages, self._state).receive()))
                group.create_task(lasting(upkeep.run()))
                group.create_task(lasting(keep_filling(link, emit, converter, self._state, self.settings.namespaces, self.tags)))
        except* SubscriptionGone as gone:
            # Or the next attempt would take it over again, in vain.
            self._forget([error.which for error in gone.exceptions if isinstance(error, SubscriptionGone)])
            raise
        finally:
            self._kept = link.keep()
            await self._leave_nothing(link)

    async def _structures(self, link: Link) -> Structures:
        await paths.resolve(link, [item.address for group in self._plan.groups for item in group.items], self.settings.namespaces)
        return await read_structures(link, self._plan, self.settings.namespaces)

    async def _leave_nothing(self, link: Link) -> None:
        """Delete subscriptions of which not all items could be made, and those of a probe. On a lost link they end by themselves."""
        ids = [*self._state.unfinished]
        if self.deletes_subscriptions:
            ids += [subscription.id for subscription in self._state.subscriptions]
        if not ids:
            return
        with contextlib.suppress(DriverError, OSError, ua.UaError):
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await subscribe.delete(link, ids)
                self._state.unfinished.clear()

    async def _report_server(self, link: Link, emit: Emit) -> None:
        """Report the server's identity: a change of product or version is a change of the validated system."""
        identity = {name: str(value) for name, value in link.server.items() if name not in {"state", "start_time"}}
        await emit.found(Finding("server-identity", server_limits.in_words(link.server), severity="info", evidence=identity))
        if link.offset is not None:
            emit.source_offset(*link.offset)

    async def _subscribe(self, link: Link, emit: Emit, messages: Messages) -> None:
        """Resume what can be resumed; make the rest anew, its gap stays and is closed as lost by the first values."""
        started = str(link.server.get("start_time"))
        earlier = self._earlier_subscriptions(emit, link.endpoint, started)
        self._state.endpoint, self._state.started = link.endpoint, started
        making = Making(self.source, self.settings, self.tags, emit, link, self._state)
        await making.delete_unfinished()
        taken_over = await self._take_over(link, earlier)
        self._state.subscriptions = list(taken_over)
        for subscription in taken_over:
            try:
                await self._republish_missed(messages, subscription)
            except SubscriptionGone as gone:
                self._forget([gone.which])
        subscribed = {slot for subscription in self._state.subscriptions for slot in subscription.group.slots}
        groups = [group for group in self._plan.groups if subscribed.isdisjoint(group.slots)]
        await making.make(groups, {tag: ticks for group in groups for tag, ticks in self._observed_through(emit, group).items()})

    def _earlier_subscriptions(self, emit: Emit, endpoint: str, started: str) -> list[Subscription]:
        """Return the subscriptions of before: from memory, after a restart from the journal; none if the server was started anew since."""
        state = self._state
        if state.subscriptions:
            return state.subscriptions if (state.endpoint, state.started) == (endpoint, started) else []
        mark = emit.watermark
        if (mark.get("endpoint"), mark.get("started"), mark.get("plan")) != (endpoint, started, self._plan.name):
            return []
        if mark.get("through") is not None:
            state.through_ticks = mark["through"]
            for group in self._plan.groups:
                self._state.before.update(self._committed_through(mark["through"], group))
        now_s = asyncio.get_running_loop().time()
        groups = {str(group.slots[0]): group for group in self._plan.groups}
        untold = frozenset(mark.get("untold", ()))
        by_id: dict[int, tuple[list[ItemGroup], Sequence[Any]]] = {}
        for slot, values in mark.get("slots", {}).items():
            if slot in groups:
                by_id.setdefault(values[0], ([], values))[0].append(groups[slot])
        return [_restored(joined(shared), values, untold, now_s) for shared, values in by_id.values()]

    async def _take_over(self, link: Link, earlier: Sequence[Subscription]) -> list[Subscription]:
        """Return those of the earlier subscriptions that are in this session now, and ours beyond doubt."""
        if not earlier:
            return []
        if link.reused:
            held: dict[int, tuple[int, ...]] = {subscription.id: () for subscription in earlier}
        else:
            held = await subscribe.transfer(link, [subscription.id for subscription in earlier])
        ours = []
        for subscription in earlier:
            if subscription.id not in held:
                continue
            # Within one session of one process nobody else has them; else the server must be the one that was started then.
            if await subscribe.is_ours(link, subscription, is_same_start=link.reused or link.server.get("start_time") is not None):
                ours.append(subscription)
        return ours

    async def _republish_missed(self, messages: Messages, subscription: Subscription) -> None:
        """Fetch again, in order, what was sent but never committed.

        No PublishRequest is out before this is done: its answer would get in between.
        """
        subscription.seen_s = asyncio.get_running_loop().time()
        subscription.resumed = subscription.catches_up = True
        subscription.through_ticks = subscription.through_ticks or self._state.through_ticks
        while await messages.republish(subscription):
            pass
        subscription.repeats = set(subscription.tags)  # not before: what is republished is new

    def _committed_through(self, through: int, group: ItemGroup) -> dict[int, int]:
        """Return, by tag, the time through which it certainly is in the journal.

        Counted back from the newest publish time that was committed: what was under way then may not be on disk.
        """
        return dict.fromkeys(group.tags, through - (2 * group.publish_ms + group.rate_ms) * 10_000)

    def _observed_through(self, emit: Emit, group: ItemGroup) -> dict[int, int]:
        """Return, by tag, the time up to which it is known, where history may fill what follows.

        After a restart only the last publish time is known: what was under way then is left to the gap.
        """
        if not self.settings.history:
            return {}
        last = self._state.last
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
    ) -> "BrowseResult":
        """List rows for tags.csv, see `drivers.opcua.commissioning.browse`. Raises DriverError."""
        from drivers.opcua.commissioning.browse import browse

        return await browse(self.source, self.settings, under=under, match=match, known=known, progress=progress)

    async def probe(self, seconds: float = 5.0) -> "ProbeReport":
        """Compare the map with the server, see `drivers.opcua.commissioning.probe`. Raises DriverError."""
        from drivers.opcua.commissioning.probe import probe

        trial = OpcUaDriver(self.source, self.tags)
        trial.deletes_subscriptions = True
        return await probe(self.source, self.settings, self.tags, trial.run, seconds)

    def _forget(self, gone: Sequence[Subscription]) -> None:
        ids = {subscription.id for subscription in gone}
        self._state.subscriptions = [s for s in self._state.subscriptions if s.id not in ids]


def _restored(group: ItemGroup, watermark: Sequence[Any], untold: frozenset[int], now_s: float) -> Subscription:
    """Rebuild a subscription from the journal's watermark."""
    number, expected, keep_alive_s, missing = watermark
    handles = frozenset(item.handle for item in group.items)
    restored = Subscription(number, group, keep_alive_s, expected, group.tags, handles, now_s, missing=dict(missing), is_new=False)
    restored.untold = set(untold.intersection(group.tags))
    restored.hurries = publishing.hurries_at_first(group)  # the process may have ended before its usual pace
    return restored
