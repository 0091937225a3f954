"""Defines the commands that qualify an installation, and show, sign and verify the folder of evidence that they make."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.about import read_keys, release_keys_option
from gateway.cli.base import FINDING, FOLDER, GOOD, PATH, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, people_of, print_json
from gateway.cli.change_impact import impact
from gateway.cli.documents import public_keys_from, replace, write
from gateway.cli.persons import password_option, person
from gateway.cli.qualify_bundle import put, text_of, to_folder
from gateway.cli.qualify_pq import pq

bundle_folder = click.argument("folder", type=FOLDER, metavar="DIR", help="a folder that qualify made")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def qualify() -> None:
    """Qualification: check the installation; show, sign and verify evidence; what a change asks for."""


qualify.add_command(impact)
qualify.add_command(pq)


@qualify.command(short_help="Installation qualification, on the plant's PC; reads only")
@line_folder
@to_folder
@click.option("--account", default="ebr-gateway", help="account of the service")
@click.option(
    "--port", "ports", type=int, multiple=True, help="a port beside the gateway's that other machines may reach, as 22; repeat it"
)
@release_keys_option
@person
@password_option
def iq(line: Path, to: Path, account: str, ports: tuple[int, ...], key: Path | None, user: str | None, password_file: Path | None) -> None:
    """Check software, service, rights, machine and interfaces of an installed line, each expected and found; run it as root.

    Nothing of the line is changed, but that the document is recorded in the journal. Exit 0: every check was made and passed; 1: not.
    """
    from gateway.changes import release
    from gateway.operation.control import NotRunning, ask
    from gateway.validation import iq
    from gateway.validation.bundle import Bundle
    from gateway.validation.host import Host

    keys = read_keys(key)
    try:
        now = ask(data_of(line), people_of(line))
    except NotRunning:
        now = None
    try:
        bundle = Bundle(to)
        of = iq.subject(line, Host(account=account, ports=ports), now, keys, str(key or release.KEYS))
        drafted = iq.qualified(of, bundle)
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}", WRONG_INPUT)
    document = put(line, drafted, to, user, password_file)
    click.echo(text_of(document))
    click.echo(f"{to}: {document['title']}, SHA-256 {document['sha256']}")
    sys.exit(GOOD if document["result"] == "passed" else FINDING)


@qualify.command(short_help="Operational qualification on a copy with simulated devices")
@line_folder
@to_folder
@click.option("--case", "cases", multiple=True, help="only this case, as OQ-02; repeat it")
@click.option("--seconds", type=click.FloatRange(15, 3600), default=60.0, help="how long the line runs in each case")
@person
@password_option
def oq(line: Path, to: Path, cases: tuple[str, ...], seconds: float, user: str | None, password_file: Path | None) -> None:
    """Play faults on a copy of the line with simulated devices and the reference EBR, unattended; the plant is not touched.

    What is not played is listed as not executed. Exit 0: every case was played and passed; 1: not.
    """
    import signal

    from gateway.runtime import assembly
    from gateway.validation import oq
    from gateway.validation.bundle import Bundle
    from gateway.validation.oq_cases import CASES

    if unknown := sorted(set(cases) - {case.id for case in CASES}):
        fail(f"--case {unknown[0][:20]}: there are {', '.join(case.id for case in CASES)}", WRONG_INPUT)
    site = assembly.load(line)
    if not site.uplinks:
        fail(f"{line}: the line has no uplink, and so no EBR that could be compared with", WRONG_INPUT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended, in order
    try:
        drafted = oq.qualified(site, Bundle(to), cases, seconds, lambda text: click.echo(text, err=True))
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}", WRONG_INPUT)
    document = put(line, drafted, to, user, password_file)
    click.echo(text_of(document))
    click.echo(f"{to}: {document['title']}, SHA-256 {document['sha256']}")
    sys.exit(GOOD if document["result"] == "passed" else FINDING)


def _document(folder: Path) -> dict[str, Any]:
    from gateway.documents import NotADocument
    from gateway.validation.bundle import document_of, unfinished

    if (begun := unfinished(folder)) is not None:
        fail(f"{folder}: the run that began at {begun} came to no end, or still goes on: it has no document, and is not passed", FINDING)
    try:
        return document_of(folder)
    except NotADocument as error:
        fail(str(error), FINDING)


@qualify.command(short_help="Say what came of it, and who signed")
@bundle_folder
@as_json
def show(folder: Path, as_json: bool) -> None:
    """Say what came of a qualification. Exit 1: it is not passed."""
    document = _document(folder)
    if as_json:
        print_json({**document["facts"], "result": document["result"], "signatures": document["signatures"]})
    else:
        click.echo(f"{document['title']}, {document['made_at']['local']}\n{text_of(document)}\nresult: {document['result']}")
        click.echo("\n".join(_signed(document)))
    sys.exit(GOOD if document["result"] == "passed" else FINDING)


def _signed(document: Mapping[str, Any]) -> list[str]:
    names = [f"signed by {one['name']} ({one['user']}, {one['role']}): {one['meaning']}, {one['local']}" for one in document["signatures"]]
    return names or ["nobody has signed it"]


@qualify.command(short_help="Sign it: executed, witnessed, approved")
@line_folder
@bundle_folder
@click.option("--meaning", required=True, help="what the signature means, as `executed`, `witnessed`, `approved`")
@person
@password_option
def sign(line: Path, folder: Path, meaning: str, user: str | None, password_file: Path | None) -> None:
    """Sign a qualification with your password, over the document and by it over every file of evidence; HTML and PDF are printed anew."""
    from gateway.cli.persons import told

    document = _document(folder)
    if wrong := _wrong(folder, document):
        fail(f"{folder}: is not signed: {wrong[0]}", FINDING)
    made = told(line, "document-sign", user, password_file, document=document, meaning=meaning)["document"]
    replace(folder / "document.json", made)
    for form in ("html", "pdf"):
        (folder / f"document.{form}").unlink(missing_ok=True)
    write(made, folder, ("html", "pdf"), "document")
    click.echo(_signed(made)[-1])


def _wrong(folder: Path, document: Mapping[str, Any]) -> list[str]:
    from gateway.documents import NotADocument
    from gateway.validation.bundle import problems

    try:
        return problems(folder, document)
    except NotADocument as error:
        return [str(error)]


@qualify.command(short_help="Say whether document, evidence and signatures are as they were")
@bundle_folder
@click.option("--key", type=PATH, help="file with the gateway's public keys, as you got them another way")
@as_json
def verify(folder: Path, key: Path | None, as_json: bool) -> None:
    """Say whether the document, every file of evidence and every signature are as they were made.

    Exit 0: all are, and somebody signed; 1: not, or without --key.
    """
    from gateway.operation.document_commands import signature_problems

    document = _document(folder)
    wrong = [*_wrong(folder, document), *signature_problems(document, public_keys_from(None, key))]
    good = not wrong and bool(document["signatures"])
    if as_json:
        print_json({"sha256": document["sha256"], "problems": wrong, "signatures": _signed(document), "good": good})
    else:
        counted = len(document["facts"]["evidence"])
        click.echo(
            "\n".join(
                [
                    f"{folder}: document as it was made, SHA-256 {document['sha256']}, {counted} files of evidence",
                    *_signed(document),
                    *wrong,
                ]
            )
        )
    sys.exit(GOOD if good else FINDING)


@click.command(name="restore-test")
@line_folder
@click.option("--from", "source", type=FOLDER, required=True, help="the backup's folder")
@click.option("--ebr", type=PATH, help="the store of the EBR: what it has beyond the backup is restored, too")
@to_folder
@click.option("--within-h", type=click.FloatRange(min=0.001), default=4.0, help="the declared recovery time, in hours")
@person
@password_option
def restore_test(
    line: Path, source: Path, ebr: Path | None, to: Path, within_h: float, user: str | None, password_file: Path | None
) -> None:
    """Restore a backup beside the line, prove it, compare it with the journal, decide a batch again, and throw it away.

    The line is read only, running or not. Exit 0: every check was made and passed; 1: not.
    """
    import config
    from gateway.validation.bundle import Bundle
    from gateway.validation.restore_test import Given, tested

    keys = "\n".join(public_keys_from(line, None))
    given = Given(config.identity(line).gateway, data_of(line), source, ebr, keys, within_h * 3600)
    try:
        drafted = tested(given, Bundle(to))
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}", WRONG_INPUT)
    document = put(line, drafted, to, user, password_file)
    click.echo(text_of(document))
    click.echo(f"{to}: {document['title']}, SHA-256 {document['sha256']}")
    sys.exit(GOOD if document["result"] == "passed" else FINDING)


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def verification() -> None:
    """The verification that is made from time to time."""


@verification.command(name="run", short_help="Verify journal, newest backup, archives, store, witnesses")
@line_folder
@click.option("--archive", "archives", type=PATH, multiple=True, help="an archive of a batch, too; repeat it")
@click.option("--ebr", type=PATH, help="the store of the EBR, too")
@to_folder
@person
@password_option
def run_verification(
    line: Path, archives: tuple[Path, ...], ebr: Path | None, to: Path, user: str | None, password_file: Path | None
) -> None:
    """Verify the journal, the newest backup, archives, the EBR's store and the checkpoints of witnesses that are folders.

    As a document with its evidence. The line is read only, running or not. Exit 0: each was verified and is good; 1: not.
    """
    import config
    from gateway.validation.bundle import Bundle
    from gateway.validation.verification import Given, verified

    keys = "\n".join(public_keys_from(line, None))
    given = Given(config.identity(line).gateway, config.read(line)[0], data_of(line), keys, archives, ebr)
    try:
        drafted = verified(given, Bundle(to))
    except OSError as error:
        fail(f"{error.filename or to}: {error.strerror}", WRONG_INPUT)
    document = put(line, drafted, to, user, password_file)
    click.echo(text_of(document))
    click.echo(f"{to}: {document['title']}, SHA-256 {document['sha256']}")
    sys.exit(GOOD if document["result"] == "passed" else FINDING)
