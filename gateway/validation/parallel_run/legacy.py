"""Reads the legacy system's record of one batch, row by row: from a file that is as long as it likes, or from a query of its database.

A row that can not be read stops itself alone: it is told with its place, and where it is, or may be, one of this batch it is in the result.
"""

import asyncio
import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import Line, did_you_mean
from config.sections import ParallelRun
from drivers import DriverError, DriverMisconfigured, driver_class
from drivers.contract import GivesRows
from gateway.validation.parallel_run.lines import Lines, NotText, opened, sniffed

MOST_ROWS = 1_000_000
"""Of a query: a view that gives more is not asked for one batch."""
MOST_OF_BATCH = 10_000
MOST_TOLD = 100
"""Rows that can not be read and are told one by one; the others are counted."""
MOST_CELL = 65_536


class NotRead(Exception):
    """The legacy record can not be read at all; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the batch. place: file:line, or what the query calls it."""

    place: str
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that can not be read. ours: it is of this batch, or may be: nobody can know."""

    place: str
    why: str
    ours: bool


@dataclass(slots=True)
class LegacyRecord:
    """What was read. columns: of the header; twice: names that stand in it more than once. read: rows in all, of any batch.

    sha256: of the file's bytes; None of a query. unread_count: all that could not be read; `unread` has the first of them. unread_ours:
    those that are, or may be, of the batch.
    """

    origin: str
    columns: Sequence[str] = ()
    twice: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    unread_count: int = 0
    unread_ours: int = 0
    read: int = 0
    sha256: str | None = None

    def refuse(self, place: str, why: str, *, ours: bool) -> None:
        """Note a row that can not be read. One that may be of this batch is always kept. Raises NotRead for more than a batch has."""
        self.unread_count += 1
        self.unread_ours += ours
        if self.unread_ours > MOST_OF_BATCH:
            raise NotRead(f"{place}: more than {MOST_OF_BATCH:,} rows that are, or may be, of this batch can not be read; this one: {why}")
        if ours or len(self.unread) < MOST_TOLD:
            self.unread.append(Unread(place, why, ours))

    def take(self, row: Row) -> None:
        """Keep a row of the batch. Raises NotRead for more than a batch has."""
        if len(self.rows) >= MOST_OF_BATCH:
            raise NotRead(f"{row.place}: more than {MOST_OF_BATCH:,} rows name this batch: is `batch` of [parallel_run] the right column?")
        self.rows.append(row)


BY_SECTION = "which names the batch by line.toml [parallel_run]"


def of_file(path: Path, section: ParallelRun, batch: str, by: str = BY_SECTION) -> LegacyRecord:
    """Read a CSV file as a section describes it, row by row. by: what says which column names the batch. Raises NotRead, OSError."""
    found = LegacyRecord(path.name)
    with path.open("rb") as file:
        found.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        try:
            with opened(file, section.encoding) as text:
                _of_lines(Lines(text), path.name, section, batch, found, by)
        except (NotText, UnicodeError) as error:
            raise NotRead(f"{path.name}: {error}") from None
    return found


def _of_lines(lines: Lines, name: str, section: ParallelRun, batch: str, found: LegacyRecord, by: str) -> None:
    if not lines.first:
        raise NotRead(f"{name}: is empty; not even a header stands in it: was the export made, and copied to its end?")
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(lines, delimiter=section.delimiter or sniffed(lines.first), strict=True)
    header = [cell.strip() for cell in next(reader, [])]
    _head(header, name, section, found, by)
    batch_at = header.index(section.batch)
    while True:
        begin = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            found.read += 1
            span = f"{name}:{begin}" if lines.number <= begin else f"{name}:{begin}-{lines.number}"
            why = f"not readable as CSV: {error}"
            found.refuse(span, why, ours=lines.number > begin or batch in lines.last)
            continue
        if lines.number > begin and any("\n" in cell and batch in cell for cell in cells):
            found.read += 1
            why = "a quotation mark that opens in the first of these lines closes in the last: is one missing?"
            found.refuse(f"{name}:{begin}-{lines.number}", why, ours=True)
        elif any(cell.strip() for cell in cells):
            found.read += 1
            _take(cells, f"{name}:{begin}", header, batch_at, batch, section, found)


def _head(header: list[str], name: str, section: ParallelRun, found: LegacyRecord, by: str) -> None:
    found.columns = [column for column in header if column]
    found.twice = frozenset(column for column in header if column and header.count(column) > 1)
    if section.batch not in header:
        near = did_you_mean(section.batch, found.columns)
        hint = "" if len(header) > 1 or by != BY_SECTION else "; it has one column: declare `delimiter` in [parallel_run]"
        raise NotRead(f"{name}:1: no column `{section.batch}`, {by}{near}{hint}")
    if section.batch in found.twice:
        raise NotRead(f"{name}:1: column `{section.batch}` stands twice: which one names the batch?")


def _take(
    cells: list[str], place: str, header: Sequence[str], batch_at: int, batch: str, section: ParallelRun, found: LegacyRecord
) -> None:
    """Take a row if it is of this batch. One whose cells are not those of the header may be, if any of its cells names it."""
    texts = [cell.strip() for cell in cells]
    if len(texts) < len(header) or any(texts[len(header) :]):
        why = f"{len(texts)} cells, but the header has {len(header)}: is a delimiter in a number, or a quotation mark missing?"
        found.refuse(place, why, ours=batch in texts)
        return
    bad = [name for name, text in zip(header, texts, strict=False) if not _is_text(text)]
    if bad:
        ours = texts[batch_at] == batch or not _is_text(texts[batch_at])
        found.refuse(place, f"column `{bad[0]}`: its bytes are no text in {section.encoding}; declare `encoding`", ours=ours)
        return
    if texts[batch_at] == batch:
        found.take(Row(place, {name: text for name, text in zip(header, texts, strict=False) if name and text}))


def _is_text(text: str) -> bool:
    """Return whether every byte of it was one of the encoding: others stand as lone surrogates (PEP 383)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def of_query(line: Line, name: str, section: ParallelRun, batch: str) -> LegacyRecord:
    """Read the rows that a query of a source gives now. Raises NotRead."""
    source_name, _, query = name.partition(".")
    source = next((one for one in line.sources if one.name == source_name), None)
    if source is None or not query:
        known = ", ".join(one.name for one in line.sources)
        raise NotRead(f"--legacy {name[:80]}: is no file, and no source.query of the line; its sources are {known}")
    driver = driver_class(source.driver)(source, [])
    if not isinstance(driver, GivesRows):
        raise NotRead(f"--legacy {name[:80]}: a source of driver {source.driver} gives no rows when it is asked; give a file")
    try:
        return asyncio.run(_given(driver, name, query, section, batch))
    except KeyError:
        raise NotRead(f"--legacy {name[:80]}: source {source_name} has no query {query[:60]}") from None
    except (DriverError, DriverMisconfigured) as error:
        raise NotRead(f"--legacy {name[:80]}: {error}") from None


