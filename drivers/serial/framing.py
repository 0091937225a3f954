"""Cuts a stream of bytes into lines, and knows of each whether its beginning was seen. Pure.

A line is what stands between two terminators; where a checksum follows the terminator, that and the terminator are part of it. What
stands before the first one is the rest of a line that nobody knows: the port was opened in its middle, bytes were dropped, or bytes were
lost. It is cut out like any other, and says that it has no beginning.
"""

from typing import NamedTuple

LONGEST_LINE = 256
MARK = b"\xff\x00"
"""What the kernel puts before a byte with a wrong parity or stop bit, and for a break (termios PARMRK). No text holds it."""


class Cut(NamedTuple):
    """One piece of the stream: the bytes before a terminator.

    begins: True if its first byte was seen. fault: why the bytes are no line; what follows a piece without terminator has no beginning.
    """

    text: bytes
    begins: bool
    fault: str | None = None


class Framer:
    """The place in a stream of lines. At first it is in the middle of a line."""

    def __init__(self, terminator: bytes, behind: int = 0) -> None:
        """behind: so many bytes follow each terminator that belong to its line, whatever they are: a checksum."""
        self._terminator, self._behind = terminator, behind
        self._waits = bytearray()
        self._begun = self._under_way = False

    @property
    def waiting(self) -> bytes:
        """The bytes since the last terminator."""
        return bytes(self._waits)

    @property
    def at_beginning(self) -> bool:
        """True if the next byte begins a line."""
        return self._begun and not self._waits

    @property
    def may_begin(self) -> bool:
        """True if a silence now would prove that the next byte begins a line: no line is known to be under way."""
        return not (self._begun or self._waits or self._under_way)

    def begin(self) -> None:
        """Take the next byte for the beginning of a line: a silence came before it."""
        self._waits.clear()
        self._begun, self._under_way = True, False

    def lose(self) -> None:
        """Drop what waits. Bytes are missing here, or were dropped: what follows up to a terminator has no beginning."""
        self._under_way = self._under_way or bool(self._waits)  # until a terminator came: losing more does not end it
        self._waits.clear()
        self._begun = False

    def drop(self) -> None:
        """Drop what waits, if anything does: then its rest is still to come."""
        if self._waits:
            self.lose()

    def feed(self, data: bytes) -> list[Cut]:
        """Return the lines that end in these bytes. The memory is bounded: of a longer line the parts are returned as faults."""
        *ended, rest = self._split(bytes(self._waits) + data)
        cuts: list[Cut] = []
        for text in ended:
            cuts.append(Cut(text, self._begun, _fault(text)))
            self._begun, self._under_way = True, False
        self._waits = bytearray(rest)
        if len(rest) > LONGEST_LINE:  # a wrong baud rate, a broken cable or another instrument
            cuts.append(Cut(rest, self._begun, f"{len(rest)} bytes without a terminator"))
            self.lose()
        return cuts

    def _split(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole, and what is left. What stands behind a terminator is never looked at as one."""
        if not self._behind:
            return data.split(self._terminator)
        parts, at = [], 0
        while (end := data.find(self._terminator, at)) >= 0 and (end := end + len(self._terminator) + self._behind) <= len(data):
            parts.append(data[at:end])
            at = end
        return [*parts, data[at:]]


def _fault(text: bytes) -> str | None:
    if len(text) > LONGEST_LINE:
        return f"{len(text)} bytes in one line"
    return "a wrong parity or stop bit, or a break" if MARK in text else None
