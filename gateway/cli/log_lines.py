"""Writes the log: one line a message, whatever it quotes."""

import logging
from typing import TextIO

from gateway.entries.printable import printable

LONGEST_LINE = 4_000
"""Characters of a message that are kept: a device may send a megabyte."""


class OneLine(logging.Formatter):
    """A message is one line of bounded length; a traceback follows it, indented: what it quotes begins no line of the log."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message as one line."""
        text = super().formatMessage(record)
        return printable(text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}... {len(text) - LONGEST_LINE} more characters")

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        """Return the traceback, each line of bounded length."""
        lines = super().formatException(ei).split("\n")  # type: ignore[arg-type]
        return "\n".join(f"  {printable(line[:LONGEST_LINE])}" for line in lines)


def handler(stream: TextIO) -> logging.Handler:
    """Return what writes to a stream in this form. A terminal has no times of its own, as the system's journal has: they stand before."""
    made: logging.Handler = logging.StreamHandler(stream)
    made.setFormatter(OneLine(f"{'%(asctime)s ' if stream.isatty() else ''}%(levelname)s %(name)s: %(message)s"))
    return made
