"""Getting in step with an instrument, asking it, and reading its lines: so that a line belongs to the request before it."""

import asyncio
import time
from contextlib import suppress

from drivers.contract import BadReply, LinkLost
from drivers.serial import mtsics
from drivers.serial.answer import NotAnAnswer
from drivers.serial.dialect import Dialect
from drivers.serial.looks import LOOK_EVERY_S
from drivers.serial.port import Line, Port, Silent, Unframed
from drivers.serial.settings import SerialSettings


class OtherInstrument(BadReply):
    """The instrument is not the one that the line folder names."""


class Conversation:
    """The requests to one instrument over an open port. serial_number: as it calls itself, once it was asked."""

    def __init__(self, port: Port, dialect: Dialect, settings: SerialSettings) -> None:
        self._port, self._dialect, self._expected = port, dialect, settings.serial_number
        self.timeout_s = settings.timeout_ms / 1000
        self.serial_number: str | None = None
        self._in_step = False

    def lose_step(self) -> None:
        """Note that an older answer may still arrive."""
        self._in_step = False

    async def get_in_step(self) -> None:
        """Make sure that no older answer can still arrive. Raises LinkLost, OtherInstrument."""
        if self._in_step:
            return
        if self._dialect.identify:
            await self._identify()
        elif self._dialect.request is not None:
            await self._fall_silent()
        if self._dialect.begin is not None:
            self._port.send(self._dialect.begin)
        self._in_step = True

    async def ask(self) -> int | None:
        """Send the request, if there is one, when nothing but its answer can come. Returns the instant (CLOCK_MONOTONIC, ns)."""
        if self._dialect.request is None:  # every line counts, and none may be dropped
            return None
        if not self._port.forget() and not self._dialect.shows_beginning:
            await self._fall_silent()
        requested_ns = time.monotonic_ns()
        self._port.send(self._dialect.request)
        return requested_ns

    async def line(self, deadline_s: float | None) -> Line:
        """Return the next line, as the port does. deadline_s: by the event loop's clock; None waits for ever."""
        loop = asyncio.get_running_loop()
        return await self._port.line(None if deadline_s is None else max(deadline_s - loop.time(), 0.0))

    def has_beginning(self, line: Line) -> bool:
        """True if the line may be an answer: its beginning was seen, or no part of a line could look so."""
        return line.begins or self._dialect.shows_beginning

    async def _fall_silent(self) -> None:
        """Wait until nothing arrived for a whole time-out, as the port proves it: for instruments whose answers do not name their request.

        An answer that arrived still later would be taken for a new one, and the rest of a line for a line. Raises LinkLost if the
        instrument keeps sending for ten time-outs.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + 10 * max(self.timeout_s, LOOK_EVERY_S)
        while loop.time() < deadline_s:
            self._port.forget()
            if self._port.is_silent:
                self._port.fell_silent()
                return
            with suppress(Silent, Unframed):
                await self._port.line(LOOK_EVERY_S / 2)
        raise LinkLost("the instrument does not fall silent")

    async def _identify(self) -> None:
        """Ask for the serial number, and so get in step: once I4 is answered, every older answer has passed.

        A scale that says that it does not tell its number may mean an older request by that: it must fall silent. Raises LinkLost without
        an answer, OtherInstrument for another one than the line folder names.
        """
        self._port.forget()
        self._port.send(b"I4\r\n")
        number = await self._number(asyncio.get_running_loop().time() + self.timeout_s)
        if number is None:
            await self._fall_silent()
        if self._expected is not None and number != self._expected:
            raise OtherInstrument(f"the instrument calls itself {number or 'nothing'}, the line folder says {self._expected}")
        self.serial_number = number

    async def _number(self, deadline_s: float) -> str | None:
        """Return the answer to I4; None if all that was said until the deadline is that there is none. Raises LinkLost."""
        has_none = False
        while True:
            try:
                number = mtsics.serial_number_of((await self.line(deadline_s)).text)
            except Silent as error:
                if has_none:
                    return None
                raise LinkLost(f"no answer to I4: {error}") from error
            except (NotAnAnswer, Unframed):  # answers to older requests pass here
                continue
            if number is not None:
                return number
            has_none = True
