"""What every command that makes a folder of evidence shares: its options, how the document is recorded and written, what is said of it."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, WRONG_INPUT, fail
from gateway.cli.documents import alone, publish, recorded, write
from gateway.cli.persons import password_option, person
from gateway.documents.deviations import WITH_DISPOSITIONS
from gateway.validation.bundle import Bundle
from gateway.validation.run import Run

FORMS = ("json", "html", "pdf")
NAME = "document"


class Making(NamedTuple):
    """How a folder of evidence is asked for. to: the folder."""

    to: Path
    run: Run
    user: str | None
    password_file: Path | None


def makes_evidence(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of one that makes a folder of evidence: --to, --plan, --witness, --user, --password-file.

    The command gets them as one argument, `making`.
    """

    @functools.wraps(command)
    def called(*, to: Path, plan: str | None, witness: str | None, user: str | None, password_file: Path | None, **more: Any) -> None:
        command(making=Making(to, run_of(plan, user, witness), user, password_file), **more)

    own = [each for each in inspect.signature(command).parameters.values() if each.name != "making"]
    handed = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in ("to", "plan", "witness", "user", "password_file")]
    vars(called)["__signature__"] = inspect.Signature([*own, *handed])  # what click hands over
    to = click.option("--to", type=FOLDER, required=True, help="the folder of the evidence, new or empty")
    return to(of_plan(person(password_option(called))))


def of_plan(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say of which plan a run is, and who watches: --plan, --witness."""
    plan = click.option("--plan", help="id of the test plan or protocol that this run is of")
    witness = click.option("--witness", help="user who watches, and alone signs it as `witnessed`; not the one who runs it")
    return plan(witness(command))


def run_of(plan: str | None, user: str | None, witness: str | None) -> Run:
    """Return a run of these persons. Ends the program where the tester is to be his own witness."""
    if witness is not None and witness == user:
        fail(f"--witness {witness}: is the tester; the witness is somebody else", WRONG_INPUT)
    return Run(plan, user, witness)


def made(line: Path, making: Making, drafted: Callable[[Bundle], Mapping[str, Any]], said: Mapping[str, str] | None = None) -> None:
    """Make the folder: its evidence, its document, three forms; record it, say what came of it, end with its exit code.

    said: what the person said before a run of days; None: he is asked when it has ended.
    """
    try:
        draft = drafted(Bundle(making.to))
        document = _put(line, draft, making) if said is None else put_by(line, draft, making.to, said)
    except OSError as error:
        fail(f"{error.filename or making.to}: {error.strerror}", WRONG_INPUT)
    click.echo(text_of(document))
    click.echo(f"{making.to}: {document['title']}, SHA-256 {document['sha256']}")
    sys.exit(GOOD if document["result"] == "passed" else FINDING)


def _put(line: Path, drafted: Mapping[str, Any], making: Making) -> dict[str, Any]:
    """Record the document where it can be, and write its three forms. Without a person it is recorded by nobody."""
    if making.user is None:
        return put_by(line, drafted, making.to, {})
    document, _ = publish(line, drafted, making.to, FORMS, making.user, making.password_file, NAME)
    return document


def put_by(line: Path, drafted: Mapping[str, Any], to: Path, said: Mapping[str, str]) -> dict[str, Any]:
    """Write the document of a run that nobody repeats, whether it can be recorded or not. said: the person's credentials, or nothing."""
    answer: dict[str, Any] = {"error": "nobody was named (--user)"}
    if said:
        answer = recorded(line, {"draft": dict(drafted), **said})
    if "error" in answer:
        click.echo(f"not recorded in the journal: {answer['error']}; `qualify sign` records it", err=True)
    document: dict[str, Any] = answer.get("document") or alone(line, drafted)
    write(document, to, FORMS, NAME)
    return document


def text_of(document: Mapping[str, Any]) -> str:
    """Write what came of it for a terminal: each check that did not pass, with the number of its deviation, and counts."""
    facts = document["facts"]
    numbers = {(one["case"], one["description"]): f"{one['no']}. " for one in facts.get("deviations", ())}
    rows = [one for one in facts["checks"] if one["verdict"] != "passed"]
    told = [
        f"{numbers.get((one['id'], one['found']), '')}{one['verdict']}: {one['id']}: expected {one['expected']}; found {one['found']}"
        for one in rows
    ]
    return "\n".join([*told, ", ".join(f"{count} {verdict}" for verdict, count in facts["counts"].items())])


def disposed_text(document: Mapping[str, Any], dispositions: list[dict[str, Any]], result: str, open_: list[int]) -> str:
    """Write what persons disposed of, and what the run comes to by it."""
    lines = [
        f"deviation {one['no']} ({one['case']}): {one['disposition']} by {one['by']['name']} ({one['by']['user']}), {one['at']}:"
        f" {one['reason']}; impact: {one['impact']}"
        for one in dispositions
    ]
    numbered = len(document["facts"].get("deviations", ()))
    provisional = f"PROVISIONAL: {len(open_)} of {numbered} deviations are open: {', '.join(map(str, open_))}" if open_ else ""
    said = f"passed with dispositions: {numbered} deviations, each accepted" if result == WITH_DISPOSITIONS else result
    return "\n".join(filter(None, [*lines, provisional, f"result: {said}"]))
