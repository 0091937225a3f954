"""A serial port as a source of whole lines: bounded, time-stamped at the terminator, nothing guessed."""

import asyncio
import os
import termios
import time
from collections import deque
from typing import NamedTuple

import serial

from drivers.contract import LinkLost
from drivers.serial.settings import SerialEndpoint

LONGEST_LINE = 256
MOST_LINES = 64
_CHUNK = 4096


class Line(NamedTuple):
    """The bytes before a terminator, and the instant at which the terminator arrived (CLOCK_MONOTONIC, ns)."""

    text: bytes
    received_ns: int


class Silent(Exception):
    """No whole line in time. partial: the bytes that arrived without a terminator."""

    def __init__(self, partial: bytes) -> None:
        super().__init__(f"no whole line in time{', only ' + partial[:32].hex(' ') if partial else ''}")
        self.partial = partial


class Unframed(Exception):
    """Too many bytes without a terminator, or too many unread lines; all of them were dropped."""


class Port:
    """An open serial port, read by the event loop whenever the kernel has bytes.

    A stalled loop delays a line's instant but loses nothing before the kernel's own buffer (4,096 bytes) is full. `terminator` ends a
    line; shorter or other endings do not.
    """

    def __init__(self, endpoint: SerialEndpoint, terminator: bytes = b"\r\n") -> None:
        self._endpoint, self._terminator = endpoint, terminator
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._lines: deque[Line] = deque()
        self._partial = bytearray()
        self._wake = asyncio.Event()
        self._failure: Exception | None = None

    def open(self) -> None:
        """Open the port. Raises LinkLost if it is not there, is in use, or refuses the settings."""
        endpoint = self._endpoint
        # A pseudo-terminal has neither parity nor 7 bits, and refuses them.
        is_terminal = os.path.realpath(endpoint.path).startswith("/dev/pts/")
        try:
            self._serial = serial.Serial(
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
            self._fd = self._serial.fileno()
            if endpoint.parity != "N" and not is_terminal:
                _mark_parity_errors(self._fd)
        except (OSError, ValueError, termios.error) as error:
            self.close()
            raise LinkLost(f"{endpoint.path}: {error}") from error
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Close the port."""
        port, self._serial = self._serial, None
        if port is not None:
            if self._fd >= 0:
                asyncio.get_running_loop().remove_reader(self._fd)
            port.close()

    def send(self, data: bytes) -> None:
        """Write a short request. Raises LinkLost."""
        assert self._serial is not None
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            raise LinkLost(f"{self._endpoint.path}: {error}") from error
        if written != len(data):
            raise LinkLost(f"{self._endpoint.path}: the port does not take what is sent")

    def forget(self) -> None:
        """Drop the bytes received so far: they can not be the answer to the next request."""
        self._lines.clear()
        self._partial.clear()
        if isinstance(self._failure, Unframed):
            self._failure = None

    async def line(self, timeout_s: float | None) -> Line:
        """Return the next whole line; timeout_s None waits for ever. Raises Silent, Unframed, LinkLost."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._lines:
                    if self._failure is not None:
                        raise self._taken_failure()
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError as error:
            raise Silent(bytes(self._partial)) from error
        return self._lines.popleft()

    def _taken_failure(self) -> Exception:
        failure = self._failure
        assert failure is not None
        if isinstance(failure, Unframed):
            self._failure = None
        return failure

    def _readable(self) -> None:
        received_ns = time.monotonic_ns()
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(LinkLost(f"{self._endpoint.path}: {error}"))
            return
        if not data:
            self._fail(LinkLost(f"{self._endpoint.path}: hung up"))
            return
        # Only the terminator ends a line: a pause proves nothing, because USB adapters deliver bytes in steps of their own.
        *whole, rest = (bytes(self._partial) + data).split(self._terminator)
        self._partial = bytearray(rest)
        self._lines.extend(Line(text, received_ns) for text in whole)
        # A wrong baud rate, a broken cable or another instrument; without a bound it would fill the memory.
        if len(rest) > LONGEST_LINE or len(self._lines) > MOST_LINES or any(len(text) > LONGEST_LINE for text in whole):
            self.forget()
            self._failure = Unframed(f"{len(data)} bytes that are no lines: {data[:32].hex(' ')}")
        self._wake.set()

    def _fail(self, why: LinkLost) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._failure = why
        self._wake.set()


def _mark_parity_errors(fd: int) -> None:
    """Let the kernel deliver a byte with a wrong parity as FF 00 byte (termios PARMRK), which no text holds.

    pyserial switches parity on but does not check it.
    """
    settings = termios.tcgetattr(fd)
    settings[0] |= termios.INPCK | termios.PARMRK
    settings[0] &= ~termios.IGNPAR
    termios.tcsetattr(fd, termios.TCSANOW, settings)
