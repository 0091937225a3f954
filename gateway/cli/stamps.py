"""Defines the command that puts the stamps of MES, gateway and EBR beside each other."""

from pathlib import Path

import click

from gateway.cli.base import FOLDER, WRONG_INPUT, as_json, data_of, fail, line_folder, of_batch, print_json
from gateway.cli.persons import password_option, person
from gateway.cli.specification import FORMS
from gateway.cli.what_runs import line_for_records


@click.command()
@line_folder
@of_batch("the batch")
@click.option("--csv", "as_csv", is_flag=True, help="as CSV, one line for each event and uplink")
@click.option("--to", type=FOLDER, help="write it as a document into this folder; without it, it is printed")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def stamps(
    line: Path,
    batch: str,
    as_csv: bool,
    to: Path | None,
    forms: tuple[str, ...],
    as_json: bool,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Show when MES, gateway and EBR stamped each event of a batch, and how far they are apart.

    With what told the event (tag or row, and its entry), its receipt, the worst differences, and what is not known.
    """
    from gateway.cli.documents import publish
    from gateway.cli.tables import write_csv
    from gateway.entries.printable import printable_all
    from gateway.validation import tracing
    from gateway.validation.tracing import clock_pages

    if as_json and as_csv:
        fail("--json or --csv, not both", WRONG_INPUT)
    try:
        found = tracing.stamped(data_of(line), line_for_records(line), batch)
    except tracing.NotThere as error:
        fail(str(error), WRONG_INPUT)
    if as_json:
        print_json(found)
    elif as_csv:
        write_csv(clock_pages.COLUMNS, clock_pages.rows(found))
    elif to is None:
        click.echo(clock_pages.text(printable_all(found)))
    if to is not None:
        for path in publish(line, clock_pages.drafted(found), to, forms, user, password_file)[1]:
            click.echo(str(path), err=as_json or as_csv)
