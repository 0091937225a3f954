"""What an instrument is attached to: a serial port of this machine, or a converter in the network. One file descriptor either way."""

import asyncio
import os
import socket
import termios
from typing import Protocol

import serial

from drivers.contract import LinkLost, link_lost, port_not_opened
from drivers.keepalive import watch
from drivers.os_words import in_words
from drivers.serial.overruns import overruns_of
from drivers.serial.rfc2217 import Telnet
from drivers.serial.settings import SerialEndpoint

CONNECT_S = 3.0


class Wire(Protocol):
    """An open wire. fd: non-blocking. keeps_all: True if what is not read in time is held back, not dropped."""

    fd: int
    keeps_all: bool

    def received(self, data: bytes) -> bytes:
        """Return the instrument's bytes of what was read. Raises LinkLost."""

    def encoded(self, data: bytes) -> bytes:
        """Encode what is sent to the instrument."""

    def overruns(self) -> int | None:
        """Count the bytes that were lost on the way so far; None if this wire counts none."""

    def close(self) -> None:
        """Close it."""


class SerialWire:
    """A serial port of this machine."""

    keeps_all = False

    def __init__(self, endpoint: SerialEndpoint) -> None:
        """Open the port. Raises LinkLost if it is not there, is in use, or refuses the settings."""
        # A pseudo-terminal has neither parity nor 7 bits, and refuses them.
        is_terminal = os.path.realpath(endpoint.path).startswith("/dev/pts/")
        try:
            self._port = serial.Serial(
                endpoint.path,
                baudrate=endpoint.baudrate,
                bytesize=8 if is_terminal else endpoint.bytesize,
                parity="N" if is_terminal else endpoint.parity,
                stopbits=endpoint.stopbits,
                xonxoff=endpoint.xonxoff,
                rtscts=endpoint.rtscts,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except (OSError, ValueError, termios.error) as error:
            raise port_not_opened(f"{endpoint.path}: {_why(error)}", error) from error
        self.fd = self._port.fileno()
        try:
            _set(self.fd, marks=not is_terminal)
        except (OSError, termios.error) as error:
            self.close()
            raise LinkLost(f"{endpoint.path}: {in_words(error)}") from error

    def received(self, data: bytes) -> bytes:
        """See Wire."""
        return data

    encoded = received

    def overruns(self) -> int | None:
        """See Wire. The kernel's count."""
        return overruns_of(self.fd)

    def close(self) -> None:
        """See Wire."""
        self._port.close()


class SocketWire:
    """A connection to a converter: raw, or with RFC 2217."""

    keeps_all = True

    def __init__(self, sock: socket.socket, telnet: Telnet | None) -> None:
        self._socket, self._telnet = sock, telnet
        self.fd = sock.fileno()

    def received(self, data: bytes) -> bytes:
        """See Wire."""
        if self._telnet is None:
            return data
        data = self._telnet.feed(data)
        if self._telnet.replies:
            try:
                os.write(self.fd, self._telnet.replies)
            except OSError as error:
                raise LinkLost(in_words(error, "the converter")) from error
            self._telnet.replies.clear()
        return data

    def encoded(self, data: bytes) -> bytes:
        """See Wire."""
        return data if self._telnet is None else self._telnet.encoded(data)

    def overruns(self) -> int | None:
        """See Wire. What the converter notifies; a raw connection tells nothing."""
        return None if self._telnet is None else self._telnet.damaged

    def close(self) -> None:
        """See Wire."""
        self._socket.close()


async def connect(endpoint: SerialEndpoint) -> SocketWire:
    """Connect to a converter, and set its line where it can be set. Raises LinkLost with what it refuses."""
    sock: socket.socket | None = None
    telnet = Telnet(endpoint) if endpoint.kind == "rfc2217" else None
    try:
        async with asyncio.timeout(CONNECT_S):
            sock = await _connected(endpoint.host, endpoint.port)
            watch(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if telnet is not None:
                await _settle(sock, telnet)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if isinstance(error, TimeoutError) and telnet is not None and sock is not None:
            raise LinkLost(f"{endpoint.path}: the converter does not confirm {telnet.unconfirmed()} (RFC 2217)") from error
        if isinstance(error, OSError | LinkLost):
            why = in_words(error, "the converter") if str(error) else "no connection in time"
            raise link_lost(f"{endpoint.path}: {why}", error) from error
        raise
    return SocketWire(sock, telnet)


async def _connected(host: str, port: int) -> socket.socket:
    """Connect to the first address of a host that takes the connection. Raises OSError."""
    loop, refused = asyncio.get_running_loop(), OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)  # noqa: FBT003 - the name of the call says what it is
        try:
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            refused = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise refused


async def _settle(sock: socket.socket, telnet: Telnet) -> None:
    """Negotiate until the converter has confirmed the line settings; what an instrument says meanwhile is dropped."""
    loop = asyncio.get_running_loop()
    while not telnet.is_settled:
        if telnet.replies:
            replies, telnet.replies = bytes(telnet.replies), bytearray()
            await loop.sock_sendall(sock, replies)
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise LinkLost("closed by the converter")
        telnet.feed(data)


def _set(fd: int, *, marks: bool) -> None:
    """Set what pyserial does not: that a read of nothing is told from a port that hung up (VMIN), and marks for damaged bytes.

    With marks the kernel delivers a byte with a wrong parity or stop bit as FF 00 byte, and a break as FF 00 00 (termios PARMRK). pyserial
    switches parity on but does not check it; without marks a break is a NUL byte, and a byte without its stop bit any other one.
    """
    settings = termios.tcgetattr(fd)
    settings[6][termios.VMIN] = 1
    if marks:
        settings[0] |= termios.INPCK | termios.PARMRK
        settings[0] &= ~(termios.IGNPAR | termios.IGNBRK | termios.BRKINT)
    termios.tcsetattr(fd, termios.TCSANOW, settings)


def _why(error: Exception) -> str:
    """Say why a port could not be opened; pyserial's sentence holds the path twice more."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and "could not open port" in str(error) else str(error)
