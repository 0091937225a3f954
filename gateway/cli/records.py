"""Defines the commands that read and prove what a line has written."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.base import (
    FINDING,
    FOLDER,
    GOOD,
    NOT_REACHED,
    PATH,
    WRONG_INPUT,
    as_json,
    data_of,
    fail,
    line_folder,
    of_batch,
    print_json,
)
from gateway.cli.keys import public_keys
from gateway.cli.persons import answered, by_person, credentials, offline, with_purpose


@click.command()
@line_folder
@click.option("--batch", help="only what names this batch")
@click.option("--from", "begin", help="from this time on; without an offset the line's wall clock")
@click.option("--to", "end", help="before this time")
@click.option("--type", "kinds", multiple=True, help="kinds of events, or readings: gap, finding,alarm; may be given more than once")
@click.option("--tag", "tags", multiple=True, help="readings of these tags, and events that name them; * and ? stand for any")
@click.option("--source", help="only of this source")
@click.option("--last", type=click.IntRange(1, 100_000), help="only so many lines, the newest")
@click.option("-f", "--follow", is_flag=True, help="go on with what is written from now on; Ctrl-C leaves")
@click.option(
    "--format",
    "form",
    default="text",
    help="text: a line per event; jsonl: whole entries; canonical: whole entries after RFC 8785, with hashes; csv: a row per reading",
    show_default=True,
)
def log(
    line: Path,
    batch: str | None,
    begin: str | None,
    end: str | None,
    kinds: tuple[str, ...],
    tags: tuple[str, ...],
    source: str | None,
    last: int | None,
    follow: bool,
    form: str,
) -> None:
    """Read the journal, running or not: what happened, a line per event; or whole entries; or readings as CSV.

    Exit 1 if nothing in it is what was asked for.
    """
    from gateway.cli import journal_log, journal_show, journal_text
    from gateway.cli.tables import instant_of, zone_of
    from gateway.entries.canonical import NotCanonical

    if form != "text" and form not in journal_show.FORMS:
        fail(f"--format {form[:60]}: one of text, {', '.join(journal_show.FORMS)}", WRONG_INPUT)
    wanted = frozenset(kind.strip() for each in kinds for kind in each.split(","))
    if unknown := sorted(wanted - journal_text.KINDS):
        fail(f"--type {unknown[0][:60]}: there is none; there are {', '.join(sorted(journal_text.KINDS))}", WRONG_INPUT)
    first, until = (None if time is None else instant_of(line, time) for time in (begin, end))
    quiet = journal_text.QUIET if form == "text" else frozenset[str]()
    limits = journal_log.Limits(batch, first, until, wanted, tags, source, quiet)
    make = journal_show.FORMS.get(form) or partial(journal_show.Text, zone_of(line))
    try:
        found = journal_show.show(data_of(line), limits, make, sys.stdout, last=last, follow=follow)
    except KeyboardInterrupt:  # who follows it leaves so
        sys.exit(GOOD)
    except NotCanonical as error:
        fail(f"an entry has no canonical form: {error}; its bytes: --format jsonl", FINDING)
    if not found and limits.are_set:
        fail("nothing in the journal is what was asked for", FINDING)


@click.command()
@click.argument("path", type=PATH, metavar="JOURNAL|ARCHIVE|STORE", help="a journal's folder, a line folder, an archive, an EBR's store")
@click.option("--key", type=PATH, help="file with the gateway's public keys; an archive or a store is never good without (exit 2)")
@click.option("--checkpoint", type=PATH, multiple=True, help="a signed checkpoint kept elsewhere, or a witness's folder of them")
@click.option("--revocation", type=PATH, multiple=True, help="key-revocation.txt of a retired line, where it does not lie beside")
@click.option("--unsigned-s", type=float, help="seconds that entries may span which no checkpoint covers yet; 600 unless told")
@as_json
def verify(
    path: Path, key: Path | None, checkpoint: tuple[Path, ...], revocation: tuple[Path, ...], unsigned_s: float | None, as_json: bool
) -> None:
    """Prove that nothing was changed, removed, inserted or reordered; name the first bad entry.

    Exit 0 good, 1 bad (also what was signed with a key after its revocation), 2 incomplete evidence: entries declared lost, no key for an
    archive or a store, or nothing could be checked.
    """
    from buffer import verify as verifier

    target = data_of(path) if (path / "line.toml").exists() else path
    sys.exit(
        verifier.main(
            [
                str(target),
                *(["--key", str(key)] if key else []),
                *(word for note in checkpoint for word in ("--checkpoint", str(note))),
                *(word for note in revocation for word in ("--revocation", str(note))),
                *(["--unsigned-s", str(unsigned_s)] if unsigned_s is not None else []),
                *(["--json"] if as_json else []),
            ]
        )
    )


@click.command()
@line_folder
@of_batch("the batch")
@click.option("--to", type=PATH, required=True, help="the zip file to make")
@with_purpose
def archive(line: Path, batch: str, to: Path, reason: str | None, user: str | None, password_file: Path | None) -> None:
    """Make an archive of one batch that proves itself: entries, records, configuration, schemas, proofs and the verifier."""
    from buffer.archive import packing as archives
    from buffer.verify import KEY_BESIDE

    if to.exists():
        fail(f"{to}: exists already", WRONG_INPUT)
    data = data_of(line)
    said = {**credentials(user, password_file), **({} if reason is None else {"reason": reason})}
    try:
        report = archives.make(data, batch, to, public_keys(data), partial(_signed, line, said))
    except archives.NoSuchBatch as error:
        fail(str(error), WRONG_INPUT)
    except archives.NotReady as error:
        fail(f"{batch}: {error}", NOT_REACHED)
    _tell(report, f"{to}: archive of {batch}; to prove it: ebr-gateway verify {to} --key {data / KEY_BESIDE}")


@click.command()
@line_folder
@click.option("--to", type=FOLDER, required=True, help="the folder to make")
def backup(line: Path, to: Path) -> None:
    """Copy the journal of a line, running or not, and verify the copy."""
    from buffer.restore import backup as backups

    if to.exists():
        fail(f"{to}: exists already", WRONG_INPUT)
    _tell(backups.backup(data_of(line), to), f"{to}: backup")


@click.command()
@line_folder
@click.option("--from", "source", type=FOLDER, required=True, help="a backup's folder")
@click.option(
    "--ebr", type=PATH, help="the store of the EBR (its folder or file): what it has beyond the backup is taken from it, and not read again"
)
@by_person
def restore(line: Path, source: Path, ebr: Path | None, reason: str, user: str | None, password_file: Path | None) -> None:
    """Put a backup in the place of a line's journal that is gone; the next start opens a new epoch and sends nothing as new that was sent.

    With --ebr the journal goes on to the last entry that the EBR has; refused if the two contradict each other.
    """
    import config
    from buffer.restore import backup as backups
    from gateway.evidence.restored_rows import RestoredRows
    from gateway.operation.offline_commands import not_restored

    said = {**credentials(user, password_file), "reason": reason}
    answer = offline(line, "restore", {**said, "source": str(source.resolve()), "ebr": None if ebr is None else str(ebr.resolve())})
    if "error" in answer:
        fail(answer["error"], WRONG_INPUT)
    try:
        report, taken = backups.restore(source, data_of(line), ebr, RestoredRows(), config.identity(line).gateway)
    except backups.RestoreRefused as error:
        not_restored(config.identity(line), source, str(error))
        fail(str(error), WRONG_INPUT)
    told = [] if ebr is None else [f"{ebr}: {taken.entries} entries beyond the backup were taken from it", *taken.notes]
    _tell(report, "\n".join([f"{data_of(line)}: restored from {source}", *told]))


@click.command()
@line_folder
@of_batch("only this batch", required=False)
@as_json
def recompute(line: Path, batch: str | None, as_json: bool) -> None:
    """Decide everything again from the readings in the journal, and compare with what was decided then.

    Exit 1 if it differs; 3 if all that differs was decided by another release than this one, which may have decided by other rules.
    """
    from gateway.evidence import recompute
    from gateway.intake.preamble import software_version

    try:
        found = recompute.differences(data_of(line), batch)
    except recompute.NoSuchBatch as error:
        fail(str(error), WRONG_INPUT)
    except recompute.NotWhole as error:
        fail(str(error), NOT_REACHED)
    if as_json:
        print_json({"entries": found.entries, "events": found.events, "differences": [d._asdict() for d in found.differences]})
    else:
        for difference in found.differences:
            click.echo(recompute.text_of(difference))
        of = "" if batch is None else f" of batch {batch}"
        click.echo(f"{found.events} events{of} decided again from {found.entries} entries: {len(found.differences)} differences")
    others = found.by_others(software_version())
    if others:
        was = f"all that differs was decided by release {', '.join(others)}, and this is {software_version()}"
        click.echo(f"{was}: that it was decided so is proved by `verify`; with that release `recompute` decides by its own rules", err=True)
    sys.exit(NOT_REACHED if others else FINDING if found.differences else GOOD)


def _signed(line: Path, said: Mapping[str, str], text: str) -> str | None:
    """Return the text as a note signed with the line's key; None if it can not be signed. said: who asks for it, and why.

    The running gateway signs it and records that; if none runs, the key is read here, which needs the right to read its file. Ends the
    program if who asks is refused.
    """
    from buffer.keys import KeyUnusable
    from config import ConfigError

    try:
        answer = answered(line, "sign-archive", {**said, "text": text})
    except (OSError, KeyUnusable, ConfigError) as error:
        answer = {"error": str(error)}
    if "refused" in answer:
        fail(answer["error"], WRONG_INPUT)
    if "error" in answer:
        click.echo(f"the archive's sums are not signed: {answer['error']}", err=True)
        return None
    return str(answer["note"])


def _tell(report: Any, done: str) -> None:
    click.echo("\n".join([done, *report.lines()]))
    sys.exit(report.exit_code)
