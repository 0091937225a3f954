"""An NTP version 4 server (RFC 5905, 7.3) on any UDP port, with faults that may change while it runs.

It keeps no clock of its own: it answers with this machine's time plus `offset_s`. A falseticker is one with an offset and small claims.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""
PACKET = struct.Struct("!BBbb II4s QQQQ")
CLIENT, SERVER = 3, 4


@dataclass(slots=True)
class Faults:
    """The faults of the server.

    offset_s: its clock against this machine's; drift_ppm: how fast that grows from now on. leap: 0 none, 1 insert, 2 delete, 3 not
    synchronised. root_delay_s, root_dispersion_s: its claims. silent: no answers. delay_s: answers later by this, on the way back only,
    which is the asymmetry that half of the delay has to cover.
    """

    offset_s: float = 0.0
    drift_ppm: float = 0.0
    stratum: int = 1
    leap: int = 0
    root_delay_s: float = 0.0005
    root_dispersion_s: float = 0.0005
    reference: bytes = b"SIM\0"
    silent: bool = False
    delay_s: float = 0.0


class NtpResponder:
    """Serves at host:port until stopped; port 0 takes a free one."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, now: Callable[[], float] = time.time, **faults: Any) -> None:
        """now: seconds since 1970 that count as true time. faults: fields of Faults."""
        self.host, self.port = host, port
        self.faults = Faults(**faults)
        self.asked = 0
        self._now = now
        self._began_s = now()
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Listen; `port` is the real one when this returns."""
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Port(self), local_addr=(self.host, self.port), family=family)
        self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Close the port."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def time_s(self) -> float:
        """The server's own time, seconds since 1970."""
        now_s = self._now()
        return now_s + self.faults.offset_s + self.faults.drift_ppm * 1e-6 * (now_s - self._began_s)

    def answer(self, request: bytes) -> bytes | None:
        """Reply to one request; None if it is no request."""
        if len(request) < PACKET.size or request[0] & 7 != CLIENT:
            return None
        received = _ntp(self.time_s())
        self.asked += 1
        faults, version, poll = self.faults, request[0] >> 3 & 7, request[2]
        origin = struct.unpack_from("!Q", request, 40)[0]
        return PACKET.pack(
            faults.leap << 6 | version << 3 | SERVER,
            faults.stratum,
            min(poll, 17),
            -20,
            int(faults.root_delay_s * 65536),
            int(faults.root_dispersion_s * 65536),
            faults.reference,
            _ntp(self.time_s() - 1.0),
            origin,
            received,
            _ntp(self.time_s()),
        )


class _Port(asyncio.DatagramProtocol):
    def __init__(self, server: NtpResponder) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # what loops give is not always of that class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = None if self._server.faults.silent else self._server.answer(data)
        if answer is None:
            return
        if self._server.faults.delay_s > 0:
            asyncio.get_running_loop().call_later(self._server.faults.delay_s, self._transport.sendto, answer, addr)
        else:
            self._transport.sendto(answer, addr)


def _ntp(seconds: float) -> int:
    """Convert seconds since 1970 into NTP's 64-bit time stamp (era 0)."""
    return int((seconds + NTP_EPOCH_S) * 2**32) & 0xFFFFFFFFFFFFFFFF