async def _given(driver: GivesRows, name: str, query: str, section: ParallelRun, batch: str) -> LegacyRecord:
    found = LegacyRecord(name)
    async with aclosing(driver.given_rows(query, MOST_ROWS)) as pieces:  # type: ignore[type-var]  # an async generator
        async for piece in pieces:
            for row, why in piece:
                found.read += 1
                _given_row(f"{name} row {found.read}", row, why, section, batch, found)
    if found.columns and section.batch not in found.columns:
        near = did_you_mean(section.batch, list(found.columns))
        raise NotRead(f"{name}: the query gives no column `{section.batch}`, which names the batch by line.toml [parallel_run]{near}")
    return found


def _given_row(place: str, row: Mapping[str, Any] | None, why: str, section: ParallelRun, batch: str, found: LegacyRecord) -> None:
    if row is None:
        found.refuse(place, why, ours=True)
        return
    found.columns = found.columns or list(row)
    if str(row.get(section.batch, "")).strip() == batch:
        found.take(Row(place, {name: text for name, value in row.items() if value is not None and (text := _cell(value))}))


def _cell(value: Any) -> str:
    """Write a value of a database as a cell: a number with every digit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return (repr(value) if isinstance(value, float) else str(value)).strip()


def missing(found: LegacyRecord, columns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (column, why it can not be read) of the columns that the record does not have, or has twice."""
    place = f"{found.origin}:1" if found.sha256 is not None else found.origin
    for column in columns:
        if column in found.twice:
            yield column, f"{place}: column `{column}` stands twice: which one is meant?"
        elif column not in found.columns and found.columns:
            yield column, f"{place}: no column `{column}`{did_you_mean(column, list(found.columns))}"
