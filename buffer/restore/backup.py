"""Copy a journal beside the running gateway, verify the copy, and restore one from it."""

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from buffer import durable, locking, sqlite, verify
from buffer.catalogue import Catalogue
from buffer.errors import JournalInUse
from buffer.newer import newer_than_this
from buffer.proofs import newest_note
from buffer.restore.from_ebr import Import, Learner, RestoreRefused, extend
from buffer.segment import name_of
from buffer.store import SUMS, file_sha256

PUBLIC = (verify.KEY_BESIDE, verify.ROTATIONS_BESIDE, verify.REVOCATION_BESIDE)
"""Files of the keys that anyone may have. The private one is never copied: a backup's owner could sign in the gateway's name."""

VERSIONS = "changes"
"""Folder beside a journal with the versions of the line's configuration: signed by themselves, and no secret stands in one."""

__all__ = ["RestoreRefused", "backup", "main", "restore"]


def backup(journal: Path, target: Path) -> verify.Report:
    """Copy the journal into a new folder, while the gateway runs or not, and verify the copy.

    Whatever is committed when the call begins is in the copy. Raises FileExistsError, FileNotFoundError, sqlite3.Error, OSError.
    """
    target.mkdir(mode=0o700, parents=True)
    (target / "segments").mkdir(mode=0o700)
    _copy(journal / "journal.db", target / "journal.db")
    with closing(sqlite.reader(target / "journal.db", closed=True)) as db:
        # journal.db is copied first: what comes after that instant is not part of the backup.
        rows = db.execute(
            "SELECT epoch, first, state FROM segments WHERE state IN ('open', 'closed', 'suspect') ORDER BY epoch, first"
        ).fetchall()
    for epoch, first, _ in rows:
        name = f"segments/{epoch}-{first}.db"
        _copy(journal / name, target / name)
    _copy_public(journal, target)
    _copy_versions(journal, target)
    _write_sums(target)
    durable.sync_all(target)
    return verify.verify(target)


def gateway_of(folder: Path) -> str | None:
    """Return the name (`site/line`) of the gateway whose journal is in this folder; None if there is no readable one."""
    try:
        with closing(sqlite.reader(folder / "journal.db", closed=True)) as db:
            row = db.execute("SELECT value FROM about WHERE name = 'gateway'").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def position_of(folder: Path) -> tuple[int, int]:
    """Return (epoch, seq) of the last entry of the copy in this folder; (0, 0) if it can not be read."""
    newest = "SELECT epoch, first, last FROM segments WHERE state != 'damaged' ORDER BY epoch DESC, first DESC LIMIT 1"
    try:
        with closing(sqlite.reader(folder / "journal.db", closed=True)) as db:
            epoch, first, last = db.execute(newest).fetchone() or (0, 0, 0)
        if last is None:
            with closing(sqlite.reader(folder / "segments" / name_of(epoch, first), closed=True)) as db:
                last = db.execute("SELECT max(seq) FROM entries").fetchone()[0] or first
    except sqlite3.Error:
        return 0, 0
    return epoch, last


def _copy_public(source: Path, target: Path) -> None:
    for name in PUBLIC:
        if (source / name).exists() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)


def _copy_versions(source: Path, target: Path) -> None:
    """Copy the versions, if there are some and none are there: first what was done to them, for what they hold was kept before that."""
    if not (source / VERSIONS).is_dir() or (target / VERSIONS).exists():
        return
    paths = sorted((source / VERSIONS).rglob("*"), key=lambda path: (path.name != "acts.jsonl", path))
    for path in paths:
        copy = target / path.relative_to(source)
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts):  # `.x.part` is being made
            for folder in reversed([folder for folder in copy.parents if folder.is_relative_to(target)]):
                folder.mkdir(mode=0o700, exist_ok=True)
            sqlite.create(copy)
            shutil.copyfile(path, copy)


def _copy(source: Path, target: Path) -> None:
    """Copy one file consistently: a closed one byte for byte, a growing one through SQLite."""
    if source.stat().st_mode & 0o200 == 0:
        shutil.copyfile(source, target)
        target.chmod(0o440)
    else:
        sqlite.create(target)
        closed = not source.with_name(source.name + "-wal").exists()
        with closing(sqlite.reader(source, closed=closed)) as original, closing(sqlite3.connect(target)) as copy:
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _write_sums(folder: Path) -> None:
    paths = [folder / "journal.db", *sorted((folder / "segments").glob("*.db"))]
    text = "".join(f"{file_sha256(path).hex()}  {path.relative_to(folder)}\n" for path in paths)
    sqlite.create(folder / SUMS)
    (folder / SUMS).write_text(text, encoding="ascii")


