"""Defines the commands that compare lines, and take along the facts of one to where it is compared."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, PATH, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, people_of, print_json
from gateway.cli.documents import may_be_document, public_keys_from, published

if TYPE_CHECKING:
    from gateway.validation.fleet.compared import Given
    from gateway.validation.fleet.facts import Facts

bundle_option = click.option(
    "--bundle", "bundles", type=FOLDER, multiple=True, help="evidence that `qualify` made and no journal remembers; repeat it"
)


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def fleet() -> None:
    """Several lines and sites: compare them; take the facts of one along."""


@fleet.command(short_help="Say what differs, and which evidence that blocks")
@click.argument("lines", type=PATH, nargs=-1, required=True, metavar="LINE...", help="line folders, and files that `fleet facts` wrote")
@bundle_option
@as_json
@may_be_document
def compare(
    lines: tuple[Path, ...], bundles: tuple[Path, ...], as_json: bool, to: Path | None, user: str | None, password_file: Path | None
) -> None:
    """Compare lines: software, schemas, interfaces, fields, lot rules, tag map, configuration, qualification. Reads only.

    The first LINE is the one whose evidence is to be used again for the others; where it can not be read nothing is compared. Another
    that can not be read is told, and the rest compared. Exit 0: nothing is in the way; 1: something is, or a line could not be read.
    """
    from gateway.entries.printable import printable
    from gateway.validation.fleet.compared import as_json as told
    from gateway.validation.fleet.compared import compared, named_twice
    from gateway.validation.fleet.written import drafted, text

    if len(lines) < 2:
        fail("which lines? at least two: the first is the one whose evidence is to be used again", WRONG_INPUT)
    given = [_given(line, bundles) for line in lines]
    if (twice := named_twice(given)) is not None:
        fail(printable(twice), WRONG_INPUT)
    made = compared(given)
    if to is not None:
        published(_recorded_at(lines), lambda: _short_enough(drafted(made)), to, user, password_file)
    if as_json:
        print_json(told(made))
    else:
        click.echo(text(made))
    sys.exit(GOOD if made.result == "passed" else FINDING)


@fleet.command(short_help="Write the facts of a line, to be compared elsewhere")
@line_folder
@click.option("--to", type=PATH, required=True, help="the file, new; it holds no secrets")
@bundle_option
def facts(line: Path, to: Path, bundles: tuple[Path, ...]) -> None:
    """Write everything of a line that is compared into a file, with its digest: for `fleet compare` on another machine."""
    from gateway.entries.printable import printable
    from gateway.validation.fleet.facts import NoFacts, sha256_of, text_of

    try:
        taken = _taken(line, bundles)
        with to.open("x", encoding="utf-8") as file:
            file.write(text_of(taken))
    except NoFacts as error:
        fail(printable(str(error)), WRONG_INPUT)
    except OSError as error:
        fail(f"{to}: {error.strerror}: name a new file", WRONG_INPUT)
    click.echo("\n".join([*(printable(text) for text in taken.unread), f"{to}: {taken.gateway}, SHA-256 {sha256_of(taken)}"]))


def _given(named: Path, bundles: Sequence[Path]) -> "Given":
    """Read a line, folder or file. Whatever is wrong with it is its own row."""
    from gateway.validation.fleet.compared import Given
    from gateway.validation.fleet.facts import NoFacts, read

    try:
        return Given(str(named), _taken(named, bundles) if named.is_dir() else read(named))
    except NoFacts as error:
        return Given(str(named), None, str(error).removeprefix(f"{named}: "))
    except Exception as error:  # noqa: BLE001 - a line that breaks the reading must not keep the others from being compared
        return Given(str(named), None, f"{type(error).__name__}: {error}")


def _taken(folder: Path, bundles: Sequence[Path]) -> "Facts":
    from config import ConfigError
    from gateway.operation.control import NotRunning, ask
    from gateway.validation.fleet.taken import facts_of

    try:
        now: dict[str, Any] | None = ask(data_of(folder), people_of(folder))
    except (NotRunning, ConfigError):
        now = None
    try:
        keys = public_keys_from(folder, None)
    except (OSError, ConfigError):
        keys = []
    return facts_of(folder, now, bundles, keys)


def _recorded_at(lines: Sequence[Path]) -> Path:
    """Return the line in whose journal the document is recorded: the first that is a folder."""
    folders = [line for line in lines if line.is_dir()]
    if not folders:
        fail("--into: a document is recorded in the journal of a line: name one of the lines by its folder", WRONG_INPUT)
    return folders[0]


def _short_enough(drafted: dict[str, Any]) -> dict[str, Any]:
    from gateway.operation.drafts import MOST_BYTES, TooLong

    if len(json.dumps(drafted, ensure_ascii=False).encode()) > MOST_BYTES:
        raise TooLong("the lines differ in more than one document holds: compare fewer lines, or without --into")
    return drafted
