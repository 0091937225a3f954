"""Read a journal's folder from outside, whether a gateway runs on it or not: without a lock, and without writing beside it."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path

from buffer import segment as segments
from buffer import sqlite
from buffer.errors import StorageError
from buffer.segment import Damaged, Entry

_NAME = re.compile(r"(\d+)-(\d+)\.db")
PAGE = 256
"""Entries read at once. Between pages the file is closed: a slow consumer must not keep a running gateway's log from being emptied."""

TOLD: ContextVar[Callable[[int, int], None] | None] = ContextVar("TOLD", default=None)
"""Who is told by `read_journal` how many segments have been read, of how many; None: nobody."""


def read_journal(directory: Path, after: tuple[int, int] = (0, 0)) -> Iterator[Entry]:
    """Yield every entry held after (epoch, seq), in order, each compared with its digest.

    Beside a running gateway: what is committed; a newest segment that is just being made, or whose making a crash cut short, holds nothing.
    Raises StorageError on damage, FileNotFoundError if there is no journal.
    """
    found = held_segments(directory)
    for number, (epoch, first) in enumerate(found, 1):
        if (epoch, segments.last_of(first)) > after:
            path, seq = directory / "segments" / segments.name_of(epoch, first), after[1] if epoch == after[0] else 0
            yield from _pages(path, epoch, seq, is_newest=(epoch, first) == found[-1])
        if (told := TOLD.get()) is not None:
            told(number, len(found))


def held_segments(directory: Path) -> list[tuple[int, int]]:
    """Return (epoch, seq of the first entry) of each segment held, in order. Raises FileNotFoundError if there is no journal."""
    if not (directory / "segments").is_dir():
        raise FileNotFoundError(f"{directory}: no journal is here; `ebr-gateway run` makes one at its first start")
    names = [match for path in (directory / "segments").glob("*.db") if (match := _NAME.fullmatch(path.name))]
    return sorted((int(match[1]), int(match[2])) for match in names)


def segment_firsts(directory: Path) -> Iterator[Entry]:
    """Yield the first entry of each segment held, in order: where in a journal of years a time stands. Raises as `read_journal`."""
    found = held_segments(directory)
    for epoch, first in found:
        path = directory / "segments" / segments.name_of(epoch, first)
        yield from _pages(path, epoch, first - 1, is_newest=(epoch, first) == found[-1], through=first)


def _pages(path: Path, epoch: int, seq: int, *, is_newest: bool, through: int = 1 << 62) -> Iterator[Entry]:
    while True:
        try:
            with closing(sqlite.reader(path, closed=not path.with_name(path.name + "-wal").exists())) as db:
                if is_newest and segments.is_bare(db):
                    return
                page = list(segments.entries(db, epoch, seq, through, PAGE))
        except (sqlite3.Error, Damaged) as error:
            if not path.exists():
                return  # pruned meanwhile
            raise StorageError(f"{path.name}: {error}") from error
        yield from page
        if len(page) < PAGE:
            return
        seq = page[-1].seq
