"""Defines the commands that ask the running gateway."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.base import FINDING, GOOD, NOT_REACHED, WRONG_INPUT, AsJson, Folder, app, asked, data_of, fail, print_json


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
    live(lambda: ask(data_of(line)))


@app.command(name="release-hold")
def release_hold(
    line: Folder,
    *,
    batch: Annotated[str, typer.Option(help="the batch that QA lets go")],
    reason: Annotated[str, typer.Option(help="why; stands in the audit trail")],
) -> None:
    """Let a held batch go: from then on retention decides. Asked of the running gateway, which writes it down."""
    _told(line, "release-hold", reason, batch=batch)
    typer.echo(f"{batch}: released")


@app.command(name="retire-uplink")
def retire_uplink(
    line: Folder,
    *,
    uplink: Annotated[str, typer.Option(help="the uplink that line.toml no longer names")],
    reason: Annotated[str, typer.Option(help="why; stands in the audit trail")],
) -> None:
    """Let go an uplink that was renamed or removed: nothing is kept for its receipts any more. Asked of the running gateway."""
    answer = _told(line, "retire-uplink", reason, uplink=uplink)
    typer.echo(f"{uplink}: let go; it had not confirmed {answer['unconfirmed']:,} entries")


@app.command(name="new-epoch")
def new_epoch(line: Folder, *, reason: Annotated[str, typer.Option(help="why; stands in the audit trail")]) -> None:
    """Have the next start begin a new epoch: the way out where an EBR holds other entries under the identities of this one."""
    answer = _told(line, "new-epoch", reason)
    typer.echo(f"epoch {answer['epoch']} ends with this run; restart the gateway to begin the next one")


def _told(line: Path, command: str, reason: str, **arguments: str) -> dict[str, Any]:
    """Have the running gateway carry out a command and return its answer; ends the program where it does not."""
    from gateway.operation.control import NotRunning, tell

    if not reason.strip():
        fail("--reason: a reason is needed", WRONG_INPUT)
    try:
        answer = tell(data_of(line), command, reason=reason, **arguments)
    except NotRunning as error:
        fail(str(error), NOT_REACHED)
    if "error" in answer:
        fail(answer["error"], WRONG_INPUT)
    return answer
