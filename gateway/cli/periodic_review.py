"""Defines the command that makes the periodic review of a line."""

import json
import sys
from pathlib import Path

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, WRONG_INPUT, data_of, fail, line_folder, people_of
from gateway.cli.persons import password_option, person


@click.command()
@line_folder
@click.option("--from", "begin", required=True, help="from this time on; without an offset the line's wall clock")
@click.option("--to", "end", help="before this time; now without it")
@click.option("--into", "to", type=FOLDER, required=True, help="the folder for the document: JSON, HTML and PDF; recorded in the journal")
@person
@password_option
def review(line: Path, begin: str, end: str | None, to: Path, user: str | None, password_file: Path | None) -> None:
    """Write the periodic review of a line: what its journal, folder and machine say of a period, topic by topic. `document sign` signs it.

    Reads beside a running gateway, or without one; years take minutes. Exit 0: every topic is in order; 1: not, or not checked.
    """
    import config
    from buffer.times import now_ticks
    from gateway.cli.documents import public_keys_from, publish
    from gateway.cli.tables import instant_of, line_of
    from gateway.entries.held import Span
    from gateway.operation.control import NotRunning, ask
    from gateway.operation.drafts import MOST_BYTES
    from gateway.validation.review.document import Given, reviewed

    at = now_ticks()
    period = Span(instant_of(line, begin), min(instant_of(line, end), at) if end else at)
    if period.begin >= period.end:
        fail(f"--from {begin} is not before {f'--to {end}' if end else 'now'}: name a time that has begun", WRONG_INPUT)
    gateway, zone = line_of(line)
    try:
        now = ask(data_of(line), people_of(line))
    except NotRunning:
        now = None
    given = Given(gateway, data_of(line), zone, config.read(line)[0], now, public_keys_from(line, None), at)
    drafted = reviewed(given, period)
    if len(json.dumps(drafted, ensure_ascii=False).encode()) > MOST_BYTES:
        fail("this is too long for one document: review a shorter time", WRONG_INPUT)
    document, files = publish(line, drafted, to, ("json", "html", "pdf"), user, password_file)
    for topic, verdict in document["facts"]["verdicts"].items():
        click.echo(f"{verdict:<12} {topic}")
    click.echo("\n".join([f"{document['title']}: {document['result']}; SHA-256 {document['sha256']}", *map(str, files)]))
    sys.exit(GOOD if document["result"] == "passed" else FINDING)
