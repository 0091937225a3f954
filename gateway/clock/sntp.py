"""Checks the daemon independently: asks several NTP servers and compares what they agree on with the daemon's claim.

It never sets the clock. It finds what no field of a daemon shows: a site server that is wrong and claims to be right.
"""

import asyncio
import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.clock.daemon_reading import Evidence, Leap
from gateway.clock.marzullo import Interval, agreed

PORT = 123
NTP_EPOCH_S = 2_208_988_800
PACKET = struct.Struct("!BBbb II4s QQQQ")
ANSWER_S = 2.0
ASK_EVERY_S = 64.0
LEAST_SERVERS = 3
"""Two servers that disagree do not show which of them is wrong."""
INDICATORS: tuple[Leap, ...] = ("none", "insert", "delete", "unsynchronised")
VALID_S = 4 * ASK_EVERY_S
PRECISION_S = 0.0005
"""Delay that the event loop's scheduling may add to the time of arrival, beyond half the round trip."""


class NoAnswer(Exception):
    """The server did not answer, or its answer can not be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A measurement by one server: UTC minus the system clock is offset_s +- radius_s, at the monotonic instant at_ns."""

    server: str
    offset_s: float
    radius_s: float
    at_ns: int
    stratum: int
    leap: Leap = "none"


def request(nonce: int) -> bytes:
    """Make a client's packet. Its transmit time stamp is random, so that no forged answer can fit (draft-ietf-ntp-data-minimization)."""
    return PACKET.pack(4 << 3 | 3, 0, 6, -20, 0, 0, b"\0" * 4, 0, 0, 0, nonce)


def answer_from(data: bytes, nonce: int, server: str, sent_s: float, arrived_s: float, at_ns: int) -> Answer:
    """Compute the offset from an answer (RFC 5905, section 8): theta = ((T2-T1)+(T3-T4))/2.

    The radius is half the round trip + half the root delay + the root dispersion. Raises NoAnswer for a server that is not synchronised,
    refuses (kiss of death), answers something else, or is too far away.
    """
    if len(data) < PACKET.size:
        raise NoAnswer("the answer is too short")
    first, stratum, _, _, delay, dispersion, reference, _, origin, received, transmitted = PACKET.unpack_from(data)
    if origin != nonce:
        raise NoAnswer("the answer does not belong to the question")
    if first & 7 != 4:
        raise NoAnswer(f"mode {first & 7} is no server's answer")
    if stratum == 0:
        raise NoAnswer(f"refused: {reference.rstrip(bytes(1)).decode('ascii', 'replace')}")
    if first >> 6 == 3 or stratum > 15 or transmitted == 0:
        raise NoAnswer("the server is not synchronised")
    t2, t3 = _unix_s(received, sent_s), _unix_s(transmitted, sent_s)
    trip_s = max(0.0, (arrived_s - sent_s) - (t3 - t2))
    radius_s = trip_s / 2 + delay / 65536 / 2 + dispersion / 65536 + PRECISION_S
    return Answer(server, ((t2 - sent_s) + (t3 - arrived_s)) / 2, radius_s, at_ns, stratum, INDICATORS[first >> 6])


def _unix_s(stamp: int, near_s: float) -> float:
    """Convert an NTP time stamp to Unix seconds in the era nearest to near_s (RFC 5905, 6)."""
    seconds = stamp / 2**32 - NTP_EPOCH_S
    return seconds + round((near_s - seconds) / 2**32) * 2**32


async def ask(server: str, now_s: Callable[[], float] = time.time) -> Answer:
    """Ask `host` or `host:port` once. Raises NoAnswer."""
    host, port = _place(server)
    loop = asyncio.get_running_loop()
    replies: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue(maxsize=8)
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Client(replies, now_s), remote_addr=(host, port))
    except OSError as error:
        raise NoAnswer(str(error)) from error
    nonce = int.from_bytes(os.urandom(8), "big")
    at_ns, sent_s = time.monotonic_ns(), now_s()
    try:
        transport.sendto(request(nonce))
        async with asyncio.timeout(ANSWER_S):
            data, arrived_s = await replies.get()
        return answer_from(data, nonce, server, sent_s, arrived_s, at_ns)
    except TimeoutError:
        raise NoAnswer(f"no answer within {ANSWER_S:g} s") from None
    finally:
        transport.close()


