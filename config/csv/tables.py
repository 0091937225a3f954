"""Reads CSV as spreadsheets write it: strictly, with every problem at its line. No part of a file is skipped silently."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from config.problem import MAX_PROBLEMS, Place, Problem, Severity, did_you_mean, rest

MAX_ROWS = 200_000
MAX_COLUMNS = 100
MAX_CELL = 4096

_REMEMBERED = 5000  # good cells kept to spare their checks; a map of 200,000 different ones must not fill the memory

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,3}(?:[. ]?[0-9]{3})*,[0-9]+%?|[+-]?[0-9]+,[0-9]+%?")
_EXPONENT = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E[+-]?[0-9]{1,3}")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez|mrz|fév|fev|avr|juin|juil|août|déc"
_DATE = re.compile(rf"[0-9]{{1,2}}[-. ](?:{_MONTHS})\.?|(?:{_MONTHS})\.?[-. ][0-9]{{2,4}}", re.IGNORECASE)
_ERROR_VALUE = re.compile(r"#(?:REF!|NAME\?|N/A|VALUE!|DIV/0!|NUM!|NULL!|BEZUG!|WERT!|NV)")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_UTF8_IN_CP1252 = re.compile(rb"[\xc2\xc3\xe2][\x80-\xbf]")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a table may have.

    numbers: columns of decimal numbers. formulas: columns in which `=tag` is allowed. words: free text, where a date is no damage.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    formulas: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset({"description", "name", "text", "reason"})

    @property
    def all(self) -> tuple[str, ...]:
        """Every column, in the order of the documentation."""
        return self.required + self.optional


@dataclass(slots=True)
class TableReport:
    """The problems of one file, at most MAX_PROBLEMS of each severity: a broken map of 100,000 rows does not make 100,000 lines."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    found: Counter[Severity] = field(default_factory=Counter)
    rejected: set[str] = field(default_factory=set)  # first cells of rows with a problem: a name that stands there is not unknown

    def error(self, line: int | None, message: str) -> None:
        """Report an error in a line; None: in the whole file."""
        self._add(Problem(self.file, line, message))

    def warning(self, line: int | None, message: str) -> None:
        """Report a use that is allowed but doubtful."""
        self._add(Problem(self.file, line, message, "warning"))

    def all(self) -> list[Problem]:
        """List the problems, and at the end the number of those that were dropped."""
        more = {severity: count - MAX_PROBLEMS for severity, count in self.found.items() if count > MAX_PROBLEMS}
        return self.problems + [rest(self.file, count, severity) for severity, count in more.items()]

    def _add(self, problem: Problem) -> None:
        self.found[problem.severity] += 1
        if self.found[problem.severity] <= MAX_PROBLEMS:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: column -> text without blanks around it, empty cells left out."""

    line: int
    cells: Mapping[str, str]

    def place(self, file: str) -> Place:
        """The line where the row begins."""
        return Place(file, self.line)


def decode(data: bytes, report: TableReport) -> str | None:
    """Decode UTF-8 with or without BOM, or CP1252 with a warning; None for neither, or a mixture of both."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.error(None, "saved as UTF-16: save it as `CSV UTF-8`")
        return None
    if (at := data.find(b"\x00")) >= 0:
        report.error(data.count(b"\n", 0, at) + 1, "a NUL byte stands in this line")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _decode_cp1252(data, error.start, report)


def _decode_cp1252(data: bytes, at: int, report: TableReport) -> str | None:
    line = data.count(b"\n", 0, at) + 1
    if data.startswith(b"\xef\xbb\xbf") or _UTF8_IN_CP1252.search(data):
        report.error(line, "two encodings in one file: this line is not UTF-8, others are; save it as `CSV UTF-8`")
        return None
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        report.error(line, "neither UTF-8 nor CP1252: save it as `CSV UTF-8`")
        return None
    report.warning(line, "read as CP1252, because it is not UTF-8: save it as `CSV UTF-8`")
    return text


def rows(data: bytes, columns: Columns, report: TableReport) -> Iterator[CsvRow]:
    """Yield the rows of a table, in order.

    Problems go to `report`; a row with a problem is yielded as well, without its damaged cells.
    """
    text = decode(data, report)
    if text is None:
        return
    csv.field_size_limit(2**31 - 1)  # of the whole process; how long a cell may be is checked with its columns
    # strict: else a quotation mark that is never closed would take the rest of the file into one cell, without an error.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(text), strict=True)
    try:
        header = _header(next(reader, []), columns, report)
        if header is not None:
            yield from _body(reader, header, columns, report)
    except csv.Error as error:
        report.error(reader.line_num, f"not readable as CSV: {error}; the rest of the file was not read")


