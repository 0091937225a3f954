"""The command line: parse, call one function, print.

Exit codes: 0 good; 1 a finding (tampering, difference, failed qualification); 2 the input or configuration is wrong; 3 something could not
be reached.
"""

import os
import sqlite3
import sys
from collections.abc import Sequence

from gateway.cli import alarms, audit, clock, configuration, line, records, running, sources, users
from gateway.cli.base import NOT_REACHED, WRONG_INPUT, app, fail

__all__ = ["alarms", "app", "audit", "clock", "configuration", "line", "main", "records", "running", "sources", "users"]


def main(words: Sequence[str] | None = None) -> None:
    """Run one command, by default that of the command line. An error that a user can mend is printed in one line, never as a traceback."""
    try:
        app(words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if (told := _told(error)) is None:
            raise
        fail(*told)


def _told(error: Exception) -> tuple[str, int] | None:
    """Return the message to print for an error, and the exit code; None for a defect of the program."""
    from buffer import JournalError
    from buffer.keys import KeyUnusable
    from config import ConfigError
    from drivers import DriverMisconfigured

    if isinstance(error, (ConfigError, DriverMisconfigured, KeyUnusable, FileNotFoundError)):
        return str(error), WRONG_INPUT
    if isinstance(error, JournalError):
        return str(error), NOT_REACHED
    if isinstance(error, OSError):  # a full disk, no permission, a share that is away
        return str(error) or type(error).__name__, NOT_REACHED
    if isinstance(error, sqlite3.Error):
        return f"a file of the journal can not be read: {error}", NOT_REACHED
    return None
