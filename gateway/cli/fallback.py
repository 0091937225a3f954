"""Defines the commands of a fallback: records are led elsewhere from now on, and here again; which there were, what was captured."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.base import FOLDER, NOT_REACHED, PATH, WRONG_INPUT, Words, as_json, data_of, fail, line_folder, print_json, shown
from gateway.cli.documents import makes_document
from gateway.cli.persons import by_person, told

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from gateway.evidence.fallbacks import Fallback

SPARE_BYTES = 64 * 1024
"""Of a command, for what comes with a file: person, password, reason."""
at_instant = click.option("--at", help="when it was, if that is over: what you report; without an offset the line's wall clock")


@click.group(cls=Words, no_args_is_help=True, subcommand_metavar="COMMAND ...")
def fallback() -> None:
    """Records led elsewhere for a time, by the legacy system or by hand: begin, end, list, export, import, drill, cutover."""


@fallback.command(short_help="Say that records are led elsewhere from now on")
@line_folder
@click.option("--led-by", type=click.Choice(["legacy", "manual"]), required=True, help="the legacy system, or manual recording")
@click.option("--equipment", "equipments", multiple=True, help="of this equipment alone; may be given more than once")
@at_instant
@by_person
def begin(
    line: Path, led_by: str, equipments: tuple[str, ...], at: str | None, reason: str, user: str | None, password_file: Path | None
) -> None:
    """Say that records are led elsewhere. The gateway goes on reading, recording and sending; the record and each batch of it say so.

    Works without a running gateway as well: the next start takes it into the record.
    """
    given = {"led_by": led_by, "equipments": list(equipments), **_at(line, at)}
    answer = told(line, "fallback-begin", user, password_file, reason=reason, **given)
    click.echo(f"{answer['fallback']}: {_led(answer)} since {_instant(line, answer, 'from')}")


@fallback.command(short_help="Say that records are led here again")
@line_folder
@at_instant
@by_person
def end(line: Path, at: str | None, reason: str, user: str | None, password_file: Path | None) -> None:
    """Say that records are led by this gateway and its EBR again. Works without a running gateway as well."""
    answer = told(line, "fallback-end", user, password_file, reason=reason, **_at(line, at))
    click.echo(f"{answer['fallback']}: over; {_led(answer, 'were')} until {_instant(line, answer, 'until')}")


@fallback.command(name="list", short_help="List every fallback that the journal holds")
@line_folder
@as_json
def list_(line: Path, as_json: bool) -> None:
    """List every fallback that the journal holds, and what waits for the next start."""
    from gateway.cli.tables import zone_of

    zone = zone_of(line)
    rows = [_row(one, zone) for one in held(line)]
    if as_json:
        print_json(rows)
    for row in [] if as_json else map(shown, rows):
        until = f"{row['until_local']} ({row['until_basis']})" if row["until"] else "it lasts"
        led = f"{row['local']} ({row['from_basis']}) to {until}  {_led(row, 'were' if row['until'] else 'are')}"
        waits = "" if row["entry"] else "; waits for the next start"
        click.echo(f"{row['fallback']}  {led}  {row['by']}: {row['reason']}{waits}")


@fallback.command(short_help="Write what was captured meanwhile, for the other record")
@line_folder
@click.option("--fallback", "name", help="which, as `fallback list` names it; the newest without it")
@click.option("--from", "begin_at", help="or any time: from this one on; without an offset the line's wall clock")
@click.option("--until", "end_at", help="before this time; the newest entry without it")
@makes_document
def export(
    line: Path,
    name: str | None,
    begin_at: str | None,
    end_at: str | None,
    to: Path,
    forms: tuple[str, ...],
    user: str | None,
    password_file: Path | None,
) -> None:
    """Write what the gateway captured during a fallback: of each equipment every reading as CSV, and a document over them.

    What was not observed is a row of its own there, with its reason.
    """
    from gateway.cli.fallback_export import exported, interval
    from gateway.cli.tables import zone_of

    if name is not None and begin_at is not None:
        fail("--fallback and --from: an export is of a fallback or of a time that you name: leave one of them out", WRONG_INPUT)
    chosen = None if begin_at is not None else _row(_chosen(line, name), zone_of(line))
    begin, end = interval(line, chosen, begin_at, end_at)
    exported(line, chosen, begin, end, to, {"forms": forms, "user": user, "password_file": password_file})


@fallback.command(name="import", short_help="Take in what was written by hand meanwhile")
@line_folder
@click.argument("file", type=PATH, metavar="FILE", help="CSV of the values, each by two persons")
@click.option("--accept-unknown", is_flag=True, help="take rows as they stand whose batch or field is not known here")
@by_person
def import_(line: Path, file: Path, accept_unknown: bool, reason: str, user: str | None, password_file: Path | None) -> None:
    """Take into the record what people wrote by hand during a fallback: each value as an entry of origin manual, never as a reading.

    The whole file or nothing of it; what was imported before is not imported twice. A batch or a field that is not known here is told
    before it is taken. Asked of the running gateway.
    """
    given = {"name": file.name, "text": _hand_written(file), "accept_unknown": accept_unknown}
    answer = told(line, "fallback-import", user, password_file, reason=reason, **given)
    before = f"; {answer['before']} were there before" if answer["before"] else ""
    click.echo(f"{file}: {answer['imported']} entries by hand imported{before}; batches {', '.join(answer['batches'])}")


def _hand_written(file: Path) -> str:
    """Read a file that fits into a command. Ends the program for any other."""
    from gateway.operation.control import MOST_COMMAND_BYTES

    most = MOST_COMMAND_BYTES // 2  # the other half is for who asks, and for letters that are longer on their way than in the file
    try:
        with file.open("rb") as opened:
            held = opened.read(most + 1)
        text = held[:most].decode("utf-8-sig") if len(held) <= most else ""
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        fail(f"{file}:{at}: is no UTF-8: export it as CSV UTF-8; nothing of it was imported", WRONG_INPUT)
    except OSError as error:
        fail(f"{file}: {error.strerror}", WRONG_INPUT)
    if len(held) > most or len(json.dumps(text)) > MOST_COMMAND_BYTES - SPARE_BYTES:
        what = "cut it, with the header over each part, and import one after the other"
        size = f"{most:,} bytes (fewer where letters are not ASCII) and 1,000 values"
        fail(f"{file}: is more than an import takes, {size}: {what}; nothing of it was imported", WRONG_INPUT)
    return text


@fallback.command(short_help="Judge a drill against its plan, as a document")
@line_folder
@click.option("--plan", type=PATH, required=True, help="TOML file: what was planned, who did what and when, within what time")
@click.option("--fallback", "name", help="which, as `fallback list` names it; the newest without it")
@click.option(
    "--ebr", metavar="URL|STORE", help="whom to compare with: the EBR's address, or the folder of its store; else the uplink's own"
)
@click.option("--uplink", help="name of the uplink, where the line has several")
@makes_document
def drill(
    line: Path,
    plan: Path,
    name: str | None,
    ebr: str | None,
    uplink: str | None,
    to: Path,
    forms: tuple[str, ...],
    user: str | None,
    password_file: Path | None,
) -> None:
    """Judge a drill: planned and actual instants, who did what, time to fallback and to return, entries before and after, verdict.

    The receiver is compared with, as `reconcile` does. Exit 0: passed; 1: something is wrong, or nobody knows it.
    """
    from gateway.cli.fallback_drill import drilled

    given = {"to": to, "forms": forms, "user": user, "password_file": password_file}
    drilled(line, _chosen(line, name), plan, ebr, uplink, given)


@fallback.command(short_help="Judge a cut-over from the legacy system, as a document")
@line_folder
@click.option("--plan", type=PATH, required=True, help="TOML file: the decision, the last legacy record, what is open")
@click.option("--comparisons", type=FOLDER, help="the folder with the JSON of the comparisons of the parallel run")
@makes_document
def cutover(
    line: Path, plan: Path, comparisons: Path | None, to: Path, forms: tuple[str, ...], user: str | None, password_file: Path | None
) -> None:
    """Judge a cut-over: decision, open points, last record of the legacy system, first one here, overlap compared. Exit 0: passed."""
    from gateway.cli.fallback_cutover import cut_over

    cut_over(line, plan, comparisons, {"to": to, "forms": forms, "user": user, "password_file": password_file})


def _chosen(line: Path, name: str | None) -> "Fallback":
    """Return the fallback that is named, the newest without a name. Ends the program where there is none."""
    known = held(line)
    found = known[-1] if known and name is None else next((one for one in known if one.id == name), None)
    if found is None:
        named = ", ".join(one.id for one in known[-5:]) or "none"
        fail(f"the journal holds no fallback{'' if name is None else ' ' + name[:60]}; it holds: {named}", WRONG_INPUT)
    return found


def held(line: Path) -> "list[Fallback]":
    """Return the fallbacks that a line's journal holds. Ends the program where it can not be read."""
    from buffer import JournalError
    from gateway.evidence.fallbacks import fallbacks

    try:
        return fallbacks(data_of(line))
    except (JournalError, OSError) as error:
        fail(f"{data_of(line)}: {error}", NOT_REACHED)


