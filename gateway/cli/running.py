"""Defines the commands that ask the running gateway."""

import sys
from pathlib import Path

import click

from gateway.cli.base import FINDING, GOOD, as_json, asked, data_of, line_folder, of_batch, people_of, print_json, shown
from gateway.cli.persons import by_person, told


@click.command()
@line_folder
@as_json
def status(line: Path, as_json: bool) -> None:
    """Ask the running gateway how it is. Exit 1 if something needs attention."""
    now = asked(line)
    if as_json:
        print_json(now)
    else:
        from gateway.cli.terminal import status_text

        click.echo(status_text(now))
    sys.exit(FINDING if now["problems"] else GOOD)


@click.command()
@line_folder
def ready(line: Path) -> None:
    """Exit 0 when the gateway runs and every source and uplink is connected; else say what is not."""
    problems = [problem for problem in asked(line)["problems"] if not problem.startswith(("clock", "alarm", "gap", "fallback"))]
    for problem in problems:
        click.echo(problem)
    sys.exit(FINDING if problems else GOOD)


@click.command()
@line_folder
def top(line: Path) -> None:
    """Show the running gateway, live; Ctrl-C leaves."""
    from gateway.cli.terminal import live
    from gateway.operation.control import ask

    asked(line)  # one line and exit 3 if none runs
    live(lambda: shown(ask(data_of(line), people_of(line))))


@click.command()
@line_folder
@of_batch("the batch that QA lets go")
@click.option("--without-review", is_flag=True, help="although its audit trail was not reviewed; the reason says why")
@by_person
def release_hold(line: Path, batch: str, without_review: bool, reason: str, user: str | None, password_file: Path | None) -> None:
    """Let a held batch go: from then on retention decides. Asked of the running gateway, which writes it down."""
    told(line, "release-hold", user, password_file, reason=reason, batch=batch, without_review=without_review)
    click.echo(f"{batch}: released")


@click.command()
@line_folder
@click.option("--uplink", required=True, help="the uplink that line.toml no longer names")
@by_person
def retire_uplink(line: Path, uplink: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Let go an uplink that was renamed or removed: nothing is kept for its receipts any more. Asked of the running gateway."""
    answer = told(line, "retire-uplink", user, password_file, reason=reason, uplink=uplink)
    click.echo(f"{uplink}: let go; it had not confirmed {answer['unconfirmed']:,} entries")


@click.command()
@line_folder
@click.option("--uplink", required=True, help="the uplink whose receiver gets them again")
@click.option("--from", "first", type=int, required=True, help="number of the first entry")
@click.option("--to", "last", type=int, required=True, help="number of the last entry")
@click.option("--epoch", type=int, help="their epoch, where the numbers alone do not tell")
@by_person
def replay(
    line: Path, uplink: str, first: int, last: int, epoch: int | None, reason: str, user: str | None, password_file: Path | None
) -> None:
    """Send entries that were confirmed once more, as they were sent: the same identities, bytes and times.

    The ordinary entries go first. A receiver counts each entry once, by epoch and number. How far it is stands in `status`; what came of
    it is a finding. Asked of the running gateway, which writes down who wanted it and why.
    """
    place = {"first": str(first), "last": str(last)} | ({} if epoch is None else {"epoch": str(epoch)})
    answer = told(line, "replay", user, password_file, reason=reason, uplink=uplink, **place)
    click.echo(f"{uplink}: entries {answer['first']} to {answer['last']} of epoch {answer['epoch']} go out once more")


@click.command()
@line_folder
@by_person
def new_epoch(line: Path, reason: str, user: str | None, password_file: Path | None) -> None:
    """Have the next start begin a new epoch: the way out where an EBR holds other entries under the identities of this one."""
    answer = told(line, "new-epoch", user, password_file, reason=reason)
    click.echo(f"epoch {answer['epoch']} ends with this run; restart the gateway to begin the next one")
