"""The command line: parse, call one function, print.

Exit codes: 0 good; 1 a finding (tampering, difference, failed qualification); 2 the input or configuration is wrong; 3 something could not
be reached.

Invariant: what is imported for a command is what that command needs; `status`, `ready` and `--help` load neither the folder's models nor
a driver (tests/gateway/cli/test_cli_process.py).
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from gateway.cli.base import NOT_REACHED, WRONG_INPUT, fail
from gateway.cli.commands import Commands
from gateway.cli.progress import shown

__all__ = ["app", "main"]

PROGRAM = "ebr-gateway"
HELP = "Edge gateway between a production line and its electronic batch record."


def _version(context: click.Context, _: click.Parameter, asked: Any) -> None:
    if asked and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"{PROGRAM} {version(PROGRAM)}")
        context.exit()


app = Commands(PROGRAM, help=HELP, subcommand_metavar="COMMAND ...", context_settings={"show_default": True})
app.params.append(
    click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit.")
)


def main(words: Sequence[str] | None = None) -> None:
    """Run one command, by default that of the command line. An error that a user can mend is printed in one line, never as a traceback."""
    os.umask(os.umask(0o022) | 0o022)  # some start scripts leave a mask of 0: nobody else writes what a command makes
    try:
        with shown(sys.argv[1:] if words is None else words):
            app(words, prog_name=PROGRAM)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if (told := _told(error)) is None:
            raise
        fail(*told)


def _told(error: Exception) -> tuple[str, int] | None:
    """Return the message to print for an error, and the exit code; None for a defect of the program."""
    import sqlite3

    from buffer import JournalError, JournalNewer
    from buffer.keys import KeyUnusable
    from config import ConfigError
    from drivers import DriverMisconfigured

    if isinstance(error, (ConfigError, DriverMisconfigured, KeyUnusable, FileNotFoundError)):
        return str(error), WRONG_INPUT
    if isinstance(error, JournalNewer):  # waiting does not mend it, so systemd shall not try again
        return str(error), WRONG_INPUT
    if isinstance(error, JournalError):
        return str(error), NOT_REACHED
    if isinstance(error, PermissionError):
        text = f"{error.filename or error}: permission denied; what a gateway keeps is its own account's: ask as that account or as root"
        return text, NOT_REACHED
    if isinstance(error, OSError):  # a full disk, no permission, a share that is away
        return str(error) or type(error).__name__, NOT_REACHED
    if isinstance(error, sqlite3.Error):
        return f"a file of the journal can not be read: {error}", NOT_REACHED
    return None
