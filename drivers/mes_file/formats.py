"""Turns the bytes of a whole file into records, or into the reason why the whole file is refused. Pure."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

import orjson

from drivers.mes_file.settings import FileSettings, Pattern

Record = dict[str, Any]
MOST_DEPTH = 64
BOMS = {"utf-8": b"\xef\xbb\xbf", "utf-16": b"", "utf-32": b""}


class Refused(Exception):
    """The file is not what the pattern says; the text names the line."""


def records(data: bytes, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:
    """Yield the records in the file's order. Raises Refused, perhaps after some records: drain it once before using any."""
    _bound_lines(data, settings.max_line_bytes)
    return _FORMATS[pattern.format](data, pattern, settings)


def _bound_lines(data: bytes, most_bytes: int) -> None:
    """Refuse a file with a line that is too long, before any parser holds it in memory. Raises Refused."""
    start = 0
    while len(data) - start > most_bytes:
        end = data.find(b"\n", start, start + most_bytes + 1)
        if end < 0:
            raise Refused(f"a line is longer than {most_bytes} bytes (at byte {start})")
        start = end + 1


def text_of(data: bytes, encoding: str) -> str:
    """Decode strictly; a byte order mark is taken off where it agrees and refused where it does not. Raises Refused."""
    plain = encoding.lower().replace("_", "-")
    if data.startswith(b"\xef\xbb\xbf"):
        if plain not in ("utf-8", "utf8", "utf-8-sig"):
            raise Refused(f"begins with UTF-8's byte order mark, but encoding is {encoding}")
        data = data[3:]
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")) and not plain.startswith(("utf-16", "utf-32")):
        raise Refused(f"begins with UTF-16's byte order mark, but encoding is {encoding}")
    try:
        text = data.decode(encoding, "strict")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(f"line {line}: byte 0x{data[error.start]:02x} is not {encoding}") from error
    if "\0" in text:
        raise Refused(f"line {text.count(chr(10), 0, text.index(chr(0))) + 1}: holds a NUL character")
    return text


