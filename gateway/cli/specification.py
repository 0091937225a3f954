"""Defines the command that writes the specification of every interface of a line."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, WRONG_INPUT, as_json, fail, line_folder, print_json
from gateway.cli.persons import password_option, person

FORMS = ("json", "html", "pdf")


@click.command()
@line_folder
@click.option("--to", type=FOLDER, help="the folder to write; without it only the digests are printed")
@click.option("--form", "forms", type=click.Choice(FORMS), multiple=True, default=FORMS, help="of the document: json, html, pdf; all")
@as_json
@person
@password_option
def spec(line: Path, to: Path | None, forms: tuple[str, ...], as_json: bool, user: str | None, password_file: Path | None) -> None:
    """Specify every interface of a line, from the running code and its folder. Exit 1 if nobody is named who answers for one.

    Writes interfaces.json, AsyncAPI and OpenAPI descriptions, the JSON Schema of every message, the rules between them, SHA256SUMS, and
    a document of it for signatures.
    """
    from gateway.runtime import assembly
    from gateway.validation import specification

    found = assembly.load(line)
    made = specification.specification(found)
    written = [] if to is None else _written(line, made, specification.files(found, made), to, forms, user, password_file)
    if as_json:
        print_json(made)
    else:
        for row in made["interfaces"]:
            click.echo(f"{row['sha256'][:16]}  {row['id']}")
        click.echo(f"{made['interface_sha256']}  all interfaces of {made['gateway']}")
        for text in (*(f"gap: {gap}" for gap in made["gaps"]), *map(str, written)):
            click.echo(text)
    sys.exit(FINDING if made["gaps"] else GOOD)


def _written(
    line: Path,
    made: Mapping[str, Any],
    texts: dict[str, str],
    to: Path,
    forms: tuple[str, ...],
    user: str | None,
    password_file: Path | None,
) -> list[Path]:
    """Write the files, then the document of them. Ends the program where that can not be."""
    from gateway.cli.documents import publish
    from gateway.validation import specification

    try:
        specification.written(texts, to)
    except OSError as error:
        fail(f"{to}: {error.strerror or error}", WRONG_INPUT)
    return publish(line, specification.drafted(made, texts), to, forms, user, password_file)[1]
