"""Defines the commands on documents, and what every command that makes one shares: it is recorded, written, signed, checked in one way."""

import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, PATH, WRONG_INPUT, Words, data_of, fail, line_folder, people_of, print_json
from gateway.cli.persons import answered, credentials, password_option, person

F = TypeVar("F", bound=Callable[..., Any])
_FORMS = ("json", "html", "pdf")
document_file = click.argument("file", type=PATH, metavar="FILE", help="the JSON of a document")


def makes_document(command: F) -> F:
    """Give a command the options of one that makes a document: --to, --form, --user, --password-file."""
    forms = click.option(
        "--form", "forms", type=click.Choice(_FORMS), multiple=True, default=_FORMS, help="json, html, pdf; all unless told"
    )
    to = click.option("--to", type=FOLDER, required=True, help="the folder to write it to, which is made if need be")
    return to(forms(person(password_option(command))))


def may_be_document(command: F) -> F:
    """Give a command that prints a list the options by which it becomes a document: --into, --user, --password-file.

    Not --to, which says until when.
    """
    to = click.option("--into", "to", type=FOLDER, help="make a document of it in this folder: JSON, HTML and PDF; recorded in the journal")
    return to(person(password_option(command)))


def published(line: Path, drafts: Callable[[], Mapping[str, Any]], to: Path | None, user: str | None, password_file: Path | None) -> None:
    """Make a document of what a list holds, and say where it is. Ends the program where it is too long, or no folder was named."""
    from gateway.operation.drafts import TooLong

    if to is None:
        fail("--format pdf: into which folder? --into DIR", WRONG_INPUT)
    try:
        drafted = drafts()
    except TooLong as error:
        fail(str(error), WRONG_INPUT)
    document, files = publish(line, drafted, to, _FORMS, user, password_file)
    click.echo(f"{document['title']}: document {document['id']}, sha256 {document['sha256']}")
    for file in files:
        click.echo(file)


def publish(
    line: Path,
    drafted: Mapping[str, Any],
    to: Path,
    forms: Sequence[str],
    user: str | None,
    password_file: Path | None,
    name: str | None = None,
) -> tuple[dict[str, Any], list[Path]]:
    """Make a document of a draft (`gateway.documents.draft`), record it in the journal and write its files; return both.

    Where it can not be recorded (nobody was named who may, no gateway runs and the journal is not for us) it is made all the same, and the
    standard error says why it stands in no journal. Ends the program where the files can not be written.
    """
    said = credentials(user, password_file)
    answer = recorded(line, {"draft": dict(drafted), **said})
    if "error" in answer and said:
        fail(answer["error"], WRONG_INPUT)
    if "error" in answer:
        click.echo(f"not recorded in the journal: {answer['error']}", err=True)
        document = alone(line, drafted)
    else:
        document = answer["document"]
    return document, write(document, to, forms, name)


def recorded(line: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Have a document recorded; `error` where that can not be, whatever is in the way."""
    from config import ConfigError

    try:
        return answered(line, "document-record", dict(arguments))
    except SystemExit:  # which said why
        return {"error": "the line's gateway could not be asked"}
    except (OSError, ConfigError) as error:
        return {"error": str(error)}


def alone(line: Path, drafted: Mapping[str, Any]) -> dict[str, Any]:
    """Put the head on a draft without the gateway's word: its clock is not known, and who made it is the account."""
    import config
    from buffer.times import now_ticks
    from gateway.access.actor import account, myself
    from gateway.changes import software
    from gateway.documents import head, unsigned
    from gateway.operation.control import NotRunning, ask
    from gateway.operation.document_state import stated_offline, stated_running

    identity = config.identity(line)
    try:
        state = stated_running(ask(data_of(line), people_of(line)))
    except NotRunning:
        state = stated_offline(identity, now_ticks())
    who = account(myself()).who
    names: dict[str, Any] = {"line": identity.line.name, "gateway": identity.gateway, "zone": identity.line.timezone}
    return unsigned(head(drafted, **names, **state, software=software(), who=who, station=socket.gethostname()))


def write(document: Mapping[str, Any], to: Path, forms: Sequence[str], name: str | None = None) -> list[Path]:
    """Write the files of a document. Ends the program where that can not be."""
    from buffer.times import now_ticks
    from gateway.documents import written

    try:
        return written(document, to, forms, now_ticks(), name)
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}", WRONG_INPUT)


