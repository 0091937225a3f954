"""Defines the commands of the parallel run: compare a batch with the legacy record, explain a difference, see how it goes on."""

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import (
    FINDING,
    FOLDER,
    GOOD,
    NOT_REACHED,
    PATH,
    WRONG_INPUT,
    Words,
    as_json,
    data_of,
    fail,
    line_folder,
    of_batch,
    print_json,
)
from gateway.cli.persons import by_person, password_option, person
from gateway.cli.specification import FORMS

if TYPE_CHECKING:
    from config import Line
    from gateway.validation.parallel_run.legacy import LegacyRecord

BATCH = "batch"
_GOOD = ("passed", "passed-with-dispositions")


class _OfLine(Words):
    """`compare LINE ...` is `compare batch LINE ...`: what is mostly meant is typed without the second word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the word in where it was left out."""
        named = bool(args) and (args[0] in self.commands or args[0] in ("-h", "--help"))
        return super().parse_args(ctx, args if named or not args else [BATCH, *args])


@click.group(cls=_OfLine, no_args_is_help=True, subcommand_metavar="[batch] LINE ... | COMMAND ...")
def compare() -> None:
    """Parallel run: a batch against the legacy record, field by field."""


@compare.command(name=BATCH, short_help="Compare one batch; the word may be left out")
@line_folder
@of_batch("the batch")
@click.option("--legacy", metavar="FILE|SOURCE.QUERY", help="the legacy system's record: a CSV file, or a query of a source of the line")
@click.option("--manual", type=PATH, help="a CSV file of entries by hand, each by two persons; that of `fallback import` too")
@click.option("--to", type=FOLDER, help="write it as a document into this folder")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def batch_(
    line: Path,
    batch: str,
    legacy: str | None,
    manual: Path | None,
    to: Path | None,
    forms: tuple[str, ...],
    as_json: bool,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Compare the gateway's record of a batch with the legacy system's, or with what people wrote by hand.

    By compare.csv and [parallel_run] of the line folder. Exit 0: all is the same, or explained by a person; 1: something is not.
    """
    from gateway.cli.documents import publish
    from gateway.cli.what_runs import line_for_records
    from gateway.entries.printable import printable_all
    from gateway.validation import parallel_run

    if legacy is None and manual is None:
        fail("compared with what? --legacy FILE or SOURCE.QUERY, --manual FILE, or both", WRONG_INPUT)
    site = line_for_records(line)
    found = _found(site, data_of(line), batch, legacy, manual)
    if as_json:
        print_json(found)
    else:
        click.echo(parallel_run.text(printable_all(found)))
    if to is not None:
        document, files = publish(line, parallel_run.drafted(found), to, forms, user, password_file)
        click.echo(f"document {document['id']}: {document['result']}, SHA-256 {document['sha256']}", err=as_json)
        for path in files:
            click.echo(str(path), err=as_json)
    sys.exit(GOOD if found["result"] in _GOOD else FINDING)


def _found(site: "Line", data: Path, batch: str, legacy: str | None, manual: Path | None) -> dict[str, Any]:
    """Read both sides and compare them. Ends the program where that can not be."""
    from buffer import JournalError
    from gateway.validation.parallel_run import Comparable, NotComparable, compared
    from gateway.validation.parallel_run.explained import explanations
    from gateway.validation.parallel_run.legacy import NotRead
    from gateway.validation.parallel_run.record import NoBatch, record_of
    from gateway.validation.parallel_run.rules import stated

    if site.parallel_run is None:
        fail("line.toml has no [parallel_run]: it says what names the batch in the legacy record (docs/parallel-run.md)", WRONG_INPUT)
    try:
        sides = Comparable(record_of(data, site, batch), _legacy(site, legacy, batch), _manual(manual, batch))
        found = compared(site, sides, explanations(data))
        return {**found, "rules": stated(data, site, sides.record.started_under)}
    except (NoBatch, NotComparable, NotRead) as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{error.filename or data}: {error.strerror}", NOT_REACHED if isinstance(error, PermissionError) else WRONG_INPUT)
    except (JournalError, sqlite3.Error) as error:
        fail(str(error), NOT_REACHED)


def _legacy(site: "Line", legacy: str | None, batch: str) -> "LegacyRecord | None":
    from gateway.validation.parallel_run.legacy import of_file, of_query

    if legacy is None or site.parallel_run is None:
        return None
    is_query = not Path(legacy).exists() and legacy.partition(".")[0] in {source.name for source in site.sources}
    return of_query(site, legacy, site.parallel_run, batch) if is_query else of_file(Path(legacy), site.parallel_run, batch)


def _manual(manual: Path | None, batch: str) -> "LegacyRecord | None":
    from gateway.validation.parallel_run.legacy import of_file
    from gateway.validation.parallel_run.values import BY_MANUAL, OF_MANUAL, manual_problem

    if manual is None:
        return None
    found = of_file(manual, OF_MANUAL, batch, BY_MANUAL)
    if (wrong := manual_problem(found)) is not None:
        fail(wrong, WRONG_INPUT)
    return found


@compare.command(short_help="Explain one difference of a comparison")
@line_folder
@click.argument("file", type=PATH, metavar="FILE", help="the JSON of a comparison")
@click.option("--no", type=click.IntRange(min=1), required=True, help="the number of the row")
@by_person
def explain(line: Path, file: Path, no: int, reason: str, user: str | None, password_file: Path | None) -> None:
    """Explain, in your name, why the two sides differ; stands in the audit trail, and in each comparison from then on.

    It counts as long as both sides' values are those of this row.
    """
    from gateway.cli.persons import told
    from gateway.documents import NotADocument, read
    from gateway.validation.parallel_run import ACTION, KIND
    from gateway.validation.parallel_run.judging import MATCH

    try:
        document = read(file)
    except NotADocument as error:
        fail(str(error), WRONG_INPUT)
    if document["document"] != KIND:
        fail(f"{file}: is no comparison but a {document['document']}", WRONG_INPUT)
    row = next((one for one in document["facts"]["rows"] if one["no"] == no), None)
    if row is None or row["verdict"] == MATCH:
        what = "there is no such row" if row is None else "this row is a match: there is nothing to explain"
        fail(f"--no {no}: {what}; rows to explain: {_unlike(document)}", WRONG_INPUT)
    values = {
        side: None if row[side] is None else f"{row[side]['value']} {row[side]['unit'] or ''}".strip() for side in ("gateway", "legacy")
    }
    about = {"batch": document["batch"], "item": row["item"], "row_sha256": row["sha256"], "verdict": row["verdict"]}
    told(line, ACTION, user, password_file, reason=reason, **about, **values, difference=row["difference"])
    click.echo(f"batch {document['batch']}, {row['item']}: explained; compare the batch anew for a document that says so")


def _unlike(document: dict[str, Any]) -> str:
    from gateway.validation.parallel_run.judging import MATCH

    numbers = [str(row["no"]) for row in document["facts"]["rows"] if row["verdict"] != MATCH]
    return ", ".join(numbers[:50]) or "none"


@compare.command(short_help="Every batch so far, every field, and may the run end")
@line_folder
@click.argument("comparisons", type=FOLDER, metavar="DIR", help="the folder with the JSON of the comparisons")
@click.option("--to", type=FOLDER, help="write it as a document into this folder")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def trend(
    line: Path, comparisons: Path, to: Path | None, forms: tuple[str, ...], as_json: bool, user: str | None, password_file: Path | None
) -> None:
    """Put the comparisons of all batches beside each other, and say whether the declared criterion for the end of the run is met.

    Exit 0: it is met; 1: not yet, or DIR holds no comparison.
    """
    from gateway.cli.documents import public_keys_from, publish
    from gateway.cli.what_runs import line_for_records
    from gateway.entries.printable import printable_all
    from gateway.operation.document_commands import signature_problems
    from gateway.validation.parallel_run import trend as trending
    from gateway.validation.parallel_run import trend_document

    site, publics = line_for_records(line), public_keys_from(line, None)
    if site.parallel_run is None:
        fail("line.toml has no [parallel_run]: it says when the parallel run may end (docs/parallel-run.md)", WRONG_INPUT)
    if not comparisons.is_dir():
        fail(f"{comparisons}: is no folder; comparisons are written by `compare LINE --batch B --to {comparisons}`", WRONG_INPUT)
    listed, wrong = trending.comparisons(comparisons, site.gateway, lambda document: signature_problems(document, publics))
    for text in wrong:
        click.echo(f"not read: {text}", err=True)
    if not listed:
        says = f"no comparison of {site.gateway} that can be read lies here"
        fail(f"{comparisons}: {says}; `compare LINE --batch B --to {comparisons}` writes one", FINDING)
    found = trending.trend(site, trending.told_by(data_of(line)), listed)
    click.echo(trend_document.text(printable_all(found))) if not as_json else print_json(found)
    if to is not None:
        for path in publish(line, trend_document.drafted(found, site.gateway), to, forms, user, password_file)[1]:
            click.echo(str(path), err=as_json)
    sys.exit(GOOD if found["may_end"] else FINDING)
