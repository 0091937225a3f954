"""Damaged chunks of an OPC UA server, through the transport: what may reach a request is decided by a second reading of the same bytes.

Plain channels are read again by `reference`, which knows Part 6, 6.7 and 7.1 and nothing of the transport: every body that is delivered
must be one that stands in the stream, whole, in order, for a request that was asked, before the first violation. Signed channels need no
second reading: a body is what the server said, to the byte, or it is not delivered.
"""

import asyncio
import random
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncua import ua as _ua
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256, SecurityPolicyNone

from drivers.opcua.session import bounded, certs
from drivers.opcua.session.wire import LONGEST_REASON, BoundedProtocol

ua: Any = _ua
NoPolicy: Any = SecurityPolicyNone
Policy: Any = SecurityPolicyBasic256Sha256
CHANNEL, TOKEN = 5, 7
ROUND_S = 1.0
"""Processor time of one stream."""
HUGE = [0, 1, 7, 8, 11, 12, 23, 24, bounded.LARGEST_CHUNK_BYTES, bounded.LARGEST_CHUNK_BYTES + 1, 0x7FFFFFFF, 0xFFFFFFFF]


@dataclass
class Tally:
    """Figures of a run."""

    streams: int = 0
    chunks: int = 0
    delivered: int = 0
    told: int = 0  # requests whose answer was aborted, or too large
    ended: dict[str, int] = field(default_factory=dict)
    longest_s: float = 0.0
    largest_bytes: int = 0

    def __str__(self) -> str:
        most = ", ".join(f"{why} {number:,}" for why, number in sorted(self.ended.items(), key=lambda pair: -pair[1])[:6])
        return (
            f"{self.streams:,} streams of {self.chunks:,} chunks, {self.delivered:,} answers delivered, each said whole, "
            f"{self.told:,} told as aborted; longest {self.longest_s:.2f} s, most gathered {self.largest_bytes / 1e6:.1f} MB; ended: {most}"
        )


class Wire(asyncio.Transport):
    """The end of a connection that only knows whether it was cut."""

    cut = False

    def abort(self) -> None:
        self.cut = True

    def write(self, data: Any) -> None:
        pass


def chunk(kind: bytes, ending: bytes, sequence: int, request: int, body: bytes, token: int = TOKEN) -> bytes:
    """Encode one chunk of a plain channel (Part 6, 6.7.2)."""
    return kind + ending + struct.pack("<IIIII", 24 + len(body), CHANNEL, token, sequence, request) + body


def answers(chance: random.Random, requests: list[int]) -> list[bytes]:
    """Encode answers to requests, each cut into some chunks; some are aborted, one is an Error message at times."""
    sequence, made = chance.choice([1, 51, 0xFFFFFFFE, 0xFFFFFC01]), list[bytes]()

    def number() -> int:
        nonlocal sequence
        now = sequence
        sequence = chance.choice([1, 0, 1023]) if sequence == 0xFFFFFFFF else sequence + 1
        return now

    for request in requests:
        body = chance.randbytes(chance.choice([0, 1, 40, 500, 9_000]))
        cuts = sorted(chance.randrange(len(body) + 1) for _ in range(chance.choice([0, 0, 1, 3, 9])))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        made += [chunk(b"MSG", b"C", number(), request, part) for part in parts[:-1]]
        if chance.random() < 0.15:
            made.append(chunk(b"MSG", b"A", number(), request, struct.pack("<Ii", chance.choice([0x80B90000, 0x80000000, 0]), -1)))
        else:
            made.append(chunk(b"MSG", b"F", number(), request, parts[-1]))
    if chance.random() < 0.05:
        made.append(b"ERRF" + struct.pack("<IIi", 16, 0x80800000, -1))
    return made


