"""Defines the command for the time-traceability report."""

import shutil
import sys
from pathlib import Path

import click

from gateway.cli.base import FINDING, GOOD, PATH, as_json, data_of, line_folder, people_of, print_json


@click.command()
@line_folder
@click.option("--from", "begin", help="from this time on; without an offset the line's wall clock")
@click.option("--to", "end", help="before this time")
@click.option("--chrony", type=PATH, default="/etc/chrony/chrony.conf", help="the installed chrony configuration")
@as_json
def time(line: Path, begin: str | None, end: str | None, chrony: Path, as_json: bool) -> None:
    """How far the times on record can be trusted: reference chain to UTC, bound history, every clock event, the sources' clocks.

    With what an installed chrony configuration lacks, measured by the line's own limits.

    Exit 1 if a part of the record was made by a clock that was not synchronised.
    """
    import config
    from config.sections import ClockSection
    from gateway.cli import journal_log
    from gateway.cli.tables import instant_of
    from gateway.clock import report as reports
    from gateway.clock.baseline import check_baseline
    from gateway.operation.control import NotRunning, ask

    data = data_of(line)
    first, last = (None if text is None else instant_of(line, text) for text in (begin, end))
    made = reports.report(journal_log.entries(data, journal_log.Limits(begin=first, end=last)))
    try:
        now = ask(data, people_of(line))
    except NotRunning:
        now = None
    clock = getattr(config.read(line)[0], "clock", None) or ClockSection()
    shortcomings = check_baseline(chrony, drift_ppm=clock.max_drift_ppm, max_error_s=clock.max_error_s, leap_mode=clock.leap_mode)
    if as_json:
        running = None if now is None else {"clock": now["clock"], "sources": {one["name"]: one["clock"] for one in now["sources"]}}
        print_json({**made.as_json(), "now": running, "chrony": [one._asdict() for one in shortcomings]})
    else:
        click.echo(reports.text(made, now, shortcomings, width=max(80, min(160, shutil.get_terminal_size((reports.WIDTH, 24)).columns))))
    sys.exit(FINDING if made.statuses["unsynchronised"] or made.statuses["unknown"] else GOOD)
