"""A copy of the journal beside the running gateway, verified; and the way back, into a new epoch."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from . import sqlite, verify
from .catalogue import Catalogue
from .store import SUMS, file_sha256


class RestoreRefused(Exception):
    """The backup can not be restored; the text says why."""


def backup(journal: Path, target: Path) -> verify.Report:
    """Copy the journal into a new folder, while the gateway runs or not, and verify the copy.

    Whatever is committed when the call begins is in the copy. Raises FileExistsError, FileNotFoundError, sqlite3.Error, OSError.
    """
    target.mkdir(mode=0o700, parents=True)
    (target / "segments").mkdir(mode=0o700)
    _copy(journal / "journal.db", target / "journal.db")
    with closing(sqlite.reader(target / "journal.db", closed=True)) as db:
        rows = db.execute(
            "SELECT epoch, first, state FROM segments WHERE state IN ('open', 'closed', 'suspect') ORDER BY epoch, first"
        ).fetchall()
    for epoch, first, _ in rows:
        name = f"segments/{epoch}-{first}.db"
        _copy(journal / name, target / name)
    _write_sums(target)
    sqlite.sync_directory(target)
    return verify.verify(target)


def _copy(source: Path, target: Path) -> None:
    """A consistent copy of one file: a closed one byte for byte, a growing one through SQLite."""
    if source.stat().st_mode & 0o200 == 0:
        shutil.copyfile(source, target)
        target.chmod(0o440)
    else:
        sqlite.create(target)
        closed = not source.with_name(source.name + "-wal").exists()
        with closing(sqlite.reader(source, closed=closed)) as there, closing(sqlite3.connect(target)) as here:
            there.backup(here)
            here.execute("PRAGMA journal_mode=DELETE")
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _write_sums(folder: Path) -> None:
    paths = [folder / "journal.db", *sorted((folder / "segments").glob("*.db"))]
    text = "".join(f"{file_sha256(path).hex()}  {path.relative_to(folder)}\n" for path in paths)
    sqlite.create(folder / SUMS)
    (folder / SUMS).write_text(text, encoding="ascii")


def restore(source: Path, journal: Path) -> verify.Report:
    """Put a backup in the place of a journal that is gone. The next start begins a new epoch.

    What was sent after the backup was made keeps its identities at the EBR, and is never sent as new; what the EBR had not confirmed when
    the backup was made is sent again under the old identities. Raises RestoreRefused if the backup is bad or a journal is there.
    """
    if (journal / "journal.db").exists():
        raise RestoreRefused(f"{journal} holds a journal: move it away first, it may be evidence")
    report = verify.verify(source)
    if report.exit_code == 1:
        raise RestoreRefused(f"{source} is bad: {report.problems[0]}")
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(source / "segments", journal / "segments", dirs_exist_ok=True)
    (journal / "segments").chmod(0o700)
    sqlite.create(journal / "journal.db")
    shutil.copyfile(source / "journal.db", journal / "journal.db")
    catalogue = Catalogue(journal / "journal.db")
    catalogue.note(restored=1)
    catalogue.db.close()
    return report