def damaged(chunks: list[bytes], chance: random.Random) -> list[bytes]:
    """Damage a stream as attackers, cables and half-written servers do: whole chunks, their headers, their bytes."""
    made = list(chunks)
    for _ in range(chance.choice([0, 1, 1, 2, 5])):
        if not made:
            break
        at = chance.randrange(len(made))
        kind = chance.randrange(10)
        one = bytearray(made[at] or b"\0")
        if kind == 0:
            del made[at]
            continue
        if kind == 1:
            made.insert(chance.randrange(len(made) + 1), made[at])
            continue
        if kind == 2:
            other = chance.randrange(len(made))
            made[at], made[other] = made[other], made[at]
            continue
        if kind == 3:
            one[chance.randrange(min(len(one), 24))] ^= 1 << chance.randrange(8)
        elif kind == 4:
            one[chance.randrange(len(one))] = chance.randrange(256)
        elif kind == 5:
            place = chance.choice([4, 8, 12, 16, 20])
            if len(one) >= place + 4:
                one[place : place + 4] = struct.pack("<I", chance.choice([*HUGE, len(one), len(one) + 1, len(one) - 1]))
        elif kind == 6:
            one[:4] = chance.choice([b"MSGF", b"MSGC", b"MSGA", b"OPNF", b"CLOF", b"ERRF", b"ACKF", b"HELF", b"RHEF", b"MSGX", b"\0\0\0\0"])
        elif kind == 7:
            del one[chance.randrange(len(one)) :]
        elif kind == 8:
            one += chance.randbytes(chance.randrange(1, 30))
        else:
            made[at:at] = [chunk(b"MSG", b"C", 1 + n, 1, b"") for n in range(chance.choice([3, 600, 5000]))]
            continue
        made[at] = bytes(one)
    return made


def reference(stream: bytes, asked: set[int]) -> Iterator[tuple[int, bytes | None]]:
    """Read a plain stream again: (request, body), None for an answer that was aborted or is too large, up to the first violation."""
    at, before, open_request, body, count = 0, None, None, b"", 0
    while len(stream) - at >= 8:
        kind, ending, size = struct.unpack_from("<3scI", stream, at)
        if not 8 <= size <= bounded.LARGEST_CHUNK_BYTES or len(stream) - at < size:
            return
        if kind != b"MSG" or size < 24:
            return
        channel, token, sequence, request = struct.unpack_from("<IIII", stream, at + 8)
        follows = before is None or sequence == before + 1 or (sequence < 1024 and before >= 0xFFFFFC00)
        if (channel, token) != (CHANNEL, TOKEN) or not follows or open_request not in (None, request) or ending not in (b"C", b"F", b"A"):
            return
        part, before, at = stream[at + 24 : at + size], sequence, at + size
        open_request, body, count = request, body + part, count + 1
        if count > 8 * bounded.MOST_CHUNKS or len(body) > 8 * bounded.LARGEST_MESSAGE_BYTES:
            return
        if ending == b"C":
            continue
        if request not in asked:
            return
        asked.discard(request)
        is_whole = ending == b"F" and count <= bounded.MOST_CHUNKS and len(body) <= bounded.LARGEST_MESSAGE_BYTES
        yield request, body if is_whole else None
        open_request, body, count = None, b"", 0


async def _fed(protocol: BoundedProtocol, requests: list[int], stream: bytes, chance: random.Random, tally: Tally) -> dict[int, Any]:
    """Feed a stream in slices, end it, and return what each request got: a body, or an exception."""
    loop = asyncio.get_running_loop()
    waiting = {request: loop.create_future() for request in requests}
    protocol._callbackmap.update(waiting)
    begun, at = time.process_time(), 0
    while at < len(stream) and protocol.failure is None:
        size = chance.choice([1, 7, 24, 1000, 65_536, len(stream)])
        protocol.data_received(stream[at : at + size])
        at += size
        gathered = len(protocol._gathered) + sum(len(part.Body) for part in protocol._connection._incoming_parts)
        tally.largest_bytes = max(tally.largest_bytes, gathered)
    protocol.connection_lost(None)
    tally.longest_s = max(tally.longest_s, time.process_time() - begun)
    why = str(protocol.failure)
    assert why, "a connection ended without a reason"
    assert len(why) <= LONGEST_REASON
    name = "".join(letter for letter in why[:45] if not letter.isdigit())
    tally.ended[name] = tally.ended.get(name, 0) + 1
    assert all(future.done() for future in waiting.values()), "a request waits for ever"
    assert not protocol._gathered
    errors = {request: future.exception() for request, future in waiting.items()}
    return {request: errors[request] or bytes(future.result()) for request, future in waiting.items()}


def _check(got: dict[int, Any], expected: dict[int, bytes | None], tally: Tally) -> None:
    for request, outcome in got.items():
        is_ended, is_told = isinstance(outcome, bounded.ConnectionEnded), isinstance(outcome, ua.UaStatusCodeError)
        if request not in expected:
            assert is_ended, f"request {request} got {outcome!r:.80}, which is said after a violation or not at all"
        elif expected[request] is None:
            assert is_told, f"request {request} got {outcome!r:.80}, its answer was aborted"
            tally.told += 1
        else:
            is_said = outcome == expected[request]
            assert is_said, f"request {request} got {outcome!r:.80}, which was not said"
            tally.delivered += 1


