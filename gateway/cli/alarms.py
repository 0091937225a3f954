"""Defines the commands on alarms: which there are, acknowledge, shelve, and their history."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, GOOD, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, print_json, shown
from gateway.cli.documents import may_be_document, published
from gateway.cli.persons import by_person, password_option, person, told

alarm_id = click.argument("alarm", metavar="ID", help="the alarm's id, as `alarms list` shows it")
comment_option = click.option("--comment", "--reason", required=True, help="what you say about it, in at least ten characters")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def alarms() -> None:
    """Alarms of a line: list, ack, shelve, unshelve, history."""


@alarms.command(name="list", short_help="List alarms and findings, with what to do")
@line_folder
@as_json
def list_(line: Path, as_json: bool) -> None:
    """List alarms and findings of the running gateway. Exit 1 while an alarm stands, or waits to be acknowledged, and is not shelved."""
    found = shown(told(line, "alarm-list"))
    from gateway.operation.finding_wording import rows, text

    listed = rows(found)
    if as_json:
        print_json(found)
    for row, state in [] if as_json else listed:
        source = row["source"] or "gateway"
        click.echo(f"{row['id']}  {row['severity']:<7}  {row['local']}  {state}")
        click.echo(f"          {row['code']} ({row['priority']}, for {row['whom']}) {source}: {text(row)}")
        batches = f"  batches: {', '.join(row['batches'])}" if row["batches"] else ""
        click.echo(f"          cause: {row['cause']}. What to do: {row['response']}{batches}")
    if found["unacknowledged"] and not as_json:
        click.echo(f"unkept    for {found['unacknowledged']:,} alarms that nobody acknowledged there was no room: alarms history")
    waits = found["unacknowledged"] or any(row["attention"] for row, _ in listed)
    sys.exit(FINDING if waits else GOOD)


@alarms.command(short_help="Acknowledge an alarm, with a comment")
@line_folder
@alarm_id
@comment_option
@person
@password_option
def ack(line: Path, alarm: str, comment: str, user: str | None, password_file: Path | None) -> None:
    """Acknowledge an alarm: you have seen it, and say what is done about it. It leaves the lists when it is over as well."""
    answer = told(line, "alarm-ack", user, password_file, reason=comment, id=alarm)
    click.echo(f"{alarm}: {answer['code']}: acknowledged")


@alarms.command(short_help="Take an alarm out of the banner until a time")
@line_folder
@alarm_id
@click.option("--until", required=True, help="when it comes back: 2026-12-01T06:00 of the line's wall clock, 72 h ahead at most")
@by_person
def shelve(line: Path, alarm: str, until: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Take an alarm out of the banner until a time, also if it comes again meanwhile. Then it comes back by itself."""
    from gateway.cli.tables import instant_of
    from gateway.entries.ticks import rfc3339

    answer = told(line, "alarm-shelve", user, password_file, reason=reason, id=alarm, until=rfc3339(instant_of(line, until)))
    click.echo(f"{alarm}: {answer['code']}: shelved until {answer['until']}")


@alarms.command(short_help="Take a shelved alarm back before its time")
@line_folder
@alarm_id
@by_person
def unshelve(line: Path, alarm: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Take a shelved alarm back before its time."""
    answer = told(line, "alarm-unshelve", user, password_file, reason=reason, id=alarm)
    click.echo(f"{alarm}: {answer['code']}: shown again")


@alarms.command(name="test-message", short_help="Send a test message to somebody who is told")
@line_folder
@click.option("--to", required=True, help="name of a [[notify]] table of line.toml")
@person
@password_option
def test_message(line: Path, to: str, user: str | None, password_file: Path | None) -> None:
    """Send a test message, and say whether the server took it."""
    told(line, "notify-test", user, password_file, to=to)
    click.echo(f"{to}: the server has taken the message")


@alarms.command(short_help="Tell when each was raised, acknowledged, over")
@line_folder
@click.option("--batch", help="what stood or happened while this batch ran")
@click.option("--from", "begin", help="from this time on; without an offset the line's wall clock")
@click.option("--to", "end", help="before this time")
@click.option("--format", "form", type=click.Choice(["text", "csv", "json", "pdf"]), default="text", help="pdf: with --into")
@may_be_document
def history(
    line: Path,
    batch: str | None,
    begin: str | None,
    end: str | None,
    form: str,
    to: Path | None,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Tell of each alarm when it was raised, who acknowledged it and how, when it ended. Reads the journal; no gateway is needed."""
    from gateway.cli.tables import instant_of, line_of, write_csv
    from gateway.evidence import alarm_history

    span = [None if text is None else instant_of(line, text) for text in (begin, end)]
    try:
        rows = alarm_history.rows(data_of(line), line_of(line)[1], batch, *span)
    except alarm_history.NotFound as error:
        fail(str(error), WRONG_INPUT)
    if form == "pdf" or to is not None:
        from gateway.operation.drafts import of_alarms

        asked = [(name, text) for name, text in (("batch", batch), ("from", begin), ("to", end)) if text]
        published(line, lambda: of_alarms(rows, asked, batch), to, user, password_file)
    elif form == "json":
        print_json(rows)
    elif form == "csv":
        write_csv(alarm_history.COLUMNS, rows)
    else:
        for row in rows:
            click.echo(_text(row))
        click.echo(f"{len(rows)} alarms" if len(rows) != 1 else "1 alarm")


def _text(row: dict[str, Any]) -> str:
    row = shown(row)
    over = "happened" if row["momentary"] else "stands" if row["cleared"] is None else f"until {row['cleared_local']}"
    by = f"{row['acknowledged_name'] or row['acknowledged_by']}, {row['acknowledged_local']}: {row['comment']}"
    seen = f"acknowledged by {by}" if row["acknowledged"] else "not acknowledged"
    batches = f"; batches {', '.join(row['batches'])}" if row["batches"] else ""
    return f"{row['raised_local']}  {row['id']}  {row['code']}  {row['source'] or 'gateway'}: {row['text']}\n    {over}; {seen}{batches}"
