"""Defines the commands on entries that an uplink's receiver did not take. All ask the running gateway."""

import sys
from pathlib import Path

import click

from gateway.cli.base import FINDING, GOOD, Words, as_json, line_folder, print_json, shown
from gateway.cli.persons import by_person, told

uplink_name = click.option("--uplink", required=True, help="the uplink whose receiver did not take it")
seq_number = click.option("--seq", type=int, required=True, help="the entry's number")
epoch_number = click.option("--epoch", type=int, help="its epoch, where the number alone does not tell")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def quarantine() -> None:
    """Entries that an uplink's receiver did not take."""


@quarantine.command(name="list", short_help="List what lies there, and why")
@line_folder
@click.option("--uplink", default="", show_default=False, help="of this uplink alone")
@as_json
def quarantine_list(line: Path, uplink: str, as_json: bool) -> None:
    """List what lies in quarantine, and why. Exit 1 if something is held there."""
    answer = shown(told(line, "quarantine-list", uplink=uplink))
    if as_json:
        print_json(answer)
    for one in [] if as_json else answer["entries"]:
        what = " ".join(str(one[name]) for name in ("type", "record", "batch") if one[name])
        why = f"{one['code']} (retry {one['retry']}) {one['reason']}".rstrip()
        click.echo(f"{one['uplink']}  {one['epoch']}/{one['seq']}  {one['since']}  {one['state']}  {why}  {what or 'not held any more'}")
    if not as_json and answer["count"] > len(answer["entries"]):
        click.echo(f"and {answer['count'] - len(answer['entries']):,} more")
    sys.exit(FINDING if any(one["state"] == "held" for one in answer["entries"]) else GOOD)


@quarantine.command(name="show", short_help="Show one entry as JSON")
@line_folder
@uplink_name
@seq_number
@epoch_number
def quarantine_show(line: Path, uplink: str, seq: int, epoch: int | None) -> None:
    """Show one entry of the quarantine as JSON: why it is there, and its stored bytes as `entry`."""
    print_json(told(line, "quarantine-show", uplink=uplink, **_place(seq, epoch)))


@quarantine.command(name="resend", short_help="Offer entries to the receiver once more")
@line_folder
@uplink_name
@click.option("--seq", type=int, help="the entry's number; all of the uplink without it")
@epoch_number
@by_person
def quarantine_resend(
    line: Path, uplink: str, seq: int | None, epoch: int | None, reason: str, user: str | None, password_file: Path | None
) -> None:
    """Have entries offered to the receiver once more, after what they were refused for was changed. Its next receipt tells.

    An uplink that is held because the receiver does not accept a schema or version asks it again at once.
    """
    answer = told(line, "quarantine-resend", user, password_file, reason=reason, uplink=uplink, **_place(seq, epoch))
    if answer["schema_asked"]:
        click.echo(f"{uplink}: the receiver is asked again whether it accepts the schema; `status` shows whether the uplink is still held")
    if answer["count"] or not answer["schema_asked"]:
        click.echo(f"{uplink}: {answer['count']} offered again; `quarantine list` shows what the receiver still does not take")


@quarantine.command(name="dispose", short_help="Take one entry as dealt with by a person")
@line_folder
@uplink_name
@seq_number
@epoch_number
@by_person
def quarantine_dispose(
    line: Path, uplink: str, seq: int, epoch: int | None, reason: str, user: str | None, password_file: Path | None
) -> None:
    """Take one entry as dealt with by a person: it is no problem any more, is not offered again, and retention may take it."""
    answer = told(line, "quarantine-dispose", user, password_file, reason=reason, uplink=uplink, **_place(seq, epoch))
    click.echo(f"{uplink}: entry {answer['seq']} of epoch {answer['epoch']} is disposed of")


def _place(seq: int | None, epoch: int | None) -> dict[str, str]:
    return {name: str(number) for name, number in (("seq", seq), ("epoch", epoch)) if number is not None}
