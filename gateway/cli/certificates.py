"""Defines the commands on the certificates of a line's OPC UA sources."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FINDING, GOOD, WRONG_INPUT, Words, fail, line_folder
from gateway.cli.persons import by_person, told, with_purpose


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def certs() -> None:
    """Certificates of the OPC UA sources: make, show, trust."""


@certs.command(short_help="Make the gateway's own certificate")
@line_folder
@with_purpose
def make(line: Path, reason: str | None, user: str | None, password_file: Path | None) -> None:
    """Make the gateway's own OPC UA certificate, for the servers' administrators to trust."""
    from drivers.opcua.commissioning import certs

    for place in _places(line):
        if (place / "own" / "cert.der").exists():
            fail(f"{place / 'own' / 'cert.der'}: exists already", WRONG_INPUT)
        told(line, "certs-make", user, password_file, reason=reason, folder=str(place))
        try:
            _show_one(certs.make(place))
        except FileExistsError as error:
            fail(str(error), WRONG_INPUT)


@certs.command(short_help="Show own, trusted and rejected certificates")
@line_folder
def show(line: Path) -> None:
    """Show own, trusted and rejected certificates, with a warning 60, 30 and 7 days before one ends. Exit 1 if there is a warning."""
    from drivers.opcua.commissioning import certs

    try:
        shown = [one for place in _places(line) for one in certs.show(place)]
    except ValueError as error:  # a file that is no certificate
        fail(str(error), WRONG_INPUT)
    for one in shown:
        _show_one(one)
    if not shown:
        click.echo(f"no certificates yet; make one: ebr-gateway certs make {line}")
    sys.exit(FINDING if any(one.warning for one in shown) else GOOD)


@certs.command(short_help="Trust a server's certificate")
@line_folder
@click.argument("which", metavar="WHICH", help="the beginning of a rejected certificate's SHA-256, or a file")
@by_person
def trust(line: Path, which: str, reason: str, user: str | None, password_file: Path | None) -> None:
    """Trust a server's certificate that was refused, or one in a file. First it is written down, then done."""
    from drivers.opcua.commissioning import certs

    problems = []
    for place in _places(line):
        try:
            one = certs.meant(place, which)
        except (LookupError, ValueError) as error:
            problems.append(str(error))
            continue
        facts = {"sha256": one.sha256, "subject": one.subject, "uri": one.uri, "file": str(one.file)}
        told(line, "certs-trust", user, password_file, reason=reason, **facts)
        _show_one(certs.trust(place, which))
        return
    fail("\n".join(problems), WRONG_INPUT)


def _places(line: Path) -> list[Path]:
    """Return the certificate folders of a line's OPC UA sources, each once."""
    from gateway.runtime import assembly

    found = assembly.load(line)
    settings = [driver.settings for source, driver in assembly.drivers_of(found) if source.driver == "opcua"]
    if not settings:
        fail(f"{line}: no OPC UA source", WRONG_INPUT)
    return sorted({found.folder / getattr(setting, "certificates", "certs") for setting in settings})


def _show_one(one: Any) -> None:
    click.echo(f"{one.kind:<9} {one.sha256[:16]}  {one.subject}  {one.uri or ''}  until {one.not_after:%Y-%m-%d}  {one.file}")
    if one.warning:
        click.echo(f"          {one.warning}")
