"""Look after a session beside publishing: renew the channel, try bad nodes again, follow the server's clock, report findings."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from config import Source, Tag
from drivers.contract import Emit, Finding, Loss
from drivers.opcua.asyncua_types import status_name
from drivers.opcua.decoding.structures import Structures
from drivers.opcua.plan import MonitoredItem, parsed_address
from drivers.opcua.session import certs, paths, security, trust
from drivers.opcua.session.attributes import unit_of, units_of
from drivers.opcua.session.declared import is_comparable
from drivers.opcua.session.link import Link, names_of, plain_errors
from drivers.opcua.settings import OpcUaSettings
from drivers.opcua.subscription import alarms, publishing, subscribe
from drivers.opcua.subscription.messages import Messages
from drivers.opcua.subscription.session_state import SessionState
from drivers.opcua.subscription.subscribe import Subscription

CLOCK_EVERY_S = 60.0
EXPIRY_EVERY_S = 600.0
FIRST_VALUE_WITHIN_S = 10.0
TYPES_EVERY_S = 1.0
USUAL_PACE_AFTER_S = 0.5
"""Time in which a new subscription sends its first values quickly; those that come later come at the usual pace."""
MOST_BROKEN = 5
"""Links lost in a row over one request, after which it is not made again: it may be what ends them, and the rest is to be read."""
REFRESH_EVERY_S = 5.0
COMPARED_AT_ONCE = 200
"""Tags of which unit and range are read together; between them the other work of a session is done."""


class Upkeep:
    """Runs beside the publish loop of one session. Each task returns the seconds after which it is due again."""

    def __init__(
        self,
        source: Source,
        settings: OpcUaSettings,
        tags: Sequence[Tag],
        emit: Emit,
        link: Link,
        messages: Messages,
        state: SessionState,
        findings: list[Finding],
        structures: Structures,
    ) -> None:
        self._source, self._settings, self._tags, self._emit = source, settings, tags, emit
        self._link, self._messages, self._state, self._findings = link, messages, state, findings
        self._structures = structures
        # What a node declares is that of its fields' structure, not of a field.
        self._to_compare = [index for index, tag in enumerate(tags) if not parsed_address(tag).field and is_comparable(tag)]

    async def run(self) -> None:
        """Run until the session ends. Raises LinkLost, BadReply: a channel that can not be renewed is a lost link."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        renew_s = self._renew_s()
        due = {
            self._renew: begun + renew_s,
            self._clock: begun + CLOCK_EVERY_S,
            self._retry: begun + self._settings.retry_bad_nodes_s,
            self._first_values: begun + FIRST_VALUE_WITHIN_S,
            self._usual_pace: begun + USUAL_PACE_AFTER_S,
            self._expiry: begun,
            self._report_findings: begun,
            self._semantics: begun,
            self._declared: begun,
            self._types: begun + TYPES_EVERY_S,
            self._conditions: begun,
            self._present_values: begun,
        }
        with plain_errors("upkeep of the session"):
            while True:
                for work in [work for work, at in due.items() if at <= loop.time()]:
                    due[work] = loop.time() + await work()
                await asyncio.sleep(max(0.0, min(due.values()) - loop.time()))

    def _renew_s(self) -> float:
        """Return three quarters of the channel's lifetime (Part 4, 5.6.2.1)."""
        return max(0.5, float(self._link.client.secure_channel_timeout) / 1000 * 0.75)

    async def _renew(self) -> float:
        # asyncua's own renewal ends with its first error, and nothing watches it; here the error ends the session.
        async with asyncio.timeout(self._settings.request_timeout_s):
            await self._link.client.open_secure_channel(renew=True)
            self._link.protocol.revolve_security_token()
        self._state.count("channel-renewals")
        return self._renew_s()

    async def _clock(self) -> float:
        offset = await self._link.clock()
        if offset is not None:
            self._emit.source_offset(*offset)
        return CLOCK_EVERY_S

    async def _report_findings(self) -> float:
        while self._findings:
            await self._emit.found(self._findings.pop(0))
        for finding in self._state.misfits.mended(self._state.last, self._tags):
            await self._emit.found(finding)
        return 0.5

    async def _semantics(self) -> float:
        """Read unit and range again where the server says that they changed; where they are the map's, read a value that is Good again."""
        semantics = self._state.semantics
        for tag in semantics.to_ask(asyncio.get_running_loop().time()):
            stated = await unit_of(self._link, self._settings, self._tags[tag].address)
            finding = semantics.answered(tag, stated)
            await self._emit.found(finding)
            if not semantics.are_doubted([tag]):
                await self._messages.read(self._items_of(tag))
        return 0.5

    async def _declared(self) -> float:
        """Compare unit and range of every tag with the map, once in each session, some hundred at a time."""
        part, self._to_compare = self._to_compare[:COMPARED_AT_ONCE], self._to_compare[COMPARED_AT_ONCE:]
        nodes = [
            (tag, node)
            for tag in part
            if (node := self._link.node(parsed_address(self._tags[tag]).node, self._settings.namespaces)) is not None
        ]
        for (tag, _), stated in zip(nodes, await units_of(self._link, [node for _, node in nodes]), strict=True):
            self._state.count("declared-compared")
            finding = self._state.semantics.met(tag, stated)
            if finding is not None:
                await self._emit.found(finding)
        return 0.0 if self._to_compare else math.inf

    def _items_of(self, tag: int) -> list[MonitoredItem]:
        """Return the item that feeds a tag, unless the server refuses it; its other tags are read with it."""
        groups = [s for s in self._state.subscriptions if tag in s.tags]
        return [item for s in groups if (item := s.item_of(tag)).handle not in s.missing]

    async def _types(self) -> float:
        """Ask for structures that arrived and were not known, or no longer fit; then read their nodes again."""
        wanted = self._structures.wanted
        if not wanted:
            return TYPES_EVERY_S
        asked = {encoding: set(waiting) for encoding, waiting in list(wanted.items())}  # large messages are decoded in a thread
        handles = {handle for waiting in asked.values() for handle in waiting}
        await self._structures.learn(self._link, list(asked))
        for subscription in self._state.subscriptions:
            items = [item for item in subscription.group.items if item.handle in handles]
            if items:
                await self._messages.read(items)
        for encoding, waiting in asked.items():  # what is still not understood is asked for when it arrives again
            if later := wanted.pop(encoding, set()) - waiting:
                wanted[encoding] = later
        return TYPES_EVERY_S

    async def _conditions(self) -> float:
        """Ask for the conditions that are active, at the beginning and wherever events may have been missed."""
        for subscription in self._state.subscriptions:
            if not subscription.refresh_due or subscription.missing:
                continue
            subscription.refresh_due = False  # before it is asked: what comes meanwhile makes it due anew
            try:
                refused = await alarms.refresh(self._link, subscription.id)
            except BaseException:
                subscription.refresh_due = _is_still_due(subscription)
                raise
            subscription.broken = 0
            if refused is not None and refused not in alarms.NO_REFRESH:
                subscription.refresh_due = True
            elif refused is not None and subscription.group.alarms is not None:
                why = f"which stand already is not known, ConditionRefresh: {status_name(refused)}"
                await self._emit.found(Finding("alarms-not-refreshed", f"alarms of {subscription.group.alarms.notifier}: {why}"))
            return REFRESH_EVERY_S  # a refresh that itself makes the queue overflow must not be asked for without end
        return 0.5

    async def _present_values(self) -> float:
        """Read what the tags hold where a message could not be read: a value that no longer changes must not stay unknown."""
        for subscription in self._state.subscriptions:
            if subscription.values_due:
                subscription.values_due = False
                try:
                    await self._messages.read([item for item in subscription.group.items if item.handle not in subscription.missing])
                except BaseException:
                    subscription.values_due = _is_still_due(subscription)
                    raise
                subscription.broken = 0
                return REFRESH_EVERY_S
        return 0.5

    async def _expiry(self) -> float:
        """Report certificates that end, and revocation lists that are missing or old. Leave a server that is no longer accepted."""
        if self._settings.security.policy == "None":
            return EXPIRY_EVERY_S
        place = security.folder(self._source, self._settings)
        shown = self._link.client.security_policy.peer_certificate
        server = x509.load_der_x509_certificate(shown) if shown else None
        own = certs.own(place)
        every = [("our", own.certificate if own else None), ("the server's", server), ("our user's", self._link.client.user_certificate)]
        for whose, certificate in every:
            warning = certificate and certs.expiry(certificate)
            if certificate and warning:
                text, severity = warning
                if certificate is server and "dates" in security.accepted_of(self._settings).get(trust.fingerprint(server), ()):
                    text, severity = f"{text}, which is accepted in line.toml", "warning"  # who accepted it was told: no alarm for ever
                await self._emit.found(Finding("certificate-expires", f"{whose} OPC UA certificate {text}", severity=severity))
        if server is not None:
            await self._still_trusted(place, server)
        return EXPIRY_EVERY_S

    async def _still_trusted(self, place: Path, server: x509.Certificate) -> None:
        refusal = security.refusal_of(place, self._settings, server, sent=self._link.sent)
        if refusal is not None:
            raise security.Untrusted(f"{self._link.endpoint}: {refusal}")
        for doubt in trust.judge(place, server, sent=self._link.sent).doubts:
            text = f"{doubt}: whether the server's certificate was revoked is not known"
            await self._emit.found(Finding("revocation-unknown", text))

    async def _retry(self) -> float:
        """Ask once more for items that the server refused, each in its own subscription."""
        for subscription in self._state.subscriptions:
            if subscription.missing:
                await self._retry_items(subscription)
        return self._settings.retry_bad_nodes_s

    async def _retry_items(self, subscription: Subscription) -> None:
        items = [item for item in subscription.group.items if item.handle in subscription.missing]
        await paths.resolve(self._link, [item.address for item in items], self._settings.namespaces)
        nodes = [self._link.node(item.address, self._settings.namespaces) for item in items]
        await subscribe.delete_items(self._link, subscription, items)
        refused = dict(subscription.missing)
        made = await subscribe.add_items(self._link, subscription, items, nodes)
        self._emit.samples(subscribe.granted(made))
        created = [item for item, _ in made]
        with_room = [item for item in created if refused[item.handle] == subscribe.NO_ROOM]
        if with_room:
            tag_indexes = tuple(binding.tag for item in with_room for binding in item.bindings)
            text = f"the server has room for more items: {names_of(self._tags, tag_indexes)}"
            await self._emit.found(Finding("not-subscribed", text, tag_indexes, "info"))
        for item in created:
            if item not in with_room:
                await self._taken_up(subscription, item)

    async def _taken_up(self, subscription: Subscription, item: MonitoredItem) -> None:
        if item.alarms is not None:
            subscription.refresh_due, notifier = True, item.alarms.notifier
            evidence = {"notifier": notifier}
            await self._emit.found(Finding("alarms-not-heard", f"alarms of {notifier}: heard again", severity="info", evidence=evidence))
            return
        tag_indexes = tuple(binding.tag for binding in item.bindings)
        self._state.first_values.made(tag_indexes, asyncio.get_running_loop().time())
        await self._emit.found(
            Finding("node-unusable", f"{names_of(self._tags, tag_indexes)}: the node is there again", tag_indexes, "info")
        )

    async def _usual_pace(self) -> float:
        """Have subscriptions that were quick with their first values publish as their groups want from here on."""
        for subscription in [each for each in self._state.subscriptions if each.hurries]:
            for finding in await publishing.to_usual_pace(self._link, self._source, self._settings, subscription, self._tags):
                await self._emit.found(finding)
        return math.inf

    async def _first_values(self) -> float:
        """Declare tags lost whose first value does not arrive, and say of those that were declared that it has come."""
        fresh = set().union(*(subscription.fresh for subscription in self._state.subscriptions))
        for tag in self._state.first_values.came(fresh):
            await self._emit.found(Finding("no-first-value", f"{self._tags[tag].tag}: its first value came", (tag,), "info"))
        silent = self._state.first_values.missed(fresh, asyncio.get_running_loop().time(), FIRST_VALUE_WITHIN_S)
        if silent:
            text = f"no first value within {FIRST_VALUE_WITHIN_S:g} s: {names_of(self._tags, silent)}"
            await self._emit.found(Finding("no-first-value", text, silent))
            await self._emit.lost(Loss("no-first-value", silent, detail=text))
        return FIRST_VALUE_WITHIN_S


def _is_still_due(subscription: Subscription) -> bool:
    """Count a link that was lost over what was due; True if it is to be done in the next session."""
    subscription.broken += 1
    return subscription.broken < MOST_BROKEN
