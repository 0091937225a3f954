"""Says that a journal was written by a newer release than this one, before anything of it is touched.

Each release keeps its format's number in table `about` of journal.db and of each segment, and no release ever moves it from there: what an
older one would take for damage, and salvage, is only newer than it is (docs/decisions/0128).
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from buffer import sqlite
from buffer.catalogue import FORMAT as JOURNAL_FORMAT
from buffer.segment import FORMAT as SEGMENT_FORMAT

WAY_OUT = (
    "go back to the release that wrote it (install.sh switch VERSION), or put the backup that was made before the upgrade in its place"
    " (ebr-gateway restore)"
)


def newer_than_this(directory: Path) -> str | None:
    """Say that this release can not read the journal in a directory, and what to do; None if it can, or there is none. Writes nothing."""
    newest_segment = max((directory / "segments").glob("*.db"), default=None, key=lambda path: path.name)
    for path, ours in ((directory / "journal.db", JOURNAL_FORMAT), (newest_segment, SEGMENT_FORMAT)):
        held = None if path is None else _format(path)
        if held is not None and _number(held, ours) > _number(ours, ours):
            return f"{directory} was written by a newer release (format {held}; this one reads {ours}) and is untouched: {WAY_OUT}"
    return None


def _format(path: Path) -> str | None:
    """Read which format a file says that it has; None if it says none: whether it is damaged is found by who opens it."""
    if not path.exists():
        return None
    try:
        with closing(sqlite.reader(path, closed=False)) as db:
            row = db.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _number(held: str, ours: str) -> int:
    """Return the number of a format; of one by another name one that no release has: nobody here knows what it is."""
    name, _, number = held.rpartition("/")
    return int(number) if name == ours.rpartition("/")[0] and number.isascii() and number.isdigit() else 1_000_000
