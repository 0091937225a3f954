"""A copy of the journal beside the running gateway, verified; and the way back, into a new epoch."""

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from buffer import opening, sqlite, verify
from buffer.catalogue import Catalogue
from buffer.errors import JournalInUse
from buffer.proofs import newest_note
from buffer.restore.from_ebr import Import, Learner, RestoreRefused, extend
from buffer.store import SUMS, file_sha256

PUBLIC = (verify.KEY_BESIDE, verify.ROTATIONS_BESIDE)
"""What everybody may have of the keys. The private one is never copied: who holds a backup could sign in the gateway's name."""

__all__ = ["RestoreRefused", "backup", "main", "restore"]


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
    _copy_public(journal, target)
    _write_sums(target)
    sqlite.sync_directory(target)
    return verify.verify(target)


def gateway_of(folder: Path) -> str | None:
    """Whose journal lies here, `site/line`; None if none does that can be read."""
    try:
        with closing(sqlite.reader(folder / "journal.db", closed=True)) as db:
            found = db.execute("SELECT value FROM about WHERE name = 'gateway'").fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def _copy_public(source: Path, target: Path) -> None:
    for name in PUBLIC:
        if (source / name).exists() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)


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


def restore(source: Path, journal: Path, ebr: Path | None = None, learner: Learner | None = None) -> tuple[verify.Report, Import]:
    """Put a backup in the place of a journal that is gone. The next start begins a new epoch.

    ebr: the store of an EBR (`from_ebr`): what it has beyond the backup is taken over under the old identities, and learner told of
    it. Without it, what was sent after the backup was made keeps its identities at the EBR, and is never sent as new, but the gateway does
    not know what it had read. What the EBR had not confirmed when the backup was made is sent again under the old identities.
    All of it is made in a folder of its own first, so a restore that is cut short can be done again. Raises RestoreRefused if the backup
    is bad, the two do not go together or a journal is there.
    """
    if (journal / "journal.db").exists():
        raise RestoreRefused(f"{journal} holds a journal: move it away first, it may be evidence")
    if any((journal / "segments").glob("*")):
        raise RestoreRefused(
            f"{journal}/segments holds entries: of a journal, then start the gateway, it makes journal.db anew; or of a restore cut "
            "at its end, then move them away first"
        )
    report = verify.verify(source)
    if report.exit_code == 1:
        raise RestoreRefused(f"{source} is bad: {report.problems[0]}")
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        held = opening.lock(journal)
    except JournalInUse as error:
        raise RestoreRefused(str(error)) from error
    made = journal / RESTORING
    try:
        taken = _made(source, made, ebr, learner)
        if taken.entries:
            report = _judged(made)
        _put_in_place(made, journal)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(held)
    return report, taken


RESTORING = "restoring"


def _made(source: Path, made: Path, ebr: Path | None, learner: Learner | None) -> Import:
    """The whole journal in its own folder, durable but for the names."""
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    shutil.copytree(source / "segments", made / "segments")
    (made / "segments").chmod(0o700)
    sqlite.create(made / "journal.db")
    shutil.copyfile(source / "journal.db", made / "journal.db")
    _copy_public(source, made)
    taken = extend(made, ebr, learner) if ebr is not None else Import()
    catalogue = Catalogue(made / "journal.db")
    catalogue.note(restored=1)
    catalogue.db.close()
    for path in [path for path in made.rglob("*") if path.is_file()]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sqlite.sync_directory(made / "segments")
    return taken


def _judged(made: Path) -> verify.Report:
    report = verify.verify(made)
    if report.exit_code == 1:
        raise RestoreRefused(f"the backup with what the EBR has beyond it is bad: {report.problems[0]}")
    return report


def _put_in_place(made: Path, journal: Path) -> None:
    """journal.db last: before it is there a start takes what is there for the rest of a journal, and never goes on under old identities."""
    _copy_public(made, journal)
    (journal / "segments").rmdir()
    (made / "segments").rename(journal / "segments")
    sqlite.sync_directory(journal)
    (made / "journal.db").rename(journal / "journal.db")
    sqlite.sync_directory(journal)


def _report(journal: Path, target: Path) -> tuple[int, dict[str, Any]]:
    report = backup(journal, target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    note = newest_note(target)
    checkpoint = note.split("\n")[:3] if note else None
    return report.exit_code, {"entries": report.entries, "bytes": size, "signatures": report.signatures, "checkpoint": checkpoint}


def main(arguments: list[str]) -> int:
    """`python -m buffer.restore.backup JOURNAL TARGET`: one verified backup, for the schedule of a gateway.

    Prints a JSON line, or why there is none.
    """
    journal, target = map(Path, arguments)
    try:
        code, told = _report(journal, target)
    except (sqlite3.Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if code == 1:
        sys.stderr.write(f"{target}: the copy is bad: {'; '.join(verify.verify(target).problems[:3])}\n")
        return 1
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
