"""Defines the commands on the traceability matrix: export it, check it."""

import io
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, GOOD, PATH, WRONG_INPUT, Words, fail, line_folder
from gateway.cli.documents import makes_document, publish

if TYPE_CHECKING:
    from gateway.validation.traceability.tree import Traceability

RESULTS = ("passed", "passed, in part", "failed", "not run", "planned", "no test")

tree_option = click.option("--tree", type=PATH, help="a source tree; without it what this installation carries, or its own tree")
release_option = click.option("--release", type=PATH, help="the release.json of another release")
keys_option = click.option("--keys", type=PATH, help="release keys, one a line; without it those of the machine")
results_option = click.option(
    "--results",
    type=PATH,
    multiple=True,
    help="results of a test run (pytest --results FILE); without it those in build/results of the tree",
)


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def rtm() -> None:
    """The traceability matrix: export, document, check."""


@rtm.command(short_help="Write requirements, their tests and last results")
@tree_option
@release_option
@results_option
@keys_option
@click.option("--urs", "ids", multiple=True, help="only this requirement; may be given more than once")
@click.option("--risk", type=click.Choice(["high", "medium", "low"]), multiple=True, help="only these risks")
@click.option("--result", "results_are", type=click.Choice(RESULTS), multiple=True, help="only these results")
@click.option("--format", "form", type=click.Choice(["text", "csv", "json", "html", "pdf"]), default="text", help="how to write it")
@click.option("--to", type=PATH, help="write a file instead of the terminal; needed for pdf")
def export(
    tree: Path | None,
    release: Path | None,
    results: tuple[Path, ...],
    keys: Path | None,
    ids: tuple[str, ...],
    risk: tuple[str, ...],
    results_are: tuple[str, ...],
    form: str,
    to: Path | None,
) -> None:
    """Write the matrix: each requirement with risk, design, the tests that prove it, their last results, and what is open.

    A result is of the very software that the matrix is of; runs over other files, or that were broken off, are named and not counted. What
    has not passed is shown as justified only if a release key that is known here has signed it.
    """
    from gateway.validation.traceability.matrix import matrix

    told = _read(tree, release, results)
    if unknown := sorted(set(ids) - {row.id for row in told.requirements}):
        fail(f"--urs: {unknown[0][:60]} is no requirement", WRONG_INPUT)
    document = matrix(told, ids=ids, risks=risk, results=results_are, publics=_publics(keys))
    if to is None and form == "pdf":
        fail("a PDF goes into a file: give --to", WRONG_INPUT)
    content = {"json": _json, "csv": _csv, "text": _text, "html": _html, "pdf": _pdf}[form](document)
    if to is None:
        click.echo(content.decode(), nl=False)
    else:
        try:
            to.write_bytes(content)
        except OSError as error:
            fail(f"{to}: {error.strerror}", WRONG_INPUT)
        click.echo(f"{to}: {len(document['rows'])} requirements of {document['counts']['requirements']}")


@rtm.command(short_help="Make it a document of a line, for signatures")
@line_folder
@makes_document
def document(line: Path, to: Path, forms: tuple[str, ...], user: str | None, password_file: Path | None) -> None:
    """Make the matrix of this installation a document of a line: whoever signs it accepts what is open in it, and why.

    `document sign` puts the signature under it. Exit 1 if something in it failed, did not run, or is open.
    """
    from gateway.documents import draft
    from gateway.validation.traceability import forms as shown
    from gateway.validation.traceability.matrix import matrix

    of = matrix(_read(None, None, ()), publics=_publics(None))
    drafted = draft(shown.KIND, shown.TITLE, shown.blocks(of), shown.facts(of), result=shown.result(of), journal=[])
    _, files = publish(line, drafted, to, forms, user, password_file)
    for file in files:
        click.echo(str(file))
    sys.exit(GOOD if shown.result(of) == "passed" else FINDING)


