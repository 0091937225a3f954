"""Defines the commands that look at sources before and during a run: offered tags, agreement with the map, certificates. Reading only."""

import asyncio
import csv
import dataclasses
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.base import FINDING, GOOD, NOT_REACHED, WRONG_INPUT, AsJson, Folder, app, fail, logging_to_stderr, print_json
from gateway.cli.persons import OptionalWhy, PasswordFile, Person, Why, told

if TYPE_CHECKING:
    from config import Line
    from drivers import Driver

certificates = typer.Typer(no_args_is_help=True, help="Certificates of the OPC UA sources: make, show, trust.")
app.add_typer(certificates, name="certs")
Named = Annotated[str | None, typer.Option("--source", help="only this source")]


@app.command()
def browse(
    line: Folder,
    *,
    source: Annotated[str, typer.Option(help="the source to look into")],
    under: Annotated[str | None, typer.Option(help="only below this path or address")] = None,
    match: Annotated[str | None, typer.Option(help="only paths that match, * and ? as in file names")] = None,
    new_only: Annotated[bool, typer.Option("--new-only", help="only what the tag map does not have")] = False,
) -> None:
    """Write tag rows for what a source offers on the standard output, in the columns of tags.csv."""
    from drivers.contract import Browses

    found, driver = _driver(line, source)
    if not isinstance(driver, Browses):
        fail(f"{source}: a {driver.source.driver} source has nothing to browse", WRONG_INPUT)
    known = {tag.address for tag in found.tags_of(source)} if new_only else set()
    browsed = _reached(source, driver.browse(under, match, known, _progress))
    if sys.stderr.isatty():
        typer.echo("", err=True)  # the progress stands on its own line
    _rows(browsed.rows, browsed.left_out)


@app.command(name="import")
def import_(
    line: Folder,
    file: Annotated[Path, typer.Argument(help="the export")],
    *,
    program: Annotated[Literal["kepware", "ignition", "tia", "studio5000"], typer.Option("--from", help="what exported it")],
    source: Annotated[str, typer.Option(help="the source that the rows are for")] = "plc",
    address: Annotated[str | None, typer.Option(help="how names become addresses, with {name} in it (kepware, studio5000)")] = None,
) -> None:
    """Turn an export of another program into tag rows on the standard output."""
    from drivers import tag_lists

    if not (line / "line.toml").exists():
        fail(f"{line}: no line folder", WRONG_INPUT)
    try:
        imported = tag_lists.read(program, file, source, address)
    except ValueError as error:
        fail(f"{file}: {error}", WRONG_INPUT)
    _rows(imported.rows, imported.left_out)


@app.command()
def probe(line: Folder, *, source: Named = None, as_json: AsJson = False) -> None:
    """Connect to every tag and compare the source with the map: type, unit, rate, time, load; Modbus neighbours and byte orders."""
    from drivers import DriverError
    from drivers.contract import Probes
    from gateway.runtime import assembly

    found = assembly.load(line)
    reports: dict[str, Any] = {}
    bad = unreached = 0
    for configured, driver in assembly.drivers_of(found):
        if source not in (None, configured.name) or not isinstance(driver, Probes):
            continue
        try:
            report = asyncio.run(driver.probe())
        except DriverError as error:
            unreached += 1
            reports[configured.name] = {"unreached": str(error)}
            continue
        reports[configured.name] = report
        bad += len(getattr(report, "findings", ()))
        bad += sum(getattr(tag, "state", "ok") != "ok" or bool(getattr(tag, "problems", ())) for tag in report.tags)
    if not reports:
        fail(f"{source or line}: no source that can be probed", WRONG_INPUT)
    _tell(reports, as_json=as_json)
    raise typer.Exit(NOT_REACHED if unreached else FINDING if bad else GOOD)


@certificates.command()
def make(line: Folder, *, reason: OptionalWhy = None, user: Person = None, password_file: PasswordFile = None) -> None:
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


@certificates.command()
def show(line: Folder) -> None:
    """Show own, trusted and rejected certificates, with a warning 60, 30 and 7 days before one ends. Exit 1 if there is a warning."""
    from drivers.opcua.commissioning import certs

    try:
        shown = [one for place in _places(line) for one in certs.show(place)]
    except ValueError as error:  # a file that is no certificate
        fail(str(error), WRONG_INPUT)
    for one in shown:
        _show_one(one)
    if not shown:
        typer.echo(f"no certificates yet; make one: ebr-gateway certs make {line}")
    raise typer.Exit(FINDING if any(one.warning for one in shown) else GOOD)


@certificates.command()
def trust(
    line: Folder,
    which: Annotated[str, typer.Argument(help="the beginning of a rejected certificate's SHA-256, or a file")],
    *,
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
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
    typer.echo(f"{one.kind:<9} {one.sha256[:16]}  {one.subject}  {one.uri or ''}  until {one.not_after:%Y-%m-%d}  {one.file}")
    if one.warning:
        typer.echo(f"          {one.warning}")


def _driver(folder: Path, name: str) -> "tuple[Line, Driver]":
    from gateway.runtime import assembly

    logging_to_stderr(verbose=False)
    line = assembly.load(folder)
    drivers = {source.name: driver for source, driver in assembly.drivers_of(line)}
    if name not in drivers:
        fail(f"--source {name}: no such source; there are: {', '.join(drivers)}", WRONG_INPUT)
    return line, drivers[name]


def _reached(name: str, work: Coroutine[Any, Any, Any]) -> Any:
    from drivers import DriverError

    try:
        return asyncio.run(work)
    except DriverError as error:
        fail(f"{name}: {error}", NOT_REACHED)


def _progress(said: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{said:<60}")
        sys.stderr.flush()


def _rows(rows: list[dict[str, str]], left_out: dict[str, str]) -> None:
    from drivers.contract import TAG_ROW

    writer = csv.DictWriter(sys.stdout, fieldnames=TAG_ROW, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for name, why in left_out.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    typer.echo(f"{len(rows)} rows, {len(left_out)} left out", err=True)


def _tell(reports: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({name: report if isinstance(report, dict) else dataclasses.asdict(report) for name, report in reports.items()})
        return
    for name, report in reports.items():
        typer.echo(f"== {name}")
        for text in [f"not reached: {report['unreached']}"] if isinstance(report, dict) else report.lines():
            typer.echo(text)
