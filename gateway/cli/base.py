"""Holds what every command shares: the application, exit codes, and how to fail in one readable line."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

GOOD, FINDING, WRONG_INPUT, NOT_REACHED = 0, 1, 2, 3
HELP = "Edge gateway between a production line and its electronic batch record."

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, help=HELP)

Folder = Annotated[Path, typer.Argument(metavar="LINE", help="the line folder")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def fail(text: str, code: int) -> NoReturn:
    """End the program with one readable message and this exit code."""
    typer.echo(text, err=True)
    sys.exit(code)


def logging_to_stderr(*, verbose: bool) -> None:
    """Log warnings (verbose: everything of ours) to the standard error; libraries only when they fail."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for name in ("asyncua", "pymodbus", "aiosqlite", "aiohttp"):
        logging.getLogger(name).setLevel(logging.ERROR)


def print_json(value: Any) -> None:
    """Print a report as JSON, for programs."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def data_of(line: Path) -> Path:
    """Return the journal's folder of a line; a line folder with problems will do, so that its old journal can be read."""
    from config import ConfigError, data_directory

    try:
        return data_directory(line)
    except ConfigError:  # a damaged line.toml does not stop the gateway, and must not keep people from asking it
        from gateway.changes import place_of

        return place_of(line)


def people_of(line: Path) -> Path | None:
    """Return the control socket for people of a line, if it has one."""
    from config import people_socket

    return people_socket(line)


def asked(line: Path) -> dict[str, Any]:
    """Return the running gateway's snapshot, asked for over its control socket."""
    from gateway.operation.control import NotRunning, ask

    try:
        now = ask(data_of(line), people_of(line))
    except NotRunning as error:
        fail(str(error), NOT_REACHED)
    if "problems" not in now:
        fail(f"{line}: the gateway runs, and can not say how it is: {now.get('error', 'its answer is not understood')}", NOT_REACHED)
    return now
