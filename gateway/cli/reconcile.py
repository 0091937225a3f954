"""Defines the command that compares the journal with what the EBR holds."""

import asyncio
import sqlite3
import sys
from contextlib import AbstractAsyncContextManager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, WRONG_INPUT, as_json, data_of, fail, line_folder, of_batch, print_json
from gateway.cli.persons import password_option, person
from gateway.cli.specification import FORMS
from gateway.cli.what_runs import line_for_records

if TYPE_CHECKING:
    from config import Line, Uplink
    from gateway.reconciliation.asking import Ask
    from gateway.reconciliation.document import Asked, Result

_SAID = {"passed": "equal", "finding": "DIFFERS", "not-complete": "NOT ALL WAS COMPARED"}
_MOST_LINES = 50


@click.command()
@line_folder
@of_batch("only the entries of this batch, and each of its records", required=False)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="only the entries of this day, in the site's time zone")
@click.option(
    "--ebr", metavar="URL|STORE", help="whom to ask: the EBR's address, or the folder of its store; else the uplink's own endpoint"
)
@click.option("--uplink", help="name of the uplink, where the line has several")
@click.option("--to", type=FOLDER, help="write it as a document into this folder, and record it; without it, it is printed")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def reconcile(
    line: Path,
    batch: str | None,
    day: Any,
    ebr: str | None,
    uplink: str | None,
    to: Path | None,
    forms: tuple[str, ...],
    as_json: bool,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Compare what is stored here with what the EBR holds, by range, count and Merkle root, down to the entry.

    Exit 0: all that its receipts confirmed is there, and the same. 1: something is missing, more or different, or was not compared.
    """
    from gateway.cli.documents import can_be_written, publish
    from gateway.entries.printable import printable_all
    from gateway.reconciliation.answer import NotAnswered
    from gateway.reconciliation.document import drafted

    if batch is not None and day is not None:
        fail("--batch or --day, not both", WRONG_INPUT)
    if to is not None:
        can_be_written(to)
    try:
        draft = drafted(*compared_with(line, line_for_records(line), batch, None if day is None else day.date(), ebr, uplink))
    except NotAnswered as error:
        fail(f"nothing is compared: {error}", FINDING)
    except sqlite3.Error as error:
        fail(f"{data_of(line) / 'journal.db'}: {error}", FINDING)
    if as_json:
        print_json({"result": draft["result"], **draft["facts"]})
    else:
        click.echo("\n".join(_text(printable_all(draft))))
    if to is not None:
        for path in publish(line, draft, to, forms, user, password_file)[1]:
            click.echo(str(path), err=as_json)
    sys.exit(GOOD if draft["result"] == "passed" else FINDING)


def compared_with(
    folder: Path, line: "Line", batch: str | None, day: date | None, ebr: str | None, name: str | None
) -> "tuple[Asked, Result]":
    """Compare with the receiver; return what was asked and what was found. Raises NotAnswered, sqlite3.Error; ends the program else."""
    from buffer import read_cursors
    from gateway.reconciliation.document import Asked, Result
    from gateway.reconciliation.reconcile import Scope, reconciled

    settings, data = _uplink(line, name), data_of(folder)
    cursor = read_cursors(data).get(settings.name)
    if cursor is None:
        fail(f"uplink {settings.name}: this journal knows none of this name, so nothing was confirmed to it", WRONG_INPUT)
    scope = Scope(batch, day)
    asked = Asked(line.gateway, settings.name, ebr or settings.endpoint, str(scope), batch, cursor.at, scope.of, settings.profile)

    async def compared() -> Result:
        async with _receiver(line, settings, ebr) as ask:
            return await reconciled(data, line.line.timezone, asked, scope, ask)

    return asked, asyncio.run(compared())


def _uplink(line: "Line", name: str | None) -> "Uplink":
    """Return the uplink that is meant. Ends the program where that is not one."""
    known = {uplink.name: uplink for uplink in line.uplinks}
    if name is None and len(known) != 1:
        fail(f"which uplink? --uplink {' or '.join(known)}" if known else f"{line.folder}: the line has no uplink", WRONG_INPUT)
    settings = known.get(name or next(iter(known)))
    if settings is None:
        fail(f"--uplink {name}: there are {', '.join(known) or 'none'}", WRONG_INPUT)
    return settings


def _receiver(line: "Line", settings: "Uplink", ebr: str | None) -> "AbstractAsyncContextManager[Ask]":
    """Return who is asked. Ends the program where nobody can be."""
    from gateway.reconciliation.asking import NobodyToAsk, receiver

    try:
        return receiver(settings, line.gateway, line.folder, ebr)
    except NobodyToAsk as error:
        fail(str(error), WRONG_INPUT)


def _text(drafted: dict[str, Any]) -> list[str]:
    """Say what was found, for a terminal."""
    from gateway.reconciliation.document import unasked

    facts = drafted["facts"]
    of = " (single records)" if facts["profile"] == "records" else ""
    lines = [f"{facts['uplink']} ({facts['receiver']}): {facts['scope']}{of}"]
    if facts["not_answered"] is not None:
        lines.append(f"not answered: {facts['not_answered']}")
    if facts.get("unasked"):
        lines.append(unasked(facts["unasked"]))
    if not facts["streams"] and (facts["batch"] is None or facts["records"]):
        lines.append("nothing to compare: the receiver has confirmed none of it")
    for stream in facts["streams"]:
        lines += _of_stream(stream)
    if facts["batch"] is not None:
        lines += _of_records(facts)
    return [*lines, _SAID[drafted["result"]]]


def _of_stream(stream: dict[str, Any]) -> list[str]:
    ours, theirs = stream["ours"], stream["theirs"]
    lines = [
        f"epoch {stream['epoch']}, entries {stream['first']} to {stream['last']}: {stream['verdict']}",
        f"  here  {ours['entries']} entries, root {ours['root'] or 'not known'}",
        f"  there {'not known' if theirs['entries'] is None else theirs['entries']} entries, root {theirs['root'] or 'not known'}",
    ]
    words = (
        ("missing", "missing there"),
        ("extra", "there and not here"),
        ("different", "another there"),
        ("not_compared", "not compared"),
    )
    found = [(says, one) for name, says in words for one in stream[name]]
    for says, one in found[:_MOST_LINES]:
        lines.append(f"  {says}: {_place(one)}{': ' if one['note'] else ''}{one['note']}")
    if len(found) > _MOST_LINES:
        lines.append(f"  and {len(found) - _MOST_LINES} ranges more: --json, or a document (--to)")
    return [*lines, *_refused(stream)]


def _place(one: dict[str, Any]) -> str:
    return str(one["first"]) if one["first"] == one["last"] else f"{one['first']} to {one['last']}"


def _refused(stream: dict[str, Any]) -> list[str]:
    told = [f"{_place(one)} ({one['code']}, quarantine: {one['quarantine'] or 'nobody here knows of it'})" for one in stream["rejected"]]
    lines = [f"  refused there: {', '.join(told[:_MOST_LINES])}"] if told else []
    if len(told) > _MOST_LINES:
        lines.append(f"  and {len(told) - _MOST_LINES} ranges more refused there: --json, or a document (--to)")
    if more := stream["counts"]["rejected"]["not_named"]:
        lines.append(f"  and {more} entries more refused there, counted and not named: not accounted for, so not compared")
    return lines


def _of_records(facts: dict[str, Any]) -> list[str]:
    from gateway.reconciliation.document import of_end

    lines = [f"batch {facts['batch']}: {of_end(facts)}"]
    lines += [f"  {one['state']}: {one['record']}#{one['revision']}" for one in facts["records"] if one["state"] != "held"]
    return [*lines, *(f"  held here no more: {name}" for name in facts["not_here"])]
