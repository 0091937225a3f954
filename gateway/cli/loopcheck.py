"""Defines the command by which a technician checks a loop, from the sensor to the EBR."""

import sqlite3
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, FOLDER, GOOD, NOT_REACHED, WRONG_INPUT, data_of, fail, line_folder, people_of
from gateway.cli.evidence import FORMS, NAME, of_plan, put_by, run_of
from gateway.cli.persons import credentials, password_option

if TYPE_CHECKING:
    from config import Line
    from gateway.validation.loop import Loop
    from gateway.validation.loop_watch import Receipt, Seen


@click.command()
@line_folder
@click.option("--tag", required=True, help="the tag at the end of the loop")
@click.option("--inject", required=True, metavar="VALUE", help="what is forced, or the certified weight, as 12 or 20.000")
@click.option("--unit", help="of that value: mA for 4 to 20 mA over the range of the map, or a UCUM unit; the tag's own unless told")
@click.option("--tolerance", help="in the tag's unit, or with % of the range of the map; without it there is no verdict")
@click.option("--instrument", metavar="NO", help="its number; that of the map unless told")
@click.option("--calibration-due", type=click.DateTime(["%Y-%m-%d"]), help="until when it is calibrated, as 2027-03-31")
@click.option("--stable-s", type=click.FloatRange(0.5, 600), default=5.0, show_default=True, help="how long the value has to stand still")
@click.option(
    "--within-s", type=click.FloatRange(1, 3600), default=120.0, show_default=True, help="how long to wait for it, and for receipts"
)
@of_plan
@click.option("--to", type=FOLDER, help="the folder of the list, to which this loop is added")
@click.option("--user", required=True, help="who you are")
@password_option
def loopcheck(
    line: Path,
    tag: str,
    inject: str,
    unit: str | None,
    tolerance: str | None,
    instrument: str | None,
    calibration_due: datetime | None,
    stable_s: float,
    within_s: float,
    plan: str | None,
    witness: str | None,
    to: Path | None,
    user: str,
    password_file: Path | None,
) -> None:
    """Say what the gateway reads of a signal that you force after this command began, and whether the EBR holds it.

    The line's gateway must run, and no batch may be on the equipment. Exit 0: value, receipt and calibration are as they should be; 1: not.
    """
    from gateway.documents import NotADocument
    from gateway.runtime import assembly
    from gateway.validation import loop_document
    from gateway.validation.loop import Unfit, loop_of

    run = run_of(plan, user, witness)
    site = assembly.load(line)
    known = next((one for one in site.tags if one.tag == tag), None)
    if known is None:
        fail(f"--tag {tag[:60]}: the line has no such tag; `ebr-gateway tags {line}` lists them", WRONG_INPUT)
    due = None if calibration_due is None else calibration_due.date()
    try:
        loop = loop_of(known, inject, unit, tolerance, instrument or known.instrument, due)
        bundle, loops = (None, []) if to is None else loop_document.opened(to, run)
    except (Unfit, loop_document.NotOpen, NotADocument, FileExistsError) as error:
        fail(str(error), WRONG_INPUT)
    said = {} if to is None else credentials(user, password_file)
    seen, told_by = _played(line, site, loop, stable_s, within_s)
    one = _found(loop, site, seen, told_by, [user, *([witness] if witness else [])])
    _show(one)
    if to is not None and bundle is not None:
        _keep(line, loop_document.listed(site, bundle, [*loops, one], run), to, said)
    sys.exit(GOOD if {step["verdict"] for step in one["steps"]} == {"passed"} else FINDING)


def _played(line: Path, site: "Line", loop: "Loop", stable_s: float, within_s: float) -> tuple["Seen", list["Receipt"]]:
    """Ask for the signal to be forced, and wait for its value and the receipts of it. Ends the command where that can not be."""
    from buffer import JournalError
    from gateway.operation.control import NotRunning, ask

    data, people = data_of(line), people_of(line)
    try:
        seen = _forced(site, loop, data, lambda: ask(data, people), people, stable_s, within_s)
        return seen, [] if seen.reading is None else _confirmed(site, data, people, seen.reading, within_s)
    except (NotRunning, JournalError, FileNotFoundError, sqlite3.Error) as error:
        fail(str(error), NOT_REACHED)


def _forced(
    site: "Line", loop: "Loop", data: Path, asked: Callable[[], dict[str, Any]], people: Path | None, stable_s: float, within_s: float
) -> "Seen":
    from gateway.operation.control import ask_values
    from gateway.validation.loop import busy
    from gateway.validation.loop_watch import Tail, watched

    now = asked()
    if batches := busy(site, loop.tag, now["equipment"]):
        fail(f"batch {batches[0]} would take the forced value into its record: wait for its end", FINDING)
    begun = now["time"]
    row = next((one for one in ask_values(data, people)["tags"] if one["tag"] == loop.tag.tag), {"value": None})
    before = None if row["value"] is None or isinstance(row["value"], bool) else Fraction(str(row["value"]))
    tail = Tail(data, site, loop.tag.tag, (now["journal"]["epoch"], now["journal"]["seq"]))
    click.echo(f"{begun}  now force {loop.injected} at {loop.instrument or loop.tag.tag}: only what is read from now on counts", err=True)
    return watched(loop, tail, asked, begun, before, stable_s, within_s, lambda text: click.echo(text, err=True))


def _confirmed(site: "Line", data: Path, people: Path | None, reading: Mapping[str, Any], within_s: float) -> list["Receipt"]:
    from gateway.operation.control import tell
    from gateway.validation.loop_watch import receipts

    place = (reading["epoch"], reading["seq"])

    def refused(uplink: str) -> bool:
        answer = tell(data, "quarantine-list", people=people, uplink=uplink)
        return any((one["epoch"], one["seq"]) == place for one in answer["entries"])

    return receipts(site, data, place, refused, within_s)


def _found(loop: "Loop", site: "Line", seen: "Seen", told_by: list["Receipt"], persons: list[str]) -> dict[str, Any]:
    from buffer.times import now_ticks, rfc3339
    from gateway.validation import loop_document

    return loop_document.found(loop, site, seen, told_by, persons, rfc3339(now_ticks()), datetime.now(UTC).date())


def _show(one: dict[str, Any]) -> None:
    for step in one["steps"]:
        click.echo(f"{step['verdict']}: {step['action']}: expected {step['expected']}; found {step['actual']}")


def _keep(line: Path, drafted: dict[str, Any], to: Path, said: dict[str, str]) -> None:
    """Put the list in place of the one before, form by form: at no instant is there none."""
    from buffer import durable

    document = put_by(line, drafted, to / "next", said)
    for form in reversed(FORMS):  # that which counts is the last
        durable.place(to / "next" / f"{NAME}.{form}", to / f"{NAME}.{form}")
    (to / "next").rmdir()
    click.echo(f"{to}: {document['title']}: {document['result']}, SHA-256 {document['sha256']}")
