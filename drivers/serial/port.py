"""A serial port as a source of whole lines: bounded, time-stamped at the terminator, nothing guessed."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from drivers.contract import LinkLost
from drivers.os_words import in_words
from drivers.serial.framing import Framer
from drivers.serial.looks import LOOK_EVERY_S, Looks, Now
from drivers.serial.settings import SerialEndpoint
from drivers.serial.wire import SerialWire, Wire, connect

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
    """An open serial port or converter, read by the event loop whenever the kernel has bytes.

    A stalled loop delays a line's instant but loses nothing before the kernel's own buffer is full. What may have been lost is said, in its
    place among the lines. `terminator` ends a line; shorter or other endings do not. silence_s: a pause that proves that no line was under
    way.
    """

    def __init__(
        self,
        endpoint: SerialEndpoint,
        terminator: bytes = b"\r\n",
        silence_s: float = 2.0,
        behind: int = 0,
        now: Callable[[], Now] = Now.read,
        overruns: Callable[[Wire], int | None] = lambda wire: wire.overruns(),
    ) -> None:
        """behind: bytes that follow each terminator, see Framer.

        now, overruns: the clocks, and the wire's count of bytes that were lost on it (None where it counts none).
        """
        self._endpoint, self._now, self._overruns = endpoint, now, overruns
        self._silence_ns = round(silence_s * 1e9)
        self._wire: Wire | None = None
        self._framer = Framer(terminator, behind)
        self._lines: deque[Line | Unframed] = deque()
        self._wake = asyncio.Event()
        self._failure: LinkLost | None = None
        self._looks = Looks(now(), self._silence_ns)
        self._tick: asyncio.TimerHandle | None = None
        self._reads = self._backlog = self._distrusted = False
        self._overrun_count: int | None = None

    async def connect(self) -> None:
        """Open the serial port, or connect to the converter. Raises LinkLost."""
        if self._endpoint.kind == "serial":
            self.open()
        else:
            self._begin(await connect(self._endpoint))

    def open(self) -> None:
        """Open the serial port. Raises LinkLost if it is not there, is in use, or refuses the settings."""
        self._begin(SerialWire(self._endpoint))

    def _begin(self, wire: Wire) -> None:
        self._wire = wire
        self._overrun_count = self._overruns(wire)
        self._looks = Looks(self._now(), self._silence_ns)
        self._listen()
        self._look()

    def close(self) -> None:
        """Close the port."""
        if self._tick is not None:
            self._tick.cancel()
        if self._wire is not None:
            self._pause()
            self._wire.close()
            self._wire = None

    def send(self, data: bytes) -> None:
        """Write a short request. Raises LinkLost."""
        assert self._wire is not None
        encoded = self._wire.encoded(data)
        try:
            written = os.write(self._wire.fd, encoded)
        except OSError as error:
            raise LinkLost(f"{self._endpoint.path}: {in_words(error)}") from error
        if written != len(encoded):
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

    @property
    def is_silent(self) -> bool:
        """True if nothing came for `silence_s`, as looks in time have proved."""
        return self._looks.silent()

    def fell_silent(self) -> None:
        """Take the next byte for the beginning of a line: the caller knows that none is under way."""
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
        if not self._reads and self._failure is None and self._wire is not None:
            self._reads = True
            asyncio.get_running_loop().add_reader(self._wire.fd, self._readable)

    def _pause(self) -> None:
        if self._reads and self._wire is not None:
            self._reads = False
            asyncio.get_running_loop().remove_reader(self._wire.fd)

    def _look(self) -> None:
        """Read what is there, now and from time to time: so it is known since when nobody looked."""
        if self._failure is None:
            self._tick = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
            self._wake_up(self._now())
            self._drain()
            self._judge_pause()

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
        assert self._wire is not None
        now = self._now()
        try:
            data = os.read(self._wire.fd, _CHUNK)
            said = self._wire.received(data)
        except BlockingIOError:
            return False
        except (OSError, LinkLost) as error:
            self._fail(LinkLost(f"{self._endpoint.path}: {in_words(error)}"))
            return False
        if not data:
            self._fail(LinkLost(f"{self._endpoint.path}: hung up"))
            return False
        if said or self._has_lost():
            self._take(said, now)
        if len(self._lines) >= MOST_LINES:
            self._pause()  # the kernel keeps what comes, and it shows when it could not
        return True

    def _take(self, data: bytes, now: Now) -> None:
        """Cut bytes into lines; say where bytes may be missing."""
        since_ns = self._looks.waited_since(now)
        self._wake_up(now)
        self._judge_pause()
        self._looks.heard(now)
        if self._has_lost() or self._distrusted:
            self._overrun_count = self._overruns_now()
            self._distrust("overrun: bytes came faster than they were taken")
            return
        for text, begins, fault in self._framer.feed(data):
            whole = Line(text, now.monotonic_ns, since_ns, begins)
            self._lines.append(whole if fault is None else Unframed(f"{fault}: {text[:32].hex(' ')}"))
        if len(data) >= PROVEN_BYTES and not self._keeps_all:
            self._distrust(f"{len(data)} bytes waited: the kernel's buffer may have been full")
        self._wake.set()

    def _distrust(self, why: str) -> None:
        """Drop what comes until nothing waits any more.

        The hole lies somewhere in these bytes, or in those that are still on their way from the driver's buffer to the terminal's.
        """
        self._missing(why, told=self._distrusted)
        self._distrusted = self._backlog = True

    def _judge_pause(self) -> None:
        """Draw the conclusion of a pause: a line that waits will never be whole; a proved silence begins one if none is under way."""
        if self._framer.waiting and self._looks.paused():
            self._lines.append(Unframed(f"a pause in a line, after {self._framer.waiting[:32].hex(' ')}"))
            self._framer.lose()
            self._wake.set()
        elif self._framer.may_begin and self._looks.silent():
            self._framer.begin()

    @property
    def _keeps_all(self) -> bool:
        return self._wire is not None and self._wire.keeps_all

    def _overruns_now(self) -> int | None:
        return self._overruns(self._wire) if self._wire is not None and self._overrun_count is not None else None

    def _has_lost(self) -> bool:
        """True if bytes were lost on the wire since that was last said."""
        return self._overruns_now() != self._overrun_count

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