@rtm.command(short_help="Say what is wrong with it; exit 1 if anything is")
@tree_option
@release_option
@results_option
@keys_option
@click.option("--ran", is_flag=True, help="what a release asks for: tests have passed, the rest has a signed justification")
def check(tree: Path | None, release: Path | None, results: tuple[Path, ...], keys: Path | None, ran: bool) -> None:
    """Say what is wrong with the traceability.

    Unknown ids, high-risk requirements without a test that proves them, tests that are gone or claim no more what they are named for, files
    of tests without a requirement. With --ran also what failed, did not run, or has not passed and is justified by no signature.
    """
    from gateway.validation.traceability.justifications import unjustified
    from gateway.validation.traceability.matrix import counts, rows_of
    from gateway.validation.traceability.problems import of_designs, of_results, problems
    from gateway.validation.traceability.tree import here

    told = _read(tree, release, results)
    rows = rows_of(told, _publics(keys))
    found = problems(told)
    where = tree or (here() if release is None else None)
    found += of_designs(told, where) if where is not None else ()
    found += [*of_results(rows), *unjustified(rows)] if ran else ()
    for problem in found:
        click.echo(str(problem))
    click.echo(f"traceability: {len(found)} problems; {_counted(counts(told, rows))}" if found else _counted(counts(told, rows)))
    sys.exit(FINDING if found else GOOD)


def _publics(keys: Path | None) -> list[str]:
    """Return the release keys that are known. Ends the program where the file holds none."""
    from gateway.changes.release import release_keys

    try:
        return release_keys(keys)
    except (OSError, ValueError) as error:
        fail(f"{keys or 'the release keys of this machine'}: {error}", WRONG_INPUT)


def _read(tree: Path | None, release: Path | None, results: tuple[Path, ...]) -> "Traceability":
    """Read a source tree, or what a release carries. Ends the program where there is neither."""
    from gateway.validation.traceability import results as of_runs
    from gateway.validation.traceability import tree as sources

    if release is not None and (tree is not None or results):
        fail("--release is whole by itself: neither --tree nor --results beside it", WRONG_INPUT)
    where = tree or (sources.here() if release is None else None)
    if where is None and results:
        fail("--results are of a source tree: give --tree", WRONG_INPUT)
    try:
        return sources.of_release(release) if where is None else sources.of_tree(where, results or None)
    except (sources.NoTraceability, of_runs.NotResults) as error:
        fail(str(error), WRONG_INPUT)


def _counted(counts: Mapping[str, Any]) -> str:
    """Say the counts in one line."""

    def told(of: Mapping[str, int]) -> str:
        return ", ".join(f"{count} {name}" for name, count in of.items())

    return (
        f"{counts['requirements']} requirements ({told(counts['by_state'])}), {counts['by_risk'].get('high', 0)} of high risk"
        f" ({told(counts['high_by_state'])}); {counts['cases']} tests prove them, {counts['tests_of_details']} more are of details"
    )


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _html(document: Mapping[str, Any]) -> bytes:
    from buffer.pages.html import html
    from gateway.validation.traceability.forms import TITLE, blocks

    return html(TITLE, blocks(document), _foot(document)).encode()


def _pdf(document: Mapping[str, Any]) -> bytes:
    from buffer.pages.pdf import pdf  # which loads the printer, 80 MB
    from gateway.validation.traceability.forms import TITLE, blocks

    return pdf(TITLE, _foot(document), blocks(document))


def _foot(document: Mapping[str, Any]) -> str:
    return f"ebr-gateway {document['software']}; files {document['content'][:16]}; not signed"


def _csv(document: Mapping[str, Any]) -> bytes:
    import csv

    from gateway.cli.tables import safe
    from gateway.validation.traceability.matrix import COLUMNS

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in document["rows"]:
        writer.writerow([safe(_cases(row[name]) if name in ("proofs", "cases") else row[name]) for name in COLUMNS])
    return out.getvalue().encode()


def _cases(judged: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"{one['case']}: {one['verdict']}" for one in judged]


def _text(document: Mapping[str, Any]) -> bytes:
    lines = [f"software {document['software']}, content {document['content'][:16]}", _counted(document["counts"])]
    lines += [f"run {run['begun']} to {run['ended']}: {run['file']}, {' '.join(run['command'])}" for run in document["runs"]]
    lines += [f"not counted: {text}" for text in document["not_counted"]]
    lines += [f"results: {', '.join(f'{count} {name}' for name, count in document['counts']['by_result'].items())}"]
    for row in document["rows"]:
        lines += ["", f"{row['urs']} ({row['risk']}, {'+'.join(row['stage'])}): {row['result']}", f"  {row['text']}"]
        lines += [f"  design: {row['design']}"] if row["design"] else []
        lines += [f"  {row['state']}: {row['remark']}"] if row["remark"] else []
        lines += [f"  justified by signature: {row['justified']}"] if row["justified"] else []
        lines += [f"  {one['verdict']}: {one['case']}: {one['shows']}" for one in row["proofs"]]
        lines += [f"  and {len(row['cases'])} more claim it"] if row["cases"] else []
    return "\n".join(lines).encode() + b"\n"
