"""Check identities that are read from MES rows: that one row is meant, that its order is told, and that no row stays unseen."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from config.checks.parsed_folder import ParsedFolder
from config.sections import IDENTITIES, Equipment, FromRow
from config.toml.text import Path_

_HIDDEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_WHERE = re.compile(r"\bwhere\b(.*?)(?:\border\s+by\b|\bgroup\s+by\b|\Z)", re.DOTALL | re.IGNORECASE)
_BETWEEN_TERMS = re.compile(r"\band\b|\bor\b", re.IGNORECASE)


def check(parts: ParsedFolder) -> None:
    """Add the problems of identities from rows to the document."""
    filtered: set[str] = set()
    for at, equipment in parts.sections.equipment:
        hows = list(_from_rows(at, equipment))
        _one_row(parts, hows)
        ordered = {how.row for _, how in hows if how.order_by is not None}
        for row, path in {how.row: path for path, how in reversed(hows)}.items():
            if row not in filtered:
                _unseen(parts, row)
            if row not in ordered:
                _unordered(parts, row, path)
            filtered.add(row)


def _from_rows(at: Path_, equipment: Equipment) -> Iterator[tuple[Path_, FromRow]]:
    for key in IDENTITIES:
        if isinstance(how := getattr(equipment, key), FromRow):
            yield (*at, key), how


def _one_row(parts: ParsedFolder, hows: list[tuple[Path_, FromRow]]) -> None:
    """Refuse fields of one query that would be read from different rows: an order beside the batch of another one."""
    for member in ("key", "where", "order_by"):
        first: dict[str, str] = {}
        for path, how in hows:
            written = getattr(how, member)
            if written is not None and first.setdefault(how.row, written) != written:
                text = f"`{how.row}` tells the fields of an equipment by one row: `{member}` is `{first[how.row][:60]}` in another field"
                parts.document.error((*path, member), text)


def _unseen(parts: ParsedFolder, row: str) -> None:
    """Warn of a query that never gives a row which begins to match later."""
    for at, table in _tables(parts, row):
        if _kind(table) == "sequence" and (terms := list(_filters(str(table.get("sql"))))):
            text = (
                f"`{terms[0][:60]}` leaves rows out, and a row that begins to match later than overlap_s is never read with kind sequence:"
                " read all rows, and say in `where` of the equipment which of them count"
            )
            parts.document.warning((*at, "sql"), text)


def _unordered(parts: ParsedFolder, row: str, path: Path_) -> None:
    """Warn of a query that does not tell which of its rows is the later one."""
    for _, table in _tables(parts, row):
        if (kind := _kind(table)) in ("timestamp", "snapshot"):
            text = f"a watermark of kind {kind} does not tell in which order orders were begun: name the column that does in `order_by`"
            parts.document.warning(path, f"`{row}`: {text}")


def _kind(table: Mapping[str, Any]) -> str | None:
    watermark = table.get("watermark")
    return watermark.get("kind") if isinstance(watermark, Mapping) else None


def _tables(parts: ParsedFolder, row: str) -> Iterator[tuple[Path_, Mapping[str, Any]]]:
    name, _, query = row.partition(".")
    for at, source in parts.sections.source:
        tables = source.options.get("query") if source.name == name else None
        for number, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
            if isinstance(table, Mapping) and table.get("name") == query:
                yield (*at, "query", number), table


def _filters(sql: str) -> Iterator[str]:
    """Yield the terms of each WHERE that are not the watermark's, as they are written."""
    bare = _HIDDEN.sub(lambda hidden: "_" * len(hidden[0]), sql)
    for where in _WHERE.finditer(bare):
        start, ends = where.start(1), [(found.start(), found.end()) for found in _BETWEEN_TERMS.finditer(bare, *where.span(1))]
        for until, following in [*ends, (where.end(1), where.end(1))]:
            term = " ".join(sql[start:until].split()).strip("() ")
            if term and ":since" not in term:
                yield term
            start = following
