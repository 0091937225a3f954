"""Defines the commands that qualify an installation, and show, sign, dispose of and verify the folder of evidence that they make."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.about import read_keys, release_keys_option
from gateway.cli.base import FINDING, FOLDER, GOOD, PATH, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, people_of, print_json
from gateway.cli.change_impact import impact
from gateway.cli.documents import public_keys_from, replace, write
from gateway.cli.evidence import FORMS, NAME, Making, disposed_text, made, makes_evidence, text_of
from gateway.cli.persons import by_person, password_option, person
from gateway.cli.qualify_pq import pq

bundle_folder = click.argument("folder", type=FOLDER, metavar="DIR", help="a folder that qualify made")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def qualify() -> None:
    """Qualification: check the installation; show, sign, dispose of and verify evidence; what a change asks for."""


qualify.add_command(impact)
qualify.add_command(pq)


@qualify.command(short_help="Installation qualification, on the plant's PC; reads only")
@line_folder
@click.option("--account", default="ebr-gateway", help="account of the service")
@click.option(
    "--port", "ports", type=int, multiple=True, help="a port beside the gateway's that other machines may reach, as 22; repeat it"
)
@release_keys_option
@makes_evidence
def iq(line: Path, account: str, ports: tuple[int, ...], key: Path | None, making: Making) -> None:
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

    def drafted(bundle: Bundle) -> dict[str, Any]:
        of = iq.subject(line, Host(account=account, ports=ports), now, keys, str(key or release.KEYS))
        return iq.qualified(of, bundle, making.run)

    made(line, making, drafted)


@qualify.command(short_help="Operational qualification on a copy with simulated devices")
@line_folder
@click.option("--case", "cases", multiple=True, help="only this case, as OQ-02; repeat it")
@click.option("--seconds", type=click.FloatRange(15, 3600), default=60.0, help="how long the line runs in each case")
@click.option("--ebr", type=PATH, help="a file with a test account of the site's own EBR, for the one case that sends to it")
@makes_evidence
def oq(line: Path, cases: tuple[str, ...], seconds: float, ebr: Path | None, making: Making) -> None:
    """Play faults on a copy of the line with simulated devices and the reference EBR, unattended; the plant is not touched.

    What is not played is listed as not executed, with the reason. Exit 0: every case was played and passed; 1: not.
    """
    import signal

    from gateway.runtime import assembly
    from gateway.validation.oq.cases import CASES
    from gateway.validation.oq.document import Asked, qualified
    from gateway.validation.oq.site_ebr import WrongAccount, read_account

    if unknown := sorted(set(cases) - {case.id for case in CASES}):
        fail(f"--case {unknown[0][:20]}: there are {', '.join(case.id for case in CASES)}", WRONG_INPUT)
    site = assembly.load(line)
    if not site.uplinks:
        fail(f"{line}: the line has no uplink, and so no EBR that could be compared with", WRONG_INPUT)
    try:
        account = None if ebr is None else read_account(ebr, site)
    except WrongAccount as error:
        fail(str(error), WRONG_INPUT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended, in order
    asked = Asked(cases, seconds, account, making.run)
    made(line, making, lambda bundle: qualified(site, bundle, asked, lambda text: click.echo(text, err=True)))


def _document(folder: Path) -> dict[str, Any]:
    from gateway.documents import NotADocument
    from gateway.validation.bundle import document_of, unfinished

    if (begun := unfinished(folder)) is not None:
        fail(f"{folder}: the run that began at {begun} came to no end, or still goes on: it has no document, and is not passed", FINDING)
    try:
        return document_of(folder)
    except NotADocument as error:
        fail(str(error), FINDING)


def _dispositions(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    from gateway.documents import NotADocument
    from gateway.validation.bundle import dispositions_of

    try:
        return dispositions_of(folder)
    except NotADocument as error:
        fail(str(error), FINDING)


@qualify.command(short_help="Say what came of it, who signed, what was disposed of")
@bundle_folder
@as_json
def show(folder: Path, as_json: bool) -> None:
    """Say what came of a qualification, and what persons have disposed of since.

    Exit 1: it is not passed, and not passed with dispositions either.
    """
    from gateway.documents.deviations import WITH_DISPOSITIONS, standing

    document, series = _document(folder), _dispositions(folder)
    newest = series[-1][1] if series else None
    result, open_ = standing(document, newest)
    dispositions = newest["facts"]["dispositions"] if newest else []
    if as_json:
        told = {"dispositions": dispositions, "open": open_, "signatures": document["signatures"]}
        print_json({**document["facts"], "own_result": document["result"], "result": result, **told})
    else:
        click.echo(f"{document['title']}, {document['made_at']['local']}\n{text_of(document)}")
        click.echo(disposed_text(document, dispositions, result, open_))
        click.echo("\n".join([*_signed(document), *_unwitnessed(document)]))
    sys.exit(GOOD if result in ("passed", WITH_DISPOSITIONS) else FINDING)


def _signed(document: Mapping[str, Any]) -> list[str]:
    names = [f"signed by {one['name']} ({one['user']}, {one['role']}): {one['meaning']}, {one['local']}" for one in document["signatures"]]
    return names or ["nobody has signed it"]


def _unwitnessed(document: Mapping[str, Any]) -> list[str]:
    """Say that the witness who was named has not signed."""
    from gateway.documents.deviations import witnessed_by

    witness = document["facts"].get("witness")
    return [f"its witness {witness} has not signed it"] if witness and witness not in witnessed_by(document) else []


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
    signed = told(line, "document-sign", user, password_file, document=document, meaning=meaning)["document"]
    replace(folder / f"{NAME}.json", signed)
    for form in FORMS[1:]:
        (folder / f"{NAME}.{form}").unlink(missing_ok=True)
    write(signed, folder, FORMS[1:], NAME)
    click.echo(_signed(signed)[-1])


@qualify.command(short_help="Dispose of a deviation: accept, retest, reject")
@line_folder
@bundle_folder
@click.option("--no", "number", type=click.IntRange(min=1), required=True, help="number of the deviation, as `show` tells it")
@click.option("--impact", required=True, help="what it means for the product and the record, in at least ten characters")
@click.option(
    "--disposition",
    type=click.Choice(["accept", "retest", "reject"]),
    required=True,
    help="accept it as it is; have it tested again; reject the run",
)
@by_person
def dispose(
    line: Path, folder: Path, number: int, impact: str, disposition: str, reason: str, user: str | None, password_file: Path | None
) -> None:
    """Dispose of one deviation with your password, as a document of its own beside the run's, which is not changed; nor is its evidence.

    Never by who executed the run. A later disposition of the same deviation takes the place of the former; both are kept.
    """
    from gateway.cli.persons import told
    from gateway.documents.deviations import standing
    from gateway.validation.bundle import DISPOSITIONS, next_name

    document, series = _document(folder), _dispositions(folder)
    if wrong := [*_wrong(folder, document), *_series_wrong(document, series)]:
        fail(f"{folder}: nothing is disposed of: {wrong[0]}", FINDING)
    newest = series[-1][1] if series else None
    given = {"no": number, "impact": impact, "disposition": disposition, "document": document, "newest": newest}
    one = told(line, "qualification-dispose", user, password_file, reason=reason, **given)["document"]
    write(one, folder / DISPOSITIONS, FORMS, next_name(series))
    click.echo(disposed_text(document, one["facts"]["dispositions"], *standing(document, one)))


def _wrong(folder: Path, document: Mapping[str, Any]) -> list[str]:
    from gateway.documents import NotADocument
    from gateway.validation.bundle import problems

    try:
        return problems(folder, document)
    except NotADocument as error:
        return [str(error)]


def _series_wrong(document: Mapping[str, Any], series: list[tuple[str, dict[str, Any]]]) -> list[str]:
    from gateway.documents.deviations import series_problems

    return series_problems(document, series)


@qualify.command(short_help="Say whether document, evidence, dispositions and signatures are as they were")
@bundle_folder
@click.option("--key", type=PATH, help="file with the gateway's public keys, as you got them another way")
@as_json
def verify(folder: Path, key: Path | None, as_json: bool) -> None:
    """Say whether the document, every file of evidence, every disposition and every signature are as they were made.

    Exit 0: all are, somebody signed, and the witness if one was named; 1: not, or without --key. Of the test runs of a release: every run,
    and the chain of all, under the release's key.
    """
    from gateway.documents.deviations import standing
    from gateway.operation.document_commands import signature_problems
    from gateway.validation import test_runs

    document, series, keys = _document(folder), _dispositions(folder), public_keys_from(None, key)
    wrong = [*_wrong(folder, document), *signature_problems(document, keys), *_unwitnessed(document), *_series_wrong(document, series)]
    wrong += [f"{name}: {problem}" for name, one in series for problem in signature_problems(one, keys)]
    is_release = document["document"] == test_runs.KIND
    wrong += test_runs.problems(folder, document, keys) if is_release else []
    good = not wrong and (is_release or bool(document["signatures"]))
    result, open_ = standing(document, series[-1][1] if series else None)
    if as_json:
        told = {"result": result, "dispositions": len(series), "open": open_}
        print_json({"sha256": document["sha256"], "problems": wrong, "signatures": _signed(document), **told, "good": good})
    else:
        counted = f"{len(document['facts']['evidence'])} files of evidence, {len(series)} dispositions, {len(open_)} deviations open"
        whole = f"{folder}: document as it was made, SHA-256 {document['sha256']}, {counted}"
        signed = [f"signed by the release key {document['gateway']}"] if is_release and good else _signed(document)
        click.echo("\n".join([whole, *signed, *wrong, f"result: {result}"]))
    sys.exit(GOOD if good else FINDING)


@click.command(name="restore-test")
@line_folder
@click.option("--from", "source", type=FOLDER, required=True, help="the backup's folder")
@click.option("--ebr", type=PATH, help="the store of the EBR: what it has beyond the backup is restored, too")
@click.option("--within-h", type=click.FloatRange(min=0.001), default=4.0, help="the declared recovery time, in hours")
@makes_evidence
def restore_test(line: Path, source: Path, ebr: Path | None, within_h: float, making: Making) -> None:
    """Restore a backup beside the line, prove it, compare it with the journal, decide a batch again, and throw it away.

    The line is read only, running or not. Exit 0: every check was made and passed; 1: not.
    """
    import config
    from gateway.validation.restore_test import Given, tested

    keys = "\n".join(public_keys_from(line, None))
    given = Given(config.identity(line).gateway, data_of(line), source, ebr, keys, within_h * 3600)
    made(line, making, lambda bundle: tested(given, bundle, making.run))


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def verification() -> None:
    """The verification that is made from time to time."""


@verification.command(name="run", short_help="Verify journal, newest backup, archives, store, witnesses")
@line_folder
@click.option("--archive", "archives", type=PATH, multiple=True, help="an archive of a batch, too; repeat it")
@click.option("--ebr", type=PATH, help="the store of the EBR, too")
@makes_evidence
def run_verification(line: Path, archives: tuple[Path, ...], ebr: Path | None, making: Making) -> None:
    """Verify the journal, the newest backup, archives, the EBR's store and the checkpoints of witnesses that are folders.

    As a document with its evidence. The line is read only, running or not. Exit 0: each was verified and is good; 1: not.
    """
    import config
    from gateway.validation.verification import Given, verified

    keys = "\n".join(public_keys_from(line, None))
    given = Given(config.identity(line).gateway, config.read(line)[0], data_of(line), keys, archives, ebr)
    made(line, making, lambda bundle: verified(given, bundle, making.run))
