"""Writes the log: one line a message, whatever it quotes."""

import logging
import os
from datetime import UTC, datetime, tzinfo
from typing import TextIO
from zoneinfo import ZoneInfo

from gateway.entries.printable import printable

JOURNAL = "JOURNAL_STREAM"
"""Set by systemd for a service whose standard error goes to its journal, which gives each line a time by itself."""
LONGEST_LINE = 4_000
"""Characters of a message that are kept: a device may send a megabyte."""


class OneLine(logging.Formatter):
    """A message is one line of bounded length; a traceback follows it, indented: what it quotes begins no line of the log.

    Times are the wall clock's of a zone, with its offset, as `log` writes them. zone None: the machine's own.
    """

    zone: tzinfo | None = None

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        """Return the time of a message."""
        return datetime.fromtimestamp(record.created, UTC).astimezone(self.zone).isoformat(" ", "seconds")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message as one line."""
        text = super().formatMessage(record)
        return printable(text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}... {len(text) - LONGEST_LINE} more characters")

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        """Return the traceback, each line of bounded length."""
        lines = super().formatException(ei).split("\n")  # type: ignore[arg-type]
        return "\n".join(f"  {printable(line[:LONGEST_LINE])}" for line in lines)


def handler(stream: TextIO) -> logging.Handler:
    """Return what writes to a stream in this form."""
    made: logging.Handler = logging.StreamHandler(stream)
    time = "" if JOURNAL in os.environ else "%(asctime)s "
    made.setFormatter(OneLine(f"{time}%(levelname)s %(name)s: %(message)s"))
    return made


def in_zone(name: str) -> None:
    """Write times as the people at a line read them from now on. name: its zone, which a folder without errors has."""
    for each in logging.getLogger().handlers:
        if isinstance(each.formatter, OneLine):
            each.formatter.zone = ZoneInfo(name)
