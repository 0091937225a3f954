"""Defines the commands on a line folder's content, for people who approve it: differences, data dictionary, interface inventory."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gateway.cli.base import FINDING, GOOD, NOT_REACHED, Folder, app, data_of, fail, print_json

configuration = typer.Typer(no_args_is_help=True, help="The configuration of a line: versions, diff, dictionary, inventory.")
app.add_typer(configuration, name="config")
Form = Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json")]


@configuration.command()
def diff(line: Folder, *, against: Annotated[Path | None, typer.Option(help="another folder; else what last ran here")] = None) -> None:
    """Say what a line folder changes, tag by tag, against the configuration that last ran, or another folder. Exit 1 if it does."""
    from config.reports import diff as differences
    from gateway.evidence import recompute
    from gateway.runtime import assembly

    new = assembly.load(line)
    try:
        old = assembly.load(against) if against else recompute.last_line(data_of(line))
    except recompute.NotWhole as error:
        fail(str(error), NOT_REACHED)
    changes = differences.changes(old, new)
    for change in changes:
        typer.echo(str(change))
    if not changes:
        typer.echo("the same")
    raise typer.Exit(FINDING if changes else GOOD)


@configuration.command()
def dictionary(line: Folder, *, form: Form = "csv") -> None:
    """Print the data dictionary: every field that the EBR gets, with meaning, type, unit, precision and origin."""
    from config.reports import data_dictionary as tables
    from gateway.runtime import assembly

    _print(tables.dictionary(assembly.load(line)), tables.COLUMNS, form)


@configuration.command()
def inventory(line: Folder, *, form: Form = "csv") -> None:
    """Print the interface inventory: every connection with endpoint, direction, protocol, security and owner."""
    from config.reports import data_dictionary as tables
    from gateway.runtime import assembly

    _print(tables.inventory(assembly.load(line)), tables.INVENTORY_COLUMNS, form)


def _print(rows: Any, columns: Any, form: str) -> None:
    from config.reports import data_dictionary as tables

    if form == "json":
        print_json(rows)
    else:
        typer.echo(tables.as_csv(rows, columns), nl=False)
