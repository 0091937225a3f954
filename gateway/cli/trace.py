"""Defines the command that shows where a value of a record comes from."""

from pathlib import Path

import click

from gateway.cli.base import FOLDER, WRONG_INPUT, as_json, data_of, fail, line_folder, of_batch, print_json
from gateway.cli.persons import password_option, person
from gateway.cli.specification import FORMS
from gateway.cli.what_runs import line_for_records


@click.command()
@line_folder
@of_batch("the batch")
@click.option("--step", required=True, help="the step, as in steps.csv")
@click.option("--parameter", help="only this one")
@click.option("--to", type=FOLDER, help="write it as a document into this folder; without it, it is printed")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def trace(
    line: Path,
    batch: str,
    step: str,
    parameter: str | None,
    to: Path | None,
    forms: tuple[str, ...],
    as_json: bool,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Show where the values of a step come from: readings, rule, limits, revisions, entries, checkpoint, receipts."""
    from gateway.cli.documents import publish
    from gateway.entries.printable import printable_all
    from gateway.validation import tracing
    from gateway.validation.tracing.pages import text

    try:
        found = tracing.traced(data_of(line), line_for_records(line), batch, step, parameter)
    except tracing.NotThere as error:
        fail(str(error), WRONG_INPUT)
    if as_json:
        print_json(found)
    elif to is None:
        click.echo(text(printable_all(found)))
    if to is not None:
        for path in publish(line, tracing.drafted(found, parameter), to, forms, user, password_file)[1]:
            click.echo(str(path), err=as_json)