def can_be_written(to: Path) -> None:
    """Look whether a document can be written into a folder, before anything is done for it; leave nothing. Ends the program where not."""
    from tempfile import TemporaryFile

    try:
        there = next(place for place in (to, *to.parents) if place.exists())
        with TemporaryFile(dir=there):  # in the folder, or in that in which it is made
            pass
    except OSError as error:
        fail(f"--to {to}: {error.strerror}: name a folder in which you may make files", WRONG_INPUT)


def public_keys_from(line: Path | None, key: Path | None) -> list[str]:
    """Return the public keys to check signatures with: of a file, else of the line."""
    from gateway.cli.keys import public_keys

    if key is not None:
        return key.read_text("utf-8").split()
    return [] if line is None else public_keys(data_of(line))


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def document() -> None:
    """Documents of the line: verify, print, record, sign."""


def _read(file: Path) -> dict[str, Any]:
    from gateway.documents import NotADocument, read

    try:
        return read(file)
    except NotADocument as error:
        fail(str(error), FINDING)


@document.command(short_help="Say whether it is as it was made, and who signed it")
@document_file
@click.option("--key", type=PATH, help="file with the gateway's public keys, as you got them another way")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def verify(file: Path, key: Path | None, as_json: bool) -> None:
    """Say whether a document is as it was made, and whether each signature under it holds.

    Exit 0: whole, and every signature holds; 1: not, or nobody has signed it, or without --key.
    """
    from gateway.operation.document_commands import signature_problems

    told, publics = _read(file), public_keys_from(None, key)
    problems = signature_problems(told, publics)
    names = [f"{one['name']} ({one['user']}, {one['role']}): {one['meaning']}, {one['local']}" for one in told["signatures"]]
    good = bool(names) and not problems
    if as_json:
        print_json({"sha256": told["sha256"], "signatures": names, "problems": problems, "good": good})
    else:
        click.echo(f"{file}: {told['document']} {told['id']} of {told['gateway']}, as it was made; SHA-256 {told['sha256']}")
        lines = [f"signed by {name}" for name in names] or ["nobody has signed it"]
        click.echo("\n".join([*lines, *(f"a signature does not hold: {problem}" for problem in problems)]))
    sys.exit(GOOD if good else FINDING)


@document.command(name="print", short_help="Write its HTML and PDF anew")
@document_file
@click.option("--to", type=FOLDER, required=True, help="the folder to write to")
@click.option("--form", "forms", type=click.Choice(_FORMS[1:]), multiple=True, default=_FORMS[1:], help="html, pdf; both unless told")
def print_(file: Path, to: Path, forms: tuple[str, ...]) -> None:
    """Write HTML and PDF of a document anew, with who has signed it by now and when it was printed."""
    for path in write(_read(file), to, forms, file.stem):
        click.echo(str(path))


@document.command(short_help="Record one in the journal that is not there yet")
@line_folder
@document_file
@person
@password_option
def record(line: Path, file: Path, user: str | None, password_file: Path | None) -> None:
    """Record a document in the journal that was made while nobody was named who may, or by another account."""
    from gateway.cli.persons import told

    answer = told(line, "document-record", user, password_file, document=_read(file))
    click.echo(f"{file}: recorded, SHA-256 {answer['document']['sha256']}")


@document.command(short_help="Sign one, and record that")
@line_folder
@document_file
@click.option("--meaning", required=True, help="what the signature means, as `reviewed and approved`")
@person
@password_option
def sign(line: Path, file: Path, meaning: str, user: str | None, password_file: Path | None) -> None:
    """Sign a document with your password; the signature stands in the journal and in the file."""
    from gateway.cli.persons import told

    answer = told(line, "document-sign", user, password_file, document=_read(file), meaning=meaning)
    replace(file, answer["document"])
    one = answer["document"]["signatures"][-1]
    click.echo(f"{file}: signed by {one['name']} ({one['user']}, {one['role']}): {one['meaning']}, {one['local']}")


def replace(file: Path, told: Mapping[str, Any]) -> None:
    """Put a document in the place of its file, whole or not at all."""
    import json

    from buffer import durable

    durable.write(file, json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n", file.stat().st_mode & 0o777)
