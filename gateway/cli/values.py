"""Defines the command that shows present values."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, NOT_REACHED, as_json, data_of, fail, line_folder, people_of, print_json, shown


@click.command()
@line_folder
@click.option(
    "--filter", "words", metavar="TEXT", default="", help="only tags in whose name, source, equipment or quality each word stands"
)
@click.option("--watch", is_flag=True, help="show them live; Ctrl-C leaves")
@as_json
def values(line: Path, words: str, watch: bool, as_json: bool) -> None:
    """Show the present value of each tag, with unit, quality and age. Asked of the running gateway. Exit 1 if no tag fits."""
    now = _asked(line, words)
    if not now["tags"]:
        click.echo(f"no tag of this line holds {words!r}" if words else "this line has no tags", err=True)
        sys.exit(FINDING)
    if as_json:
        print_json(now)
        return
    from gateway.cli.terminal import live, plain
    from gateway.cli.value_table import value_table

    if not watch:
        click.echo(plain(value_table(now)))
        return
    live(lambda: _asked(line, words, is_again=True), value_table)


def _asked(line: Path, words: str, *, is_again: bool = False) -> dict[str, Any]:
    """Ask for the values, and keep those that fit. is_again: raise NotRunning instead of ending: it may be starting again."""
    from gateway.operation.control import NotRunning, ask_values
    from gateway.operation.value_wording import fits

    try:
        now = ask_values(data_of(line), people_of(line))
    except NotRunning as error:
        if is_again:
            raise
        fail(str(error), NOT_REACHED)
    if "tags" not in now:
        fail(
            f"{line}: the gateway runs, and can not say what its values are: {now.get('error', 'its answer is not understood')}",
            NOT_REACHED,
        )
    now = shown(now)
    return {**now, "tags": [row for row in now["tags"] if fits(row, words)]}
