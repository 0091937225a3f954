"""Defines the commands that ask the running gateway."""

from typing import Annotated

import typer

from gateway.cli.base import FINDING, GOOD, AsJson, Folder, app, asked, data_of, people_of, print_json
from gateway.cli.persons import PasswordFile, Person, Why, told


@app.command()
def status(line: Folder, *, as_json: AsJson = False) -> None:
    """Ask the running gateway how it is. Exit 1 if something needs attention."""
    now = asked(line)
    if as_json:
        print_json(now)
    else:
        from gateway.cli.terminal import status_text

        typer.echo(status_text(now))
    raise typer.Exit(FINDING if now["problems"] else GOOD)


@app.command()
def ready(line: Folder) -> None:
    """Exit 0 when the gateway runs and every source and uplink is connected; else say what is not."""
    problems = [problem for problem in asked(line)["problems"] if not problem.startswith(("clock", "alarm"))]
    for problem in problems:
        typer.echo(problem)
    raise typer.Exit(FINDING if problems else GOOD)


@app.command()
def top(line: Folder) -> None:
    """Show the running gateway, live; Ctrl-C leaves."""
    from gateway.cli.terminal import live
    from gateway.operation.control import ask

    asked(line)  # one line and exit 3 if none runs
    live(lambda: ask(data_of(line), people_of(line)))


@app.command(name="release-hold")
def release_hold(
    line: Folder,
    *,
    batch: Annotated[str, typer.Option(help="the batch that QA lets go")],
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Let a held batch go: from then on retention decides. Asked of the running gateway, which writes it down."""
    told(line, "release-hold", user, password_file, reason=reason, batch=batch)
    typer.echo(f"{batch}: released")


@app.command(name="retire-uplink")
def retire_uplink(
    line: Folder,
    *,
    uplink: Annotated[str, typer.Option(help="the uplink that line.toml no longer names")],
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Let go an uplink that was renamed or removed: nothing is kept for its receipts any more. Asked of the running gateway."""
    answer = told(line, "retire-uplink", user, password_file, reason=reason, uplink=uplink)
    typer.echo(f"{uplink}: let go; it had not confirmed {answer['unconfirmed']:,} entries")


@app.command(name="new-epoch")
def new_epoch(line: Folder, *, reason: Why, user: Person = None, password_file: PasswordFile = None) -> None:
    """Have the next start begin a new epoch: the way out where an EBR holds other entries under the identities of this one."""
    answer = told(line, "new-epoch", user, password_file, reason=reason)
    typer.echo(f"epoch {answer['epoch']} ends with this run; restart the gateway to begin the next one")


quarantine = typer.Typer(no_args_is_help=True, help="Entries that an uplink's receiver did not take.")
app.add_typer(quarantine, name="quarantine")

UplinkName = Annotated[str, typer.Option(help="the uplink whose receiver did not take it")]
SeqNumber = Annotated[int, typer.Option(help="the entry's number")]
EpochNumber = Annotated[int | None, typer.Option(help="its epoch, where the number alone does not tell")]


@quarantine.command(name="list")
def quarantine_list(
    line: Folder, *, uplink: Annotated[str, typer.Option(help="of this uplink alone")] = "", as_json: AsJson = False
) -> None:
    """List what lies in quarantine, and why. Exit 1 if something is held there."""
    answer = told(line, "quarantine-list", uplink=uplink)
    if as_json:
        print_json(answer)
    for one in [] if as_json else answer["entries"]:
        what = " ".join(str(one[name]) for name in ("type", "record", "batch") if one[name])
        why = f"{one['code']} (retry {one['retry']}) {one['reason']}".rstrip()
        typer.echo(f"{one['uplink']}  {one['epoch']}/{one['seq']}  {one['since']}  {one['state']}  {why}  {what or 'not held any more'}")
    if not as_json and answer["count"] > len(answer["entries"]):
        typer.echo(f"and {answer['count'] - len(answer['entries']):,} more")
    raise typer.Exit(FINDING if any(one["state"] == "held" for one in answer["entries"]) else GOOD)


@quarantine.command(name="show")
def quarantine_show(line: Folder, *, uplink: UplinkName, seq: SeqNumber, epoch: EpochNumber = None) -> None:
    """Show one entry of the quarantine as JSON: why it is there, and its stored bytes as `entry`."""
    print_json(told(line, "quarantine-show", uplink=uplink, **_place(seq, epoch)))


@quarantine.command(name="resend")
def quarantine_resend(
    line: Folder,
    *,
    uplink: UplinkName,
    reason: Why,
    seq: Annotated[int | None, typer.Option(help="the entry's number; all of the uplink without it")] = None,
    epoch: EpochNumber = None,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Have entries offered to the receiver once more, after what they were refused for was changed. Its next receipt tells."""
    answer = told(line, "quarantine-resend", user, password_file, reason=reason, uplink=uplink, **_place(seq, epoch))
    typer.echo(f"{uplink}: {answer['count']} offered again; `quarantine list` shows what the receiver still does not take")


@quarantine.command(name="dispose")
def quarantine_dispose(
    line: Folder,
    *,
    uplink: UplinkName,
    seq: SeqNumber,
    reason: Why,
    epoch: EpochNumber = None,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Take one entry as dealt with by a person: it is no problem any more, is not offered again, and retention may take it."""
    answer = told(line, "quarantine-dispose", user, password_file, reason=reason, uplink=uplink, **_place(seq, epoch))
    typer.echo(f"{uplink}: entry {answer['seq']} of epoch {answer['epoch']} is disposed of")


def _place(seq: int | None, epoch: int | None) -> dict[str, str]:
    return {name: str(number) for name, number in (("seq", seq), ("epoch", epoch)) if number is not None}
