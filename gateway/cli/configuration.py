"""Defines the commands on a line folder's content, for people who approve it: differences, data dictionary, interface inventory."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import changes
from gateway.cli.base import FINDING, FOLDER, GOOD, NOT_REACHED, WRONG_INPUT, Words, data_of, fail, line_folder, print_json
from gateway.cli.what_runs import beside_what_runs, in_words

if TYPE_CHECKING:
    from config import Line

form_option = click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", help="csv or json")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def config() -> None:
    """The configuration of a line: its versions, diff, dictionary, inventory."""


for command in changes.COMMANDS:
    config.add_command(command)


@config.command(short_help="Say what a folder changes; exit 1 if it does")
@line_folder
@click.option("--against", type=FOLDER, help="another folder; else what last ran here")
def diff(line: Path, against: Path | None) -> None:
    """Say what a line folder changes, tag by tag, against the configuration that last ran, or another folder. Exit 1 if it does."""
    from config.reports import diff as differences
    from gateway.evidence import recompute

    new, other = _both(line, against)
    try:
        old = other or recompute.last_line(data_of(line))
    except recompute.NotWhole as error:
        fail(str(error), NOT_REACHED)
    changes = differences.changes(old, new)
    for change in changes:
        click.echo(str(change))
    if not changes:
        click.echo("the same")
    if against is None and (text := in_words(beside_what_runs(line))):
        click.echo(text)
    sys.exit(FINDING if changes else GOOD)


def _both(line: Path, against: Path | None) -> "tuple[Line, Line | None]":
    """Read both folders. Where one can not be used, every error of both is told, with its folder, and the program ends."""
    from gateway.runtime import assembly

    folders = [line] if against is None else [line, against]
    read = [assembly.check(folder) for folder in folders]
    if any(found is None for found, _ in read):
        told = [f"{folder}/{problem}" for folder, (_, problems) in zip(folders, read, strict=True) for problem in problems]
        fail("\n".join(told), WRONG_INPUT)
    (new, _), *others = read
    assert new is not None
    return new, others[0][0] if others else None


@config.command(short_help="Print every field that the EBR gets")
@line_folder
@form_option
def dictionary(line: Path, form: str) -> None:
    """Print the data dictionary: every field that the EBR gets, with meaning, type, unit, precision and origin."""
    from config.reports import data_dictionary as tables
    from gateway.runtime import assembly

    _print(tables.dictionary(assembly.load(line)), tables.COLUMNS, form)


@config.command(short_help="Print every connection of the line")
@line_folder
@form_option
def inventory(line: Path, form: str) -> None:
    """Print the interface inventory: every connection with endpoint, direction, protocol, security and owner."""
    from config.reports import data_dictionary as tables
    from gateway.runtime import assembly

    _print(tables.inventory(assembly.load(line)), tables.INVENTORY_COLUMNS, form)


def _print(rows: Any, columns: Any, form: str) -> None:
    from config.reports import data_dictionary as tables

    if form == "json":
        print_json(rows)
    else:
        click.echo(tables.as_csv(rows, columns), nl=False)