def delimiter(text: str) -> str:
    """Choose the delimiter: the most frequent of `,` `;` and tab in the header."""
    first = text.split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _header(cells: Sequence[str], columns: Columns, report: TableReport) -> list[str | None] | None:
    """Read the column names by position, None for an unnamed column, "" for one that is told as unknown; None: no table can be read."""
    names = [cell.strip() for cell in cells]
    if not any(names):
        report.error(1, f"a header is missing: {','.join(columns.required)}, ...")
        return None
    if len(names) > MAX_COLUMNS:
        report.error(1, f"{len(names)} columns, at most {MAX_COLUMNS} are possible")
        return None
    known = set(columns.all)
    for name in names:
        if name and name not in known:
            report.error(1, f"unknown column `{name[:60]}`{did_you_mean(name, columns.all)}")
    for name in {name for name in names if name and names.count(name) > 1}:
        report.error(1, f"column `{name}` stands twice")
    missing = [name for name in columns.required if name not in names]
    for name in missing:
        report.error(1, f"column `{name}` is missing")
    return None if missing else [name if name in known else "" if name else None for name in names]


def _body(reader: "csv._reader", header: list[str | None], columns: Columns, report: TableReport) -> Iterator[CsvRow]:  # type: ignore[name-defined]
    before = reader.line_num
    checks = _Damage(columns, report)
    for count, cells in enumerate(reader):
        line, before = before + 1, reader.line_num
        if not any(cells) or not any(cell.strip() for cell in cells):
            continue
        if count >= MAX_ROWS:
            report.error(line, f"more than {MAX_ROWS} rows; the rest was not read")
            return
        if len(cells) != len(header) and (first := header.index(columns.required[0])) < len(cells):
            report.rejected.add(cells[first].strip())
        if len(cells) != len(header) and any(cell.strip() for cell in cells[len(header) :]):
            report.error(
                line, f"{len(cells)} cells, but the header has {len(header)}: is there a delimiter too much, or a quotation mark missing?"
            )
            continue
        if len(cells) < len(header):
            report.error(line, f"{len(cells)} cells, but the header has {len(header)}")
            continue
        yield CsvRow(line, checks.clean(line, header, cells))
    checks.finish()


class _Damage:
    """Detects damage to cells by spreadsheets, editors and attackers."""

    def __init__(self, columns: Columns, report: TableReport) -> None:
        self.columns = columns
        self.report = report
        self._good: dict[tuple[str, str], str] = {}  # most columns hold the same few texts in every row: each is kept once
        self._zeros: dict[str, int] = {}  # column -> digits of a number that begins with 0
        self._short: dict[str, tuple[int, str]] = {}  # column -> first line and text of an all-digit number

    def clean(self, line: int, header: list[str | None], cells: Sequence[str]) -> dict[str, str]:
        """Keep the good cells of a row; report the others."""
        row: dict[str, str] = {}
        for name, cell in zip(header, cells, strict=False):
            if not name or not cell:
                if name is None and cell.strip():
                    self.report.error(line, f"`{cell.strip()[:60]}` stands in a column without a name")
                continue
            text = cell.strip()
            if not text:
                continue
            if (known := self._good.get((name, text))) is not None:
                row[name] = known
                continue
            if (problem := self._problem(name, text)) is not None:
                self.report.error(line, f"{name}: {problem}" if not problem.startswith("decimal comma") else problem)
                continue
            self._remember_zeros(name, text, line)
            row[name] = text
            if len(self._good) < _REMEMBERED:
                self._good[name, text] = text
        return row

    def finish(self) -> None:
        """Report damage that only a whole column shows: lost leading zeros."""
        for name, digits in self._zeros.items():
            line, text = self._short.get(name, (0, ""))
            if text and len(text) < digits:
                self.report.warning(line, f"{name}: `{text}` may have lost its leading zeros; others have {digits} digits")

    def _problem(self, name: str, text: str) -> str | None:
        if len(text) > MAX_CELL:
            return f"{len(text)} characters, at most {MAX_CELL} are possible"
        if _UNSEEN.search(text):
            return "a control character or an invisible one stands in it"
        if _ERROR_VALUE.fullmatch(text):
            return f"`{text}` is an error of the spreadsheet"
        if text[0] in "=@" and name not in self.columns.formulas:
            return "formulas are not allowed"
        if name in self.columns.numbers:
            return _number_problem(text)
        return None if name in self.columns.words else _text_problem(text)

    def _remember_zeros(self, name: str, text: str, line: int) -> None:
        if name in self.columns.numbers or not text.isdigit() or not text.isascii():
            return
        if text[0] == "0" and len(text) > 1:
            self._zeros[name] = max(self._zeros.get(name, 0), len(text))
        elif len(text) < len(self._short.get(name, (0, text + "0"))[1]):
            self._short[name] = (line, text)


def _number_problem(text: str) -> str | None:
    if _DECIMAL_COMMA.fullmatch(text):
        return f"decimal comma, write {text.replace('.', '').replace(' ', '').replace(',', '.')}"
    return None


def _text_problem(text: str) -> str | None:
    if _EXPONENT.fullmatch(text):
        return f"`{text}` was a long number or a code that a spreadsheet rewrote: format the column as text and enter it again"
    if _DATE.fullmatch(text):
        return f"`{text}` was turned into a date by a spreadsheet: format the column as text and enter it again"
    if text[0] in "+-" and not _NUMBER.match(text):
        return f"begins with `{text[0]}`, which a spreadsheet runs as a formula"
    return None
