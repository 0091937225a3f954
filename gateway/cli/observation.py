"""Defines the commands of the observation period after go-live: the report of a day, the summary, and its end by QA."""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, NOT_REACHED, PATH, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, print_json
from gateway.cli.persons import by_person, password_option, person
from gateway.cli.specification import FORMS

if TYPE_CHECKING:
    from config import Line
    from config.sections import Observation
    from gateway.observation.gathering import Gathered

_forms = click.option(
    "--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all"
)


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND LINE ...")
def observation() -> None:
    """Observation after go-live: each day against the limits of [observation]."""


def _line(line: Path) -> "tuple[Line, Observation, ZoneInfo]":
    from gateway.cli.what_runs import line_for_records

    site = line_for_records(line)
    if site.observation is None:
        fail("line.toml has no [observation]: it says from when until when, and by which limits (docs/observation.md)", WRONG_INPUT)
    return site, site.observation, ZoneInfo(site.line.timezone)


def _read(line: Path, reading: "Callable[[Path], Gathered]") -> "Gathered":
    """Read the journal. Ends the program where that can not be."""
    from buffer import StorageError

    try:
        return reading(data_of(line))
    except FileNotFoundError as error:
        fail(str(error), WRONG_INPUT)
    except PermissionError as error:
        fail(f"{error.filename}: {error.strerror}", NOT_REACHED)
    except (StorageError, sqlite3.Error) as error:
        fail(str(error), FINDING)


def _uplinks(site: "Line") -> list[str]:
    return [uplink.name for uplink in site.uplinks if uplink.reconcile]


@observation.command(short_help="The report of one day, from the journal")
@line_folder
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="which day of the period; without it the newest that is over")
@click.option("--to", type=FOLDER, help="write it as a document into this folder, and record it; without it, it is printed")
@_forms
@as_json
@person
@password_option
def report(
    line: Path, day: Any, to: Path | None, forms: tuple[str, ...], as_json: bool, user: str | None, password_file: Path | None
) -> None:
    """Make the report of a day anew, from the journal as far as the gateway's own report of that day read it: the figures are the same.

    The gateway makes one after each day, in the folder observations beside the journal. Exit 0: within all limits; 1: not, or not known.
    """
    from gateway.cli.documents import can_be_written
    from gateway.observation.document import day_draft
    from gateway.observation.judging import judged
    from gateway.observation.reading import gathered, of_day
    from gateway.observation.summary import day_text, last_day

    if to is not None:
        can_be_written(to)
    site, told, zone = _line(line)
    if day is None:
        made = _read(line, lambda data: gathered(data, told, zone))
        day = last_day(made) or fail(f"no day of {told.begin} until {told.until} is over in this journal", WRONG_INPUT)
    else:
        day = day.date()
    if not told.begin <= day <= told.until:
        fail(f"--day {day}: the period is {told.begin} until {told.until}", WRONG_INPUT)
    made = _read(line, lambda data: of_day(data, told, zone, day))
    if made.by_day[day].span.end > made.read_to:
        fail(f"--day {day} is not over, or the journal does not go on until its end", WRONG_INPUT)
    one = judged(made, made.by_day[day], told.limits, _uplinks(site))
    drafted = day_draft(site.gateway, told, made, one, made.kept)
    if as_json:
        print_json({"result": one.result, **drafted["facts"]})
    else:
        click.echo(day_text(one))
    _published(line, drafted, to, forms, user, password_file, as_json=as_json)
    sys.exit(GOOD if one.result == "passed" else FINDING)


@observation.command(short_help="Every day so far, every limit over the period")
@line_folder
@click.option("--to", type=FOLDER, help="write it as a document into this folder, and record it; without it, it is printed")
@_forms
@as_json
@person
@password_option
def summary(line: Path, to: Path | None, forms: tuple[str, ...], as_json: bool, user: str | None, password_file: Path | None) -> None:
    """Put the days of the period beside each other, each judged anew from the journal, beside what its report said.

    Exit 0: the period is over, and each day was reported and is within all limits; 1: not, or not known.
    """
    from gateway.cli.documents import can_be_written
    from gateway.entries.printable import printable_all
    from gateway.observation.reading import gathered
    from gateway.observation.summary import summary_draft, text

    if to is not None:
        can_be_written(to)
    site, told, zone = _line(line)
    drafted = summary_draft(site.gateway, told, _read(line, lambda data: gathered(data, told, zone)), _uplinks(site))
    if as_json:
        print_json(drafted["facts"])
    else:
        click.echo(text(printable_all(drafted["facts"])))
    _published(line, drafted, to, forms, user, password_file, as_json=as_json)
    sys.exit(GOOD if drafted["result"] == "passed" else FINDING)


def _published(
    line: Path, drafted: Any, to: Path | None, forms: tuple[str, ...], user: str | None, password_file: Path | None, *, as_json: bool
) -> None:
    from gateway.cli.documents import publish

    if to is not None:
        document, files = publish(line, drafted, to, forms, user, password_file)
        click.echo(f"document {document['id']}: {document['result']}, SHA-256 {document['sha256']}", err=as_json)
        for path in files:
            click.echo(str(path), err=as_json)


@observation.command(short_help="End the period: QA signs its summary")
@line_folder
@click.argument("file", type=PATH, metavar="FILE", help="the JSON of the summary, made after the last day")
@by_person
def end(line: Path, file: Path, reason: str, user: str | None, password_file: Path | None) -> None:
    """End the period by signing its summary with your password, as somebody of role qa. Until then it goes on, whatever the date is.

    A summary with days that exceeded a limit, or that are not complete, can be signed: the reason is yours, and stands in the journal.
    """
    from gateway.cli.documents import replace
    from gateway.cli.persons import told
    from gateway.documents import NotADocument, read

    try:
        document = read(file)
    except NotADocument as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{file}: {error.strerror}", WRONG_INPUT)
    answer = told(line, "observation-end", user, password_file, reason=reason, document=document)
    replace(file, answer["document"])
    one = answer["document"]["signatures"][-1]
    click.echo(f"{file}: signed by {one['name']} ({one['user']}, {one['role']}): {one['meaning']}, {one['local']}")
    click.echo(f"the observation is ended, with a summary that says: {answer['document']['result']}")