async def _plain(chance: random.Random, tally: Tally) -> None:
    protocol = BoundedProtocol(1.0, NoPolicy())
    protocol.connection_made(Wire())
    protocol._connection.security_token = ua.ChannelSecurityToken(CHANNEL, TOKEN, RevisedLifetime=3_600_000)
    protocol._connection._open = True
    requests = chance.sample(range(1, 30), chance.randrange(1, 8))
    chunks = damaged(answers(chance, requests), chance)
    tally.chunks += len(chunks)
    stream = b"".join(chunks)
    _check(await _fed(protocol, requests, stream, chance, tally), dict(reference(stream, set(requests))), tally)


class Signed:
    """Two ends of a channel that is signed and encrypted, with keys of their own; made once, their state copied for each stream."""

    def __init__(self, folder: Path) -> None:
        for name in ("client", "server"):
            certs.make(folder / name)
        ours, theirs = certs.own(folder / "client"), certs.own(folder / "server")
        assert ours is not None
        assert theirs is not None
        self._ours, self._theirs = (ours.certificate, certs.load_key(ours.key_file)), (theirs.certificate, certs.load_key(theirs.key_file))

    def ends(self, mode: Any = ua.MessageSecurityMode.SignAndEncrypt) -> tuple[BoundedProtocol, SecureConnection]:
        """Return the client's protocol, and the server's channel, with the same keys."""
        nonces = b"c" * 32, b"s" * 32
        mine = Policy(self._theirs[0], *self._ours, mode)
        other = Policy(self._ours[0], *self._theirs, mode)
        token = ua.ChannelSecurityToken(CHANNEL, TOKEN, RevisedLifetime=3_600_000)
        protocol = BoundedProtocol(1.0, mine)
        protocol.connection_made(Wire())
        protocol._connection._peer_sequence_number = 0  # that of the answer which opened the channel
        server = SecureConnection(other, TransportLimits(65_535, 8192, 0, 0))
        ends: list[tuple[Any, bytes, bytes]] = [(protocol._connection, *nonces), (server, *nonces[::-1])]
        for connection, local, remote in ends:
            connection.security_token, connection._open = token, True
            connection.security_policy.make_local_symmetric_key(remote, local)
            connection.security_policy.make_remote_symmetric_key(local, remote, token.RevisedLifetime)
        return protocol, server


async def _signed(channel: Signed, chance: random.Random, tally: Tally) -> None:
    protocol, server = channel.ends()
    requests = chance.sample(range(1, 30), chance.randrange(1, 6))
    bodies = {request: chance.randbytes(chance.choice([1, 500, 9_000, 20_000])) for request in requests}
    whole = b"".join(server.message_to_binary(bodies[request], request_id=request) for request in requests)
    chunks = damaged(list(_cut(whole)), chance)
    tally.chunks += len(chunks)
    got = await _fed(protocol, requests, b"".join(chunks), chance, tally)
    delivered = [request for request in requests if isinstance(got[request], bytes)]
    assert delivered == requests[: len(delivered)], "an answer overtook another"
    _check({request: got[request] for request in delivered}, dict(bodies), tally)


def _cut(stream: bytes) -> Iterator[bytes]:
    while stream:
        size = int.from_bytes(stream[4:8], "little")
        yield stream[:size]
        stream = stream[size:]


async def run(folder: Path, seed: int, seconds: float) -> Tally:
    """Fuzz for so many seconds of processor time. Raises AssertionError with the seed of the stream that broke the oracle."""
    tally, channel, end = Tally(), Signed(folder), time.process_time() + seconds
    while time.process_time() < end:
        one = f"{seed}-{tally.streams}"
        chance = random.Random(one)
        try:
            await (_signed(channel, chance, tally) if tally.streams % 4 == 3 else _plain(chance, tally))
            assert tally.longest_s < ROUND_S, f"{tally.longest_s:.1f} s"
            assert tally.largest_bytes <= bounded.LARGEST_MESSAGE_BYTES + bounded.LARGEST_CHUNK_BYTES + 65_536
        except AssertionError as error:
            raise AssertionError(f"{error}; stream {one}") from error
        tally.streams += 1
    return tally
