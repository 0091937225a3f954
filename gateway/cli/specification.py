"""Defines the command that writes the specification of every interface of a line."""

import sys
from pathlib import Path

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, WRONG_INPUT, as_json, fail, line_folder, print_json


@click.command()
@line_folder
@click.option("--to", type=FOLDER, help="the folder to write; without it only the digests are printed")
@as_json
def spec(line: Path, to: Path | None, as_json: bool) -> None:
    """Specify every interface of a line, from the running code and its folder. Exit 1 if nobody is named who answers for one.

    Writes interfaces.json, AsyncAPI and OpenAPI descriptions, the JSON Schema of every message, the rules between them, and SHA256SUMS.
    """
    from gateway.runtime import assembly
    from gateway.validation import specification

    found = assembly.load(line)
    made = specification.specification(found)
    if to is not None:
        try:
            specification.written(specification.files(found, made), to)
        except OSError as error:
            fail(f"{to}: {error.strerror or error}", WRONG_INPUT)
    if as_json:
        print_json(made)
    else:
        for row in made["interfaces"]:
            click.echo(f"{row['sha256'][:16]}  {row['id']}")
        click.echo(f"{made['interface_sha256']}  all interfaces of {made['gateway']}")
        for gap in made["gaps"]:
            click.echo(f"gap: {gap}")
    sys.exit(FINDING if made["gaps"] else GOOD)
