"""Shows the journal: lines for people, whole entries as stored or in canonical form, a row per reading. A gateway may be running on it."""

import csv
import io
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO
from zoneinfo import ZoneInfo

from buffer import event_type, held_segments, read_journal
from gateway.cli.journal_log import COLUMNS, READINGS, Limits, TagTables
from gateway.cli.journal_text import Lines
from gateway.entries.canonical import canonical_entry

LOOK_S = 0.5
"""How often the end of the journal is looked at by who follows it."""


class Shown(NamedTuple):
    """An entry, and its bytes as they are stored."""

    entry: dict[str, Any]
    payload: bytes


class Form(Protocol):
    """Writes entries as lines. It keeps what earlier entries said of later ones."""

    head: tuple[str, ...]

    def lines(self, shown: Shown, limits: Limits) -> Iterable[str]:
        """Give the lines of an entry, in order; none if it is only to be known."""


class Whole:
    """The entries as they are stored, a line each."""

    head: tuple[str, ...] = ()

    def lines(self, shown: Shown, limits: Limits) -> Iterable[str]:
        """Give the entry."""
        return (shown.payload.decode(),) if limits.hold(shown.entry) else ()


class Canonical:
    """The entries in the canonical form of RFC 8785, a line each: its SHA-256, that of the stored bytes, the form."""

    head: tuple[str, ...] = ()

    def lines(self, shown: Shown, limits: Limits) -> Iterable[str]:
        """Give the entry. Raises NotCanonical."""
        if not limits.hold(shown.entry):
            return ()
        digest, form = canonical_entry(shown.payload)
        return (f"{digest}  {sha256(shown.payload).hexdigest()}  {form.decode()}",)


class Table:
    """A CSV file: a row per reading."""

    def __init__(self) -> None:
        self.head: tuple[str, ...] = (_cells(COLUMNS),)
        self._tables = TagTables()

    def lines(self, shown: Shown, limits: Limits) -> Iterable[str]:
        """Give the rows of an entry of readings."""
        self._tables.take(shown.entry)
        if "readings" not in shown.entry or not limits.hold(shown.entry):
            return ()
        return map(_cells, self._tables.rows(shown.entry, limits))


class Text:
    """For people: a line per event, and one for each reading of the tags that are asked for."""

    head: tuple[str, ...] = ()

    def __init__(self, zone: ZoneInfo) -> None:
        self._tables, self._lines = TagTables(), Lines(zone)

    def lines(self, shown: Shown, limits: Limits) -> Iterable[str]:
        """Give the lines of an entry."""
        entry = shown.entry
        self._tables.take(entry)
        if not limits.hold(entry):
            return ()
        if "readings" in entry and limits.tags:
            rows = (dict(zip(COLUMNS, row, strict=True)) for row in self._tables.rows(entry, limits))
            return [self._lines.reading(entry, row) for row in rows]
        line = self._lines.of(entry)
        return () if line is None else (line,)


FORMS: dict[str, Callable[[], Form]] = {"jsonl": Whole, "csv": Table, "canonical": Canonical}
"""Those that need no time zone."""


def show(data: Path, limits: Limits, make: Callable[[], Form], out: TextIO, *, last: int | None = None, follow: bool = False) -> int:
    """Write what the limits hold, and return how many lines it was.

    last: only so many lines, the newest. follow: goes on with what is written from now on, until it is interrupted. Raises JournalError;
    FileNotFoundError if there is no journal.
    """
    place = _Place(data, limits)
    form, found = _newest(place, make, last) if last is not None else _all(place, make())
    written = 0
    for line in chain(form.head, found, place.later(form) if follow else ()):
        out.write(line + "\n")
        written += 1
        if follow:
            out.flush()
    return written - len(form.head)


class _Place:
    """How far a journal has been read."""

    def __init__(self, data: Path, limits: Limits) -> None:
        self.data, self._limits = data, limits
        self._end = (0, 0)

    def lines(self, form: Form, after: tuple[int, int] = (0, 0)) -> Iterator[str]:
        """Yield the lines of what stands after an entry. Kinds that are not wanted are not parsed, but for the tables of tags."""
        for stored in read_journal(self.data, after):
            self._end = (stored.epoch, stored.seq)
            kind = event_type(stored.payload) or READINGS
            if kind == "tagset" or self._limits.wants(kind):
                yield from form.lines(Shown(json.loads(stored.payload), stored.payload), self._limits)

    def later(self, form: Form) -> Iterator[str]:
        """Yield the lines of what is written from now on."""
        while True:
            yield from self.lines(form, self._end)
            time.sleep(LOOK_S)


def _all(place: _Place, form: Form) -> tuple[Form, Iterable[str]]:
    return form, place.lines(form)


def _newest(place: _Place, make: Callable[[], Form], last: int) -> tuple[Form, Iterable[str]]:
    """Read the newest segment, then twice as many, until there are lines enough: the journal of a year is not read for twenty lines."""
    begins = held_segments(place.data)
    count = 1
    while True:
        epoch, first = begins[-count] if count <= len(begins) else (0, 1)
        form = make()
        kept = deque(place.lines(form, (epoch, first - 1)), maxlen=last)
        if len(kept) == last or count >= len(begins):
            return form, kept
        count *= 2


def _cells(row: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row)
    return out.getvalue()
