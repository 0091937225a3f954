"""Turns the content of a whole file into records, or into the reason why the whole file is refused. Pure."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson

from drivers.mes_file.content import Content, Faults, Refused, Unfinished, text_of
from drivers.mes_file.settings import FileSettings, Pattern
from drivers.mes_file.xml_records import xml_records

CUT = "; cut off, or another delimiter?"
Record = dict[str, Any]
"""Column -> value as it was written: text, and of JSON also true, false, null, int, Decimal, lists and objects."""


def records(content: Content, pattern: Pattern, settings: FileSettings, known: int = 0) -> Iterator[Record]:
    """Yield the records in the file's order. known: so many characters of the body, which end with a record, are left out.

    Raises Refused, perhaps after some records: drain it once before using any.
    """
    return _FORMATS[pattern.format](content, pattern, settings, known)


def _csv(content: Content, pattern: Pattern, settings: FileSettings, known: int) -> Iterator[Record]:
    columns = list(pattern.columns or ())
    csv.field_size_limit(2**31 - 1)  # of the whole process, so no bound of one source: `_fits` is
    if not columns and known:
        columns = next((_header(row, pattern, settings) for _, row in _rows(content, pattern, 0)), [])
    faults = Faults()
    for line, row in _rows(content, pattern, known, faults):
        _fits(row, line, settings)
        if not columns:
            columns = _header(row, pattern, settings)
            continue
        if len(row) == len(columns) + 1 and not row[-1]:
            row.pop()  # a delimiter that ends each line, as some systems write it
        if len(row) != len(columns):
            faults.add(f"line {line}: {len(row)} fields instead of {len(columns)}")
            continue
        yield dict(zip(columns, row, strict=True))
    faults.refuse(CUT)
    if not columns:
        raise Refused("the file is empty: not even a header line")


def _rows(content: Content, pattern: Pattern, known: int, faults: Faults | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the cells of each row that is neither empty nor a comment. faults: of the rows before."""
    before = content.lines_before + content.body.count("\n", 0, known)
    lines = io.StringIO(content.body[known:] if known else content.body, newline="")
    quoting: Any = csv.QUOTE_MINIMAL if pattern.quote else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=pattern.delimiter, quotechar=pattern.quote or None, quoting=quoting, strict=True)
    try:
        for row in reader:
            if row and not (pattern.comment and row[0].startswith(pattern.comment)):
                yield before + reader.line_num, row
    except csv.Error as error:
        if faults is not None:
            faults.refuse(f"; line {before + reader.line_num}: {error}")
        kind = Unfinished if "unexpected end of data" in str(error) else Refused
        raise kind(f"line {before + reader.line_num}: {error}") from error


def _fits(row: list[str], line: int, settings: FileSettings) -> None:
    if (longest := max(map(len, row))) > settings.max_line_bytes:
        raise Refused(f"line {line}: a field of {longest} characters, more than max_line_bytes = {settings.max_line_bytes}")


def _header(row: list[str], pattern: Pattern, settings: FileSettings) -> list[str]:
    """Read the columns' names from the header line. Raises Refused if one is doubled, or one that the pattern needs is missing."""
    columns = [name.strip() for name in row]
    if not columns[-1]:
        columns.pop()
    if len(columns) > settings.max_columns:
        raise Refused(f"{len(columns)} columns, more than {settings.max_columns}")
    if doubled := sorted({name for name in columns if columns.count(name) > 1}):
        raise Refused(f"column {doubled[0]!r} stands twice in the header")
    needed = [*pattern.keys, *([pattern.time.column] if pattern.time else [])]
    if missing := [name for name in needed if name not in columns]:
        raise Refused(f"no column {missing[0]!r} in the header ({', '.join(columns)[:200]})")
    return columns


def _lines(content: Content, pattern: Pattern, known: int) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is neither blank nor a comment."""
    first = content.lines_before + content.body.count("\n", 0, known) + 1
    for number, line in enumerate(content.body[known:].split("\n"), first):
        plain = line.removesuffix("\r")
        if plain.strip() and not (pattern.comment and plain.startswith(pattern.comment)):
            yield number, plain


def _fixed(content: Content, pattern: Pattern, settings: FileSettings, known: int) -> Iterator[Record]:  # noqa: ARG001 - one shape for all
    longest = max(field.start - 1 + field.width for field in pattern.fields)
    least = max(field.start for field in pattern.fields)
    faults = Faults()
    for number, plain in _lines(content, pattern, known):
        if (not least <= len(plain) <= longest + 1 and len(plain.rstrip()) > longest) or len(plain) < least:
            faults.add(f"line {number}: {len(plain)} characters; the fields need {least} to {longest}")
            continue
        yield {field.name: plain[field.start - 1 : field.start - 1 + field.width].strip() for field in pattern.fields}
    faults.refuse()


def _jsonl(content: Content, pattern: Pattern, settings: FileSettings, known: int) -> Iterator[Record]:
    faults = Faults()
    for number, line in _lines(content, pattern, known):
        try:
            yield _object(_json(line), f"line {number}", settings)
        except ValueError as error:
            faults.add(f"line {number}: no JSON: {error}")
        except Refused as error:
            faults.add(str(error))
    faults.refuse()


def _json(text: str) -> Any:
    """Read JSON (RFC 8259) with its numbers as they are written. Raises ValueError, also where a name stands twice in an object."""
    orjson.loads(text)  # strict: no NaN, no lone surrogates, no endless nesting
    return json.loads(text, parse_float=Decimal, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> Record:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands twice in an object")
    return found


def _object(record: Any, where: str, settings: FileSettings) -> Record:
    if not isinstance(record, dict):
        raise Refused(f"{where}: no JSON object")
    if len(record) > settings.max_columns:
        raise Refused(f"{where}: {len(record)} columns, more than {settings.max_columns}")
    return record


def _b2mml(content: Content, pattern: Pattern, settings: FileSettings, known: int) -> Iterator[Record]:
    assert not known  # a document does not grow
    return xml_records(content.data, pattern.record or "", settings.max_columns, pattern.named_by, pattern.parents)


def _json_document(content: Content, pattern: Pattern, settings: FileSettings, known: int) -> Iterator[Record]:
    """Yield the objects of the list that a document is, or that stands in it under `record` (a path with dots); one object is a record."""
    assert not known  # a document does not grow
    text = text_of(content.data, pattern.encoding)
    try:
        found = _json(text)
    except orjson.JSONDecodeError as error:
        kind = Unfinished if error.pos >= len(text.rstrip()) else Refused
        raise kind(f"line {error.lineno}: no JSON: {error.msg}") from error
    except ValueError as error:
        raise Refused(f"no JSON: {error}") from error
    for name in pattern.record.split(".") if pattern.record else ():
        if not isinstance(found, dict) or name not in found:
            raise Refused(f"no {name!r} in the document (record = {pattern.record!r})")
        found = found[name]
    faults = Faults()
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        try:
            yield _object(record, f"record {number}", settings)
        except Refused as error:
            faults.add(str(error))
    faults.refuse()


_FORMATS: dict[str, Callable[[Content, Pattern, FileSettings, int], Iterator[Record]]] = {
    "csv": _csv,
    "fixed": _fixed,
    "jsonl": _jsonl,
    "b2mml": _b2mml,
    "json": _json_document,
}
