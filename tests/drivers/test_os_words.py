"""What a technician reads of a link that was lost: words, and no number of the system."""

import asyncio
import errno
import os
import socket
import ssl
import struct

import pytest

from drivers.contract import LinkLost
from drivers.modbus.frames import read_request
from drivers.modbus.settings import Endpoint
from drivers.modbus.tcp import TcpLink
from drivers.os_words import in_words
from drivers.serial.port import Port
from drivers.serial.settings import SerialEndpoint

ASKED = read_request(1, 3, 0, 2)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ECONNRESET, "Connection reset by peer"), "the device closed the connection"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "the device closed the connection"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 502)"), "nothing listens there (connection refused)"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1'), [Errno 111] Connect call failed ('127.0.0.1')"),
         "nothing listens there (connection refused)"),
        (OSError("Multiple exceptions: [Errno 111] refused, [Errno 113] No route"), "Multiple exceptions: refused, No route"),
        (socket.gaierror(-2, "Name or service not known"), "the name is not known: Name or service not known"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "the device closed the connection"),
        (ValueError("a text"), "a text"),
        (OSError(), "OSError"),
    ],
)  # fmt: skip
def test_each_error_in_words(error: BaseException, words: str) -> None:
    assert in_words(error) == words


async def test_a_device_that_resets_the_connection_closed_it() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    link = TcpLink(Endpoint("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]), 5.0, 1)
    await link.open()
    with pytest.raises(LinkLost, match=r"^connection lost: the device closed the connection$"):
        await link.read(ASKED)
    link.close()
    server.close()


async def test_an_instrument_that_is_pulled_is_said_to_be_gone() -> None:
    master, slave = os.openpty()
    port = Port(SerialEndpoint(os.ttyname(slave)))
    port.open()
    os.close(slave)
    os.close(master)
    with pytest.raises(LinkLost) as gone:
        await port.line(5.0)
    port.close()
    assert "Errno" not in str(gone.value)
