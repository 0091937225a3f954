"""Defines the commands on alarms: which there are, acknowledge, shelve, and their history."""

from typing import Annotated, Any, Literal

import typer

from gateway.cli.audit import instant_of, line_of
from gateway.cli.base import FINDING, GOOD, WRONG_INPUT, AsJson, Folder, app, data_of, fail, print_json
from gateway.cli.persons import PasswordFile, Person, Why, told

alarms = typer.Typer(no_args_is_help=True, help="Alarms of a line: list, ack, shelve, unshelve, history.")
app.add_typer(alarms, name="alarms")

Id = Annotated[str, typer.Argument(metavar="ID", help="the alarm's id, as `alarms list` shows it")]
Comment = Annotated[str, typer.Option("--comment", "--reason", help="what you say about it, in at least ten characters")]


@alarms.command(name="list")
def list_(line: Folder, *, as_json: AsJson = False) -> None:
    """List alarms and findings of the running gateway. Exit 1 while an alarm stands, or waits to be acknowledged, and is not shelved."""
    found = told(line, "alarm-list")
    from gateway.operation.findings import rows, text

    shown = rows(found)
    if as_json:
        print_json(found)
    for row, state in [] if as_json else shown:
        source = row["source"] or "gateway"
        typer.echo(f"{row['id']}  {row['severity']:<7}  {row['local']}  {state}")
        typer.echo(f"          {row['code']} ({row['priority']}, for {row['whom']}) {source}: {text(row)}")
        batches = f"  batches: {', '.join(row['batches'])}" if row["batches"] else ""
        typer.echo(f"          cause: {row['cause']}. What to do: {row['response']}{batches}")
    if found["unacknowledged"] and not as_json:
        typer.echo(f"unkept    for {found['unacknowledged']:,} alarms that nobody acknowledged there was no room: alarms history")
    waits = found["unacknowledged"] or any(row["attention"] for row, _ in shown)
    raise typer.Exit(FINDING if waits else GOOD)


@alarms.command()
def ack(line: Folder, alarm: Id, *, comment: Comment, user: Person = None, password_file: PasswordFile = None) -> None:
    """Acknowledge an alarm: you have seen it, and say what is done about it. It leaves the lists when it is over as well."""
    answer = told(line, "alarm-ack", user, password_file, reason=comment, id=alarm)
    typer.echo(f"{alarm}: {answer['code']}: acknowledged")


@alarms.command()
def shelve(
    line: Folder,
    alarm: Id,
    *,
    until: Annotated[str, typer.Option(help="when it comes back: 2026-12-01T06:00:00+01:00, 72 h ahead at most")],
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Take an alarm out of the banner until a time, also if it comes again meanwhile. Then it comes back by itself."""
    from gateway.entries.ticks import rfc3339

    answer = told(line, "alarm-shelve", user, password_file, reason=reason, id=alarm, until=rfc3339(instant_of(line, until)))
    typer.echo(f"{alarm}: {answer['code']}: shelved until {answer['until']}")


@alarms.command()
def unshelve(line: Folder, alarm: Id, *, reason: Why, user: Person = None, password_file: PasswordFile = None) -> None:
    """Take a shelved alarm back before its time."""
    answer = told(line, "alarm-unshelve", user, password_file, reason=reason, id=alarm)
    typer.echo(f"{alarm}: {answer['code']}: shown again")


@alarms.command()
def history(
    line: Folder,
    *,
    batch: Annotated[str | None, typer.Option(help="what stood or happened while this batch ran")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="from this time on (RFC 3339)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="before this time (RFC 3339)")] = None,
    form: Annotated[Literal["text", "csv", "json"], typer.Option("--format", help="text, csv or json")] = "text",
) -> None:
    """Tell of each alarm when it was raised, who acknowledged it and how, when it ended. Reads the journal; no gateway is needed."""
    from gateway.cli.tables import write_csv
    from gateway.evidence import alarm_history

    span = [None if text is None else instant_of(line, text) for text in (begin, end)]
    try:
        rows = alarm_history.rows(data_of(line), line_of(line)[1], batch, *span)
    except alarm_history.NotFound as error:
        fail(str(error), WRONG_INPUT)
    if form == "json":
        print_json(rows)
    elif form == "csv":
        write_csv(alarm_history.COLUMNS, rows)
    else:
        for row in rows:
            typer.echo(_text(row))
        typer.echo(f"{len(rows)} alarms" if len(rows) != 1 else "1 alarm")


def _text(row: dict[str, Any]) -> str:
    over = "happened" if row["momentary"] else "stands" if row["cleared"] is None else f"until {row['cleared_local']}"
    by = f"{row['acknowledged_name'] or row['acknowledged_by']}, {row['acknowledged_local']}: {row['comment']}"
    seen = f"acknowledged by {by}" if row["acknowledged"] else "not acknowledged"
    batches = f"; batches {', '.join(row['batches'])}" if row["batches"] else ""
    return f"{row['raised_local']}  {row['id']}  {row['code']}  {row['source'] or 'gateway'}: {row['text']}\n    {over}; {seen}{batches}"
