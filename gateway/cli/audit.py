"""Defines the commands on the audit trail: see it, review it, see its reviews."""

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, GOOD, PATH, WRONG_INPUT, Words, data_of, fail, line_folder, of_batch
from gateway.cli.documents import may_be_document, published
from gateway.cli.persons import password_option, person, told

SORTED_BY = {"who": "user", "what": "what", "object": "object", "why": "reason", "type": "type", "critical": "critical"}

FILTERS = {
    "batch": "batch",
    "who": "who",
    "what": "what",
    "about": "object",
    "why": "why",
    "kind": "type",
    "begin": "from",
    "end": "to",
    "critical": "critical alone",
    "sort": "sorted by",
}
"""Parameters of `list` that choose rows -> their names for people."""


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def audit() -> None:
    """The audit trail: list, export, review, reviews."""


@audit.command(name="list", short_help="List who changed what, when, where and why")
@line_folder
@click.option("--who", help="user or name")
@click.option("--what", help="a word of what was done")
@click.option("--object", "about", help="a word of what it was done to")
@click.option("--why", help="a word of the reason")
@click.option("--batch", help="what names it, and what befell the whole line while it ran")
@click.option("--type", "kind", multiple=True, help="one kind of change; may be given more than once")
@click.option("--from", "begin", help="from this time on; without an offset the line's wall clock")
@click.option("--to", "end", help="before this time")
@click.option("--critical", is_flag=True, help="only what a reviewer has to look at")
@click.option("--sort", type=click.Choice([*SORTED_BY]), help="by a column; else in the journal's order")
@click.option("--format", "form", type=click.Choice(["text", "csv", "json", "pdf"]), default="text", help="pdf: with --into")
@may_be_document
def list_(
    line: Path,
    who: str | None,
    what: str | None,
    about: str | None,
    why: str | None,
    batch: str | None,
    kind: tuple[str, ...],
    begin: str | None,
    end: str | None,
    critical: bool,
    sort: str | None,
    form: str,
    to: Path | None,
    user: str | None,
    password_file: Path | None,
) -> None:
    """List who changed what, when, where and why, from what to what. Reads the journal; no gateway is needed."""
    from gateway.cli.tables import instant_of, line_of, write_csv
    from gateway.cli.trail_text import cell, text_of
    from gateway.evidence import trail
    from gateway.evidence.trail_rows import COLUMNS, KINDS
    from gateway.operation.drafts import of_trail

    if unknown := sorted(set(kind) - set(KINDS)):
        fail(f"--type: {unknown[0][:60]} is none; there are {', '.join(KINDS)}", WRONG_INPUT)
    gateway, zone = line_of(line)
    first, last = (None if text is None else instant_of(line, text) for text in (begin, end))
    wanted = trail.Wanted(who, what, about, why, batch, frozenset(kind), first, last, critical)
    try:
        rows = trail.ordered(trail.rows(data_of(line), zone, gateway, wanted), SORTED_BY[sort] if sort else None)
        if form == "pdf" or to is not None:
            published(line, lambda: of_trail(rows, _asked(), batch), to, user, password_file)
        elif form == "json":
            _write_json(rows)
        elif form == "csv":
            write_csv(COLUMNS, ({name: cell(row[name]) for name in COLUMNS} for row in rows))
        else:
            for row in rows:
                click.echo(text_of(row))
    except trail.NotPossible as error:
        fail(str(error), WRONG_INPUT)


def _export() -> click.Command:
    """Make the command that gives the rows of `list`, chosen in the same way, as a document."""
    chosen = [option for option in list_.params if option.name != "form"]
    text = "Write the rows that `list` shows, chosen in the same way, as a document (JSON, HTML, PDF); the gateway records it."
    return click.Command(
        "export",
        params=chosen,
        callback=partial(list_.callback or list_, form="pdf"),
        help=text,
        short_help="Write that list as a document",
    )


audit.add_command(_export())


def _asked() -> list[tuple[str, str]]:
    """Name what was typed to choose rows, as a document says it."""
    typed = click.get_current_context().params
    told = {words: typed[name] for name, words in FILTERS.items() if typed[name]}
    lists = {words: ", ".join(value) for words, value in told.items() if isinstance(value, tuple)}
    return [(words, "yes" if value is True else str(value)) for words, value in {**told, **lists}.items()]


