"""Defines the commands that look at sources before and during a run: offered tags, agreement with the map, certificates. Reading only."""

import asyncio
import csv
import dataclasses
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from gateway.cli.base import (
    FINDING,
    GOOD,
    NOT_REACHED,
    PATH,
    WRONG_INPUT,
    as_json,
    data_of,
    fail,
    line_folder,
    logging_to_stderr,
    people_of,
    print_json,
)

if TYPE_CHECKING:
    from config import Line
    from drivers import Driver


TAKES_FEW = ("modbus", "serial", "opcua")
"""Drivers whose devices may take one connection, or few."""


append = click.option("--append", is_flag=True, help="add the rows to the line's tags.csv, in its own columns")


@click.command()
@line_folder
@click.option("--source", required=True, help="the source to look into")
@click.option("--under", help="only below this path, address, table or pattern; modbus: the ranges to read, as in 1/holding/0..99")
@click.option("--match", help="only paths that match, * and ? as in file names")
@click.option("--new-only", is_flag=True, help="only what the tag map does not have")
@append
def browse(line: Path, source: str, under: str | None, match: str | None, new_only: bool, append: bool) -> None:
    """Write tag rows for what a source offers on the standard output, in the columns of tags.csv, or add them to it.

    OPC UA: variables. Databases: columns of tables and views. Drop folders: columns of the files in it. Modbus: registers and bits of the
    ranges that --under names, and of no others.
    """
    from drivers.contract import Browses

    found, driver = _driver(line, source)
    if not isinstance(driver, Browses):
        fail(f"{source}: a {driver.source.driver} source has nothing to browse; `ebr-gateway probe` shows what it says", WRONG_INPUT)
    known = {tag.address for tag in found.tags_of(source)} if new_only or append else set()
    held = _held(line) if driver.source.driver in TAKES_FEW else ""
    browsed = _reached(source, driver.browse(under, match, known, _progress), held)
    if sys.stderr.isatty():
        click.echo("", err=True)  # the progress stands on its own line
    _rows(line, browsed.rows, browsed.left_out, append=append)
    for text in browsed.needs:
        click.echo(f"\n{text}", err=True)


@click.command(name="import")
@line_folder
@click.argument("file", type=PATH, metavar="FILE", help="the export")
@click.option("--from", "program", type=click.Choice(["kepware", "ignition", "tia", "studio5000"]), required=True, help="what exported it")
@click.option("--source", default="plc", help="the source that the rows are for")
@click.option("--address", help="how names become addresses, with {name} in it (kepware, studio5000)")
@append
def import_(
    line: Path, file: Path, program: Literal["kepware", "ignition", "tia", "studio5000"], source: str, address: str | None, append: bool
) -> None:
    """Turn an export of another program into tag rows on the standard output, or add them to the line's tags.csv."""
    from drivers import tag_lists

    if not (line / "line.toml").exists():
        fail(f"{line}: no line folder", WRONG_INPUT)
    try:
        imported = tag_lists.read(program, file, source, address)
    except ValueError as error:
        fail(f"{file}: {error}", WRONG_INPUT)
    _rows(line, imported.rows, imported.left_out, append=append)


@click.command()
@line_folder
@click.option("--source", help="only this source")
@as_json
def probe(line: Path, source: str | None, as_json: bool) -> None:
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
            reports[configured.name] = {"unreached": f"{error}{_held(line) if configured.driver in TAKES_FEW else ''}"}
            continue
        reports[configured.name] = report
        bad += len(getattr(report, "findings", ()))
        bad += sum(getattr(tag, "state", "ok") != "ok" or bool(getattr(tag, "problems", ())) for tag in report.tags)
    if not reports:
        fail(f"{source or line}: no source that can be probed", WRONG_INPUT)
    _tell(reports, as_json=as_json)
    sys.exit(NOT_REACHED if unreached else FINDING if bad else GOOD)


def _held(line: Path) -> str:
    """Say that the gateway of this line runs, where it does: it may hold the one connection that a device takes."""
    from gateway.operation.control import NotRunning, ask

    try:
        ask(data_of(line), people_of(line))
    except NotRunning:
        return ""
    return "; the gateway of this line is running, and a port or a small device takes one connection: stop it to probe"


def _driver(folder: Path, name: str) -> "tuple[Line, Driver]":
    from gateway.runtime import assembly

    logging_to_stderr(verbose=False)
    line = assembly.load(folder)
    drivers = {source.name: driver for source, driver in assembly.drivers_of(line)}
    if name not in drivers:
        fail(f"--source {name}: no such source; there are: {', '.join(drivers)}", WRONG_INPUT)
    return line, drivers[name]


def _reached(name: str, work: Coroutine[Any, Any, Any], held: str) -> Any:
    from drivers import DriverError, DriverMisconfigured

    try:
        return asyncio.run(work)
    except ValueError as error:
        fail(f"{name}: {error}", WRONG_INPUT)
    except DriverMisconfigured as error:
        fail(str(error), WRONG_INPUT)
    except DriverError as error:
        fail(f"{name}: {error}{held}", NOT_REACHED)


def _progress(said: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{said:<60}")
        sys.stderr.flush()


def _rows(line: Path, rows: list[dict[str, str]], left_out: dict[str, str], *, append: bool) -> None:
    for name, why in left_out.items():
        click.echo(f"left out: {name}: {why}", err=True)
    if append and rows:
        _append(line, rows)
    elif not append:
        _print_rows(rows)
    click.echo(f"{len(rows)} row{'' if len(rows) == 1 else 's'}, {len(left_out)} left out", err=True)


def _append(line: Path, rows: list[dict[str, str]]) -> None:
    from config.locations import append_tags

    name, missing = append_tags(line, rows)  # who can not is told by the group
    for column in missing:
        click.echo(f"{name} has no column {column}: what the rows hold in it is not written", err=True)
    click.echo(f"added to {line / name}: say what they are for (criticality, equipment), then: ebr-gateway check {line}", err=True)


def _print_rows(rows: list[dict[str, str]]) -> None:
    from drivers.contract import TAG_ROW

    writer = csv.DictWriter(sys.stdout, fieldnames=TAG_ROW, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _tell(reports: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({name: report if isinstance(report, dict) else dataclasses.asdict(report) for name, report in reports.items()})
        return
    for name, report in reports.items():
        click.echo(f"== {name}")
        for text in [f"not reached: {report['unreached']}"] if isinstance(report, dict) else report.lines():
            click.echo(text)
