"""Defines the commands on the audit trail: see it, and review it."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer

from gateway.cli.base import WRONG_INPUT, Folder, app, data_of, fail

audit = typer.Typer(no_args_is_help=True, help="The audit trail: list, review.")
app.add_typer(audit, name="audit")

Begin = Annotated[str | None, typer.Option("--from", help="from this time on; without an offset the line's wall clock")]
End = Annotated[str | None, typer.Option("--to", help="before this time")]
Column = Literal["who", "what", "object", "why", "type", "critical"]
_SORTED_BY = {"who": "user", "what": "what", "object": "object", "why": "reason", "type": "type", "critical": "critical"}


@audit.command(name="list")
def list_(
    line: Folder,
    *,
    who: Annotated[str | None, typer.Option(help="user or name")] = None,
    what: Annotated[str | None, typer.Option(help="a word of what was done")] = None,
    about: Annotated[str | None, typer.Option("--object", help="a word of what it was done to")] = None,
    why: Annotated[str | None, typer.Option(help="a word of the reason")] = None,
    batch: Annotated[str | None, typer.Option(help="what names it, and what befell the whole line while it ran")] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="one kind of change; may be given more than once")] = None,
    begin: Begin = None,
    end: End = None,
    critical: Annotated[bool, typer.Option("--critical", help="only what a reviewer has to look at")] = False,
    sort: Annotated[Column | None, typer.Option(help="who, what, object, why, type or critical; else in the journal's order")] = None,
    form: Annotated[Literal["text", "csv", "json"], typer.Option("--format", help="text, csv or json")] = "text",
) -> None:
    """List who changed what, when, where and why, from what to what. Reads the journal; no gateway is needed."""
    from gateway.cli.tables import write_csv
    from gateway.evidence import trail
    from gateway.evidence.trail_rows import COLUMNS, KINDS

    if unknown := sorted(set(kind or ()) - set(KINDS)):
        fail(f"--type: {unknown[0][:60]} is none; there are {', '.join(KINDS)}", WRONG_INPUT)
    gateway, zone = line_of(line)
    first, last = (None if text is None else instant_of(line, text) for text in (begin, end))
    wanted = trail.Wanted(who, what, about, why, batch, frozenset(kind or ()), first, last, critical)
    try:
        rows = trail.ordered(trail.rows(data_of(line), zone, gateway, wanted), _SORTED_BY[sort] if sort else None)
        if form == "json":
            _write_json(rows)
        elif form == "csv":
            write_csv(COLUMNS, ({name: _cell(row[name]) for name in COLUMNS} for row in rows))
        else:
            for row in rows:
                typer.echo(text_of(row))
    except trail.NotPossible as error:
        fail(str(error), WRONG_INPUT)


def line_of(line: Path) -> tuple[str, ZoneInfo]:
    """Return the gateway's name and the line's time zone, also of a folder that has errors elsewhere."""
    import config

    identity = config.identity(line)
    return identity.gateway, ZoneInfo(identity.line.timezone)


def instant_of(line: Path, text: str) -> int:
    """Read a time that somebody typed, as ticks. Ends the program if it is none."""
    from gateway.cli.tables import instant

    try:
        return instant(text, line_of(line)[1])
    except ValueError as error:
        fail(str(error), WRONG_INPUT)


def text_of(row: Mapping[str, Any]) -> str:
    """Write a row for people: a paragraph of two to four lines."""
    name = f" ({row['name']}, {row['role']})" if row["name"] else f" ({row['role']})" if row["role"] else ""
    head = f"{row['local']}  {row['epoch']}/{row['seq']}  {row['type']}{'  CRITICAL' if row['critical'] else ''}  {row['what']}"
    where = " ".join(str(row[part]) for part in ("interface", "station", "address") if row[part])
    at, about = f" at {where}" if where else "", f", {row['object']}" if row["object"] else ""
    by = f"    by {row['user']}{name}{at}{about}"
    change = None if row["old"] is None and row["new"] is None else f"    {_cell(row['old'])} -> {_cell(row['new'])}"
    why = None if row["reason"] is None else f"    because: {row['reason']}"
    return "\n".join(part for part in (head, by, change, why) if part is not None)


def _cell(value: Any) -> Any:
    """Write what is no plain value as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) and not _is_plain_list(value) else value


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _write_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Write an array, row by row."""
    before = "[\n"
    for row in rows:
        sys.stdout.write(f"{before}{json.dumps(row, ensure_ascii=False)}")
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[\n" else "\n]\n")
