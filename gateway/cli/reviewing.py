"""The form of a review: written into a file, read back, or asked for in the terminal."""

import json
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import WRONG_INPUT, data_of, fail
from gateway.cli.tables import instant_of, line_of
from gateway.cli.trail_text import text_of
from gateway.entries.ticks import rfc3339
from gateway.evidence.review import VERDICTS, Scope, to_review
from gateway.evidence.trail import NotPossible

FORM = "ebr-gateway/review-form/1"


def form(line: Path, batch: str | None, begin: str | None, end: str | None) -> dict[str, Any]:
    """Find what is to be reviewed, each item with an empty verdict and comment. Ends the program if that is nothing that can be."""
    gateway, zone = line_of(line)
    first, last = (None if text is None else instant_of(line, text) for text in (begin, end))
    try:
        found = to_review(data_of(line), zone, gateway, Scope(batch, first, last))
    except NotPossible as error:
        fail(str(error), WRONG_INPUT)
    times = {name: None if at is None else rfc3339(at) for name, at in (("from", first), ("to", last))}
    items = [{"verdict": "", "comment": "", **item} for item in found.items]
    return {"form": FORM, "batch": batch, **times, "through": list(found.through), "not_reviewed": found.routine, "items": items}


def read(file: Path) -> dict[str, Any]:
    """Read a form back. Ends the program for another file."""
    try:
        told = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        fail(f"{file}: is no form of a review: {error}", WRONG_INPUT)
    items = told.get("items") if isinstance(told, dict) and told.get("form") == FORM else None
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        fail(f"{file}: is no form of a review: `audit review --write` makes one", WRONG_INPUT)
    return dict(told)


def ask(told: dict[str, Any]) -> None:
    """Ask for a verdict on each item, and for a comment on what is questioned."""
    for number, item in enumerate(told["items"], 1):
        shown = {**dict.fromkeys(("interface", "station", "address")), **item, "critical": True}
        click.echo(f"{number} of {len(told['items'])}\n{text_of(shown)}")
        item["verdict"] = click.prompt("accepted or questioned", type=click.Choice(VERDICTS))
        item["comment"] = click.prompt("comment", default="" if item["verdict"] == "accepted" else None, show_default=False)
    click.echo(f"{told['not_reviewed']} other rows are routine and not part of the review")


def arguments(told: dict[str, Any]) -> dict[str, Any]:
    """Make what the gateway is asked."""
    named = ("epoch", "seq", "verdict", "comment")
    verdicts = [{name: item.get(name) for name in named} for item in told["items"]]
    return {**{name: told.get(name) for name in ("batch", "from", "to", "through")}, "verdicts": verdicts}
