"""Defines the commands that read and prove what a line has written."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.base import FINDING, GOOD, NOT_REACHED, WRONG_INPUT, AsJson, Folder, app, data_of, fail, print_json
from gateway.cli.persons import OptionalWhy, PasswordFile, Person, Why, answered, credentials, offline, told


@app.command()
def log(
    line: Folder,
    *,
    batch: Annotated[str | None, typer.Option(help="only this batch")] = None,
    begin: Annotated[str | None, typer.Option("--from", help="from this time on (RFC 3339)")] = None,
    end: Annotated[str | None, typer.Option("--to", help="up to this time (RFC 3339)")] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl: whole entries; csv: one row per reading")] = "jsonl",
) -> None:
    """Read the journal, running or not: entries as they are stored, or readings as CSV."""
    from gateway.cli import journal_log

    if form not in journal_log.FORMATS:
        fail(f"--format {form}: one of {', '.join(journal_log.FORMATS)}", WRONG_INPUT)
    try:
        limits = journal_log.Limits.of(batch, begin, end)
    except ValueError as error:
        fail(str(error), WRONG_INPUT)
    data = data_of(line)
    journal_log.write(data, limits, form, sys.stdout)


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(metavar="JOURNAL|ARCHIVE|STORE", help="a journal's folder, a line folder, an archive, an EBR's store")
    ],
    *,
    key: Annotated[
        Path | None, typer.Option(help="file with the gateway's public keys; an archive or a store is never good without (exit 2)")
    ] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="a signed checkpoint kept elsewhere, or a witness's folder of them")] = None,
    unsigned_s: Annotated[
        float | None, typer.Option(help="seconds that entries may span which no checkpoint covers yet; 600 unless told")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that nothing was changed, removed, inserted or reordered; name the first bad entry.

    Exit 0 good, 1 bad, 2 incomplete evidence: entries declared lost, no key for an archive or a store, or nothing could be checked.
    """
    from buffer import verify as verifier

    target = data_of(path) if (path / "line.toml").exists() else path
    raise typer.Exit(
        verifier.main(
            [
                str(target),
                *(["--key", str(key)] if key else []),
                *(word for note in checkpoint or [] for word in ("--checkpoint", str(note))),
                *(["--unsigned-s", str(unsigned_s)] if unsigned_s is not None else []),
                *(["--json"] if as_json else []),
            ]
        )
    )


@app.command()
def archive(
    line: Folder,
    *,
    batch: Annotated[str, typer.Option(help="the batch")],
    to: Annotated[Path, typer.Option(help="the zip file to make")],
    reason: OptionalWhy = None,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
    """Make an archive of one batch that proves itself: entries, records, configuration, schemas, proofs and the verifier."""
    from buffer.archive import packing as archives

    if to.exists():
        fail(f"{to}: exists already", WRONG_INPUT)
    data = data_of(line)
    said = {**credentials(user, password_file), **({} if reason is None else {"reason": reason})}
    try:
        report = archives.make(data, batch, to, _public_keys(data), partial(_signed, line, said))
    except archives.NotReady as error:
        fail(f"{batch}: {error}", NOT_REACHED)
    _tell(report, f"{to}: archive of {batch}")


@app.command()
def backup(line: Folder, *, to: Annotated[Path, typer.Option(help="the folder to make")]) -> None:
    """Copy the journal of a line, running or not, and verify the copy."""
    from buffer.restore import backup as backups

    if to.exists():
        fail(f"{to}: exists already", WRONG_INPUT)
    _tell(backups.backup(data_of(line), to), f"{to}: backup")


@app.command()
def restore(
    line: Folder,
    *,
    source: Annotated[Path, typer.Option("--from", help="a backup's folder")],
    ebr: Annotated[
        Path | None,
        typer.Option(help="the store of the EBR (its folder or file): what it has beyond the backup is taken from it, and not read again"),
    ] = None,
    reason: Why,
    user: Person = None,
    password_file: PasswordFile = None,
) -> None:
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
        report, taken = backups.restore(source, data_of(line), ebr, RestoredRows())
    except backups.RestoreRefused as error:
        not_restored(config.identity(line), source, str(error))
        fail(str(error), WRONG_INPUT)
    told = [] if ebr is None else [f"{ebr}: {taken.entries} entries beyond the backup were taken from it", *taken.notes]
    _tell(report, "\n".join([f"{data_of(line)}: restored from {source}", *told]))


@app.command()
def recompute(line: Folder, *, batch: Annotated[str | None, typer.Option(help="only this batch")] = None, as_json: AsJson = False) -> None:
    """Decide everything again from the readings in the journal, and compare with what was decided then. Exit 1 if it differs."""
    from gateway.evidence import recompute

    try:
        found = recompute.differences(data_of(line), batch)
    except recompute.NotWhole as error:
        fail(str(error), NOT_REACHED)
    if as_json:
        print_json({"entries": found.entries, "events": found.events, "differences": [d._asdict() for d in found.differences]})
    else:
        for difference in found.differences:
            typer.echo(recompute.text_of(difference))
        typer.echo(f"{found.events} events decided again from {found.entries} entries: {len(found.differences)} differences")
    raise typer.Exit(FINDING if found.differences else GOOD)


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
        typer.echo(f"the archive's sums are not signed: {answer['error']}", err=True)
        return None
    return str(answer["note"])


signing = typer.Typer(no_args_is_help=True, help="The key that signs checkpoints: show, rotate.")
app.add_typer(signing, name="keys")


@signing.command()
def show(line: Folder, *, as_json: AsJson = False) -> None:
    """Print the public keys of a line, for whoever verifies: all that ever signed, the present one last. `> FILE` makes a --key file."""
    data = data_of(line)
    public = _public_keys(data)
    if not public:
        fail(f"{data}: no key has been made yet; the first start makes one", NOT_REACHED)
    if as_json:
        rotations = data / "key-rotations.txt"
        print_json({"keys": public, "rotations": rotations.read_text("utf-8") if rotations.exists() else ""})
    else:
        typer.echo("\n".join(public))


@signing.command()
def rotate(line: Folder, *, reason: Why, user: Person = None, password_file: PasswordFile = None) -> None:
    """Have the running gateway sign with a new key: recorded, and signed by the old and the new one. The old one is destroyed."""
    answer = told(line, "rotate-key", user, password_file, reason=reason)
    typer.echo(f"{answer['public']}\nsigns from now on; who trusts the key before may trust it, for that one has signed it")


def _public_keys(data: Path) -> list[str]:
    """Return the public keys in the journal's folder, the present one last."""
    path = data / "checkpoint-key.pub"
    return path.read_text(encoding="ascii").split() if path.exists() else []


def _tell(report: Any, done: str) -> None:
    typer.echo("\n".join([done, *report.lines()]))
    raise typer.Exit(report.exit_code)
