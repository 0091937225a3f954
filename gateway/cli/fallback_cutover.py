"""Makes the document of a cut-over: what people decided, what the journal holds from then on, and the comparisons of the overlap."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FINDING, GOOD, NOT_REACHED, WRONG_INPUT, data_of, fail

if TYPE_CHECKING:
    from datetime import date
    from zoneinfo import ZoneInfo

    from config import Line
    from gateway.validation.fallback.cutover import First


def cut_over(line: Path, plan: Path, folder: Path | None, given: dict[str, Any]) -> None:
    """Judge a cut-over and write its document. folder: of the comparisons. given: options of the document."""
    from buffer import JournalError
    from buffer.times import now_ticks
    from gateway.cli.documents import can_be_written, publish
    from gateway.cli.tables import zone_of
    from gateway.cli.what_runs import line_for_records
    from gateway.validation.fallback.cutover import checks, cut_over_of, first_of
    from gateway.validation.fallback.cutover_document import drafted
    from gateway.validation.fallback.plan_problems import NotAPlan

    can_be_written(given["to"])
    zone, site = zone_of(line), line_for_records(line)
    try:
        told = cut_over_of(plan, zone, now_ticks())
    except NotAPlan as error:
        fail(str(error), WRONG_INPUT)
    except OSError as error:
        fail(f"{plan}: {error.strerror}", WRONG_INPUT)
    try:
        first = first_of(list(_starts(data_of(line))), told.at)
        trend, wrong = (None, []) if folder is None else _trend(line, site, folder)
    except (JournalError, OSError) as error:
        fail(f"{data_of(line)}: {error}", NOT_REACHED)
    listed = checks(told, first, site.transition, trend, _day(now_ticks(), zone), _day(told.at, zone), zone.key)
    draft = drafted(told, first, trend, listed, zone.key, wrong)
    for one in listed:
        click.echo(f"{one.verdict:12} {one.what}: {one.found} (expected: {one.expected})")
    click.echo(f"cut-over: {draft['result']}")
    for path in publish(line, draft, given["to"], given["forms"], given["user"], given["password_file"])[1]:
        click.echo(str(path))
    sys.exit(GOOD if draft["result"] == "passed" else FINDING)


def _starts(data: Path) -> "Iterator[First]":
    """Yield each batch that the journal saw begin."""
    from gateway.entries.ticks import from_rfc3339
    from gateway.evidence.journal_events import events
    from gateway.validation.fallback.cutover import First

    for stored in events(data, {"batch"}):
        event = stored.event
        if event["transition"] == "start" and event.get("start"):
            yield First(event["record"], from_rfc3339(event["start"]["time"]), f"{stored.epoch}/{stored.seq}")


def _trend(line: Path, site: "Line", folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Put the comparisons in a folder beside each other, as `compare trend` does."""
    from gateway.cli.documents import public_keys_from
    from gateway.operation.document_commands import signature_problems
    from gateway.validation.parallel_run import trend as trending

    if not folder.is_dir():
        fail(f"{folder}: is no folder; comparisons are written by `compare LINE --batch B --to {folder}`", WRONG_INPUT)
    publics = public_keys_from(line, None)
    found, wrong = trending.comparisons(folder, site.gateway, lambda document: signature_problems(document, publics))
    return trending.trend(site, trending.told_by(data_of(line)), found), wrong


def _day(ticks: int, zone: "ZoneInfo") -> "date":
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).astimezone(zone).date()
