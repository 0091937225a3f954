"""Defines the command of the performance qualification."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import FOLDER, PATH, WRONG_INPUT, data_of, fail, line_folder
from gateway.cli.documents import public_keys_from
from gateway.cli.evidence import Making, made, makes_evidence
from gateway.cli.persons import credentials

DEFAULT_H = 0.2
DEFAULT_OUTAGE = "5min"
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """Read a duration as `30min`. Ends the program for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(s|min|h|d)", text.strip())
    if not found or not 0 <= float(found[1]) * _UNITS[found[2]] <= 30 * 86_400:
        fail(f"--outage {text[:20]}: a number with s, min, h or d, at most 30 days, as 30min; 0s leaves the case out", WRONG_INPUT)
    return float(found[1]) * _UNITS[found[2]]


def factors_of(text: str) -> list[float]:
    """Read factors as `1,2`. Ends the program for anything else."""
    try:
        found = [float(one) for one in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0.1 <= one <= 20 for one in found) or len(set(found)) < len(found):
        fail(f"--factor {text[:20]}: numbers from 0.1 to 20, each once, as 1,2", WRONG_INPUT)
    return found


@click.command(short_help="Performance qualification: load, outage, restore, on a copy of the line")
@line_folder
@click.option(
    "--hours", type=click.FloatRange(0.004, 1000), default=DEFAULT_H, show_default=True, help="of load at each factor; 72 for the real one"
)
@click.option("--factor", default="1,2", show_default=True, help="times the site's peak rate, one after the other")
@click.option("--outage", default=DEFAULT_OUTAGE, show_default=True, help="how long the EBR is away, as 30min; 0s: not played")
@click.option("--limits", "limits_file", type=PATH, help="the acceptance limits; pq.toml of the line folder unless told")
@click.option("--from-journal", metavar="FROM..TO", help="measure the profile in the line's own journal, as 2026-11-01..2026-11-08")
@click.option("--backup", type=FOLDER, help="restore this backup of the plant in the drill, not one of the run")
@click.option("--comparison", "comparisons", type=PATH, multiple=True, help="a signed comparison of a batch in parallel run; three of them")
@makes_evidence
def pq(
    line: Path,
    hours: float,
    factor: str,
    outage: str,
    limits_file: Path | None,
    from_journal: str | None,
    backup: Path | None,
    comparisons: tuple[Path, ...],
    making: Making,
) -> None:
    """Replay the site's load at 1x and 2x on a copy of the line, take the EBR away, restore a backup; unattended, on this machine alone.

    The plant is not touched. Limits are set before the run, in pq.toml. Ctrl-C ends it in order, with a document that says so.
    Exit 0: every case was played and passed; 1: not.
    """
    import signal

    from gateway.runtime import assembly
    from gateway.validation import pq as qualification
    from gateway.validation.pq_cases import Asked

    outage_s, factors = seconds_of(outage), factors_of(factor)
    site = assembly.load(line)
    if not site.uplinks:
        fail(f"{line}: the line has no uplink, and so no EBR that could be compared with", WRONG_INPUT)
    compared = _comparisons(line, site.gateway, comparisons)
    limits, profile = _limits(line, limits_file), _profile(site, line, from_journal)
    said = credentials(making.user, making.password_file)  # now: nobody is there when a run of days ends
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended, in order
    given = None if backup is None else _backup(line, site, backup)
    asked = Asked(hours * 3600, factors, outage_s, limits, profile, given, lambda text: click.echo(text, err=True), compared)
    made(line, making, lambda bundle: qualification.qualified(site, bundle, asked, making.run), said)


def _comparisons(line: Path, gateway: str, files: tuple[Path, ...]) -> list[Any]:
    """Read the comparisons, and look at their signatures with the line's own keys. Ends the program for one that is none."""
    from gateway.documents import NotADocument, read
    from gateway.operation.document_commands import signature_problems
    from gateway.validation.pq_parallel import Comparison, NoEvidence, accepted

    publics = public_keys_from(line, None)
    try:
        given = [Comparison(file.name, file.read_bytes(), read(file)) for file in files]
        return accepted(gateway, given, lambda document: signature_problems(document, publics))
    except (NotADocument, NoEvidence) as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", WRONG_INPUT)


def _limits(line: Path, file: Path | None) -> Any:
    from gateway.validation.pq_limits import FILE, Limits, read

    path = file or line / FILE
    if file is None and not path.exists():
        click.echo(f"no acceptance limits: there is no {FILE} in {line}. What is measured is told, and has no verdict.", err=True)
        return Limits({})
    return read(path)


def _profile(site: Any, line: Path, period: str | None) -> Any:
    from gateway.validation.pq_profile import NoProfile, from_journal, from_map

    if period is None:
        return from_map(site)
    begin, end = _period(period)
    try:
        return from_journal(site, data_of(line), begin, end)
    except (NoProfile, FileNotFoundError) as error:
        fail(str(error), WRONG_INPUT)


def _period(text: str) -> tuple[datetime, datetime]:
    """Read FROM..TO; instants without an offset are UTC. Ends the program for anything else."""
    try:
        begin, end = (datetime.fromisoformat(part) for part in text.split(".."))
    except ValueError:
        fail(f"--from-journal {text[:60]}: two times, as 2026-11-01T06:00Z..2026-11-08", WRONG_INPUT)
    begin, end = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in (begin, end))
    if begin >= end:
        fail(f"--from-journal {text[:60]}: it ends before it begins", WRONG_INPUT)
    return begin, end


def _backup(line: Path, site: Any, backup: Path) -> Any:
    from gateway.validation.restore_test import Given

    return Given(site.gateway, data_of(line), backup, None, "\n".join(public_keys_from(line, None)), 0.0)
