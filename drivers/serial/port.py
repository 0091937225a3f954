"""A serial port as a source of whole lines: bounded, time-stamped at the terminator, nothing guessed."""

import asyncio
import os
import termios
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import serial

from drivers.contract import LinkLost
from drivers.serial.framing import Framer
from drivers.serial.looks import LOOK_EVERY_S, Looks, Now
from drivers.serial.overruns import overruns_of
from drivers.serial.settings import SerialEndpoint

MOST_LINES = 64
_CHUNK = 4096
PROVEN_BYTES = 3_500
"""So many bytes at once, and the kernel's buffer may have been full: it holds 4,096, of which it keeps up to 3 x 128 free for marks, and
then lets an adapter wait."""


class Line(NamedTuple):
    """The bytes before a terminator.

    received_ns: when the terminator was read. since_ns: the instant after which it came, where nobody looked for a while; else None. Both
    CLOCK_MONOTONIC. begins: True if its beginning was seen; else the bytes are the rest of an unknown line.
    """

    text: bytes
    received_ns: int
    since_ns: int | None
    begins: bool


class Silent(Exception):
    """No whole line in time. partial: the bytes that arrived without a terminator."""

    def __init__(self, partial: bytes) -> None:
        super().__init__(f"no whole line in time{', only ' + partial[:32].hex(' ') if partial else ''}")
        self.partial = partial


class Unframed(Exception):
    """Bytes that are no line, or a place where bytes are missing."""


class Overrun(Unframed):
    """Bytes may be missing here: nobody read them in time."""


class Port:
    """An open serial port, read by the event loop whenever the kernel has bytes.

    A stalled loop delays a line's instant but loses nothing before the kernel's own buffer is full. What may have been lost is said, in its
    place among the lines. `terminator` ends a line; shorter or other endings do not. silence_s: a pause that proves that no line was under
    way.
    """

    def __init__(
        self,
        endpoint: SerialEndpoint,
        terminator: bytes = b"\r\n",
        silence_s: float = 2.0,
        now: Callable[[], Now] = Now.read,
        overruns: Callable[[int], int | None] = overruns_of,
    ) -> None:
        """now, overruns: the clocks, and the kernel's count of bytes that it could not keep (None where it counts none)."""
        self._endpoint, self._now, self._overruns = endpoint, now, overruns
        self._silence_ns = round(silence_s * 1e9)
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._framer = Framer(terminator)
        self._lines: deque[Line | Unframed] = deque()
        self._wake = asyncio.Event()
        self._failure: LinkLost | None = None
        self._looks = Looks(now())
        self._tick: asyncio.TimerHandle | None = None
        self._reads = self._backlog = self._distrusted = False
        self._overrun_count: int | None = None

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
            _set(self._fd, marks=not is_terminal)
            self._overrun_count = self._overruns(self._fd)
        except (OSError, ValueError, termios.error) as error:
            self.close()
            raise LinkLost(f"{endpoint.path}: {_why(error)}") from error
        self._looks = Looks(self._now())
        self._listen()
        self._look()

    def close(self) -> None:
        """Close the port."""
        port, self._serial = self._serial, None
        if self._tick is not None:
            self._tick.cancel()
        if port is not None:
            self._pause()
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

    def forget(self) -> bool:
        """Drop all that has come so far: it can not be the answer to the next request.

        Returns True if the next byte begins a line. Else the rest of a line that is unknown is still to come.
        """
        self._drain()
        self._lines.clear()
        if not self._framer.at_beginning:
            self._framer.lose()
        return self._framer.at_beginning

    def fell_silent(self) -> None:
        """Take the next byte for the beginning of a line: the caller knows that nothing came for a whole time-out."""
        self._framer.begin()

    async def line(self, timeout_s: float | None) -> Line:
        """Return the next line; timeout_s None waits for ever. Raises Silent, Unframed in its place among the lines, LinkLost."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._lines:
                    if self._failure is not None:
                        raise self._failure
                    self._listen()
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError as error:
            self._drain()  # the loop may have come late to both, the time-out and the answer
            if not self._lines:
                raise Silent(self._framer.waiting) from error
        line = self._lines.popleft()
        if isinstance(line, Unframed):
            raise line
        return line

    # reading

    def _listen(self) -> None:
        if not self._reads and self._failure is None:
            self._reads = True
            asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def _pause(self) -> None:
        if self._reads:
            self._reads = False
            asyncio.get_running_loop().remove_reader(self._fd)

    def _look(self) -> None:
        """Read what is there, now and from time to time: so it is known since when nobody looked."""
        if self._failure is None:
            self._tick = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
            self._wake_up(self._now())
            self._drain()
            if self._framer.waiting and self._looks.silent_ns() >= self._silence_ns:
                self._silence()

    def _drain(self) -> None:
        """Read until nothing waits in the kernel's buffer, or too many lines wait here."""
        while len(self._lines) < MOST_LINES and self._failure is None:
            now = self._now()
            if not self._readable():
                if not self._backlog:
                    self._looks.empty(now)
                    self._distrusted = False
                self._backlog = False
                return

    def _readable(self) -> bool:
        """Read once. Returns False if nothing waits."""
        now = self._now()
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._fail(LinkLost(f"{self._endpoint.path}: {error}"))
            return False
        if not data:
            self._fail(LinkLost(f"{self._endpoint.path}: hung up"))
            return False
        self._take(data, now)
        if len(self._lines) >= MOST_LINES:
            self._pause()  # the kernel keeps what comes, and it shows when it could not
        return True

    def _take(self, data: bytes, now: Now) -> None:
        """Cut bytes into lines; say where bytes may be missing."""
        since_ns = self._looks.waited_since(now)
        self._wake_up(now)
        if self._looks.silent_ns() >= self._silence_ns:
            self._silence()
        self._looks.heard(now)
        if self._has_overrun() or self._distrusted:
            self._distrust("overrun: bytes came faster than they were taken")
            return
        for text, begins, fault in self._framer.feed(data):
            whole = Line(text, now.monotonic_ns, since_ns, begins)
            self._lines.append(whole if fault is None else Unframed(f"{fault}: {text[:32].hex(' ')}"))
        if len(data) >= PROVEN_BYTES:
            self._distrust(f"{len(data)} bytes waited: the kernel's buffer may have been full")
        self._wake.set()

    def _distrust(self, why: str) -> None:
        """Drop what comes until nothing waits any more.

        The hole lies somewhere in these bytes, or in those that are still on their way from the driver's buffer to the terminal's.
        """
        self._missing(why, told=self._distrusted)
        self._distrusted = self._backlog = True

    def _silence(self) -> None:
        """Draw the conclusion of a silence: a line that waits will never be whole, and what comes where none was under way begins one."""
        if self._framer.may_begin:
            self._framer.begin()
        elif self._framer.waiting:
            self._lines.append(Unframed(f"a pause in a line, after {self._framer.waiting[:32].hex(' ')}"))
            self._framer.lose()
            self._wake.set()

    def _has_overrun(self) -> bool:
        count = self._overruns(self._fd) if self._overrun_count is not None else None
        changed = count != self._overrun_count
        self._overrun_count = count
        return changed

    def _wake_up(self, now: Now) -> None:
        """Say that nobody kept what was sent while the machine was suspended."""
        if self._looks.suspended(now):
            self._looks.woke(now)
            self._missing("the machine was suspended")

    def _missing(self, why: str, *, told: bool = False) -> None:
        self._framer.lose()
        if not told:
            self._lines.append(Overrun(why))
            self._wake.set()

    def _fail(self, why: LinkLost) -> None:
        self._pause()
        self._failure = why
        self._wake.set()


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
