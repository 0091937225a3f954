"""Makes the document of a drill: the plan that people filled in, the fallback as it is on record, and what the receiver holds after it."""

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, GOOD, WRONG_INPUT, fail

if TYPE_CHECKING:
    from gateway.evidence.fallbacks import Fallback
    from gateway.validation.fallback.drill import Compared


def drilled(line: Path, fallback: "Fallback", plan: Path, ebr: str | None, uplink: str | None, given: dict[str, Any]) -> None:
    """Judge a drill and write its document. given: options of the document. Exit 0: passed; 1: not, or not all is known."""
    from buffer.times import now_ticks
    from gateway.cli.documents import can_be_written, publish
    from gateway.cli.tables import zone_of
    from gateway.validation.fallback.drill import checks
    from gateway.validation.fallback.drill_document import drafted
    from gateway.validation.fallback.drill_plan import plan_of
    from gateway.validation.fallback.plan_problems import NotAPlan

    can_be_written(given["to"])
    zone = zone_of(line)
    try:
        planned = plan_of(plan, zone, now_ticks())
    except NotAPlan as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{plan}: {error.strerror}", WRONG_INPUT)
    compared = _compared(line, ebr, uplink)
    listed = checks(planned, fallback, compared)
    draft = drafted(planned, fallback, compared, listed, zone.key)
    for one in listed:
        click.echo(f"{one.verdict:12} {one.what}: {one.found} (expected: {one.expected})")
    click.echo(f"{fallback.id}: {draft['result']}")
    for path in publish(line, draft, given["to"], given["forms"], given["user"], given["password_file"])[1]:
        click.echo(str(path))
    sys.exit(GOOD if draft["result"] == "passed" else FINDING)


def _compared(line: Path, ebr: str | None, uplink: str | None) -> "Compared":
    """Compare with the receiver, as `reconcile` does; what is in the way is the reason for which it was not."""
    from gateway.cli.reconcile import compared_with
    from gateway.cli.what_runs import line_for_records
    from gateway.reconciliation.answer import NotAnswered
    from gateway.reconciliation.document import drafted
    from gateway.validation.fallback.drill import Compared

    try:
        asked, found = compared_with(line, line_for_records(line), None, None, ebr, uplink)
    except (NotAnswered, sqlite3.Error) as error:
        return Compared("not-complete", None, None, str(error))
    draft = drafted(asked, found)
    return Compared(draft["result"], draft["facts"], asked.confirmed)