def _row(one: "Fallback", zone: "ZoneInfo") -> dict[str, Any]:
    """Describe a fallback as JSON-able values."""
    from gateway.entries.ticks import rfc3339
    from gateway.entries.wall_clock import local_text

    end, ended = one.end, one.ended
    return {
        "fallback": one.id,
        "led_by": one.led_by,
        "equipments": one.equipments,
        "from": rfc3339(one.begin),
        "local": local_text(one.begin, zone),
        "from_basis": one.began.basis,
        "until": None if end is None else rfc3339(end),
        "until_local": None if end is None else local_text(end, zone),
        "until_basis": None if ended is None else ended.basis,
        "by": one.began.by,
        "reason": one.began.reason,
        "ended_by": None if ended is None else ended.by,
        "ended_for": None if ended is None else ended.reason,
        "entry": None if one.begun_at is None else list(one.begun_at),
        "ended_entry": None if one.ended_at is None else list(one.ended_at),
    }


def _at(line: Path, at: str | None) -> dict[str, str]:
    from gateway.cli.tables import instant_of
    from gateway.entries.ticks import rfc3339

    return {} if at is None else {"at": rfc3339(instant_of(line, at, with_time=True))}


def _led(told: dict[str, Any], verb: str = "are") -> str:
    from gateway.entries.fallback import LED_BY_TEXT, place_text

    return f"records of {place_text(told['equipments'])} {verb} led by {LED_BY_TEXT[told['led_by']]}"


def _instant(line: Path, answer: dict[str, Any], name: str) -> str:
    from gateway.cli.tables import zone_of
    from gateway.entries.ticks import from_rfc3339
    from gateway.entries.wall_clock import wall_clock

    return wall_clock(from_rfc3339(answer[name]), zone_of(line), answer["basis"])