def _csv(data: bytes, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:
    lines = io.StringIO(text_of(data, pattern.encoding), newline="")
    for _ in range(pattern.skip_lines):
        lines.readline()
    csv.field_size_limit(2**31 - 1)  # of the whole process, so no bound of one source: `_fits` is
    reader = csv.reader(lines, delimiter=pattern.delimiter, quotechar=pattern.quote, strict=True)
    columns = list(pattern.columns or ())
    try:
        for row in reader:
            if not row:
                continue
            _fits(row, reader.line_num + pattern.skip_lines, settings)
            if not columns:
                columns = _header(row, pattern, settings)
                continue
            if len(row) != len(columns):
                line = reader.line_num + pattern.skip_lines
                raise Refused(f"line {line}: {len(row)} fields instead of {len(columns)}; cut off, or another delimiter?")
            yield dict(zip(columns, row, strict=True))
    except csv.Error as error:
        raise Refused(f"line {reader.line_num + pattern.skip_lines}: {error}") from error
    if not columns:
        raise Refused("the file is empty: not even a header line")


def _fits(row: list[str], line: int, settings: FileSettings) -> None:
    if (longest := max(map(len, row))) > settings.max_line_bytes:
        raise Refused(f"line {line}: a field of {longest} characters, more than max_line_bytes = {settings.max_line_bytes}")


def _header(row: list[str], pattern: Pattern, settings: FileSettings) -> list[str]:
    """Read the columns' names from the header line. Raises Refused if one is doubled, or one that the pattern needs is missing."""
    columns = [name.strip() for name in row]
    if len(columns) > settings.max_columns:
        raise Refused(f"{len(columns)} columns, more than {settings.max_columns}")
    if doubled := sorted({name for name in columns if columns.count(name) > 1}):
        raise Refused(f"column {doubled[0]!r} stands twice in the header")
    needed = [*pattern.keys, *([pattern.time.column] if pattern.time else [])]
    if missing := [name for name in needed if name not in columns]:
        raise Refused(f"no column {missing[0]!r} in the header ({', '.join(columns)[:200]})")
    return columns


def _fixed(data: bytes, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:  # noqa: ARG001 - one shape for all formats
    longest = max(field.start - 1 + field.width for field in pattern.fields)
    least = max(field.start for field in pattern.fields)
    for number, line in enumerate(text_of(data, pattern.encoding).split("\n"), 1):
        plain = line.removesuffix("\r")
        if number <= pattern.skip_lines or not plain.strip():
            continue
        if (not least <= len(plain) <= longest + 1 and len(plain.rstrip()) > longest) or len(plain) < least:
            raise Refused(f"line {number}: {len(plain)} characters; the fields need {least} to {longest}")
        yield {field.name: plain[field.start - 1 : field.start - 1 + field.width].strip() for field in pattern.fields}


def _jsonl(data: bytes, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:
    for number, line in enumerate(text_of(data, pattern.encoding).split("\n"), 1):
        if number <= pattern.skip_lines or not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise Refused(f"line {number}: no JSON: {error}") from error
        if not isinstance(record, dict):
            raise Refused(f"line {number}: no JSON object")
        if len(record) > settings.max_columns:
            raise Refused(f"line {number}: {len(record)} columns, more than {settings.max_columns}")
        yield record


def _b2mml(data: bytes, pattern: Pattern, settings: FileSettings) -> Iterator[Record]:
    """Yield each `record` element, its inner elements as dotted columns (Batch.ID; a second one Batch[2].ID), attributes as @name.

    No DOCTYPE: no entities, no external files (fault bar S05).
    """
    collector = _Collector(pattern.record or "", settings.max_columns)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = collector.start
    parser.EndElementHandler = collector.end
    parser.CharacterDataHandler = collector.text
    parser.StartDoctypeDeclHandler = _no_doctype
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's signature
    except expat.ExpatError as error:
        raise Refused(f"line {error.lineno}: {expat.errors.messages[error.code]}") from error
    yield from collector.records


def _no_doctype(*_: object) -> None:
    raise Refused("holds a DOCTYPE: entities are not read")


class _Collector:
    """Builds the records while expat goes through the file."""

    def __init__(self, record: str, max_columns: int) -> None:
        self.records: list[Record] = []
        self._element, self._max_columns = record, max_columns  # the name of the element that is a record
        self._path: list[str] = []  # of the element that is being read, below the record
        self._counts: list[dict[str, int]] = []
        self._texts: list[list[str]] = []
        self._leaf = False  # the element that ends next holds no other, so that even an empty text is its value
        self._record: Record | None = None  # the one that is being read
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise Refused(f"elements nested deeper than {MOST_DEPTH}")
        local = name.rpartition(" ")[2]
        if self._record is None:
            if local == self._element:
                self._record, self._path, self._counts, self._texts = {}, [], [{}], [[]]
                self._attributes(attributes)
            return
        count = self._counts[-1][local] = self._counts[-1].get(local, 0) + 1
        self._path.append(local if count == 1 else f"{local}[{count}]")
        self._counts.append({})
        self._texts.append([])
        self._leaf = True
        self._attributes(attributes)

    def text(self, text: str) -> None:
        if self._record is not None:
            self._texts[-1].append(text)

    def end(self, name: str) -> None:
        self._depth -= 1
        if self._record is None:
            return
        texts = "".join(self._texts.pop()).strip()
        self._counts.pop()
        if not self._path and name.rpartition(" ")[2] == self._element:
            self.records.append(self._record)
            self._record = None
            return
        if texts or self._leaf:
            self._put(".".join(self._path), texts)
        self._leaf = False
        self._path.pop()

    def _attributes(self, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            self._put(".".join([*self._path, f"@{name.rpartition(' ')[2]}"]), value)

    def _put(self, column: str, value: str) -> None:
        assert self._record is not None
        self._record[column] = value
        if len(self._record) > self._max_columns:
            raise Refused(f"a record of more than {self._max_columns} columns")


_FORMATS: dict[str, Callable[[bytes, Pattern, FileSettings], Iterator[Record]]] = {
    "csv": _csv,
    "fixed": _fixed,
    "jsonl": _jsonl,
    "b2mml": _b2mml,
}
