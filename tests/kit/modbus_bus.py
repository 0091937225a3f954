"""A bus without a wire: what is asked is handed to a test's device, what the device says comes when the test lets it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.modbus.frames import Request
from drivers.modbus.rtu import LateFrames, RtuLink
from drivers.modbus.settings import Endpoint
from simulators.modbus_plc.framing import crc16


def frame(request: Request, data: bytes) -> bytes:
    """The right answer to a request."""
    body = bytes([request.unit, request.function, len(data)]) + data
    return body + crc16(body)


def refusal(request: Request, code: int) -> bytes:
    body = bytes([request.unit, request.function | 0x80, code])
    return body + crc16(body)


class Bus:
    """One bus over all connections to it. says: what comes behind each frame that was asked, in the order of asking; b"" is silence."""

    def __init__(self, says: Callable[[bytes], bytes]) -> None:
        self.asked: list[bytes] = []
        self.heard = asyncio.Event()
        self.says = says
        self._protocol: Any = None
        self._unanswered = LateFrames(dict)

    async def link(self, timeout_s: float = 0.05) -> RtuLink:
        """Open a connection; what was unanswered on the one before is known, as the driver knows it."""

        async def create_connection(protocol: Callable[[], Any], *_: Any) -> tuple[None, Any]:
            self._protocol = protocol()
            self._protocol.connection_made(self)
            return None, self._protocol

        asyncio.get_running_loop().create_connection = create_connection  # type: ignore[method-assign,assignment]
        link = RtuLink(Endpoint("rtu-tcp", "bus", 1), timeout_s, 0.0, Path(), self._unanswered)
        await link.open()
        return link

    def comes(self, data: bytes) -> None:
        """Bytes arrive, asked for or not."""
        if self._protocol is not None and data:
            self._protocol.data_received(data)

    def hangs_up(self) -> None:
        protocol, self._protocol = self._protocol, None
        protocol.connection_lost(None)

    # what the protocol sees of it

    def write(self, data: bytes) -> None:
        self.asked.append(data)
        self.heard.set()
        asyncio.get_running_loop().call_soon(lambda: self.comes(self.says(data)))

    def abort(self) -> None:
        self._protocol = None