def _place(server: str) -> tuple[str, int]:
    """Split `host`, `host:port` or `[v6]:port` into host and port."""
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        return host, int(port[1:] or PORT)
    host, _, port = server.partition(":") if server.count(":") == 1 else (server, "", "")
    return host, int(port or PORT)


class _Client(asyncio.DatagramProtocol):
    def __init__(self, replies: asyncio.Queue[tuple[bytes, float]], now_s: Callable[[], float]) -> None:
        self._replies, self._now_s = replies, now_s

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002 - connected socket: only the server's
        if not self._replies.full():
            self._replies.put_nowait((data[: PACKET.size], self._now_s()))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the question will time out."""


class CrossCheck:
    """Asks the servers each 64 s; `holds_against` returns how they contradict the daemon's claim."""

    def __init__(self, servers: Sequence[str], drift_ppm: float = 50.0) -> None:
        self.servers = tuple(servers)
        self._drift = drift_ppm * 1e-6
        self._answers: dict[str, Answer] = {}
        self.silent: dict[str, str] = {}

    async def watch(self, done: Callable[[], object] = object) -> None:
        """Ask all servers again and again, until cancelled. done: called after each round, whatever they answered."""
        while True:
            await self.ask_all()
            done()
            await asyncio.sleep(ASK_EVERY_S)

    async def ask_all(self) -> None:
        """Ask each server once, concurrently."""
        async with asyncio.TaskGroup() as tasks:
            for server in self.servers:
                tasks.create_task(self._ask(server), name=f"ask {server}")

    def forget(self) -> None:
        """Forget all measurements: the clock was stepped, so they no longer apply."""
        self._answers.clear()

    async def _ask(self, server: str) -> None:
        try:
            self._answers[server] = await ask(server)
            self.silent.pop(server, None)
        except NoAnswer as error:
            self.silent[server] = str(error)

    def intervals(self, now_ns: int) -> list[Interval]:
        """Return UTC minus system clock by each server that answered lately, widened by the drift since."""
        return [
            Interval(one.offset_s - radius_s, one.offset_s + radius_s, one.server)
            for one in self._answers.values()
            if (now_ns - one.at_ns) / 1e9 <= VALID_S
            for radius_s in (one.radius_s + self._drift * max(0, now_ns - one.at_ns) / 1e9,)
        ]

    def leaps(self, now_ns: int) -> dict[str, Leap]:
        """Return the leap indicator of each server that answered lately."""
        return {one.server: one.leap for one in self._answers.values() if (now_ns - one.at_ns) / 1e9 <= VALID_S}

    def holds_against(self, evidence: Evidence, now_ns: int | None = None, extra_s: float = 0.0) -> str:
        """Return why the daemon's claim can not be true; empty if it can, or with fewer than three answers, or without a majority.

        extra_s: widens the claim for other reasons, a leap second above all.
        """
        now = time.monotonic_ns() if now_ns is None else now_ns
        measured = self.intervals(now)
        if len(measured) < LEAST_SERVERS or not evidence.synchronised:
            return ""
        found = agreed(measured)
        if found is None:
            return ""
        bound_s = evidence.bound_s + extra_s + self._drift * max(0, now - evidence.at_ns) / 1e9
        if found.low <= bound_s and found.high >= -bound_s:
            return ""
        names = ", ".join(one.name for one in measured if one.low <= found.high and one.high >= found.low)
        told = f"UTC is {found.low:+.3f} to {found.high:+.3f} s from the system clock"
        return f"{names} agree that {told}; {evidence.reader} claims {bound_s:.3f} s"

    def describe(self) -> dict[str, object]:
        """Describe the check for the status page and the report."""
        now = time.monotonic_ns()
        falsetickers = _outside(self.intervals(now))
        return {
            "servers": [
                {
                    "server": server,
                    "offset_s": round(one.offset_s, 9) if (one := self._answers.get(server)) else None,
                    "radius_s": round(one.radius_s, 9) if one else None,
                    "agrees": None if one is None else server not in falsetickers,
                    "leap": one.leap if one else None,
                    "silent": self.silent.get(server),
                }
                for server in self.servers
            ]
        }


def _outside(measured: Sequence[Interval]) -> set[str]:
    found = agreed(measured)
    return set() if found is None else {one.name for one in measured if one.low > found.high or one.high < found.low}
