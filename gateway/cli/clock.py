"""The time-traceability report."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import FINDING, GOOD, WRONG_INPUT, AsJson, Folder, app, data_of, fail, print_json


@app.command()
def time(
    line: Folder,
    *,
    begin: Annotated[str | None, typer.Option("--from", help="from this time on (RFC 3339)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="up to this time (RFC 3339)")] = None,
    chrony: Annotated[Path, typer.Option(help="the installed chrony configuration")] = Path("/etc/chrony/chrony.conf"),
    as_json: AsJson = False,
) -> None:
    """How far the times on record can be trusted: reference chain to UTC, bound history, every clock event, chrony's configuration.

    Exit 1 if a part of the record was made by a clock that was not synchronised.
    """
    from gateway import logs
    from gateway.clock import report as reports
    from gateway.clock.baseline import check_baseline
    from gateway.control import NotRunning, ask

    data = data_of(line)
    try:
        made = reports.report(logs.entries(data, logs.Limits.of(None, begin, end)))
    except ValueError as error:
        fail(str(error), WRONG_INPUT)
    try:
        now = ask(data)["clock"]
    except NotRunning:
        now = None
    shortcomings = check_baseline(chrony)
    if as_json:
        print_json({**made.as_json(), "now": now, "chrony": [one._asdict() for one in shortcomings]})
    else:
        typer.echo(reports.text(made, now, shortcomings))
    raise typer.Exit(FINDING if made.statuses["unsynchronised"] or made.statuses["unknown"] else GOOD)
