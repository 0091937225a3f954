"""The publish loop of one session: several requests outstanding, answers taken in the order in which they arrive, one after the other.

asyncua keeps one request outstanding and acknowledges before the data are safe; its loop never starts here. What becomes of a message is
decided by `messages`.
"""

import asyncio
import time
from collections import deque
from typing import Any

from drivers.contract import Emit, Finding, LinkLost, Loss
from drivers.opcua.asyncua_types import status_name, ua
from drivers.opcua.decoding import publish
from drivers.opcua.decoding.publish import BROKEN, ServiceFault
from drivers.opcua.session.link import Link, off_loop, plain_errors
from drivers.opcua.session.refusals import TOO_LARGE
from drivers.opcua.subscription.bridging import Supply
from drivers.opcua.subscription.messages import Messages
from drivers.opcua.subscription.session_state import SessionState

OUTSTANDING = 8
"""PublishRequests that wait at the server: so acknowledging after the commit costs no throughput."""
MOST_WAITING_BYTES = 48 << 20
"""Answers that wait here to be taken; beyond it the link is given up, and what was not taken is fetched again message by message."""
_ASK_AGAIN = {ua.StatusCodes.BadTimeout, ua.StatusCodes.BadRequestTimeout}


class Stream:
    """Publishes for the subscriptions of one session."""

    def __init__(self, emit: Emit, link: Link, messages: Messages, state: SessionState) -> None:
        self._emit, self._link, self._messages, self._state = emit, link, messages, state
        self._by_id = {subscription.id: subscription for subscription in state.subscriptions}
        self._waiting_bytes = 0
        self._arrived: deque[tuple[int, asyncio.Future[Any]]] = deque()
        self._awake = asyncio.Event()
        self._supply = Supply(min((s.group.publish_ms for s in state.subscriptions), default=1000))
        self._outstanding, self._most_outstanding = 0, max(OUTSTANDING, len(state.subscriptions) + 2)
        self._listening_s = asyncio.get_running_loop().time()

    async def receive(self) -> None:
        """Take answers until the link is lost. Raises LinkLost, BadReply, SubscriptionGone."""
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
                if self._supply.ran_out_before_this():
                    await self._not_bridged()
                await self._take_answer(arrived_ns, future)

    def _send_requests(self) -> None:
        """Keep the number of outstanding requests up; each carries the acknowledgements of what is on disk by now."""
        protocol, now_ns = self._link.protocol, time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._supply.look(self._outstanding, len(self._arrived), now_ns)
        # Answers that wait here count as well: while the disk is slow, the server keeps what it has in its queues.
        most = min(self._most_outstanding, max(1, MOST_WAITING_BYTES // max(self._state.largest_bytes, 1)))
        while self._outstanding + len(self._arrived) < most:
            protocol.publish(self._messages.handover.take_acknowledgements()).add_done_callback(self._on_answer)
            self._outstanding += 1
        self._supply.sent(self._outstanding, now_ns)

    async def _not_bridged(self) -> None:
        """Declare lost what the server's queues can not prove to have kept while it had no request of ours, and read what holds now."""
        for subscription in self._by_id.values():
            if tags := tuple(sorted(subscription.untold.intersection(subscription.observed_tags()))):
                self._state.count("not-bridged")
                detail = "the server had no request to answer, and its queue of one tells no loss"
                self._messages.handover.add(self._emit.lost(Loss("not-asked", tags, detail=detail)))
                await self._messages.read(subscription.untold_items())

    def _on_answer(self, future: "asyncio.Future[Any]") -> None:
        self._outstanding -= 1
        # exception(): marked as seen, the reader of the answers may have ended.
        if not future.cancelled() and future.exception() is None:
            size = len(future.result())
            self._waiting_bytes += size
            self._state.largest_bytes = max(self._state.largest_bytes, size)
            if self._waiting_bytes > MOST_WAITING_BYTES:
                self._link.give_up(f"more than {MOST_WAITING_BYTES >> 20} MiB of notifications wait to be taken")
        # The instant of arrival is taken here: the answer may wait for the disk before it is decoded.
        self._arrived.append((time.monotonic_ns(), future))
        self._awake.set()

    async def _next_answer(self) -> tuple[int, "asyncio.Future[Any]"]:
        """Return the next answer. Raises LinkLost once a subscription has been silent for 1.5 of its keep-alives."""
        while not self._arrived:
            self._awake.clear()
            due = min(max(s.seen_s, self._listening_s) + 1.5 * s.keep_alive_s for s in self._by_id.values())
            try:
                async with asyncio.timeout_at(due):
                    await self._awake.wait()
            except TimeoutError:
                for _ in range(3):  # bytes that arrived in this very moment are callbacks that have not run yet
                    await asyncio.sleep(0)
                if not self._arrived:
                    late = [s for s in self._by_id.values() if max(s.seen_s, self._listening_s) + 1.5 * s.keep_alive_s <= due]
                    silence = f"nothing for {1.5 * late[0].keep_alive_s:g} s, 1.5 keep-alives" if late else "silence"
                    raise LinkLost(f"{silence} (subscription {late[0].id if late else '?'})") from None
        arrived_ns, future = self._arrived.popleft()
        if not future.cancelled() and future.exception() is None:
            self._waiting_bytes -= len(future.result())
        return arrived_ns, future

    async def _take_answer(self, arrived_ns: int, future: "asyncio.Future[Any]") -> None:
        """Decode an answer's envelope, and take its message."""
        try:
            data = future.result()  # OSError where the connection was lost
            body = bytes(data._data[data.cur_pos : data.cur_pos + len(data)])  # noqa: SLF001
            published = await off_loop(publish.published, body)
        except ServiceFault as fault:
            await self._fault(fault.status)
            return
        except ua.UaStatusCodeError as fault:  # aborted, or too large for us
            await self._fault(int(fault.code))
            return
        except BROKEN as error:
            self._state.count("unreadable-answers")  # which message it was shows as a hole in the numbers of its subscription
            await self._emit.found(Finding("answer-unreadable", f"a PublishResponse can not be read: {error}", severity="alarm"))
            return
        if any(result & 0x80000000 for result in published.results):
            self._state.count("refused-acknowledgements")
        subscription = self._by_id.get(published.subscription)
        if subscription is None:
            self._state.count("foreign-answers")  # of a subscription that an earlier use of this session left on the server
            return
        subscription.seen_s = asyncio.get_running_loop().time()
        subscription.retained = published.message.sequence, frozenset(published.available)
        await self._messages.take(subscription, published.message, body, arrived_ns, follows=published.more)

    async def _fault(self, status: int) -> None:
        """Judge a refused PublishRequest: send fewer, send it again, have smaller messages, or give the link up. Raises LinkLost."""
        if status == ua.StatusCodes.BadTooManyPublishRequests:
            self._most_outstanding = max(1, self._most_outstanding - 1)
        elif status in TOO_LARGE:
            await self._messages.have_smaller_ones()
        elif status not in _ASK_AGAIN:
            raise LinkLost(f"publishing: {status_name(status)}")