def _write_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Write an array, row by row."""
    before = "[\n"
    for row in rows:
        sys.stdout.write(f"{before}{json.dumps(row, ensure_ascii=False)}")
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")


@audit.command(short_help="Review an audit trail, item by item, and sign it")
@line_folder
@of_batch("the audit trail of this batch", required=False)
@click.option("--from", "begin", help="or of a time: from this one on; without an offset the line's wall clock")
@click.option("--to", "end", help="and before this one")
@click.option("--write", type=PATH, help="write the items into this file (JSON), for verdicts and comments; nothing is signed")
@click.option("--read", type=PATH, help="take the verdicts from this file; asked for in the terminal without it")
@person
@password_option
def review(
    line: Path,
    batch: str | None,
    begin: str | None,
    end: str | None,
    write: Path | None,
    read: Path | None,
    user: str | None,
    password_file: Path | None,
) -> None:
    """Review what a person has to look at of an audit trail: each item is accepted or questioned, and you sign for all of it.

    Exit 1 if something was questioned. The reviewer did none of the items; the running gateway sees to that, and signs nothing else.
    """
    from gateway.cli import reviewing

    if write is not None:
        form = reviewing.form(line, batch, begin, end)
        with write.open("x", encoding="utf-8") as file:  # one that is filled in is not written over
            file.write(json.dumps(form, indent=1, ensure_ascii=False) + "\n")
        click.echo(f"{write}: {len(form['items'])} items; write accepted or questioned as verdict of each, then --read it")
        return
    form = reviewing.form(line, batch, begin, end) if read is None else reviewing.read(read)
    if read is None:
        reviewing.ask(form)
    answer = told(line, "audit-review", user, password_file, **reviewing.arguments(form))
    told_of = f"{answer['items']} items, {answer['questioned']} questioned"
    click.echo(f"audit trail reviewed: {told_of}; document {answer['id']}, sha256 {answer['sha256']}")
    sys.exit(FINDING if answer["questioned"] else GOOD)


@audit.command(short_help="List who reviewed what, when, with which result")
@line_folder
@of_batch("reviews of this batch's audit trail", required=False)
@may_be_document
def reviews(line: Path, batch: str | None, to: Path | None, user: str | None, password_file: Path | None) -> None:
    """List the reviews that the journal holds, and whether each signature holds; with --into each is printed: JSON, HTML and PDF.

    Exit 1 if one questions something or does not hold, and where a batch was named that nobody has reviewed, or that is not in the journal.
    """
    from gateway.access.signatures import problem
    from gateway.cli.keys import public_keys
    from gateway.evidence import review as held
    from gateway.evidence import trail
    from gateway.operation.drafts import of_review

    found, bad = held.reviews(data_of(line), batch), False
    for one in found:
        event, signature = one.event, one.event["signatures"][0]
        wrong = [problem(signature, held.signed(event), public) for public in public_keys(data_of(line))]
        holds = wrong[-1] if wrong and all(wrong) else None if wrong else "no public key of the gateway is known"
        bad = bad or holds is not None or bool(event["deviations"])
        of = f"batch {event['batch']}" if event["batch"] else f"from {event['scope']['from']}"
        click.echo(f"{signature['local']}  {one.where}  {of}: {len(event['items'])} items, {len(event['deviations'])} questioned")
        click.echo(f"    {signature['meaning']}: {signature['name']} ({signature['user']}, {signature['role']}); ", nl=False)
        click.echo("the signature holds" if holds is None else f"THE SIGNATURE DOES NOT HOLD: {holds}")
        if to is not None:
            published(line, partial(of_review, event, one.where, holds), to, user, password_file)
    if not found and batch is not None:
        try:
            trail.span_of(data_of(line), batch)
        except trail.NotPossible as error:
            fail(str(error), FINDING)
    if not found:
        click.echo(f"nobody has reviewed the audit trail of batch {batch}" if batch else "no audit trail was reviewed")
    sys.exit(FINDING if bad or (batch is not None and not found) else GOOD)
