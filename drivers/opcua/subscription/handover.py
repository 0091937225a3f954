"""Hand lists over to `emit`, in order, and learn when each is on disk: only then its message may be acknowledged to the server.

Order is the promise here. Lists, losses and watermarks reach `emit` in the order of the calls, and are settled in that order. A watermark
is committed together with the readings of its message: after a restart the number expected next and the values in the journal agree.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from config import Source
from drivers.contract import BEHIND, Emit, Message, Reading
from drivers.opcua.decoding.publish import NotificationMessage
from drivers.opcua.session.link import Link
from drivers.opcua.subscription.session_state import SessionState
from drivers.opcua.subscription.subscribe import Subscription

MOST_ACKNOWLEDGEMENTS = 900
"""Acknowledgements that one PublishRequest carries at most: with them it fits into the smallest message that a server may take."""


class Handover:
    """One session's calls of `emit` and their acknowledgements."""

    def __init__(self, source: Source, emit: Emit, link: Link, state: SessionState, plan: str) -> None:
        self._source, self._emit, self._link, self._state, self._plan = source, emit, link, state, plan
        self._committed: list[tuple[int, int]] = []  # (subscription id, sequence): on disk, not yet acknowledged
        self._added = asyncio.Event()

    def __call__(
        self,
        subscription: Subscription,
        readings: Sequence[Reading],
        message: NotificationMessage,
        arrived_ns: int,
        sequence: int,
        kind: Any = "change",
        rows: Sequence[Message] = (),
        *,
        follows: bool = False,
    ) -> None:
        """Emit one list. sequence 0: there is nothing to acknowledge (a keep-alive, or the first half of a message).

        follows: something that the server had when it published stands in a later message: this one proves no observation.
        """
        has_caught_up = subscription.is_behind and not follows  # a keep-alive may say so, and a restart has to know
        self._note_through(subscription, message.publish_ticks, follows=follows)
        if sequence:
            subscription.is_new = subscription.is_new and bool(subscription.fresh)
        tags = subscription.observed_tags()
        if subscription.resumed:  # what their queues lost meanwhile nobody tells: their gap ends as lost, with the next value
            tags = tuple(tag for tag in tags if tag not in subscription.untold)
        stored = self._emit(
            readings,
            received_ns=arrived_ns,
            kind=kind,
            messages=rows,
            # The first half of a message carries none: a crash between the halves must fetch the whole message again.
            watermark=self._watermark() if sequence or has_caught_up else None,
            alive=tags,
            observed_ticks=self._observed(message.publish_ticks),
            owed_ticks=self._observed(subscription.through_ticks or 0) if follows else None,
            resumed=subscription.resumed and bool(subscription.tags),
        )
        subscription.resumed = False
        self.add(stored, subscription.id, sequence)

    def add(self, stored: Awaitable[None], subscription: int = 0, sequence: int = 0) -> None:
        """Have `settle` wait for something emitted. sequence: of the message to acknowledge then, 0 for none."""
        self._state.unsettled.append((stored, subscription, sequence))
        self._added.set()

    async def settle(self) -> None:
        """Wait for each list, in order, to be on disk; then its message may be acknowledged. Storage errors pass through."""
        unsettled = self._state.unsettled
        while True:
            while unsettled:
                stored, subscription, sequence = unsettled[0]
                # Shielded: a lost link cancels this task, not the commit, and the next session waits for the same list again.
                await asyncio.shield(stored)
                unsettled.popleft()
                if sequence:
                    self._committed.append((subscription, sequence))
            self._added.clear()
            await self._added.wait()

    def take_acknowledgements(self) -> list[tuple[int, int]]:
        """Return (subscription id, sequence) of messages that are on disk, for the next PublishRequest; each once.

        One that the server has let go already, or of a subscription that is over, is not acknowledged: some servers end the connection over
        an unknown number.
        """
        taken, self._committed = self._committed[:MOST_ACKNOWLEDGEMENTS], self._committed[MOST_ACKNOWLEDGEMENTS:]
        if not taken:
            return taken
        by_id = {subscription.id: subscription for subscription in self._state.subscriptions}
        held = [(number, sequence) for number, sequence in taken if number in by_id and by_id[number].holds(sequence)]
        if len(held) < len(taken):
            self._state.count("stale-acknowledgements", len(taken) - len(held))
        return held

    def _note_through(self, subscription: Subscription, published: int | None, *, follows: bool) -> None:
        """Note through when this subscription has sent all that the server had, and through when all have."""
        subscription.is_behind = follows
        if not follows:
            subscription.through_ticks = published
        if not any(each.is_behind for each in self._state.subscriptions):
            self._state.through_ticks = published

    def _observed(self, publish_ticks: int | None) -> int | None:
        """Return a publish time of the server if its clock may be believed here, else None: then values are of when they come."""
        if publish_ticks is None or self._source.time_authority == "gateway":
            return None
        offset = self._link.offset
        return publish_ticks if offset is not None and abs(offset[0]) <= self._source.max_offset_s else None

    def _watermark(self) -> dict[str, Any]:
        """Return what a restart needs to go on without loss: the subscriptions of which every first value has been handed over.

        One that still owes a first value is left out: taken over after a restart, it would never send that value again.
        """
        slots = {
            str(slot): [s.id, s.expected, round(s.keep_alive_s, 3), sorted(s.missing.items())]
            for s in self._state.subscriptions
            if not s.is_new
            for slot in s.group.slots
        }
        untold = sorted(tag for s in self._state.subscriptions for tag in s.untold)
        watermark: dict[str, Any] = {
            "endpoint": self._state.endpoint,
            "started": self._state.started,
            "plan": self._plan,
            "slots": slots,
            "untold": untold,
        }
        semantics = self._state.semantics
        accepted = semantics.accepted()
        watermark |= {"accepted": accepted} if accepted else {}
        is_behind = any(s.is_behind for s in self._state.subscriptions)
        watermark[BEHIND] = self._observed(self._state.through_ticks) if is_behind else None
        return watermark | {"through": self._state.through_ticks, "doubted": semantics.stored()}
