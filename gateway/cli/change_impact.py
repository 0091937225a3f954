"""Defines the command that says what a change of software or line folder asks for."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, GOOD, PATH, WRONG_INPUT, fail
from gateway.cli.documents import publish
from gateway.cli.persons import password_option, person

STATE = "a release.json, a wheel, a folder with one, or a source tree"


@click.command(short_help="Say which tests a change asks for, and why no others")
@click.option("--from", "begin", type=PATH, required=True, help=f"the software that is qualified: {STATE}")
@click.option("--to", "end", type=PATH, help="the software that is to be; this installation without it")
@click.option("--config", type=PATH, nargs=2, metavar="OLD NEW", help="two line folders: what their difference asks for, too")
@click.option("--change-no", help="number of the change, for the document")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="text or json")
@click.option("--line", type=PATH, help="make it a document of this line, for signatures")
@click.option("--out", type=PATH, help="the folder for the document")
@person
@password_option
def impact(
    begin: Path,
    end: Path | None,
    config: tuple[Path, Path] | None,
    change_no: str | None,
    form: str,
    line: Path | None,
    out: Path | None,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Say what a change of the software or of a line folder touches: rooms, interfaces, requirements, tests to run, tests not to run.

    A test is run again if it or something that it reaches changed. Exit 1 if anything has to be shown again.
    """
    from gateway.validation.traceability import changes
    from gateway.validation.traceability.change_forms import KIND, TITLE, blocks, facts, text

    if (line is None) != (out is None):
        fail("--line and --out belong together", WRONG_INPUT)
    found = changes.impact(_state(begin), _state(end)) | {"change_no": change_no, "configuration": _configuration(config)}
    if line is not None and out is not None:
        from gateway.documents import draft

        drafted = draft(KIND, TITLE, blocks(found), facts(found), result=None, journal=[])
        for file in publish(line, drafted, out, ("json", "html", "pdf"), user, password_file)[1]:
            click.echo(str(file))
    else:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False) if form == "json" else text(found))
    sys.exit(FINDING if _asks(found) else GOOD)


def _asks(found: Mapping[str, Any]) -> bool:
    of_lines = found["configuration"]
    return bool(found["run"] or found["requirements"] or found["gone"] or (of_lines and of_lines["tests"]))


def _state(place: Path | None) -> Any:
    """Read one state of the software. Ends the program where there is none."""
    from gateway.validation.traceability.states import state_of
    from gateway.validation.traceability.tree import NoTraceability

    try:
        return state_of(place)
    except NoTraceability as error:
        fail(str(error), WRONG_INPUT)


def _configuration(folders: Sequence[Path] | None) -> dict[str, Any] | None:
    """Assess the difference of two line folders as `config impact` does. Ends the program where one has errors."""
    from gateway.changes.impact import impact as of_lines

    if not folders:
        return None
    import config

    try:
        old, new = (config.load(folder) for folder in folders)
    except config.ConfigError as error:
        fail("\n".join(map(str, error.problems)), WRONG_INPUT)
    return of_lines(old, new)
