"""What the commands share that make a folder of evidence: its option, how its document is put into it, and how it is told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FOLDER
from gateway.cli.documents import alone, publish, recorded, write

to_folder = click.option("--to", type=FOLDER, required=True, help="the folder of the evidence, new or empty")


def put(line: Path, drafted: Mapping[str, Any], to: Path, user: str | None, password_file: Path | None) -> dict[str, Any]:
    """Make the document of a bundle, record it where it can be, and write its three forms. Without a person it is recorded by nobody."""
    if user is None:
        document = alone(line, drafted)
        write(document, to, ("json", "html", "pdf"), "document")
        click.echo("not recorded in the journal: nobody was named (--user); `qualify sign` records it", err=True)
        return document
    document, _ = publish(line, drafted, to, ("json", "html", "pdf"), user, password_file, "document")
    return document


def put_by(line: Path, drafted: Mapping[str, Any], to: Path, said: Mapping[str, str]) -> dict[str, Any]:
    """Make the document of a run of days, with what the person said before it. It is written whether it can be recorded or not."""
    answer: dict[str, Any] = {"error": "nobody was named (--user)"}
    if said:
        answer = recorded(line, {"draft": dict(drafted), **said})
    if "error" in answer:
        click.echo(f"not recorded in the journal: {answer['error']}; `qualify sign` records it", err=True)
    document: dict[str, Any] = answer.get("document") or alone(line, drafted)
    write(document, to, ("json", "html", "pdf"), "document")
    return document


def text_of(document: Mapping[str, Any]) -> str:
    """Write what came of it for a terminal: counts, and each check that did not pass."""
    facts = document["facts"]
    lines = [f"{count} {verdict}" for verdict, count in facts["counts"].items()]
    rows = [one for one in facts["checks"] if one["verdict"] != "passed"]
    told = [f"{one['verdict']}: {one['id']}: expected {one['expected']}; found {one['found']}" for one in rows]
    return "\n".join([*told, ", ".join(lines)])
