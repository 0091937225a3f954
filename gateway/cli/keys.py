"""Defines the commands on the key that signs checkpoints."""

from pathlib import Path

import click

from gateway.cli.base import NOT_REACHED, Words, as_json, data_of, fail, line_folder, print_json
from gateway.cli.persons import by_person, told


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def keys() -> None:
    """The key that signs checkpoints: show, rotate."""


@keys.command(short_help="Print the public keys, for whoever verifies")
@line_folder
@as_json
def show(line: Path, as_json: bool) -> None:
    """Print the public keys of a line, for whoever verifies: all that ever signed, the present one last. `> FILE` makes a --key file."""
    data = data_of(line)
    public = public_keys(data)
    if not public:
        fail(f"{data}: no key has been made yet; the first start makes one", NOT_REACHED)
    if as_json:
        rotations = data / "key-rotations.txt"
        print_json({"keys": public, "rotations": rotations.read_text("utf-8") if rotations.exists() else ""})
    else:
        click.echo("\n".join(public))


@keys.command(short_help="Have the gateway sign with a new key")
@line_folder
@by_person
def rotate(line: Path, reason: str, user: str | None, password_file: Path | None) -> None:
    """Have the running gateway sign with a new key: recorded, and signed by the old and the new one. The old one is destroyed."""
    answer = told(line, "rotate-key", user, password_file, reason=reason)
    click.echo(f"{answer['public']}\nsigns from now on; who trusts the key before may trust it, for that one has signed it")


def public_keys(data: Path) -> list[str]:
    """Return the public keys in the journal's folder, the present one last."""
    path = data / "checkpoint-key.pub"
    return path.read_text(encoding="ascii").split() if path.exists() else []