def restore(
    source: Path, journal: Path, ebr: Path | None = None, learner: Learner | None = None, gateway: str | None = None
) -> tuple[verify.Report, Import]:
    """Put a backup in the place of a journal that is gone. The next start begins a new epoch.

    gateway: `site/line` of the line whose journal it is to be: a backup of another one is refused, for no start would take it.
    ebr: the store of an EBR (`from_ebr`): its entries beyond the backup are taken over under the old identities, and `learner` gets each.
    Without it, what was sent after the backup was made keeps its identities at the EBR, and is never sent as new, but the gateway does not
    know what it had read. What the EBR had not confirmed when the backup was made is sent again under the old identities. Raises
    RestoreRefused if the backup is bad, the two do not go together, or a journal is there.
    """
    if (journal / "journal.db").exists():
        raise RestoreRefused(f"{journal} holds a journal: move it away first, it may be evidence")
    if any((journal / "segments").glob("*")):
        raise RestoreRefused(
            f"{journal}/segments holds entries: of a journal, then start the gateway, it makes journal.db anew; or of a restore cut "
            "at its end, then move them away first"
        )
    if gateway is not None and (theirs := gateway_of(source)) not in (None, gateway):
        raise RestoreRefused(
            f"{source} is a backup of {theirs}, and this line is {gateway}: restore it into the folder of that line, or write its site and "
            "name into [line]"
        )
    if (newer := newer_than_this(source)) is not None:
        raise RestoreRefused(newer)
    report = verify.verify(source)
    if report.exit_code == 1:
        raise RestoreRefused(f"{source} is bad: {report.problems[0]}")
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = locking.lock(journal)
    except JournalInUse as error:
        raise RestoreRefused(str(error)) from error
    folder = journal / RESTORING
    try:
        imported = _assemble(source, folder, ebr, learner)
        if imported.entries:
            report = _verified(folder)
        _put_in_place(folder, journal)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
    return report, imported


RESTORING = "restoring"
"""Folder in which the restored journal is made before it is put in place."""


def _assemble(source: Path, folder: Path, ebr: Path | None, learner: Learner | None) -> Import:
    """Make the whole journal in its own folder, durable but for the names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    shutil.copytree(source / "segments", folder / "segments")
    (folder / "segments").chmod(0o700)
    sqlite.create(folder / "journal.db")
    shutil.copyfile(source / "journal.db", folder / "journal.db")
    _copy_public(source, folder)
    _copy_versions(source, folder)
    imported = extend(folder, ebr, learner) if ebr is not None else Import()
    catalogue = Catalogue(folder / "journal.db")
    catalogue.note(restored=1)
    catalogue.db.close()
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sqlite.sync_directory(folder / "segments")
    return imported


def _verified(folder: Path) -> verify.Report:
    """Verify the assembled journal. Raises RestoreRefused if it is bad."""
    report = verify.verify(folder)
    if report.exit_code == 1:
        raise RestoreRefused(f"the backup with what the EBR has beyond it is bad: {report.problems[0]}")
    return report


def _put_in_place(folder: Path, journal: Path) -> None:
    """Move the parts to their places, journal.db last.

    Before it is there, a start takes what is there for the rest of a journal, and never goes on under old identities.
    """
    _copy_public(folder, journal)
    _copy_versions(folder, journal)
    (journal / "segments").rmdir()
    (folder / "segments").rename(journal / "segments")
    sqlite.sync_directory(journal)
    (folder / "journal.db").rename(journal / "journal.db")
    sqlite.sync_directory(journal)


def _report(journal: Path, target: Path) -> tuple[int, dict[str, Any]]:
    """Make a backup: (exit code of its verification, summary for the audit event)."""
    report = backup(journal, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    note = newest_note(target)
    checkpoint = note.split("\n")[:3] if note else None
    return report.exit_code, {"entries": report.entries, "bytes": size, "signatures": report.signatures, "checkpoint": checkpoint}


def main(arguments: list[str]) -> int:
    """Run `python -m buffer.restore.backup JOURNAL TARGET`: one verified backup, for the schedule of a gateway.

    Prints a JSON line, or the reason why there is no backup. Returns the exit code: 0 made, 1 the copy is bad, 2 it could not be made.
    """
    journal, target = map(Path, arguments)
    try:
        code, summary = _report(journal, target)
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if code == 1:
        sys.stderr.write(f"{target}: the copy is bad: {'; '.join(verify.verify(target).problems[:3])}\n")
        return 1
    sys.stdout.write(json.dumps(summary) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
