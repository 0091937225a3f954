"""Holds what every command shares: exit codes, common options, and how to fail in one readable line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

GOOD, FINDING, WRONG_INPUT, NOT_REACHED = 0, 1, 2, 3

PATH = click.Path(path_type=Path)
PORT = click.IntRange(1, 65_535)


class _Folder(click.Path):
    """A path that a shell completes with folders; whether it is one says who reads it."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:  # noqa: ARG002  (click's signature)
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


class Words(click.Group):
    """Commands of two words, `users add`: listed in the order in which they are written."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """List the second words."""
        return list(self.commands)


FOLDER = _Folder(path_type=Path)
line_folder = click.argument("line", type=FOLDER, metavar="LINE", help="the line folder")
F = TypeVar("F", bound=Callable[..., Any])
BATCH = "batch_option"


def of_batch(says: str, *, required: bool = True) -> Callable[[F], F]:
    """Give a command the batch that it is about, as `batch`: the word behind LINE, or what --batch says."""

    def kept(context: click.Context, _: click.Parameter, value: str | None) -> None:
        context.meta[BATCH] = value

    def named(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
        option = context.meta[BATCH]
        if None not in (value, option) and value != option:
            fail(f"two batches are named, {value} and --batch {option}: which one is meant?", WRONG_INPUT)
        if value is None and option is None and required:
            fail("which batch? write its number behind the line folder, or --batch NUMBER", WRONG_INPUT)
        return value if value is not None else option

    def given(command: F) -> F:
        option = click.option(
            "--batch", BATCH, metavar="BATCH", is_eager=True, expose_value=False, callback=kept, help=f"{says}; the same as BATCH"
        )
        metavar = "BATCH" if required else "[BATCH]"
        return click.argument("batch", required=False, metavar=metavar, callback=named, help=says)(option(command))

    return given


as_json = click.option("--json", "as_json", is_flag=True, help="print JSON")


def fail(text: str, code: int) -> NoReturn:
    """End the program with one readable message and this exit code."""
    click.echo(text, err=True)
    sys.exit(code)


def logging_to_stderr(*, verbose: bool) -> None:
    """Log warnings (verbose: everything of ours) to the standard error; libraries only when they fail."""
    import logging

    from gateway.cli.log_lines import handler

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler(sys.stderr)])
    for name in ("asyncua", "pymodbus", "aiosqlite", "aiohttp"):
        logging.getLogger(name).setLevel(logging.ERROR)


def print_json(value: Any) -> None:
    """Print a report as JSON, for programs."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def data_of(line: Path) -> Path:
    """Return the journal's folder of a line; a line folder with problems will do, so that its old journal can be read."""
    from config import ConfigError
    from config.locations import data_directory

    try:
        return data_directory(line)
    except ConfigError:  # a damaged line.toml does not stop the gateway, and must not keep people from asking it
        from gateway.changes import place_of

        return place_of(line)


def people_of(line: Path) -> Path | None:
    """Return the control socket for people of a line, if it has one."""
    from config.locations import people_socket

    return people_socket(line)


def asked(line: Path) -> dict[str, Any]:
    """Return the running gateway's snapshot, asked for over its control socket."""
    from gateway.operation.control import NotRunning, ask

    try:
        now = ask(data_of(line), people_of(line))
    except NotRunning as error:
        from gateway.changes import retired

        fail(retired.in_the_way(data_of(line), line) or str(error), NOT_REACHED)
    if "problems" not in now:
        fail(f"{line}: the gateway runs, and can not say how it is: {now.get('error', 'its answer is not understood')}", NOT_REACHED)
    return shown(now)


def shown(now: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot whose texts do nothing to the terminal on which they are shown: batch numbers and errors come from devices."""
    from gateway.entries.printable import printable_all

    cleared: dict[str, Any] = printable_all(now)
    return cleared
